//! Every type, rule and message, through the public face.

mod plain;

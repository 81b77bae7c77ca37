//! The mapping language through its public face: a text in, a mapping or problems out.

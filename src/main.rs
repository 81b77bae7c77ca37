//! The `forebay` program: arguments in, exit code out.

fn main() {}

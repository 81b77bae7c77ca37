//! What goes to the person at the terminal: results to stdout, everything else to stderr.

use std::io::{self, IsTerminal, Write};

use crate::fault::Fault;
use crate::observe::escaped;

/// Whether stderr is a terminal.
pub fn is_terminal() -> bool {
    io::stderr().is_terminal()
}

/// A problem, as a line of stderr, or some of them. What comes from outside in it does nothing to a terminal.
pub fn problem(message: &str) {
    // Nobody is left to tell when stderr is gone.
    let _ = writeln!(io::stderr(), "forebay: {}", tame(message));
}

/// The text with all escaped that acts on a terminal, but for the ends of its lines.
pub fn tame(text: &str) -> String {
    text.split('\n').map(escaped).collect::<Vec<_>>().join("\n")
}

/// A result, to stdout.
///
/// # Errors
///
/// When stdout cannot be written; a reader that has had enough (`| head`) is no error.
pub fn result(text: &str) -> Result<(), Fault> {
    let mut out = io::stdout().lock();
    finish(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

/// What writing to stdout came to.
///
/// # Errors
///
/// See [`result`].
pub fn finish(written: io::Result<()>) -> Result<(), Fault> {
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Fault::halt("stdout.failed", format!("cannot write the answer: {error}")))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::tame;

    #[test]
    fn lines_stay_and_nothing_else_acts() {
        assert_eq!(tame("a: \u{1b}[31mb\r\nc\u{9b}2J"), "a: \\u{1b}[31mb\\r\nc\\u{9b}2J");
    }
}

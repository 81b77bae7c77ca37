//! What goes to the person at the terminal: results to stdout, everything else to stderr.

use std::io::{self, IsTerminal, Write};

use crate::fault::Fault;

/// Whether stderr is a terminal.
pub fn is_terminal() -> bool {
    io::stderr().is_terminal()
}

/// A problem, as one line of stderr.
pub fn problem(message: &str) {
    // Nobody is left to tell when stderr is gone.
    let _ = writeln!(io::stderr(), "forebay: {message}");
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

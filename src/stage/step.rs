//! The work of a stage, free of actors and threads, so that it can be tested as a plain value.

use super::exit::Exit;

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// It did some work.
    Worked,
    /// There was nothing to do.
    Idle,
    /// It has something to hand on, and there was no room for it.
    Blocked,
}

/// A stage as a plain struct: everything it owns, and one bounded piece of work.
///
/// A step takes its input with a timeout of [`WAIT`], works, and hands on with a timeout of [`WAIT`]. What it could not
/// hand on it keeps and tries again at the next step, so a command never waits for data.
pub trait Step: Send + Unpin + 'static {
    /// What the control plane may tell it.
    type Command: Send + 'static;

    /// One bounded piece of work, 100 ms at most unless inside a protected zone.
    ///
    /// # Errors
    ///
    /// The exit of the stage: [`Exit::Drained`] when its input has ended and all is handed on.
    fn step(&mut self) -> Result<Progress, Exit>;

    /// Takes a command; the next step acts on it.
    fn command(&mut self, command: Self::Command);
}

/// How long a step waits for input, and how long for room.
pub const WAIT: std::time::Duration = std::time::Duration::from_millis(50);

//! A worker of the parser pool.

use std::convert::Infallible;

use crossbeam_channel::{Receiver, RecvTimeoutError, SendTimeoutError, Sender};

use super::batch::Parser;
use super::lease::{Lease, ParseJob};
use crate::model::batch::ParsedBatch;
use crate::stage::exit::Exit;
use crate::stage::step::{Progress, Step, WAIT};

/// Takes batches of all lanes from one channel, parses them, and hands each to its lane.
///
/// What it works on lies in its [`Lease`] from before the work begins until the result is handed on.
pub struct ParserStep {
    parser: Parser,
    jobs: Receiver<ParseJob>,
    lease: Lease,
    first: Option<ParseJob>,
    unsent: Option<(Sender<ParsedBatch>, ParsedBatch)>,
}

impl ParserStep {
    /// A worker; `first` is what its predecessor left, to be done before anything else.
    pub fn new(parser: Parser, jobs: Receiver<ParseJob>, lease: Lease, first: Option<ParseJob>) -> Self {
        if let Some(job) = &first {
            // From here on, not from its first step on: a worker may die before that.
            lease.hold(job.clone());
        }
        Self { parser, jobs, lease, first, unsent: None }
    }

    fn hand_on(&mut self, out: Sender<ParsedBatch>, parsed: ParsedBatch) -> Progress {
        match out.send_timeout(parsed, WAIT) {
            // A lane that has gone needs no answer: its next generation reads the messages again.
            Ok(()) | Err(SendTimeoutError::Disconnected(_)) => {
                self.lease.release();
                Progress::Worked
            }
            Err(SendTimeoutError::Timeout(parsed)) => {
                self.unsent = Some((out, parsed));
                Progress::Blocked
            }
        }
    }
}

impl Step for ParserStep {
    type Command = Infallible;

    fn step(&mut self) -> Result<Progress, Exit> {
        if let Some((out, parsed)) = self.unsent.take() {
            return Ok(self.hand_on(out, parsed));
        }
        let job = match self.first.take() {
            Some(job) => job,
            None => match self.jobs.recv_timeout(WAIT) {
                Ok(job) => job,
                Err(RecvTimeoutError::Timeout) => return Ok(Progress::Idle),
                Err(RecvTimeoutError::Disconnected) => return Err(Exit::Drained),
            },
        };
        self.lease.hold(job.clone());
        self.parser.take_up(&job.tables);
        let parsed = self.parser.parse_with_care(&job.raw, job.route.clone(), &self.lease.care(&job))?;
        Ok(self.hand_on(job.out, parsed))
    }

    fn command(&mut self, command: Self::Command) {
        match command {}
    }
}

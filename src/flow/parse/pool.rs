//! A worker of the parser pool.

use std::convert::Infallible;

use crossbeam_channel::{Receiver, RecvTimeoutError, SendTimeoutError, Sender};

use super::batch::{Parser, Room};
use super::lease::{Lease, ParseJob};
use crate::fault::Fault;
use crate::model::batch::ParsedBatch;
use crate::model::room::{RowRoom, Turn};
use crate::stage::exit::Exit;
use crate::stage::step::{Progress, Step, WAIT};

/// Takes batches of all lanes from one channel, parses them, and hands each to its lane; in pieces, where its rows are
/// many ([`crate::model::room`]).
///
/// What it works on lies in its [`Lease`] from before the work begins until the result is handed on.
pub struct ParserStep {
    parser: Parser,
    jobs: Receiver<ParseJob>,
    lease: Lease,
    room: RowRoom,
    /// What is done before anything else is taken up.
    next: Option<Next>,
    unsent: Option<Unsent>,
}

/// What a worker has in its hands.
struct Next {
    job: ParseJob,
    /// What it waits for.
    needs: Needs,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Needs {
    /// Nothing: it is begun at once.
    Nothing,
    /// Room, or the turn.
    Room,
    /// The turn: its first message has more rows than fit a piece.
    Turn,
}

/// What could not be handed on yet.
struct Unsent {
    out: Sender<ParsedBatch>,
    parsed: ParsedBatch,
    rest: Option<ParseJob>,
}

impl ParserStep {
    /// A worker; `first` is what its predecessor left, to be done before anything else.
    pub fn new(parser: Parser, jobs: Receiver<ParseJob>, lease: Lease, room: RowRoom, first: Option<ParseJob>) -> Self {
        if let Some(job) = &first {
            // From here on, not from its first step on: a worker may die before that.
            lease.hold(job.clone());
        }
        let next = first.map(|job| Next { job, needs: Needs::Nothing });
        Self { parser, jobs, lease, room, next, unsent: None }
    }

    fn hand_on(&mut self, unsent: Unsent) -> Progress {
        let Unsent { out, parsed, rest } = unsent;
        match out.send_timeout(parsed, WAIT) {
            Ok(()) => {
                match rest {
                    None => self.lease.release(),
                    Some(job) => {
                        self.lease.hold(job.clone());
                        self.next = Some(Next { job, needs: Needs::Room });
                    }
                }
                Progress::Worked
            }
            // A lane that has gone needs no answer: its next generation reads the messages again.
            Err(SendTimeoutError::Disconnected(_)) => {
                self.lease.release();
                Progress::Worked
            }
            Err(SendTimeoutError::Timeout(parsed)) => {
                self.unsent = Some(Unsent { out, parsed, rest });
                Progress::Blocked
            }
        }
    }

    /// Goes on with what it has in its hands, as soon as it may.
    fn go_on(&mut self, next: Next) -> Result<Progress, Exit> {
        let has_room = next.needs == Needs::Nothing || (next.needs == Needs::Room && self.room.has_room());
        if has_room {
            return self.parse(next.job, None);
        }
        // Nothing that was read before it waits for it: what holds the turn is encoded whatever becomes of this one.
        match next.job.is_oldest().then(|| self.room.try_turn()).flatten() {
            Some(turn) => self.parse(next.job, Some(turn)),
            None => {
                self.next = Some(next);
                self.room.wait(WAIT);
                Ok(Progress::Blocked)
            }
        }
    }

    /// Parses a job as far as there is room, and hands on what came of it.
    fn parse(&mut self, job: ParseJob, turn: Option<Turn>) -> Result<Progress, Exit> {
        let room = Room { batch: self.room.piece(), first: turn.as_ref().map(|_| self.room.message()) };
        self.parser.take_up(&job.tables);
        let care = self.lease.care(&job, room);
        let mut parsed = self.parser.parse_with_care(&job.raw, job.route.clone(), &care)?;
        let done = parsed.verdicts.len();
        let rest = if done == job.raw.messages.len() {
            None
        } else if done == 0 && turn.is_none() {
            self.next = Some(Next { job, needs: Needs::Turn });
            return Ok(Progress::Worked);
        } else {
            let uncut = || Fault::internal("parser.cut", format!("{} cannot be cut after {done}", job.raw.range));
            let (head, rest) = job.cut(done).ok_or_else(uncut)?;
            parsed.raw = head;
            Some(rest)
        };
        parsed.room = Some(self.room.hold(parsed.permit.bytes(), turn));
        Ok(self.hand_on(Unsent { out: job.out, parsed, rest }))
    }
}

impl Step for ParserStep {
    type Command = Infallible;

    fn step(&mut self) -> Result<Progress, Exit> {
        if let Some(unsent) = self.unsent.take() {
            return Ok(self.hand_on(unsent));
        }
        if let Some(next) = self.next.take() {
            return self.go_on(next);
        }
        if !self.room.has_room() {
            self.room.wait(WAIT);
            return Ok(Progress::Idle);
        }
        let job = match self.jobs.recv_timeout(WAIT) {
            Ok(job) => job,
            Err(RecvTimeoutError::Timeout) => return Ok(Progress::Idle),
            Err(RecvTimeoutError::Disconnected) => return Err(Exit::Drained),
        };
        self.lease.hold(job.clone());
        self.parse(job, None)
    }

    fn command(&mut self, command: Self::Command) {
        match command {}
    }
}

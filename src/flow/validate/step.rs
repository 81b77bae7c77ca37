//! The validator of a lane.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_channel::{Receiver, RecvTimeoutError, SendTimeoutError, Sender};

use super::conserve;
use super::resequence::{Offered, Resequencer};
use super::rules::Rules;
use super::stop::{FailureWindows, StopRules};
use crate::clock::Clock;
use crate::fault::{Domain, Fault};
use crate::model::batch::{ParsedBatch, ValidBatch};
use crate::model::drift::Drift;
use crate::observe::{events, metrics};
use crate::stage::exit::Exit;
use crate::stage::step::{Progress, Step, WAIT};

/// What a validator is made of, without its channels.
pub struct Validator {
    /// Incarnation of the lane; batches of another one are dropped.
    pub generation: u64,
    /// Consumer position at which the lane of this generation begins.
    pub from: i64,
    /// The rules of all tables.
    pub rules: Arc<Rules>,
    /// What arrives and no column takes is added to it.
    pub drift: Drift,
    /// For messages without a Kafka timestamp.
    pub clock: Arc<dyn Clock>,
    /// How many batches of this generation have been given to the parsers, counted before each is. When the input ends,
    /// this many must have come.
    pub issued: Arc<AtomicU64>,
    /// When too many messages fail for the lane to go on.
    pub stop_when: StopRules,
}

/// Name of the fault of a lane whose stop rule was met.
pub const TOO_MANY_FAILED: &str = "lane.too-many-failed";

/// Brings batches back into order, proves that nothing is lost, applies the rules and hands on.
pub struct ValidatorStep {
    validator: Validator,
    input: Receiver<ParsedBatch>,
    output: Sender<ValidBatch>,
    resequencer: Resequencer<ParsedBatch>,
    unsent: VecDeque<ValidBatch>,
    windows: FailureWindows,
    /// Set when the stop rule is met: the batch where it was is the last.
    stopped: Option<Fault>,
}

impl ValidatorStep {
    /// A validator between two channels.
    pub fn new(validator: Validator, input: Receiver<ParsedBatch>, output: Sender<ValidBatch>) -> Self {
        let windows = FailureWindows::new(&validator.stop_when);
        let (resequencer, unsent) = (Resequencer::new(), VecDeque::new());
        Self { validator, input, output, resequencer, unsent, windows, stopped: None }
    }

    fn hand_on(&mut self, batch: ValidBatch) -> Result<Progress, Exit> {
        match self.output.send_timeout(batch, WAIT) {
            Ok(()) => Ok(Progress::Worked),
            Err(SendTimeoutError::Timeout(batch)) => {
                self.unsent.push_front(batch);
                Ok(Progress::Blocked)
            }
            Err(SendTimeoutError::Disconnected(_)) => Err(Exit::DownstreamClosed),
        }
    }

    fn take(&mut self, parsed: ParsedBatch) -> Result<(), Exit> {
        if parsed.raw.generation != self.validator.generation {
            return Ok(());
        }
        if self.resequencer.offer(parsed.raw.seq, parsed.raw.piece, parsed) == Offered::Repeat {
            return Ok(());
        }
        while let Some(parsed) = self.resequencer.release() {
            conserve::check(&parsed, self.validator.from, |table| self.validator.rules.top(table))?;
            self.validator.from = parsed.raw.range.to();
            self.tell_drift(&parsed);
            let valid = self.validator.rules.apply(parsed, self.validator.clock.now())?;
            self.tell_dead_letters(&valid);
            self.stopped = self.judge(&valid);
            self.unsent.push_back(valid);
            if self.stopped.is_some() {
                break;
            }
        }
        Ok(())
    }

    fn tell_drift(&self, batch: &ParsedBatch) {
        let told: Vec<_> = batch.drift.iter().map(|found| self.validator.rules.tell(found)).collect();
        self.validator.drift.add(&told);
        for found in &told {
            if let Some(table) = self.validator.rules.table_name(found.table) {
                metrics().add_unmapped(table, found.count);
            }
        }
    }

    /// Whether too many messages have failed with this batch. It is handed on whole; what was read after it is read
    /// again when the lane goes on.
    fn judge(&mut self, batch: &ValidBatch) -> Option<Fault> {
        let (windows, rules) = (&mut self.windows, &self.validator.rules);
        let name = |table| rules.table_name(table);
        let (last, account) = batch.ledger.iter().find_map(|row| Some((row.offset, windows.note(row, name)?)))?;
        let lane = batch.raw.source.in_kafka();
        let message = format!(
            "{lane}: {account}, the last at offset {last}; when the mapping or the messages are put right: forebay \
             resume {lane}"
        );
        Some(Fault { domain: Domain::External, ..Fault::halt(TOO_MANY_FAILED, message) })
    }

    /// A line of the log for messages that go to quarantine; all of them are counted when they are committed.
    fn tell_dead_letters(&self, batch: &ValidBatch) {
        for letter in &batch.dead_letters {
            let message = batch.raw.messages.get(letter.message as usize);
            if let (Some(message), Some(first)) = (message, letter.violations.first()) {
                let rules = &self.validator.rules;
                let table = letter.table.and_then(|table| rules.table_name(table));
                events::message_quarantined(&batch.raw.source, message.offset, table, || {
                    rules.for_log(letter.table, first)
                });
            }
        }
    }

    /// The input has ended. If batches are missing, the lane must not be taken for drained: what was read and has not
    /// come is read again by its next generation.
    fn end(&self) -> Exit {
        let ((came, piece), issued) = (self.resequencer.next(), self.validator.issued.load(Ordering::Acquire));
        if came == issued && piece == 0 && self.resequencer.waiting() == 0 {
            return Exit::Drained;
        }
        Exit::Failed(Fault::internal(
            "validate.gap",
            format!(
                "the parsers ended after {came} of {issued} batches in order; they are read again from position {}",
                self.validator.from
            ),
        ))
    }
}

impl Step for ValidatorStep {
    type Command = Infallible;

    fn step(&mut self) -> Result<Progress, Exit> {
        if let Some(batch) = self.unsent.pop_front() {
            return self.hand_on(batch);
        }
        if let Some(fault) = self.stopped.take() {
            return Err(Exit::Stopped(fault));
        }
        match self.input.recv_timeout(WAIT) {
            Ok(parsed) => {
                self.take(parsed)?;
                match self.unsent.pop_front() {
                    Some(batch) => self.hand_on(batch),
                    None => Ok(Progress::Worked),
                }
            }
            Err(RecvTimeoutError::Timeout) => Ok(Progress::Idle),
            Err(RecvTimeoutError::Disconnected) => Err(self.end()),
        }
    }

    fn command(&mut self, command: Self::Command) {
        match command {}
    }
}

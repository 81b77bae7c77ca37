//! A fault as a person is told of it: what is wrong, since when, what Forebay does about it, and what they can do.
//!
//! What is wrong is told where it is met ([`Fault::message`]). The rest follows from what was decided, so it is said
//! here, once for all faults.

use std::time::Duration;

use jiff::Timestamp;

use crate::fault::{Domain, Fault};
use crate::model::offset::TopicPartition;

/// Trouble that comes back within this time had not passed: what fails over and over may seem to work in between.
const CALM: Duration = Duration::from_secs(60);

/// What is in trouble.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A lane, by its name in Kafka.
    Lane(TopicPartition),
    /// The promotion of a table.
    Table(String),
    /// The daemon, or what serves all of it.
    Daemon,
}

/// What Forebay does about a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Course {
    /// It tries again after this time.
    Retry(Duration),
    /// It failed too often, rests, and tries again after this time.
    Park(Duration),
    /// Somebody else owns this now; it looks again after this time, if it is still meant to have it.
    Yield(Option<Duration>),
    /// It stops until a person has decided; with a time it looks again by itself.
    Halt(Option<Duration>),
    /// What could not be done waits; it goes on by itself as soon as it can.
    Wait,
    /// It goes on without what could not be done.
    GoOn,
    /// What met the fault ends.
    End,
}

impl Course {
    /// When it tries or looks again.
    pub fn again_in(self) -> Option<Duration> {
        match self {
            Self::Retry(wait) | Self::Park(wait) => Some(wait),
            Self::Yield(wait) | Self::Halt(wait) => wait,
            Self::Wait | Self::GoOn | Self::End => None,
        }
    }

    /// What is done, for a person; the time till then is told beside it.
    pub fn says(self) -> &'static str {
        match self {
            Self::Retry(_) => "tries again",
            Self::Park(_) => "failed too often: rests, then tries again",
            Self::Yield(Some(_)) => "leaves it to its owner, looks again",
            Self::Yield(None) => "leaves it to its owner",
            Self::Halt(Some(_)) => "stopped, looks again",
            Self::Halt(None) => "stopped until you decide; nothing is skipped, the rest goes on",
            Self::Wait => "waits, goes on by itself as soon as it can",
            Self::GoOn => "goes on without it",
            Self::End => "ends; what is committed stays, the rest is read again after the next start",
        }
    }
}

/// A fault, and what has become of it so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// What is in trouble.
    pub subject: Subject,
    /// What is wrong now.
    pub fault: Fault,
    /// What is done about it.
    pub course: Course,
    /// When the trouble began, whatever its first fault was.
    pub since: Timestamp,
    /// When this fault was met.
    pub at: Timestamp,
    /// Faults since it began.
    pub times: u64,
}

impl Trouble {
    /// Trouble that begins with this fault.
    pub fn new(subject: Subject, fault: &Fault, course: Course, at: Timestamp) -> Self {
        Self { subject, fault: fault.clone(), course, since: at, at, times: 1 }
    }

    /// The same as the last of the trouble that was there before, if any.
    #[must_use]
    pub fn after(self, before: Option<&Self>) -> Self {
        match before {
            Some(before) => Self { since: before.since.min(self.since), times: before.times + 1, ..self },
            None => self,
        }
    }

    /// Whether a fault that is met `now` belongs to it even when it had seemed to be over.
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        now.duration_since(self.at).unsigned_abs() < CALM
    }

    /// When it is tried or looked at again.
    pub fn again_at(&self) -> Option<Timestamp> {
        self.course.again_in().and_then(|wait| self.at.checked_add(wait).ok())
    }

    /// What a person can do. The message of the fault names what is to be put right; this is how to go on then.
    pub fn help(&self) -> String {
        let again = match &self.subject {
            Subject::Lane(lane) => format!("`forebay resume {lane}`"),
            Subject::Table(table) => format!("`forebay promote {table}`"),
            Subject::Daemon => "start it again".to_owned(),
        };
        let is_internal = self.fault.domain == Domain::Internal;
        match (self.course, &self.subject) {
            (Course::Halt(_), Subject::Lane(lane)) if self.fault.event.ends_with(".topic-recreated") => {
                format!("`forebay accept-topic {}`, if the new topic is to be read from its first message", lane.topic)
            }
            (Course::Halt(_), Subject::Lane(lane)) if self.fault.event.ends_with(".offset-out-of-range") => {
                format!("`forebay accept-loss {lane}`, if what is gone from the broker cannot come back")
            }
            (Course::Halt(_), Subject::Lane(lane)) if self.fault.event.ends_with(".offsets-went-back") => {
                format!("`forebay rewind {lane}` as it says, if what the broker has lost cannot come back")
            }
            (Course::Halt(_), Subject::Lane(lane)) if self.fault.event.ends_with(".rewound-range-lost") => {
                format!("`forebay rewind {lane} --undo`, or `forebay accept-loss {lane}` if it cannot be taken back")
            }
            _ if self.fault.is_about_permission() => {
                format!("give the right, or correct the credentials, that it names; to go on at once: {again}")
            }
            (Course::Halt(_) | Course::End, _) if is_internal => {
                format!("report it with the log around it; then {again}")
            }
            (Course::Halt(_) | Course::End, _) => format!("put right what it names, then {again}"),
            (Course::Yield(_), _) => "nothing, as long as another daemon has it".to_owned(),
            _ if is_internal => "nothing if it passes; report it with the log around it".to_owned(),
            _ => "nothing if it passes; else put right what it names, nothing need be started again".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn lane() -> Subject {
        Subject::Lane(TopicPartition::new("library", 3))
    }

    #[test]
    fn trouble_is_as_old_as_its_first_fault_whatever_that_was() {
        let away = Fault::retry("storage.unavailable", "away");
        let unclear = Fault::retry("storage.unknown-outcome", "no answer");
        let first = Trouble::new(lane(), &away, Course::Retry(Duration::from_secs(1)), at(100));
        let second = Trouble::new(lane(), &unclear, Course::Retry(Duration::from_secs(2)), at(103)).after(Some(&first));
        assert_eq!((second.since, second.at, second.times), (at(100), at(103), 2));
        assert_eq!((second.fault.event, second.again_at()), ("storage.unknown-outcome", Some(at(105))));
        assert!(second.is_fresh(at(162)) && !second.is_fresh(at(163)));
    }

    #[test]
    fn what_can_be_done_names_the_command_that_goes_on() {
        let help = |subject, fault: &Fault, course| Trouble::new(subject, fault, course, at(0)).help();
        let clash = Fault::halt("lane.schema-clash", "x");
        assert_eq!(
            help(lane(), &clash, Course::Halt(None)),
            "put right what it names, then `forebay resume library:3`"
        );
        let books = Subject::Table("books".to_owned());
        assert!(help(books, &clash, Course::Halt(None)).ends_with("then `forebay promote books`"));
        let recreated = Fault::halt("lake.topic-recreated", "x");
        assert!(help(lane(), &recreated, Course::Halt(None)).starts_with("`forebay accept-topic library`"));
        let passed = Fault::halt("kafka.offset-out-of-range", "x");
        assert!(help(lane(), &passed, Course::Halt(None)).starts_with("`forebay accept-loss library:3`"));
        let back = Fault::halt("kafka.offsets-went-back", "x");
        assert!(help(lane(), &back, Course::Halt(None)).starts_with("`forebay rewind library:3`"));
        let denied = Fault::halt("storage.denied", "x");
        assert!(help(lane(), &denied, Course::Halt(None)).starts_with("give the right"));
        let bug = Fault::internal("parser.failed", "x");
        assert!(help(lane(), &bug, Course::Retry(Duration::ZERO)).contains("report it"));
        let away = Fault::retry("storage.unavailable", "x");
        assert!(help(lane(), &away, Course::Wait).starts_with("nothing if it passes"));
    }
}

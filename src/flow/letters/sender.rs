//! The sender of dead letters: one for the process, one interval at a time, the lanes in turn.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::delivery::{Delivery, Headway};
use super::letter;
use super::post::{OpenPost, Post};
use crate::clock::Clock;
use crate::fault::{Fault, Verdict};
use crate::flow::buffer::commit::Backoff;
use crate::lake::chain::LedgerFile;
use crate::lake::{LetterBox, LetterRoute};
use crate::model::offset::TopicPartition;
use crate::stage::exit::Exit;
use crate::stage::step::{Progress, Step, WAIT};

/// Waits between attempts.
const BACKOFF: Backoff = Backoff { first: Duration::from_millis(500), max: Duration::from_secs(30) };
/// How soon it is tried again what only a person can put right.
const HALTED_WAIT: Duration = Duration::from_secs(60);
/// Intervals without a letter after which the position is marked all the same: so many are looked at again at most.
const MARK_EVERY: u32 = 64;

/// Intervals of an outlet that are remembered: a topic that is configured late may have years of them before it.
const QUEUE_FILES: usize = 500;

/// What the sender is told.
#[derive(Debug)]
pub enum Order {
    /// A lane (by its name in Kafka) was taken; its dead letters go this way.
    Open(TopicPartition, LetterRoute),
    /// The lane has committed.
    Committed(TopicPartition),
    /// The lane is somebody else's now.
    LetGo(TopicPartition),
    /// End when everything that is committed has been sent.
    Finish,
}

/// How far the letters of a lane are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    /// Every letter below was acknowledged.
    pub position: i64,
    /// Letters acknowledged just now.
    pub sent: usize,
}

/// Who is told how it goes. Called on the sender's thread: it must return at once.
pub trait LetterObserver: Send + Sync + 'static {
    /// Letters of a lane were acknowledged, or there was none to send.
    fn progressed(&self, lane: &TopicPartition, route: &LetterRoute, account: Account);
    /// They could not be sent; they are tried again after `wait`.
    fn failed(&self, lane: &TopicPartition, route: &LetterRoute, fault: &Fault, wait: Duration);
}

/// What a sender is made of.
#[derive(Clone)]
pub struct SenderParts {
    /// Consumer group, for headers.
    pub group: Arc<str>,
    /// The way to Kafka.
    pub post: OpenPost,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Who is told.
    pub observer: Arc<dyn LetterObserver>,
}

/// Sends the dead letters of all lanes.
pub struct LetterSenderStep {
    parts: SenderParts,
    outlets: BTreeMap<Key, Outlet>,
    /// The outlet whose turn it is, with the interval under way.
    current: Option<(Key, Delivery)>,
    /// Whose turn it was last.
    last: Option<Key>,
    post: Option<Box<dyn Post>>,
    is_finishing: bool,
}

/// A lane, and a table of it.
type Key = (TopicPartition, String);

struct Outlet {
    route: LetterRoute,
    /// None until the position was found, and after a fault.
    letters: Option<LetterBox>,
    /// The next intervals that are to be looked at, as last listed.
    queue: VecDeque<LedgerFile>,
    /// Whether there may be more than these.
    is_due: bool,
    unmarked: u32,
    failures: u32,
    rests_until: Option<Instant>,
}

impl Outlet {
    fn new(route: LetterRoute) -> Self {
        Self { route, letters: None, queue: VecDeque::new(), is_due: true, unmarked: 0, failures: 0, rests_until: None }
    }

    fn has_work(&self) -> bool {
        self.is_due || !self.queue.is_empty()
    }

    /// The next interval; none when all that is committed was looked at.
    fn next(&mut self) -> Result<Option<Delivery>, Fault> {
        let letters = match &mut self.letters {
            Some(letters) => letters,
            none => none.insert(LetterBox::open(self.route.clone())?),
        };
        if self.queue.is_empty() {
            let mut unsent = letters.unsent()?;
            self.is_due = unsent.len() > QUEUE_FILES;
            unsent.truncate(QUEUE_FILES);
            self.queue = unsent.into();
        }
        Ok(self.queue.pop_front().map(|interval| Delivery::of(letters, interval)).transpose()?)
    }

    /// All letters of the interval are acknowledged.
    fn passed(&mut self, interval: &LedgerFile, sent: usize) -> Result<(), Fault> {
        let Some(letters) = &mut self.letters else { return Ok(()) };
        letters.passed(interval);
        self.failures = 0;
        self.unmarked += 1;
        if sent > 0 || self.unmarked >= MARK_EVERY || letters.owes_mark() {
            letters.mark()?;
            self.unmarked = 0;
        }
        Ok(())
    }
}

impl LetterSenderStep {
    /// A sender that has no lane yet.
    pub fn new(parts: SenderParts) -> Self {
        Self { parts, outlets: BTreeMap::new(), current: None, last: None, post: None, is_finishing: false }
    }

    /// The outlet whose turn it is: the next that has work and does not rest.
    fn turn(&self) -> Option<Key> {
        let now = self.parts.clock.instant();
        let is_ready =
            |(_, outlet): &(&Key, &Outlet)| outlet.has_work() && outlet.rests_until.is_none_or(|until| until <= now);
        let after = self.last.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let later = self.outlets.range((after, Bound::Unbounded)).find(is_ready);
        later.or_else(|| self.outlets.iter().find(is_ready)).map(|(key, _)| key.clone())
    }

    fn begin(&mut self, key: Key) {
        self.last = Some(key.clone());
        let Some(outlet) = self.outlets.get_mut(&key) else { return };
        match outlet.next() {
            Ok(Some(delivery)) => self.current = Some((key, delivery)),
            Ok(None) => self.tell(&key, 0),
            Err(fault) => self.fail(&key, &fault),
        }
    }

    fn go_on(&mut self, key: Key, mut delivery: Delivery) -> Progress {
        let headway = match self.advance(&key, &mut delivery) {
            Ok(headway) => headway,
            Err(fault) => {
                // A client that has failed may be good for nothing more, and what it still holds is sent by the next.
                self.post = None;
                if delivery.goes_on_after(&fault) {
                    self.current = Some((key, delivery));
                } else {
                    self.fail(&key, &fault);
                }
                return Progress::Worked;
            }
        };
        match headway {
            Headway::Done(sent) => {
                let passed = self.outlets.get_mut(&key).map(|outlet| outlet.passed(delivery.interval(), sent));
                match passed {
                    Some(Err(fault)) => self.fail(&key, &fault),
                    _ => self.tell(&key, sent),
                }
                return Progress::Worked;
            }
            Headway::Sent | Headway::Waiting => self.current = Some((key, delivery)),
        }
        if headway == Headway::Sent { Progress::Worked } else { Progress::Blocked }
    }

    fn advance(&mut self, key: &Key, delivery: &mut Delivery) -> Result<Headway, Fault> {
        let gone = || Fault::internal("letters.no-outlet", format!("{} has no dead-letter topic any more", key.0));
        let route = &self.outlets.get(key).ok_or_else(gone)?.route;
        let post = match &mut self.post {
            Some(post) => post,
            none => none.insert((self.parts.post)()?),
        };
        let sender = letter::Sender { group: &self.parts.group, table: route.table() };
        delivery.advance(route.storage(), sender, route.topic(), &mut **post)
    }

    fn tell(&self, key: &Key, sent: usize) {
        if let Some(outlet) = self.outlets.get(key)
            && let Some(letters) = &outlet.letters
        {
            self.parts.observer.progressed(&key.0, &outlet.route, Account { position: letters.position(), sent });
        }
    }

    fn fail(&mut self, key: &Key, fault: &Fault) {
        if fault.verdict == Verdict::Fenced {
            // Whoever has the lane now finds the position and sends what is left.
            self.outlets.remove(key);
            return;
        }
        let Some(outlet) = self.outlets.get_mut(key) else { return };
        outlet.failures = outlet.failures.saturating_add(1);
        // Nothing in memory is trusted: position and chain are read again.
        (outlet.letters, outlet.is_due) = (None, true);
        outlet.queue.clear();
        let wait = match fault.verdict {
            Verdict::Halt => HALTED_WAIT,
            _ => BACKOFF.wait(outlet.failures, fastrand::f64()),
        };
        outlet.rests_until = Some(self.parts.clock.instant() + wait);
        let what = format!("dead letters of {} to {}", key.0, outlet.route.topic());
        self.parts.observer.failed(&key.0, &outlet.route, &fault.clone().while_doing(what), wait);
    }

    fn let_go(&mut self, lane: &TopicPartition) {
        self.outlets.retain(|(source, _), _| source != lane);
        if self.current.as_ref().is_some_and(|((source, _), _)| source == lane) {
            // Its letters may still be under way: they are not waited for.
            (self.current, self.post) = (None, None);
        }
    }
}

impl Step for LetterSenderStep {
    type Command = Order;

    fn step(&mut self) -> Result<Progress, Exit> {
        if let Some((key, delivery)) = self.current.take() {
            return Ok(self.go_on(key, delivery));
        }
        if let Some(key) = self.turn() {
            self.begin(key);
            return Ok(Progress::Worked);
        }
        if self.is_finishing && !self.outlets.values().any(Outlet::has_work) {
            return Err(Exit::Drained);
        }
        match &mut self.post {
            // Nothing is under way: there is only the client's own talk to serve.
            Some(post) => drop(post.answers(WAIT)),
            None => std::thread::sleep(WAIT),
        }
        Ok(Progress::Idle)
    }

    fn command(&mut self, order: Order) {
        match order {
            Order::Open(lane, route) => {
                let key = (lane, route.table().to_owned());
                if self.current.as_ref().is_some_and(|(current, _)| *current == key) {
                    (self.current, self.post) = (None, None);
                }
                self.outlets.insert(key, Outlet::new(route));
            }
            Order::Committed(lane) => {
                let of_lane = self.outlets.iter_mut().filter(|((source, _), _)| *source == lane);
                of_lane.for_each(|(_, outlet)| outlet.is_due = true);
            }
            Order::LetGo(lane) => self.let_go(&lane),
            Order::Finish => {
                self.is_finishing = true;
                // One look more, and no rest before it.
                self.outlets.values_mut().for_each(|outlet| (outlet.is_due, outlet.rests_until) = (true, None));
            }
        }
    }
}

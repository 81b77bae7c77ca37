//! How far dead letters have been sent: whatever crashes, is lost, taken over or rewound, every message in quarantine
//! has been sent as it is there, and nothing was sent that was not committed.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use forebay::lake::names::UNROUTED;
use forebay::lake::{LakeError, LaneLedger, LetterBox};
use forebay::storage::faulty::{FaultyStorage, Injected};
use forebay::storage::{Kind, Storage};
use proptest::prelude::*;

use super::behaviour::order;
use super::faulty;
use super::world::{END, START, UNDO, World};

const TABLE: &str = "books";
const TOPIC: &str = "dead";

/// A dead-letter topic: the quarantine files whose letters it has acknowledged, with repeats.
struct Topic {
    table: &'static str,
    sent: Mutex<Vec<String>>,
}

impl Default for Topic {
    fn default() -> Self {
        Self::of(TABLE)
    }
}

/// Each with its own position: the topic of a table, and that of what no table takes.
struct Topics([Topic; 2]);

impl Topics {
    fn new() -> Self {
        Self([Topic::of(TABLE), Topic::of(UNROUTED)])
    }

    fn deliver(&self, world: &World, lane: &LaneLedger, intervals: usize) -> Result<(), LakeError> {
        self.0.iter().try_for_each(|topic| topic.deliver(world, lane, intervals))
    }

    fn check(&self, world: &World, lane: &LaneLedger) -> Result<(), String> {
        self.0.iter().try_for_each(|topic| topic.check(world, lane))
    }
}

/// A world in which some messages fail that no table takes.
fn world() -> World {
    let mut world = World::new();
    world.has_nobodys = true;
    world
}

impl Topic {
    fn of(table: &'static str) -> Self {
        Self { table, sent: Mutex::default() }
    }

    /// Where the quarantine of its table lies.
    fn dir(&self) -> String {
        format!("quarantine/{}", self.table)
    }

    fn open(&self, lane: &LaneLedger) -> Result<LetterBox, LakeError> {
        LetterBox::open(lane.letters(self.table, TOPIC))
    }

    /// What a daemon does after a commit: send what is unsent, at most so many intervals, and mark how far it came.
    fn deliver(&self, world: &World, lane: &LaneLedger, intervals: usize) -> Result<(), LakeError> {
        let mut letters = self.open(lane)?;
        for interval in letters.unsent()?.iter().take(intervals) {
            for (path, file) in letters.files_of(interval)? {
                let ledgers = world.memory.files("ledger");
                assert!(ledgers.contains_key(interval.path.as_str()), "{path} is sent and was never committed");
                let there = world.memory.files("quarantine");
                assert_eq!(there[path.as_str()].len() as u64, file.bytes, "{path} is what the ledger says");
                assert!(path.as_str().starts_with(&self.dir()), "{path} goes to the topic of another table");
                self.sent.lock().unwrap().push(path.as_str().to_owned());
            }
            letters.passed(interval);
            letters.mark()?;
        }
        Ok(())
    }

    /// Everything in quarantine was sent, and whoever comes next knows it.
    fn check(&self, world: &World, lane: &LaneLedger) -> Result<(), String> {
        let sent: BTreeSet<String> = self.sent.lock().unwrap().iter().cloned().collect();
        if let Some(missing) = world.memory.files(&self.dir()).keys().find(|path| !sent.contains(*path)) {
            return Err(format!("{missing} was never sent; sent: {sent:?}"));
        }
        let letters = self.open(lane).map_err(|error| error.to_string())?;
        let unsent = letters.unsent().map_err(|error| error.to_string())?;
        match unsent.first() {
            None if letters.position() == lane.head() => Ok(()),
            _ => Err(format!("position {} of {}, unsent {unsent:?}", letters.position(), lane.head())),
        }
    }

    fn len(&self) -> usize {
        self.sent.lock().unwrap().len()
    }
}

fn clean(world: &World) -> Arc<dyn Storage> {
    Arc::clone(&world.memory) as Arc<dyn Storage>
}

/// Commits, letters, a rewind, a promise to read again, an undo: everything that moves the position either way.
fn script(world: &World, storage: &Arc<dyn Storage>, topic: &Topics) -> Result<(), LakeError> {
    let mut lane = world.acquire(storage, "first")?;
    world.commit_next_on(&mut lane, 2, "first")?;
    topic.deliver(world, &lane, 9)?;
    world.commit_next_on(&mut lane, 2, "first")?;
    world.commit_next_on(&mut lane, 3, "first")?;
    topic.deliver(world, &lane, 1)?;
    lane.rewind(order(lane.head() - 4))?;
    topic.deliver(world, &lane, 9)?;
    world.commit_next_on(&mut lane, 1, "again")?;
    topic.deliver(world, &lane, 9)?;
    lane.undo(UNDO)?;
    topic.deliver(world, &lane, 9)?;
    // Somebody revises what was sent, and dies before he has sent all of it again.
    let mut lane = world.acquire(storage, "second")?;
    let head = lane.head();
    world.revise(&mut lane, 0, head, "second")?;
    topic.deliver(world, &lane, 1)?;
    let mut lane = world.acquire(storage, "third")?;
    world.commit_next_on(&mut lane, 1, "third")?;
    topic.deliver(world, &lane, 9)
}

/// The script on a storage with faults, then another owner on a sound one: reads to the end, sends what is left.
fn run(name: &str, prepare: impl FnOnce(&FaultyStorage)) {
    let world = Arc::new(world());
    let topic = Topics::new();
    let (faulty, storage) = faulty(&world);
    prepare(&faulty);
    let outcome = script(&world, &storage, &topic);
    let mut lane = world.acquire(&clean(&world), "last").unwrap();
    while lane.head() < END {
        let len = (END - lane.head()).min(4);
        world.commit_next(&mut lane, len, "last").unwrap();
    }
    topic.deliver(&world, &lane, 99).unwrap();
    topic.check(&world, &lane).unwrap_or_else(|wrong| panic!("{name}, then {outcome:?}: {wrong}"));
    world.audit().unwrap();
}

fn calls() -> (u64, u64) {
    let world = Arc::new(world());
    let (faulty, storage) = faulty(&world);
    script(&world, &storage, &Topics::new()).unwrap();
    (faulty.calls(), faulty.mutations())
}

#[test]
fn a_crash_after_any_call_loses_no_letter() {
    run("no fault", |_| {});
    for at in 0..calls().0 {
        run(&format!("crash after {at} calls"), |faulty| faulty.crash_after(at));
    }
}

#[test]
fn a_lost_answer_loses_no_letter() {
    for at in 0..calls().1 {
        for injected in [Injected::LoseAnswer, Injected::Tear, Injected::Fail(Kind::Unavailable)] {
            run(&format!("{injected:?} at mutation {at}"), |faulty| {
                faulty.inject_once(injected, move |call| call.operation.is_mutation() && call.mutations == at);
            });
        }
    }
}

#[test]
fn an_owner_whose_time_is_over_moves_the_position_no_more() {
    let world = World::new();
    let topic = Topic::default();
    let mut zombie = world.acquire(&clean(&world), "zombie").unwrap();
    (0..3).for_each(|_| world.commit_next(&mut zombie, 3, "zombie").unwrap());
    let mut its = LetterBox::open(zombie.letters(TABLE, TOPIC)).unwrap();
    let unsent = its.unsent().unwrap();
    assert_eq!(unsent.len(), 3);
    its.passed(&unsent[0]);
    its.mark().unwrap();

    let lane = world.acquire(&clean(&world), "successor").unwrap();
    // It has sent on meanwhile, and cannot say so: who follows sends it again.
    its.passed(&unsent[1]);
    assert!(its.mark().unwrap_err().is_fenced());
    assert!(LetterBox::open(lane.letters(TABLE, TOPIC)).unwrap().position() == unsent[1].name.range.from());
    topic.deliver(&world, &lane, 9).unwrap();
    assert_eq!(topic.len(), 2);
    assert!(LetterBox::open(zombie.letters(TABLE, TOPIC)).unwrap_err().is_fenced());
}

#[test]
fn what_is_known_to_be_sent_is_not_sent_again() {
    let world = World::new();
    let topic = Topic::default();
    for owner in ["a", "b", "c"] {
        let mut lane = world.acquire(&clean(&world), owner).unwrap();
        world.commit_next(&mut lane, 3, owner).unwrap();
        topic.deliver(&world, &lane, 9).unwrap();
        topic.check(&world, &lane).unwrap();
    }
    assert_eq!(topic.len(), 3);
    let marks = world.memory.files(&world.home("letters"));
    assert_eq!(marks.len(), 2, "{:?}", marks.keys());
    // Another topic has got nothing yet: it gets all that is in quarantine.
    let lane = world.acquire(&clean(&world), "d").unwrap();
    assert_eq!(LetterBox::open(lane.letters(TABLE, "elsewhere")).unwrap().unsent().unwrap().len(), 3);
    drop(lane);

    // What was revised is sent again, once.
    let mut lane = world.acquire(&clean(&world), "e").unwrap();
    world.revise(&mut lane, START + 3, START + 6, "e").unwrap();
    for _ in 0..2 {
        topic.deliver(&world, &lane, 9).unwrap();
        topic.check(&world, &lane).unwrap();
        assert_eq!(topic.len(), 4);
        lane = world.acquire(&clean(&world), "f").unwrap();
    }
}

#[test]
fn what_was_revised_below_a_rewind_is_sent_again_once() {
    let world = World::new();
    let topic = Topic::default();
    let mut lane = world.acquire(&clean(&world), "a").unwrap();
    (0..2).for_each(|_| world.commit_next(&mut lane, 3, "a").unwrap());
    topic.deliver(&world, &lane, 9).unwrap();
    let mut lane = world.acquire(&clean(&world), "b").unwrap();
    world.revise(&mut lane, START, START + 6, "b").unwrap();
    lane.rewind(order(START + 3)).unwrap();
    for _ in 0..2 {
        topic.deliver(&world, &lane, 9).unwrap();
        topic.check(&world, &lane).unwrap();
        assert_eq!(topic.len(), 3);
    }
}

#[derive(Debug, Clone, Copy)]
enum Event {
    Commit(i64),
    Deliver(usize),
    Rewind(i64),
    Undo,
    NewOwner,
    /// A new owner that revises all before it does anything else, or some of it.
    Revise(i64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (1..4_i64).prop_map(Event::Commit),
        3 => (0..3_usize).prop_map(Event::Deliver),
        2 => (1..8_i64).prop_map(Event::Rewind),
        1 => Just(Event::Undo),
        2 => Just(Event::NewOwner),
        2 => (1..12_i64).prop_map(Event::Revise),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn in_any_order_of_events_all_of_quarantine_is_sent(events in proptest::collection::vec(event(), 1..16)) {
        let world = world();
        let topic = Topics::new();
        let mut lane = world.acquire(&clean(&world), "a").unwrap();
        for event in events {
            match event {
                Event::Commit(len) => world.commit_next(&mut lane, len, "a").unwrap(),
                Event::Deliver(intervals) => topic.deliver(&world, &lane, intervals).unwrap(),
                // Refused where there is nothing to go back to: then the lane goes on.
                Event::Rewind(back) => drop(lane.rewind(order(lane.head() - back))),
                Event::Undo => drop(lane.undo(UNDO)),
                Event::NewOwner => lane = world.acquire(&clean(&world), "b").unwrap(),
                Event::Revise(back) => {
                    lane = world.acquire(&clean(&world), "c").unwrap();
                    let head = lane.head();
                    world.revise(&mut lane, head - back, head, "c").unwrap();
                }
            }
        }
        topic.deliver(&world, &lane, 99).unwrap();
        topic.check(&world, &lane).map_err(TestCaseError::fail)?;
    }
}

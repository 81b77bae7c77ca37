//! Every state that a crash can leave, and every state that a crash of the recovery from it can leave.
//!
//! An owner's work is done once, and the lake is copied before each step of it: when the owner dies there, the copy is
//! what the next one finds (and on a local disk, after a power cut, what of it was durable). From each copy another
//! owner recovers, which is watched the same way; from each of those copies a third one does. On HDFS a request of the
//! dead owner may be carried out at any moment of that recovery. How many points there are is written down below: a
//! change of these numbers is a change of the protocol, or of what is tested of it.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use forebay::storage::Storage;
use forebay::storage::faulty::FaultyStorage;
use forebay::storage::sim::{SimFs, Step};

use super::Lake;
use super::world::{State, World};

/// A state that a crash can leave.
pub(crate) struct Moment {
    /// What would have come next; none: nothing.
    next: Option<Step>,
    pub(crate) world: World,
    is_cut: bool,
}

impl Moment {
    /// What the next owner finds: all that was seen, or, when the power was cut too, what was durable.
    pub(crate) fn aftermaths(self) -> impl Iterator<Item = Moment> {
        let cut = (!self.world.memory.is_remote()).then(|| {
            let world = self.world.fork();
            world.memory.power_cut();
            Moment { next: self.next.clone(), world, is_cut: true }
        });
        std::iter::once(self).chain(cut)
    }

    pub(crate) fn check(&self) -> Result<(), String> {
        self.world.check_any_state()?;
        self.world.check_answered()
    }

    /// What tells it from other moments.
    pub(crate) fn key(&self) -> (State, i64) {
        (self.world.state(), *self.world.answered.lock().unwrap())
    }
}

impl std::fmt::Display for Moment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.is_cut { "power cut " } else { "crash " })?;
        match &self.next {
            Some(step) => write!(f, "before: {step}"),
            None => f.write_str("at the end"),
        }
    }
}

/// Every moment of some work on the lake of `world`; the last one is its end.
pub(crate) fn moments(world: &Arc<World>, work: impl FnOnce(&Arc<dyn Storage>)) -> Vec<Moment> {
    let moments: Arc<Mutex<Vec<Moment>>> = Arc::default();
    let (seen, eye) = (Arc::clone(&moments), Arc::downgrade(world));
    world.memory.watch(move |step| {
        let world = eye.upgrade().unwrap().fork();
        seen.lock().unwrap().push(Moment { next: Some(step.clone()), world, is_cut: false });
    });
    work(&(Arc::clone(&world.memory) as Arc<dyn Storage>));
    let mut moments = std::mem::take(&mut *moments.lock().unwrap());
    moments.push(Moment { next: None, world: world.fork(), is_cut: false });
    moments
}

/// How many points were tried.
#[derive(Debug, Default, PartialEq, Eq)]
struct Points {
    /// Crashes and power cuts of the first owner.
    first: u64,
    /// … and another one during the recovery from it.
    pairs: u64,
    /// … and a request of the first owner that is carried out during the recovery.
    late: u64,
}

fn enumerate(lake: Lake, make: fn(jiff::Timestamp) -> SimFs) -> Points {
    let world = lake.on(make);
    let mut points = Points::default();
    let (mut seen, mut seen_second) = (HashSet::new(), HashSet::new());
    let script = moments(&world, |storage| world.script(storage, "first").unwrap());
    for first in script.into_iter().flat_map(Moment::aftermaths) {
        points.first += 1;
        let fail = |violation: String| panic!("{lake:?}, {first}: {violation}");
        first.check().unwrap_or_else(fail);
        points.late += late_requests(&first);
        if !seen.insert(first.key()) {
            continue;
        }
        let second = Arc::new(first.world.fork());
        let recovery = moments(&second, |storage| drop(second.recover_on(storage, "second", 4).unwrap()));
        let settled = second.check_at_rest().and_then(|()| second.audit());
        settled.unwrap_or_else(fail);
        for crash in recovery.into_iter().flat_map(Moment::aftermaths) {
            points.pairs += 1;
            if !seen_second.insert(crash.key()) {
                continue;
            }
            let settled = crash.check().and_then(|()| {
                crash.world.recover("last");
                crash.world.check_at_rest()
            });
            settled.unwrap_or_else(|violation| panic!("{lake:?}, {first}, then {crash}: {violation}"));
        }
    }
    points
}

/// The request that was about to be sent was sent, and is carried out before any call of the recovery, or after the
/// last.
///
/// Where it changes nothing the recovery goes on as it does without it, and is not played again.
fn late_requests(first: &Moment) -> u64 {
    let Some(request) = first.next.as_ref().filter(|step| step.is_first && first.world.memory.is_remote()) else {
        return 0;
    };
    let changing: Arc<Mutex<Vec<u64>>> = Arc::default();
    let (tried, found) = (request.clone(), Arc::clone(&changing));
    let calls = recovered(first, "it is tried before each call of the recovery", move |memory, call| {
        let copy = memory.fork();
        tried.carry_out(&copy);
        if copy.fingerprint() != memory.fingerprint() {
            found.lock().unwrap().push(call);
        }
    });
    for at in changing.lock().unwrap().drain(..) {
        let late = request.clone();
        recovered(first, &format!("it is carried out before call {at} of the recovery"), move |memory, call| {
            if call == at {
                late.carry_out(memory);
            }
        });
    }
    calls + 1
}

/// Recovers from a crash while something is done before each call, and after the last. Says how many calls there were.
fn recovered(first: &Moment, story: &str, before: impl Fn(&SimFs, u64) + Send + Sync + 'static) -> u64 {
    let world = first.world.fork();
    let faulty = Arc::new(FaultyStorage::new(Arc::clone(&world.memory) as Arc<dyn Storage>));
    let (before, memory) = (Arc::new(before), world.memory.another());
    let each = Arc::clone(&before);
    faulty.before_each(move |call| each(&memory, call.number));
    let answer = world.recover_on(&(Arc::clone(&faulty) as Arc<dyn Storage>), "second", 4);
    answer.unwrap_or_else(|error| panic!("{first}, but {story}: {error}"));
    before(&world.memory, faulty.calls());
    world.check_at_rest().unwrap_or_else(|violation| panic!("{first}, but {story}: {violation}"));
    faulty.calls()
}

fn check(lake: Lake, make: fn(jiff::Timestamp) -> SimFs, expected: &Points) {
    let points = enumerate(lake, make);
    println!("{lake:?} on {}: {points:?}", lake.on(make).memory.url());
    assert_eq!(points, *expected, "the number of points has changed: write the new one down if that is meant");
}

#[test]
fn on_hdfs_beginning() {
    check(Lake::Cold, SimFs::hdfs, &Points { first: 85, pairs: 3_252, late: 3_623 });
}

#[test]
fn on_hdfs_going_on() {
    check(Lake::Warm, SimFs::hdfs, &Points { first: 73, pairs: 2_188, late: 2_651 });
}

#[test]
fn on_hdfs_taking_a_rewind_back() {
    check(Lake::Rewound, SimFs::hdfs, &Points { first: 108, pairs: 2_799, late: 4_101 });
}

#[test]
fn on_hdfs_revising() {
    check(Lake::Revised, SimFs::hdfs, &Points { first: 123, pairs: 2_800, late: 4_248 });
}

#[test]
fn on_a_local_disk_beginning() {
    check(Lake::Cold, SimFs::local, &Points { first: 508, pairs: 49_578, late: 0 });
}

#[test]
fn on_a_local_disk_going_on() {
    check(Lake::Warm, SimFs::local, &Points { first: 380, pairs: 26_602, late: 0 });
}

#[test]
fn on_a_local_disk_taking_a_rewind_back() {
    check(Lake::Rewound, SimFs::local, &Points { first: 632, pairs: 39_812, late: 0 });
}

#[test]
fn on_a_local_disk_revising() {
    check(Lake::Revised, SimFs::local, &Points { first: 676, pairs: 35_458, late: 0 });
}

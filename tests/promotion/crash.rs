//! Every point at which a promotion can be cut, every answer that can be lost, and every point at which the recovery
//! from a cut can be cut.
//!
//! A promotion is done once, and the lake is copied before each step of it: when the promoter dies there, the copy is
//! what the next one finds (and on a local disk, after a power cut, what of it was durable). How many points there are
//! is written down below: a change of these numbers is a change of the protocol, or of what is tested of it.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use forebay::fault::Fault;
use forebay::flow::promote::PromotionReport;
use forebay::storage::Storage;
use forebay::storage::faulty::{FaultyStorage, Injected};
use forebay::storage::sim::{SimFs, Step};
use jiff::Timestamp;

use super::world::{Row, World, retriable};

type Make = fn(Timestamp) -> SimFs;

/// A world with one promotion behind it and one ahead that adds, changes, moves and rewinds.
pub(crate) fn world(make: Make) -> World {
    let mut world = World::of(make, true);
    for lane in 0..3 {
        world.commit(lane, 6);
    }
    world.promote();
    world.rewind(1, 4, None);
    for lane in 0..3 {
        world.commit(lane, 7);
    }
    world
}

/// As above, with as few files as possible.
fn small(make: Make) -> World {
    let mut world = World::of(make, true);
    world.commit(0, 1);
    world.promote();
    world.rewind(0, 1, None);
    world.commit(0, 2);
    world
}

fn run(world: &World) -> Result<PromotionReport, Fault> {
    world.promoter()?.promote()
}

/// A lake as somebody finds it who comes after a crash.
struct Moment {
    /// What would have come next; none: nothing.
    next: Option<Step>,
    lake: SimFs,
    is_cut: bool,
}

impl Moment {
    fn aftermaths(self) -> impl Iterator<Item = Moment> {
        let cut = (!self.lake.is_remote()).then(|| {
            let lake = self.lake.fork();
            lake.power_cut();
            Moment { next: self.next.clone(), lake, is_cut: true }
        });
        std::iter::once(self).chain(cut)
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

/// The lake before each step of some work, and after the last.
pub(crate) fn moments_of(world: &World, work: impl FnOnce(&World)) -> Vec<SimFs> {
    let lakes: Arc<Mutex<Vec<SimFs>>> = Arc::default();
    let (seen, eye) = (Arc::clone(&lakes), world.memory.another());
    world.memory.watch(move |_| seen.lock().unwrap().push(eye.fork()));
    work(world);
    let mut lakes = std::mem::take(&mut *lakes.lock().unwrap());
    lakes.push(world.memory.fork());
    lakes
}

/// Every moment of a promotion in a copy of `world`, and the world afterwards.
fn moments(world: &World) -> (Vec<Moment>, World) {
    let moments: Arc<Mutex<Vec<Moment>>> = Arc::default();
    let (seen, eye) = (Arc::clone(&moments), world.memory.another());
    world.memory.watch(move |step| {
        seen.lock().unwrap().push(Moment { next: Some(step.clone()), lake: eye.fork(), is_cut: false });
    });
    run(world).unwrap();
    let mut moments = std::mem::take(&mut *moments.lock().unwrap());
    moments.push(Moment { next: None, lake: world.memory.fork(), is_cut: false });
    (moments, world.fork())
}

/// What a reader of the log may see: the rows before and after.
pub(crate) fn check_log(world: &World, before: &[Row], after: &[Row]) {
    let (seq, files) = world.log();
    let seen = world.rows_in(&files);
    assert_eq!(seen, if seq == Some(1) { before } else { after }, "promotion {seq:?}");
}

pub(crate) fn check_settled(world: &World) {
    world.check_oracle();
    let fenced = world.memory.files("_forebay/processed/books/fenced");
    assert!(fenced.is_empty(), "left behind: {:?}", fenced.keys());
}

/// How many points were tried: crashes of a promotion, and another one during the recovery from it.
fn enumerate(prepared: &World, with_pairs: bool) -> (u64, u64) {
    let (mut singles, mut pairs) = (0, 0);
    let (mut seen, mut seen_second) = (HashSet::new(), HashSet::new());
    let before = prepared.rows_in(&prepared.log().1);
    let after = prepared.oracle();
    let (first, _) = moments(&prepared.fork());
    for first in first.into_iter().flat_map(Moment::aftermaths) {
        singles += 1;
        println!("{first}");
        let found = prepared.on(first.lake.fork());
        check_log(&found, &before, &after);
        if !seen.insert(first.lake.fingerprint()) {
            continue;
        }
        let (second, recovered) = moments(&found);
        check_settled(&recovered);
        for second in second.into_iter().flat_map(Moment::aftermaths).filter(|_| with_pairs) {
            pairs += 1;
            if seen_second.insert(second.lake.fingerprint()) {
                println!("  {second}");
                let found = prepared.on(second.lake);
                run(&found).unwrap();
                check_settled(&found);
            }
        }
    }
    (singles, pairs)
}

fn check(prepared: &World, with_pairs: bool, expected: (u64, u64)) {
    let points = enumerate(prepared, with_pairs);
    println!("on {}: {} crashes, {} pairs", prepared.memory.url(), points.0, points.1);
    assert_eq!(points, expected, "the number of points has changed: write the new one down if that is meant");
}

#[test]
fn a_crash_before_any_step_is_recovered_from_on_hdfs() {
    check(&world(SimFs::hdfs), false, (40, 0));
}

#[test]
fn a_crash_before_any_step_is_recovered_from_on_a_local_disk() {
    check(&world(SimFs::local), false, (190, 0));
}

#[test]
fn a_crash_in_the_recovery_is_recovered_from_on_hdfs() {
    check(&small(SimFs::hdfs), true, (31, 586));
}

#[test]
fn a_crash_in_the_recovery_is_recovered_from_on_a_local_disk() {
    check(&small(SimFs::local), true, (136, 5_084));
}

/// The request that a promoter was about to send was sent, and is carried out before any call of who comes next.
#[test]
fn a_request_of_the_dead_that_is_carried_out_late_does_no_harm() {
    let prepared = small(SimFs::hdfs);
    let (first, _) = moments(&prepared.fork());
    let mut points = 0;
    for first in first.iter().filter(|moment| moment.next.as_ref().is_some_and(|step| step.is_first)) {
        let request = first.next.clone().unwrap();
        let (mut at, mut calls) = (0, 1);
        // Every few calls, others for each request.
        while at < calls {
            let found = prepared.on(first.lake.fork());
            let (late, memory, point) = (request.clone(), found.memory.another(), at);
            let faulty: &FaultyStorage = &found.faulty;
            faulty.before_each(move |call| {
                if call.number == point {
                    late.carry_out(&memory);
                }
            });
            run(&found).unwrap_or_else(|fault| panic!("{first}, carried out before call {at}: {fault}"));
            calls = found.faulty.calls();
            found.faulty.heal();
            check_settled(&found);
            points += 1;
            at += 1 + points % 5;
        }
    }
    println!("{points} late requests");
    assert!(points > 500, "{points}");
}

fn mutations(prepared: &World) -> u64 {
    let world = prepared.fork();
    run(&world).unwrap();
    world.faulty.mutations()
}

#[test]
fn a_lost_answer_of_any_mutation_does_no_harm() {
    let prepared = world(SimFs::hdfs);
    for injected in [Injected::LoseAnswer, Injected::Tear] {
        for lost in 0..mutations(&prepared) {
            let world = prepared.fork();
            world.faulty.inject_once(injected, move |call| call.operation.is_mutation() && call.mutations == lost);
            let mut promoter = world.promoter();
            let mut tries = 0;
            // As the supervisor does: again, as long as the fault says so.
            let answer = loop {
                let answer = match &mut promoter {
                    Ok(promoter) => promoter.promote(),
                    Err(fault) => Err(fault.clone()),
                };
                tries += 1;
                match answer {
                    Err(fault) if retriable(&fault) && tries < 4 => {
                        if promoter.is_err() {
                            promoter = world.promoter();
                        }
                    }
                    other => break other,
                }
            };
            answer.unwrap_or_else(|fault| panic!("{injected:?} of mutation {lost}: {fault}"));
            world.check_oracle();
        }
    }
}

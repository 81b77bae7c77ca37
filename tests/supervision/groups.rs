//! More than one daemon on one lake.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use forebay::app::daemon::{Daemon, Options, open_storage};
use forebay::clock::{Clock, SystemClock};
use forebay::config::Settings;
use forebay::exit::ExitCode;
use forebay::fault::Fault;
use forebay::flow::read::mock::{Failure, Request};
use forebay::lake::{StartPosition, acquire};
use forebay::model::offset::TopicPartition;
use forebay::model::status::LaneState;
use forebay::storage::Kind;
use forebay::storage::faulty::{FaultyStorage, Injected};

use crate::common::eventually;
use crate::world::{World, drain, end_of, in_state, lane, snapshot};

fn start(world: &World, instance: u32, change: impl FnOnce(&mut Settings)) -> Daemon {
    let mut settings = world.settings();
    settings.limits.spool.dir = world.sandbox.dir.path().join(format!("spool-{instance}"));
    change(&mut settings);
    world.sandbox.start(&settings, &Options { instance, ..Options::default() })
}

fn lanes(daemon: &Daemon) -> Vec<i32> {
    snapshot(daemon).lanes.iter().map(|lane| lane.partition).collect()
}

#[test]
fn partitions_move_between_two_daemons_and_nothing_is_lost_or_doubled() {
    let world = World::new(4);
    let first = start(&world, 0, |_| {});
    world.send(200);
    eventually("the first has all", || lanes(&first).len() == 4);
    world.trickle(100);
    let second = start(&world, 1, |_| {});
    eventually("they share", || {
        world.send(4);
        lanes(&first).len() == 2 && lanes(&second).len() == 2
    });
    world.trickle(200);
    drain(first).unwrap();
    world.trickle(50);
    eventually("the second has all", || lanes(&second).len() == 4);
    world.trickle(50);
    world.finish(second);
}

#[test]
fn a_daemon_of_another_group_is_refused_and_says_why() {
    let world = World::new(2);
    let daemon = start(&world, 0, |_| {});
    world.send(100);
    world.caught_up(&daemon);
    let other = start(&world, 1, |settings| {
        let kafka = [("bootstrap.servers", world.sandbox.kafka.bootstrap_servers()), ("group.id", "somebody-else")];
        settings.kafka = kafka.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    });
    let fault = end_of(other).unwrap_err();
    assert!(fault.message.contains("somebody-else") && fault.message.contains("--take-over"), "{fault:?}");
    assert_eq!(ExitCode::of(&fault), ExitCode::Configuration, "{fault:?}");
    world.send(100);
    world.finish(daemon);
}

#[test]
fn a_membership_that_is_lost_again_and_again_loses_nothing_else() {
    let world = World::new(2);
    let settings = world.settings();
    let faulty = Arc::new(FaultyStorage::new(open_storage(&settings).unwrap()));
    // Slow enough that the group often changes its mind while a lane starts or commits.
    let random = Mutex::new(fastrand::Rng::with_seed(world.below(usize::MAX) as u64));
    faulty.before_each(move |_| {
        let wait = random.lock().unwrap().u64(..20);
        std::thread::sleep(Duration::from_millis(wait));
    });
    let daemon = world.sandbox.start(&settings, &Options { storage: Some(faulty as _), ..Options::default() });
    for round in 1..6 {
        world.trickle(20);
        let generations = || snapshot(&daemon).lanes.iter().map(|lane| lane.generation).sum::<u64>();
        let before = generations();
        world.sandbox.kafka.push_failures(Request::Heartbeat, &[Failure::UnknownMember]).unwrap();
        world.trickle(20);
        eventually(&format!("membership {round} is lost and found"), || generations() > before);
        if round % 2 == 0 {
            world.caught_up(&daemon);
        }
    }
    world.finish(daemon);
}

#[test]
fn a_daemon_whose_storage_stalls_is_overtaken_and_does_no_harm_when_it_wakes() {
    let world = World::new(2);
    let mut settings = world.settings();
    settings.supervise.parked_retry = Duration::from_secs(1);
    let faulty = Arc::new(FaultyStorage::new(open_storage(&settings).unwrap()));
    let first =
        world.sandbox.start(&settings, &Options { storage: Some(Arc::clone(&faulty) as _), ..Options::default() });
    world.trickle(100);
    world.caught_up(&first);
    // From here on no call of the first comes back.
    let stalled = Arc::new((Mutex::new(true), Condvar::new()));
    let hold = Arc::clone(&stalled);
    faulty.before_each(move |_| {
        let is_stalled = hold.0.lock().unwrap();
        drop(hold.1.wait_while(is_stalled, |is_stalled| *is_stalled).unwrap());
    });
    world.trickle(100);
    let second = start(&world, 1, |_| {});
    // The group waits for the first for five seconds, and goes on without it.
    eventually("they share", || lanes(&second).len() == 1);
    let moved = lanes(&second)[0];
    let is_committed = |daemon: &Daemon, partition: i32| {
        lane(daemon, partition).is_some_and(|lane| lane.committed == Some(world.end_of(partition)))
    };
    eventually("the second commits what the first has not", || is_committed(&second, moved));
    *stalled.0.lock().unwrap() = false;
    stalled.1.notify_all();
    eventually("the first goes on with what it has", || is_committed(&first, 1 - moved));
    world.trickle(40);
    eventually("both go on", || is_committed(&first, 1 - moved) && is_committed(&second, moved));
    drain(second).unwrap();
    world.trickle(40);
    world.finish(first);
}

#[test]
fn a_partition_that_comes_back_before_its_lane_has_come_to_rest_gets_a_lane() {
    let world = World::new(2);
    let settings = world.settings();
    let faulty = Arc::new(FaultyStorage::new(open_storage(&settings).unwrap()));
    let first =
        world.sandbox.start(&settings, &Options { storage: Some(Arc::clone(&faulty) as _), ..Options::default() });
    world.trickle(100);
    world.caught_up(&first);
    // The revoke finds nothing that could be committed in time.
    faulty.inject(Injected::Fail(Kind::Unavailable), |_| true);
    world.trickle(100);
    let second = start(&world, 1, |_| {});
    let owned = |daemon: &Daemon| {
        let owns = |partition: &i32| daemon.parts().session.owns(&TopicPartition::new("library", *partition));
        (0..2).filter(owns).count()
    };
    // The session knows before the tree does.
    eventually("they share", || owned(&first) == 1 && owned(&second) == 1 && lanes(&second).len() == 1);
    let moved = lanes(&second)[0];
    assert_eq!(lane(&first, moved).unwrap().state, LaneState::Draining);
    drain(second).unwrap();
    eventually("the first has both again", || owned(&first) == 2);
    faulty.heal();
    world.trickle(40);
    world.finish(first);
}

#[test]
fn a_lane_that_was_fenced_and_is_still_ours_goes_on() {
    let world = World::new(1);
    let mut settings = world.settings();
    settings.supervise.parked_retry = Duration::from_secs(1);
    let daemon = world.sandbox.start(&settings, &Options::default());
    world.send(100);
    world.caught_up(&daemon);
    // A start of a daemon that has forgotten the time, of the same group.
    let storage = open_storage(&settings).unwrap();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let source = TopicPartition::new("library", 0);
    let late = acquire(&storage, &clock, &daemon.parts().owner, &source, &Nowhere).unwrap();
    world.send(100);
    in_state(&daemon, 0, LaneState::Fenced);
    world.caught_up(&daemon);
    assert!(lane(&daemon, 0).unwrap().epoch.unwrap() > late.epoch().0);
    world.finish(daemon);
}

struct Nowhere;

impl StartPosition for Nowhere {
    fn resolve(&self, _: &TopicPartition) -> Result<i64, Fault> {
        panic!("the chain has a head")
    }
}

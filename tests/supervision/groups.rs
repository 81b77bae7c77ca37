//! More than one daemon on one lake.

use forebay::app::daemon::{Daemon, Options};
use forebay::config::Settings;
use forebay::supervise::view::LaneState;

use crate::common::eventually;
use crate::world::{World, drain, snapshot};

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
    eventually("it is refused", || {
        let lanes = snapshot(&other).lanes;
        lanes.len() == 2 && lanes.iter().all(|lane| lane.state == LaneState::Halted)
    });
    let fault = snapshot(&other).lanes[0].last_fault.clone().unwrap();
    assert!(fault.message.contains("somebody-else") && fault.message.contains("--take-over"), "{fault:?}");
    drain(other).unwrap();
    world.send(100);
    world.finish(daemon);
}

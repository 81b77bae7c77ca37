//! Kafka has deleted what was never read: the lane halts until an operator accepts the loss, which the ledger tells.

use std::time::{Duration, Instant};

use forebay::app::daemon::{Daemon, Options, open_storage};
use forebay::fault::Fault;
use forebay::lake::chain::read_chain;
use forebay::lake::footer::{Lost, read_footer};
use forebay::model::offset::{OffsetRange, TopicPartition};
use forebay::model::status::LaneState;
use forebay::supervise::lane::{Direction, LossOrder, RewindOrder, RewindTarget, preview_loss};
use forebay::supervise::root::{LossRequest, RewindRequest, Selection, SetPaused};
use futures::executor::block_on;

use crate::outages::lose_the_position;
use crate::world::{World, drain, in_state, lane, snapshot};

fn source() -> TopicPartition {
    TopicPartition::new("library", 0)
}

fn accept(daemon: &Daemon, reason: &str) -> Result<OffsetRange, Fault> {
    let order = LossOrder { reason: reason.to_owned() };
    block_on(daemon.root().send(LossRequest { source: source(), order })).unwrap()
}

fn preview(daemon: &Daemon) -> Result<OffsetRange, Fault> {
    preview_loss(daemon.parts(), &source())
}

fn rewind(daemon: &Daemon, to: Direction) {
    let order = RewindOrder { to, expect: None, reason: "a test".to_owned() };
    block_on(daemon.root().send(RewindRequest { source: source(), order })).unwrap().unwrap();
}

/// What the ledger says is lost.
fn told(world: &World) -> Vec<Lost> {
    let storage = open_storage(&world.settings()).unwrap();
    let live = read_chain(&*storage, &source()).unwrap().chain.live;
    live.iter().filter_map(|file| read_footer(&*storage, &file.path, file.bytes).unwrap().lost).collect()
}

#[test]
fn a_loss_is_recorded_when_an_operator_accepts_it_and_the_lane_goes_on() {
    let world = World::new(2);
    world.send(20);
    world.drain_when_caught_up();
    lose_the_position(&world);
    let daemon = world.start(&Options::default());
    let halted = in_state(&daemon, 0, LaneState::Halted);
    let fault = halted.last_fault.clone().unwrap();
    assert_eq!(fault.fault.event, "kafka.offset-out-of-range");
    assert!(fault.fault.message.contains("`forebay accept-loss library:0`"), "{fault:?}");
    assert_eq!(told(&world), [], "nothing is skipped before that");
    let hole = preview(&daemon).unwrap();
    assert!(hole.from() == 10 && hole.to() > 10, "{hole}");
    let end = halted.end.unwrap();
    assert!(end >= hole.to(), "{halted:?}");
    assert_eq!((halted.committed, halted.lag), (Some(10), Some(end - 10)), "what it would have to read is told");
    assert_eq!(lane(&daemon, 0).unwrap().state, LaneState::Halted, "a look changes nothing");

    assert_eq!(accept(&daemon, "retention was short").unwrap(), hole);
    world.caught_up(&daemon);
    let reason = "accepted by an operator: retention was short".to_owned();
    assert_eq!(told(&world), [Lost { from: hole.from(), to: hole.to(), reason }]);
    for refused in [preview(&daemon).unwrap_err(), accept(&daemon, "").unwrap_err()] {
        assert!(refused.message.contains("nothing is lost"), "{refused:?}");
    }
    in_state(&daemon, 0, LaneState::Running);
    world.send(20);
    world.caught_up(&daemon);
    daemon.promote().unwrap();
    drain(daemon).unwrap();
    world.assert_audit();
}

#[test]
fn what_was_read_before_a_rewind_is_not_lost() {
    let world = World::new(2);
    world.send(20);
    let daemon = world.start(&Options::default());
    world.caught_up(&daemon);
    // Paused, so that nothing is read again before Kafka has lost it.
    let selection = Selection::One(source());
    block_on(daemon.root().send(SetPaused { selection, is_paused: true })).unwrap();
    rewind(&daemon, Direction::Back(RewindTarget::Offset(0)));
    drain(daemon).unwrap();
    lose_the_position(&world);
    let daemon = world.start(&Options::default());
    let halted = in_state(&daemon, 0, LaneState::Halted);
    assert_eq!(halted.last_fault.unwrap().fault.event, "kafka.rewound-range-lost");
    for refused in [preview(&daemon).unwrap_err(), accept(&daemon, "").unwrap_err()] {
        assert!(refused.message.contains("`forebay rewind library:0 --undo`"), "{refused:?}");
    }
    in_state(&daemon, 0, LaneState::Halted);
    assert_eq!(told(&world), []);

    rewind(&daemon, Direction::Undo);
    let halted = in_state(&daemon, 0, LaneState::Halted);
    assert_eq!(halted.last_fault.unwrap().fault.event, "kafka.offset-out-of-range");
    let hole = accept(&daemon, "").unwrap();
    assert_eq!(hole.from(), 10, "what came back is not lost");
    world.caught_up(&daemon);
    daemon.promote().unwrap();
    drain(daemon).unwrap();
    assert_eq!(told(&world).len(), 1);
    world.assert_audit();
}

/// The only lane of the daemon: it waits for the command instead of ending the process.
#[test]
fn a_daemon_of_which_every_lane_has_lost_messages_waits_for_the_decision() {
    let world = World::new(1);
    world.send(20);
    world.drain_when_caught_up();
    lose_the_position(&world);
    let daemon = world.start(&Options::default());
    in_state(&daemon, 0, LaneState::Halted);
    // The root looks at its lanes ten times a second, and would end at the first look.
    let until = Instant::now() + Duration::from_secs(1);
    while Instant::now() < until {
        assert_eq!(snapshot(&daemon).lanes[0].state, LaneState::Halted);
        assert!(!daemon.has_ended());
    }
    assert_eq!(accept(&daemon, "").unwrap().from(), 20);
    world.caught_up(&daemon);
    drain(daemon).unwrap();
    world.assert_audit();
}

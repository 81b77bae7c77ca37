//! What operators ask for while data flows: pause, rewind, drain.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use forebay::app::daemon::{Daemon, Options, open_storage};
use forebay::fault::Fault;
use forebay::lake::{Rewound, Undone};
use forebay::model::offset::TopicPartition;
use forebay::model::status::LaneState;
use forebay::observe::metrics;
use forebay::observe::trouble::Subject;
use forebay::storage::Kind;
use forebay::storage::faulty::{FaultyStorage, Injected};
use forebay::supervise::lane::{Direction, Moved, RewindOrder, RewindTarget};
use forebay::supervise::parts::TreeProbe;
use forebay::supervise::root::{RewindRequest, Selection, SetPaused};
use futures::executor::block_on;

use crate::common::eventually;
use crate::world::{World, drain, in_state, lane, snapshot};

fn set_paused(daemon: &Daemon, partition: i32, is_paused: bool) {
    let source = TopicPartition::new("library", partition);
    let selection = Selection::One(source.clone());
    assert_eq!(block_on(daemon.root().send(SetPaused { selection, is_paused })).unwrap(), [source]);
}

fn moved(daemon: &Daemon, partition: i32, to: Direction, expect: Option<i64>) -> Result<Moved, Fault> {
    let order = RewindOrder { to, expect, reason: "a test".to_owned() };
    let source = TopicPartition::new("library", partition);
    block_on(daemon.root().send(RewindRequest { source, order })).unwrap()
}

fn rewind(daemon: &Daemon, partition: i32, to: i64, expect: Option<i64>) -> Result<Rewound, Fault> {
    match moved(daemon, partition, Direction::Back(RewindTarget::Offset(to)), expect)? {
        Moved::Back(rewound) => Ok(rewound),
        Moved::Undone(undone) => panic!("{undone:?}"),
    }
}

fn undo(daemon: &Daemon, partition: i32, expect: Option<i64>) -> Result<Undone, Fault> {
    match moved(daemon, partition, Direction::Undo, expect)? {
        Moved::Undone(undone) => Ok(undone),
        Moved::Back(rewound) => panic!("{rewound:?}"),
    }
}

#[test]
fn a_paused_lane_reads_nothing_even_after_a_restart_and_the_others_go_on() {
    let world = World::new(2);
    let armed = Arc::new(AtomicBool::new(false));
    let is_armed = Arc::clone(&armed);
    let probe: TreeProbe = Arc::new(move |role, source| {
        let is_meant = role == "Validator" && source.is_some_and(|source| source.partition == 0);
        assert!(!(is_meant && is_armed.swap(false, Ordering::SeqCst)), "on purpose");
    });
    let daemon = world.start(&Options { probe: Some(probe), ..Options::default() });
    world.send(100);
    world.caught_up(&daemon);
    set_paused(&daemon, 0, true);
    assert_eq!(lane(&daemon, 0).unwrap().state, LaneState::Paused, "it has obeyed when the answer comes");
    armed.store(true, Ordering::SeqCst);
    eventually("the paused lane is restarted", || lane(&daemon, 0).unwrap().generation == 2);
    in_state(&daemon, 0, LaneState::Paused);
    world.send(100);
    eventually("the other lane goes on", || lane(&daemon, 1).unwrap().committed == Some(world.end_of(1)));
    assert_eq!(lane(&daemon, 0).unwrap().committed, Some(50));
    set_paused(&daemon, 0, false);
    in_state(&daemon, 0, LaneState::Running);
    world.finish(daemon);
}

#[test]
fn a_rewound_lane_reads_again_and_nothing_is_doubled() {
    let world = World::new(2);
    let daemon = world.start(&Options::default());
    world.trickle(300);
    world.caught_up(&daemon);
    daemon.promote().unwrap();
    // Refused: the lane goes on where it was.
    let refused = rewind(&daemon, 0, 10, Some(11)).unwrap_err();
    assert!(refused.message.contains("11"), "{refused:?}");
    in_state(&daemon, 0, LaneState::Running);
    let rewound = rewind(&daemon, 0, 60, Some(world.end_of(0))).unwrap();
    assert!(rewound.plan.to <= 60 && rewound.plan.head == 150, "{rewound:?}");
    world.caught_up(&daemon);
    daemon.promote().unwrap();
    world.assert_processed();
    // Under load, again and again, to places that chance chooses.
    for _ in 0..4 {
        world.trickle(100);
        let partition = i32::try_from(world.below(2)).unwrap();
        let to = i64::try_from(world.below(150)).unwrap();
        eventually("a rewind is taken", || match rewind(&daemon, partition, to, None) {
            Ok(rewound) => rewound.plan.to <= to,
            Err(fault) => {
                assert_eq!(fault.event, "lane.busy", "{fault:?}");
                false
            }
        });
        // A promotion in the middle must not see half of it.
        daemon.promote().unwrap();
    }
    world.finish(daemon);
}

#[test]
fn a_rewind_is_taken_back_while_data_flows() {
    let world = World::new(2);
    let daemon = world.start(&Options::default());
    world.trickle(300);
    world.caught_up(&daemon);
    daemon.promote().unwrap();
    let nothing = undo(&daemon, 0, None).unwrap_err();
    assert!(nothing.message.contains("was never rewound"), "{nothing:?}");
    in_state(&daemon, 0, LaneState::Running);
    for promoted_between in [false, true] {
        let head = world.end_of(0);
        // Paused, so that it does not pass its old head before that is asked for.
        set_paused(&daemon, 0, true);
        in_state(&daemon, 0, LaneState::Paused);
        let rewound = rewind(&daemon, 0, 60, Some(head)).unwrap();
        in_state(&daemon, 0, LaneState::Paused);
        world.trickle(40);
        if promoted_between {
            daemon.promote().unwrap();
        }
        let wrong = undo(&daemon, 0, Some(head)).unwrap_err();
        assert!(wrong.message.contains("look again"), "{wrong:?}");
        in_state(&daemon, 0, LaneState::Paused);
        let undone = undo(&daemon, 0, Some(rewound.plan.to)).unwrap();
        assert_eq!((undone.plan.from, undone.plan.to), (rewound.plan.to, head));
        set_paused(&daemon, 0, false);
        world.caught_up(&daemon);
        daemon.promote().unwrap();
        world.assert_processed();
    }
    let past = rewind(&daemon, 0, 100, None).unwrap();
    world.caught_up(&daemon);
    world.trickle(40);
    world.caught_up(&daemon);
    let refused = undo(&daemon, 0, None).unwrap_err();
    assert!(refused.message.contains(&format!("past {}", past.plan.head)), "{refused:?}");
    daemon.promote().unwrap();
    world.finish(daemon);
}

#[test]
fn a_drained_daemon_has_committed_all_it_read_and_the_next_goes_on_there() {
    let world = Arc::new(World::new(2));
    for _ in 0..3 {
        let daemon = world.start(&Options::default());
        let busy = Arc::new(AtomicBool::new(true));
        let (sender, is_busy) = (Arc::clone(&world), Arc::clone(&busy));
        let load = std::thread::spawn(move || {
            while is_busy.load(Ordering::SeqCst) {
                sender.trickle(10);
            }
        });
        eventually("something is committed", || {
            (0..2).all(|partition| lane(&daemon, partition).is_some_and(|lane| lane.last_commit.is_some()))
        });
        drain(daemon).unwrap();
        busy.store(false, Ordering::SeqCst);
        load.join().unwrap();
    }
    world.finish(world.start(&Options::default()));
}

#[test]
fn a_bounded_run_reads_what_was_there_and_promotes_it() {
    let world = World::new(2);
    for _ in 0..2 {
        world.send(200);
        let daemon = world.start(&Options { until_caught_up: true, ..Options::default() });
        crate::world::end_of(daemon).unwrap();
        world.assert_raw();
        world.assert_processed();
    }
}

/// A daemon with a promotion that stands still before its first file comes into place, until it is let go.
fn with_a_promotion_that_waits(world: &World, drain: Duration) -> (Daemon, Arc<Barrier>, Arc<Barrier>) {
    let mut settings = world.settings();
    settings.run.drain = drain;
    let faulty = FaultyStorage::new(open_storage(&settings).unwrap());
    let (arrived, let_go) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
    let (arrives, goes, is_first) = (Arc::clone(&arrived), Arc::clone(&let_go), AtomicBool::new(true));
    faulty.before_each(move |call| {
        let into_place = call.to.as_ref().is_some_and(|to| to.as_str().starts_with("processed/"));
        if into_place && is_first.swap(false, Ordering::SeqCst) {
            arrives.wait();
            goes.wait();
        }
    });
    let options = Options { storage: Some(Arc::new(faulty)), ..Options::default() };
    (world.sandbox.start(&settings, &options), arrived, let_go)
}

#[test]
fn a_drain_lets_the_promotion_end_that_runs() {
    let world = World::new(1);
    let (daemon, arrived, let_go) = with_a_promotion_that_waits(&world, Duration::from_secs(60));
    world.send(100);
    world.caught_up(&daemon);
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| daemon.promote());
        arrived.wait();
        let next = scope.spawn(|| daemon.promote());
        daemon.drain("test");
        eventually("the lane is drained", || lane(&daemon, 0).is_none_or(|lane| lane.state == LaneState::Ended));
        assert!(!daemon.has_ended());
        let_go.wait();
        assert_eq!(asked.join().unwrap().unwrap()[0].1.seq, Some(1));
        assert!(next.join().unwrap().is_err(), "no promotion begins in a drain");
    });
    crate::world::end_of(daemon).unwrap();
    world.assert_processed();
}

#[test]
fn a_promotion_that_outlasts_the_deadline_of_a_drain_is_finished_by_the_next_daemon() {
    let world = World::new(1);
    let (daemon, arrived, let_go) = with_a_promotion_that_waits(&world, Duration::from_millis(300));
    world.send(100);
    world.caught_up(&daemon);
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| daemon.promote());
        arrived.wait();
        daemon.drain("test");
        assert!(asked.join().unwrap().is_err(), "it was not waited for");
    });
    crate::world::end_of(daemon).unwrap();
    let_go.wait();
    world.finish(world.start(&Options::default()));
}

#[test]
fn a_promotion_that_was_left_half_done_is_finished_when_the_role_is_taken_not_an_hour_later() {
    let world = World::new(1);
    let faulty = Arc::new(FaultyStorage::new(open_storage(&world.settings()).unwrap()));
    let daemon = world.start(&Options { storage: Some(Arc::clone(&faulty) as _), ..Options::default() });
    world.send(100);
    world.caught_up(&daemon);
    faulty.inject(Injected::Fail(Kind::Unavailable), |call| {
        call.to.as_ref().is_some_and(|to| to.as_str().contains("/_delta_log/"))
    });
    assert_eq!(daemon.promote().unwrap_err().event, "storage.unavailable");
    let trouble = snapshot(&daemon).promotions[0].last_fault.clone().unwrap();
    assert_eq!((trouble.subject, trouble.fault.event), (Subject::Table("books".to_owned()), "storage.unavailable"));
    drain(daemon).unwrap();
    let next = world.start(&Options::default());
    eventually("the table is promoted, and nobody has asked for it", || {
        snapshot(&next).promotions[0].last_end.is_some()
    });
    world.assert_processed();
    drain(next).unwrap();
    assert!(metrics().text().contains("forebay_recovered_total{what=\"plans\"}"), "it is counted");
}

#[test]
fn a_daemon_that_works_looks_once_at_its_lake_and_tells_what_it_cannot_account_for() {
    let world = World::new(1);
    let daemon = world.start(&Options::default());
    world.send(100);
    world.caught_up(&daemon);
    drain(daemon).unwrap();
    let committed = crate::lake::files(&world.sandbox.lake().join("raw/books"));
    let foreign = committed[0].with_file_name("part-0.snappy.parquet");
    std::fs::write(&foreign, "x").unwrap();
    let next = world.start(&Options::default());
    let seen = "forebay_found_total{what=\"foreign\"} 1";
    eventually("it has looked", || metrics().text().lines().any(|line| line == seen));
    assert!(metrics().text().contains("forebay_found_total{what=\"orphans\"} 0"), "{}", metrics().text());
    assert!(foreign.exists(), "a look changes nothing");
    std::fs::remove_file(&foreign).unwrap();
    world.finish(next);
}

#[test]
fn a_drain_that_cannot_commit_ends_at_its_deadline_and_loses_nothing() {
    let world = World::new(1);
    let mut settings = world.settings();
    settings.run.drain = Duration::from_secs(1);
    let faulty = Arc::new(FaultyStorage::new(open_storage(&settings).unwrap()));
    let daemon =
        world.sandbox.start(&settings, &Options { storage: Some(Arc::clone(&faulty) as _), ..Options::default() });
    in_state(&daemon, 0, LaneState::Running);
    faulty.inject(Injected::Fail(Kind::Unavailable), |_| true);
    world.send(100);
    eventually("the lane says why it waits", || {
        lane(&daemon, 0)
            .is_some_and(|lane| lane.last_fault.is_some_and(|last| last.fault.event == "storage.unavailable"))
    });
    let begun = Instant::now();
    let fault = drain(daemon).unwrap_err();
    assert_eq!(fault.event, "root.drain-deadline");
    assert!(fault.message.contains("library:0"), "{fault:?}");
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    faulty.heal();
    world.finish(world.start(&Options::default()));
}

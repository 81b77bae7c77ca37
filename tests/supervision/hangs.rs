//! Stages that hang: they are found, abandoned and replaced, and they do no harm when they come back.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use forebay::app::daemon::Options;
use forebay::supervise::parts::TreeProbe;

use crate::common::eventually;
use crate::world::{World, lane, snapshot};

/// Holds whoever comes until it is opened.
#[derive(Default)]
struct Latch {
    is_open: Mutex<bool>,
    opened: Condvar,
    held: AtomicU64,
}

impl Latch {
    fn wait(&self) {
        self.held.fetch_add(1, Ordering::SeqCst);
        let open = self.is_open.lock().unwrap();
        drop(self.opened.wait_while(open, |open| !*open).unwrap());
    }

    fn open(&self) {
        *self.is_open.lock().unwrap() = true;
        self.opened.notify_all();
    }
}

/// A released zombie that has come to its end leaves no thread behind; until then it must have been harmless.
fn survives_a_hang_of(stage: &'static str) {
    let world = World::new(2);
    let mut settings = world.settings();
    settings.supervise.hung_after = Duration::from_millis(800);
    let (latch, at) = (Arc::new(Latch::default()), 2 + world.below(30) as u64);
    println!("{stage} hangs in its step {at}");
    let (held, count) = (Arc::clone(&latch), AtomicU64::new(0));
    let probe: TreeProbe = Arc::new(move |role, _| {
        if role == stage && count.fetch_add(1, Ordering::SeqCst) == at {
            held.wait();
        }
    });
    let daemon = world.sandbox.start(&settings, &Options { probe: Some(probe), ..Options::default() });
    world.send(200);
    world.trickle(200);
    eventually("it hangs", || latch.held.load(Ordering::SeqCst) == 1);
    eventually("it is replaced", || {
        let snapshot = snapshot(&daemon);
        let lanes = snapshot.lanes.iter().filter(|lane| {
            lane.last_fault
                .as_ref()
                .is_some_and(|last| last.fault.message.contains(stage) && last.fault.message.contains("no progress"))
        });
        let pool = snapshot.tree.children.iter().find(|node| node.kind == "pool").unwrap();
        lanes.count() + pool.children.iter().filter(|worker| worker.restarts > 0).count() > 0
    });
    world.caught_up(&daemon);
    // Restarted for real: what is sent now passes while the zombie is still held.
    world.trickle(100);
    world.caught_up(&daemon);
    daemon.promote().unwrap();
    latch.open();
    world.trickle(100);
    world.finish(daemon);
}

#[test]
fn a_reader_that_hangs_is_replaced() {
    survives_a_hang_of("KafkaReader");
}

#[test]
fn a_parser_that_hangs_is_replaced() {
    survives_a_hang_of("Parser");
}

#[test]
fn a_validator_that_hangs_is_replaced() {
    survives_a_hang_of("Validator");
}

#[test]
fn a_bufferer_that_hangs_is_replaced() {
    survives_a_hang_of("ParquetBufferer");
}

#[test]
fn a_parser_that_hangs_with_a_batch_gives_it_to_the_next() {
    let world = World::new(1);
    let mut settings = world.settings();
    settings.supervise.hung_after = Duration::from_millis(800);
    let (latch, is_first) = (Arc::new(Latch::default()), AtomicBool::new(true));
    let held = Arc::clone(&latch);
    let message_probe = Arc::new(move |message: &forebay::model::batch::RawMessage| {
        if message.offset == 37 && is_first.swap(false, Ordering::SeqCst) {
            held.wait();
        }
    });
    // The zombie ends with a result that its lane has got long ago.
    let options = Options { message_probe: Some(message_probe), ..Options::default() };
    let daemon = world.sandbox.start(&settings, &options);
    // Not one that is null: it is not parsed.
    world.send_these((0..100).map(|id| crate::world::book(id, "2026-10-15")).collect());
    world.caught_up(&daemon);
    assert_eq!(lane(&daemon, 0).unwrap().generation, 1, "the lane was not restarted for it");
    latch.open();
    world.send(100);
    world.finish(daemon);
}

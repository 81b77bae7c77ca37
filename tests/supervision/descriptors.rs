//! The process may open no further file, so that not even a thread with an event loop can be had: what fails then comes
//! back when it may again.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use forebay::app::daemon::Options;
use forebay::supervise::parts::TreeProbe;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::common::eventually;
use crate::world::{World, snapshot};

/// Says that the test has the process to itself.
const ALONE: &str = "FOREBAY_TEST_ALONE";

/// Fewer than are open: there are no further ones.
const FEW: u64 = 16;

/// Runs `test` in a process of its own: limits are those of a process.
fn alone(name: &str, test: impl FnOnce()) {
    if std::env::var_os(ALONE).is_some() {
        return test();
    }
    let mut child = Command::new(std::env::current_exe().unwrap());
    let done = child.args(["--exact", name, "--nocapture"]).env(ALONE, "1").output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout) + String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success() && said.contains("1 passed"), "{said}");
    let unmeant =
        said.lines().filter(|line| line.contains("a panic: please report it") && !line.contains("on purpose"));
    assert_eq!(unmeant.count(), 0, "{said}");
}

#[test]
fn a_parser_that_cannot_be_started_comes_back_when_it_can() {
    alone("descriptors::a_parser_that_cannot_be_started_comes_back_when_it_can", || {
        let world = World::new(2);
        let is_panicking = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&is_panicking);
        let probe: TreeProbe = Arc::new(move |role, _| {
            assert!(role != "Parser" || !flag.swap(false, Ordering::SeqCst), "on purpose");
        });
        let daemon = world.start(&Options { probe: Some(probe), ..Options::default() });
        world.send(100);
        world.caught_up(&daemon);
        let before = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: Some(FEW), ..before }).unwrap();
        is_panicking.store(true, Ordering::SeqCst);
        eventually("the status says why", || format!("{:?}", snapshot(&daemon)).contains("Too many open files"));
        world.send(100);
        assert!(!daemon.has_ended());
        setrlimit(Resource::Nofile, before).unwrap();
        world.finish(daemon);
    });
}

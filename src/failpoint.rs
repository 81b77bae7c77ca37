//! Named places in the code where a run can be made to die, panic or wait: how `scripts/chaos` reaches between two
//! steps of a protocol. Without the feature `failpoints`, and so in every release, they are nothing at all.
//!
//! `FAILPOINTS="raw.commit.staged=3*off->1*return"` is the language of the crate `fail`. `return` ends the process on
//! the spot, as kill -9 would: nothing is dropped, flushed or said; `return(freeze)` stops it until it gets SIGCONT.
//! Each stage has a place of its own before every step, by its role (`Parser`, …), where `panic` and `sleep(ms)` do
//! what a fault of that stage would.

/// Does here what the environment asks for.
#[cfg(feature = "failpoints")]
pub fn reach(name: &str) {
    fail::fail_point!(name, |what| match what.as_deref() {
        Some("freeze") => freeze(),
        _ => std::process::abort(),
    });
}

/// All threads stand still here: to the rest of the world the process is neither dead nor alive.
#[cfg(feature = "failpoints")]
fn freeze() {
    use rustix::process::{Signal, getpid, kill_process};
    if kill_process(getpid(), Signal::STOP).is_err() {
        std::process::abort();
    }
}

/// Nothing.
#[cfg(not(feature = "failpoints"))]
#[inline]
pub const fn reach(_name: &str) {}

/// Takes up what the environment asks for, as long as it is held.
#[cfg(feature = "failpoints")]
#[must_use]
pub fn arm() -> impl Drop {
    fail::FailScenario::setup()
}

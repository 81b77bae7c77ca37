//! Runtimes for the libraries that are asynchronous.
//!
//! tokio panics where the system has no thread for a worker. If another worker runs by then, that panic never ends: on
//! its way out it waits for all threads of a pool that nobody has told to end (`Builder::build` of tokio 1.54). Whoever
//! asked for the runtime would stand still for ever. With a single worker there is nothing to wait for, and the panic
//! is an error.

use std::io::{Error, Result};
use std::panic::{AssertUnwindSafe, catch_unwind};

use tokio::runtime::{Builder, Runtime};

/// Starts a runtime of one worker: enough to drive sockets and for checksums.
///
/// # Errors
///
/// The system gives no thread, or none of the descriptors that it takes.
pub(crate) fn start(builder: &mut Builder) -> Result<Runtime> {
    let start = AssertUnwindSafe(|| builder.worker_threads(1).enable_all().build());
    catch_unwind(start).unwrap_or_else(|_| Err(Error::other("the system has no thread to give")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_that_cannot_be_started_is_an_error() {
        let stack_that_nobody_has = 1 << 60;
        let started = start(Builder::new_multi_thread().thread_stack_size(stack_that_nobody_has));
        assert_eq!(started.unwrap_err().to_string(), "the system has no thread to give");
    }

    #[test]
    fn there_is_one_worker_whatever_was_asked_for() {
        let runtime = start(Builder::new_multi_thread().worker_threads(2)).unwrap();
        assert_eq!(runtime.metrics().num_workers(), 1);
    }
}

//! Joins the threads of parts that have ended, away from the actors: no join handle is discarded, and no actor waits.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// Something to wait for.
pub type Joinable = Box<dyn FnOnce() + Send>;

/// One thread that joins others.
#[derive(Debug)]
pub struct Reaper {
    queue: Sender<Option<Joinable>>,
    ended: Receiver<()>,
    thread: JoinHandle<()>,
}

/// Hands ended threads to the [`Reaper`].
#[derive(Debug, Clone)]
pub struct ReaperHandle(Sender<Option<Joinable>>);

impl ReaperHandle {
    /// Joins it some time.
    pub fn join(&self, joinable: impl FnOnce() + Send + 'static) {
        // The reaper outlives every part; when it has gone, so has the process.
        let _ = self.0.send(Some(Box::new(joinable)));
    }
}

impl Reaper {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// When the system has no thread to give.
    pub fn start() -> std::io::Result<Self> {
        let (queue, joinables) = channel::<Option<Joinable>>();
        let (end, ended) = channel();
        let thread = std::thread::Builder::new().name("reaper".to_owned()).spawn(move || {
            // `None` is the end.
            joinables.into_iter().map_while(|joinable| joinable).for_each(|join| join());
            let _ = end.send(());
        })?;
        Ok(Self { queue, ended, thread })
    }

    /// A handle for the parts.
    pub fn handle(&self) -> ReaperHandle {
        ReaperHandle(self.queue.clone())
    }

    /// Waits until everything handed in so far is joined, at most `timeout`. Whether it was.
    pub fn finish(self, timeout: Duration) -> bool {
        // The thread lives until it is told to end.
        let _ = self.queue.send(None);
        match self.ended.recv_timeout(timeout) {
            Ok(()) | Err(RecvTimeoutError::Disconnected) => self.thread.join().is_ok(),
            Err(RecvTimeoutError::Timeout) => false,
        }
    }
}

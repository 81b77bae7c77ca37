//! Joins the threads of parts that have ended, away from the actors: no join handle is discarded, no actor waits, and a
//! part that hangs keeps nobody else from being joined.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::stage::host::StageHandle;
use crate::stage::step::Step;

/// Something that ends some time and is joined then.
pub trait Ending: Send {
    /// Whether joining it would not wait.
    fn has_ended(&self) -> bool;
    /// Joins it.
    fn join(self: Box<Self>);
}

impl Ending for JoinHandle<()> {
    fn has_ended(&self) -> bool {
        self.is_finished()
    }

    fn join(self: Box<Self>) {
        // Whoever started the thread catches its panics and hears of them in its own way.
        let _ = JoinHandle::join(*self);
    }
}

impl<S: Step> Ending for StageHandle<S> {
    fn has_ended(&self) -> bool {
        StageHandle::has_ended(self)
    }

    fn join(self: Box<Self>) {
        StageHandle::join(*self);
    }
}

/// How often it looks for what has ended.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// One thread that joins others.
#[derive(Debug)]
pub struct Reaper {
    queue: Sender<Option<Box<dyn Ending>>>,
    ended: Receiver<()>,
    thread: JoinHandle<()>,
}

/// Hands threads to the [`Reaper`].
#[derive(Debug, Clone)]
pub struct ReaperHandle(Sender<Option<Box<dyn Ending>>>);

impl ReaperHandle {
    /// Joins it when it has ended.
    pub fn join(&self, ending: impl Ending + 'static) {
        // The reaper outlives every part; when it has gone, so has the process.
        let _ = self.0.send(Some(Box::new(ending)));
    }
}

impl Reaper {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// When the system has no thread to give.
    pub fn start() -> std::io::Result<Self> {
        let (queue, handed_in) = channel();
        let (end, ended) = channel();
        let thread = std::thread::Builder::new().name("reaper".to_owned()).spawn(move || {
            run(&handed_in);
            // Whoever waits may have given up.
            let _ = end.send(());
        })?;
        Ok(Self { queue, ended, thread })
    }

    /// A handle for the parts.
    pub fn handle(&self) -> ReaperHandle {
        ReaperHandle(self.queue.clone())
    }

    /// Waits until everything handed in so far is joined, at most `timeout`. Whether it was: what hangs never is.
    pub fn finish(self, timeout: Duration) -> bool {
        // The thread lives until it is told to end.
        let _ = self.queue.send(None);
        match self.ended.recv_timeout(timeout) {
            Ok(()) | Err(RecvTimeoutError::Disconnected) => self.thread.join().is_ok(),
            Err(RecvTimeoutError::Timeout) => false,
        }
    }
}

/// `None` is the end: no more will come.
fn run(handed_in: &Receiver<Option<Box<dyn Ending>>>) {
    let mut waiting: Vec<Box<dyn Ending>> = Vec::new();
    let mut is_last = false;
    while !(is_last && waiting.is_empty()) {
        match handed_in.recv_timeout(LOOK_EVERY) {
            Ok(Some(ending)) => waiting.push(ending),
            Ok(None) => is_last = true,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                is_last = true;
                std::thread::sleep(LOOK_EVERY);
            }
        }
        let (ended, open) = waiting.into_iter().partition(|ending| ending.has_ended());
        waiting = open;
        Vec::into_iter(ended).for_each(Ending::join);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn who_hangs_keeps_nobody_else_from_being_joined() {
        let reaper = Reaper::start().unwrap();
        let (release, held) = channel::<()>();
        reaper.handle().join(std::thread::spawn(move || while held.recv().is_ok() {}));
        let (joined, was_joined) = channel::<()>();
        struct Told(Sender<()>);
        impl Ending for Told {
            fn has_ended(&self) -> bool {
                true
            }
            fn join(self: Box<Self>) {
                self.0.send(()).unwrap();
            }
        }
        reaper.handle().join(Told(joined));
        was_joined.recv_timeout(Duration::from_secs(10)).unwrap();
        drop(release);
        assert!(reaper.finish(Duration::from_secs(10)));
    }

    #[test]
    fn the_end_does_not_wait_for_what_hangs() {
        let reaper = Reaper::start().unwrap();
        let (release, held) = channel::<()>();
        reaper.handle().join(std::thread::spawn(move || while held.recv().is_ok() {}));
        assert!(!reaper.finish(Duration::from_millis(100)));
        drop(release);
    }
}

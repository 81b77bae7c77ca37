//! A new client in the place of one that is worth no more, and a member that joins again.

use std::mem::{replace, take};
use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::bounded;
use rdkafka::consumer::Consumer;
use rdkafka::error::RDKafkaErrorCode as Code;

use super::{Poller, leave};
use crate::fault::Fault;
use crate::flow::read::context::KafkaConsumer;
use crate::flow::read::faults;
use crate::flow::read::session::SessionEvent;

impl Poller {
    /// An error after which the client does nothing more.
    pub(super) fn meet_fatal(&mut self, code: Code) -> Result<(), Fault> {
        let words = self.consumer.context().take_words();
        let fatal = faults::from_fatal_code(code, &words);
        if code == Code::FencedInstanceId && self.renewal.survives_fence(Instant::now()) {
            let seconds = self.renewal.doubt().as_secs();
            let why = format!(
                "{words}; this may be an old session of our own (a daemon that was frozen), so a new client joins; a second \
                 fence within {seconds} s ends the daemon"
            );
            return self.renew(Fault::retry(faults::FENCED, why));
        }
        // The client has dropped its assignment without a rebalance: nothing will ever come again.
        self.close_gates(|_| fatal.clone());
        self.tell(fatal);
        Ok(())
    }

    pub(super) fn renew_when_silent(&mut self) -> Result<(), Fault> {
        let silent_since = self.consumer.context().silent_since();
        if !self.renewal.gives_up(silent_since, Instant::now()) {
            return Ok(());
        }
        let seconds = self.recipe.session_timeout().as_secs();
        let why = format!(
            "the client has had no connection to kafka for more than {seconds} s (session.timeout.ms); a new one begins with \
             bootstrap.servers"
        );
        self.renew(Fault::retry(faults::NEW_CLIENT, why))
    }

    /// Lets a new client join. What the old one held is lost: somebody else may own it already.
    fn renew(&mut self, why: Fault) -> Result<(), Fault> {
        let context = Arc::clone(self.consumer.context());
        context.start_closing();
        let held = context.ownership().map(|mut ownership| (take(&mut ownership.owned), take(&mut ownership.paused)));
        let (owned, paused) = held.unwrap_or_default();
        self.close_gates(|partition| {
            Fault::fenced(faults::NOT_ASSIGNED, format!("{partition} was lost with the client that held it"))
        });
        self.hints.clear();
        self.tell(why);
        if !owned.is_empty() {
            // Nobody waits for what is lost.
            let (done, _) = bounded(1);
            self.recipe.tell(SessionEvent::Revoked { partitions: owned.into_iter().collect(), lost: true, done });
        }
        let consumer = self.recipe.make(paused)?;
        self.link.replace(Arc::clone(&consumer));
        let old = replace(&mut self.consumer, consumer);
        self.retire(old)
    }

    /// Closes a client on a thread of its own: it may have nobody to answer it.
    fn retire(&mut self, old: Arc<KafkaConsumer>) -> Result<(), Fault> {
        for thread in self.retired.extract_if(.., |thread| thread.is_finished()) {
            // Whatever became of it: it was given up.
            let _panicked = thread.join();
        }
        let thread = crate::flow::read::session::spawn("kafka-retired", move || {
            // One that was fenced refuses to be closed, and is closed by being dropped.
            let _refused = leave(&old);
        });
        self.retired.push(thread?);
        Ok(())
    }

    /// Leaves the group and joins it again: the group then gives everything out anew. What is ours is committed and
    /// handed over as in any other rebalance.
    pub(super) fn join_again(&mut self, why: Fault) {
        self.tell(why);
        self.consumer.unsubscribe();
        if let Err(fault) = self.recipe.subscribe(&self.consumer) {
            self.tell(fault);
        }
    }
}

//! When a client is worth no more, and a new one takes its place. Pure: the poll thread asks and does it.
//!
//! Two things end a client for good.
//!
//! **A fence.** Kafka answers a static member that it does not know by the member id of its request as if another
//! process had its `group.instance.id`, and librdkafka takes that for fatal. It may be our own doing: a member that was
//! frozen for longer than its session, or that joins again, has no member id until Kafka gives it one, and an offset
//! commit that goes out meanwhile is fenced (librdkafka #5585). So one fence is survived. A process that really has the
//! same id answers by being fenced itself, and joins again or ends; whoever is fenced for the second time in a short
//! time is not alone, and gives way.
//!
//! **Silence.** A broker that comes back from a fence of its own tells clients of no broker at all for a moment, and
//! librdkafka then forgets every address that it knew, those of `bootstrap.servers` too (librdkafka #5301; 2.12.1 has
//! it). It never connects again. After a session timeout without any connection the group has forgotten us anyway: a
//! new client costs nothing then, and begins with the addresses of the configuration.

use std::time::{Duration, Instant};

/// Two fences within this time, or within a session timeout if that is longer, are not our own doing. Two processes of
/// one id fence each other within a few heartbeats.
const FENCES: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(super) struct Renewal {
    session_timeout: Duration,
    fenced: Option<Instant>,
}

impl Renewal {
    pub(super) fn new(session_timeout: Duration) -> Self {
        Self { session_timeout, fenced: None }
    }

    /// Whether a member that was fenced now may join again.
    pub(super) fn survives_fence(&mut self, now: Instant) -> bool {
        let last = self.fenced.replace(now);
        last.is_none_or(|last| now.saturating_duration_since(last) > self.doubt())
    }

    /// How long after a fence a second one ends the daemon.
    pub(super) fn doubt(&self) -> Duration {
        self.session_timeout.max(FENCES)
    }

    /// Whether a client that has had no connection since then is given up.
    pub(super) fn gives_up(&self, silent_since: Option<Instant>, now: Instant) -> bool {
        silent_since.is_some_and(|since| now.saturating_duration_since(since) > self.session_timeout)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(45);

    #[test]
    fn a_second_fence_soon_after_the_first_is_somebody_else() {
        let (start, mut renewal) = (Instant::now(), Renewal::new(TIMEOUT));
        assert!(renewal.survives_fence(start));
        assert!(!renewal.survives_fence(start + TIMEOUT));
        // Frozen again an hour later.
        assert!(renewal.survives_fence(start + 80 * TIMEOUT));
        assert!(!renewal.survives_fence(start + 80 * TIMEOUT + Duration::from_secs(3)));
        assert_eq!(Renewal::new(Duration::from_secs(6)).doubt(), FENCES);
    }

    #[test]
    fn silence_for_longer_than_a_session_ends_a_client() {
        let (start, renewal) = (Instant::now(), Renewal::new(TIMEOUT));
        assert!(!renewal.gives_up(None, start));
        assert!(!renewal.gives_up(Some(start), start + TIMEOUT));
        assert!(renewal.gives_up(Some(start), start + TIMEOUT + Duration::from_secs(1)));
    }
}

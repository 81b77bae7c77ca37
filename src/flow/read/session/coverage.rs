//! Whether every Kafka partition has an owner in the group. Pure: [`super::watch`] asks the cluster.
//!
//! Static membership and cooperative rebalances together can leave Kafka partitions to nobody, for good: a member gives
//! some up in a rebalance, is killed before it joins the next one, and comes back within its session timeout. Kafka
//! then puts it in the place of the dead one without a rebalance, and what was given up waits for one that nobody
//! begins.
//!
//! So every member looks now and then. What was unowned at every look for a session timeout, in a group that Kafka
//! calls stable, is no rebalance under way: within that time Kafka itself would have noticed a dead member. Then one
//! member leaves the group and joins it again, which makes the group give everything out anew. It is the one that owns
//! least, so that as little as possible is interrupted; should it not do so, the next one does a session timeout later.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::model::offset::TopicPartition;

/// What the group knows of one member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct GroupMember {
    pub(super) id: String,
    /// What it subscribes to, patterns resolved.
    pub(super) topics: Vec<String>,
    pub(super) owned: BTreeSet<TopicPartition>,
}

impl GroupMember {
    /// From the two blobs of the consumer protocol; none when they are not of it.
    pub(super) fn read(id: &str, subscription: &[u8], assignment: &[u8]) -> Option<Self> {
        let mut subscription = Blob(subscription);
        subscription.version()?;
        let topics = (0..subscription.count()?).map(|_| subscription.text()).collect::<Option<_>>()?;
        let mut owned = BTreeSet::new();
        // A member that was given nothing may have no assignment at all.
        if !assignment.is_empty() {
            let mut assignment = Blob(assignment);
            assignment.version()?;
            for _ in 0..assignment.count()? {
                let topic: std::sync::Arc<str> = assignment.text()?.into();
                for _ in 0..assignment.count()? {
                    owned.insert(TopicPartition { topic: topic.clone(), partition: assignment.number()? });
                }
            }
        }
        Some(Self { id: id.to_owned(), topics, owned })
    }
}

/// Kafka's wire format: numbers are big-endian, texts and lists carry their length before them.
struct Blob<'b>(&'b [u8]);

impl<'b> Blob<'b> {
    fn take(&mut self, length: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn short(&mut self) -> Option<i16> {
        Some(i16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    fn number(&mut self) -> Option<i32> {
        Some(i32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    /// Later versions add fields at the end, which are not read.
    fn version(&mut self) -> Option<()> {
        (self.short()? >= 0).then_some(())
    }

    fn count(&mut self) -> Option<i32> {
        self.number().filter(|count| *count >= 0)
    }

    fn text(&mut self) -> Option<String> {
        let length = usize::try_from(self.short()?).ok()?;
        String::from_utf8(self.take(length)?.to_vec()).ok()
    }
}

/// What a look at a stable group has found.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sight {
    /// What nobody has owned for a session timeout at least.
    pub(super) unowned: Vec<TopicPartition>,
    /// Since when.
    pub(super) lasted: Duration,
    /// Whether it is this member that joins again.
    pub(super) is_ours_to_mend: bool,
}

/// What the looks before have found.
#[derive(Debug)]
pub(super) struct Vigil {
    patience: Duration,
    unowned: Option<(Instant, BTreeSet<TopicPartition>)>,
}

impl Vigil {
    pub(super) fn new(patience: Duration) -> Self {
        Self { patience, unowned: None }
    }

    /// The group is not stable, or not to be seen: nothing of before counts.
    pub(super) fn forget(&mut self) {
        self.unowned = None;
    }

    /// `me`: our id among the members of the stable group; `all`: the Kafka partitions of every topic they subscribe
    /// to.
    pub(super) fn look(
        &mut self,
        now: Instant,
        me: &str,
        members: &[GroupMember],
        all: &BTreeSet<TopicPartition>,
    ) -> Sight {
        let free = |source: &&TopicPartition| members.iter().all(|member| !member.owned.contains(*source));
        let free: BTreeSet<_> = all.iter().filter(free).cloned().collect();
        let (since, still) = match self.unowned.take() {
            Some((since, before)) if !before.is_disjoint(&free) => (since, &before & &free),
            _ => (now, free),
        };
        let lasted = now.saturating_duration_since(since);
        if still.is_empty() || lasted < self.patience {
            self.unowned = (!still.is_empty()).then_some((since, still));
            return Sight { unowned: Vec::new(), lasted, is_ours_to_mend: false };
        }
        let mut order: Vec<_> = members.iter().map(|member| (member.owned.len(), &*member.id)).collect();
        order.sort_unstable();
        let turn = order.iter().position(|(_, id)| *id == me).and_then(|turn| u32::try_from(turn).ok());
        let is_ours_to_mend = turn.is_some_and(|turn| lasted >= self.patience.saturating_mul(turn.saturating_add(1)));
        let unowned = still.iter().cloned().collect();
        // Whoever has joined again looks anew.
        self.unowned = (!is_ours_to_mend).then_some((since, still));
        Sight { unowned, lasted, is_ours_to_mend }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(45);

    fn sources(partitions: &[i32]) -> BTreeSet<TopicPartition> {
        partitions.iter().map(|partition| TopicPartition::new("t", *partition)).collect()
    }

    fn member(id: &str, owned: &[i32]) -> GroupMember {
        GroupMember { id: id.to_owned(), topics: vec!["t".to_owned()], owned: sources(owned) }
    }

    fn at(seconds: u64, start: Instant) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn what_stays_unowned_is_mended_by_the_member_that_owns_least() {
        let (start, all) = (Instant::now(), sources(&[0, 1, 2, 3]));
        let members = [member("a", &[2, 3]), member("b", &[])];
        let mut vigils = [Vigil::new(PATIENCE), Vigil::new(PATIENCE)];
        for seconds in [0, 22, 44] {
            for (vigil, me) in vigils.iter_mut().zip(["a", "b"]) {
                let sight = vigil.look(at(seconds, start), me, &members, &all);
                assert!(sight.unowned.is_empty() && !sight.is_ours_to_mend, "{me} after {seconds} s: {sight:?}");
            }
        }
        let sights = vigils.iter_mut().zip(["a", "b"]).map(|(vigil, me)| vigil.look(at(66, start), me, &members, &all));
        let mending: Vec<bool> = sights
            .inspect(|sight| assert_eq!(sight.unowned, Vec::from_iter(sources(&[0, 1]))))
            .map(|sight| sight.is_ours_to_mend)
            .collect();
        assert_eq!(mending, [false, true]);
        // The one whose turn it was does not: the next one does.
        assert!(vigils[0].look(at(91, start), "a", &members, &all).is_ours_to_mend);
        // Whoever has mended waits as long again.
        assert!(vigils[0].look(at(92, start), "a", &members, &all).unowned.is_empty());
    }

    #[test]
    fn a_rebalance_under_way_is_none_of_it() {
        let (start, all) = (Instant::now(), sources(&[0, 1, 2]));
        let mut vigil = Vigil::new(PATIENCE);
        let seen = |vigil: &mut Vigil, seconds, owned: &[i32]| {
            vigil.look(at(seconds, start), "a", &[member("a", owned)], &all).unowned
        };
        assert!(seen(&mut vigil, 0, &[0, 1]).is_empty());
        // Another one each time.
        assert!(seen(&mut vigil, 50, &[1, 2]).is_empty());
        assert!(seen(&mut vigil, 60, &[0, 1, 2]).is_empty());
        assert!(seen(&mut vigil, 100, &[1, 2]).is_empty());
        vigil.forget();
        assert!(seen(&mut vigil, 150, &[1, 2]).is_empty());
        assert_eq!(seen(&mut vigil, 200, &[1, 2]), Vec::from_iter(sources(&[0])));
    }

    #[test]
    fn a_stranger_mends_nothing() {
        let (start, all) = (Instant::now(), sources(&[0]));
        let mut vigil = Vigil::new(PATIENCE);
        vigil.look(start, "me", &[member("a", &[])], &all);
        assert!(!vigil.look(at(1000, start), "me", &[member("a", &[])], &all).is_ours_to_mend);
    }

    #[test]
    fn the_blobs_of_the_consumer_protocol_are_read() {
        let subscription = b"\0\x01\0\0\0\x02\0\x01a\0\x02bc\xff\xff\xff\xff\0\0\0\0";
        let assignment = b"\0\0\0\0\0\x01\0\x02bc\0\0\0\x02\0\0\0\0\0\0\0\x07\0\0\0\0";
        let read = GroupMember::read("m", subscription, assignment).unwrap();
        assert_eq!(read.topics, ["a", "bc"]);
        assert_eq!(read.owned, BTreeSet::from([TopicPartition::new("bc", 0), TopicPartition::new("bc", 7)]));
        assert!(GroupMember::read("m", subscription, b"").unwrap().owned.is_empty());
        for cut in 0..13 {
            assert_eq!(GroupMember::read("m", &subscription[..cut], assignment), None, "cut at {cut}");
        }
        for cut in 1..22 {
            assert_eq!(GroupMember::read("m", subscription, &assignment[..cut]), None, "cut at {cut}");
        }
    }
}

//! The buffer on a real lake whose storage fails now and then.

use std::path::Path;

use jiff::Timestamp;
use proptest::prelude::*;

use super::fixture::{Lane, offsets, source};
use super::*;
use crate::clock::ManualClock;
use crate::flow::buffer::lake_committer::LakeCommitter;
use crate::lake::chain::read_chain;
use crate::lake::fence::Owner;
use crate::lake::footer::{IntervalFooter, Zone, look_footer};
use crate::lake::{LaneLedger, StartPosition, acquire};
use crate::storage::faulty::{FaultyStorage, Injected};
use crate::storage::local::LocalStorage;
use crate::storage::{Kind, Storage};

struct At(i64);

impl StartPosition for At {
    fn resolve(&self, _: &TopicPartition) -> Result<i64, Fault> {
        Ok(self.0)
    }
}

fn owner(instance: &str) -> Owner {
    Owner {
        host: "node-1".to_owned(),
        pid: 1,
        boot_id: "boot".to_owned(),
        group: "forebay".to_owned(),
        cluster_id: None,
        topic_id: None,
        instance: instance.to_owned(),
        software: "forebay test".to_owned(),
        taken_at: Timestamp::now(),
        takes_over: false,
    }
}

fn take_over(storage: &Arc<dyn Storage>, clock: &Arc<ManualClock>, instance: &str) -> LaneLedger {
    let clock = Arc::clone(clock) as Arc<dyn Clock>;
    acquire(storage, &clock, &owner(instance), &source(), &At(100)).unwrap()
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(Timestamp::now()))
}

/// The footers of the chain, in order.
fn chain(storage: &Arc<dyn Storage>) -> Vec<IntervalFooter> {
    let chain = read_chain(&**storage, &source()).unwrap().chain;
    let footers = chain.live.iter().map(|file| look_footer(&**storage, &file.path).unwrap().unwrap());
    footers.collect()
}

/// The offsets in the files that the chain names, by zone.
fn rows_in(root: &Path, footers: &[IntervalFooter], zone: Zone) -> Vec<i64> {
    let files = footers.iter().flat_map(|footer| &footer.files).filter(|file| file.zone == zone);
    files.flat_map(|file| offsets(&root.join(&file.path))).collect()
}

#[test]
fn a_lane_that_was_taken_over_fails_and_leaves_nothing() {
    let root = tempfile::tempdir().unwrap();
    let storage: Arc<dyn Storage> = Arc::new(LocalStorage::open(root.path()).unwrap());
    let clock = clock();
    let committer = Box::new(LakeCommitter::new(take_over(&storage, &clock, "first")));
    let mut lane = Lane::committing(quiet(), 1 << 30, 1 << 30, Arc::clone(&clock), committer);
    lane.send(&[Rows, Rows]);
    lane.step_until(Progress::Idle);
    take_over(&storage, &clock, "second");
    lane.input = None;
    let Exit::Failed(fault) = lane.exit() else { panic!("the lane did not fail") };
    assert_eq!(fault.verdict, Verdict::Fenced);
    assert!(chain(&storage).is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn storage_that_fails_now_and_then_loses_and_doubles_nothing(
        batches in proptest::collection::vec(
            proptest::collection::vec(proptest::sample::select(Outcome::ALL.to_vec()), 0..6), 1..12,
        ),
        limit in 1..12_u64,
        faults in proptest::collection::vec(proptest::option::weighted(0.3, 0..3_u8), 0..60),
    ) {
        let root = tempfile::tempdir().unwrap();
        let local: Arc<dyn Storage> = Arc::new(LocalStorage::open(root.path()).unwrap());
        let faulty = Arc::new(FaultyStorage::new(Arc::clone(&local)));
        let storage = Arc::clone(&faulty) as Arc<dyn Storage>;
        let clock = clock();
        let committer = Box::new(LakeCommitter::new(take_over(&storage, &clock, "first")));
        let first = faulty.calls();
        for (kind, injected) in [Injected::LoseAnswer, Injected::Fail(Kind::Unavailable), Injected::Tear].into_iter().enumerate() {
            let faults = faults.clone();
            faulty.inject(injected, move |call| {
                let fault = faults.get((call.number - first) as usize).copied().flatten();
                fault == Some(kind as u8)
            });
        }
        let mut lane = Lane::committing(rows(limit), 1 << 30, 1 << 30, Arc::clone(&clock), committer);
        let mut expected = Vec::new();
        for batch in &batches {
            let from = lane.next;
            expected.extend(batch.iter().enumerate().map(|(index, outcome)| (from + index as i64, *outcome)));
            lane.send(batch);
        }
        lane.input = None;
        // Every attempt ends one fault at least, so the lane ends after as many rounds as there are faults.
        let exit = (0..5000).find_map(|_| lane.step.step().err());
        prop_assert_eq!(exit, Some(Exit::Drained));

        let footers = chain(&local);
        prop_assert_eq!(footers.last().map(|footer| footer.to), Some(lane.next));
        let messages: u64 = footers.iter().map(|footer| footer.sums.messages).sum();
        prop_assert_eq!(messages, expected.len() as u64);
        let with = |wanted: &[Outcome], times: usize| -> Vec<i64> {
            let found = expected.iter().filter(|(_, outcome)| wanted.contains(outcome));
            found.flat_map(|(offset, _)| vec![*offset; times]).collect()
        };
        prop_assert_eq!(rows_in(root.path(), &footers, Zone::Raw), with(&[Rows, Partial], super::fixture::ROWS as usize));
        prop_assert_eq!(rows_in(root.path(), &footers, Zone::Quarantine), with(&[Quarantined, Partial], 1));
        prop_assert_eq!(lane.spool.used(), 0);
    }
}

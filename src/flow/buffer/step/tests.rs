mod fixture;
mod lake;

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::fault::Verdict;
use crate::model::batch::Outcome::{self, Filtered, Partial, Quarantined, Rows, Tombstone};
use crate::model::table::RawSettings;
use crate::model::violation::Code;
use fixture::{Lane, Seen};

fn rows(limit: u64) -> RawSettings {
    RawSettings { roll_rows: limit, ..RawSettings::default() }
}

fn quiet() -> RawSettings {
    RawSettings::default()
}

#[test]
fn every_outcome_goes_where_it_belongs_and_the_input_is_drained() {
    let mut lane = Lane::new(quiet());
    lane.send(&[Rows, Quarantined, Tombstone]);
    lane.send(&[Partial, Filtered]);
    lane.answers.send(Ok(())).unwrap();
    lane.input = None;
    assert_eq!(lane.exit(), Exit::Drained);
    let seen = lane.seen.lock().unwrap().clone();
    let range = crate::model::offset::OffsetRange::new(100, 107);
    let expected = Seen {
        range,
        ledger: vec![100, 101, 102, 104, 105],
        raw: vec![100, 100, 104, 104],
        quarantine: vec![101, 104],
    };
    assert_eq!(seen, [expected]);
    let committed = lane.heard.committed.lock().unwrap()[0].clone();
    assert_eq!((committed.reason, committed.messages(), committed.attempts), (RollReason::Drain, 5, 1));
    assert_eq!(committed.codes[&(Some(0), Code::XML_SYNTAX)], 2);
    assert_eq!(committed.outcomes[&Outcome::Tombstone], 1);
    let view = lane.report.view();
    assert_eq!((view.position, view.head, view.buffered_messages), (107, 107, 0));
    assert_eq!(view.last_commit_at, Some(lane.clock.now()));
    assert_eq!((lane.spool.used(), lane.budget.used(), lane.encoders.used()), (0, 0, 0));
}

#[test]
fn the_memory_of_a_batch_is_given_back_when_it_is_encoded() {
    let mut lane = Lane::new(quiet());
    lane.send(&[Rows, Quarantined]);
    assert!(lane.budget.used() > 0);
    lane.step_until(Progress::Worked);
    assert_eq!(lane.budget.used(), 0);
    assert!(lane.encoders.used() > 0);
}

#[test]
fn a_silent_topic_is_committed_by_age() {
    let mut lane = Lane::new(quiet());
    lane.answers.send(Ok(())).unwrap();
    lane.send(&[Rows]);
    lane.step_until(Progress::Idle);
    assert!(lane.ranges().is_empty());
    lane.clock.advance(quiet().roll_age);
    lane.until(|lane| lane.report.view().head == 102);
    assert_eq!(lane.heard.committed.lock().unwrap()[0].reason, RollReason::Age);
}

#[test]
fn tombstones_and_holes_are_committed_by_age_too() {
    let mut lane = Lane::new(quiet());
    lane.answers.send(Ok(())).unwrap();
    lane.answers.send(Ok(())).unwrap();
    lane.send(&[Tombstone]);
    lane.step_until(Progress::Idle);
    lane.clock.advance(quiet().roll_age);
    lane.until(|lane| lane.report.view().head == 102);
    lane.send(&[]);
    lane.step_until(Progress::Idle);
    lane.clock.advance(quiet().roll_age);
    lane.until(|lane| lane.report.view().head == 103);
    assert_eq!(lane.ranges(), [(100, 102), (102, 103)]);
}

#[test]
fn idle_time_counts_from_the_last_message() {
    let mut lane = Lane::new(RawSettings { roll_idle: Some(Duration::from_secs(10)), ..quiet() });
    lane.answers.send(Ok(())).unwrap();
    lane.send(&[Rows]);
    lane.step_until(Progress::Idle);
    lane.clock.advance(Duration::from_secs(9));
    lane.send(&[Rows]);
    lane.step_until(Progress::Idle);
    lane.clock.advance(Duration::from_secs(9));
    lane.step_until(Progress::Idle);
    assert!(lane.ranges().is_empty());
    lane.clock.advance(Duration::from_secs(1));
    lane.until(|lane| lane.report.view().head == 104);
    assert_eq!(lane.heard.committed.lock().unwrap()[0].reason, RollReason::Idle);
}

#[test]
fn the_next_interval_fills_while_one_is_committed_and_waits_at_its_bounds() {
    let mut lane = Lane::new(rows(4));
    for _ in 0..5 {
        lane.send(&[Rows, Rows]);
    }
    lane.step_until(Progress::Blocked);
    let view = lane.report.view();
    // One interval at the committer, one full: the other three batches wait.
    assert_eq!((view.committing.map(|range| range.to()), view.position, view.head), (Some(103), 106, 100));
    lane.answers.send(Ok(())).unwrap();
    lane.until(|lane| lane.report.view().position == 109);
    for _ in 0..4 {
        lane.answers.send(Ok(())).unwrap();
    }
    lane.input = None;
    assert_eq!(lane.exit(), Exit::Drained);
    assert_eq!(lane.ranges(), [(100, 103), (103, 106), (106, 109), (109, 112), (112, 115)]);
}

#[test]
fn an_interval_that_is_only_old_goes_on_filling_while_the_one_before_it_is_committed() {
    let mut lane = Lane::new(quiet());
    lane.send(&[Rows]);
    lane.step_until(Progress::Idle);
    lane.step.command(BufferCommand::Roll);
    lane.send(&[Rows]);
    lane.until(|lane| lane.report.view().position == 104);
    lane.clock.advance(quiet().roll_age);
    lane.send(&[Rows]);
    lane.until(|lane| lane.report.view().position == 106);
    assert_eq!(lane.report.view().head, 100);
    lane.answers.send(Ok(())).unwrap();
    lane.answers.send(Ok(())).unwrap();
    lane.until(|lane| lane.report.view().head == 106);
    assert_eq!(lane.ranges(), [(100, 102), (102, 106)]);
}

#[test]
fn a_commit_that_fails_for_now_is_tried_again_with_the_same_files() {
    let mut lane = Lane::new(quiet());
    for _ in 0..3 {
        lane.answers.send(Err(Fault::retry("storage.unavailable", "no route to host"))).unwrap();
    }
    lane.answers.send(Ok(())).unwrap();
    lane.send(&[Rows]);
    lane.input = None;
    assert_eq!(lane.exit(), Exit::Drained);
    assert_eq!(lane.seen.lock().unwrap()[0].raw, [100, 100]);
    let failed = lane.heard.failed.lock().unwrap().clone();
    assert_eq!(failed.iter().map(|(attempt, _)| *attempt).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(failed[0].1, "commit library:0 [100, 102): no route to host");
    assert_eq!(lane.heard.committed.lock().unwrap()[0].attempts, 4);
    assert_eq!(lane.report.view().last_fault, None);
}

#[test]
fn a_lost_partition_a_halt_and_a_fault_of_ours_end_the_lane() {
    let faults = [
        Fault::fenced("lake.fenced", "taken over"),
        Fault::halt("storage.denied", "no permission"),
        Fault::internal("lake.bug", "a bug"),
    ];
    for fault in faults {
        let mut lane = Lane::new(rows(1));
        lane.answers.send(Err(fault.clone())).unwrap();
        lane.send(&[Rows]);
        let Exit::Failed(found) = lane.exit() else { panic!("the lane did not fail") };
        assert_eq!((found.verdict, found.event), (fault.verdict, fault.event));
        assert!(lane.report.view().last_fault.is_some());
        assert!(lane.heard.failed.lock().unwrap().is_empty());
    }
}

#[test]
fn a_batch_that_leaves_a_gap_or_overlaps_is_refused() {
    for wrong in [101, 99] {
        let mut lane = Lane::new(quiet());
        lane.next = wrong;
        lane.send(&[Rows]);
        let Exit::Failed(fault) = lane.exit() else { panic!("the lane did not fail") };
        assert_eq!((fault.event, fault.verdict), ("buffer.gap", Verdict::Retry));
    }
}

#[test]
fn a_ledger_that_does_not_account_for_everything_is_never_written() {
    let spoils: [fn(&mut ValidBatch); 6] = [
        |batch| batch.ledger.truncate(1),
        |batch| batch.ledger[0].rows += 1,
        |batch| batch.ledger[1].offset = batch.ledger[0].offset,
        |batch| batch.dead_letters.clear(),
        |batch| batch.tables.clear(),
        |batch| batch.dead_letters[0].message = 0,
    ];
    for (index, spoil) in spoils.into_iter().enumerate() {
        let mut lane = Lane::new(quiet());
        let mut batch = fixture::batch(100, &[Rows, Quarantined], &lane.budget);
        spoil(&mut batch);
        lane.input.as_ref().unwrap().send(batch).unwrap();
        let Exit::Failed(fault) = lane.exit() else { panic!("case {index} did not fail") };
        assert_eq!(fault.event, "buffer.ledger", "case {index}");
    }
}

#[test]
fn a_full_spool_stops_reading_until_the_commit_has_made_room() {
    let mut lane = Lane::with(quiet(), 1, 1 << 30);
    lane.send(&[Rows; 3000]);
    lane.send(&[Rows]);
    lane.step_until(Progress::Blocked);
    let view = lane.report.view();
    assert!(view.spool_full);
    assert_eq!((view.committing.map(|range| range.to()), view.position), (Some(3101), 3101));
    lane.answers.send(Ok(())).unwrap();
    lane.until(|lane| lane.report.view().position == 3103);
    assert_eq!(*lane.heard.full.lock().unwrap(), [true, false]);
    lane.answers.send(Ok(())).unwrap();
    lane.input = None;
    assert_eq!(lane.exit(), Exit::Drained);
    assert_eq!(lane.heard.committed.lock().unwrap()[0].reason, RollReason::SpoolFull);
}

#[test]
fn the_end_of_the_input_is_seen_when_others_have_filled_the_spool() {
    let mut lane = Lane::with(quiet(), 1, 1 << 30);
    let (mut other, _) = lane.spool.create().unwrap();
    other.resize(10);
    lane.send(&[Rows]);
    lane.step_until(Progress::Blocked);
    assert_eq!(lane.report.view().position, 100);
    lane.input = None;
    lane.step_until(Progress::Blocked);
    drop(other);
    lane.answers.send(Ok(())).unwrap();
    assert_eq!(lane.exit(), Exit::Drained);
    assert_eq!(lane.ranges(), [(100, 102)]);
}

#[test]
fn a_lane_that_is_asked_gives_its_memory_back() {
    let mut lane = Lane::with(quiet(), 1 << 30, 1);
    lane.send(&[Rows; 50]);
    lane.until(|lane| lane.report.view().position == 151);
    assert!(lane.encoders.used() > 1);
    lane.step_until(Progress::Worked);
    assert_eq!(lane.encoders.used(), 0);
    assert!(lane.report.view().buffered_bytes > 0);
}

#[test]
fn asking_an_empty_buffer_to_roll_does_nothing() {
    let mut lane = Lane::new(quiet());
    lane.step.command(BufferCommand::Roll);
    lane.send(&[Rows]);
    lane.step_until(Progress::Idle);
    assert_eq!(lane.report.view().committing, None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn whatever_is_sent_is_committed_once_and_in_order(
        batches in proptest::collection::vec(
            (proptest::collection::vec(proptest::sample::select(Outcome::ALL.to_vec()), 0..6), any::<bool>(), 0..3_usize),
            0..20,
        ),
        limit in 1..20_u64,
    ) {
        let mut lane = Lane::new(rows(limit));
        let mut outcomes = Vec::new();
        for (batch, roll, failures) in &batches {
            let first = lane.next;
            outcomes.extend(batch.iter().enumerate().map(|(index, outcome)| (first + index as i64, *outcome)));
            lane.send(batch);
            if *roll {
                lane.step.command(BufferCommand::Roll);
            }
            for _ in 0..*failures {
                lane.answers.send(Err(Fault::retry("storage.unknown-outcome", "no answer"))).unwrap();
            }
            lane.answers.send(Ok(())).unwrap();
            prop_assert!(lane.step.step().is_ok());
        }
        lane.answers.send(Ok(())).unwrap();
        lane.input = None;
        prop_assert_eq!(lane.exit(), Exit::Drained);

        let ranges = lane.ranges();
        let ends = ranges.iter().map(|(_, to)| *to);
        prop_assert_eq!(ranges.iter().map(|(from, _)| *from).chain([lane.next]).collect::<Vec<_>>(),
            std::iter::once(100).chain(ends).collect::<Vec<_>>());
        let seen = lane.seen.lock().unwrap().clone();
        let with = |wanted: &[Outcome], times: usize| -> Vec<i64> {
            let found = outcomes.iter().filter(|(_, outcome)| wanted.contains(outcome));
            found.flat_map(|(offset, _)| vec![*offset; times]).collect()
        };
        let all = |part: fn(&Seen) -> &Vec<i64>| seen.iter().flat_map(|seen| part(seen).clone()).collect::<Vec<_>>();
        prop_assert_eq!(all(|seen| &seen.ledger), with(&Outcome::ALL, 1));
        prop_assert_eq!(all(|seen| &seen.raw), with(&[Rows, Partial], fixture::ROWS as usize));
        prop_assert_eq!(all(|seen| &seen.quarantine), with(&[Quarantined, Partial], 1));
        prop_assert_eq!(lane.spool.used(), 0);
    }
}

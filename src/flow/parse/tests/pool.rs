//! A worker, its death, and what becomes of its batch.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crossbeam_channel::{Receiver, Sender, bounded};

use super::*;
use crate::flow::parse::{Lease, ParseJob, ParserStep, SHARED_ATTEMPTS};
use crate::model::batch::Outcome;
use crate::model::room::RowRoom;
use crate::stage::exit::Exit;
use crate::stage::step::{Progress, Step};

fn worker(jobs: &Receiver<ParseJob>, lease: &Lease, first: Option<ParseJob>, killers: &'static [i64]) -> ParserStep {
    let parser = Parser::new(Arc::from(vec![ParserTable::compile(&library()).unwrap()]));
    let parser = parser.with_probe(Box::new(move |message| assert!(!killers.contains(&message.offset), "killed")));
    ParserStep::new(parser, jobs.clone(), lease.clone(), RowRoom::new(256 << 20, 2), first)
}

fn job(payloads: &[&str]) -> (ParseJob, Receiver<ParsedBatch>) {
    let payloads: Vec<Option<&[u8]>> = payloads.iter().map(|payload| Some(payload.as_bytes())).collect();
    let (out, results) = bounded(1);
    (ParseJob::new(batch(&payloads), Some(0), out), results)
}

fn channel() -> (Sender<ParseJob>, Receiver<ParseJob>) {
    bounded(4)
}

#[test]
fn a_worker_parses_and_lets_its_lease_go() {
    let (jobs, queue) = channel();
    let lease = Lease::new();
    let mut worker = worker(&queue, &lease, None, &[]);
    assert_eq!(worker.step(), Ok(Progress::Idle));
    let (job, results) = job(&[LIBRARY]);
    jobs.send(job).unwrap();
    assert_eq!(worker.step(), Ok(Progress::Worked));
    assert_eq!(results.recv().unwrap().verdicts[0].outcome, Outcome::Rows);
    assert!(!lease.is_held() && lease.take_abandoned().is_none());
    drop(jobs);
    assert_eq!(worker.step(), Err(Exit::Drained));
}

#[test]
fn a_lane_without_room_or_gone_does_not_lose_the_worker() {
    let (jobs, queue) = channel();
    let lease = Lease::new();
    let mut worker = worker(&queue, &lease, None, &[]);
    let (first, results) = job(&["<library/>"]);
    let (mut second, _) = job(&["<library/>"]);
    second.out = first.out.clone();
    jobs.send(first).unwrap();
    jobs.send(second).unwrap();
    assert_eq!(worker.step(), Ok(Progress::Worked));
    assert_eq!(worker.step(), Ok(Progress::Blocked));
    assert!(lease.is_held());
    results.recv().unwrap();
    assert_eq!(worker.step(), Ok(Progress::Worked));
    assert!(!lease.is_held());
    let (orphan, results) = job(&["<library/>"]);
    drop(results);
    jobs.send(orphan).unwrap();
    assert_eq!(worker.step(), Ok(Progress::Worked));
    assert!(!lease.is_held());
}

#[test]
fn messages_that_kill_workers_end_in_quarantine_and_all_others_in_rows() {
    let (jobs, queue) = channel();
    let (first, results) = job(&[LIBRARY; 6]);
    jobs.send(first).unwrap();
    let (mut next, mut deaths) = (None, 0);
    let parsed = loop {
        let lease = Lease::new();
        let mut worker = worker(&queue, &lease, next.take(), &[102, 104]);
        match catch_unwind(AssertUnwindSafe(|| worker.step())) {
            Ok(progress) => {
                assert_eq!(progress, Ok(Progress::Worked));
                break results.recv().unwrap();
            }
            Err(_) => {
                deaths += 1;
                let abandoned = lease.take_abandoned().unwrap();
                assert_eq!(abandoned.message, Some(if deaths <= SHARED_ATTEMPTS + 1 { 2 } else { 4 }));
                next = Some(abandoned.into_retry().unwrap());
            }
        }
    };
    assert_eq!(deaths, SHARED_ATTEMPTS + 2);
    let told: Vec<_> = parsed.verdicts.iter().map(|verdict| (verdict.rows, codes(verdict))).collect();
    let (good, bad) = ((2, vec![]), (0, vec!["rule.poison"]));
    assert_eq!(told, [good.clone(), good.clone(), bad.clone(), good.clone(), bad, good]);
}

#[test]
fn a_batch_that_fails_without_a_message_to_blame_is_given_up() {
    let (job, _results) = job(&[LIBRARY]);
    let lease = Lease::new();
    let mut next = job;
    for _ in 0..SHARED_ATTEMPTS {
        lease.hold(next);
        next = lease.take_abandoned().unwrap().into_retry().unwrap();
    }
    lease.hold(next);
    let fault = lease.take_abandoned().unwrap().into_retry().unwrap_err();
    assert_eq!(fault.event, "parser.batch");
}

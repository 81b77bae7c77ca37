//! A worker, its death, and what becomes of its batch.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crossbeam_channel::{Receiver, Sender, bounded};

use super::*;
use crate::flow::parse::{Lease, ParseJob, ParserStep, SHARED_ATTEMPTS};
use crate::model::batch::Outcome;
use crate::model::room::RowRoom;
use crate::model::slots::LaneSlots;
use crate::stage::exit::Exit;
use crate::stage::step::{Progress, Step};

fn worker(jobs: &Receiver<ParseJob>, lease: &Lease, first: Option<ParseJob>, killers: &'static [i64]) -> ParserStep {
    worker_in(&RowRoom::new(256 << 20, 2), jobs, lease, first, killers)
}

fn worker_in(
    room: &RowRoom,
    jobs: &Receiver<ParseJob>,
    lease: &Lease,
    first: Option<ParseJob>,
    killers: &'static [i64],
) -> ParserStep {
    let parser = Parser::new(Arc::from([]));
    let parser = parser.with_probe(Box::new(move |message| assert!(!killers.contains(&message.offset), "killed")));
    ParserStep::new(parser, jobs.clone(), lease.clone(), room.clone(), first)
}

fn job(payloads: &[&str]) -> (ParseJob, Receiver<ParsedBatch>) {
    let payloads: Vec<Option<&[u8]>> = payloads.iter().map(|payload| Some(payload.as_bytes())).collect();
    let (out, results) = bounded(1);
    (ParseJob::new(batch(&payloads), Some(0), compiled(), out), results)
}

fn compiled() -> Arc<[ParserTable]> {
    Arc::from(vec![ParserTable::compile(&library()).unwrap()])
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

/// A message of so many rows, of about sixty bytes each.
fn rows(count: usize) -> String {
    format!("<library branch=\"L1\">{}</library>", "<book><record_id>1</record_id></book>".repeat(count))
}

/// Steps until it waits for something or has nothing to do.
fn run(worker: &mut ParserStep) -> Progress {
    loop {
        let progress = worker.step().unwrap();
        if progress != Progress::Worked {
            return progress;
        }
    }
}

#[test]
fn a_batch_with_too_many_rows_goes_on_in_pieces_and_each_message_once() {
    // A piece holds 1 MiB of rows, a message may have 6 MiB, and no batch is begun while 1 MiB is held.
    let room = RowRoom::new(8 << 20, 1);
    let sizes = [5, 4000, 9000, 5, 30_000, 5, 90_000, 1, 15_000, 15_000, 2];
    let texts: Vec<String> = sizes.iter().map(|count| rows(*count)).collect();
    let payloads: Vec<Option<&[u8]>> = texts.iter().map(|text| Some(text.as_bytes())).collect();
    let (jobs, queue) = channel();
    let (out, results) = bounded(100);
    let lease = Lease::new();
    let mut worker = worker_in(&room, &queue, &lease, None, &[]);
    jobs.send(ParseJob::new(batch(&payloads), Some(0), compiled(), out)).unwrap();
    let mut pieces: Vec<ParsedBatch> = Vec::new();
    while pieces.last().is_none_or(|piece| !piece.raw.piece.is_last) {
        run(&mut worker);
        let mut piece = results.recv().unwrap();
        let bytes: usize = piece.tables.iter().map(|part| part.rows.get_array_memory_size()).sum();
        assert!(bytes < 3 << 20 || piece.verdicts.len() == 1, "{bytes} bytes in {} messages", piece.verdicts.len());
        // It is encoded now.
        piece.room = None;
        pieces.push(piece);
    }
    assert!(!lease.is_held() && room.used() == 0 && pieces.len() > 4, "{}", pieces.len());
    let mut at = 100;
    for (number, piece) in pieces.iter().enumerate() {
        assert_eq!((piece.raw.piece.number as usize, piece.raw.range.from()), (number, at));
        at = piece.raw.range.to();
        assert_eq!(piece.raw.messages.len(), piece.verdicts.len());
        for (message, verdict) in piece.raw.messages.iter().zip(&piece.verdicts) {
            let size = sizes[usize::try_from(message.offset - 100).unwrap()];
            let told = if size == 90_000 { (0, vec!["limit.rows"]) } else { (size, vec![]) };
            assert_eq!((verdict.rows as usize, codes(verdict)), told, "offset {}", message.offset);
            let payload = piece.raw.slice(message.payload.as_ref().unwrap());
            assert_eq!(payload, texts[usize::try_from(message.offset - 100).unwrap()].as_bytes());
        }
        let held: usize = piece.tables.iter().map(|part| part.rows.num_rows()).sum();
        assert_eq!(held, piece.verdicts.iter().map(|verdict| verdict.rows as usize).sum::<usize>());
    }
    assert_eq!(at, 111);
}

#[test]
fn a_message_with_more_rows_than_a_piece_waits_for_its_turn_and_for_those_before_it() {
    let room = RowRoom::new(8 << 20, 1);
    let slots = LaneSlots::new(2);
    let older = slots.take(std::time::Duration::ZERO);
    let text = rows(30_000);
    let mut raw = Arc::into_inner(batch(&[Some(text.as_bytes())])).unwrap();
    raw.slot = slots.take(std::time::Duration::ZERO);
    let (jobs, queue) = channel();
    let (out, results) = bounded(1);
    let lease = Lease::new();
    let mut worker = worker_in(&room, &queue, &lease, None, &[]);
    jobs.send(ParseJob::new(Arc::new(raw), Some(0), compiled(), out)).unwrap();
    let turn = room.try_turn();
    assert_eq!(run(&mut worker), Progress::Blocked);
    drop(turn);
    assert_eq!(run(&mut worker), Progress::Blocked, "one that was read before is not encoded yet");
    assert!(room.try_turn().is_some() && lease.is_held());
    drop(older);
    assert_eq!(run(&mut worker), Progress::Idle);
    let parsed = results.recv().unwrap();
    assert_eq!(parsed.verdicts[0].rows, 30_000);
    assert!(room.try_turn().is_none(), "until its rows are encoded");
    drop(parsed);
    assert!(room.try_turn().is_some() && !lease.is_held());
}

#[test]
fn a_worker_that_dies_between_two_pieces_leaves_the_rest_to_the_next() {
    let room = RowRoom::new(8 << 20, 1);
    let texts: Vec<String> = (0..6).map(|_| rows(12_000)).collect();
    let payloads: Vec<Option<&[u8]>> = texts.iter().map(|text| Some(text.as_bytes())).collect();
    let (jobs, queue) = channel();
    let (out, results) = bounded(100);
    jobs.send(ParseJob::new(batch(&payloads), Some(0), compiled(), out)).unwrap();
    let (mut lease, mut deaths) = (Lease::new(), 0);
    let mut worker = worker_in(&room, &queue, &lease, None, &[104]);
    let mut verdicts = BTreeMap::new();
    while verdicts.len() < 6 {
        if catch_unwind(AssertUnwindSafe(|| run(&mut worker))).is_err() {
            deaths += 1;
            let next = lease.take_abandoned().unwrap().into_retry().unwrap();
            lease = Lease::new();
            worker = worker_in(&room, &queue, &lease, Some(next), &[104]);
        }
        // They are encoded as soon as they are looked at.
        for piece in results.try_iter() {
            for (message, verdict) in piece.raw.messages.iter().zip(&piece.verdicts) {
                verdicts.insert(message.offset, codes(verdict).join(" "));
            }
        }
    }
    assert_eq!(deaths, SHARED_ATTEMPTS + 1);
    let told: Vec<&str> = verdicts.values().map(String::as_str).collect();
    assert_eq!(told, ["", "", "", "", "rule.poison", ""]);
}

#[test]
fn each_batch_is_parsed_with_the_tables_that_it_brings() {
    let (jobs, queue) = channel();
    let lease = Lease::new();
    let mut worker = worker(&queue, &lease, None, &[]);
    let (old, results) = job(&[LIBRARY]);
    let mut mapping = library();
    mapping.columns.truncate(1);
    let fewer: Arc<[ParserTable]> = Arc::from(vec![ParserTable::compile(&mapping).unwrap()]);
    // Lanes that a reload concerns and lanes that it does not, in turns.
    for round in 0..6 {
        let mut next = old.clone();
        if round % 2 == 1 {
            next.tables = Arc::clone(&fewer);
        }
        let columns = next.tables[0].schema().fields().len();
        jobs.send(next).unwrap();
        assert_eq!(worker.step(), Ok(Progress::Worked));
        let parsed = results.recv().unwrap();
        assert_eq!((parsed.verdicts[0].outcome, parsed.tables[0].rows.num_columns()), (Outcome::Rows, columns));
    }
}

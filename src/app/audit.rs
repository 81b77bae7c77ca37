//! `forebay audit`: the promises of both zones from storage alone, and how the chains fit what Kafka has.

mod kafka;
mod memory;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use super::daemon;
use super::{look, say};
use crate::cli::{self, Global};
use crate::exit::ExitCode;
use crate::fault::{Fault, Verdict};
use crate::flow::promote::audit_processed;
use crate::lake::audit::{Depth, Invariant, Known, NotCompared, Report, Unread, Violation, audit_raw_since};
use crate::lake::names::processed_dir;
use crate::model::table::Table;
use crate::storage::Storage;

/// Bytes of memory for the keys of a table.
const MEMORY: u64 = 64 << 20;

/// What each promise says, in the words of a person who reads the verdict.
const WORDS: [(&str, &str); 8] = [
    ("I1", "the ledger of every Kafka partition is a chain without gap or overlap"),
    ("I2", "every message has one outcome, and what it says is in the files it names"),
    ("I3", "no chain goes beyond the end of its Kafka partition"),
    ("I5", "processed holds each record id once, in its winning version"),
    ("I6", "every processed row names the message it comes from"),
    ("I7", "the table log names whole promotions only"),
    ("I8", "a reader of directories sees what a reader of the log sees"),
    ("I9", "Kafka has what comes next in every chain"),
];

/// `forebay audit`.
pub(super) fn run(order: &cli::Audit, global: &Global) -> Result<ExitCode, Fault> {
    let settings = look::load(global)?;
    let storage = daemon::open_lake_to_look(&settings)?;
    let spool = std::env::temp_dir().join(format!("forebay-audit-{}", std::process::id()));
    let memory = memory::file_of(storage.url());
    let is_fresh = order.deep || order.afresh;
    let known = memory.as_deref().filter(|_| !is_fresh).map_or_else(Known::nothing, memory::read);
    let depth = if order.deep { Depth::DataBytes } else { Depth::DataFooters };
    let (report, known) = thread::scope(|scope| {
        // A cluster that is away takes its time to be found so: who has no thread for it asks afterwards.
        let asked = thread::Builder::new().name("kafka".into()).spawn_scoped(scope, || kafka::connect(&settings));
        let (report, known) = audit_since(&storage, &settings.tables, &spool, depth, &known);
        let panicked = |_| Err(Fault::internal("audit.kafka", "the look for kafka panicked"));
        let cluster = asked.map_or_else(|_| kafka::connect(&settings), |asked| asked.join().unwrap_or_else(panicked));
        (kafka::compare(&*storage, cluster, report), known)
    });
    // It holds keys only, and a left one is swept with the temporary folder.
    let _ = std::fs::remove_dir_all(&spool);
    if let (Some(file), Some(known)) = (memory, known) {
        memory::write(&file, &known);
    }
    let text = if global.json { json(&report)? } else { say::tame(&picture(&report)) };
    say::result(&text)?;
    report.unread.iter().for_each(|unread| say::problem(&format!("{}: {}", unread.what, unread.why)));
    Ok(verdict(&report))
}

/// How the command ends. What was found speaks against the lake whatever else there may be; only where nothing was
/// found does it matter that something could not be looked at.
pub fn verdict(report: &Report) -> ExitCode {
    match report.unread.first() {
        _ if report.invariants.iter().any(|invariant| !invariant.ok) => ExitCode::No,
        Some(unread) => ExitCode::of(&unread.fault),
        None => ExitCode::Done,
    }
}

/// Audits the chains, and the Processed zone of every table that has one. `spool` is a local folder of its own.
pub fn audit(storage: &Arc<dyn Storage>, tables: &[Table], spool: &Path) -> Report {
    audit_since(storage, tables, spool, Depth::DataFooters, &Known::nothing()).0
}

/// The same from where the chains are `known` to be right; gives also up to where they are known now. What cannot be
/// looked at hides nothing of what was found elsewhere.
fn audit_since(
    storage: &Arc<dyn Storage>,
    tables: &[Table],
    spool: &Path,
    depth: Depth,
    known: &Known,
) -> (Report, Option<Known>) {
    let (mut report, mut by_id, mut now_known) = (Report::default(), BTreeMap::new(), None);
    match audit_raw_since(&**storage, depth, known) {
        Ok(raw) => {
            for invariant in [raw.chain, raw.complete] {
                by_id.insert(invariant.id, invariant);
            }
            (report.tables, report.partitions, report.unread) = (raw.tables, raw.partitions, raw.unread);
            now_known = Some(raw.known);
        }
        Err(error) => report.unread.push(Unread::new("the ledger", error.into())),
    }
    for table in tables.iter().filter(|table| table.processed.is_some()) {
        match audit_processed(storage, table, &spool.join(&*table.name), MEMORY) {
            Ok(found) => found.into_iter().for_each(|invariant| add(&mut by_id, invariant)),
            // What is wrong with the lake or does not fit it: no further look would find it otherwise.
            Err(fault) if fault.verdict == Verdict::Halt && !fault.is_about_permission() => {
                let what = format!("table {} cannot be judged: {}", table.name, fault.message);
                add(&mut by_id, Invariant::new("I5", 0, vec![Violation::at(processed_dir(&table.name), what)]));
            }
            Err(fault) => report.unread.push(Unread::new(format!("table {}", table.name), fault)),
        }
    }
    report.invariants = by_id.into_values().collect();
    (report.judged(), now_known)
}

fn add(by_id: &mut BTreeMap<&'static str, Invariant>, found: Invariant) {
    let sum = by_id.entry(found.id).or_insert_with(|| Invariant::new(found.id, 0, Vec::new()));
    sum.ok &= found.ok;
    sum.checked += found.checked;
    sum.violations.extend(found.violations);
}

fn json(report: &Report) -> Result<String, Fault> {
    let json = serde_json::to_string(report);
    json.map(|text| text + "\n").map_err(|error| Fault::internal("audit.json", error.to_string()))
}

/// The verdict for people.
pub fn picture(report: &Report) -> String {
    let mut out = String::new();
    for invariant in &report.invariants {
        let verdict = if invariant.ok { "ok    " } else { "BROKEN" };
        let words = WORDS.iter().find(|(id, _)| *id == invariant.id).map_or("", |(_, words)| words);
        out.push_str(&format!("{verdict}  {}  {words} ({} checked)\n", invariant.id, invariant.checked));
        for violation in &invariant.violations {
            out.push_str(&format!("          {violation}\n"));
        }
    }
    for lane in &report.partitions {
        let range = lane.from.zip(lane.to).map_or_else(|| "empty".to_owned(), |(from, to)| format!("[{from}, {to})"));
        let (rows, quarantined, tombstones) = (lane.rows, lane.quarantined, lane.tombstones);
        let in_kafka =
            lane.low.zip(lane.high).map_or_else(String::new, |(low, high)| format!("; kafka has [{low}, {high})"));
        out.push_str(&format!(
            "{}:{} {range}: {} messages in {} intervals, {rows} rows, {quarantined} in quarantine, {tombstones} tombstones{in_kafka}\n",
            lane.topic, lane.partition, lane.messages, lane.intervals
        ));
    }
    for table in &report.tables {
        let (name, messages, rows, quarantined) = (&table.table, table.messages, table.rows, table.quarantined);
        out.push_str(&format!("{name}: {messages} messages, {rows} rows, {quarantined} in quarantine\n"));
    }
    for NotCompared { what, why } in &report.not_compared {
        out.push_str(&format!("not compared with kafka: {what}: {why}\n"));
    }
    let is_broken = report.invariants.iter().any(|invariant| !invariant.ok);
    out.push_str(match (is_broken, report.unread.is_empty()) {
        (false, true) => "every promise holds\n",
        (true, _) => "not every promise holds\n",
        (false, false) => "nothing is known to be broken, but not everything could be looked at\n",
    });
    out
}

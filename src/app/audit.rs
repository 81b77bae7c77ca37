//! `forebay audit`: the promises of both zones, from storage alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::daemon;
use super::{look, say};
use crate::cli::Global;
use crate::exit::ExitCode;
use crate::fault::Fault;
use crate::flow::promote::audit_processed;
use crate::lake::audit::{Depth, Invariant, Report, audit_raw};
use crate::model::table::Table;
use crate::storage::Storage;

/// Bytes of memory for the keys of a table.
const MEMORY: u64 = 64 << 20;

/// What each promise says, in the words of a person who reads the verdict.
const WORDS: [(&str, &str); 6] = [
    ("I1", "the ledger of every Kafka partition is a chain without gap or overlap"),
    ("I2", "every message has one outcome, and what it says is in the files it names"),
    ("I5", "processed holds each record id once, in its winning version"),
    ("I6", "every processed row names the message it comes from"),
    ("I7", "the table log names whole promotions only"),
    ("I8", "a reader of directories sees what a reader of the log sees"),
];

/// `forebay audit`.
pub(super) fn run(global: &Global) -> Result<ExitCode, Fault> {
    let settings = look::load(global)?;
    let storage = daemon::open_lake_to_look(&settings)?;
    let spool = std::env::temp_dir().join(format!("forebay-audit-{}", std::process::id()));
    let report = audit(&storage, &settings.tables, &spool);
    // It holds keys only, and a left one is swept with the temporary folder.
    let _ = std::fs::remove_dir_all(&spool);
    let report = report?;
    let text = if global.json { json(&report)? } else { say::tame(&picture(&report)) };
    say::result(&text)?;
    Ok(if report.ok { ExitCode::Done } else { ExitCode::No })
}

/// Audits the chains, and the Processed zone of every table that has one. `spool` is a local folder of its own.
///
/// # Errors
///
/// When storage or the folder cannot be read: nothing could be proved either way.
pub fn audit(storage: &Arc<dyn Storage>, tables: &[Table], spool: &std::path::Path) -> Result<Report, Fault> {
    let raw = audit_raw(&**storage, Depth::DataFooters)?;
    let mut by_id = BTreeMap::new();
    for invariant in [raw.chain, raw.complete] {
        by_id.insert(invariant.id, invariant);
    }
    for table in tables.iter().filter(|table| table.processed.is_some()) {
        for found in audit_processed(storage, table, &spool.join(&*table.name), MEMORY)? {
            let sum = by_id.entry(found.id).or_insert_with(|| Invariant::new(found.id, 0, Vec::new()));
            sum.ok &= found.ok;
            sum.checked += found.checked;
            sum.violations.extend(found.violations);
        }
    }
    Ok(Report::new(by_id.into_values().collect(), raw.tables))
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
    for table in &report.tables {
        let (name, messages, rows, quarantined) = (&table.table, table.messages, table.rows, table.quarantined);
        out.push_str(&format!("{name}: {messages} messages, {rows} rows, {quarantined} in quarantine\n"));
    }
    out.push_str(if report.ok { "every promise holds\n" } else { "not every promise holds\n" });
    out
}

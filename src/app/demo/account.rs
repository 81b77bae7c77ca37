//! What a demo did, told from the lake alone: the ledger, the table log, the audit.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::Array;
use serde::Serialize;

use super::folder::Folder;
use super::live::grouped;
use crate::app::{audit, cells};
use crate::config::Settings;
use crate::fault::Fault;
use crate::lake::audit::Report;
use crate::lake::chain::read_chain;
use crate::lake::log::TableLog;
use crate::lake::names::NULL_DATE;
use crate::lake::parquet_reader::ParquetFile;
use crate::model::offset::TopicPartition;
use crate::model::table::Table;
use crate::storage::Storage;

/// Rows of a ledger file that are looked at together.
const BATCH_ROWS: usize = 8192;
/// Dates in one line.
const DATES_A_LINE: usize = 4;

/// What was sent, and how long it took.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent {
    /// Messages that Kafka acknowledged.
    pub(super) messages: u64,
    /// Bytes of their payloads.
    pub(super) bytes: u64,
    /// From the first message to the end of the last promotion.
    pub(super) elapsed: Duration,
    /// Somebody stopped the demo before its end.
    pub(super) is_stopped: bool,
}

/// The account of one demo.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Account {
    /// Whether every promise holds, and every message sent is in the ledger unless the demo was stopped.
    ok: bool,
    /// Somebody stopped the demo before its end.
    stopped: bool,
    /// Messages that Kafka acknowledged.
    sent: u64,
    /// Bytes of their payloads.
    sent_bytes: u64,
    /// Messages in the ledger.
    messages: u64,
    /// The same, by outcome.
    outcomes: BTreeMap<String, u64>,
    /// Rows in RAW.
    rows: u64,
    /// Messages in quarantine, by their first violation.
    quarantined: BTreeMap<String, u64>,
    /// Rows in Processed, by date.
    processed: BTreeMap<String, u64>,
    /// The verdict on the promises.
    audit: Report,
    /// From the first message to the end of the last promotion.
    elapsed_seconds: f64,
    /// Messages in the ledger a second.
    messages_per_second: f64,
    /// Where the lake is.
    lake: String,
    /// Commands to look further.
    commands: Vec<String>,
}

/// What the ledger says.
#[derive(Debug, Default)]
struct Ledger {
    messages: u64,
    outcomes: BTreeMap<String, u64>,
    codes: BTreeMap<String, u64>,
}

impl Account {
    /// Looks at the lake of `folder`.
    ///
    /// # Errors
    ///
    /// When the lake cannot be read; what is wrong with it is in the account.
    pub(super) fn take(
        folder: &Folder,
        settings: &Settings,
        storage: &Arc<dyn Storage>,
        sources: &[TopicPartition],
        sent: Sent,
    ) -> Result<Self, Fault> {
        let ledger = Ledger::read(storage, sources)?;
        let audit = audit::audit(storage, &settings.tables, &settings.limits.spool.dir.join("audit"));
        let mut processed = BTreeMap::new();
        for table in &settings.tables {
            count_dates(storage, table, &mut processed)?;
        }
        let seconds = sent.elapsed.as_secs_f64();
        Ok(Self {
            ok: audit.ok && (sent.is_stopped || ledger.messages == sent.messages),
            stopped: sent.is_stopped,
            sent: sent.messages,
            sent_bytes: sent.bytes,
            messages: ledger.messages,
            outcomes: ledger.outcomes,
            rows: audit.tables.iter().map(|table| table.rows).sum(),
            quarantined: ledger.codes,
            processed,
            audit,
            elapsed_seconds: (seconds * 1000.0).round() / 1000.0,
            messages_per_second: (ledger.messages as f64 / seconds.max(0.001)).round(),
            lake: folder.lake().display().to_string(),
            commands: commands(folder),
        })
    }

    /// Whether every promise holds, and every message sent is in the ledger unless the demo was stopped.
    pub(super) fn is_ok(&self) -> bool {
        self.ok
    }

    fn outcome(&self, name: &str) -> u64 {
        self.outcomes.get(name).copied().unwrap_or(0)
    }
}

impl Ledger {
    fn read(storage: &Arc<dyn Storage>, sources: &[TopicPartition]) -> Result<Self, Fault> {
        let mut ledger = Self::default();
        for source in sources {
            for file in read_chain(&**storage, source)?.chain.live {
                let file = ParquetFile::open(Arc::clone(storage), file.path, file.bytes)?;
                let wanted: Vec<usize> =
                    ["outcome", "code"].iter().filter_map(|name| file.schema().index_of(name).ok()).collect();
                for batch in file.read(&wanted, BATCH_ROWS)? {
                    let batch = batch?;
                    let column = |name| batch.column_by_name(name).map(AsRef::as_ref);
                    ledger.count(column("outcome"), column("code"), batch.num_rows());
                }
            }
        }
        Ok(ledger)
    }

    fn count(&mut self, outcomes: Option<&dyn Array>, codes: Option<&dyn Array>, rows: usize) {
        self.messages += rows as u64;
        for row in 0..rows {
            if let Some(outcomes) = outcomes {
                *self.outcomes.entry(cells::text(outcomes, row)).or_insert(0) += 1;
            }
            if let Some(codes) = codes.filter(|codes| !cells::json(*codes, row).is_null()) {
                *self.codes.entry(cells::text(codes, row)).or_insert(0) += 1;
            }
        }
    }
}

fn count_dates(storage: &Arc<dyn Storage>, table: &Table, dates: &mut BTreeMap<String, u64>) -> Result<(), Fault> {
    let live = TableLog::look(storage, &table.name)?.state()?.map(|state| state.live).unwrap_or_default();
    for file in live {
        *dates.entry(file.dt.unwrap_or_else(|| NULL_DATE.to_owned())).or_insert(0) += file.rows;
    }
    Ok(())
}

/// Three commands to look further, as a shell takes them.
fn commands(folder: &Folder) -> Vec<String> {
    let program = std::env::current_exe().unwrap_or_else(|_| "forebay".into());
    let forebay = format!("{} --config {}", shell(&program), shell(&folder.config()));
    vec![
        format!("find {} -name '*.parquet' | sort", shell(&folder.lake())),
        format!("{forebay} show processed.books --limit 5 --columns record_id,title,price,added,kafka_offset"),
        format!("{forebay} show quarantine.books --limit 3 --json --columns kafka_offset,violations"),
    ]
}

/// A path as one word of a shell.
fn shell(path: &Path) -> String {
    let text = path.to_string_lossy();
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-+=:,@".contains(letter);
    if !text.is_empty() && text.chars().all(is_plain) {
        text.into_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// Width of the names on the left.
const GAP: &str = "              ";

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let megabytes = self.sent_bytes as f64 / 1e6;
        let stopped = if self.stopped { "stopped early: " } else { "" };
        writeln!(
            f,
            "{stopped}{} messages in {:.1} s, {} a second (the embedded kafka keeps little, so sending waits for commits)",
            grouped(self.messages),
            self.elapsed_seconds,
            grouped(self.messages_per_second as u64)
        )?;
        writeln!(f)?;
        writeln!(f, "sent          {:>9} messages, {megabytes:.1} MB", grouped(self.sent))?;
        let missing = self.sent.saturating_sub(self.messages);
        let missing = match (missing, self.stopped) {
            (0, _) => String::new(),
            (_, true) => format!(", {} were not read any more", grouped(missing)),
            (_, false) => format!(", {} ARE MISSING", grouped(missing)),
        };
        writeln!(f, "ledger        {:>9} messages{missing}", grouped(self.messages))?;
        writeln!(f, "  as rows     {:>9} messages, {} rows in raw", grouped(self.outcome("rows")), grouped(self.rows))?;
        writeln!(f, "  tombstones  {:>9} messages", grouped(self.outcome("tombstone")))?;
        writeln!(f, "  quarantined {:>9} messages, because of", grouped(self.outcome("quarantined")))?;
        for (code, messages) in &self.quarantined {
            writeln!(f, "{GAP}{:>9} {code}", grouped(*messages))?;
        }
        let rows = self.processed.values().sum();
        writeln!(f, "processed     {:>9} rows, each record id once, by date", grouped(rows))?;
        let dates: Vec<_> = self.processed.iter().collect();
        for line in dates.chunks(DATES_A_LINE) {
            let line: Vec<String> = line.iter().map(|(date, rows)| format!("{date} {:>6}", grouped(**rows))).collect();
            writeln!(f, "{GAP}{}", line.join("  "))?;
        }
        writeln!(f, "audit")?;
        for line in audit::picture(&self.audit).lines() {
            writeln!(f, "  {line}")?;
        }
        writeln!(f)?;
        writeln!(f, "The lake stays in {}. To look further:", self.lake)?;
        for command in &self.commands {
            writeln!(f, "  {command}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_paths_stay_one_word_of_a_shell() {
        assert_eq!(shell(Path::new("/tmp/forebay-demo-1a/lake")), "/tmp/forebay-demo-1a/lake");
        assert_eq!(shell(Path::new("/tmp/my lake")), "'/tmp/my lake'");
        assert_eq!(shell(Path::new("/tmp/it's")), r"'/tmp/it'\''s'");
    }
}

//! The real committer: hands closed intervals to the chain that the lane owns.

use super::commit::Committer;
use super::file::SpooledFile;
use super::interval::{ClosedFile, ClosedInterval};
use crate::fault::Fault;
use crate::flow::spool::SpoolFile;
use crate::lake::footer::{MappingUsed, Zone};
use crate::lake::ledger::Spooled;
use crate::lake::names::UNROUTED;
use crate::lake::{LaneLedger, PendingInterval, SpooledData};

/// Commits into the lake.
#[derive(Debug)]
pub struct LakeCommitter {
    lane: LaneLedger,
    /// The interval in flight as the lake remembers it between attempts, with the room its ledger takes in the spool.
    pending: Option<(PendingInterval, SpoolFile)>,
}

impl LakeCommitter {
    /// A committer for the chain in `lane`.
    pub fn new(lane: LaneLedger) -> Self {
        Self { lane, pending: None }
    }
}

impl Committer for LakeCommitter {
    fn commit(&mut self, interval: &mut ClosedInterval) -> Result<(), Fault> {
        if let Some(ledger) = interval.ledger.take() {
            let (writer, file) = ledger.into_parts();
            let data = interval.files.iter().map(|closed| data(interval, closed)).collect();
            self.pending = Some((PendingInterval::new(interval.range, writer, data, mappings(interval)), file));
        }
        let (pending, _) =
            self.pending.as_mut().filter(|(pending, _)| pending.range() == interval.range).ok_or_else(|| {
                Fault::internal("buffer.no-ledger", format!("{} of {} has no ledger", interval.range, interval.source))
            })?;
        let committed = self.lane.commit(pending)?;
        let data: u64 = interval.files.iter().map(|closed| closed.file.bytes()).sum();
        interval.ledger_bytes = committed.bytes.saturating_sub(data);
        self.pending = None;
        Ok(())
    }
}

fn data(interval: &ClosedInterval, closed: &ClosedFile) -> SpooledData {
    let table = closed.table.and_then(|index| interval.catalog.get(index));
    let table = table.map_or_else(|| UNROUTED.to_owned(), |table| table.name.to_string());
    SpooledData { zone: closed.zone, table, file: spooled(&closed.file) }
}

/// A finished file of the spool as the lake takes it.
pub(in crate::flow) fn spooled(file: &SpooledFile) -> Spooled {
    Spooled { path: file.path().to_owned(), bytes: file.bytes(), rows: file.rows(), checksum: file.checksum() }
}

/// The mappings that made the rows of this interval.
fn mappings(interval: &ClosedInterval) -> Vec<MappingUsed> {
    let raw = interval.files.iter().filter(|closed| closed.zone == Zone::Raw);
    let tables = raw.filter_map(|closed| {
        let index = closed.table?;
        interval.catalog.get(index).zip(interval.catalog.settings(index))
    });
    let used = tables.map(|(table, settings)| MappingUsed {
        table: table.name.to_string(),
        name: settings.mapping.name.clone(),
        version: settings.mapping.version,
    });
    used.collect()
}

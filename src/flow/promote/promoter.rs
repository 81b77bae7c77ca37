//! Promotes a table: from new intervals of RAW to a plan, its files, and an entry in the table log.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::decide::{Survey, Surveyor};
use super::delta::LaneDelta;
use super::keys::spool_fault;
use super::rewrite::Rewriter;
use super::scan::KeyReader;
use super::sources::{Lane, read_lanes};
use super::stage::Stager;
use crate::fault::Fault;
use crate::lake::columns::{ColumnSpec, DATE_PARTITION, grown, specs_of};
use crate::lake::fence::{Owner, take_epoch};
use crate::lake::log::{LiveFile, TableLog, check_census};
use crate::lake::names::{Home, epoch_segment, processed_dir};
use crate::lake::plan::{Census, Consumed, Cursor, Plan};
use crate::lake::roll::Holding;
use crate::model::offset::{Epoch, TopicPartition};
use crate::model::table::{ProcessedSettings, Retire, Table};
use crate::observe::events::TableRecovery;
use crate::storage::Storage;

/// What one promotion did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromotionReport {
    /// Its number; none when nothing was new.
    pub seq: Option<u64>,
    /// Intervals consumed.
    pub intervals: u64,
    /// Rows read in them.
    pub rows_read: u64,
    /// Rows written as the winning versions of their ids.
    pub winners: u64,
    /// Ids that Processed did not have.
    pub ids_new: u64,
    /// Ids whose row was replaced.
    pub ids_changed: u64,
    /// Ids that RAW does not have any more after a rewind or a revision.
    pub ids_removed: u64,
    /// Files added.
    pub files_added: u64,
    /// Bytes of the files added.
    pub bytes_added: u64,
    /// Files removed.
    pub files_removed: u64,
    /// Rows written by path partition; none for rows without a good date.
    pub rows_by_date: BTreeMap<Option<String>, u64>,
    /// Kafka partitions that were left out, and why.
    pub left_out: Vec<(TopicPartition, String)>,
    /// How long it took.
    pub duration: Duration,
}

impl fmt::Display for PromotionReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(seq) = self.seq else { return f.write_str("nothing new") };
        write!(
            f,
            "promotion {seq}: {} intervals, {} rows read, {} new ids, {} changed, {} removed, {} files added, {} removed",
            self.intervals,
            self.rows_read,
            self.ids_new,
            self.ids_changed,
            self.ids_removed,
            self.files_added,
            self.files_removed
        )
    }
}

/// Promotes one table, as long as nobody else takes it over.
///
/// Memory: `budget` bytes for keys or for rows on their way into files, the encoded columns of one row group of the
/// file being read, one bit for each row of the files concerned, and eight bits for each new id.
///
/// Blocking: to be called on a thread that may wait.
pub struct Promoter {
    storage: Arc<dyn Storage>,
    owner: Owner,
    table: Table,
    settings: ProcessedSettings,
    columns: Vec<ColumnSpec>,
    spool: PathBuf,
    budget: u64,
    session: Option<Session>,
    /// What was put in order when the table was taken over, in that epoch, and was not told yet.
    recovery: Option<(Epoch, TableRecovery)>,
    /// What went wrong without harm, e.g. a checkpoint of the table log, and was not told yet.
    warnings: Vec<Fault>,
}

/// One epoch of ours, and the newest plan.
struct Session {
    holding: Holding,
    last: Option<Plan>,
}

impl Promoter {
    /// Takes the table over: epoch, fence, and whatever a published plan still needs. `spool` is a local folder of
    /// this table's own, which is emptied; `budget` is bytes of memory.
    ///
    /// # Errors
    ///
    /// A table that is not promoted or whose settings do not fit it; another promoter; storage.
    pub fn acquire(
        storage: Arc<dyn Storage>,
        owner: Owner,
        table: &Table,
        spool: PathBuf,
        budget: u64,
    ) -> Result<Self, Fault> {
        let settings = table
            .processed
            .clone()
            .ok_or_else(|| Fault::halt("promote.settings", format!("table {} has no [table.processed]", table.name)))?;
        if let Retire::Vacuum(_) = settings.retire {
            return Err(Fault::halt(
                "promote.settings",
                format!("table {}: retire = \"vacuum\" is not there yet; take \"immediate\"", table.name),
            ));
        }
        let columns = specs_of(&table.mapping.raw_schema())?;
        if columns.iter().any(|column| column.name.eq_ignore_ascii_case(DATE_PARTITION)) {
            return Err(Fault::halt(
                "promote.schema",
                format!(
                    "table {}: column {DATE_PARTITION} clashes with the path partition; name it otherwise",
                    table.name
                ),
            ));
        }
        let (table, session, recovery, warnings) = (table.clone(), None, None, Vec::new());
        let mut promoter =
            Self { storage, owner, table, settings, columns, spool, budget, session, recovery, warnings };
        promoter.session = Some(promoter.take_over()?);
        Ok(promoter)
    }

    /// The epoch of this promoter; none after a fault, until the next promotion takes another.
    pub fn epoch(&self) -> Option<Epoch> {
        self.session.as_ref().map(|session| session.holding.tenure.epoch)
    }

    /// What an earlier promoter had left, since this was last asked: none when all was in order.
    pub fn take_recovery(&mut self) -> Option<(Epoch, TableRecovery)> {
        self.recovery.take()
    }

    /// What went wrong without harm since this was last asked: whoever runs the promoter tells it, whatever came of the
    /// promotion.
    pub fn take_warnings(&mut self) -> Vec<Fault> {
        std::mem::take(&mut self.warnings)
    }

    /// Promotes what is new. Nothing new changes nothing. After a fault the next call takes a new epoch and finishes
    /// what was published.
    ///
    /// # Errors
    ///
    /// Another promoter has taken over; storage; files, chains or a log that do not fit.
    pub fn promote(&mut self) -> Result<PromotionReport, Fault> {
        let started = Instant::now();
        // An epoch is given up with every fault: whatever was still under way cannot happen in the next one.
        let mut session = match self.session.take() {
            Some(session) => session,
            None => self.take_over()?,
        };
        let promoted = self.run(&mut session);
        let mut report = promoted.map_err(|fault| session.holding.judge(fault))?;
        report.duration = started.elapsed();
        self.session = Some(session);
        Ok(report)
    }

    fn take_over(&mut self) -> Result<Session, Fault> {
        let home = Home::processed(&self.table.name);
        // Who may promote is decided where the Kafka partitions are acquired: whoever reads them may.
        let tenure = take_epoch(&*self.storage, &home, &self.owner, &|_| Ok(()))?;
        let root = processed_dir(&self.table.name);
        let log = TableLog::open(&self.storage, &self.table.name, root, tenure.stage.clone())?;
        let storage = Arc::clone(&self.storage);
        let holding = Holding { storage, table: self.table.name.to_string(), home, tenure, log };
        empty(&self.spool)?;
        let recovered = holding.recover().map_err(|fault| holding.judge(fault))?;
        self.warnings.extend(recovered.warning);
        let left = (holding.tenure.epoch, recovered.left);
        self.recovery = Some(left).filter(|(_, left)| *left != TableRecovery::default());
        Ok(Session { holding, last: recovered.newest })
    }

    fn run(&mut self, session: &mut Session) -> Result<PromotionReport, Fault> {
        let mut report = PromotionReport::empty();
        let live = self.live(session)?;
        let cursors = session.last.as_ref().map(Plan::cursors).unwrap_or_default();
        let lanes = read_lanes(&*self.storage, &self.table, &cursors)?;
        for lane in &lanes {
            if let LaneDelta::LeftOut { why: Some(why), .. } = &lane.delta {
                report.left_out.push((lane.source.clone(), why.clone()));
            }
        }
        let advanced = advance(&lanes, &cursors);
        if advanced == cursors && lanes.iter().all(|lane| lane.fresh().next().is_none()) {
            return Ok(report);
        }
        let mut plan = self.next_plan(session)?;
        plan.cursors = advanced.into_values().collect();
        plan.intervals = lanes.iter().flat_map(consumed).collect();
        self.fill(session, &mut plan, &lanes, &live, &mut report)?;
        self.carry_out(session, plan, &mut report)?;
        Ok(report)
    }

    /// The table's files by its log, held against the newest plan.
    fn live(&self, session: &Session) -> Result<Vec<LiveFile>, Fault> {
        let expected = session.last.as_ref().map_or_else(Census::default, |plan| plan.after);
        match session.holding.log.state()? {
            Some(state) => {
                check_census(&self.table.name, &session.holding.root(), &state, expected)?;
                Ok(state.live)
            }
            None if expected.files == 0 => Ok(Vec::new()),
            None => Err(Fault::halt(
                "promote.log",
                format!("the table log of {} is gone: restore {}/_delta_log", self.table.name, session.holding.root()),
            )),
        }
    }

    fn next_plan(&self, session: &Session) -> Result<Plan, Fault> {
        let mut plan = Plan::after(session.last.as_ref(), &self.table.name, session.holding.tenure.epoch.0);
        plan.columns = grown(&self.table.name, &plan.columns, &self.columns)?;
        Ok(plan)
    }

    /// Decides, writes the files into the stage, and completes the plan.
    fn fill(
        &self,
        session: &Session,
        plan: &mut Plan,
        lanes: &[Lane],
        live: &[LiveFile],
        report: &mut PromotionReport,
    ) -> Result<(), Fault> {
        let spool = Spool::new(self.spool.join(epoch_segment(session.holding.tenure.epoch)))?;
        let surveyor = Surveyor {
            storage: &self.storage,
            table: &self.table.name,
            mapping_version: self.table.mapping.version,
            keys: KeyReader::new(&self.table, &self.settings, &plan.columns)?,
            spool: &spool.path,
            budget: self.budget,
        };
        let Survey { files, rows_read, winners, ids_new, ids_changed, ids_removed } = surveyor.survey(lanes, live)?;
        let rewriter = Rewriter {
            storage: &self.storage,
            settings: &self.settings,
            columns: &plan.columns,
            timestamp: &self.table.mapping.lineage.names[3],
            spool: &spool.path,
            stager: Stager::new(&session.holding.tenure),
            seq: plan.seq,
            budget: self.budget,
        };
        let rewritten = rewriter.rewrite(&files)?;
        let gone: std::collections::BTreeSet<&str> = rewritten.remove.iter().map(String::as_str).collect();
        let stays = live.iter().map(|file| file.path.as_str()).filter(|path| !gone.contains(path));
        plan.after = Census::of(stays.chain(rewritten.add.iter().map(|file| file.path.as_str())));
        report.intervals = plan.intervals.len() as u64;
        (report.rows_read, report.winners) = (rows_read, winners);
        (report.ids_new, report.ids_changed, report.ids_removed) = (ids_new, ids_changed, ids_removed);
        report.rows_by_date = rewritten.rows_by_date;
        (plan.add, plan.remove) = (rewritten.add, rewritten.remove);
        if let (Some(last), true) = (&session.last, plan.add.is_empty()) {
            // New columns come with the first files that have them, not before.
            plan.columns.clone_from(&last.columns);
        }
        Ok(())
    }

    fn carry_out(&mut self, session: &mut Session, plan: Plan, report: &mut PromotionReport) -> Result<(), Fault> {
        session.holding.publish(&plan)?;
        self.warnings.extend(session.holding.finish(&plan)?);
        crate::lake::retire::empty_trash(&*self.storage, &session.holding.home, plan.seq)?;
        report.seq = Some(plan.seq);
        (report.files_added, report.files_removed) = (plan.add.len() as u64, plan.remove.len() as u64);
        report.bytes_added = plan.add.iter().map(|file| file.bytes).sum();
        session.last = Some(plan);
        Ok(())
    }
}

impl PromotionReport {
    fn empty() -> Self {
        Self {
            seq: None,
            intervals: 0,
            rows_read: 0,
            winners: 0,
            ids_new: 0,
            ids_changed: 0,
            ids_removed: 0,
            files_added: 0,
            bytes_added: 0,
            files_removed: 0,
            rows_by_date: BTreeMap::new(),
            left_out: Vec::new(),
            duration: Duration::ZERO,
        }
    }
}

/// The cursors after everything that is taken.
fn advance(lanes: &[Lane], cursors: &BTreeMap<TopicPartition, Cursor>) -> BTreeMap<TopicPartition, Cursor> {
    let mut advanced = cursors.clone();
    for lane in lanes {
        if let LaneDelta::Take { cursor, .. } = &lane.delta {
            advanced.insert(lane.source.clone(), cursor.clone());
        }
    }
    advanced
}

fn consumed(lane: &Lane) -> impl Iterator<Item = Consumed> + '_ {
    lane.fresh().map(|interval| Consumed {
        topic: lane.source.topic.to_string(),
        partition: lane.source.partition,
        from: interval.name.range.from(),
        to: interval.name.range.to(),
        epoch: interval.name.epoch.0,
    })
}

/// A local folder that is empty at the start and gone at the end. Each epoch has its own, so that a promoter that was
/// given up and still runs shares no file with its successor in the same process.
struct Spool {
    path: PathBuf,
}

impl Spool {
    fn new(path: PathBuf) -> Result<Self, Fault> {
        empty(&path)?;
        std::fs::create_dir_all(&path).map_err(|error| spool_fault(&path, &error))?;
        Ok(Self { path })
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        // What stays is removed when the table is taken over the next time.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

fn empty(path: &Path) -> Result<(), Fault> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(spool_fault(path, &error)),
        _ => Ok(()),
    }
}

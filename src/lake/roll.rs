//! From a published plan to a finished promotion: put the files in their place, put the entry into the log, take what
//! was replaced away. Every step may be done again by anybody who holds the table.

use std::sync::Arc;

use super::fence::Tenure;
use super::log::TableLog;
use super::mutate::{self, Expected, Moved};
use super::names::{Home, parse_fenced, parse_plan, processed_dir};
use super::plan::{Plan, PlannedFile};
use super::retire;
use jiff::Timestamp;

use crate::failpoint;
use crate::fault::{Fault, Verdict};
use crate::model::offset::Epoch;
use crate::observe::events::TableRecovery;
use crate::storage::{LakePath, Storage};

/// A table that this process may change: the epoch, and the log that is written through its stage.
pub struct Holding {
    /// The lake.
    pub storage: Arc<dyn Storage>,
    /// Table name.
    pub table: String,
    /// Control folder.
    pub home: Home,
    /// The epoch.
    pub tenure: Tenure,
    /// The table log.
    pub log: TableLog,
}

/// A table whose newest plan is carried out.
#[derive(Debug)]
pub struct Recovered {
    /// That plan.
    pub newest: Option<Plan>,
    /// What an earlier promoter had left undone.
    pub left: TableRecovery,
    /// What went wrong with the log's checkpoint, which the table does without.
    pub warning: Option<Fault>,
}

impl Holding {
    /// The table's own folder.
    pub fn root(&self) -> LakePath {
        processed_dir(&self.table)
    }

    /// What a fault means: a holder whose time is over sees a table that has gone on without it, and that is no reason
    /// to stop it, or to tell anybody to repair it.
    pub fn judge(&self, fault: Fault) -> Fault {
        if fault.verdict != Verdict::Halt || !self.tenure.has_successor(&*self.storage) {
            return fault;
        }
        let message = format!("another promoter has taken table {} over and gone on: {fault}", self.table);
        Fault::fenced("promote.fenced", message)
    }

    /// Publishes `plan`: from now on it must finish.
    ///
    /// # Errors
    ///
    /// Another promoter has taken over, or storage.
    pub fn publish(&self, plan: &Plan) -> Result<(), Fault> {
        mutate::make_dirs(&*self.storage, &self.home.plans())?;
        failpoint::reach("promote.staged");
        if self.tenure.publish(&*self.storage, &plan.encode()?, &self.home.plan(plan.seq))? {
            failpoint::reach("promote.planned");
            return Ok(());
        }
        Err(Fault::fenced(
            "promote.fenced",
            format!("another promoter has published plan {} of table {}", plan.seq, self.table),
        ))
    }

    /// Carries a published plan out, from wherever it stopped. Says what went wrong with the log's checkpoint, which
    /// the table does without.
    ///
    /// # Errors
    ///
    /// Another promoter has taken over; storage; a log that somebody else changed.
    pub fn finish(&self, plan: &Plan) -> Result<Option<Fault>, Fault> {
        self.place(plan)?;
        failpoint::reach("promote.placed");
        let checkpoint = self.log.commit(plan)?;
        failpoint::reach("promote.logged");
        retire::retire(&*self.storage, &self.home, &self.root(), plan)?;
        failpoint::reach("promote.retired");
        Ok(checkpoint)
    }

    /// Finishes the newest plan if need be and removes what is of no use any more; gives that plan back, and says what
    /// an earlier promoter had left undone.
    ///
    /// # Errors
    ///
    /// As [`Self::finish`], and plans that are missing.
    pub fn recover(&self) -> Result<Recovered, Fault> {
        let newest = newest_plan(&*self.storage, &self.home)?;
        let logged = self.log.state()?.and_then(|state| state.seq);
        let known = newest.as_ref().map_or(0, |plan| plan.seq);
        if logged.unwrap_or(0) > known {
            return Err(Fault::halt(
                "promote.plan",
                format!(
                    "the table log of {} is at promotion {}, but the newest plan in {} is {known}; restore the plans",
                    self.table,
                    logged.unwrap_or(0),
                    self.home.plans()
                ),
            ));
        }
        let (mut left, mut warning) = (TableRecovery::default(), None);
        if let Some(plan) = &newest {
            if logged == Some(plan.seq) {
                left.retired = retire::retire(&*self.storage, &self.home, &self.root(), plan)?;
            } else {
                warning = self.finish(plan)?;
                left.plan = Some(plan.seq);
            }
        }
        retire::empty_trash(&*self.storage, &self.home, known)?;
        left.staged = retire::clean_fenced(&*self.storage, &self.home, self.tenure.epoch)?;
        Ok(Recovered { newest, left, warning })
    }

    /// Renames every planned file into its place.
    fn place(&self, plan: &Plan) -> Result<(), Fault> {
        let root = self.root();
        let mut stages = None;
        for file in &plan.add {
            let target = root.join(&file.path);
            if let Some(there) = mutate::look(&*self.storage, &target)? {
                if there.bytes != file.bytes {
                    return Err(Fault::halt(
                        "promote.place",
                        format!(
                            "{target} has {} bytes, the plan says {}; look at it and move it away",
                            there.bytes, file.bytes
                        ),
                    ));
                }
                continue;
            }
            if stages.is_none() {
                stages = Some(self.stages_of(Epoch(plan.epoch))?);
            }
            failpoint::reach("promote.placing");
            self.place_one(plan, file, stages.as_deref().unwrap_or_default(), &target)?;
        }
        Ok(())
    }

    fn place_one(&self, plan: &Plan, file: &PlannedFile, stages: &[LakePath], to: &LakePath) -> Result<(), Fault> {
        for stage in stages {
            match mutate::rename(&*self.storage, &stage.join(&file.staged), to, Expected::File(file.bytes))? {
                Moved::Done => return Ok(()),
                Moved::Gone => {}
                Moved::Taken(entry) if entry.bytes == file.bytes => return Ok(()),
                Moved::Taken(entry) => {
                    return Err(Fault::halt(
                        "promote.place",
                        format!(
                            "{to} has {} bytes, the plan says {}; look at it and move it away",
                            entry.bytes, file.bytes
                        ),
                    ));
                }
            }
        }
        // Nobody else moves it while this promoter holds the table, and if it does not, that is found out next.
        Err(Fault::halt(
            "promote.lost",
            format!(
                "{to} ({} bytes, of promotion {}) is neither in its place nor in a stage: somebody has removed it; put it \
                 back from a backup, the table waits until then",
                file.bytes, plan.seq
            ),
        ))
    }

    /// Where files of that epoch may still lie: in its stage, or where the stage was renamed to.
    fn stages_of(&self, epoch: Epoch) -> Result<Vec<LakePath>, Fault> {
        let mut stages = vec![self.home.stage(epoch)];
        if epoch != self.tenure.epoch {
            let fenced = mutate::list(&*self.storage, &self.home.fenced())?;
            stages.extend(
                fenced.into_iter().map(|entry| entry.path).filter(|path| parse_fenced(path.name()) == Some(epoch)),
            );
        }
        Ok(stages)
    }
}

/// Whether the newest plan of a table is not in its log: its promoter carries it out now, or has died.
///
/// # Errors
///
/// Storage, or a plan or log that cannot be read.
pub fn is_unfinished(storage: &Arc<dyn Storage>, table: &str) -> Result<bool, Fault> {
    let Some(plan) = newest_plan(&**storage, &Home::processed(table))? else { return Ok(false) };
    let logged = TableLog::look(storage, table)?.newest_promotion()?;
    Ok(logged.is_none_or(|logged| logged < plan.seq))
}

/// When the newest plan of a table was published, by the storage's clock.
///
/// # Errors
///
/// What storage answered.
pub fn last_promotion(storage: &dyn Storage, home: &Home) -> Result<Option<Timestamp>, Fault> {
    let entries = mutate::list(storage, &home.plans())?;
    let plans = entries.iter().filter_map(|entry| Some((parse_plan(entry.path.name())?, entry.modified)));
    Ok(plans.max().map(|(_, published)| published))
}

/// The newest published plan of a table.
///
/// # Errors
///
/// Storage, or a plan that cannot be read.
pub fn newest_plan(storage: &dyn Storage, home: &Home) -> Result<Option<Plan>, Fault> {
    let entries = mutate::list(storage, &home.plans())?;
    let Some(seq) = entries.iter().filter_map(|entry| parse_plan(entry.path.name())).max() else { return Ok(None) };
    let path = home.plan(seq);
    let bytes = storage.read_whole(&path)?;
    Plan::decode(&bytes, &path).map(Some)
}

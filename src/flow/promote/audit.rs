//! Proves or disproves the promises on Processed from storage alone: I5 (each promoted id once, in its winning
//! version), I6 (every row names where it came from), I7 (the log shows whole promotions), I8 (the directory shows what
//! the log shows).
//!
//! Beside a running promoter it does not cry wolf: what looks wrong counts only if no promotion went on meanwhile.

mod rows;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use self::rows::Rows;
use super::delta::Stale;
use super::sources::{Lane, read_lanes};
use crate::fault::{Fault, Verdict};
use crate::lake::audit::{Invariant, Violation};
use crate::lake::chain::LedgerFile;
use crate::lake::log::{LiveFile, LogState, TableLog};
use crate::lake::mutate;
use crate::lake::names::{Home, ledger_root, processed_dir};
use crate::lake::plan::Plan;
use crate::lake::roll::newest_plan;
use crate::model::offset::TopicPartition;
use crate::model::table::Table;
use crate::storage::{LakePath, Storage};

/// More violations than this of one invariant are not listed.
const MOST_VIOLATIONS: usize = 1000;

/// How often everything is looked at again while promotions go on.
const LOOKS: usize = 3;

/// Audits one table. `spool` is a local folder of the audit's own; `budget` is bytes of memory.
///
/// # Errors
///
/// Storage, the spool, or settings that do not fit the table: nothing could be proved either way.
pub fn audit_processed(
    storage: &Arc<dyn Storage>,
    table: &Table,
    spool: &Path,
    budget: u64,
) -> Result<Vec<Invariant>, Fault> {
    let mut before: Option<Vec<Invariant>> = None;
    for look in 1.. {
        let seen = Sight::take(storage, table)?;
        let audited = seen.audit(storage, table, spool, budget);
        let is_clean = audited.as_ref().is_ok_and(|found| found.iter().all(|invariant| invariant.ok));
        if is_clean || seen.still_holds(storage, table)? {
            return audited;
        }
        if look == LOOKS {
            return audited.map(|found| confirmed(found, before.as_deref().unwrap_or_default()));
        }
        before = audited.ok();
    }
    Ok(Vec::new())
}

/// Of what a last look found while promotions and rewinds went on: what the look before has found too.
fn confirmed(found: Vec<Invariant>, before: &[Invariant]) -> Vec<Invariant> {
    let was_found =
        |id: &str, wrong: &Violation| before.iter().any(|old| old.id == id && old.violations.contains(wrong));
    let again = |Invariant { id, checked, mut violations, .. }: Invariant| {
        violations.retain(|wrong| was_found(id, wrong));
        Invariant::new(id, checked, violations)
    };
    found.into_iter().map(again).collect()
}

/// What a look is made by: the newest plan, then the chains.
struct Sight {
    plan: Option<Plan>,
    /// The fault: a chain that is broken, or does not fit what was promoted.
    lanes: Result<Vec<Lane>, Fault>,
}

impl Sight {
    fn take(storage: &Arc<dyn Storage>, table: &Table) -> Result<Self, Fault> {
        let plan = newest_plan(&**storage, &Home::processed(&table.name))?;
        let lanes = match &plan {
            Some(plan) => read_lanes(&**storage, table, &plan.cursors()),
            None => Ok(Vec::new()),
        };
        match lanes {
            Err(fault) if fault.verdict != Verdict::Halt => Err(fault),
            lanes => Ok(Self { plan, lanes }),
        }
    }

    /// Whether nothing that counts has changed since: then what was found did not come of the looking.
    fn still_holds(&self, storage: &Arc<dyn Storage>, table: &Table) -> Result<bool, Fault> {
        let now = Self::take(storage, table)?;
        Ok(self.plan == now.plan && self.promoted() == now.promoted())
    }

    /// What is promoted of each chain, and what of it is out of date; none when that cannot be told.
    fn promoted(&self) -> Option<Vec<(&TopicPartition, &[LedgerFile], &Stale)>> {
        let lanes = self.lanes.as_ref().ok()?;
        Some(lanes.iter().map(|lane| (&lane.source, lane.below(), lane.stale())).collect())
    }

    fn audit(
        &self,
        storage: &Arc<dyn Storage>,
        table: &Table,
        spool: &Path,
        budget: u64,
    ) -> Result<Vec<Invariant>, Fault> {
        let log = TableLog::look(storage, &table.name)?.state()?;
        let root = processed_dir(&table.name);
        let mut auditor =
            Auditor { storage, table, plan: self.plan.as_ref(), root, log, findings: Findings::default() };
        auditor.check_log();
        auditor.check_directory()?;
        // Rows are not looked at where files are missing: everything would be wrong with them.
        if auditor.findings.has_nothing_against("I7") {
            auditor.check_rows(&self.lanes, spool, budget)?;
        }
        Ok(auditor.findings.invariants())
    }
}

/// What was found.
struct Findings(BTreeMap<&'static str, (u64, Vec<Violation>)>);

impl Default for Findings {
    fn default() -> Self {
        Self(["I5", "I6", "I7", "I8"].map(|id| (id, (0, Vec::new()))).into_iter().collect())
    }
}

impl Findings {
    fn checked(&mut self, id: &'static str, things: u64) {
        self.0.entry(id).or_default().0 += things;
    }

    fn wrong(&mut self, id: &'static str, violation: Violation) {
        let violations = &mut self.0.entry(id).or_default().1;
        if violations.len() < MOST_VIOLATIONS {
            violations.push(violation);
        }
    }

    fn has_nothing_against(&self, id: &str) -> bool {
        self.0.get(id).is_none_or(|(_, violations)| violations.is_empty())
    }

    fn invariants(self) -> Vec<Invariant> {
        let found = self.0.into_iter();
        found.map(|(id, (checked, violations))| Invariant::new(id, checked, violations)).collect()
    }
}

struct Auditor<'a> {
    storage: &'a Arc<dyn Storage>,
    table: &'a Table,
    plan: Option<&'a Plan>,
    root: LakePath,
    log: Option<LogState>,
    findings: Findings,
}

impl Auditor<'_> {
    fn live(&self) -> &[LiveFile] {
        self.log.as_ref().map_or(&[], |log| &log.live)
    }

    /// The log holds exactly what the newest plan says, or what was there before it.
    fn check_log(&mut self) {
        let (planned, logged) =
            (self.plan.map_or(0, |plan| plan.seq), self.log.as_ref().and_then(|log| log.seq).unwrap_or(0));
        self.findings.checked("I7", self.live().len() as u64);
        let path = self.root.join("_delta_log");
        if logged != planned && logged + 1 != planned {
            let what = format!("the table log is at promotion {logged}, the newest plan is {planned}");
            self.findings.wrong("I7", Violation::at(&path, what));
            return;
        }
        let expected =
            self.plan.map(|plan| if logged == planned { plan.after } else { plan.before }).unwrap_or_default();
        let shown = self.log.as_ref().map(LogState::census).unwrap_or_default();
        if shown != expected {
            let what = format!("the table log shows {} files that are not those of promotion {logged}", shown.files);
            self.findings.wrong("I7", Violation::at(&path, what));
        }
    }

    /// Every file of the log lies in its place; when no promotion is under way, no other file lies there.
    fn check_directory(&mut self) -> Result<(), Fault> {
        let mut lying = BTreeMap::new();
        for dir in mutate::list(&**self.storage, &self.root)? {
            if dir.is_dir && dir.path.name().starts_with("dt=") {
                for file in mutate::list(&**self.storage, &dir.path)? {
                    lying.insert(format!("{}/{}", dir.path.name(), file.path.name()), file.bytes);
                }
            }
        }
        let live = self.live().to_vec();
        for file in &live {
            let path = self.root.join(&file.path);
            match lying.get(&file.path) {
                Some(bytes) if *bytes == file.bytes => {}
                Some(bytes) => {
                    self.findings.wrong(
                        "I7",
                        Violation::at(path, format!("it has {bytes} bytes, the table log says {}", file.bytes)),
                    );
                }
                None => self.findings.wrong("I7", Violation::at(path, "it is in the table log and not in its place")),
            }
        }
        if self.plan.map(|plan| plan.seq) != self.log.as_ref().and_then(|log| log.seq) {
            return Ok(());
        }
        self.findings.checked("I8", lying.len() as u64);
        // What the newest promotion has replaced is on its way out: it has not ended, or waits for its recovery.
        let replaced = self.plan.iter().flat_map(|plan| &plan.remove).map(String::as_str);
        let known: BTreeSet<&str> = live.iter().map(|file| file.path.as_str()).chain(replaced).collect();
        for path in lying.keys().filter(|path| !known.contains(path.as_str())) {
            let path = self.root.join(path);
            self.findings.wrong("I8", Violation::at(path, "it lies in the table and is not in the table log"));
        }
        Ok(())
    }

    fn check_rows(&mut self, lanes: &Result<Vec<Lane>, Fault>, spool: &Path, budget: u64) -> Result<(), Fault> {
        let (Some(plan), Some(settings)) = (self.plan, &self.table.processed) else { return Ok(()) };
        // The rows are those of the log; a promotion that is not in the log yet has not happened for its readers.
        if self.log.as_ref().and_then(|log| log.seq) != Some(plan.seq) {
            return Ok(());
        }
        let lanes = match lanes {
            Ok(lanes) => lanes,
            Err(fault) => {
                self.findings.wrong("I5", Violation::at(ledger_root(), &fault.message));
                return Ok(());
            }
        };
        let (storage, table) = (self.storage, self.table);
        let live = self.log.as_ref().map_or(&[][..], |log| &log.live);
        Rows { storage, table, settings, plan, live, lanes, spool, budget }.check(&mut self.findings)
    }
}

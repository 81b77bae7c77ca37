//! What a daemon looks at once it works: the files of the newest days that nothing names, and of a Processed table
//! those that its log does not name, or names and that are gone.
//!
//! It is the harmless part of [`examine`](super::examine). Nothing is changed: what an owner that died has left is put
//! in order by the next owner, and what is left then is a person's to see before it is moved (`forebay fsck --repair`).
//! Days that have long gone by were looked at when they were new.
//!
//! It makes one call after the other, and holds one day's names and what one table log names.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use jiff::civil::Date;

use super::data::name_in_place;
use super::{Class, table};
use crate::fault::Fault;
use crate::lake::LakeError;
use crate::lake::audit::unexplained;
use crate::lake::log::TableLog;
use crate::lake::mutate;
use crate::lake::names::{self, Home, processed_dir};
use crate::lake::plan::Plan;
use crate::lake::roll::newest_plan;
use crate::model::offset::TopicPartition;
use crate::storage::{Entry, LakePath, Storage};

/// Days that are looked at. What a crash leaves lies where its owner has committed last.
const DAYS: usize = 2;

/// What was seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sight {
    /// Files looked at.
    pub files: u64,
    /// How many something is wrong with, by class.
    pub found: BTreeMap<Class, u64>,
    /// The first of them.
    pub first: Option<String>,
}

impl Sight {
    /// How many there are of a class.
    pub fn of(&self, class: Class) -> u64 {
        self.found.get(&class).copied().unwrap_or(0)
    }

    fn add(&mut self, class: Class, path: &LakePath) {
        *self.found.entry(class).or_default() += 1;
        self.first.get_or_insert_with(|| path.to_string());
    }
}

/// Looks at the newest days of RAW and quarantine and at these Processed tables, as long as `goes_on`; none when it was
/// told to stop.
///
/// # Errors
///
/// What storage answered, or a table log that cannot be read.
pub fn look_at_newest(
    storage: &Arc<dyn Storage>,
    tables: &[String],
    goes_on: &dyn Fn() -> bool,
) -> Result<Option<Sight>, Fault> {
    let mut look = Look { storage: &**storage, goes_on, sight: Sight::default() };
    let is_whole = look.at_data()? && look.at_tables(storage, tables)?;
    Ok(is_whole.then_some(look.sight))
}

struct Look<'a> {
    storage: &'a dyn Storage,
    goes_on: &'a dyn Fn() -> bool,
    sight: Sight,
}

/// What log and plan of a table name.
struct Named {
    live: HashSet<String>,
    plan: Option<Plan>,
}

impl Look<'_> {
    /// Whether it has come to the end.
    fn at_data(&mut self) -> Result<bool, Fault> {
        let mut days: BTreeMap<Date, Vec<LakePath>> = BTreeMap::new();
        for zone in [names::raw_root(), names::quarantine_root()] {
            for table in mutate::list(self.storage, &zone)? {
                for day in mutate::list(self.storage, &table.path)? {
                    match names::parse_date_segment(day.path.name()).filter(|_| day.is_dir) {
                        Some(date) => days.entry(date).or_default().push(day.path),
                        None => self.sight.add(Class::Foreign, &day.path),
                    }
                }
            }
        }
        for (date, dirs) in days.into_iter().rev().take(DAYS) {
            if !self.at_day(date, dirs)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn at_day(&mut self, date: Date, mut dirs: Vec<LakePath>) -> Result<bool, LakeError> {
        let mut by_source: BTreeMap<TopicPartition, Vec<LakePath>> = BTreeMap::new();
        while let Some(dir) = dirs.pop() {
            if !(self.goes_on)() {
                return Ok(false);
            }
            for entry in mutate::list(self.storage, &dir)? {
                if entry.is_dir {
                    dirs.push(entry.path);
                    continue;
                }
                self.sight.files += 1;
                match name_in_place(&entry.path) {
                    Some(name) => by_source.entry(name.source).or_default().push(entry.path),
                    None => self.sight.add(Class::Foreign, &entry.path),
                }
            }
        }
        // The ledger after the files: what was committed meanwhile is named there.
        for (source, mut files) in by_source {
            if !(self.goes_on)() {
                return Ok(false);
            }
            let ledger = mutate::list(self.storage, &names::ledger_dir(&source).join(names::date_segment(date)))?;
            let named: HashSet<&str> = ledger.iter().map(|entry| entry.path.name()).collect();
            files.retain(|file| !named.contains(file.name()));
            if !files.is_empty() {
                for orphan in unexplained(self.storage, Some(&source), &files)? {
                    let path = orphan.path.as_deref().and_then(LakePath::parse);
                    path.iter().for_each(|path| self.sight.add(Class::Orphan, path));
                }
            }
        }
        Ok(true)
    }

    /// Whether it has come to the end.
    fn at_tables(&mut self, storage: &Arc<dyn Storage>, tables: &[String]) -> Result<bool, Fault> {
        for table in tables {
            let before = named(storage, table)?;
            let root = processed_dir(table);
            let (mut unseen, mut others, mut dirs) = (before.live, Vec::new(), vec![root.clone()]);
            while let Some(dir) = dirs.pop() {
                if !(self.goes_on)() {
                    return Ok(false);
                }
                for entry in mutate::list(self.storage, &dir)? {
                    match below(&root, &entry.path) {
                        "_delta_log" => {}
                        _ if entry.is_dir => dirs.push(entry.path),
                        path => {
                            self.sight.files += 1;
                            if !unseen.remove(path) {
                                others.push(entry);
                            }
                        }
                    }
                }
            }
            self.judge(storage, table, &others, unseen)?;
        }
        Ok(true)
    }

    /// A promotion may have gone on meanwhile. It enters a file into the log before it takes away what that replaces,
    /// and publishes its plan before it puts a file in place: so what is looked for in the lake comes first, the log
    /// after it.
    fn judge(
        &mut self,
        storage: &Arc<dyn Storage>,
        table: &str,
        others: &[Entry],
        unseen: HashSet<String>,
    ) -> Result<(), Fault> {
        let root = processed_dir(table);
        let is_there = |path: &LakePath| mutate::look(self.storage, path).map(|there| there.is_some());
        let (mut gone, mut left) = (Vec::new(), Vec::new());
        for path in unseen {
            if !is_there(&root.join(&path))? {
                gone.push(path);
            }
        }
        for other in others {
            if is_there(&other.path)? {
                left.push(other);
            }
        }
        if gone.is_empty() && left.is_empty() {
            return Ok(());
        }
        let now = named(storage, table)?;
        if newest_plan(self.storage, &Home::processed(table))?.map(|plan| plan.seq)
            != now.plan.as_ref().map(|plan| plan.seq)
        {
            // It goes from promotion to promotion; the next start looks again.
            return Ok(());
        }
        for path in gone.iter().filter(|path| now.live.contains(*path)) {
            self.sight.add(Class::Missing, &root.join(path));
        }
        for entry in left {
            let path = below(&root, &entry.path);
            let judged = table::judge_other(entry, path, now.plan.as_ref());
            if !now.live.contains(path) && judged.class.is_finding() {
                self.sight.add(judged.class, &entry.path);
            }
        }
        Ok(())
    }
}

/// The plan first: whoever publishes the next one has entered this one into the log.
fn named(storage: &Arc<dyn Storage>, table: &str) -> Result<Named, Fault> {
    let plan = newest_plan(&**storage, &Home::processed(table))?;
    let log = TableLog::look(storage, table)?.state()?;
    let live = log.into_iter().flat_map(|log| log.live).map(|file| file.path).collect();
    Ok(Named { live, plan })
}

fn below<'p>(root: &LakePath, path: &'p LakePath) -> &'p str {
    path.as_str().get(root.as_str().len() + 1..).unwrap_or_default()
}

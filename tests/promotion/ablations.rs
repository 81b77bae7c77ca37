//! Each safeguard of a promotion left out, in the storage and not in the code: then a checker that finds nothing
//! otherwise finds a violation. So the safeguard is needed, and the checker can fail.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use forebay::lake::names::RewindName;
use forebay::storage::{Content, Entry, Kind, LakePath, Storage, StorageError};

use super::crash::{check_settled, moments_of};
use super::interleavings::{COMMENT, Work, comments, prepared, promotes, revises, side_by_side};
use super::turns::every_order;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Safeguard {
    /// A plan is published before any of its files is put in place: here its rename waits for the log entry's.
    PlanFirst,
    /// A rename refuses to overwrite: here it goes over what is there.
    NoReplace,
    /// Rewinds are listed before the chain: here the chain is what it was one call before they were listed.
    IntentsFirst,
    /// A promotion waits until a rewound chain is as long again: here every rewind says that it has cut nothing.
    OldHead,
}

/// A storage whose user goes without one safeguard.
struct Without {
    inner: Arc<dyn Storage>,
    safeguard: Safeguard,
    held: Mutex<Option<(LakePath, LakePath)>>,
    chain: Mutex<BTreeMap<LakePath, Vec<Entry>>>,
}

impl Without {
    fn wrap(safeguard: Safeguard, inner: Arc<dyn Storage>) -> Arc<dyn Storage> {
        Arc::new(Self { inner, safeguard, held: Mutex::default(), chain: Mutex::default() })
    }

    fn remember(&self, dir: &LakePath) -> Result<(), StorageError> {
        let entries = self.inner.list_or_empty(dir)?;
        entries.iter().filter(|entry| entry.is_dir).try_for_each(|entry| self.remember(&entry.path))?;
        self.chain.lock().unwrap().insert(dir.clone(), entries);
        Ok(())
    }
}

/// The same rewind as if the chain had ended where it was cut.
fn short(entry: Entry) -> Entry {
    let Some((name, is_done)) = RewindName::parse(entry.path.name()) else { return entry };
    let name = RewindName { head: name.to, ..name };
    Entry { path: entry.path.parent().join(if is_done { name.done() } else { name.intent() }), ..entry }
}

impl Storage for Without {
    fn url(&self) -> &str {
        self.inner.url()
    }

    fn list(&self, dir: &LakePath) -> Result<Vec<Entry>, StorageError> {
        match self.safeguard {
            Safeguard::OldHead if dir.name() == "rewind" => Ok(self.inner.list(dir)?.into_iter().map(short).collect()),
            Safeguard::IntentsFirst if dir.as_str() == "ledger/library" => {
                self.remember(dir)?;
                self.inner.list(dir)
            }
            // A chain that was remembered is used once.
            Safeguard::IntentsFirst if dir.as_str().starts_with("ledger/library/p=") => {
                let remembered = self.chain.lock().unwrap().remove(dir);
                remembered.map_or_else(|| self.inner.list(dir), Ok)
            }
            _ => self.inner.list(dir),
        }
    }

    fn stat(&self, path: &LakePath) -> Result<Entry, StorageError> {
        self.inner.stat(path)
    }

    fn read(&self, path: &LakePath, from: u64, to: u64) -> Result<Bytes, StorageError> {
        self.inner.read(path, from, to)
    }

    fn create(&self, path: &LakePath, content: Content<'_>) -> Result<(), StorageError> {
        self.inner.create(path, content)
    }

    fn make_dirs(&self, dir: &LakePath) -> Result<(), StorageError> {
        self.inner.make_dirs(dir)
    }

    fn rename(&self, from: &LakePath, to: &LakePath) -> Result<(), StorageError> {
        match (self.safeguard, to.parent().name()) {
            (Safeguard::PlanFirst, "plan") => {
                self.inner.stat(from)?;
                *self.held.lock().unwrap() = Some((from.clone(), to.clone()));
                Ok(())
            }
            (Safeguard::PlanFirst, "_delta_log") => {
                let held = self.held.lock().unwrap().take();
                held.map_or(Ok(()), |(from, to)| self.inner.rename(&from, &to))?;
                self.inner.rename(from, to)
            }
            (Safeguard::NoReplace, _) => match self.inner.rename(from, to) {
                Err(error) if error.kind == Kind::AlreadyExists => {
                    self.inner.delete(to)?;
                    self.inner.rename(from, to)
                }
                other => other,
            },
            _ => self.inner.rename(from, to),
        }
    }

    fn delete(&self, path: &LakePath) -> Result<(), StorageError> {
        self.inner.delete(path)
    }
}

fn found(safeguard: Safeguard, answer: Result<(), String>, violation: &str) {
    let story = answer.map(|()| format!("{safeguard:?} is left out, and every story ends well")).unwrap_err();
    println!("without {safeguard:?}: {story}");
    assert!(story.contains(violation), "another violation than expected: {story}");
}

/// The first violation among all crashes of a promoter that places files before it publishes the plan.
#[test]
fn without_the_plan_first_a_directory_reader_sees_what_no_plan_names() {
    let after_crashes = |safeguard: Option<Safeguard>| -> Result<(), String> {
        let prepared = prepared();
        let world = prepared.fork();
        let storage = Arc::clone(&world.memory) as Arc<dyn Storage>;
        let storage = safeguard.map_or(Arc::clone(&storage), |safeguard| Without::wrap(safeguard, storage));
        for lake in moments_of(&world, |world| world.promote_beside(&storage).unwrap()) {
            let found = prepared.on(lake);
            let settled = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                found.promote();
                check_settled(&found);
            }));
            settled.map_err(|panic| super::interleavings::words(&*panic))?;
        }
        Ok(())
    };
    after_crashes(None).unwrap();
    found(Safeguard::PlanFirst, after_crashes(Some(Safeguard::PlanFirst)), "a directory reader and a log reader");
}

/// The first violation among all orders of a promoter and somebody who comments in the log: what was said is there.
#[test]
fn without_a_rename_that_refuses_what_others_said_is_lost() {
    let all = |safeguard: Option<Safeguard>| -> Result<(), String> {
        let (prepared, mut settled) = (prepared(), HashSet::new());
        let works: [Work; 2] = [promotes, comments];
        let tried = every_order(2, 1, |order| {
            let said = Arc::new(Mutex::new(Vec::new()));
            let lake: Mutex<Option<Arc<dyn Storage>>> = Mutex::default();
            let order = side_by_side(
                &prepared,
                &works,
                &|number, storage| {
                    *lake.lock().unwrap() = Some(Arc::clone(&storage));
                    match (number, safeguard) {
                        (0, Some(safeguard)) => Without::wrap(safeguard, storage),
                        (1, _) => Arc::new(Hears { inner: storage, said: Arc::clone(&said) }),
                        _ => storage,
                    }
                },
                &mut settled,
                |at, ready, last| order.next(at, ready, last),
            )?;
            let lake = lake.lock().unwrap().clone().unwrap();
            for path in said.lock().unwrap().iter() {
                if lake.read_whole(path).map_err(|error| error.to_string())? != COMMENT {
                    return Err(format!("{order:?}: {path} is not what somebody else was told it is"));
                }
            }
            Ok(order)
        })?;
        assert!(tried > 80, "{tried}");
        Ok(())
    };
    all(None).unwrap();
    found(Safeguard::NoReplace, all(Some(Safeguard::NoReplace)), "is not what somebody else was told it is");
}

/// Remembers what was created.
struct Hears {
    inner: Arc<dyn Storage>,
    said: Arc<Mutex<Vec<LakePath>>>,
}

impl Storage for Hears {
    fn url(&self) -> &str {
        self.inner.url()
    }

    fn list(&self, dir: &LakePath) -> Result<Vec<Entry>, StorageError> {
        self.inner.list(dir)
    }

    fn stat(&self, path: &LakePath) -> Result<Entry, StorageError> {
        self.inner.stat(path)
    }

    fn read(&self, path: &LakePath, from: u64, to: u64) -> Result<Bytes, StorageError> {
        self.inner.read(path, from, to)
    }

    fn create(&self, path: &LakePath, content: Content<'_>) -> Result<(), StorageError> {
        self.inner.create(path, content)?;
        self.said.lock().unwrap().push(path.clone());
        Ok(())
    }

    fn make_dirs(&self, dir: &LakePath) -> Result<(), StorageError> {
        self.inner.make_dirs(dir)
    }

    fn rename(&self, from: &LakePath, to: &LakePath) -> Result<(), StorageError> {
        self.inner.rename(from, to)
    }

    fn delete(&self, path: &LakePath) -> Result<(), StorageError> {
        self.inner.delete(path)
    }
}

/// A lane is rewound and has not read all of it again when its table is promoted. What would be lost is not, since a
/// chain that is shorter than what is promoted stops the promotion; but it stops it for good.
#[test]
fn without_waiting_for_the_old_head_a_promotion_calls_for_a_person() {
    let promoted = |safeguard: Option<Safeguard>| -> Result<(), String> {
        let mut world = prepared();
        world.promote();
        let before = world.check_table();
        world.rewind(0, 3, None);
        world.commit(0, 1);
        let storage = Arc::clone(&world.memory) as Arc<dyn Storage>;
        let storage = safeguard.map_or(Arc::clone(&storage), |safeguard| Without::wrap(safeguard, storage));
        world.promote_beside(&storage).map_err(|fault| format!("{:?}: {fault}", fault.verdict))?;
        assert_eq!(world.check_table(), before);
        Ok(())
    };
    promoted(None).unwrap();
    found(Safeguard::OldHead, promoted(Some(Safeguard::OldHead)), "Halt: the chain of library:0 does not fit");
}

/// The first violation among all orders of a promoter and somebody who revises what is promoted already. (A rewind does
/// no harm to it: what it has moved cannot be read, and the promotion is tried again.)
#[test]
fn without_intents_before_chains_a_revision_counts_as_honoured_and_is_not() {
    let all = |safeguard: Option<Safeguard>| -> Result<(), String> {
        let (prepared, mut settled) = (prepared(), HashSet::new());
        let works: [Work; 2] = [promotes, revises];
        let wrap = |number, storage| match (number, safeguard) {
            (0, Some(safeguard)) => Without::wrap(safeguard, storage),
            _ => storage,
        };
        let tried = every_order(2, 1, |order| {
            side_by_side(&prepared, &works, &wrap, &mut settled, |at, ready, last| order.next(at, ready, last))
        });
        tried.map(drop)
    };
    found(Safeguard::IntentsFirst, all(Some(Safeguard::IntentsFirst)), "a row of Processed is not in RAW");
}

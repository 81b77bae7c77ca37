//! Each safeguard left out, in the storage and not in the code: then a checker that finds nothing otherwise finds a
//! violation. So the safeguard is needed, and the checker can fail.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use forebay::storage::sim::{Care, SimFs};
use forebay::storage::{Content, Entry, Kind, LakePath, Storage, StorageError};

use super::Lake;
use super::crashes::{self, moments};
use super::deposed::deposed_before;
use super::interleavings::{Work, all, as_it_is, in_order, reads};
use super::world::{END, World};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Safeguard {
    /// Lower stages are renamed away: here they stay, and the owner believes they went.
    Fence,
    /// The owners are listed again after the fence: here nobody is seen who came later.
    SecondLook,
    /// A stage whose making has no answer is given up: here its owner gets a good answer, and the stage comes late.
    UnclearMkdir,
    /// Making the stage has no answer, and the directory comes late, for an owner that keeps all the rules.
    LateMkdir,
    /// An epoch is taken by creating a file where none is: here the second one goes over the first.
    OwnerOnce,
    /// What fenced stages name and nobody committed is removed: here nobody sees the manifests.
    Manifest,
    /// The first position is published before anything is read: here only its owner knows it.
    FloorFirst,
    /// Ledger files come after the data they name: here they come first.
    LedgerLast,
    /// A published rewind is finished by whoever comes next: here it sees none that it has not published.
    FinishRewinds,
    /// What a look shows after a lost answer is confirmed by the journal: here the look is enough.
    Confirm,
    /// A chain with a hole is no chain: here nobody sees the hole.
    ChainCheck,
}

/// A storage whose user goes without one safeguard.
struct Without {
    inner: Arc<dyn Storage>,
    safeguard: Safeguard,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The epoch that was taken last.
    epoch: u64,
    /// A directory that comes late.
    late: Option<LakePath>,
    /// What the user believes to be there.
    believed: Vec<Entry>,
    /// What it has published itself.
    published: BTreeSet<LakePath>,
    /// Renames that were answered and wait for another one.
    held: Vec<(LakePath, LakePath)>,
}

impl Without {
    fn wrap(safeguard: Safeguard) -> impl Fn(Arc<dyn Storage>) -> Arc<dyn Storage> {
        move |inner| Arc::new(Self { inner, safeguard, state: Mutex::default() })
    }
}

fn epoch_of(name: &str) -> Option<u64> {
    name.strip_suffix(".json")?.parse().ok()
}

impl Storage for Without {
    fn url(&self) -> &str {
        self.inner.url()
    }

    fn list(&self, dir: &LakePath) -> Result<Vec<Entry>, StorageError> {
        let state = self.state.lock().unwrap();
        let listed = self.inner.list(dir);
        let (mut entries, parent) = match (listed, dir.name(), dir.parent().name().to_owned()) {
            (Err(error), "floor", _) if error.kind == Kind::NotFound => (Vec::new(), String::new()),
            (listed, _, parent) => (listed?, parent),
        };
        match (self.safeguard, dir.name()) {
            (Safeguard::SecondLook, "owner") if state.epoch > 0 => {
                entries.retain(|entry| epoch_of(entry.path.name()).is_none_or(|epoch| epoch <= state.epoch));
            }
            (Safeguard::FloorFirst, "floor") => entries.extend(state.believed.iter().cloned()),
            (Safeguard::Manifest, _) if parent == "fenced" => {
                entries.retain(|entry| !entry.path.name().ends_with(".ledger"));
            }
            (Safeguard::FinishRewinds, "rewind") => entries.retain(|entry| state.published.contains(&entry.path)),
            (Safeguard::ChainCheck, name) if name.starts_with("dt=") => mend(&mut entries),
            _ => {}
        }
        Ok(entries)
    }

    fn stat(&self, path: &LakePath) -> Result<Entry, StorageError> {
        self.inner.stat(path)
    }

    fn confirm(&self, path: &LakePath) -> Result<Entry, StorageError> {
        if self.safeguard == Safeguard::Confirm { self.inner.stat(path) } else { self.inner.confirm(path) }
    }

    fn read(&self, path: &LakePath, from: u64, to: u64) -> Result<Bytes, StorageError> {
        self.inner.read(path, from, to)
    }

    fn create(&self, path: &LakePath, content: Content<'_>) -> Result<(), StorageError> {
        let mut state = self.state.lock().unwrap();
        if path.parent().name() == "owner" {
            if self.safeguard == Safeguard::OwnerOnce {
                self.inner.delete(path)?;
            }
            state.epoch = epoch_of(path.name()).unwrap_or(0);
        }
        if let Some(late) = state.late.take_if(|late| path.parent() == *late) {
            self.inner.make_dirs(&late)?;
        }
        self.inner.create(path, content)
    }

    fn make_dirs(&self, dir: &LakePath) -> Result<(), StorageError> {
        if dir.parent().name() == "stage" && self.state.lock().unwrap().epoch == 2 {
            match self.safeguard {
                Safeguard::UnclearMkdir => {
                    self.state.lock().unwrap().late = Some(dir.clone());
                    return Ok(());
                }
                Safeguard::LateMkdir => return Err(StorageError::new(Kind::Unknown, "make_dirs", dir, "no answer")),
                _ => {}
            }
        }
        self.inner.make_dirs(dir)
    }

    fn rename(&self, from: &LakePath, to: &LakePath) -> Result<(), StorageError> {
        let mut state = self.state.lock().unwrap();
        match (self.safeguard, to.parent().name()) {
            (Safeguard::Fence, "fenced") => Ok(()),
            (Safeguard::FloorFirst, "floor") => {
                let staged = self.inner.stat(from)?;
                state.believed.push(Entry { path: to.clone(), ..staged });
                Ok(())
            }
            (Safeguard::FinishRewinds, "rewind") => {
                state.published.insert(to.clone());
                self.inner.rename(from, to)
            }
            (Safeguard::LedgerLast, _) if to.as_str().starts_with("raw/") => {
                self.inner.stat(from)?;
                state.held.push((from.clone(), to.clone()));
                Ok(())
            }
            (Safeguard::LedgerLast, _) if to.as_str().starts_with("ledger/") => {
                self.inner.rename(from, to)?;
                state.held.drain(..).try_for_each(|(from, to)| self.inner.rename(&from, &to))
            }
            _ => self.inner.rename(from, to),
        }
    }

    fn delete(&self, path: &LakePath) -> Result<(), StorageError> {
        self.inner.delete(path)
    }
}

/// Lets the interval before a hole reach over it.
fn mend(entries: &mut [Entry]) {
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    let place =
        |entry: &Entry, part: usize| -> i64 { entry.path.name().split('+').nth(part).unwrap().parse().unwrap() };
    for index in 1..entries.len() {
        let (to, from) = (place(&entries[index - 1], 3), place(&entries[index], 2));
        if to < from {
            let name = entries[index - 1].path.name().replace(&format!("+{to:020}+"), &format!("+{from:020}+"));
            let path = entries[index - 1].path.parent().join(name);
            entries[index - 1].path = path;
        }
    }
}

/// The first violation among all orders of two owners.
fn of_two_owners(lake: Lake, safeguard: Safeguard) -> Result<u64, String> {
    all(lake, &[reads, reads], 2, &Without::wrap(safeguard)).map_err(|(_, violation)| violation)
}

fn found(safeguard: Safeguard, answer: Result<u64, String>, violation: &str) {
    let story = answer.map(|tried| format!("{safeguard:?} is left out, and {tried} stories end well")).unwrap_err();
    println!("without {safeguard:?}: {story}");
    assert!(story.contains(violation), "another violation than expected: {story}");
}

#[test]
fn without_the_fence_two_owners_commit() {
    found(Safeguard::Fence, of_two_owners(Lake::Warm, Safeguard::Fence), "a directory reader sees offsets twice");
}

#[test]
fn without_the_second_look_two_owners_commit() {
    found(
        Safeguard::SecondLook,
        of_two_owners(Lake::Warm, Safeguard::SecondLook),
        "a directory reader sees offsets twice",
    );
}

#[test]
fn without_giving_up_an_unclear_stage_two_owners_commit() {
    let works = [reads as Work, reads];
    let (order, violation) = all(Lake::Warm, &works, 2, &Without::wrap(Safeguard::UnclearMkdir)).unwrap_err();
    found(Safeguard::UnclearMkdir, Err(violation), "a directory reader sees offsets twice");
    // The same story with an owner that gives it up.
    in_order(Lake::Warm, &works, &Without::wrap(Safeguard::LateMkdir), &order).unwrap();
}

#[test]
fn without_a_create_that_refuses_two_owners_have_one_epoch() {
    found(Safeguard::OwnerOnce, of_two_owners(Lake::Warm, Safeguard::OwnerOnce), "where 15 belong");
}

/// The first violation among all crashes of an owner, when it or who comes next goes without a safeguard.
fn of_crashes(lake: Lake, make: fn(jiff::Timestamp) -> SimFs, without: [Option<Safeguard>; 2]) -> Result<u64, String> {
    let wrap = |number: usize, storage: Arc<dyn Storage>| match without[number] {
        Some(safeguard) => Without::wrap(safeguard)(storage),
        None => as_it_is(storage),
    };
    let world = lake.on(make);
    let script = moments(&world, |storage| world.script(&wrap(0, Arc::clone(storage)), "first").unwrap());
    let mut tried = 0;
    for moment in script.into_iter().flat_map(crashes::Moment::aftermaths) {
        tried += 1;
        let world = &moment.world;
        let settled = moment.check().and_then(|()| {
            let storage = wrap(1, Arc::clone(&world.memory) as Arc<dyn Storage>);
            world.recover_on(&storage, "second", END).map_err(|error| error.to_string())?;
            world.check_at_rest()
        });
        settled.map_err(|violation| format!("{moment}: {violation}"))?;
    }
    Ok(tried)
}

#[test]
fn without_the_manifest_what_was_never_committed_stays() {
    assert!(of_crashes(Lake::Warm, SimFs::hdfs, [None, None]).is_ok());
    let answer = of_crashes(Lake::Warm, SimFs::hdfs, [None, Some(Safeguard::Manifest)]);
    found(Safeguard::Manifest, answer, "a directory reader sees offsets twice");
}

#[test]
fn without_the_floor_messages_are_skipped() {
    assert!(of_crashes(Lake::Cold, SimFs::hdfs, [None, None]).is_ok());
    found(
        Safeguard::FloorFirst,
        of_crashes(Lake::Cold, SimFs::hdfs, [Some(Safeguard::FloorFirst), None]),
        "an owner was told that",
    );
}

#[test]
fn with_the_ledger_first_it_names_what_is_not_there() {
    let answer = of_crashes(Lake::Warm, SimFs::hdfs, [Some(Safeguard::LedgerLast), None]);
    found(Safeguard::LedgerLast, answer, "is named and not there");
}

#[test]
fn without_finishing_rewinds_data_files_stay_behind() {
    let answer = of_crashes(Lake::Warm, SimFs::hdfs, [None, Some(Safeguard::FinishRewinds)]);
    found(Safeguard::FinishRewinds, answer, "a directory reader sees offsets twice");
}

#[test]
fn without_confirming_what_a_deposed_namenode_shows_commits_are_lost() {
    let trusting = Without::wrap(Safeguard::Confirm);
    let of = |lake| {
        (0..).find_map(|at| deposed_before(lake, at, 0, &trusting).map(|more| (!more).then_some(at)).transpose())
    };
    let answers = [Lake::Cold, Lake::Warm].map(|lake| of(lake).unwrap());
    let [cold, warm] = answers;
    found(Safeguard::Confirm, cold, "no floor");
    found(Safeguard::Confirm, warm, "is named and not there");
}

#[test]
fn without_a_sync_a_power_cut_takes_what_was_answered() {
    assert!(of_crashes(Lake::Warm, SimFs::local, [None, None]).is_ok());
    let careless: [fn(jiff::Timestamp) -> SimFs; 2] =
        [|now| SimFs::careless(now, Care::None), |now| SimFs::careless(now, Care::Changes)];
    for make in careless {
        println!("without care: {}", power_cuts(make).unwrap_err());
    }
    power_cuts(SimFs::local).unwrap();
}

/// An owner dies, another one takes over and dies with the machine.
fn power_cuts(make: fn(jiff::Timestamp) -> SimFs) -> Result<(), String> {
    let world = Lake::Warm.on(make);
    let script = moments(&world, |storage| world.script(storage, "first").unwrap());
    for moment in script {
        let second = Arc::new(moment.world);
        drop(second.acquire(&(Arc::clone(&second.memory) as Arc<dyn Storage>), "second").unwrap());
        second.memory.power_cut();
        second.check_any_state().and_then(|()| second.check_answered())?;
    }
    Ok(())
}

#[test]
fn without_the_chain_check_a_hole_is_read_past() {
    let past_the_hole = |safeguard: Option<Safeguard>| -> Result<(), String> {
        let world = World::new();
        drop(super::undo::nine(&world));
        let files: Vec<_> = world
            .memory
            .files("ledger")
            .into_keys()
            .chain(world.memory.files(&world.home("head")).into_keys())
            .collect();
        files[1..2]
            .iter()
            .chain(&files[3..])
            .for_each(|path| world.memory.delete(&LakePath::parse(path).unwrap()).unwrap());
        let storage = Arc::clone(&world.memory) as Arc<dyn Storage>;
        let storage = safeguard.map_or(Arc::clone(&storage), |safeguard| Without::wrap(safeguard)(storage));
        match world.recover_on(&storage, "second", END) {
            Ok(lane) if lane.head() == END => Err(world.audit().unwrap_err()),
            _ => Ok(()),
        }
    };
    past_the_hole(None).unwrap();
    found(Safeguard::ChainCheck, past_the_hole(Some(Safeguard::ChainCheck)).map(|()| 1), "no file begins at offset 6");
}

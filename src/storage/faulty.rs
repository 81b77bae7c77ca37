//! For tests: any storage with faults on demand.
//!
//! A [`FaultyStorage`] passes every call on until it is told otherwise: to fail a call before it is done, to lose the
//! answer of one that was done, to tear a file, to crash at call `k`, or to run a hook that may block the caller (so
//! that a zombie can be held between two calls while somebody else takes over). It is part of the library because
//! integration tests of every protocol use it; the daemon never does.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;

use super::{Content, Entry, Kind, LakePath, Storage, StorageError};

/// What a call asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// [`Storage::list`].
    List,
    /// [`Storage::stat`].
    Stat,
    /// [`Storage::read`].
    Read,
    /// [`Storage::create`], and each file of [`Storage::write_all`].
    Create,
    /// [`Storage::make_dirs`].
    MakeDirs,
    /// [`Storage::rename`].
    Rename,
    /// [`Storage::delete`].
    Delete,
}

impl Operation {
    /// Whether it changes what is stored.
    pub fn is_mutation(self) -> bool {
        !matches!(self, Self::List | Self::Stat | Self::Read)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Stat => "stat",
            Self::Read => "read",
            Self::Create => "create",
            Self::MakeDirs => "make_dirs",
            Self::Rename => "rename",
            Self::Delete => "delete",
        }
    }
}

/// One call, as hooks and predicates see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// How many calls came before it.
    pub number: u64,
    /// How many mutations came before it.
    pub mutations: u64,
    /// What is asked for.
    pub operation: Operation,
    /// The path; for a rename where it comes from.
    pub path: LakePath,
    /// Where a rename goes to.
    pub to: Option<LakePath>,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.number, self.operation.name(), self.path)?;
        self.to.as_ref().map_or(Ok(()), |to| write!(f, " -> {to}"))
    }
}

/// What happens to a call instead of what was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Injected {
    /// It is not done and fails with this kind.
    Fail(Kind),
    /// It is done, and its answer is lost: [`Kind::Unknown`] for a mutation, [`Kind::Unavailable`] for a look.
    LoseAnswer,
    /// A create leaves half of the file and its answer is lost; any other call is not done and its answer is lost.
    Tear,
    /// The process dies before the call: this one and all that follow fail with [`Kind::Unavailable`].
    Crash,
}

type Predicate = Box<dyn FnMut(&Call) -> bool + Send>;
type Hook = Arc<dyn Fn(&Call) + Send + Sync>;

struct Rule {
    when: Predicate,
    injected: Injected,
    is_once: bool,
}

#[derive(Default)]
struct State {
    calls: Vec<Call>,
    mutations: u64,
    rules: Vec<Rule>,
    hook: Option<Hook>,
    is_crashed: bool,
}

/// A storage that fails as it is told; see the module. Share it behind an [`Arc`].
pub struct FaultyStorage {
    inner: Arc<dyn Storage>,
    state: Mutex<State>,
}

impl FaultyStorage {
    /// Passes everything on to `inner`, for now.
    pub fn new(inner: Arc<dyn Storage>) -> Self {
        Self { inner, state: Mutex::default() }
    }

    /// Injects a fault into every call that `when` holds for. Rules are asked in the order they were given; `when` is
    /// asked once a call, must not block and must not call the storage.
    pub fn inject(&self, injected: Injected, when: impl FnMut(&Call) -> bool + Send + 'static) {
        self.state().rules.push(Rule { when: Box::new(when), injected, is_once: false });
    }

    /// Like [`Self::inject`], for the first such call only.
    pub fn inject_once(&self, injected: Injected, when: impl FnMut(&Call) -> bool + Send + 'static) {
        self.state().rules.push(Rule { when: Box::new(when), injected, is_once: true });
    }

    /// Lets `calls` more calls through, then crashes.
    pub fn crash_after(&self, calls: u64) {
        let last = self.calls() + calls;
        self.inject(Injected::Crash, move |call| call.number >= last);
    }

    /// Lets `mutations` more mutations through, then crashes at the next one: the crash points that differ.
    pub fn crash_after_mutations(&self, mutations: u64) {
        let last = self.mutations() + mutations;
        self.inject(Injected::Crash, move |call| call.operation.is_mutation() && call.mutations >= last);
    }

    /// Calls `hook` before each call, on the caller's thread, without a lock: it may block, and it may use the
    /// storage below this one.
    pub fn before_each(&self, hook: impl Fn(&Call) + Send + Sync + 'static) {
        self.state().hook = Some(Arc::new(hook));
    }

    /// Forgets rules, hook and crash; counters go on.
    pub fn heal(&self) {
        let mut state = self.state();
        state.rules.clear();
        state.hook = None;
        state.is_crashed = false;
    }

    /// Whether a crash has happened.
    pub fn is_crashed(&self) -> bool {
        self.state().is_crashed
    }

    /// Calls so far, failed ones too.
    pub fn calls(&self) -> u64 {
        self.state().calls.len() as u64
    }

    /// Mutations so far, failed ones too.
    pub fn mutations(&self) -> u64 {
        self.state().mutations
    }

    /// Calls of one operation so far.
    pub fn count(&self, operation: Operation) -> u64 {
        self.state().calls.iter().filter(|call| call.operation == operation).count() as u64
    }

    /// Everything that was asked, in order.
    pub fn history(&self) -> Vec<Call> {
        self.state().calls.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Counts the call, runs the hook and says what to inject.
    fn enter(&self, operation: Operation, path: &LakePath, to: Option<&LakePath>) -> Option<Injected> {
        let (call, hook) = {
            let mut state = self.state();
            let (number, mutations) = (state.calls.len() as u64, state.mutations);
            let call = Call { number, mutations, operation, path: path.clone(), to: to.cloned() };
            state.calls.push(call.clone());
            state.mutations += u64::from(operation.is_mutation());
            (call, state.hook.clone())
        };
        if let Some(hook) = hook {
            hook(&call);
        }
        let mut state = self.state();
        if state.is_crashed {
            return Some(Injected::Crash);
        }
        let found = state.rules.iter_mut().position(|rule| (rule.when)(&call))?;
        let injected = state.rules[found].injected;
        if state.rules[found].is_once {
            state.rules.remove(found);
        }
        state.is_crashed = injected == Injected::Crash;
        Some(injected)
    }

    fn run<T>(
        &self,
        operation: Operation,
        path: &LakePath,
        to: Option<&LakePath>,
        call: impl FnOnce() -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        answer(self.enter(operation, path, to), operation, path, call)
    }

    /// Leaves the first half of what a file should hold, as a crash in the middle of a write does.
    fn tear(&self, path: &LakePath, content: Content<'_>) -> Result<(), StorageError> {
        let whole = match content {
            Content::Bytes(bytes) => bytes.to_vec(),
            Content::Spooled(spooled) => read_spooled(path, spooled)?,
        };
        self.inner.create(path, Content::Bytes(&whole[..whole.len() / 2]))?;
        Err(StorageError::new(Kind::Unknown, "create", path, "injected tear"))
    }
}

fn answer<T>(
    injected: Option<Injected>,
    operation: Operation,
    path: &LakePath,
    call: impl FnOnce() -> Result<T, StorageError>,
) -> Result<T, StorageError> {
    let lost = if operation.is_mutation() { Kind::Unknown } else { Kind::Unavailable };
    let failed = |kind, message| Err(StorageError::new(kind, operation.name(), path, message));
    match injected {
        None => call(),
        Some(Injected::Fail(kind)) => failed(kind, "injected fault"),
        Some(Injected::Crash) => failed(Kind::Unavailable, "injected crash"),
        Some(Injected::Tear) => failed(lost, "injected loss of the request"),
        Some(Injected::LoseAnswer) => {
            // Done or refused, the caller does not get to know.
            let _ = call();
            failed(lost, "injected loss of the answer")
        }
    }
}

fn read_spooled(path: &LakePath, spooled: &Path) -> Result<Vec<u8>, StorageError> {
    std::fs::read(spooled).map_err(|error| StorageError::new(Kind::Other, "create", path, error.to_string()))
}

/// Files of `write_all` are created one after the other, so that each of them is a call that can be failed.
impl Storage for FaultyStorage {
    fn url(&self) -> &str {
        self.inner.url()
    }

    fn list(&self, dir: &LakePath) -> Result<Vec<Entry>, StorageError> {
        self.run(Operation::List, dir, None, || self.inner.list(dir))
    }

    fn stat(&self, path: &LakePath) -> Result<Entry, StorageError> {
        self.run(Operation::Stat, path, None, || self.inner.stat(path))
    }

    fn confirm(&self, path: &LakePath) -> Result<Entry, StorageError> {
        self.run(Operation::Stat, path, None, || self.inner.confirm(path))
    }

    fn read(&self, path: &LakePath, from: u64, to: u64) -> Result<Bytes, StorageError> {
        self.run(Operation::Read, path, None, || self.inner.read(path, from, to))
    }

    fn create(&self, path: &LakePath, content: Content<'_>) -> Result<(), StorageError> {
        match self.enter(Operation::Create, path, None) {
            Some(Injected::Tear) => self.tear(path, content),
            injected => answer(injected, Operation::Create, path, || self.inner.create(path, content)),
        }
    }

    fn make_dirs(&self, dir: &LakePath) -> Result<(), StorageError> {
        self.run(Operation::MakeDirs, dir, None, || self.inner.make_dirs(dir))
    }

    fn rename(&self, from: &LakePath, to: &LakePath) -> Result<(), StorageError> {
        self.run(Operation::Rename, from, Some(to), || self.inner.rename(from, to))
    }

    fn delete(&self, path: &LakePath) -> Result<(), StorageError> {
        self.run(Operation::Delete, path, None, || self.inner.delete(path))
    }
}

#[cfg(test)]
mod tests;

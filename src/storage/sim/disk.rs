//! Directories, files, and what of them a power cut leaves.
//!
//! A change of directories (an entry that comes, goes, or moves) is one step and is seen at once. It becomes durable
//! when one of the directories it touches is synced, and with it every earlier change of a directory that it touches:
//! no file system with a journal loses the first of two changes of one directory and keeps the second, and none leaves
//! half of a rename. Changes of other directories may stay behind.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use jiff::Timestamp;

use crate::storage::{Entry, Kind, LakePath};

/// A file or directory, whatever it is called.
pub(super) type Id = u64;
/// Each with the hash of its name, for fingerprints.
type Names = BTreeMap<Arc<str>, (Id, u64)>;

const ROOT: Id = 0;

#[derive(Debug, Clone)]
struct Node {
    modified: Timestamp,
    what: What,
}

#[derive(Debug, Clone)]
enum What {
    Dir(Names),
    File {
        content: Bytes,
        /// Of the content, when it was asked for: copies of a lake share it.
        hash: OnceLock<u64>,
        is_synced: bool,
    },
}

impl What {
    fn file(content: Bytes) -> Self {
        Self::File { content, hash: OnceLock::new(), is_synced: false }
    }
}

/// One change of directories.
#[derive(Debug, Clone)]
struct Change {
    removed: Option<(Id, Arc<str>)>,
    added: Option<(Id, Arc<str>, Id)>,
}

impl Change {
    fn dirs(&self) -> impl Iterator<Item = Id> {
        let (removed, added) = (self.removed.as_ref().map(|(dir, _)| *dir), self.added.as_ref().map(|(dir, ..)| *dir));
        removed.into_iter().chain(added)
    }

    fn apply(&self, names: &mut impl FnMut(Id, &mut dyn FnMut(&mut Names))) {
        if let Some((dir, name)) = &self.removed {
            names(*dir, &mut |names| {
                names.remove(name);
            });
        }
        if let Some((dir, name, id)) = &self.added {
            names(*dir, &mut |names| {
                names.insert(Arc::clone(name), (*id, hash_of(&without_uuid(name))));
            });
        }
    }
}

/// Cheap to clone: nodes and contents are shared until they change.
#[derive(Debug, Clone)]
pub(super) struct Disk {
    pub(super) now: Timestamp,
    next: Id,
    /// What calls see, and every file and directory that a power cut may bring back.
    nodes: BTreeMap<Id, Arc<Node>>,
    /// Entries of directories as a power cut leaves them.
    durable: BTreeMap<Id, Arc<Names>>,
    /// Changes that are seen and not durable, in their order.
    pending: Vec<Change>,
    /// How many changes there were.
    edits: u64,
    /// Whether the NameNode's journal takes what it is given.
    pub(super) reign: Reign,
}

/// What the NameNode believes to be, and is.
#[derive(Debug, Clone)]
pub(super) enum Reign {
    /// It is the active one.
    Active,
    /// Another one is, and it does not know.
    Deposed,
    /// Besides, it shows what no journal has; the other one has this.
    Deluded(Box<Disk>),
}

impl Disk {
    pub(super) fn new(now: Timestamp) -> Self {
        let root = Node { modified: now, what: What::Dir(Names::new()) };
        let (nodes, durable) = ([(ROOT, Arc::new(root))].into(), BTreeMap::new());
        Self { now, next: ROOT + 1, nodes, durable, pending: Vec::new(), edits: 0, reign: Reign::Active }
    }

    /// One change as a NameNode makes it: in memory, then in the journal, then the answer. A refusal, or a change that
    /// changes nothing, is answered from memory.
    pub(super) fn journaled<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T, Kind>) -> Result<T, Kind> {
        let mut after = self.clone();
        let done = work(&mut after);
        if after.edits == self.edits {
            return done;
        }
        let before = std::mem::replace(self, after);
        match before.reign {
            Reign::Active => {
                self.pending.clear();
                return done;
            }
            Reign::Deposed => self.reign = Reign::Deluded(Box::new(Self { reign: Reign::Active, ..before })),
            Reign::Deluded(durable) => *self = *durable,
        }
        Err(Kind::Unknown)
    }

    /// Asks the journal; whether it took it. A NameNode that it refuses ends, and the one in its place answers from
    /// then on.
    pub(super) fn ask_journal(&mut self) -> bool {
        match std::mem::replace(&mut self.reign, Reign::Active) {
            Reign::Active => return true,
            Reign::Deposed => {}
            Reign::Deluded(durable) => *self = *durable,
        }
        false
    }

    /// What lies at `path`.
    pub(super) fn find(&self, path: &LakePath) -> Option<Id> {
        let mut at = ROOT;
        for segment in path.as_str().split('/').filter(|segment| !segment.is_empty()) {
            at = self.names(at)?.get(segment)?.0;
        }
        Some(at)
    }

    pub(super) fn find_dir(&self, path: &LakePath) -> Option<Id> {
        self.find(path).filter(|id| self.names(*id).is_some())
    }

    fn names(&self, id: Id) -> Option<&Names> {
        match &self.nodes.get(&id)?.what {
            What::Dir(names) => Some(names),
            What::File { .. } => None,
        }
    }

    pub(super) fn is_there(&self, id: Id) -> bool {
        self.nodes.contains_key(&id)
    }

    /// None: it is a directory, or gone.
    pub(super) fn content(&self, id: Id) -> Option<Bytes> {
        match &self.nodes.get(&id)?.what {
            What::Dir(_) => None,
            What::File { content, .. } => Some(content.clone()),
        }
    }

    pub(super) fn entry(&self, id: Id, path: LakePath) -> Option<Entry> {
        let node = self.nodes.get(&id)?;
        let bytes = match &node.what {
            What::Dir(_) => None,
            What::File { content, .. } => Some(content.len() as u64),
        };
        Some(Entry { path, bytes: bytes.unwrap_or(0), modified: node.modified, is_dir: bytes.is_none() })
    }

    pub(super) fn children(&self, id: Id) -> Option<Vec<(Arc<str>, Id)>> {
        Some(self.names(id)?.iter().map(|(name, (id, _))| (Arc::clone(name), *id)).collect())
    }

    /// Every file below `id` with its path, as `path` begins it.
    pub(super) fn files_below(&self, id: Id, path: &LakePath, found: &mut BTreeMap<String, Bytes>) {
        for (name, (child, _)) in self.names(id).into_iter().flatten() {
            let path = path.join(name);
            match self.content(*child) {
                Some(content) => drop(found.insert(path.as_str().to_owned(), content)),
                None => self.files_below(*child, &path, found),
            }
        }
    }

    fn change(&mut self, change: Change) {
        let now = self.now;
        self.edits += 1;
        change.apply(&mut |dir, edit| {
            if let Some(node) = self.nodes.get_mut(&dir).map(Arc::make_mut)
                && let What::Dir(names) = &mut node.what
            {
                node.modified = now;
                edit(names);
            }
        });
        self.pending.push(change);
    }

    fn add(&mut self, path: &LakePath, what: What) -> Result<Id, Kind> {
        if self.find(path).is_some() {
            return Err(Kind::AlreadyExists);
        }
        let dir = self.find_dir(&path.parent()).ok_or(Kind::NotFound)?;
        let id = self.next;
        self.next += 1;
        self.nodes.insert(id, Arc::new(Node { modified: self.now, what }));
        self.change(Change { removed: None, added: Some((dir, Arc::from(path.name()), id)) });
        Ok(id)
    }

    pub(super) fn add_dir(&mut self, path: &LakePath) -> Result<Id, Kind> {
        self.add(path, What::Dir(Names::new()))
    }

    /// An empty file.
    pub(super) fn add_file(&mut self, path: &LakePath) -> Result<Id, Kind> {
        self.add(path, What::file(Bytes::new()))
    }

    pub(super) fn write(&mut self, id: Id, bytes: Bytes) {
        let now = self.now;
        self.edits += 1;
        if let Some(node) = self.nodes.get_mut(&id).map(Arc::make_mut) {
            (node.modified, node.what) = (now, What::file(bytes));
        }
    }

    pub(super) fn rename(&mut self, from: &LakePath, to: &LakePath) -> Result<(), Kind> {
        let id = self.find(from).ok_or(Kind::NotFound)?;
        let old = self.find_dir(&from.parent()).ok_or(Kind::NotFound)?;
        if id == ROOT || to.as_str().starts_with(&format!("{from}/")) {
            return Err(Kind::Other);
        }
        let new = self.find_dir(&to.parent()).ok_or(Kind::NotFound)?;
        if self.find(to).is_some() {
            return Err(Kind::AlreadyExists);
        }
        let removed = Some((old, Arc::from(from.name())));
        self.change(Change { removed, added: Some((new, Arc::from(to.name()), id)) });
        Ok(())
    }

    /// Takes one entry out. What it names stays where a power cut may find it.
    pub(super) fn unlink(&mut self, path: &LakePath) -> Result<(), Kind> {
        let id = self.find(path).ok_or(Kind::NotFound)?;
        if self.names(id).is_some_and(|names| !names.is_empty()) {
            return Err(Kind::Other);
        }
        let dir = self.find_dir(&path.parent()).ok_or(Kind::NotFound)?;
        self.change(Change { removed: Some((dir, Arc::from(path.name()))), added: None });
        Ok(())
    }

    /// Takes an entry out with all that is below it, for good: whoever has a file of it open has it no more.
    pub(super) fn remove(&mut self, path: &LakePath) -> Result<(), Kind> {
        let id = self.find(path).ok_or(Kind::NotFound)?;
        let dir = self.find_dir(&path.parent()).ok_or(Kind::NotFound)?;
        self.change(Change { removed: Some((dir, Arc::from(path.name()))), added: None });
        let mut gone = vec![id];
        while let Some(id) = gone.pop() {
            gone.extend(self.names(id).into_iter().flatten().map(|(_, (child, _))| *child));
            self.nodes.remove(&id);
        }
        Ok(())
    }

    pub(super) fn sync_file(&mut self, id: Id) {
        if let Some(What::File { is_synced, .. }) = self.nodes.get_mut(&id).map(|node| &mut Arc::make_mut(node).what) {
            *is_synced = true;
        }
    }

    pub(super) fn sync_dir(&mut self, dir: Id) {
        let mut touched = BTreeSet::from([dir]);
        let mut is_durable = vec![false; self.pending.len()];
        for (change, is_durable) in self.pending.iter().zip(&mut is_durable).rev() {
            if change.dirs().any(|dir| touched.contains(&dir)) {
                touched.extend(change.dirs());
                *is_durable = true;
            }
        }
        let mut stays = Vec::new();
        for (change, is_durable) in std::mem::take(&mut self.pending).into_iter().zip(is_durable) {
            if is_durable {
                change.apply(&mut |dir, edit| edit(Arc::make_mut(self.durable.entry(dir).or_default())));
            } else {
                stays.push(change);
            }
        }
        self.pending = stays;
    }

    /// Forgets what is not durable. Of a file that was not synced half is there.
    pub(super) fn power_cut(&mut self) {
        self.pending.clear();
        for (id, node) in &mut self.nodes {
            let left = match &node.what {
                What::Dir(names) => match self.durable.get(id) {
                    Some(durable) if **durable == *names => continue,
                    durable => What::Dir(durable.map(|names| (**names).clone()).unwrap_or_default()),
                },
                What::File { is_synced: true, .. } => continue,
                What::File { content, .. } => {
                    let content = content.slice(..content.len() / 2);
                    What::File { content, hash: OnceLock::new(), is_synced: true }
                }
            };
            *node = Arc::new(Node { modified: node.modified, what: left });
        }
    }

    /// A fingerprint of what is seen and of what a power cut would leave, but for times and UUIDs.
    pub(super) fn fingerprint(&self) -> u64 {
        hash_of(&(self.tree(ROOT, false), self.tree(ROOT, true)))
    }

    fn tree(&self, id: Id, is_cut: bool) -> u64 {
        match self.nodes.get(&id).map(|node| &node.what) {
            Some(What::File { content, hash, is_synced }) => {
                mixed(*hash.get_or_init(|| hash_of(content)), u64::from(is_cut && !is_synced))
            }
            Some(What::Dir(names)) => {
                let names = if is_cut { self.durable.get(&id).map(Arc::as_ref) } else { Some(names) };
                let children = names.into_iter().flat_map(BTreeMap::values);
                // In no order: that of the names is that of their UUIDs too.
                let children = children.map(|(child, name)| mixed(*name, self.tree(*child, is_cut)));
                children.fold(1, u64::wrapping_add)
            }
            None => 0,
        }
    }
}

/// A hash of two hashes, cheap in a build that is not optimised: a fingerprint takes one for each entry.
fn mixed(one: u64, other: u64) -> u64 {
    let mixed = (one.rotate_left(23) ^ other).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ (mixed >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93)
}

fn hash_of(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// The name without the UUID that it begins or ends with, and whether there was one.
fn without_uuid(name: &str) -> (&str, bool) {
    let is_uuid = |part: &str| uuid::Uuid::try_parse(part).is_ok();
    match (name.split_once('-'), name.split_at_checked(32)) {
        (Some((before, after)), _) if is_uuid(after) => (before, true),
        (_, Some((first, rest))) if is_uuid(first) => (rest, true),
        _ => (name, false),
    }
}

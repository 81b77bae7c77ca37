//! A lake in memory that keeps the storage contract to the letter, and whose clock the test owns.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use bytes::Bytes;
use forebay::storage::{Content, Entry, Kind, LakePath, Storage, StorageError};
use jiff::Timestamp;

#[derive(Clone)]
struct Node {
    /// None: a directory.
    content: Option<Bytes>,
    modified: Timestamp,
}

struct State {
    nodes: BTreeMap<String, Node>,
    now: Timestamp,
}

pub(crate) struct MemoryStorage(Mutex<State>);

impl MemoryStorage {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self(Mutex::new(State { nodes: BTreeMap::new(), now }))
    }

    pub(crate) fn set_time(&self, now: Timestamp) {
        self.state().now = now;
    }

    /// Every file below `dir` with its content.
    pub(crate) fn files(&self, dir: &str) -> BTreeMap<String, Bytes> {
        let below = format!("{dir}/");
        let state = self.state();
        let files = state.nodes.iter().filter(|(path, _)| path.starts_with(&below));
        files.filter_map(|(path, node)| Some((path.clone(), node.content.clone()?))).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

fn error<T>(kind: Kind, operation: &'static str, path: &LakePath) -> Result<T, StorageError> {
    Err(StorageError::new(kind, operation, path, "in memory"))
}

impl State {
    fn is_dir(&self, path: &str) -> bool {
        path.is_empty() || self.nodes.get(path).is_some_and(|node| node.content.is_none())
    }

    fn entry(&self, path: &str) -> Option<Entry> {
        let node = self.nodes.get(path)?;
        let bytes = node.content.as_ref().map_or(0, |content| content.len() as u64);
        let path = LakePath::parse(path)?;
        Some(Entry { path, bytes, modified: node.modified, is_dir: node.content.is_none() })
    }
}

impl Storage for MemoryStorage {
    fn url(&self) -> &str {
        "memory:///lake"
    }

    fn list(&self, dir: &LakePath) -> Result<Vec<Entry>, StorageError> {
        let state = self.state();
        if !state.is_dir(dir.as_str()) {
            return error(Kind::NotFound, "list", dir);
        }
        let children = state.nodes.keys().filter(|path| LakePath::parse(path).unwrap().parent() == *dir);
        Ok(children.filter_map(|path| state.entry(path)).collect())
    }

    fn stat(&self, path: &LakePath) -> Result<Entry, StorageError> {
        self.state().entry(path.as_str()).map_or_else(|| error(Kind::NotFound, "stat", path), Ok)
    }

    fn read(&self, path: &LakePath, from: u64, to: u64) -> Result<Bytes, StorageError> {
        let state = self.state();
        let Some(content) = state.nodes.get(path.as_str()).and_then(|node| node.content.as_ref()) else {
            return error(Kind::NotFound, "read", path);
        };
        if to > content.len() as u64 {
            return error(Kind::Corrupt, "read", path);
        }
        Ok(content.slice(from as usize..to as usize))
    }

    fn create(&self, path: &LakePath, content: Content<'_>) -> Result<(), StorageError> {
        let content = match content {
            Content::Bytes(bytes) => Bytes::copy_from_slice(bytes),
            Content::Spooled(file) => std::fs::read(file).unwrap().into(),
        };
        let mut state = self.state();
        if state.nodes.contains_key(path.as_str()) {
            return error(Kind::AlreadyExists, "create", path);
        }
        if !state.is_dir(path.parent().as_str()) {
            return error(Kind::NotFound, "create", path);
        }
        let modified = state.now;
        state.nodes.insert(path.as_str().to_owned(), Node { content: Some(content), modified });
        Ok(())
    }

    fn make_dirs(&self, dir: &LakePath) -> Result<(), StorageError> {
        let mut state = self.state();
        let modified = state.now;
        let mut path = String::new();
        for segment in dir.as_str().split('/') {
            path = if path.is_empty() { segment.to_owned() } else { format!("{path}/{segment}") };
            let node = state.nodes.entry(path.clone()).or_insert(Node { content: None, modified });
            if node.content.is_some() {
                return error(Kind::AlreadyExists, "make_dirs", dir);
            }
        }
        Ok(())
    }

    fn rename(&self, from: &LakePath, to: &LakePath) -> Result<(), StorageError> {
        let mut state = self.state();
        if !state.nodes.contains_key(from.as_str()) || !state.is_dir(to.parent().as_str()) {
            return error(Kind::NotFound, "rename", from);
        }
        if state.nodes.contains_key(to.as_str()) {
            return error(Kind::AlreadyExists, "rename", to);
        }
        let below = format!("{from}/");
        let is_moved = |path: &String| path == from.as_str() || path.starts_with(&below);
        let moved: Vec<String> = state.nodes.keys().filter(|path| is_moved(path)).cloned().collect();
        for path in moved {
            let node = state.nodes.remove(&path).unwrap();
            state.nodes.insert(format!("{to}{}", &path[from.as_str().len()..]), node);
        }
        Ok(())
    }

    fn delete(&self, path: &LakePath) -> Result<(), StorageError> {
        let below = format!("{path}/");
        self.state().nodes.retain(|other, _| other != path.as_str() && !other.starts_with(&below));
        Ok(())
    }
}

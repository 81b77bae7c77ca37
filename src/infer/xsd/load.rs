//! Schema files and their components.

use std::cell::Cell;
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::document::{self, Context, Element, Key, MAX_BYTES, Piece};
use crate::fault::Fault;

/// Most steps from type to type below one element.
const MAX_STEPS: u32 = 20_000;
/// Most schema files.
const MAX_FILES: usize = 500;

/// The components of a schema and of what it includes and imports.
#[derive(Debug, Default)]
pub struct Schema {
    pub(super) elements: HashMap<Key, Piece>,
    pub(super) types: HashMap<Key, Piece>,
    pub(super) groups: HashMap<Key, Piece>,
    pub(super) attributes: HashMap<Key, Piece>,
    pub(super) attribute_groups: HashMap<Key, Piece>,
    /// Complex type → those that extend it.
    pub(super) extensions: HashMap<Key, Vec<Key>>,
    /// Head of a substitution group → its members.
    pub(super) members: HashMap<Key, Vec<Key>>,
    /// Global elements of the first file, in its order.
    pub(super) first: Vec<Key>,
    /// Global elements that something refers to.
    pub(super) referred: BTreeSet<Key>,
    /// Steps that may still be taken from type to type below one element: a schema that refers to itself in several
    /// places would otherwise take for ever.
    pub(super) fuel: Cell<u32>,
    /// What was not followed or not understood.
    pub(in crate::infer) notes: Vec<String>,
    /// Prefixes of the first file.
    pub(in crate::infer) prefixes: Vec<(String, String)>,
    /// Name of the first file.
    pub(in crate::infer) file: String,
}

struct Loading<'s> {
    schema: &'s mut Schema,
    folder: PathBuf,
    /// Files read, each with the namespace it was read for.
    seen: BTreeSet<(PathBuf, String)>,
    pending: Vec<(PathBuf, Option<String>)>,
}

impl Schema {
    /// Reads a schema and what it includes and imports from its folder. Nothing is fetched from anywhere else.
    ///
    /// # Errors
    ///
    /// The file itself cannot be read or is not a schema. What it refers to and cannot be read is told in the mapping.
    pub fn load(file: &Path) -> Result<Self, Fault> {
        let mut schema = Self { file: file.display().to_string(), ..Self::default() };
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let root =
            read_file(file).map_err(|what| Fault::halt("infer.schema", format!("{}: {what}", file.display())))?;
        let mut loading =
            Loading { schema: &mut schema, folder: folder.to_owned(), seen: BTreeSet::new(), pending: Vec::new() };
        loading.seen.insert((file.to_owned(), String::new()));
        loading.add(&root, None, true);
        while let Some((path, namespace)) = loading.pending.pop() {
            match read_file(&path) {
                Ok(root) => loading.add(&root, namespace, false),
                Err(what) => loading.schema.notes.push(format!("{}: {what}", path.display())),
            }
        }
        Ok(schema)
    }

    /// Begins with the types of another element.
    pub(super) fn refuel(&self) {
        self.fuel.set(MAX_STEPS);
    }

    /// One step from type to type; false when there were too many.
    pub(super) fn step(&self) -> bool {
        let left = self.fuel.get();
        self.fuel.set(left.saturating_sub(1));
        left > 0
    }

    pub(in crate::infer) fn is_element(&self, namespace: Option<&str>, local: &str) -> bool {
        self.elements.contains_key(&(namespace.unwrap_or_default().to_owned(), local.to_owned()))
    }

    /// The elements that may be a root: those of the first file that nothing refers to, or all of them.
    pub(in crate::infer) fn roots(&self) -> Vec<&Key> {
        let is_free = |key: &&Key| !self.referred.contains(*key);
        let is_real = |key: &&Key| self.elements.get(*key).is_some_and(|piece| piece.get("abstract") != Some("true"));
        let free: Vec<&Key> = self.first.iter().filter(is_free).filter(is_real).collect();
        if free.is_empty() { self.first.iter().filter(is_real).collect() } else { free }
    }
}

impl Loading<'_> {
    fn add(&mut self, root: &Arc<Element>, includer: Option<String>, is_first: bool) {
        let own = root.get("targetNamespace").map(|uri| uri.trim().to_owned());
        let context = Arc::new(Context {
            unprefixed: if own.is_some() { String::new() } else { includer.clone().unwrap_or_default() },
            target: own.or(includer).unwrap_or_default(),
            elements_qualified: root.get("elementFormDefault") == Some("qualified"),
            attributes_qualified: root.get("attributeFormDefault") == Some("qualified"),
        });
        let schema = Piece { element: Arc::clone(root), context: Arc::clone(&context) };
        if is_first {
            self.schema.prefixes = root.scope().to_vec();
        }
        for child in schema.children() {
            match child.element.local.as_str() {
                "include" | "import" | "redefine" | "override" => self.follow(&child),
                local => self.component(local, &child, is_first),
            }
        }
        self.refer(&schema);
    }

    fn component(&mut self, local: &str, piece: &Piece, is_first: bool) {
        let Some(name) = piece.get("name") else { return };
        let key = (piece.context.target.clone(), name.trim().to_owned());
        let schema = &mut *self.schema;
        match local {
            "element" => {
                for head in piece.keys("substitutionGroup") {
                    schema.referred.insert(key.clone());
                    schema.members.entry(head).or_default().push(key.clone());
                }
                if is_first {
                    schema.first.push(key.clone());
                }
                schema.elements.entry(key).or_insert_with(|| piece.clone());
            }
            "complexType" | "simpleType" => {
                let content = piece.child("complexContent").or_else(|| piece.child("simpleContent"));
                let extension = content.and_then(|content| content.child("extension"));
                if let Some(base) = extension.and_then(|extension| extension.key("base")) {
                    schema.extensions.entry(base).or_default().push(key.clone());
                }
                schema.types.entry(key).or_insert_with(|| piece.clone());
            }
            "group" => {
                schema.groups.entry(key).or_insert_with(|| piece.clone());
            }
            "attribute" => {
                schema.attributes.entry(key).or_insert_with(|| piece.clone());
            }
            "attributeGroup" => {
                schema.attribute_groups.entry(key).or_insert_with(|| piece.clone());
            }
            _ => {}
        }
    }

    fn refer(&mut self, piece: &Piece) {
        if piece.is("element")
            && let Some(key) = piece.key("ref")
        {
            self.schema.referred.insert(key);
        }
        for child in piece.children() {
            self.refer(&child);
        }
    }

    /// Looks whether what a schema refers to lies in the same folder.
    fn follow(&mut self, piece: &Piece) {
        let local = piece.element.local.as_str();
        let Some(location) = piece.get("schemaLocation").map(str::trim) else {
            return;
        };
        let mut refuse = |why: &str| self.schema.notes.push(format!("{local} of {location:?} was not followed: {why}"));
        let name = location.strip_prefix("./").unwrap_or(location);
        if name.is_empty() || name.contains(['/', '\\', ':']) || name == ".." {
            return refuse("only files of the same folder are read, never the network");
        }
        let path = self.folder.join(name);
        if self.seen.len() >= MAX_FILES {
            return refuse("there are more than 500 files");
        }
        if matches!(local, "redefine" | "override") {
            let what = format!("{local} of {location:?}: what it changes is not read, only what it refers to");
            self.schema.notes.push(what);
        }
        let namespace = (local != "import").then(|| piece.context.target.clone());
        if self.seen.insert((path.clone(), namespace.clone().unwrap_or_default())) {
            self.pending.push((path, namespace));
        }
    }
}

fn read_file(path: &Path) -> Result<Arc<Element>, String> {
    let size = std::fs::metadata(path).map_err(|error| error.to_string().to_lowercase())?;
    if !size.is_file() {
        return Err("it is not a file".to_owned());
    }
    if size.len() > MAX_BYTES {
        return Err("it is larger than 32 MiB".to_owned());
    }
    let bytes = std::fs::read(path).map_err(|error| error.to_string().to_lowercase())?;
    document::read(&bytes)
}

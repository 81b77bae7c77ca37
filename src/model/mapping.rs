//! A mapping: how one message type becomes rows. Plain data, as read from the mapping file and already checked;
//! the parser compiles it into its state machine.

mod column;
mod compatible;
mod kind;
mod lineage;
mod path;

use std::collections::BTreeMap;
use std::path::PathBuf;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use std::sync::Arc;

pub use column::{Column, Repeat, Rounding, Trim, ValueRules};
pub use compatible::{clashes_with_files, incompatibilities};
pub use kind::{BinaryText, Kind, Precision};
pub use lineage::{CHILD_LINEAGE, LINEAGE, Lineage, ON_REQUEST, header_fields, header_item, headers};
pub use path::{Condition, Name, Path, Step, Take};

/// One message type and the columns of its table.
#[derive(Debug, Clone, PartialEq)]
pub struct Mapping {
    /// Name for people and for quarantine rows: the file's name.
    pub name: String,
    /// Version from the file.
    pub version: u32,
    /// Whether a later version may do what older files cannot be read with.
    pub compatibility: Compatibility,
    /// Expected root element.
    pub root: Option<Name>,
    /// Elements that rows are made of, outermost first, each by its steps from the one before, the first from the root
    /// element (no steps: the root itself, the first of several). A row is made of the innermost; one of an outer
    /// element that holds none of the next is a row as well. Empty: the root is the row.
    pub rows: Vec<Vec<Step>>,
    /// What happens to a message with a document type declaration.
    pub dtd: Dtd,
    /// What happens to elements and attributes that no column takes.
    pub unmapped: Unmapped,
    /// Schema that whole messages have to follow.
    pub xsd: Option<PathBuf>,
    /// What happens to a message with a bad row.
    pub on_bad_message: OnBadMessage,
    /// What happens to a row with a bad field.
    pub on_bad_field: OnBadField,
    /// Bounds on a message.
    pub limits: Limits,
    /// Prefixes of the mapping file, each with the URI it stands for.
    pub namespaces: BTreeMap<String, String>,
    /// The columns, in the order of the table.
    pub columns: Vec<Column>,
    /// Tables of what occurs many times in a row.
    pub children: Vec<Child>,
    /// The columns that Forebay adds. Not of the mapping file: the configuration of the table names them.
    pub lineage: Lineage,
}

/// A child table: a row for each element of that kind in a row of its parent.
#[derive(Debug, Clone, PartialEq)]
pub struct Child {
    /// Name of the table.
    pub name: String,
    /// Steps from the parent's row to the element.
    pub rows: Vec<Step>,
    /// The columns, with paths from the element; those with a leading slash from the root.
    pub columns: Vec<Column>,
    /// Tables of what occurs many times in a row of this one.
    pub children: Vec<Self>,
}

/// What a new version of a mapping may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compatibility {
    /// Old and new files can be read together: columns may be added, none may go or change its type.
    Backward,
    /// Anything; readers have to cope.
    None,
}

/// What happens to a message with a document type declaration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dtd {
    /// It is refused.
    Refuse,
    /// One that only names an external subset is passed over, and nothing is fetched; an internal subset is refused.
    IgnoreExternal,
}

/// What happens to elements and attributes that no column takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unmapped {
    /// Nothing.
    Ignore,
    /// They are counted by path.
    Count,
    /// They are violations.
    Reject,
    /// This column takes them, as a JSON object of path → text.
    Collect(String),
}

/// Bounds on a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Payload bytes, before and after it is decoded to UTF-8.
    pub bytes: u64,
    /// Nesting of elements; the root is 1.
    pub depth: u32,
    /// Attributes of one element.
    pub attributes: u32,
    /// Namespace declarations in scope.
    pub bindings: u32,
    /// Bytes of one name, prefix included.
    pub name: u32,
    /// Bytes of one value: text between two tags, an attribute, a comment, a processing instruction.
    pub text: u64,
    /// Children of one element.
    pub children: u32,
    /// Rows of one message, those of child tables counted.
    pub rows: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 10 << 20,
            depth: 256,
            attributes: 4096,
            bindings: 128,
            name: 1024,
            text: 10 << 20,
            children: 1_000_000,
            rows: 100_000,
        }
    }
}

/// What happens to a message with a bad row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnBadMessage {
    /// The whole message goes to quarantine.
    Quarantine,
    /// Good rows are kept; the message is in quarantine besides (`partial`).
    KeepGoodRows,
}

/// What happens to a row with a bad field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnBadField {
    /// The field spoils its row.
    Quarantine,
    /// The field becomes null, the row is kept, the violation reported.
    Null,
}

impl Mapping {
    /// A mapping of version 1 with a row a message, and what holds when the file says nothing else.
    pub fn new(name: impl Into<String>, columns: Vec<Column>) -> Self {
        Self {
            name: name.into(),
            version: 1,
            compatibility: Compatibility::Backward,
            root: None,
            rows: Vec::new(),
            dtd: Dtd::Refuse,
            unmapped: Unmapped::Ignore,
            xsd: None,
            on_bad_message: OnBadMessage::Quarantine,
            on_bad_field: OnBadField::Quarantine,
            limits: Limits::default(),
            namespaces: BTreeMap::new(),
            columns,
            children: Vec::new(),
            lineage: Lineage::default(),
        }
    }

    /// Schema of the table in RAW: the mapped columns, the one that collects what is unmapped, then the lineage.
    pub fn raw_schema(&self) -> SchemaRef {
        let collected = match &self.unmapped {
            Unmapped::Collect(name) => Some(Field::new(name, DataType::Utf8, true)),
            _ => None,
        };
        let mapped = self.columns.iter().map(Column::field);
        Arc::new(Schema::new(mapped.chain(collected).chain(self.lineage.fields()).collect::<Vec<_>>()))
    }

    /// Every child table, each before its own, with how deep it lies: 1 below the table of the mapping itself. In this
    /// order they have their table indices.
    pub fn descendants(&self) -> Vec<(&Child, usize)> {
        let mut all = Vec::new();
        let mut waiting: Vec<(&Child, usize)> = self.children.iter().rev().map(|child| (child, 1)).collect();
        while let Some((child, depth)) = waiting.pop() {
            all.push((child, depth));
            waiting.extend(child.children.iter().rev().map(|child| (child, depth + 1)));
        }
        all
    }
}

impl Child {
    /// Schema of the table in RAW: the mapped columns, then the lineage. `is_nested`: its parent is a child table too.
    pub fn raw_schema(&self, is_nested: bool, lineage: &Lineage) -> SchemaRef {
        let mapped = self.columns.iter().map(Column::field);
        Arc::new(Schema::new(mapped.chain(lineage.child_fields(is_nested)).collect::<Vec<_>>()))
    }
}

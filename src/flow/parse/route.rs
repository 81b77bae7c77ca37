//! Which table takes a message, where several tables share a topic: the first in the order of the configuration whose
//! conditions all hold.
//!
//! Headers are compared as Kafka has them. The root element is looked for only when a condition asks for it, and only
//! as far as its start tag. A message whose root element cannot be found meets no condition on it: the first table that
//! does not ask takes it, and without one it goes to quarantine as nobody's, with what is wrong with it as XML.

use std::sync::Arc;

use super::found::Found;
use super::names::{NameId, Vocabulary};
use super::peek::Peek;
use crate::fault::Fault;
use crate::model::batch::{RawBatch, RawMessage, TableIndex};
use crate::model::table::{HeaderIs, Table};

/// The tables that the messages of a topic may go to. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Route {
    candidates: Arc<[Candidate]>,
    roots: Arc<Vocabulary>,
}

#[derive(Debug)]
struct Candidate {
    table: TableIndex,
    root: Option<NameId>,
    header: Option<HeaderIs>,
}

/// Where a message goes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// To this table.
    Table(TableIndex),
    /// To nobody.
    Nobody,
    /// To nobody, and its root element cannot be found because of this.
    Unreadable(Box<Found>),
}

impl Route {
    /// The way of the messages of `topic`: all of these tables that are fed by it, up to the first without a condition.
    ///
    /// # Errors
    ///
    /// More root elements than can be numbered.
    pub fn of(topic: &str, tables: &[Table]) -> Result<Self, Fault> {
        let mut roots = Vocabulary::default();
        let mut candidates = Vec::new();
        for (table, settings) in (0..).zip(tables).filter(|(_, settings)| settings.topics.takes(topic)) {
            let Some(when) = &settings.when else {
                candidates.push(Candidate { table, root: None, header: None });
                break;
            };
            let number = |root| {
                let too_many = || Fault::halt("config.roots", format!("{topic} has more than 65,534 root elements"));
                roots.intern(root).ok_or_else(too_many)
            };
            let root = when.root.as_ref().map(number).transpose()?;
            candidates.push(Candidate { table, root, header: when.header.clone() });
        }
        Ok(Self { candidates: candidates.into(), roots: Arc::new(roots) })
    }

    /// The tables that a message may go to, in the order in which they are asked.
    pub fn tables(&self) -> impl Iterator<Item = TableIndex> {
        self.candidates.iter().map(|candidate| candidate.table)
    }

    /// What looks for root elements on this route.
    pub(super) fn peek(&self) -> Peek {
        Peek::new(Arc::clone(&self.roots))
    }

    /// Where a message with this payload goes.
    pub(super) fn choose(&self, raw: &RawBatch, message: &RawMessage, payload: &[u8], peek: &mut Peek) -> Choice {
        let mut seen = None;
        for candidate in self.candidates.iter().filter(|candidate| candidate.has_header(raw, message)) {
            match candidate.root {
                None => return Choice::Table(candidate.table),
                Some(root) => {
                    let seen = seen.get_or_insert_with(|| peek.root(payload));
                    if seen.as_ref().is_ok_and(|name| *name == root) {
                        return Choice::Table(candidate.table);
                    }
                }
            }
        }
        match seen {
            Some(Err(found)) => Choice::Unreadable(found),
            Some(Ok(_)) | None => Choice::Nobody,
        }
    }

    /// Where a message goes that must not be read; none when only reading it could tell, or nobody takes it.
    pub(super) fn unread(&self, raw: &RawBatch, message: &RawMessage) -> Option<TableIndex> {
        let first = self.candidates.iter().find(|candidate| candidate.has_header(raw, message))?;
        first.root.is_none().then_some(first.table)
    }
}

impl Candidate {
    fn has_header(&self, raw: &RawBatch, message: &RawMessage) -> bool {
        self.header.as_ref().is_none_or(|wanted| {
            message.headers.iter().any(|(name, value)| {
                let value = value.as_ref().map(|value| raw.slice(value));
                raw.slice(name) == wanted.name.as_bytes() && value == Some(wanted.value.as_bytes())
            })
        })
    }
}

/// One table that takes everything, or none that takes anything.
impl From<Option<TableIndex>> for Route {
    fn from(table: Option<TableIndex>) -> Self {
        let all = |table| Candidate { table, root: None, header: None };
        Self { candidates: table.map(all).into_iter().collect(), roots: Arc::default() }
    }
}

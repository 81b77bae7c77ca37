//! A mapping as the machine runs it.

use std::ops::Range;
use std::sync::Arc;

use arrow::datatypes::{FieldRef, Fields};

use super::states::{Moves, StateId};
use crate::flow::parse::names::{NameId, Vocabulary};
use crate::lexical::Caster;
use crate::model::mapping::{Dtd, Kind, Limits, Name, OnBadField, OnBadMessage, Repeat};
use crate::schema::Schema;

/// Index of a column, of the table or of one of its child tables, or of a field of a struct.
pub(in crate::flow::parse) type ColumnId = u16;

/// Index of a scope.
pub(in crate::flow::parse) type ScopeId = u16;

/// Index of a buffer of values.
pub(in crate::flow::parse) type BufferId = u16;

/// Index of a table: 0 is that of the mapping, then its child tables, each before its own.
pub(in crate::flow::parse) type TableId = u16;

/// The scope of what belongs to the whole message.
pub(in crate::flow::parse) const MESSAGE: ScopeId = 0;

/// A mapping as the machine runs it. Built once, shared by all workers.
#[derive(Debug)]
pub(in crate::flow::parse) struct Program {
    /// The names that lead anywhere.
    pub(in crate::flow::parse) vocabulary: Arc<Vocabulary>,
    /// From state to state.
    pub(in crate::flow::parse) moves: Moves,
    pub(super) states: Vec<State>,
    /// Every column and field.
    pub(in crate::flow::parse) columns: Vec<ColumnPlan>,
    /// Every scope; outer ones before those in them.
    pub(in crate::flow::parse) scopes: Vec<ScopePlan>,
    /// The tables.
    pub(in crate::flow::parse) tables: Vec<TablePlan>,
    /// What the buffers hold.
    pub(in crate::flow::parse) shapes: Vec<Shape>,
    /// How many columns keep something of their occurrences until their scope ends.
    pub(in crate::flow::parse) pending: usize,
    /// How many lengths of tables the scopes remember together.
    pub(in crate::flow::parse) marks: usize,
    /// Prefixes of the mapping, each with its namespace.
    pub(in crate::flow::parse) prefixes: Vec<(String, String)>,
    /// `xsi:nil`.
    pub(in crate::flow::parse) nil: NameId,
    /// The attributes of the XML Schema instance namespace, which are never unmapped, and those that conditions ask
    /// for.
    pub(in crate::flow::parse) spoken_of: Vec<NameId>,
    /// What happens to what no column takes.
    pub(in crate::flow::parse) watch: Watch,
    /// The root element as the mapping names it, when it expects a certain one.
    pub(in crate::flow::parse) root: Option<Name>,
    /// Bounds on a message.
    pub(in crate::flow::parse) limits: Limits,
    /// What happens to a message with a document type declaration.
    pub(in crate::flow::parse) dtd: Dtd,
    /// What whole messages have to follow.
    pub(in crate::flow::parse) schema: Option<Schema>,
    /// What a bad row does to its message.
    pub(in crate::flow::parse) on_bad_message: OnBadMessage,
    /// What a bad field does to its row.
    pub(in crate::flow::parse) on_bad_field: OnBadField,
}

/// What happens to what no column takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::flow::parse) enum Watch {
    /// Nothing, and it is not looked at.
    Off,
    /// It is counted by path.
    Count,
    /// It is a violation.
    Reject,
    /// It goes into this buffer of the first table.
    Collect(BufferId),
}

/// What of an element is taken, as bits.
pub(in crate::flow::parse) type Marks = u8;

/// All that is in it.
pub(in crate::flow::parse) const COVERED: Marks = 1;
/// Its own text, at least.
pub(in crate::flow::parse) const TEXT_TAKEN: Marks = 2;
/// Nothing: no path leads to it.
pub(in crate::flow::parse) const UNMAPPED: Marks = 4;

/// What is to be done in an element.
#[derive(Debug, Default)]
pub(in crate::flow::parse) struct State {
    /// Nothing is to be done.
    pub(in crate::flow::parse) is_quiet: bool,
    /// Scopes that begin with it, outer ones first.
    pub(in crate::flow::parse) begins: Vec<ScopeId>,
    /// Columns that take its own text.
    pub(in crate::flow::parse) text: Vec<ColumnId>,
    /// Columns that take all text in it.
    pub(in crate::flow::parse) all_text: Vec<ColumnId>,
    /// Columns that take it as it is.
    pub(in crate::flow::parse) elements: Vec<ColumnId>,
    /// Columns that take an attribute.
    pub(in crate::flow::parse) attributes: Vec<(NameId, ColumnId)>,
    /// It is a row of this table.
    pub(in crate::flow::parse) row: Option<TableId>,
    /// What of it is taken.
    pub(in crate::flow::parse) marks: Marks,
}

/// A column as the machine runs it.
#[derive(Debug)]
pub(in crate::flow::parse) struct ColumnPlan {
    /// Name in the table; of a field, after that of its struct and a point.
    pub(in crate::flow::parse) name: String,
    /// Its path as the mapping writes it, without prefixes.
    pub(in crate::flow::parse) path: String,
    /// Its type.
    pub(in crate::flow::parse) kind: Kind,
    /// Whether null is a violation.
    pub(in crate::flow::parse) required: bool,
    /// What happens when it occurs again.
    pub(in crate::flow::parse) repeat: Repeat,
    /// From text to value.
    pub(in crate::flow::parse) caster: Caster,
    /// The scope it may occur in once, or as often as `repeat` says.
    pub(in crate::flow::parse) scope: ScopeId,
    /// All rows of its table in that scope have it, and it is kept apart until the scope ends.
    pub(in crate::flow::parse) is_shared: bool,
    /// The scope that a bad value spoils: `scope`, or for a field the innermost one around it that is no struct.
    pub(in crate::flow::parse) judge: ScopeId,
    /// Where its value goes.
    pub(in crate::flow::parse) buffer: BufferId,
    /// Where each occurrence goes: the same, unless that is a list.
    pub(in crate::flow::parse) item: BufferId,
    /// Place among the columns that keep something of their occurrences until their scope ends.
    pub(in crate::flow::parse) pending: Option<u16>,
    /// Of a field: that of the innermost struct around it of which only the last occurrence counts.
    pub(in crate::flow::parse) held: Option<u16>,
}

/// A stretch of a message to which values belong.
#[derive(Debug)]
pub(in crate::flow::parse) struct ScopePlan {
    /// What it is.
    pub(in crate::flow::parse) kind: ScopeKind,
    /// The columns that belong to it and have their value when they have occurred.
    pub(in crate::flow::parse) plain: Vec<ColumnId>,
    /// The columns that belong to it and have their value only when it ends.
    pub(in crate::flow::parse) deferred: Vec<ColumnId>,
    /// The tables that have rows in it; none for a struct.
    pub(in crate::flow::parse) tables: Range<TableId>,
    /// Where the lengths of these tables at its beginning are kept.
    pub(in crate::flow::parse) mark: usize,
    /// Values that all rows in it share.
    pub(in crate::flow::parse) shares: Vec<Share>,
    /// For a row group the one inside it, or the row.
    pub(in crate::flow::parse) inner: Option<ScopeId>,
    /// Bytes of fixed width that an instance adds to columns.
    pub(in crate::flow::parse) width: usize,
}

/// What a scope is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::flow::parse) enum ScopeKind {
    /// The message.
    Message,
    /// An element around rows, which is a row itself when it has none.
    Group,
    /// A row.
    Row,
    /// A row of a child table.
    Child(TableId),
    /// The element of a struct.
    Struct(ColumnId),
}

/// A value that all rows of a table in a scope share.
#[derive(Debug, Clone, Copy)]
pub(in crate::flow::parse) struct Share {
    /// Where it is while the scope is open.
    pub(in crate::flow::parse) from: BufferId,
    /// Where it is repeated when the scope ends.
    pub(in crate::flow::parse) to: BufferId,
    /// The table.
    pub(in crate::flow::parse) table: TableId,
}

/// A table.
#[derive(Debug)]
pub(in crate::flow::parse) struct TablePlan {
    /// Its columns, in order.
    pub(in crate::flow::parse) columns: Vec<ColumnId>,
    /// Where their values go.
    pub(in crate::flow::parse) buffers: Vec<BufferId>,
    /// The scope that is a row of it.
    pub(in crate::flow::parse) row: ScopeId,
    /// The child table that its rows belong to rows of, when there is one.
    pub(in crate::flow::parse) parent: Option<TableId>,
}

/// What a buffer holds.
#[derive(Debug, Clone)]
pub(in crate::flow::parse) enum Shape {
    /// Single values.
    Leaf(Kind),
    /// Lists of what another buffer holds.
    List(FieldRef, BufferId),
    /// Structs of what other buffers hold.
    Struct(Fields, Vec<BufferId>),
}

impl ColumnPlan {
    /// With which pending column it is kept what is wrong here, until it is known whether it counts; none when it does.
    pub(in crate::flow::parse) fn holder(&self) -> Option<u16> {
        match (&self.repeat, &self.kind) {
            (Repeat::Last, Kind::Struct(_)) => self.pending,
            _ => self.held,
        }
    }
}

impl Program {
    /// What is to be done in that state.
    #[inline]
    pub(in crate::flow::parse) fn state(&self, state: StateId) -> &State {
        &self.states[usize::from(state)]
    }

    /// A column.
    #[inline]
    pub(in crate::flow::parse) fn column(&self, column: ColumnId) -> &ColumnPlan {
        &self.columns[usize::from(column)]
    }

    /// A scope.
    #[inline]
    pub(in crate::flow::parse) fn scope(&self, scope: ScopeId) -> &ScopePlan {
        &self.scopes[usize::from(scope)]
    }
}

//! From a mapping to a program: paths become states, so that a start tag is one step from state to state, and every
//! value belongs to a *scope*: the message, a row group, a row, a row of a child table, a struct.

mod paths;
mod plan;
mod scopes;
mod states;

pub(super) use plan::{
    BufferId, COVERED, ColumnId, ColumnPlan, MESSAGE, Marks, Program, ScopeId, ScopeKind, Shape, State, TEXT_TAKEN,
    TableId, UNMAPPED, Watch,
};
pub(super) use states::{DOCUMENT, NOWHERE, StateId};

use scopes::Builder;
pub(super) use scopes::XSI;

use crate::fault::Fault;
use crate::model::mapping::Mapping;

impl Program {
    /// Compiles a mapping.
    ///
    /// # Errors
    ///
    /// A mapping with more paths, names or columns than a program can number, or whose `*` and conditions make too many
    /// combinations.
    pub(super) fn compile(mapping: &Mapping) -> Result<Self, Fault> {
        Builder::new()
            .build(mapping)
            .map_err(|what| Fault::halt("mapping.too-large", format!("mapping {}: {what}", mapping.name)))
    }
}

//! The tables of the configuration together with every table of the lake that has their rows.

use std::sync::Arc;

use super::batch::TableIndex;
use super::table::{RowTable, Table, row_tables};

/// All tables by [`TableIndex`]: those of the configuration, and after them their child tables. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Catalog {
    tables: Arc<[Table]>,
    all: Arc<[RowTable]>,
}

impl Catalog {
    /// The catalog of the tables of a configuration; none when there are more than can be numbered.
    pub fn new(tables: impl Into<Arc<[Table]>>) -> Option<Self> {
        let tables = tables.into();
        let all = row_tables(&tables)?.into();
        Some(Self { tables, all })
    }

    /// The tables of the configuration.
    pub fn tables(&self) -> &Arc<[Table]> {
        &self.tables
    }

    /// Every table that has rows.
    pub fn all(&self) -> &[RowTable] {
        &self.all
    }

    /// The names of the tables that a ledger row may name: those of the configuration.
    pub fn ledger_names(&self) -> Arc<[Arc<str>]> {
        self.tables.iter().map(|table| Arc::clone(&table.name)).collect()
    }

    /// The table of that index, which may be a child table.
    pub fn get(&self, index: TableIndex) -> Option<&RowTable> {
        self.all.get(usize::from(index))
    }

    /// The table of the configuration that the table of that index is or belongs to: it has the settings and the
    /// mapping.
    pub fn settings(&self, index: TableIndex) -> Option<&Table> {
        self.tables.get(usize::from(self.get(index)?.top))
    }
}

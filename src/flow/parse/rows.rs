//! The rows of a mapping's tables while they are built: their columns, and what each row's lineage is made of.

use arrow::array::ArrayRef;
use arrow::error::ArrowError;

use super::columns::Buffers;
use super::compile::{BufferId, Program, ScopeId, TableId};

/// Bytes of the columns that a row of any table has besides the mapped ones.
const LINEAGE_BYTES: usize = 40;

/// Rows under construction. Whole messages are taken back by [`Rows::truncate`].
#[derive(Debug)]
pub(super) struct Rows {
    /// Every value.
    pub(super) buffers: Buffers,
    /// The table of the mapping, then its child tables.
    pub(super) tables: Vec<TableRows>,
    /// Index of the current message in the batch.
    pub(super) current: u32,
    /// Bytes of keys and headers that the rows of the topmost table get when it is finished.
    pub(super) carried: usize,
    /// Bytes that all rows may take.
    pub(super) room: usize,
    /// Whether the reading of a message was ended because they would have taken more.
    pub(super) is_over: bool,
}

/// The rows of one table.
#[derive(Debug)]
pub(super) struct TableRows {
    /// Its columns.
    buffers: Vec<BufferId>,
    /// For each row its place among the row elements of its message; of a child table, that of the row it belongs to.
    row_index: Vec<i32>,
    /// For each row of a child table its place among those of the same row of the topmost table.
    ordinal: Vec<i32>,
    /// For each row of a child table below another the ordinal of that one.
    parent_ordinal: Vec<i32>,
    /// For each row the index of its message in the batch.
    message: Vec<u32>,
}

/// Where a row is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lineage {
    pub(super) row_index: i32,
    pub(super) ordinal: Option<i32>,
    pub(super) parent_ordinal: Option<i32>,
}

/// The finished columns of a table.
#[derive(Debug)]
pub(super) struct Finished {
    /// The mapped columns.
    pub(super) columns: Vec<ArrayRef>,
    /// See [`TableRows`].
    pub(super) row_index: Vec<i32>,
    /// See [`TableRows`].
    pub(super) ordinal: Vec<i32>,
    /// See [`TableRows`].
    pub(super) parent_ordinal: Vec<i32>,
    /// See [`TableRows`].
    pub(super) message: Vec<u32>,
}

impl Rows {
    /// No rows yet.
    pub(super) fn new(program: &Program) -> Self {
        let table = |buffers: &Vec<BufferId>| TableRows {
            buffers: buffers.clone(),
            row_index: Vec::new(),
            ordinal: Vec::new(),
            parent_ordinal: Vec::new(),
            message: Vec::new(),
        };
        Self {
            buffers: Buffers::new(&program.shapes),
            tables: program.tables.iter().map(|plan| table(&plan.buffers)).collect(),
            current: 0,
            carried: 0,
            room: usize::MAX,
            is_over: false,
        }
    }

    /// Bytes that the rows take.
    pub(super) fn bytes(&self) -> usize {
        let rows: usize = self.tables.iter().map(|table| table.message.len()).sum();
        self.buffers.bytes() + rows * LINEAGE_BYTES + self.carried
    }

    /// Complete rows of a table.
    #[inline]
    pub(super) fn len(&self, table: TableId) -> usize {
        self.tables[usize::from(table)].message.len()
    }

    /// Counts the row whose values have been appended.
    pub(super) fn commit(&mut self, table: TableId, lineage: Lineage) {
        let table = &mut self.tables[usize::from(table)];
        table.row_index.push(lineage.row_index);
        table.ordinal.extend(lineage.ordinal);
        table.parent_ordinal.extend(lineage.parent_ordinal);
        table.message.push(self.current);
    }

    /// Forgets every row of a table after the first `len`, incomplete ones too.
    pub(super) fn truncate(&mut self, table: TableId, len: usize) {
        let table = &mut self.tables[usize::from(table)];
        for &buffer in &table.buffers {
            self.buffers.truncate(buffer, len);
        }
        table.row_index.truncate(len);
        table.ordinal.truncate(len);
        table.parent_ordinal.truncate(len);
        table.message.truncate(len);
    }

    /// Forgets the rows that were added in a scope since these marks were set.
    pub(super) fn take_back(&mut self, program: &Program, scope: ScopeId, marks: &[usize]) {
        let plan = program.scope(scope);
        for (at, table) in plan.tables.clone().enumerate() {
            self.truncate(table, marks[plan.mark + at]);
        }
    }

    /// The columns of a table as arrays; it has no rows then.
    ///
    /// # Errors
    ///
    /// See [`Buffers::finish`].
    pub(super) fn finish(&mut self, table: TableId) -> Result<Finished, ArrowError> {
        if table == 0 {
            self.carried = 0;
        }
        let table = &mut self.tables[usize::from(table)];
        let columns = table.buffers.iter().map(|&buffer| self.buffers.finish(buffer)).collect::<Result<_, _>>()?;
        Ok(Finished {
            columns,
            row_index: std::mem::take(&mut table.row_index),
            ordinal: std::mem::take(&mut table.ordinal),
            parent_ordinal: std::mem::take(&mut table.parent_ordinal),
            message: std::mem::take(&mut table.message),
        })
    }
}

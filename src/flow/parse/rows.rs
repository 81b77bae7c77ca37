//! The rows of one table while they are built: its columns, and what each row's lineage is made of.

use arrow::array::ArrayRef;
use arrow::error::ArrowError;

use super::columns::ColumnBuffer;
use super::compile::{ColumnId, Program};

/// Rows under construction. Whole messages are taken back by [`Rows::truncate`].
#[derive(Debug)]
pub(super) struct Rows {
    /// Every mapped column; those of the message are filled when a message ends.
    pub(super) columns: Vec<ColumnBuffer>,
    /// Values that all rows of the current message share, one at most in each, by the columns' message slots.
    pub(super) shared: Vec<ColumnBuffer>,
    /// For each row its place among the row elements of its message.
    row_index: Vec<i32>,
    /// For each row the index of its message in the batch.
    message: Vec<u32>,
    /// Index of the current message in the batch.
    pub(super) current: u32,
}

/// The finished columns of a table.
#[derive(Debug)]
pub(super) struct Finished {
    /// The mapped columns.
    pub(super) columns: Vec<ArrayRef>,
    /// See [`Rows`].
    pub(super) row_index: Vec<i32>,
    /// See [`Rows`].
    pub(super) message: Vec<u32>,
}

impl Rows {
    /// No rows yet.
    pub(super) fn new(program: &Program) -> Self {
        let buffer = |id: usize| ColumnBuffer::new(&program.columns[id].kind);
        Self {
            columns: (0..program.columns.len()).map(buffer).collect(),
            shared: program.message_columns.iter().map(|&id| buffer(usize::from(id))).collect(),
            row_index: Vec::new(),
            message: Vec::new(),
            current: 0,
        }
    }

    /// Complete rows.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.message.len()
    }

    /// Where a value of a column goes, and how long that is while the open row (or message) has none.
    #[inline]
    pub(super) fn buffer(&mut self, column: ColumnId, message_slot: Option<usize>) -> (&mut ColumnBuffer, usize) {
        match message_slot {
            None => (&mut self.columns[usize::from(column)], self.message.len()),
            Some(slot) => (&mut self.shared[slot], 0),
        }
    }

    /// Counts the row that the row columns hold now.
    pub(super) fn commit_row(&mut self, row_index: i32) {
        self.row_index.push(row_index);
        self.message.push(self.current);
    }

    /// Forgets every row after the first `len`, incomplete ones too.
    pub(super) fn truncate(&mut self, len: usize) {
        for column in &mut self.columns {
            column.truncate(len);
        }
        self.row_index.truncate(len);
        self.message.truncate(len);
    }

    /// Forgets the values that belonged to the rows of one message.
    pub(super) fn forget_shared(&mut self) {
        for column in &mut self.shared {
            column.truncate(0);
        }
    }

    /// Bytes of text in the longest column, which bounds how much more fits into this part of the table.
    pub(super) fn longest_text(&self) -> usize {
        self.columns.iter().map(ColumnBuffer::text_bytes).max().unwrap_or(0)
    }

    /// The columns as arrays; no rows are left.
    ///
    /// # Errors
    ///
    /// See [`ColumnBuffer::finish`].
    pub(super) fn finish(&mut self) -> Result<Finished, ArrowError> {
        let columns = self.columns.iter_mut().map(ColumnBuffer::finish).collect::<Result<_, _>>()?;
        Ok(Finished {
            columns,
            row_index: std::mem::take(&mut self.row_index),
            message: std::mem::take(&mut self.message),
        })
    }
}

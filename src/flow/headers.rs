//! The headers of messages as a column: a list of names and values for each row, in RAW as in quarantine.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryBuilder, ListArray, StringBuilder, StructArray};
use arrow::buffer::OffsetBuffer;
use arrow::error::ArrowError;

use crate::model::batch::{RawBatch, RawMessage};
use crate::model::mapping::{header_fields, header_item};

/// Headers of one message after the other.
#[derive(Default)]
pub struct HeaderColumn {
    lengths: Vec<usize>,
    name: StringBuilder,
    value: BinaryBuilder,
}

impl HeaderColumn {
    /// Appends the headers of a message, in their order; a name that came twice stands twice, and a message without
    /// headers has an empty list.
    pub fn append(&mut self, raw: &RawBatch, message: &RawMessage) {
        self.lengths.push(message.headers.len());
        for (name, value) in &message.headers {
            self.name.append_value(String::from_utf8_lossy(raw.slice(name)));
            self.value.append_option(value.as_ref().map(|span| raw.slice(span)));
        }
    }

    /// The column.
    ///
    /// # Errors
    ///
    /// Arrow's, when the parts do not make one; that would be a fault of this module.
    pub fn finish(mut self) -> Result<ArrayRef, ArrowError> {
        let columns: Vec<ArrayRef> = vec![Arc::new(self.name.finish()), Arc::new(self.value.finish())];
        let members = StructArray::try_new(header_fields(), columns, None)?;
        let offsets = OffsetBuffer::from_lengths(self.lengths);
        Ok(Arc::new(ListArray::try_new(Arc::new(header_item()), offsets, Arc::new(members), None)?))
    }
}

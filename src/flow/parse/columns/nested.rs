//! All buffers of a program: single values, and the lists and structs that are made of them.

use std::ops::{Index, IndexMut};
use std::sync::Arc;

use arrow::array::{ArrayRef, ListArray, StructArray};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::Fields;
use arrow::error::ArrowError;

use super::super::compile::{BufferId, Shape};
use super::buffer::{ColumnBuffer, Full, Values, take};

/// Buffers by number. What a list or struct is made of lies in buffers of its own, so that a value of a field is one
/// step away like any other.
#[derive(Debug)]
pub(in crate::flow::parse) struct Buffers(Vec<ColumnBuffer>);

impl Index<BufferId> for Buffers {
    type Output = ColumnBuffer;

    #[inline]
    fn index(&self, id: BufferId) -> &ColumnBuffer {
        &self.0[usize::from(id)]
    }
}

impl IndexMut<BufferId> for Buffers {
    #[inline]
    fn index_mut(&mut self, id: BufferId) -> &mut ColumnBuffer {
        &mut self.0[usize::from(id)]
    }
}

impl Buffers {
    /// Empty buffers of these shapes.
    pub(in crate::flow::parse) fn new(shapes: &[Shape]) -> Self {
        Self(shapes.iter().map(ColumnBuffer::new).collect())
    }

    /// Bytes (of a list: items) in the fullest buffer, which bounds how much more fits.
    pub(in crate::flow::parse) fn longest(&self) -> usize {
        self.0.iter().map(ColumnBuffer::loose_bytes).max().unwrap_or(0)
    }

    /// Bytes of all that was appended to them so far.
    pub(in crate::flow::parse) fn bytes(&self) -> usize {
        self.0.iter().map(ColumnBuffer::bytes).sum()
    }

    /// Appends a null; for a struct to its fields as well.
    pub(in crate::flow::parse) fn push_null(&mut self, id: BufferId) {
        self[id].push_null();
        let mut next = 0;
        while let Some(field) = self.field(id, next) {
            self.push_null(field);
            next += 1;
        }
    }

    /// Appends the struct whose fields have been appended.
    pub(in crate::flow::parse) fn push_struct(&mut self, id: BufferId) {
        self[id].append_valid();
    }

    /// Appends a list of all items that belong to no list yet.
    ///
    /// # Errors
    ///
    /// There are too many of them.
    pub(in crate::flow::parse) fn push_list(&mut self, id: BufferId) -> Result<(), Full> {
        let Values::List { item, .. } = self[id].values else { return Ok(()) };
        let end = i32::try_from(self[item].len()).map_err(|_| Full)?;
        if let Values::List { offsets, .. } = &mut self[id].values {
            offsets.push(end);
        }
        self[id].append_valid();
        Ok(())
    }

    /// Forgets everything after the first `len` values.
    #[inline]
    pub(in crate::flow::parse) fn truncate(&mut self, id: BufferId, len: usize) {
        let items = self[id].truncate(len);
        match &self[id].values {
            Values::List { item, .. } => {
                let item = *item;
                self.truncate(item, items);
            }
            Values::Struct { .. } => self.truncate_fields(id, len),
            _ => {}
        }
    }

    fn truncate_fields(&mut self, id: BufferId, len: usize) {
        let mut next = 0;
        while let Some(field) = self.field(id, next) {
            self.truncate(field, len);
            next += 1;
        }
    }

    /// Bytes that the value at `at` of a buffer takes.
    pub(in crate::flow::parse) fn size(&self, id: BufferId, at: usize) -> usize {
        match &self[id].values {
            Values::Text { offsets, .. } => 4 + between(offsets, at).len(),
            Values::List { offsets, item, .. } => {
                4 + between(offsets, at).map(|at| self.size(*item, at)).sum::<usize>()
            }
            Values::Struct { buffers, .. } => 1 + buffers.iter().map(|&field| self.size(field, at)).sum::<usize>(),
            Values::Bool(_) | Values::Int8(_) => 1,
            Values::Int16(_) => 2,
            Values::Int32(..) | Values::Float32(_) => 4,
            Values::Int64(..) | Values::Float64(_) => 8,
            Values::Decimal(..) => 16,
        }
    }

    /// Appends the value at `at` of one buffer to another of the same shape, `count` times.
    ///
    /// # Errors
    ///
    /// There is no room for it.
    pub(in crate::flow::parse) fn repeat(
        &mut self,
        from: BufferId,
        at: usize,
        to: BufferId,
        count: usize,
    ) -> Result<(), Full> {
        match &self[from].values {
            Values::List { offsets, item, .. } => {
                let (items, item) = (between(offsets, at), *item);
                self.repeat_list(items, item, to, count)?;
            }
            Values::Struct { .. } => self.repeat_struct(from, at, to, count)?,
            _ => {
                if let Ok([source, target]) = self.0.get_disjoint_mut([usize::from(from), usize::from(to)]) {
                    target.repeat_leaf(source, at, count);
                }
                return Ok(());
            }
        }
        if let Ok([source, target]) = self.0.get_disjoint_mut([usize::from(from), usize::from(to)]) {
            target.repeat_validity(source, at, count);
        }
        Ok(())
    }

    fn repeat_list(
        &mut self,
        items: std::ops::Range<usize>,
        from: BufferId,
        to: BufferId,
        count: usize,
    ) -> Result<(), Full> {
        let Values::List { item, .. } = self[to].values else { return Ok(()) };
        for _ in 0..count {
            for at in items.clone() {
                self.repeat(from, at, item, 1)?;
            }
            let end = i32::try_from(self[item].len()).map_err(|_| Full)?;
            if let Values::List { offsets, .. } = &mut self[to].values {
                offsets.push(end);
            }
        }
        Ok(())
    }

    fn repeat_struct(&mut self, from: BufferId, at: usize, to: BufferId, count: usize) -> Result<(), Full> {
        for field in 0.. {
            let (Some(from), Some(to)) = (self.field(from, field), self.field(to, field)) else { break };
            self.repeat(from, at, to, count)?;
        }
        Ok(())
    }

    /// The buffer of a field of a struct.
    fn field(&self, id: BufferId, field: usize) -> Option<BufferId> {
        match &self[id].values {
            Values::Struct { buffers, .. } => buffers.get(field).copied(),
            _ => None,
        }
    }

    /// A buffer as an array, with its items and fields. It is empty afterwards.
    ///
    /// # Errors
    ///
    /// Arrow's, when the parts do not make an array; that would be a fault of this module.
    pub(in crate::flow::parse) fn finish(&mut self, id: BufferId) -> Result<ArrayRef, ArrowError> {
        let (len, nulls) = match &self[id].values {
            Values::List { .. } | Values::Struct { .. } => (self[id].len(), self[id].finish_validity()),
            _ => return self[id].finish_leaf(),
        };
        if let Values::List { item, .. } = self[id].values {
            let items = self.finish(item)?;
            let Values::List { offsets, field, .. } = &mut self[id].values else {
                return Err(ArrowError::InvalidArgumentError("a list is none".to_owned()));
            };
            let ends = OffsetBuffer::new(ScalarBuffer::from(take(offsets)));
            offsets.push(0);
            return Ok(Arc::new(ListArray::try_new(Arc::clone(field), ends, items, nulls)?));
        }
        let (fields, buffers) = match &self[id].values {
            Values::Struct { fields, buffers } => (fields.clone(), buffers.clone()),
            _ => (Fields::empty(), Vec::new()),
        };
        let columns = buffers.into_iter().map(|field| self.finish(field)).collect::<Result<Vec<_>, _>>()?;
        Ok(Arc::new(StructArray::try_new_with_length(fields, columns, nulls, len)?))
    }
}

fn between(offsets: &[i32], at: usize) -> std::ops::Range<usize> {
    let end = |at: usize| offsets.get(at).map_or(0, |&end| end.unsigned_abs() as usize);
    end(at)..end(at + 1).max(end(at))
}

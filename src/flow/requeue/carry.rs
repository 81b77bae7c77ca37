//! What goes from the old version of an interval into the new one as it is: files byte for byte, or rows value by value
//! beside new ones.

use std::collections::HashSet;
use std::io::Write;
use std::sync::Arc;

use arrow::array::{AsArray, BooleanArray, RecordBatch, new_null_array};
use arrow::compute::{SortColumn, concat_batches, filter_record_batch, lexsort_to_indices, take_record_batch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};

use super::message::slice_rows;
use super::select::unfit;
use crate::fault::Fault;
use crate::flow::spool::{Spool, SpoolFile, io_fault};
use crate::lake::LakeError;
use crate::lake::columns::{self, type_name, united};
use crate::lake::footer::DataFile;
use crate::lake::ledger::{CheckedFile, Spooled};
use crate::lake::parquet_reader::ParquetFile;
use crate::model::mapping::{LINEAGE, Lineage};
use crate::storage::{LakePath, Storage};

/// Bytes of one look at the storage while a file is copied.
const PIECE_BYTES: u64 = 4 << 20;

/// Where a data file of the old version lies.
pub(super) fn path_of(file: &DataFile) -> Result<LakePath, Fault> {
    LakePath::parse(&file.path)
        .ok_or_else(|| Fault::halt("requeue.ledger", format!("a ledger file names {}; see `forebay audit`", file.path)))
}

/// Copies a file of the lake into the spool, and checks it on the way.
pub(super) fn copy(storage: &dyn Storage, file: &DataFile, spool: &Spool) -> Result<(SpoolFile, Spooled), Fault> {
    let path = path_of(file)?;
    let (mut room, _) = spool.create()?;
    let failed = |room: &SpoolFile, error: &std::io::Error| io_fault(error, "write a spool file", room.path());
    let mut copy = CheckedFile::create(room.path()).map_err(|error| failed(&room, &error))?;
    let mut at = 0;
    while at < file.bytes {
        let to = (at + PIECE_BYTES).min(file.bytes);
        copy.write_all(&storage.read(&path, at, to)?).map_err(|error| failed(&room, &error))?;
        room.resize(to);
        at = to;
    }
    if copy.crc32() != file.crc32 {
        let message =
            format!("{path} is damaged: its bytes are not those that were committed; restore it from a backup");
        return Err(Fault::halt("requeue.corrupt", message));
    }
    let (bytes, checksum) = (copy.bytes(), copy.crc32());
    let spooled = Spooled { path: room.path().to_owned(), bytes, rows: file.rows, checksum };
    Ok((room, spooled))
}

/// The columns of a file that holds rows of both schemas: those of `new`, then those that only `old` has. A column that
/// one of them lacks is null in its rows. Text is plain.
///
/// # Errors
///
/// What keeps them apart: a column of two types.
pub(super) fn unite(new: &Schema, old: &Schema) -> Result<SchemaRef, String> {
    let mut fields = Vec::with_capacity(new.fields().len());
    for field in new.fields() {
        let Some((_, other)) = old.column_with_name(field.name()) else {
            fields.push(Field::new(field.name(), plain(field.data_type()).clone(), true));
            continue;
        };
        let Some(kind) = united(plain(field.data_type()), plain(other.data_type())) else {
            let (name, old, new) = (field.name(), type_name(other.data_type()), type_name(field.data_type()));
            return Err(format!("column {name} is {old} there and {new} in today's mapping"));
        };
        fields.push(Field::new(field.name(), kind, field.is_nullable() || other.is_nullable()));
    }
    for field in old.fields().iter().filter(|field| new.column_with_name(field.name()).is_none()) {
        fields.push(Field::new(field.name(), plain(field.data_type()).clone(), true));
    }
    Ok(Arc::new(Schema::new(fields)))
}

fn plain(kind: &DataType) -> &DataType {
    match kind {
        DataType::Dictionary(_, values) => values,
        other => other,
    }
}

/// Rows in the columns of another schema that [`unite`] has made of theirs.
pub(super) fn fit(rows: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, Fault> {
    let parts = schema.fields().iter().map(|field| match rows.column_by_name(field.name()) {
        None => Ok(new_null_array(field.data_type(), rows.num_rows())),
        Some(column) => columns::fit(column, field.data_type()),
    });
    let parts = parts.collect::<Result<Vec<_>, _>>();
    parts.and_then(|parts| RecordBatch::try_new(Arc::clone(schema), parts)).map_err(|error| internal(&error))
}

/// The columns by which the rows of a file are in order.
#[derive(Debug, Clone)]
pub(super) struct Order {
    /// Offset of the message.
    pub(super) offset: Arc<str>,
    /// What comes after it, as far as a file has it.
    within: Vec<Arc<str>>,
}

impl Order {
    /// That of quarantine, which has one row a message.
    pub(super) fn of_quarantine() -> Self {
        Self { offset: LINEAGE[2].into(), within: Vec::new() }
    }

    /// That of RAW, by the names that a table has for these columns.
    pub(super) fn of_rows(lineage: &Lineage) -> Self {
        let within = vec![Arc::clone(&lineage.names[4]), Arc::clone(&lineage.child_names[0])];
        Self { offset: Arc::clone(&lineage.names[2]), within }
    }

    /// All of them.
    pub(super) fn columns(&self) -> impl Iterator<Item = &Arc<str>> {
        std::iter::once(&self.offset).chain(&self.within)
    }

    /// The offset of each row.
    pub(super) fn offsets<'r>(&self, rows: &'r RecordBatch) -> Result<&'r [i64], Fault> {
        let unfit = || unfit(&self.offset);
        let offsets = rows.column_by_name(&self.offset).ok_or_else(unfit)?;
        Ok(offsets.as_primitive_opt::<Int64Type>().ok_or_else(unfit)?.values())
    }

    pub(super) fn last(&self, rows: &RecordBatch) -> Result<Option<i64>, Fault> {
        Ok(self.offsets(rows)?.last().copied())
    }

    /// Rows up to an offset, and those above it.
    fn split(&self, rows: &RecordBatch, upto: i64) -> Result<(RecordBatch, RecordBatch), Fault> {
        let at = self.offsets(rows)?.partition_point(|offset| *offset <= upto);
        Ok((rows.slice(0, at), rows.slice(at, rows.num_rows() - at)))
    }

    fn without(&self, rows: &RecordBatch, gone: &HashSet<i64>) -> Result<RecordBatch, Fault> {
        if gone.is_empty() {
            return Ok(rows.clone());
        }
        let stays: BooleanArray = self.offsets(rows)?.iter().map(|offset| Some(!gone.contains(offset))).collect();
        filter_record_batch(rows, &stays).map_err(|error| internal(&error))
    }

    /// The rows of several batches in one, in order.
    pub(super) fn sort(&self, schema: &SchemaRef, batches: &[RecordBatch]) -> Result<RecordBatch, Fault> {
        let rows = concat_batches(schema, batches).map_err(|error| internal(&error))?;
        let keys = self.columns().filter_map(|name| rows.column_by_name(name));
        let keys: Vec<SortColumn> =
            keys.map(|values| SortColumn { values: Arc::clone(values), options: None }).collect();
        let order = lexsort_to_indices(&keys, None).and_then(|order| take_record_batch(&rows, &order));
        order.map_err(|error| internal(&error))
    }
}

/// The rows of an old file on their way into a new one, by ascending offset.
pub(super) struct Carried {
    batches: Box<dyn Iterator<Item = Result<RecordBatch, LakeError>>>,
    /// Read, and above what has been merged so far.
    ahead: Option<RecordBatch>,
    schema: SchemaRef,
    order: Order,
}

impl Carried {
    /// All rows of `file`, in the columns of `schema`, which [`unite`] has made of its own, or which are some of its
    /// own.
    pub(super) fn open(file: &ParquetFile, schema: SchemaRef, order: Order) -> Result<Self, Fault> {
        let fields = file.schema().fields().iter().enumerate();
        let columns: Vec<usize> = fields
            .filter(|(_, field)| schema.column_with_name(field.name()).is_some())
            .map(|(column, _)| column)
            .collect();
        let batches = file.read(&columns, slice_rows(file))?;
        Ok(Self { batches: Box::new(batches), ahead: None, schema, order })
    }

    fn next(&mut self) -> Result<Option<RecordBatch>, Fault> {
        if let Some(ahead) = self.ahead.take() {
            return Ok(Some(ahead));
        }
        for batch in self.batches.by_ref() {
            let batch = batch?;
            if batch.num_rows() > 0 {
                return fit(&batch, &self.schema).map(Some);
            }
        }
        Ok(None)
    }

    /// Some of the rows that are left up to an offset, the first ones; none when there are no more of them.
    pub(super) fn take_upto(&mut self, until: i64) -> Result<Option<RecordBatch>, Fault> {
        let Some(old) = self.next()? else { return Ok(None) };
        let (low, high) = self.order.split(&old, until)?;
        self.ahead = (high.num_rows() > 0).then_some(high);
        Ok((low.num_rows() > 0).then_some(low))
    }

    /// Gives `new` rows to `append`, which are by ascending offset too, with the old rows up to their last one in
    /// between; those of `gone` messages are left out. Memory: one batch of old rows beside the new ones.
    pub(super) fn merge(
        &mut self,
        new: RecordBatch,
        gone: &HashSet<i64>,
        mut append: impl FnMut(RecordBatch) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let mut new = new;
        while let Some(until) = self.order.last(&new)? {
            let Some(low) = self.take_upto(until)? else { break };
            let Some(upto) = self.order.last(&low)? else { break };
            // With old rows left ahead, everything new is below them.
            let upto = if self.ahead.is_some() { until } else { upto };
            let (ready, rest) = self.order.split(&new, upto)?;
            append(self.order.sort(&self.schema, &[self.order.without(&low, gone)?, ready])?)?;
            new = rest;
        }
        if new.num_rows() > 0 { append(new) } else { Ok(()) }
    }

    /// Gives all old rows that are left to `append`.
    pub(super) fn rest(
        &mut self,
        gone: &HashSet<i64>,
        mut append: impl FnMut(RecordBatch) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        while let Some(old) = self.next()? {
            append(self.order.without(&old, gone)?)?;
        }
        Ok(())
    }
}

/// A mistake of ours, as the columns' library words it.
pub(super) fn internal(error: &arrow::error::ArrowError) -> Fault {
    Fault::internal("requeue.columns", format!("columns of a revised interval: {error}"))
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array, StringArray, StructArray};
    use proptest::prelude::*;

    use super::*;

    fn schema(fields: &[(&str, DataType, bool)]) -> Schema {
        Schema::new(fields.iter().map(|(name, kind, null)| Field::new(*name, kind.clone(), *null)).collect::<Vec<_>>())
    }

    #[test]
    fn both_versions_fit_into_one_file_unless_a_column_has_two_types() {
        let text = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
        let old =
            schema(&[("id", DataType::Int64, false), ("gone", DataType::Date32, false), ("t", DataType::Utf8, false)]);
        let new = schema(&[("id", DataType::Int64, false), ("t", text, true), ("more", DataType::Int32, false)]);
        let both = unite(&new, &old).unwrap();
        let want = schema(&[
            ("id", DataType::Int64, false),
            ("t", DataType::Utf8, true),
            ("more", DataType::Int32, true),
            ("gone", DataType::Date32, true),
        ]);
        assert_eq!(*both, want);
        let other = schema(&[("id", DataType::Int32, false)]);
        assert_eq!(unite(&other, &old).unwrap_err(), "column id is int64 there and int32 in today's mapping");
    }

    #[test]
    fn structs_fit_when_their_fields_have_the_same_names() {
        let of = |name: &str, null: bool| DataType::Struct(vec![Field::new(name, DataType::Utf8, null)].into());
        let (old, new) = (schema(&[("s", of("city", false), false)]), schema(&[("s", of("city", true), true)]));
        assert_eq!(*unite(&new, &old).unwrap(), new);
        let city: ArrayRef = Arc::new(StringArray::from(vec!["Lyon"]));
        let column = StructArray::new(vec![Field::new("city", DataType::Utf8, false)].into(), vec![city], None);
        let rows = RecordBatch::try_new(Arc::new(old.clone()), vec![Arc::new(column)]).unwrap();
        let fitted = fit(&rows, &Arc::new(new)).unwrap();
        assert_eq!(fitted.column(0).as_struct().column(0).as_string::<i32>().value(0), "Lyon");
        let renamed = unite(&schema(&[("s", of("town", true), true)]), &old).unwrap_err();
        assert_eq!(renamed, "column s is struct<city:string> there and struct<town:string> in today's mapping");
    }

    fn rows(offsets: &[i64]) -> RecordBatch {
        let schema = Arc::new(schema(&[(LINEAGE[2], DataType::Int64, false)]));
        RecordBatch::try_new(schema, vec![Arc::new(Int64Array::from(offsets.to_vec()))]).unwrap()
    }

    proptest! {
        #[test]
        fn old_and_new_rows_come_out_in_order(
            old in prop::collection::btree_set(0i64..40, 0..20), new in prop::collection::btree_set(0i64..40, 0..20),
            cuts in (1usize..6, 1usize..6), gone in prop::collection::hash_set(0i64..40, 0..5),
        ) {
            let (old, new): (Vec<i64>, Vec<i64>) = (old.into_iter().collect(), new.into_iter().collect());
            let batches: Vec<_> = old.chunks(cuts.0).map(|offsets| Ok(rows(offsets))).collect();
            let schema = rows(&[]).schema();
            let mut carried = Carried { batches: Box::new(batches.into_iter()), ahead: None, schema, order: Order::of_quarantine() };
            let mut out: Vec<i64> = Vec::new();
            let mut append = |rows: RecordBatch| {
                out.extend(Order::of_quarantine().offsets(&rows)?);
                Ok(())
            };
            for new in new.chunks(cuts.1) {
                carried.merge(rows(new), &gone, &mut append).unwrap();
            }
            carried.rest(&gone, &mut append).unwrap();
            let mut want: Vec<i64> = old.into_iter().filter(|offset| !gone.contains(offset)).chain(new).collect();
            want.sort_unstable();
            prop_assert_eq!(out, want);
        }
    }
}

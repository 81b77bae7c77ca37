//! Which messages are in quarantine as they were: for the very same reasons, and without a row that is new.
//!
//! The reasons alone do not tell it. Of very many violations only the first are kept, and a mapping may take good rows,
//! or have child tables, that the one before had not.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use arrow::array::{AsArray, Int32Array, RecordBatch};
use arrow::datatypes::{Int32Type, Schema, SchemaRef};

use super::carry::{Carried, Order, path_of};
use super::select::{column, unfit};
use crate::fault::Fault;
use crate::lake::footer::DataFile;
use crate::lake::parquet_reader::ParquetFile;
use crate::model::batch::DeadLetter;
use crate::storage::Storage;

/// Of the messages that are in quarantine `again` those that are there for the very reasons that `rows` tell, where
/// each message stands in the row that `of_message` says.
pub(super) fn with_same_violations(
    rows: &RecordBatch,
    of_message: &[usize],
    letters: &[&DeadLetter],
    again: &RecordBatch,
) -> Result<BTreeSet<u32>, Fault> {
    let (before, now) = (column(rows, "violations")?, column(again, "violations")?);
    let is_same = |(index, letter): &(usize, &&DeadLetter)| {
        let row = of_message.get(letter.message as usize);
        row.is_some_and(|row| before.slice(*row, 1).as_ref() == now.slice(*index, 1).as_ref())
    };
    Ok(letters.iter().enumerate().filter(is_same).map(|(_, letter)| letter.message).collect())
}

/// Offset, `row_index` and `ordinal`, which name one row of a table.
type Place = (i64, i32, i32);

/// The places of the rows that the old version of an interval has in RAW, while its messages are gone through in order.
#[derive(Default)]
pub(super) struct OldPlaces {
    /// By table; none where no row can be one of the old ones.
    tables: BTreeMap<String, Option<Carried>>,
}

impl OldPlaces {
    /// Offsets of those `rows` (in today's columns of the table, by ascending offset, above all that were asked for
    /// before) which are not in the `old` file of that table.
    pub(super) fn lack(
        &mut self,
        storage: &Arc<dyn Storage>,
        table: &str,
        old: Option<&DataFile>,
        order: &Order,
        rows: &RecordBatch,
    ) -> Result<HashSet<i64>, Fault> {
        let Some(until) = order.last(rows)? else { return Ok(HashSet::new()) };
        let mut new = HashSet::with_capacity(rows.num_rows());
        places(order, rows, |place| {
            new.insert(place);
        })?;
        if !self.tables.contains_key(table) {
            let opened = old.map(|old| open(storage, old, order, &rows.schema())).transpose()?.flatten();
            self.tables.insert(table.to_owned(), opened);
        }
        if let Some(Some(carried)) = self.tables.get_mut(table) {
            while let Some(old) = carried.take_upto(until)? {
                places(order, &old, |place| {
                    new.remove(&place);
                })?;
            }
        }
        Ok(new.into_iter().map(|(offset, _, _)| offset).collect())
    }
}

/// The columns of a file that name a row, as far as today's table has them; none when the file has not all of these.
fn open(storage: &Arc<dyn Storage>, file: &DataFile, order: &Order, todays: &Schema) -> Result<Option<Carried>, Fault> {
    let old = ParquetFile::open(Arc::clone(storage), path_of(file)?, file.bytes)?;
    let names: Vec<_> = order.columns().filter_map(|name| todays.field_with_name(name).ok()).cloned().collect();
    let has = |name: &str, kind| old.schema().field_with_name(name).is_ok_and(|field| field.data_type() == kind);
    if !names.iter().all(|field| has(field.name(), field.data_type())) {
        return Ok(None);
    }
    let schema: SchemaRef = Arc::new(Schema::new(names));
    Carried::open(&old, schema, order.clone()).map(Some)
}

fn places(order: &Order, rows: &RecordBatch, mut take: impl FnMut(Place)) -> Result<(), Fault> {
    let offsets = order.offsets(rows)?;
    let mut within = order.columns().skip(1).map(|name| match rows.column_by_name(name) {
        Some(column) => column.as_primitive_opt::<Int32Type>().map(Some).ok_or_else(|| unfit(name)),
        None => Ok(None),
    });
    let (index, ordinal) = (within.next().transpose()?.flatten(), within.next().transpose()?.flatten());
    let at = |column: Option<&Int32Array>, row: usize| column.map_or(0, |column| column.value(row));
    offsets.iter().enumerate().for_each(|(row, offset)| take((*offset, at(index, row), at(ordinal, row))));
    Ok(())
}

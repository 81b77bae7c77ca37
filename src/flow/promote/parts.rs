//! The files that a promotion writes: one open file a date, under one memory budget, first into the local spool.
//!
//! Memory: row groups that are not written yet, `budget` bytes over all dates together; when they are more, the
//! greatest is written. Descriptors: at most `MOST_OPEN` files.

use std::collections::{BTreeMap, HashMap};
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::statistics::Statistics;

use super::encode::Encodings;
use super::keys::spool_fault;
use crate::fault::Fault;
use crate::lake::ledger::CheckedFile;
use crate::lake::names::PartName;
use crate::lake::plan::{ColumnStats, PlannedFile, part_path};
use crate::model::offset::Epoch;

/// Files open at once; beyond, the one that was written to the longest ago is closed and its date gets another.
const MOST_OPEN: usize = 128;

/// Bytes after which a file is closed and its date gets another.
const PART_BYTES: u64 = 256 << 20;

/// Bytes of output gathered for the disk, of each open file.
const BUFFER_BYTES: usize = 64 << 10;

/// A finished file in the spool.
pub struct SpooledPart {
    /// What the plan says of it.
    pub planned: PlannedFile,
    /// Where it lies on the local disk.
    pub local: PathBuf,
}

/// All files of one promotion.
pub struct Parts<'a> {
    spool: &'a Path,
    encodings: &'a Encodings,
    seq: u64,
    epoch: Epoch,
    budget: usize,
    open: BTreeMap<Option<String>, OpenPart>,
    numbers: HashMap<Option<String>, u32>,
    clock: u64,
    done: Vec<SpooledPart>,
}

struct OpenPart {
    name: PartName,
    local: PathBuf,
    writer: ArrowWriter<BufWriter<CheckedFile>>,
    rows: u64,
    used: u64,
}

impl<'a> Parts<'a> {
    /// Files of promotion `seq`, in the spool folder.
    pub fn new(spool: &'a Path, encodings: &'a Encodings, seq: u64, epoch: Epoch, budget: u64) -> Self {
        let budget = usize::try_from(budget).unwrap_or(usize::MAX);
        let (open, numbers, done) = (BTreeMap::new(), HashMap::new(), Vec::new());
        Self { spool, encodings, seq, epoch, budget, open, numbers, clock: 0, done }
    }

    /// Appends rows to a date.
    ///
    /// # Errors
    ///
    /// The spool.
    pub fn write(&mut self, dt: &Option<String>, batch: &RecordBatch) -> Result<(), Fault> {
        if !self.open.contains_key(dt) {
            self.make_room()?;
            let part = self.begin(dt)?;
            self.open.insert(dt.clone(), part);
        }
        self.clock += 1;
        let clock = self.clock;
        let Some(part) = self.open.get_mut(dt) else { return Ok(()) };
        part.used = clock;
        part.rows += batch.num_rows() as u64;
        part.writer.write(batch).map_err(|error| spool_fault(&part.local, &error))?;
        if (part.writer.bytes_written() + part.writer.in_progress_size()) as u64 >= PART_BYTES {
            self.close(dt)?;
        }
        Ok(())
    }

    /// Writes row groups out until what is held fits the budget. To be called now and then.
    ///
    /// # Errors
    ///
    /// The spool.
    pub fn relieve(&mut self) -> Result<(), Fault> {
        loop {
            let held: usize = self.open.values().map(|part| part.writer.memory_size()).sum();
            let greatest = self.open.values_mut().max_by_key(|part| part.writer.memory_size());
            let Some(part) = greatest.filter(|part| held > self.budget && part.writer.in_progress_rows() > 0) else {
                return Ok(());
            };
            part.writer.flush().map_err(|error| spool_fault(&part.local, &error))?;
        }
    }

    /// The files that are finished so far, and forgets them.
    pub fn take_done(&mut self) -> Vec<SpooledPart> {
        std::mem::take(&mut self.done)
    }

    /// Finishes all files.
    ///
    /// # Errors
    ///
    /// The spool.
    pub fn finish(&mut self) -> Result<Vec<SpooledPart>, Fault> {
        let dates: Vec<_> = self.open.keys().cloned().collect();
        for dt in dates {
            self.close(&dt)?;
        }
        Ok(self.take_done())
    }

    fn make_room(&mut self) -> Result<(), Fault> {
        if self.open.len() < MOST_OPEN {
            return Ok(());
        }
        let oldest = self.open.iter().min_by_key(|(_, part)| part.used).map(|(dt, _)| dt.clone());
        oldest.map_or(Ok(()), |dt| self.close(&dt))
    }

    fn begin(&mut self, dt: &Option<String>) -> Result<OpenPart, Fault> {
        let number = self.numbers.entry(dt.clone()).or_default();
        let name = PartName { seq: self.seq, epoch: self.epoch, bucket: 0, number: *number };
        *number += 1;
        let local = self.spool.join(format!("{}-{}", dt.as_deref().unwrap_or("none"), name.file_name()));
        let file = CheckedFile::create(&local).map_err(|error| spool_fault(&local, &error))?;
        let options =
            ArrowWriterOptions::new().with_properties(self.encodings.properties.clone()).with_skip_arrow_metadata(true);
        let file = BufWriter::with_capacity(BUFFER_BYTES, file);
        let writer = ArrowWriter::try_new_with_options(file, self.encodings.schema.clone(), options);
        let writer = writer.map_err(|error| spool_fault(&local, &error))?;
        Ok(OpenPart { name, local, writer, rows: 0, used: self.clock })
    }

    fn close(&mut self, dt: &Option<String>) -> Result<(), Fault> {
        let Some(mut part) = self.open.remove(dt) else { return Ok(()) };
        let metadata = part.writer.finish().map_err(|error| spool_fault(&part.local, &error))?;
        let file = part.writer.inner_mut();
        std::io::Write::flush(file).map_err(|error| spool_fault(&part.local, &error))?;
        let file = file.get_ref();
        let path = part_path(dt.as_deref(), part.name);
        self.done.push(SpooledPart {
            planned: PlannedFile {
                staged: path.replace('/', "+"),
                path,
                bytes: file.bytes(),
                rows: part.rows,
                crc32: file.crc32(),
                dt: dt.clone(),
                stats: stats_of(&metadata),
            },
            local: part.local,
        });
        Ok(())
    }
}

/// Counts and bounds of the columns whose values are whole numbers, over all row groups.
fn stats_of(metadata: &ParquetMetaData) -> Vec<ColumnStats> {
    let columns = metadata.file_metadata().schema_descr().columns();
    let mut stats = Vec::new();
    // What lies inside a list or a struct has a name of its own there, which may be that of a column.
    for (index, column) in columns.iter().enumerate().filter(|(_, column)| column.path().parts().len() == 1) {
        let mut merged = ColumnStats { column: column.name().to_owned(), nulls: 0, bounds: None };
        let mut is_known = true;
        for group in metadata.row_groups() {
            let chunk = group.column(index).statistics();
            let bounds = match chunk {
                Some(Statistics::Int32(of)) => {
                    of.min_opt().zip(of.max_opt()).map(|(a, b)| (i64::from(*a), i64::from(*b)))
                }
                Some(Statistics::Int64(of)) => of.min_opt().zip(of.max_opt()).map(|(a, b)| (*a, *b)),
                _ => None,
            };
            let nulls = chunk.and_then(Statistics::null_count_opt);
            let rows = u64::try_from(group.num_rows()).unwrap_or(0);
            is_known &= nulls.is_some_and(|nulls| bounds.is_some() || nulls == rows);
            merged.nulls += nulls.unwrap_or(0);
            merged.bounds = match (merged.bounds, bounds) {
                (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
                (a, b) => a.or(b),
            };
        }
        // Decimals are whole numbers in the file, and would be read in another unit.
        let is_decimal = matches!(column.logical_type_ref(), Some(parquet::basic::LogicalType::Decimal { .. }));
        if is_known && !is_decimal {
            stats.push(merged);
        }
    }
    stats
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, ListArray, StructArray, TimestampMicrosecondArray};
    use arrow::buffer::OffsetBuffer;
    use arrow::datatypes::{Field, Schema};

    use super::*;

    #[test]
    fn what_lies_inside_a_struct_or_a_list_says_nothing_of_the_column_of_its_name() {
        let numbers = |values: [i64; 2]| Arc::new(Int64Array::from(values.to_vec())) as ArrayRef;
        let inner = StructArray::from(vec![(
            Arc::new(Field::new("id", arrow::datatypes::DataType::Int64, true)),
            numbers([-9, 99]),
        )]);
        let element = Arc::new(Field::new("element", arrow::datatypes::DataType::Int64, true));
        let list = ListArray::new(element, OffsetBuffer::from_lengths([2, 0]), numbers([-7, 77]), None);
        let wall = TimestampMicrosecondArray::from(vec![Some(5), None]);
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("inner", Arc::new(inner)),
            ("id", numbers([3, 4])),
            ("list", Arc::new(list)),
            ("wall", Arc::new(wall)),
        ];
        let fields = columns.iter().map(|(name, values)| Field::new(*name, values.data_type().clone(), true));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let rows = RecordBatch::try_new(Arc::clone(&schema), columns.into_iter().map(|(_, values)| values).collect());
        let spool = tempfile::tempdir().unwrap();
        let encodings = Encodings::choose(&schema, None).unwrap();
        let mut parts = Parts::new(spool.path(), &encodings, 1, Epoch(1), 1 << 20);
        parts.write(&None, &rows.unwrap()).unwrap();
        let stats = parts.finish().unwrap().remove(0).planned.stats;
        let of = |column: &str, nulls, bounds| ColumnStats { column: column.into(), nulls, bounds };
        assert_eq!(stats, [of("id", 0, Some((3, 4))), of("wall", 1, Some((5, 5)))]);
    }
}

//! Writes what was decided: all columns of the winners, read once, and the rows that stay of every Processed file that
//! loses one.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, AsArray, UInt32Array, new_null_array};
use arrow::compute::take_record_batch;
use arrow::datatypes::TimestampMicrosecondType;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};

use super::decide::{SourceFile, SourceKind};
use super::encode::{Encodings, SAMPLE};
use super::input::{Input, Slice, Wanted};
use super::parts::{Parts, SpooledPart};
use super::scan::internal;
use super::stage::Stager;
use crate::fault::Fault;
use crate::flow::dates::{DayOf, EpochDay, GoodDays, day_text};
use crate::lake::columns::{ColumnSpec, fit, schema_of};
use crate::lake::plan::PlannedFile;
use crate::model::table::{OnBadDate, ProcessedSettings};
use crate::storage::Storage;

/// Most rows decoded at once.
const SLICE_ROWS: usize = 32_768;

/// Files of this size are never merged into others.
const SMALL_BYTES: u64 = 64 << 20;

/// What one promotion writes and takes away.
#[derive(Debug, Default)]
pub struct Rewritten {
    /// Files in the stage.
    pub add: Vec<PlannedFile>,
    /// Paths of files that go, below the table.
    pub remove: Vec<String>,
    /// New rows by path partition.
    pub rows_by_date: BTreeMap<Option<String>, u64>,
}

/// What rewriting needs.
pub struct Rewriter<'a> {
    /// The lake.
    pub storage: &'a Arc<dyn Storage>,
    /// How the table is promoted.
    pub settings: &'a ProcessedSettings,
    /// All columns of the table.
    pub columns: &'a [ColumnSpec],
    /// Name of the column of Kafka timestamps.
    pub timestamp: &'a str,
    /// Local folder for the files.
    pub spool: &'a Path,
    /// Where finished files go.
    pub stager: Stager<'a>,
    /// Number of this promotion.
    pub seq: u64,
    /// Bytes of memory.
    pub budget: u64,
}

impl Rewriter<'_> {
    /// Writes all files into the stage.
    ///
    /// # Errors
    ///
    /// Storage, the spool, or files that do not fit the table.
    pub fn rewrite(mut self, files: &[SourceFile]) -> Result<Rewritten, Fault> {
        let table = schema_of(self.columns)?;
        let first = files.iter().find(|file| !file.chosen.is_empty());
        let sample = match first {
            Some(file) => Input::open(self.storage, &file.path, file.bytes)?.sample(SAMPLE)?,
            None => None,
        };
        let encodings = Encodings::choose(&table, sample.as_ref())?;
        let epoch = self.stager.epoch();
        let mut parts = Parts::new(self.spool, &encodings, self.seq, epoch, self.budget);
        let mut rewritten = Rewritten::default();
        let mut days = Days::new(self.settings)?;
        let is_raw = |file: &&SourceFile| !matches!(file.kind, SourceKind::Promoted { .. }) && !file.chosen.is_empty();
        for file in files.iter().filter(is_raw) {
            self.write_raw(file, &encodings, &mut days, &mut parts, &mut rewritten)?;
        }
        for file in to_rewrite(files, &rewritten.rows_by_date) {
            if let SourceKind::Promoted { path, dt } = &file.kind {
                self.write_survivors(file, dt, &encodings, &mut parts)?;
                rewritten.remove.push(path.clone());
            }
        }
        let last = parts.finish()?;
        self.stage(last, true)?;
        rewritten.add = self.stager.into_staged();
        rewritten.remove.sort_unstable();
        Ok(rewritten)
    }

    fn read(
        &self,
        file: &SourceFile,
        encodings: &Encodings,
        wanted: Wanted<'_>,
        mut take: impl FnMut(u32, RecordBatch) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let columns: Vec<&str> = self.columns.iter().map(|column| column.name.as_str()).collect();
        let input = Input::open(self.storage, &file.path, file.bytes)?;
        input.check(self.columns)?;
        let repeating = |column: &str| encodings.is_repeating(column);
        let slice = Slice { rows: SLICE_ROWS, bytes: self.budget / 4 };
        input.read(&columns, &repeating, wanted, slice, |first, batch| take(first, conform(&batch, encodings)?))
    }

    fn write_raw(
        &mut self,
        file: &SourceFile,
        encodings: &Encodings,
        days: &mut Days,
        parts: &mut Parts<'_>,
        rewritten: &mut Rewritten,
    ) -> Result<(), Fault> {
        // Where most rows win, leaving the others out afterwards costs less than leaving them out while decoding.
        let is_dense = file.chosen.len() * 2 > file.rows;
        let wanted = if is_dense { Wanted::All } else { Wanted::Only(&file.chosen) };
        let mut texts: BTreeMap<EpochDay, Option<String>> = BTreeMap::new();
        let mut done = Vec::new();
        self.read(file, encodings, wanted, |first, batch| {
            let dates = column(&batch, &self.settings.date)?;
            let dates = days.of(&dates, &column(&batch, self.timestamp)?)?;
            let is_wanted = |row: usize| !is_dense || file.chosen.contains(first + row as u32);
            let (order, runs) = by_day(&dates, is_wanted);
            let sorted = take_record_batch(&batch, &UInt32Array::from(order)).map_err(internal)?;
            let mut from = 0;
            for (day, rows) in runs {
                let dt = day.and_then(|day| texts.entry(day).or_insert_with(|| day_text(day)).clone());
                parts.write(&dt, &sorted.slice(from, rows))?;
                *rewritten.rows_by_date.entry(dt).or_default() += rows as u64;
                from += rows;
            }
            parts.relieve()?;
            done.append(&mut parts.take_done());
            Ok(())
        })?;
        self.stage(done, false)
    }

    fn write_survivors(
        &mut self,
        file: &SourceFile,
        dt: &Option<String>,
        encodings: &Encodings,
        parts: &mut Parts<'_>,
    ) -> Result<(), Fault> {
        let mut done = Vec::new();
        self.read(file, encodings, Wanted::All, |first, batch| {
            let stay: Vec<u32> =
                (0..batch.num_rows() as u32).filter(|row| !file.chosen.contains(first + row)).collect();
            let batch = if stay.len() == batch.num_rows() {
                batch
            } else {
                take_record_batch(&batch, &UInt32Array::from(stay)).map_err(internal)?
            };
            if batch.num_rows() > 0 {
                parts.write(dt, &batch)?;
            }
            parts.relieve()?;
            done.append(&mut parts.take_done());
            Ok(())
        })?;
        self.stage(done, false)
    }

    fn stage(&mut self, done: Vec<SpooledPart>, is_last: bool) -> Result<(), Fault> {
        self.stager.add(self.storage, done, is_last)
    }
}

/// Tells the path partition of each row.
struct Days {
    day_of: DayOf,
    /// With `quarantine` the bounds were asked when the message was validated.
    bounds: Option<GoodDays>,
}

impl Days {
    fn new(settings: &ProcessedSettings) -> Result<Self, Fault> {
        let is_bucket = settings.on_bad_date == OnBadDate::Bucket;
        let bounds = is_bucket.then(|| GoodDays::new(settings)).transpose()?;
        Ok(Self { day_of: DayOf::new(settings)?, bounds })
    }

    /// The day of every row; none for a row without a good date.
    fn of(&mut self, dates: &dyn Array, sent: &dyn Array) -> Result<Vec<Option<EpochDay>>, Fault> {
        let mut days = self.day_of.days(dates)?;
        let sent = sent.as_primitive_opt::<TimestampMicrosecondType>();
        for (row, day) in days.iter_mut().enumerate() {
            let sent = sent.filter(|sent| sent.is_valid(row)).map(|sent| sent.value(row));
            let bounds = self.bounds.as_mut().map(|bounds| bounds.of(sent, None));
            *day = day.filter(|day| bounds.is_none_or(|(first, last)| first <= *day && *day <= last));
        }
        Ok(days)
    }
}

/// The Processed files to write anew: those that lose a row, and small ones of dates that get new rows.
///
/// Small files are taken from the smallest on while a file has at most twice the rows gathered so far. So a row is
/// copied about as often as the rows of its date have doubled, and a date has about so many files.
fn to_rewrite<'a>(files: &'a [SourceFile], new: &BTreeMap<Option<String>, u64>) -> Vec<&'a SourceFile> {
    let mut by_date: BTreeMap<&Option<String>, Vec<&SourceFile>> = BTreeMap::new();
    let mut chosen = Vec::new();
    let mut gathered: BTreeMap<&Option<String>, u64> = new.iter().map(|(dt, rows)| (dt, *rows)).collect();
    for file in files {
        let SourceKind::Promoted { dt, .. } = &file.kind else { continue };
        if !file.chosen.is_empty() {
            *gathered.entry(dt).or_default() += file.rows - file.chosen.len().min(file.rows);
            chosen.push(file);
        } else if file.bytes <= SMALL_BYTES && new.contains_key(dt) {
            by_date.entry(dt).or_default().push(file);
        }
    }
    for (dt, mut small) in by_date {
        small.sort_by_key(|file| file.rows);
        let mut rows = gathered.get(dt).copied().unwrap_or(0);
        for file in small {
            if file.rows > rows * 2 {
                break;
            }
            rows += file.rows;
            chosen.push(file);
        }
    }
    chosen
}

/// The wanted rows ordered by day, otherwise as they were, and how many there are of each day.
fn by_day(days: &[Option<EpochDay>], is_wanted: impl Fn(usize) -> bool) -> (Vec<u32>, Vec<(Option<EpochDay>, usize)>) {
    let mut runs: BTreeMap<Option<EpochDay>, usize> = BTreeMap::new();
    let mut last: Option<(Option<EpochDay>, usize)> = None;
    let mut wanted = 0;
    for (row, day) in days.iter().enumerate() {
        if !is_wanted(row) {
            continue;
        }
        wanted += 1;
        match &mut last {
            Some((same, count)) if same == day => *count += 1,
            _ => {
                if let Some((day, count)) = last.replace((*day, 1)) {
                    *runs.entry(day).or_default() += count;
                }
            }
        }
    }
    if let Some((day, count)) = last {
        *runs.entry(day).or_default() += count;
    }
    let mut next = 0;
    let mut at: BTreeMap<Option<EpochDay>, usize> = BTreeMap::new();
    for (day, count) in &runs {
        at.insert(*day, next);
        next += count;
    }
    let mut order = vec![0u32; wanted];
    for (row, day) in days.iter().enumerate() {
        if is_wanted(row)
            && let Some(slot) = at.get_mut(day)
        {
            order[*slot] = row as u32;
            *slot += 1;
        }
    }
    (order, runs.into_iter().collect())
}

fn column(batch: &RecordBatch, name: &str) -> Result<arrow::array::ArrayRef, Fault> {
    batch.column_by_name(name).cloned().ok_or_else(|| {
        Fault::halt(
            "promote.schema",
            format!("the table has no column {name}; see [table.processed] of the configuration"),
        )
    })
}

/// The batch with the columns of the files that are written: those it has not are null.
fn conform(batch: &RecordBatch, encodings: &Encodings) -> Result<RecordBatch, Fault> {
    let columns = encodings.schema.fields().iter().map(|field| match batch.column_by_name(field.name()) {
        Some(array) => fit(array, field.data_type()).map_err(internal),
        None => Ok(new_null_array(field.data_type(), batch.num_rows())),
    });
    let columns = columns.collect::<Result<Vec<_>, Fault>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(encodings.schema.clone(), columns, &options).map_err(internal)
}

#[cfg(test)]
mod tests {
    use arrow::array::{Date32Array, TimestampMicrosecondArray};

    use super::*;
    use crate::flow::promote::winners::RowSet;
    use crate::storage::LakePath;

    #[test]
    fn bad_dates_go_to_their_bucket() {
        use crate::model::table::{DateBound, Retire};
        let settings = |on_bad_date| ProcessedSettings {
            record_id: vec![],
            version: None,
            date: "added".into(),
            date_zone: "UTC".into(),
            on_bad_date,
            date_min: DateBound::Date(jiff::civil::date(1970, 1, 1)),
            date_max: DateBound::Relative(1),
            retire: Retire::Immediate,
        };
        let sent = Some(20_000 * 86_400_000_000);
        let sent = TimestampMicrosecondArray::from(vec![sent, sent, sent, None]).with_timezone("UTC");
        let dates = Date32Array::from(vec![Some(-1), Some(20_001), Some(20_002), Some(20_002)]);
        let mut days = Days::new(&settings(OnBadDate::Bucket)).unwrap();
        assert_eq!(days.of(&dates, &sent).unwrap(), [None, Some(20_001), None, Some(20_002)]);
        let mut days = Days::new(&settings(OnBadDate::Quarantine)).unwrap();
        assert_eq!(days.of(&dates, &sent).unwrap(), [Some(-1), Some(20_001), Some(20_002), Some(20_002)]);
    }

    #[test]
    fn rows_are_grouped_by_day_and_keep_their_order() {
        let days = [Some(3), Some(1), None, Some(3), Some(1), Some(2)];
        let (order, runs) = by_day(&days, |row| row != 5);
        assert_eq!(order, [2, 1, 4, 0, 3]);
        assert_eq!(runs, [(None, 1), (Some(1), 2), (Some(3), 2)]);
    }

    fn promoted(dt: &str, rows: u64, lost: u32) -> SourceFile {
        let mut chosen = RowSet::default();
        (0..lost).for_each(|row| chosen.insert(row));
        let path = format!("dt={dt}/{rows}");
        let kind = SourceKind::Promoted { path: path.clone(), dt: Some(dt.into()) };
        SourceFile { path: LakePath::root().join(path), bytes: rows, rows, kind, chosen }
    }

    #[test]
    fn small_files_are_merged_and_great_ones_left_alone() {
        let files = [
            promoted("a", 1000, 0),
            promoted("a", 150, 0),
            promoted("a", 400, 0),
            promoted("b", 5, 0),
            promoted("c", 900, 1),
        ];
        let new = BTreeMap::from([(Some("a".into()), 100)]);
        let rows: Vec<u64> = to_rewrite(&files, &new).iter().map(|file| file.rows).collect();
        assert_eq!(rows, [900, 150, 400, 1000]);
        let few = BTreeMap::from([(Some("a".into()), 10)]);
        let rows: Vec<u64> = to_rewrite(&files, &few).iter().map(|file| file.rows).collect();
        assert_eq!(rows, [900]);
    }
}

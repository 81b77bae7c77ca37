//! `forebay show`: rows of a zone from wherever the lake is.

use std::io::{self, Write};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::cells;
use super::grid::{Cell, grid};
use crate::cli::{Show, Target, Zone};
use crate::fault::Fault;
use crate::lake::columns::schema_of;
use crate::lake::log::TableLog;
use crate::lake::parquet_reader::ParquetFile;
use crate::storage::{Entry, LakePath, Storage};

/// Rows decoded at once: a table on a screen needs few.
const BATCH_ROWS: usize = 256;

/// Shows what `order` asks for on `out`: a table, or with `as_json` one JSON object a row.
///
/// # Errors
///
/// A fault when there is no such table or column, a file cannot be read, or `out` cannot be written.
pub fn show(storage: &Arc<dyn Storage>, order: &Show, as_json: bool, out: &mut dyn Write) -> Result<(), Fault> {
    let root = root_of(&order.target)?;
    let mut files = Files::below(Arc::clone(storage), &root)?;
    let Some(first) = files.next().transpose()? else {
        let what = format!("{} holds no file in {}", name_of(&order.target), storage.url());
        return Err(answer("show.nothing-there", what));
    };
    let columns = Columns::choose(order, known_columns(storage, order, &root, &first)?)?;
    if order.schema {
        return columns.show(as_json, out).map_err(|error| unwritable(&error));
    }
    let mut left = order.limit;
    let mut lines = Vec::new();
    let mut file = Some(first);
    while let Some(current) = file.take().filter(|_| left > 0) {
        let take = |row: Row<'_>| -> io::Result<()> {
            if as_json {
                serde_json::to_writer(&mut *out, &Line { columns: &columns, row })?;
                out.write_all(b"\n")
            } else {
                lines.push(columns.line(row));
                Ok(())
            }
        };
        left = columns.rows_of(&current, left, take)?;
        file = if left > 0 { files.next().transpose()? } else { None };
    }
    if !as_json {
        let is_number = |index: usize| columns.shown.get(index).is_some_and(|column| column.is_number);
        let heading: Vec<&str> = columns.shown.iter().map(|column| column.name.as_str()).collect();
        out.write_all(grid(&heading, &lines, &is_number).as_bytes()).map_err(|error| unwritable(&error))?;
    }
    Ok(())
}

fn root_of(target: &Target) -> Result<LakePath, Fault> {
    let name = LakePath::parse(&target.name).filter(|path| path.parent() == LakePath::root());
    let name = name.ok_or_else(|| answer("show.name", format!("`{}` is not a table or topic", target.name)))?;
    Ok(LakePath::root().join(zone_name(target.zone)).join(name.as_str()))
}

fn zone_name(zone: Zone) -> &'static str {
    match zone {
        Zone::Raw => "raw",
        Zone::Processed => "processed",
        Zone::Quarantine => "quarantine",
        Zone::Ledger => "ledger",
    }
}

fn name_of(target: &Target) -> String {
    format!("{}.{}", zone_name(target.zone), target.name)
}

/// The answer is no, and it is the caller's to change the question.
fn answer(event: &'static str, message: String) -> Fault {
    use crate::fault::{Domain, Verdict};
    Fault { domain: Domain::External, verdict: Verdict::Halt, event, message }
}

fn unwritable(error: &io::Error) -> Fault {
    Fault::retry("show.output", format!("cannot write the rows: {error}"))
}

/// What the rows of a zone have: of a Processed table what its log says, of others what the newest and the first file
/// have, so that columns which a mapping got or lost in between are among them.
fn known_columns(
    storage: &Arc<dyn Storage>,
    order: &Show,
    root: &LakePath,
    first: &ShownFile,
) -> Result<Vec<Column>, Fault> {
    let mut fields = Vec::new();
    let logged = || TableLog::look(storage, &order.target.name)?.state();
    // A log that cannot be read is for the audit to tell: the rows are there to be looked at all the same.
    if order.target.zone == Zone::Processed
        && let Ok(Some(state)) = logged()
    {
        fields.extend(schema_of(&state.columns)?.fields().iter().cloned());
    } else if let Some(newest) = newest_file(&**storage, root)? {
        let newest = ParquetFile::open(Arc::clone(storage), newest.path, newest.bytes)?;
        fields.extend(newest.schema().fields().iter().cloned());
    }
    for field in first.file.schema().fields() {
        if !fields.iter().any(|known| known.name() == field.name()) {
            fields.push(Arc::clone(field));
        }
    }
    let of_files = fields.iter().map(|field| Column {
        name: field.name().clone(),
        kind: cells::type_name(field.data_type()),
        is_number: field.data_type().is_numeric(),
    });
    let of_path = first.partition.iter().map(|(name, _)| Column {
        name: name.clone(),
        kind: "string".to_owned(),
        is_number: false,
    });
    Ok(of_files.chain(of_path).collect())
}

/// The newest Parquet file of the last folder that has any.
fn newest_file(storage: &dyn Storage, dir: &LakePath) -> Result<Option<Entry>, Fault> {
    let mut entries = storage.list_or_empty(dir)?;
    entries.retain(is_data);
    entries.sort_by(|a, b| b.path.cmp(&a.path));
    for dir in entries.iter().filter(|entry| entry.is_dir) {
        if let Some(newest) = newest_file(storage, &dir.path)? {
            return Ok(Some(newest));
        }
    }
    let files = entries.into_iter().filter(|entry| !entry.is_dir && entry.path.name().ends_with(".parquet"));
    Ok(files.max_by_key(|entry| entry.modified))
}

/// As every engine does: what begins with `_` or `.` is not data.
fn is_data(entry: &Entry) -> bool {
    !entry.path.name().starts_with(['_', '.'])
}

/// The Parquet files below a directory in the order of their paths, listed as they are needed.
struct Files {
    storage: Arc<dyn Storage>,
    /// What is still to be looked at, last first.
    todo: Vec<Entry>,
}

impl Files {
    fn below(storage: Arc<dyn Storage>, root: &LakePath) -> Result<Self, Fault> {
        let mut files = Self { storage, todo: Vec::new() };
        files.enter(root)?;
        Ok(files)
    }

    fn enter(&mut self, dir: &LakePath) -> Result<(), Fault> {
        let mut entries = self.storage.list_or_empty(dir)?;
        entries.retain(is_data);
        entries.sort_by(|a, b| b.path.cmp(&a.path));
        self.todo.extend(entries);
        Ok(())
    }
}

impl Iterator for Files {
    type Item = Result<ShownFile, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        while let Some(entry) = self.todo.pop() {
            if entry.is_dir {
                if let Err(fault) = self.enter(&entry.path) {
                    return Some(Err(fault));
                }
            } else if entry.path.name().ends_with(".parquet") {
                let file = ParquetFile::open(Arc::clone(&self.storage), entry.path.clone(), entry.bytes);
                let partition = path_partition(&entry.path);
                return Some(file.map(|file| ShownFile { file, partition }).map_err(Fault::from));
            }
        }
        None
    }
}

/// A file with the columns that its path gives, `dt` among them.
struct ShownFile {
    file: ParquetFile,
    partition: Vec<(String, String)>,
}

fn path_partition(path: &LakePath) -> Vec<(String, String)> {
    let dirs = path.parent();
    let pairs = dirs.as_str().split('/').filter_map(|segment| segment.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// One row of a batch, with the file's path partition.
#[derive(Clone, Copy)]
struct Row<'a> {
    batch: &'a RecordBatch,
    index: usize,
    partition: &'a [(String, String)],
}

impl Row<'_> {
    fn json(self, column: &str) -> Value {
        match self.batch.column_by_name(column) {
            Some(values) => cells::json(values.as_ref(), self.index),
            None => self.of_path(column).map_or(Value::Null, Value::from),
        }
    }

    fn text(self, column: &str, show: fn(&dyn arrow::array::Array, usize) -> String) -> String {
        match self.batch.column_by_name(column) {
            Some(values) => show(values.as_ref(), self.index),
            None => self.of_path(column).unwrap_or_default().to_owned(),
        }
    }

    fn of_path(&self, column: &str) -> Option<&str> {
        self.partition.iter().find(|(name, _)| name == column).map(|(_, value)| value.as_str())
    }
}

struct Column {
    name: String,
    kind: String,
    is_number: bool,
}

/// The columns that are shown, and the conditions on them and others.
struct Columns {
    shown: Vec<Column>,
    filter: Vec<(String, String)>,
}

impl Columns {
    /// Those that were asked for, or all.
    fn choose(order: &Show, all: Vec<Column>) -> Result<Self, Fault> {
        let names = || all.iter().map(|column| column.name.as_str()).collect::<Vec<_>>().join(", ");
        let known = |name: &str| match all.iter().any(|column| column.name == name) {
            true => Ok(()),
            false => {
                let what = format!("{} has no column `{name}`: it has {}", name_of(&order.target), names());
                Err(answer("show.column", what))
            }
        };
        order.columns.iter().try_for_each(|name| known(name))?;
        order.filter.iter().try_for_each(|condition| known(&condition.name))?;
        let filter = order.filter.iter().map(|condition| (condition.name.clone(), condition.value.clone())).collect();
        let shown = if order.columns.is_empty() {
            all
        } else {
            let mut all: Vec<Option<Column>> = all.into_iter().map(Some).collect();
            let mut take = |name: &String| all.iter_mut().find(|c| c.as_ref().is_some_and(|c| c.name == *name))?.take();
            order.columns.iter().filter_map(&mut take).collect()
        };
        Ok(Self { shown, filter })
    }

    fn show(&self, as_json: bool, out: &mut dyn Write) -> io::Result<()> {
        if as_json {
            for column in &self.shown {
                writeln!(out, "{}", serde_json::json!({ "column": column.name, "type": column.kind }))?;
            }
            return Ok(());
        }
        let line = |column: &Column| vec![column.name.clone().into(), column.kind.clone().into()];
        let lines: Vec<Vec<Cell>> = self.shown.iter().map(line).collect();
        out.write_all(grid(&["column", "type"], &lines, &|_| false).as_bytes())
    }

    /// Gives the rows of a file that meet the conditions to `take`, at most `left`; how many are left then.
    fn rows_of(
        &self,
        file: &ShownFile,
        mut left: u64,
        mut take: impl FnMut(Row<'_>) -> io::Result<()>,
    ) -> Result<u64, Fault> {
        for batch in file.file.read(&self.wanted(file.file.schema()), BATCH_ROWS)? {
            let batch = batch?;
            for index in 0..batch.num_rows() {
                let row = Row { batch: &batch, index, partition: &file.partition };
                if left > 0 && self.filter.iter().all(|(name, value)| row.text(name, cells::text) == *value) {
                    take(row).map_err(|error| unwritable(&error))?;
                    left -= 1;
                }
            }
            if left == 0 {
                break;
            }
        }
        Ok(left)
    }

    /// The places of the columns that must be read.
    fn wanted(&self, schema: &SchemaRef) -> Vec<usize> {
        let is_wanted = |name: &str| {
            self.shown.iter().any(|column| column.name == name) || self.filter.iter().any(|(of, _)| of == name)
        };
        let fields = schema.fields().iter().enumerate();
        fields.filter(|(_, field)| is_wanted(field.name())).map(|(index, _)| index).collect()
    }

    fn line(&self, row: Row<'_>) -> Vec<Cell> {
        self.shown.iter().map(|column| row.text(&column.name, cells::cell).into()).collect()
    }
}

/// A row as a JSON object, its members in the order of the columns.
struct Line<'a> {
    columns: &'a Columns,
    row: Row<'a>,
}

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.columns.shown.iter().map(|column| (&column.name, self.row.json(&column.name))))
    }
}

#[cfg(test)]
mod tests;

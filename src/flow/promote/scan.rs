//! Reads the keys of files: record id, version and lineage, and nothing else.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, new_null_array};
use arrow::datatypes::{Int32Type, Int64Type, TimestampMicrosecondType};
use arrow::record_batch::RecordBatch;
use arrow::row::{RowConverter, Rows, SortField};

use super::input::{Input, Slice, Wanted};
use super::keys::{Key, Lineage, RowPlace};
use crate::fault::Fault;
use crate::lake::columns::{ColumnSpec, fit};
use crate::model::offset::TopicPartition;
use crate::model::table::{ProcessedSettings, Table};
use crate::storage::LakePath;

/// What is decoded at once.
const SLICE: Slice = Slice { rows: 16_384, bytes: 8 << 20 };

/// The Kafka partitions that rows come from, numbered as they are met.
#[derive(Debug, Default)]
pub struct Lanes {
    known: Vec<TopicPartition>,
    index: HashMap<TopicPartition, u32>,
}

impl Lanes {
    /// The number of a Kafka partition.
    pub fn number(&mut self, source: &TopicPartition) -> u32 {
        if let Some(number) = self.index.get(source) {
            return *number;
        }
        let number = self.known.len() as u32;
        self.known.push(source.clone());
        self.index.insert(source.clone(), number);
        number
    }

    /// The Kafka partition of a number.
    pub fn source(&self, number: u32) -> &TopicPartition {
        &self.known[number as usize]
    }

    /// How many are known.
    pub fn count(&self) -> u32 {
        self.known.len() as u32
    }

    /// The place of each among all, by topic, incarnation of the topic, and partition.
    pub fn ranks(&self) -> Vec<u32> {
        let mut order: Vec<usize> = (0..self.known.len()).collect();
        order.sort_by_cached_key(|lane| {
            let source = &self.known[*lane];
            (source.in_kafka().topic, source.incarnation(), source.partition)
        });
        let mut ranks = vec![0; self.known.len()];
        for (rank, number) in order.into_iter().enumerate() {
            ranks[number] = rank as u32;
        }
        ranks
    }
}

/// Reads keys of a table's files. The bytes of ids and versions mean the same for every file.
pub struct KeyReader {
    id: Vec<ColumnSpec>,
    version: Option<ColumnSpec>,
    id_codec: Codec,
    version_codec: Option<RowConverter>,
    /// Names of the lineage columns.
    names: [Arc<str>; 5],
}

enum Codec {
    /// One whole number of 64 bits, in its own bytes.
    Int64,
    /// Anything else, in bytes that compare like the values.
    Rows(RowConverter),
}

impl KeyReader {
    /// For a table with these settings, and these columns in Processed.
    ///
    /// # Errors
    ///
    /// A record id or version that is no column.
    pub fn new(table: &Table, settings: &ProcessedSettings, columns: &[ColumnSpec]) -> Result<Self, Fault> {
        let find = |name: &String| {
            columns.iter().find(|column| column.name == *name).cloned().ok_or_else(|| {
                Fault::halt("promote.schema", format!("table {} has no column {name}, which its keys need", table.name))
            })
        };
        let id = settings.record_id.iter().map(find).collect::<Result<Vec<_>, _>>()?;
        let version = settings.version.as_ref().map(find).transpose()?;
        let id_codec = match id.as_slice() {
            [one] if one.kind == "int64" => Codec::Int64,
            several => Codec::Rows(converter(several)?),
        };
        let version_codec = version.as_ref().map(|version| converter(std::slice::from_ref(version))).transpose()?;
        Ok(Self { id, version, id_codec, version_codec, names: table.mapping.lineage.names.clone() })
    }

    /// Gives the key of every row of a file to `take`, in order. RAW files come from one Kafka partition, `lane`; in
    /// Processed files every row names its own.
    ///
    /// # Errors
    ///
    /// Storage, a damaged file, or what `take` answers.
    pub fn read(
        &mut self,
        input: &Input,
        file: u32,
        lane: Option<u32>,
        lanes: &mut Lanes,
        mut take: impl FnMut(&Key<'_>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        input.check(&self.id)?;
        input.check(self.version.as_slice())?;
        let mut columns: Vec<&str> = self.id.iter().chain(&self.version).map(|column| column.name.as_str()).collect();
        columns.extend(self.names[2..].iter().map(|name| &**name));
        if lane.is_none() {
            columns.extend(self.names[..2].iter().map(|name| &**name));
        }
        let columns: Vec<String> = columns.into_iter().map(str::to_owned).collect();
        let names: Vec<&str> = columns.iter().map(String::as_str).collect();
        let topic_name = Arc::clone(&self.names[0]);
        let topic = |name: &str| name == &*topic_name;
        input.read(&names, &topic, Wanted::All, SLICE, |first, batch| {
            self.batch(input.path(), &batch, RowPlace { file, row: first }, lane, lanes, &mut take)
        })
    }

    fn batch(
        &mut self,
        path: &LakePath,
        batch: &RecordBatch,
        first: RowPlace,
        lane: Option<u32>,
        lanes: &mut Lanes,
        take: &mut impl FnMut(&Key<'_>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let ids = key_columns(batch, &self.id)?;
        check_ids(&self.id, &ids, path)?;
        let ids = match &mut self.id_codec {
            Codec::Int64 => Ids::Int64(ids[0].as_primitive::<Int64Type>().clone()),
            Codec::Rows(converter) => Ids::Rows(converter.convert_columns(&ids).map_err(internal)?),
        };
        let versions = match (&mut self.version_codec, &self.version) {
            (Some(converter), Some(version)) => {
                let columns = key_columns(batch, std::slice::from_ref(version))?;
                Some(converter.convert_columns(&columns).map_err(internal)?)
            }
            _ => None,
        };
        let lineage = LineageColumns::of(batch, &self.names, path)?;
        let mut own = lane.is_none().then(|| RowLanes::of(batch, &self.names, path)).transpose()?;
        for row in 0..batch.num_rows() {
            let whole;
            let id: &[u8] = match &ids {
                Ids::Int64(ids) => {
                    whole = ids.value(row).to_le_bytes();
                    &whole
                }
                Ids::Rows(rows) => rows.row(row).data(),
            };
            let lane = match (lane, &mut own) {
                (Some(lane), _) => lane,
                (None, Some(own)) => own.lane(row, lanes),
                (None, None) => 0,
            };
            let version = versions.as_ref().map_or(&[][..], |versions| versions.row(row).data());
            let place = RowPlace { file: first.file, row: first.row + row as u32 };
            take(&Key { place, lineage: lineage.at(row, lane), id, version })?;
        }
        Ok(())
    }
}

enum Ids {
    Int64(arrow::array::Int64Array),
    Rows(Rows),
}

struct LineageColumns<'a> {
    offsets: &'a arrow::array::Int64Array,
    times: &'a arrow::array::TimestampMicrosecondArray,
    indices: &'a arrow::array::Int32Array,
}

impl<'a> LineageColumns<'a> {
    fn of(batch: &'a RecordBatch, names: &[Arc<str>; 5], path: &LakePath) -> Result<Self, Fault> {
        let column = |name: usize| batch.column_by_name(&names[name]);
        let lacks = |name: usize| no_lineage(&names[name], path);
        let offsets = column(2).and_then(|array| array.as_primitive_opt::<Int64Type>());
        let times = column(3).and_then(|array| array.as_primitive_opt::<TimestampMicrosecondType>());
        let indices = column(4).and_then(|array| array.as_primitive_opt::<Int32Type>());
        Ok(Self {
            offsets: offsets.filter(|offsets| offsets.null_count() == 0).ok_or_else(|| lacks(2))?,
            times: times.ok_or_else(|| lacks(3))?,
            indices: indices.filter(|indices| indices.null_count() == 0).ok_or_else(|| lacks(4))?,
        })
    }

    fn at(&self, row: usize, lane: u32) -> Lineage {
        let timestamp = self.times.is_valid(row).then(|| self.times.value(row));
        Lineage { timestamp, lane, offset: self.offsets.value(row), row_index: self.indices.value(row) }
    }
}

/// The Kafka partition of each row, from its own columns.
struct RowLanes<'a> {
    topics: &'a arrow::array::StringArray,
    keys: &'a arrow::array::Int32Array,
    partitions: &'a arrow::array::Int32Array,
    last: Option<(i32, i32, u32)>,
}

impl<'a> RowLanes<'a> {
    fn of(batch: &'a RecordBatch, names: &[Arc<str>; 5], path: &LakePath) -> Result<Self, Fault> {
        let lacks = |name: usize| no_lineage(&names[name], path);
        let topics = batch.column_by_name(&names[0]).and_then(|array| array.as_dictionary_opt::<Int32Type>());
        let topics = topics.filter(|topics| topics.null_count() == 0).ok_or_else(|| lacks(0))?;
        let partitions = batch.column_by_name(&names[1]).and_then(|array| array.as_primitive_opt::<Int32Type>());
        Ok(Self {
            topics: topics.values().as_string_opt::<i32>().ok_or_else(|| lacks(0))?,
            keys: topics.keys(),
            partitions: partitions.ok_or_else(|| lacks(1))?,
            last: None,
        })
    }

    fn lane(&mut self, row: usize, lanes: &mut Lanes) -> u32 {
        let (key, partition) = (self.keys.value(row), self.partitions.value(row));
        match self.last {
            Some((last, number, lane)) if (last, number) == (key, partition) => lane,
            _ => {
                let topic = self.topics.value(key.unsigned_abs() as usize);
                let lane = lanes.number(&TopicPartition::new(topic, partition));
                self.last = Some((key, partition, lane));
                lane
            }
        }
    }
}

/// Key columns of a batch in the table's types; one that an older file has not is null.
fn key_columns(batch: &RecordBatch, columns: &[ColumnSpec]) -> Result<Vec<ArrayRef>, Fault> {
    columns
        .iter()
        .map(|column| {
            let kind = column.data_type()?;
            match batch.column_by_name(&column.name) {
                None => Ok(new_null_array(&kind, batch.num_rows())),
                Some(array) => fit(array, &kind).map_err(internal),
            }
        })
        .collect()
}

/// Every row needs its record id: rows of no id would count as versions of one record.
fn check_ids(columns: &[ColumnSpec], ids: &[ArrayRef], path: &LakePath) -> Result<(), Fault> {
    match columns.iter().zip(ids).find(|(_, values)| values.null_count() > 0) {
        None => Ok(()),
        Some((column, _)) => Err(Fault::halt(
            "promote.record-id",
            format!(
                "{path} has rows without {}, which record_id names; name what every row has, or read those offsets again \
                 with today's mapping (`forebay rewind`)",
                column.name
            ),
        )),
    }
}

fn converter(columns: &[ColumnSpec]) -> Result<RowConverter, Fault> {
    let fields = columns.iter().map(|column| Ok(SortField::new(column.data_type()?)));
    RowConverter::new(fields.collect::<Result<Vec<_>, Fault>>()?).map_err(internal)
}

fn no_lineage(name: &str, path: &LakePath) -> Fault {
    let message = format!(
        "{path} has no column {name} that says where its rows come from; was [table.lineage] changed? give the columns the \
         names that the files have"
    );
    Fault::halt("promote.lineage", message)
}

/// A mistake of ours, as the columns' library words it.
#[expect(clippy::needless_pass_by_value, reason = "so that it fits `map_err`")]
pub(super) fn internal(error: arrow::error::ArrowError) -> Fault {
    Fault::internal("promote.columns", format!("promoting columns: {error}"))
}

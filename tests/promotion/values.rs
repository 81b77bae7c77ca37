//! Values of every type: made for RAW files, and compared with what Processed has of them.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array,
    Int8Array, Int16Array, Int32Array, Int64Array, ListArray, RecordBatch, StringArray, StructArray,
    TimestampMicrosecondArray, TimestampMillisecondArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use forebay::lake::chain::read_chain;
use forebay::lake::footer::{Zone, read_footer};
use forebay::lake::names::processed_dir;
use forebay::model::mapping::{BinaryText, Column, Kind, Mapping, Path, Precision, Repeat, Take};
use forebay::storage::{LakePath, Storage};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::world::{Row, TABLE, World};

pub(crate) fn column(name: &str, kind: Kind, required: bool) -> Column {
    let path = Path { from_root: false, steps: Vec::new(), take: Take::Text };
    Column { required, ..Column::new(name, path, kind) }
}

pub(crate) fn mapping(extra: &[(&str, Kind)]) -> Mapping {
    mapping_with(extra.iter().map(|(name, kind)| column(name, kind.clone(), false)))
}

pub(crate) fn mapping_with(extra: impl IntoIterator<Item = Column>) -> Mapping {
    let mut columns = vec![
        column("id", Kind::Int64, true),
        column("version", Kind::Int32, false),
        column("added", Kind::Timestamp(Precision::Micro), false),
        column("value", Kind::String, false),
    ];
    columns.extend(extra);
    Mapping::new("books.toml", columns)
}

/// A column of every type that a Processed table holds.
pub(crate) fn all_types() -> Vec<Column> {
    let plain = [
        ("text", Kind::String),
        ("flag", Kind::Bool),
        ("tiny", Kind::Int8),
        ("small", Kind::Int16),
        ("middle", Kind::Int32),
        ("great", Kind::Int64),
        ("single", Kind::Float32),
        ("twofold", Kind::Float64),
        ("cents", Kind::Decimal(9, 2)),
        ("exact", Kind::Decimal(38, 20)),
        ("day", Kind::Date),
        ("at_ms", Kind::Timestamp(Precision::Milli)),
        ("at_us", Kind::Timestamp(Precision::Micro)),
        ("wall_ms", Kind::LocalTimestamp(Precision::Milli)),
        ("wall_us", Kind::LocalTimestamp(Precision::Micro)),
        ("bytes", Kind::Binary(BinaryText::Base64)),
        ("document", Kind::Json),
        ("element", Kind::Xml),
    ];
    let inner =
        || vec![column("id", Kind::String, true), column("wall_ms", Kind::LocalTimestamp(Precision::Milli), false)];
    let list = |name: &str, kind: Kind| Column { repeat: Repeat::List, ..column(name, kind, false) };
    let mut deep = inner();
    deep.push(list("amounts", Kind::Decimal(38, 0)));
    deep.push(column("inside", Kind::Struct(inner().into()), false));
    let mut all: Vec<Column> = plain.into_iter().map(|(name, kind)| column(name, kind, false)).collect();
    all.push(list("texts", Kind::String));
    all.push(list("times", Kind::Timestamp(Precision::Milli)));
    all.push(column("whole", Kind::Struct(inner().into()), false));
    all.push(list("parts", Kind::Struct(deep.into())));
    all.push(Column { repeat: Repeat::Count, ..column("count", Kind::Float64, false) });
    all
}

/// The values of a further column in these rows, by nothing but its name and the places of the rows.
pub(crate) fn sample(field: &Field, rows: &[Row]) -> ArrayRef {
    let seed = |row: &Row| {
        let mut hasher = DefaultHasher::new();
        (field.name(), &row.topic, row.partition, row.offset, row.row_index).hash(&mut hasher);
        hasher.finish()
    };
    made(field, &rows.iter().map(seed).collect::<Vec<_>>())
}

fn made(field: &Field, seeds: &[u64]) -> ArrayRef {
    let nullable = |seed: u64| !(field.is_nullable() && seed.is_multiple_of(4));
    let nulls: Vec<bool> = seeds.iter().map(|seed| nullable(*seed)).collect();
    macro_rules! values {
        ($array:ty, $of:expr) => {
            seeds.iter().map(|seed| nullable(*seed).then(|| $of(*seed))).collect::<$array>()
        };
    }
    // About every second since 1900, with a fraction.
    let at = |seed: u64, unit: i64| (seed % 6_000_000_000) as i64 * unit - 2_000_000_000 * unit + (seed % 1000) as i64;
    match field.data_type() {
        DataType::Utf8 => Arc::new(values!(StringArray, |seed: u64| format!("é{}", seed % 7))),
        DataType::Boolean => Arc::new(values!(BooleanArray, |seed: u64| seed.is_multiple_of(3))),
        DataType::Int8 => Arc::new(values!(Int8Array, |seed: u64| seed as i8)),
        DataType::Int16 => Arc::new(values!(Int16Array, |seed: u64| seed as i16)),
        DataType::Int32 => Arc::new(values!(Int32Array, |seed: u64| seed as i32)),
        DataType::Int64 => Arc::new(values!(Int64Array, |seed: u64| seed as i64)),
        DataType::Float32 => Arc::new(values!(Float32Array, |seed: u64| seed as f32 / 7.0)),
        DataType::Float64 => Arc::new(values!(Float64Array, |seed: u64| seed as f64 / -7.0)),
        DataType::Decimal128(precision, scale) => {
            let least = 10i128.pow(u32::from(*precision));
            let values = values!(Decimal128Array, |seed: u64| (i128::from(seed as i64) << 60) % least);
            Arc::new(values.with_precision_and_scale(*precision, *scale).unwrap())
        }
        DataType::Date32 => Arc::new(values!(Date32Array, |seed: u64| (seed % 80_000) as i32 - 20_000)),
        DataType::Timestamp(TimeUnit::Millisecond, zone) => {
            Arc::new(values!(TimestampMillisecondArray, |seed| at(seed, 1_000)).with_timezone_opt(zone.clone()))
        }
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            Arc::new(values!(TimestampMicrosecondArray, |seed| at(seed, 1_000_000)).with_timezone_opt(zone.clone()))
        }
        DataType::Binary => {
            let bytes = seeds.iter().map(|seed| nullable(*seed).then(|| seed.to_le_bytes()));
            Arc::new(bytes.collect::<BinaryArray>())
        }
        DataType::List(item) => {
            let length = |seed: u64| if nullable(seed) { (seed / 4 % 3) as usize } else { 0 };
            let inner =
                seeds.iter().flat_map(|seed| (0..length(*seed)).map(|nth| seed.rotate_left(9 + 5 * nth as u32)));
            let values = made(item, &inner.collect::<Vec<_>>());
            let offsets = OffsetBuffer::from_lengths(seeds.iter().map(|seed| length(*seed)));
            Arc::new(ListArray::new(Arc::clone(item), offsets, values, Some(NullBuffer::from(nulls))))
        }
        DataType::Struct(fields) => {
            let inner = |nth: usize| seeds.iter().map(|seed| seed.rotate_right(3 + 7 * nth as u32)).collect::<Vec<_>>();
            let parts = fields.iter().enumerate().map(|(nth, field)| made(field, &inner(nth))).collect();
            Arc::new(StructArray::new(fields.clone(), parts, Some(NullBuffer::from(nulls))))
        }
        other => panic!("no values of {other}"),
    }
}

/// Where a row comes from: topic, partition, offset, row index.
type Place = (String, String, String, String);

/// Every value of a file as text, by the place of its row; nulls are left out.
fn texts(bytes: bytes::Bytes, lineage: &[Arc<str>; 5]) -> BTreeMap<Place, BTreeMap<String, String>> {
    let mut all = BTreeMap::new();
    for batch in ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap().build().unwrap() {
        let batch = batch.unwrap();
        for row in 0..batch.num_rows() {
            let values = batch_values(&batch, row);
            let of = |name: usize| values[&*lineage[name]].clone();
            let place = (of(0), of(1), of(2), of(4));
            assert_eq!(all.insert(place, values), None);
        }
    }
    all
}

fn batch_values(batch: &RecordBatch, row: usize) -> BTreeMap<String, String> {
    let schema = batch.schema();
    let columns = schema.fields().iter().zip(batch.columns());
    let columns = columns.filter(|(_, values)| values.is_valid(row));
    columns.map(|(field, values)| (field.name().clone(), text(values, row))).collect()
}

fn text(values: &ArrayRef, row: usize) -> String {
    // Not by a cast: what is compared must not be made by what is tested.
    match values.data_type() {
        DataType::Timestamp(TimeUnit::Millisecond, zone) => {
            let at = values.as_primitive::<arrow::datatypes::TimestampMillisecondType>().value(row);
            format!("{} {}", i128::from(at) * 1000, zone.is_some())
        }
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            let at = values.as_primitive::<arrow::datatypes::TimestampMicrosecondType>().value(row);
            format!("{at} {}", zone.is_some())
        }
        _ if values.is_null(row) => "null".to_owned(),
        DataType::List(_) => {
            let items = values.as_list::<i32>().value(row);
            let texts: Vec<String> = (0..items.len()).map(|item| text_or_null(&items, item)).collect();
            format!("[{}]", texts.join(", "))
        }
        DataType::Struct(fields) => {
            let parts = fields.iter().zip(values.as_struct().columns());
            let texts: Vec<String> =
                parts.map(|(field, part)| format!("{}={}", field.name(), text_or_null(part, row))).collect();
            format!("{{{}}}", texts.join(", "))
        }
        _ => ArrayFormatter::try_new(values, &FormatOptions::default()).unwrap().value(row).to_string(),
    }
}

fn text_or_null(values: &ArrayRef, row: usize) -> String {
    if values.is_null(row) { "null".to_owned() } else { text(values, row) }
}

impl World {
    /// Every value of every row of Processed is the one in RAW, and null where RAW has none; how many were compared.
    pub(crate) fn check_values(&self) -> usize {
        let (storage, lineage): (&dyn Storage, _) = (&*self.memory, &self.table.mapping.lineage.names);
        let mut raw = BTreeMap::new();
        for source in &self.lanes {
            for file in read_chain(storage, source).unwrap().chain.live {
                let footer = read_footer(storage, &file.path, file.bytes).unwrap();
                for data in footer.files.iter().filter(|data| data.zone == Zone::Raw) {
                    raw.extend(texts(storage.read_whole(&LakePath::parse(&data.path).unwrap()).unwrap(), lineage));
                }
            }
        }
        let mut compared = 0;
        for path in self.directory() {
            for (place, values) in texts(storage.read_whole(&processed_dir(TABLE).join(&path)).unwrap(), lineage) {
                assert_eq!(Some(&values), raw.get(&place), "{path}");
                compared += values.len();
            }
        }
        compared
    }
}

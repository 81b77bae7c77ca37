use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, DictionaryArray, Int64Array, StringArray};
use arrow::datatypes::{DataType, Field, Int32Type, Int64Type, Schema};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::*;

fn schema() -> SchemaRef {
    let topic = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, false),
        Field::new("title", DataType::Utf8, true),
        Field::new("kafka_topic", topic, false),
    ]))
}

fn rows(from: i64, to: i64) -> RecordBatch {
    let titles: StringArray = (from..to).map(|id| (id % 7 != 0).then(|| format!("title {id}"))).collect();
    let topics: DictionaryArray<Int32Type> = (from..to).map(|_| "library").collect();
    let columns: Vec<ArrayRef> = vec![Arc::new((from..to).collect::<Int64Array>()), Arc::new(titles), Arc::new(topics)];
    RecordBatch::try_new(schema(), columns).unwrap()
}

fn spec(compression: Compression, row_group_bytes: usize) -> FileSpec {
    FileSpec { schema: schema(), compression, row_group_bytes }
}

fn spool() -> (tempfile::TempDir, Spool) {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(dir.path(), 1 << 30).unwrap();
    (dir, spool)
}

fn reader(file: &SpooledFile) -> ParquetRecordBatchReaderBuilder<File> {
    ParquetRecordBatchReaderBuilder::try_new(File::open(file.path()).unwrap()).unwrap()
}

fn ids(file: &SpooledFile) -> Vec<i64> {
    let batches = reader(file).build().unwrap().map(Result::unwrap);
    batches.flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec()).collect()
}

#[test]
fn what_was_appended_is_read_back_in_order_with_length_and_checksum() {
    for compression in [Compression::None, Compression::Snappy, Compression::Lz4, Compression::Zstd(1)] {
        let (_dir, spool) = spool();
        let mut open = OpenFile::create(&spool, spec(compression, 32 << 20)).unwrap();
        for from in (0..20_000).step_by(100) {
            open.append(rows(from, from + 100)).unwrap();
        }
        assert_eq!(open.rows(), 20_000);
        let file = open.finish(&[("forebay.from", "0".to_owned())]).unwrap();
        let bytes = std::fs::read(file.path()).unwrap();
        assert_eq!((file.bytes(), file.rows()), (bytes.len() as u64, 20_000));
        assert_eq!(file.checksum(), crc32fast::hash(&bytes));
        assert_eq!(spool.used(), file.bytes());
        assert_eq!(ids(&file), (0..20_000).collect::<Vec<_>>());
        let reader = reader(&file);
        let metadata = reader.metadata().file_metadata();
        assert!(metadata.created_by().unwrap().starts_with("forebay version "));
        let pairs = metadata.key_value_metadata().unwrap();
        assert!(pairs.iter().any(|pair| pair.key == "forebay.from" && pair.value.as_deref() == Some("0")));
        assert_eq!(reader.schema().field(2).data_type(), &DataType::Utf8);
    }
}

#[test]
fn row_groups_close_by_bytes_and_on_request_and_then_nothing_is_held() {
    let (_dir, spool) = spool();
    let mut open = OpenFile::create(&spool, spec(Compression::None, 64 << 10)).unwrap();
    for from in (0..100_000).step_by(5000) {
        open.append(rows(from, from + 5000)).unwrap();
    }
    assert!(open.memory_bytes() < 1 << 20, "{}", open.memory_bytes());
    open.append(rows(100_000, 100_010)).unwrap();
    assert!(open.memory_bytes() > 0);
    open.flush().unwrap();
    assert_eq!(open.memory_bytes(), 0);
    let before = open.encoded_bytes();
    open.append(rows(100_010, 100_020)).unwrap();
    let file = open.finish(&[]).unwrap();
    assert!(file.bytes() > before);
    assert!(reader(&file).metadata().num_row_groups() > 5);
    assert_eq!(ids(&file), (0..100_020).collect::<Vec<_>>());
}

#[test]
fn a_file_without_rows_is_whole_too() {
    let (_dir, spool) = spool();
    let file = OpenFile::create(&spool, spec(Compression::Zstd(1), 1 << 20)).unwrap().finish(&[]).unwrap();
    assert_eq!(file.rows(), 0);
    assert!(ids(&file).is_empty());
}

#[test]
fn offsets_go_as_differences_and_unique_text_without_a_dictionary() {
    let (_dir, spool) = spool();
    let mut open = OpenFile::create(&spool, spec(Compression::Zstd(1), 32 << 20)).unwrap();
    open.append(rows(0, 10_000)).unwrap();
    let file = open.finish(&[]).unwrap();
    let reader = reader(&file);
    let dictionary = |column| reader.metadata().row_group(0).column(column).dictionary_page_offset().is_some();
    assert_eq!([dictionary(0), dictionary(1), dictionary(2)], [false, false, true]);
    assert!(reader.metadata().row_group(0).column(0).statistics().is_some());
}

#[test]
fn a_dropped_file_gives_its_room_back() {
    let (_dir, spool) = spool();
    let mut open = OpenFile::create(&spool, spec(Compression::None, 64 << 10)).unwrap();
    open.append(rows(0, 50_000)).unwrap();
    assert!(spool.used() > 0);
    drop(open);
    assert_eq!(spool.used(), 0);
}

#[test]
fn a_full_disk_is_a_fault_that_may_pass() {
    let (_dir, spool) = spool();
    let mut open = OpenFile::create(&spool, spec(Compression::None, 64 << 10)).unwrap();
    open.state = State::Fresh(std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
    let fault = (0..40).find_map(|part| open.append(rows(part * 10_000, (part + 1) * 10_000)).err()).unwrap();
    assert_eq!((fault.event, fault.verdict), ("spool.no-space", crate::fault::Verdict::Retry));
    assert!(open.append(rows(0, 10_000)).is_err());
    assert!(open.finish(&[]).is_err());
}

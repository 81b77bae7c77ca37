use std::fs::File;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::*;
use crate::flow::buffer::file::{FileSpec, OpenFile};
use crate::flow::spool::Spool;
use crate::model::batch::Piece;
use crate::model::budget::MemoryBudget;
use crate::model::offset::{OffsetRange, TopicPartition};
use crate::model::table::Compression;
use crate::model::violation::{Code, Violation};

/// A batch whose messages have these payloads; the second message has a key and two headers.
fn raw(payloads: &[Option<&[u8]>]) -> RawBatch {
    let mut bytes = Vec::new();
    let mut span = |piece: &[u8]| {
        let from = bytes.len() as u32;
        bytes.extend_from_slice(piece);
        from..bytes.len() as u32
    };
    let mut messages = Vec::new();
    for (index, payload) in payloads.iter().enumerate() {
        let marked = index == 1;
        messages.push(RawMessage {
            offset: 100 + index as i64,
            timestamp_us: marked.then_some(1_700_000_000_000_000),
            key: marked.then(|| span(b"key")),
            payload: payload.map(&mut span),
            headers: if marked { vec![(span(b"a"), Some(span(b"\xff\x00"))), (span(b"b"), None)] } else { vec![] },
        });
    }
    RawBatch {
        source: TopicPartition::new("library", 3),
        generation: 1,
        seq: 0,
        range: OffsetRange::new(100, 100 + payloads.len() as i64).unwrap(),
        bytes,
        messages,
        permit: MemoryBudget::new(1).take(0),
        piece: Piece::WHOLE,
        slot: None,
    }
}

fn letter(message: u32, violations: Vec<Violation>) -> DeadLetter {
    DeadLetter { table: None, message, violations }
}

fn violation(code: Code) -> Violation {
    Violation {
        code,
        column: Some("price".to_owned()),
        path: None,
        line: Some(3),
        byte_offset: Some(57),
        value: None,
        message: "not a decimal".to_owned(),
    }
}

#[test]
fn a_dead_letter_keeps_its_bytes_and_every_violation_also_in_the_file() {
    let raw = raw(&[Some(b"<a/>"), Some(b"\x00\xfe<broken"), None]);
    let letters = [letter(1, vec![violation(Code::TYPE_DECIMAL), violation(Code::TYPE_INT)]), letter(2, vec![])];
    let letters: Vec<&DeadLetter> = letters.iter().collect();
    let now = Timestamp::from_second(1_800_000_000).unwrap();
    let rows: Vec<_> = quarantine_rows(&raw, &letters, None, PayloadKept::Keep, now).map(Result::unwrap).collect();
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(dir.path(), 1 << 20).unwrap();
    let spec = FileSpec { schema: quarantine_schema(), compression: Compression::Zstd(1), row_group_bytes: 1 << 20 };
    let mut file = OpenFile::create(&spool, spec).unwrap();
    rows.into_iter().for_each(|rows| file.append(rows).unwrap());
    let file = file.finish(&[]).unwrap();

    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(file.path()).unwrap()).unwrap();
    let read = reader.build().unwrap().next().unwrap().unwrap();
    let names: Vec<_> = read.schema().fields().iter().map(|field| field.name().clone()).collect();
    let expected: Vec<_> = quarantine_schema().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(names, expected);
    assert_eq!(read["kafka_topic"].as_string::<i32>().value(0), "library");
    assert_eq!(read["kafka_offset"].as_primitive::<Int64Type>().values(), &[101, 102]);
    let times = read["kafka_timestamp"].as_primitive::<TimestampMicrosecondType>();
    assert_eq!((times.value(0), times.is_null(1)), (1_700_000_000_000_000, true));
    assert_eq!(read["kafka_key"].as_binary::<i32>().value(0), b"key");
    let payload = read["payload"].as_binary::<i32>();
    assert_eq!((payload.value(0), payload.is_null(1)), (&b"\x00\xfe<broken"[..], true));
    let headers = read["kafka_headers"].as_list::<i32>().value(0);
    let values = headers.as_struct()["value"].as_binary::<i32>().clone();
    assert_eq!((values.value(0), values.is_null(1)), (&b"\xff\x00"[..], true));
    let violations = read["violations"].as_list::<i32>();
    assert_eq!((violations.value_length(0), violations.value_length(1)), (2, 0));
    let first = violations.value(0);
    let codes = first.as_struct()["code"].as_string::<i32>().clone();
    assert_eq!((codes.value(0), codes.value(1)), ("type.decimal", "type.int"));
    assert_eq!(first.as_struct()["byte_offset"].as_primitive::<Int64Type>().value(0), 57);
    assert!(read["mapping"].is_null(0));
    let at = read["quarantined_at"].as_primitive::<TimestampMicrosecondType>();
    assert_eq!(at.value(0), 1_800_000_000_000_000);
}

#[test]
fn big_payloads_come_in_slices_and_none_is_left_out() {
    let big = vec![b'x'; 600 << 10];
    let raw = raw(&[Some(&big[..]); 7]);
    let letters: Vec<_> = (0..7).map(|message| letter(message, vec![])).collect();
    let letters: Vec<&DeadLetter> = letters.iter().collect();
    let rows: Vec<_> =
        quarantine_rows(&raw, &letters, None, PayloadKept::Keep, Timestamp::UNIX_EPOCH).map(Result::unwrap).collect();
    assert_eq!(rows.iter().map(RecordBatch::num_rows).collect::<Vec<_>>(), [2, 2, 2, 1]);
}

#[test]
fn a_letter_that_points_outside_its_batch_is_a_fault() {
    let raw = raw(&[Some(b"<a/>")]);
    let letter = letter(1, vec![]);
    assert!(quarantine_rows(&raw, &[&letter], None, PayloadKept::Keep, Timestamp::UNIX_EPOCH).next().unwrap().is_err());
}

#[test]
fn what_is_kept_of_a_payload_is_what_the_table_says_and_the_columns_are_the_same() {
    let raw = raw(&[Some(b""), Some(b"abc"), None]);
    let letters = [letter(0, vec![]), letter(1, vec![]), letter(2, vec![])];
    let letters: Vec<&DeadLetter> = letters.iter().collect();
    let of = |kept| quarantine_rows(&raw, &letters, None, kept, Timestamp::UNIX_EPOCH).next().unwrap().unwrap();
    let bytes = |rows: &RecordBatch| -> Vec<_> {
        rows["payload"].as_binary::<i32>().iter().map(|value| value.map(<[u8]>::to_vec)).collect()
    };
    let digests = |rows: &RecordBatch| -> Vec<_> {
        rows["payload_sha256"].as_string::<i32>().iter().map(|value| value.map(str::to_owned)).collect()
    };
    let kept = of(PayloadKept::Keep);
    assert_eq!((bytes(&kept), digests(&kept)), (vec![Some(vec![]), Some(b"abc".to_vec()), None], vec![None; 3]));
    let digest = of(PayloadKept::Digest);
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(bytes(&digest), [const { None }; 3]);
    assert_eq!(digests(&digest), [Some(empty.to_owned()), Some(abc.to_owned()), None]);
    let none = of(PayloadKept::None);
    assert_eq!((bytes(&none), digests(&none)), (vec![None; 3], vec![None; 3]));
    for rows in [&kept, &digest, &none] {
        assert_eq!(rows.schema(), quarantine_schema());
        assert_eq!(rows["kafka_key"].as_binary::<i32>().value(1), b"key");
    }
}

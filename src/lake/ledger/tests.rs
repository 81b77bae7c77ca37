use bytes::Bytes;
use proptest::prelude::*;

use super::super::footer::{DataFile, TableSum, Zone};
use super::*;

fn footer(files: Vec<DataFile>) -> IntervalFooter {
    IntervalFooter {
        topic: "library".into(),
        topic_id: None,
        cluster_id: Some("c".into()),
        partition: 0,
        from: 0,
        to: 100,
        epoch: 1,
        ledger: "ledger/library/p=00000/dt=2026-11-01/x.parquet".into(),
        staged_at: "2026-11-01T00:00:00Z".parse().unwrap(),
        sums: Sums::default(),
        mappings: Vec::new(),
        software: "0.1.0".into(),
        files,
        lost: None,
        last: None,
    }
}

fn tables() -> Arc<[Arc<str>]> {
    ["books", "authors"].map(Arc::from).into()
}

fn row(offset: i64) -> LedgerRow {
    LedgerRow { offset, timestamp_us: Some(offset * 10), outcome: Outcome::Rows, table: Some(0), rows: 3, code: None }
}

fn write(rows: &[LedgerRow], files: Vec<DataFile>) -> (Bytes, Spooled, IntervalFooter) {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = LedgerWriter::create(dir.path().join("l.parquet"), tables()).unwrap();
    writer.append(rows).unwrap();
    let (spooled, footer) = writer.finish(footer(files)).unwrap();
    (std::fs::read(&spooled.path).unwrap().into(), spooled, footer)
}

fn rows() -> impl Strategy<Value = Vec<LedgerRow>> {
    let row = (1..5i64, prop::option::of(-5..5i64), 0..5usize, prop::option::of(0..2u16), 0..9u32, 0..4usize);
    prop::collection::vec(row, 0..40).prop_map(|rows| {
        let mut offset = -1;
        rows.into_iter()
            .map(|(step, timestamp_us, outcome, table, rows, code)| {
                offset += step;
                let code = (code > 0).then(|| Code::ALL[code].0);
                LedgerRow { offset, timestamp_us, outcome: Outcome::ALL[outcome], table, rows, code }
            })
            .collect()
    })
}

proptest! {
    #[test]
    fn what_is_written_adds_up_when_it_is_read(rows in rows()) {
        let (bytes, spooled, footer) = write(&rows, Vec::new());
        prop_assert_eq!(spooled.bytes, bytes.len() as u64);
        prop_assert_eq!(spooled.checksum, crc32fast::hash(&bytes));
        prop_assert_eq!(spooled.rows, rows.len() as u64);
        let reading = read_rows(bytes).unwrap();
        prop_assert_eq!(&reading.sums, &footer.sums);
        prop_assert_eq!(reading.last, footer.last);
        prop_assert_eq!(footer.last, rows.last().map(|last| LastMessage { offset: last.offset, timestamp_us: last.timestamp_us }));
        prop_assert_eq!(reading.repeated, None);
        prop_assert_eq!(reading.offsets, rows.first().map(|first| (first.offset, rows[rows.len() - 1].offset)));
        prop_assert_eq!(footer.sums.messages, rows.len() as u64);
        let messages: u64 = footer.sums.outcomes.values().sum();
        prop_assert_eq!(messages, rows.len() as u64);
    }
}

#[test]
fn more_rows_than_one_batch_stay_small() {
    let rows: Vec<_> = (0..20_000).map(row).collect();
    let (bytes, spooled, footer) = write(&rows, Vec::new());
    assert_eq!(spooled.rows, 20_000);
    assert_eq!(footer.sums.tables["books"], TableSum { messages: 20_000, rows: 60_000, quarantined: 0 });
    assert!(bytes.len() < 4_000, "{} bytes for 20,000 messages", bytes.len());
    let reading = read_rows(bytes).unwrap();
    assert_eq!((reading.sums, reading.last), (footer.sums, footer.last));
}

#[test]
fn rows_of_child_tables_are_counted_from_their_files() {
    let file = |zone, table: &str, rows| DataFile {
        zone,
        table: table.into(),
        path: format!("raw/{table}/x.parquet"),
        bytes: 1,
        rows,
        crc32: 0,
    };
    let files = vec![file(Zone::Raw, "books", 3), file(Zone::Raw, "authors", 7), file(Zone::Quarantine, "books", 0)];
    let (_, _, footer) = write(&[row(5)], files);
    assert_eq!(footer.sums.tables["books"].rows, 3);
    assert_eq!(footer.sums.tables["authors"], TableSum { messages: 0, rows: 7, quarantined: 0 });
}

#[test]
fn a_message_has_one_row() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = LedgerWriter::create(dir.path().join("l"), tables()).unwrap();
    writer.append(&[row(5)]).unwrap();
    assert!(writer.append(&[row(5)]).is_err());
    let unknown = LedgerRow { table: Some(9), ..row(6) };
    assert!(writer.append(&[unknown]).is_err());
}

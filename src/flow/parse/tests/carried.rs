//! The key and the headers of a message in its rows.

use arrow::array::{Array, AsArray, RecordBatch};

use super::*;
use crate::model::mapping::{Child, Lineage, ON_REQUEST};

/// A message: key, headers, payload.
type Sent<'a> = (Option<&'a [u8]>, &'a [(&'a str, Option<&'a [u8]>)], &'a [u8]);

fn sent(messages: &[Sent<'_>]) -> Arc<RawBatch> {
    let payloads: Vec<_> = messages.iter().map(|(_, _, payload)| Some(*payload)).collect();
    let mut raw = Arc::into_inner(batch(&payloads)).unwrap();
    let bytes = &mut raw.bytes;
    let mut append = |part: &[u8]| {
        let start = bytes.len() as u32;
        bytes.extend_from_slice(part);
        start..bytes.len() as u32
    };
    for (message, (key, headers, _)) in raw.messages.iter_mut().zip(messages) {
        message.key = key.map(&mut append);
        message.headers =
            headers.iter().map(|(name, value)| (append(name.as_bytes()), value.map(&mut append))).collect();
    }
    Arc::new(raw)
}

fn wants(key: bool, headers: bool) -> Mapping {
    let mut mapping = mapping(None, "r", vec![column("id", "@id", Kind::Int32)]);
    let on = |is_on: bool, name: &str| is_on.then(|| Arc::from(name));
    mapping.lineage = Lineage { key: on(key, ON_REQUEST[0]), headers: on(headers, "told"), ..Lineage::default() };
    mapping
}

fn headers_of(rows: &RecordBatch, row: usize) -> Vec<(String, Option<Vec<u8>>)> {
    let of_row = rows.column_by_name("told").unwrap().as_list::<i32>().value(row);
    let (names, values) = (of_row.as_struct().column(0).as_string::<i32>(), of_row.as_struct().column(1));
    let value = |at| values.is_valid(at).then(|| values.as_binary::<i32>().value(at).to_vec());
    (0..of_row.len()).map(|at| (names.value(at).to_owned(), value(at))).collect()
}

#[test]
fn every_row_has_those_of_its_message() {
    let headers: &[(&str, Option<&[u8]>)] = &[("t", Some(b"\xff\x00")), ("none", None), ("t", Some(b""))];
    let raw = sent(&[
        (Some(b"\x00k"), headers, b"<m><r id='1'/><r id='2'/></m>"),
        (Some(b"gone"), headers, b"<m><r id='x'/></m>"),
        (None, &[], b"<m><r id='3'/></m>"),
        (Some(b""), &headers[1..2], b"<m><r id='4'/></m>"),
    ]);
    let mapping = wants(true, true);
    let parsed = parser(&mapping).parse(&raw, Some(0)).unwrap();
    let rows = &parsed.tables[0].rows;
    assert_eq!(rows.schema(), mapping.raw_schema());
    let keys = rows.column_by_name("kafka_key").unwrap();
    let key = |row: usize| keys.is_valid(row).then(|| keys.as_binary::<i32>().value(row));
    assert_eq!([0, 1, 2, 3].map(key), [Some(&b"\x00k"[..]), Some(b"\x00k"), None, Some(b"")]);
    let all: Vec<_> = headers.iter().map(|(name, value)| ((*name).to_owned(), value.map(<[u8]>::to_vec))).collect();
    assert_eq!([0, 1, 2].map(|row| headers_of(rows, row)), [all.clone(), all.clone(), vec![]]);
    assert_eq!(headers_of(rows, 3), all[1..2]);
    assert_eq!(rows.column_by_name("told").unwrap().null_count(), 0, "a message without headers has an empty list");
}

#[test]
fn each_of_them_alone_and_never_in_a_child_table() {
    for (key, headers) in [(true, false), (false, true), (false, false)] {
        let mut mapping = wants(key, headers);
        let columns = vec![column("text", "text()", Kind::String)];
        mapping.children.push(Child { name: "cs".into(), rows: vec![name("c").into()], columns, children: vec![] });
        let raw = sent(&[(Some(b"k"), &[("h", None)], b"<m><r id='1'><c>x</c><c>y</c></r></m>")]);
        let parsed = parser(&mapping).parse(&raw, Some(0)).unwrap();
        assert_eq!(parsed.tables[0].rows.schema(), mapping.raw_schema());
        let own = usize::from(key) + usize::from(headers);
        assert_eq!((parsed.tables[0].rows.num_columns(), parsed.tables[1].rows.num_columns()), (6 + own, 7));
    }
}

#[test]
fn copies_of_them_are_bounded() {
    let large = vec![b'h'; 1 << 20];
    let many = format!("<m>{}</m>", "<r id='1'/>".repeat(99_000));
    let headers: &[(&str, Option<&[u8]>)] = &[("large", Some(&large))];
    let one = b"<m><r id='1'/></m>";
    let messages: [Sent<'_>; 4] = [
        (None, headers, many.as_bytes()),
        (Some(&large), &[], many.as_bytes()),
        (Some(b"k"), &[("small", None)], many.as_bytes()),
        (Some(&large), headers, one),
    ];
    let parsed = parser(&wants(true, true)).parse(&sent(&messages), Some(0)).unwrap();
    let codes: Vec<_> = parsed.verdicts.iter().map(codes).collect();
    assert_eq!(codes, [vec!["limit.rows"], vec!["limit.rows"], vec![], vec![]]);
    assert!(parsed.verdicts[0].violations[0].message.contains("key and headers"));
    assert_eq!(parsed.tables[0].rows.num_rows(), 99_001);
    // What a table does not ask for costs it nothing.
    let parsed = parser(&wants(false, false)).parse(&sent(&messages), Some(0)).unwrap();
    assert!(parsed.verdicts.iter().all(|verdict| verdict.violations.is_empty()));
}

#[test]
fn parts_are_closed_by_what_rows_carry_as_well() {
    let header = vec![b'h'; 1000];
    let headers: &[(&str, Option<&[u8]>)] = &[("large", Some(&header))];
    let messages: [Sent<'_>; 5] = [(None, headers, b"<m><r id='1'/><r id='2'/></m>"); 5];
    let mut parser = parser(&wants(true, true));
    parser.part_bytes = 3500;
    let parsed = parser.parse(&sent(&messages), Some(0)).unwrap();
    let rows: Vec<_> = parsed.tables.iter().map(|part| (part.rows.num_rows(), part.message.clone())).collect();
    assert_eq!(rows, [(4, vec![0, 0, 1, 1]), (4, vec![2, 2, 3, 3]), (2, vec![4, 4])]);
}

//! Several tables on one topic: each message has one of them, or none.

use std::sync::Arc;

use proptest::prelude::*;

use super::super::{Care, Parser, ParserTable, Route};
use super::{batch, codes, column, mapping, name};
use crate::model::batch::{Outcome, ParsedBatch, RawBatch};
use crate::model::mapping::{Kind, Mapping};
use crate::model::table::{
    HeaderIs, OnOutOfRange, QuarantineSettings, RawSettings, StartingOffsets, Table, TopicChoice, When,
};

fn table(table: &str, when: Option<When>, mapping: Mapping) -> Table {
    Table {
        name: table.into(),
        topics: TopicChoice::List(vec!["library".into()]),
        when,
        mapping: Arc::new(mapping),
        starting_offsets: StartingOffsets::Earliest,
        on_offset_out_of_range: OnOutOfRange::Fail,
        raw: RawSettings::default(),
        processed: None,
        quarantine: QuarantineSettings::default(),
        stop_when: None,
    }
}

fn root(root: &str) -> Option<When> {
    Some(When { root: Some(name(root)), header: None })
}

fn header(header: &str, value: &str) -> Option<When> {
    Some(When { root: None, header: Some(HeaderIs { name: header.into(), value: value.into() }) })
}

fn ids() -> Mapping {
    mapping(None, "", vec![column("id", "id", Kind::Int64)])
}

/// Orders by their root element, books by root and header, films by header alone.
fn shared() -> Vec<Table> {
    let both = When { root: Some(name("book")), ..header("type", "book").unwrap() };
    vec![
        table("orders", root("{urn:o}order"), ids()),
        table("books", Some(both), ids()),
        table("films", header("type", "film"), ids()),
    ]
}

fn parser(tables: &[Table]) -> Parser {
    Parser::new(tables.iter().map(|table| ParserTable::compile(&table.mapping).unwrap()).collect())
}

type Sent<'a> = (&'a [u8], &'a [(&'a str, Option<&'a str>)]);

fn with_headers(sent: &[Sent<'_>]) -> Arc<RawBatch> {
    let payloads: Vec<_> = sent.iter().map(|(payload, _)| Some(*payload)).collect();
    let mut raw = Arc::into_inner(batch(&payloads)).unwrap();
    let mut append = |text: &str| {
        let start = raw.bytes.len() as u32;
        raw.bytes.extend_from_slice(text.as_bytes());
        start..raw.bytes.len() as u32
    };
    for (message, (_, headers)) in raw.messages.iter_mut().zip(sent) {
        message.headers = headers.iter().map(|(name, value)| (append(name), value.map(&mut append))).collect();
    }
    Arc::new(raw)
}

fn parse(tables: &[Table], sent: &[Sent<'_>]) -> ParsedBatch {
    let route = Route::of("library", tables).unwrap();
    parser(tables).parse(&with_headers(sent), route).unwrap()
}

/// For each message its table and the codes of what is wrong with it.
fn told(parsed: &ParsedBatch) -> Vec<(Option<u16>, Vec<&'static str>)> {
    parsed.verdicts.iter().map(|verdict| (verdict.table, codes(verdict))).collect()
}

const BOOK: &[(&str, Option<&str>)] = &[("type", Some("book"))];
const FILM: &[(&str, Option<&str>)] = &[("type", None), ("type", Some("x")), ("type", Some("film"))];

#[test]
fn the_first_table_whose_conditions_all_hold_takes_a_message() {
    let sent: [Sent<'_>; 7] = [
        (b"<?xml version='1.0'?><!-- <book/> --><o:order xmlns:o='urn:o'><id>1</id></o:order>", BOOK),
        (b"<order xmlns='urn:o'><id>2</id></order>", &[]),
        (b"<order><id>3</id></order>", &[]),
        (b"<book><id>4</id></book>", BOOK),
        (b"<book><id>5</id></book>", FILM),
        (b"<book><id>6</id></book>", &[("type", Some("books"))]),
        (b"\xef\xbb\xbf<book><id>x</id></book>", BOOK),
    ];
    let parsed = parse(&shared(), &sent);
    let unrouted = (None, vec!["shape.unrouted"]);
    let expected = [
        (Some(0), vec![]),
        (Some(0), vec![]),
        unrouted.clone(),
        (Some(1), vec![]),
        (Some(2), vec![]),
        unrouted,
        (Some(1), vec!["type.int"]),
    ];
    assert_eq!(told(&parsed), expected);
    let rows: Vec<_> = parsed.tables.iter().map(|part| (part.table, part.message.clone())).collect();
    assert_eq!(rows, [(0, vec![0, 1]), (1, vec![3]), (2, vec![4])]);
}

#[test]
fn a_table_without_conditions_takes_the_rest() {
    let mut tables = shared();
    tables.push(table("rest", None, ids()));
    tables.push(table("never", header("type", "book"), ids()));
    let parsed = parse(&tables, &[(b"<x/>", BOOK), (b"<book/>", BOOK), (b"<x", &[]), (b"", &[])]);
    let expected = [(Some(3), vec![]), (Some(1), vec![]), (Some(3), vec!["xml.syntax"]), (Some(3), vec!["xml.empty"])];
    let tables_of: Vec<_> = told(&parsed).into_iter().map(|(table, _)| table).collect();
    assert_eq!(tables_of, expected.each_ref().map(|(table, _)| *table));
    assert_eq!(parsed.verdicts[2].outcome, Outcome::Quarantined);
    assert_eq!(Route::of("library", &tables).unwrap().tables().collect::<Vec<_>>(), [0, 1, 2, 3]);
    assert_eq!(Route::of("other", &tables).unwrap().tables().count(), 0);
}

#[test]
fn a_message_without_a_root_to_be_found_is_told_what_is_wrong_with_it() {
    let sent: [Sent<'_>; 8] = [
        (b"", &[]),
        (b"{\"a\": 1}", &[]),
        (b"<?xml version='1.0'?>", &[]),
        (b"<book", BOOK),
        (b"<p:book/>", BOOK),
        (b"\n <!-- \xff --><book/>", BOOK),
        (b"<!DOCTYPE book [<!ENTITY a 'b'>]><book/>", BOOK),
        (b"<book", FILM),
    ];
    let parsed = parse(&shared(), &sent);
    let found = told(&parsed);
    assert!(found[..7].iter().all(|(table, codes)| table.is_none() && codes.len() == 1), "{found:?}");
    let first = |index: usize| found[index].1[0];
    assert_eq!((first(0), first(2), first(5)), ("xml.empty", "xml.no-root", "xml.encoding"));
    assert!(first(6).starts_with("dtd."), "{}", first(6));
    assert_eq!(parsed.verdicts[5].violations[0].line, Some(2));
    assert_eq!(found[7].0, Some(2), "films do not ask for a root element");
    assert!(parsed.verdicts.iter().all(|verdict| verdict.outcome == Outcome::Quarantined));
}

#[test]
fn a_root_element_is_found_however_far_away_and_whatever_follows() {
    let comment = format!("<!-- {} -->", "x".repeat(5000));
    let attribute = format!("<book a='{}'><id>1</id></book>", "é".repeat(900));
    let far = format!("{comment}<book/>");
    // Only the table's own reading finds what is wrong behind the start tag.
    let bad_end = [b"<book><id>".as_slice(), &[0xff; 2000], b"</id></book>"].concat();
    let sent: [Sent<'_>; 3] = [(far.as_bytes(), BOOK), (attribute.as_bytes(), BOOK), (&bad_end, BOOK)];
    assert_eq!(told(&parse(&shared(), &sent)), [(Some(1), vec![]), (Some(1), vec![]), (Some(1), vec!["xml.encoding"])]);
}

#[test]
fn a_poisonous_message_is_not_read_to_route_it() {
    let tables = shared();
    let raw = with_headers(&[(b"<book/>", BOOK), (b"<book/>", FILM), (b"<book/>", BOOK)]);
    let care = Care { poisoned: &[0, 1], ..Care::default() };
    let route = Route::of("library", &tables[1..]).unwrap();
    let parsed = parser(&tables[1..]).parse_with_care(&raw, route, &care).unwrap();
    assert_eq!(told(&parsed), [(None, vec!["rule.poison"]), (Some(1), vec!["rule.poison"]), (Some(0), vec![])]);
}

#[test]
fn tables_keep_their_workshops_apart() {
    let tables = shared();
    let mut parser = parser(&tables);
    let route = Route::of("library", &tables).unwrap();
    let raw = with_headers(&[(b"<book><id>1</id></book>", BOOK), (b"<film><id>2</id></film>", FILM)]);
    let first = parser.parse(&raw, route.clone()).unwrap();
    let again = parser.parse(&raw, route).unwrap();
    for parsed in [first, again] {
        let rows: Vec<_> = parsed.tables.iter().map(|part| (part.table, part.rows.num_rows())).collect();
        assert_eq!(rows, [(1, 1), (2, 1)]);
    }
}

proptest! {
    /// Whatever comes, each message has one verdict, and its rows are in the table that the verdict names.
    #[test]
    fn every_message_has_one_outcome(sent in prop::collection::vec((0..6usize, 0..4usize, any::<bool>()), 1..40)) {
        let bodies: [&[u8]; 6] = [
            b"<book><id>1</id></book>",
            b"<o:order xmlns:o='urn:o'><id>1</id></o:order>",
            b"<film><id>1</id></film>",
            b"<book><id>x</id></book>",
            b"<book",
            b"",
        ];
        let headers: [&[(&str, Option<&str>)]; 4] = [&[], BOOK, FILM, &[("type", None)]];
        let mut tables = shared();
        let has_rest = sent[0].2;
        if has_rest {
            tables.push(table("rest", None, ids()));
        }
        let messages: Vec<Sent<'_>> = sent.iter().map(|(body, header, _)| (bodies[*body], headers[*header])).collect();
        let parsed = parse(&tables, &messages);
        prop_assert_eq!(parsed.verdicts.len(), messages.len());
        let mut rows = vec![0; messages.len()];
        for part in &parsed.tables {
            for &message in &part.message {
                rows[message as usize] += 1;
                prop_assert_eq!(parsed.verdicts[message as usize].table, Some(part.table));
            }
        }
        for ((verdict, rows), (body, header, _)) in parsed.verdicts.iter().zip(rows).zip(&sent) {
            let expected = match (body, header) {
                (1, _) => Some(0),
                (0 | 3, 1) => Some(1),
                (_, 2) => Some(2),
                _ => has_rest.then_some(3),
            };
            prop_assert_eq!((verdict.table, verdict.rows), (expected, rows));
            prop_assert_eq!(verdict.violations.is_empty(), verdict.outcome == Outcome::Rows);
            prop_assert_eq!(rows == 1, verdict.outcome == Outcome::Rows);
        }
    }
}

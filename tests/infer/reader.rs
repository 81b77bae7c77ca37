//! The same promise, held by the daemon's own reader of mappings and its own parser.

use std::sync::Arc;

use forebay::config::mapping;
use forebay::flow::parse::{Parser, ParserTable, WellFormed};
use forebay::model::batch::{Outcome, Piece, RawBatch, RawMessage};
use forebay::model::budget::MemoryBudget;
use forebay::model::mapping::{Dtd, Limits, Lineage};
use forebay::model::offset::{OffsetRange, TopicPartition};
use proptest::prelude::*;

use forebay::infer::{RowChoice, Samples};

use super::infer;

/// The mapping can be read, and every document becomes rows.
pub(crate) fn assert_takes(text: &str, documents: &[impl AsRef<[u8]>]) {
    let mapping = mapping::read_text(text, "inferred.toml".as_ref(), &Lineage::default());
    let mapping = mapping.unwrap_or_else(|problems| {
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        panic!("{problems:#?}\n{text}")
    });
    let (mut bytes, mut messages) = (Vec::new(), Vec::new());
    for (offset, document) in (0..).zip(documents) {
        let start = u32::try_from(bytes.len()).unwrap();
        bytes.extend_from_slice(document.as_ref());
        let payload = Some(start..u32::try_from(bytes.len()).unwrap());
        messages.push(RawMessage { offset, timestamp_us: None, key: None, payload, headers: Vec::new() });
    }
    let batch = RawBatch {
        source: TopicPartition::new("samples", 0),
        generation: 0,
        seq: 0,
        piece: Piece::WHOLE,
        slot: None,
        range: OffsetRange::new(0, i64::try_from(documents.len()).unwrap()).unwrap(),
        permit: MemoryBudget::new(u64::MAX).take(bytes.len() as u64),
        bytes,
        messages,
    };
    let tables: Arc<[ParserTable]> = Arc::from(vec![ParserTable::compile(&mapping).unwrap()]);
    let parsed = Parser::new(tables).parse(&Arc::new(batch), Some(0)).unwrap();
    for (document, verdict) in documents.iter().zip(&parsed.verdicts) {
        let is_good = verdict.outcome == Outcome::Rows && verdict.violations.is_empty();
        let document = || String::from_utf8_lossy(document.as_ref()).chars().take(20_000).collect::<String>();
        assert!(is_good, "{:?} {:#?}\n{}\n{text}", verdict.outcome, verdict.violations, document());
    }
}

#[test]
fn books_and_cars_are_read_by_the_daemons_own_parser() {
    for document in [include_str!("books.xml"), include_str!("cars.xml")] {
        assert_takes(&infer(None, &[document], None), &[document]);
    }
}

#[test]
fn a_namespace_is_taken_letter_by_letter() {
    let document = "<r xmlns:a=' ' xmlns:b=' urn:b '><a:x>1</a:x><b:x>2</b:x><x>3</x></r>";
    assert_takes(&infer(None, &[document], None), &[document]);
}

/// Documents with one of everything that XML has.
const WHOLE: [&str; 3] = [
    "<?xml version=\"1.0\" encoding='UTF-8' standalone=\"no\"?>\n<!-- c --><?go on?><r a = \"1\" b='&lt;&#x41;'><x><![CDATA[<&]]></x><y>&amp;z\r\n</y></r>\n",
    "<p:r xmlns:p=\"urn:p\" xmlns='urn:d' p:a=\"1\" a='2' xml:lang=\"de\"><p:x k=\"1\">7</p:x><e xmlns=\"\"/><p:y >1.5</p:y ></p:r>",
    "<a><b>2026-10-15</b><!----><c d='é'/><?pi?></a>",
];

/// One of these, with a byte taken out, put in or changed, or a piece put elsewhere.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![prop::sample::select(b"<>/='\"& \n!?-[]:;x1#.\0\x01\x80\xC3".to_vec()), any::<u8>(),];
    (prop::sample::select(WHOLE.to_vec()), 0..5, any::<prop::sample::Index>(), any::<prop::sample::Index>(), byte)
        .prop_map(|(whole, kind, at, to, byte)| {
            let mut bytes = whole.as_bytes().to_vec();
            let (at, to) = (at.index(bytes.len()), to.index(bytes.len()));
            match kind {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                2 => drop(bytes.remove(at)),
                3 => drop(bytes.drain(at.min(to)..at.max(to))),
                _ => {
                    let piece = bytes[at.min(to)..at.max(to)].to_vec();
                    bytes.splice(at..at, piece);
                }
            }
            bytes
        })
}

fn flat() -> impl Strategy<Value = Vec<String>> {
    let value = prop_oneof![
        "-?[0-9]{1,20}",
        "-?[0-9]{1,15}\\.[0-9]{1,10}",
        "(true|false)",
        "20[0-9]{2}-0[1-9]-[12][0-9]",
        "20[0-9]{2}-0[1-9]-[12][0-9]T1[0-9]:[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,6})?Z",
        "[ a-z0-9.]{0,8}",
        "1\\.5E[0-9]",
    ];
    let fields = prop::collection::btree_map("[a-f]", (value.clone(), prop::option::of(value)), 0..6);
    let document = (fields, any::<bool>()).prop_map(|(fields, is_row)| {
        let fields: String = fields
            .iter()
            .map(|(name, (text, attribute))| match attribute {
                Some(attribute) => format!("<{name} k=\"{attribute}\">{text}</{name}>"),
                None => format!("<{name}>{text}</{name}>"),
            })
            .collect();
        if is_row { format!("<r><x>{fields}</x><x>{fields}</x></r>") } else { format!("<r><x>{fields}</x></r>") }
    });
    prop::collection::vec(document, 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn samples_are_what_the_daemon_calls_well_formed(document in damaged()) {
        let mut samples = Samples::new(None);
        let verdict = WellFormed::new(Limits::default(), Dtd::IgnoreExternal).check(&document);
        let added = samples.add("damaged", &document);
        prop_assert_eq!(verdict.is_ok(), added.is_ok());
        match verdict {
            Ok(()) => {
                let mapping = samples.mapping(&RowChoice::Path(".".to_owned())).unwrap();
                assert_takes(&mapping, &[document]);
            }
            Err(violation) => prop_assert!(added.unwrap_err().contains(violation.code.name())),
        }
    }

    #[test]
    fn flat_rows_of_any_values_are_read_by_the_daemons_own_parser(documents in flat()) {
        assert_takes(&infer(None, &documents, Some("x")), &documents);
    }
}

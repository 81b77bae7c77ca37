//! Any document we can build comes back exactly, and any damage to it has a clean verdict.

use arrow::array::AsArray;
use arrow::datatypes::{Date32Type, Decimal128Type, Int64Type, TimestampMicrosecondType};
use proptest::prelude::*;

use super::*;
use crate::model::batch::Outcome;

#[derive(Debug, Clone)]
struct Book {
    id: i64,
    title: Option<String>,
    lang: Option<String>,
    cents: Option<i64>,
    day: Option<i32>,
    added: Option<i64>,
    noise: u8,
}

prop_compose! {
    fn book()(
        id in any::<i64>(),
        title in proptest::option::of(text()),
        lang in proptest::option::of(text()),
        cents in proptest::option::of(-9_999_999_999_i64..9_999_999_999),
        day in proptest::option::of(-700_000_i32..2_900_000),
        added in proptest::option::of(-60_000_000_000_000_000_i64..250_000_000_000_000_000),
        noise in any::<u8>(),
    ) -> Book {
        Book { id, title, lang, cents, day, added, noise }
    }
}

/// Text that is not empty, with every kind of character that needs care.
fn text() -> impl Strategy<Value = String> {
    let character = prop_oneof![
        8 => proptest::char::range('a', 'z'),
        4 => proptest::sample::select(vec!['<', '>', '&', '"', '\'', ' ', '\t', '\n', '\r', ']', ';', '#']),
        1 => proptest::char::range('\u{A0}', '\u{D7FF}'),
        1 => proptest::char::range('\u{10000}', '\u{10FFFF}'),
    ];
    proptest::collection::vec(character, 1..20).prop_map(|characters| characters.into_iter().collect())
}

/// Text as it may stand in a document, written in one of several ways.
fn written(text: &str, noise: u8, in_attribute: bool) -> String {
    let mut out = String::new();
    for (index, character) in text.chars().enumerate() {
        let numeric = (noise as usize + index).is_multiple_of(3);
        match character {
            '<' => out.push_str("&lt;"),
            '&' if numeric => out.push_str("&#38;"),
            '&' => out.push_str("&amp;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\r' => out.push_str("&#13;"),
            '\t' | '\n' if in_attribute => out.push_str(&format!("&#x{:x};", character as u32)),
            character if numeric && index % 5 == 4 => out.push_str(&format!("&#x{:X};", character as u32)),
            character => out.push(character),
        }
        if !in_attribute && noise.is_multiple_of(4) && index % 7 == 3 {
            out.push_str(["<!-- - -->", "<?pi <x>?>", "<![CDATA[]]>", "<unmapped a='&lt;'>no</unmapped>"][index % 4]);
        }
    }
    out
}

fn document(branch: &str, books: &[Book]) -> String {
    let mut out = format!("<library branch=\"{}\">", written(branch, 1, true));
    for book in books {
        let noise = book.noise;
        let space = if noise.is_multiple_of(2) { "\n  " } else { "" };
        out.push_str("<book");
        if let Some(lang) = &book.lang {
            out.push_str(&format!(" other='x' lang=\"{}\"", written(lang, noise, true)));
        }
        out.push('>');
        let mut fields = vec![format!("<id>{space}{}{space}</id>", book.id)];
        if let Some(title) = &book.title {
            fields.push(format!("<title>{}</title>", written(title, noise, false)));
        }
        if let Some(cents) = book.cents {
            let sign = if cents < 0 { "-" } else { "" };
            fields.push(format!("<p><price>{sign}{}.{:02}</price></p>", cents.abs() / 100, cents.abs() % 100));
        }
        if let Some(day) = book.day {
            let date = jiff::civil::date(1970, 1, 1) + jiff::Span::new().days(day);
            fields.push(format!("<day>{date}</day>"));
        }
        if let Some(added) = book.added {
            fields.push(format!("<added>{}</added>", jiff::Timestamp::from_microsecond(added).unwrap()));
        }
        fields.push("<empty/>".to_owned());
        fields.rotate_left(noise as usize % 5 % 3);
        out.push_str(&fields.join(space));
        out.push_str("</book>");
        out.push_str(space);
    }
    out + "</library>"
}

fn books() -> Mapping {
    mapping(
        Some("library"),
        "book",
        vec![
            column("branch", "/@branch", Kind::String),
            column("id", "id", Kind::Int64),
            column("title", "title", Kind::String),
            column("lang", "@lang", Kind::String),
            column("price", "p price", Kind::Decimal(12, 2)),
            column("day", "day", Kind::Date),
            column("added", "added", Kind::Timestamp(Precision::Micro)),
            column("empty", "empty", Kind::Float32),
        ],
    )
}

/// Verdicts and rows say the same, and rows belong to messages that have them.
pub(super) fn is_conserved(parsed: &ParsedBatch) {
    assert_eq!(parsed.verdicts.len(), parsed.raw.messages.len());
    let mut counted = vec![0; parsed.verdicts.len()];
    for part in &parsed.tables {
        assert_eq!(part.rows.num_rows(), part.message.len());
        assert!(part.message.is_sorted());
        if part.table == 0 {
            part.message.iter().for_each(|&message| counted[message as usize] += 1);
        }
    }
    for (verdict, counted) in parsed.verdicts.iter().zip(counted) {
        assert_eq!(verdict.rows, counted);
        match verdict.outcome {
            Outcome::Rows => assert!(verdict.violations.is_empty()),
            Outcome::Partial => assert!(counted > 0 && !verdict.violations.is_empty()),
            Outcome::Quarantined => assert!(counted == 0 && !verdict.violations.is_empty()),
            Outcome::Filtered | Outcome::Tombstone => assert!(counted == 0 && verdict.violations.is_empty()),
        }
    }
}

proptest! {
    #[test]
    fn values_come_back_exactly(branch in text(), books in proptest::collection::vec(book(), 0..6)) {
        let document = document(&branch, &books);
        let parsed = parse(&super::properties::books(), &[&document]);
        is_conserved(&parsed);
        let verdict = &parsed.verdicts[0];
        prop_assert_eq!((verdict.outcome, verdict.rows as usize), (Outcome::Rows, books.len()), "{:?}\n{}", verdict, document);
        if books.is_empty() {
            return Ok(());
        }
        let rows = &parsed.tables[0].rows;
        let strings = |at: usize| -> Vec<Option<String>> {
            rows.column(at).as_string::<i32>().iter().map(|value| value.map(str::to_owned)).collect()
        };
        prop_assert_eq!(strings(0), vec![Some(branch); books.len()]);
        let ids: Vec<_> = books.iter().map(|book| book.id).collect();
        prop_assert_eq!(rows.column(1).as_primitive::<Int64Type>().values().to_vec(), ids);
        prop_assert_eq!(strings(2), books.iter().map(|book| book.title.clone()).collect::<Vec<_>>());
        prop_assert_eq!(strings(3), books.iter().map(|book| book.lang.clone()).collect::<Vec<_>>());
        let cents: Vec<_> = rows.column(4).as_primitive::<Decimal128Type>().iter().collect();
        prop_assert_eq!(cents, books.iter().map(|book| book.cents.map(i128::from)).collect::<Vec<_>>());
        let days: Vec<_> = rows.column(5).as_primitive::<Date32Type>().iter().collect();
        prop_assert_eq!(days, books.iter().map(|book| book.day).collect::<Vec<_>>());
        let added: Vec<_> = rows.column(6).as_primitive::<TimestampMicrosecondType>().iter().collect();
        prop_assert_eq!(added, books.iter().map(|book| book.added).collect::<Vec<_>>());
    }

    #[test]
    fn any_damage_has_a_clean_verdict_and_leaves_the_neighbours_alone(
        books in proptest::collection::vec(book(), 1..4),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0_u8..3), 1..4),
        keeps_good_rows in any::<bool>(),
        nulls_bad_fields in any::<bool>(),
    ) {
        let good = document("L7", &books);
        let mut bad = good.clone().into_bytes();
        for (at, byte, how) in damage {
            let at = at.index(bad.len());
            match how {
                0 => bad[at] = byte,
                1 => bad.insert(at, byte),
                _ => drop(bad.remove(at)),
            }
        }
        let mut mapping = super::properties::books();
        if keeps_good_rows {
            mapping.on_bad_message = OnBadMessage::KeepGoodRows;
        }
        if nulls_bad_fields {
            mapping.on_bad_field = OnBadField::Null;
        }
        let raw = batch(&[Some(good.as_bytes()), Some(&bad), Some(good.as_bytes())]);
        let parsed = parser(&mapping).parse(&raw, Some(0)).unwrap();
        is_conserved(&parsed);
        let rows = books.len() as u32;
        for at in [0, 2] {
            prop_assert_eq!((parsed.verdicts[at].outcome, parsed.verdicts[at].rows), (Outcome::Rows, rows));
        }
        for violation in &parsed.verdicts[1].violations {
            prop_assert!(violation.byte_offset.is_some_and(|at| at <= bad.len() as u64), "{:?}", violation);
        }
    }

    #[test]
    fn any_bytes_have_a_clean_verdict(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let raw = batch(&[Some(&bytes)]);
        is_conserved(&parser(&books()).parse(&raw, Some(0)).unwrap());
    }

    #[test]
    fn any_mixture_of_markup_has_a_clean_verdict(
        pieces in proptest::collection::vec(proptest::sample::select(vec![
            "<library>", "</library>", "<book>", "</book>", "<book/>", "<id>", "</id>", "1", "x", "&amp;", "&", ";",
            "<![CDATA[", "]]>", "<!--", "-->", "<?", "?>", "<", ">", "\"", "'", "=", " ", "<book lang='", "'>", "\r", "é",
            "<!DOCTYPE", "[", "]", "<?xml version='1.0'?>", "xmlns:a='b'", "<a:book ", "/>",
        ]), 0..40)
    ) {
        let text = pieces.concat();
        let raw = batch(&[Some(text.as_bytes())]);
        is_conserved(&parser(&books()).parse(&raw, Some(0)).unwrap());
    }
}

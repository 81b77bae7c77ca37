//! What the load generator says about its messages, against a parser of its own.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use forebay::model::batch::Outcome;
use forebay::produce::broken::{self, Flaw};
use forebay::produce::library::{BOOKS, DAYS, Library, REPEATED};
use quick_xml::Reader;
use quick_xml::events::Event;

fn library() -> Library {
    Library {
        seed: 7,
        books: BOOKS,
        broken: 0.09,
        resent: 0.05,
        changed: 0.05,
        repeated: REPEATED,
        last_date: jiff::civil::date(2026, 10, 28),
    }
}

/// A parser that shares nothing with the generator: element path of the leaf → text, for each book.
fn parse(xml: &str) -> Result<Vec<BTreeMap<String, String>>, String> {
    let mut reader = Reader::from_str(xml);
    let (mut path, mut books, mut branch) =
        (Vec::<String>::new(), Vec::<BTreeMap<String, String>>::new(), String::new());
    loop {
        match reader.read_event().map_err(|error| error.to_string())? {
            Event::Start(tag) => {
                path.push(tag.name().as_ref().to_owned());
                if path.len() == 2 {
                    books.push(BTreeMap::from([("/@branch".to_owned(), branch.clone())]));
                }
                for attribute in tag.attributes() {
                    let attribute = attribute.unwrap();
                    let value = attribute.value.to_string();
                    let key = attribute.key.as_ref().to_owned();
                    match path.len() {
                        1 => branch = value,
                        2 => drop(books.last_mut().unwrap().insert(format!("@{key}"), value)),
                        _ => drop(books.last_mut().unwrap().insert(format!("{}/@{key}", path[2..].join("/")), value)),
                    }
                }
            }
            Event::End(_) => drop(path.pop()),
            Event::Text(text) if path.len() > 2 => {
                books.last_mut().unwrap().entry(path[2..].join("/")).or_default().push_str(&text);
            }
            Event::GeneralRef(name) => {
                let text = match &*name {
                    "amp" => "&",
                    "lt" => "<",
                    "gt" => ">",
                    "#233" => "é",
                    other => panic!("{other}"),
                };
                books.last_mut().unwrap().entry(path[2..].join("/")).or_default().push_str(text);
            }
            Event::Eof if path.is_empty() => return Ok(books),
            Event::Eof => return Err("unclosed".to_owned()),
            _ => {}
        }
    }
}

#[test]
fn the_rows_are_what_the_payload_says() {
    let library = library();
    let mut good = 0;
    for message in (0..2000).map(|number| library.message(number)).filter(|message| message.outcome == Outcome::Rows) {
        let books = parse(std::str::from_utf8(message.payload.as_ref().unwrap()).unwrap()).unwrap();
        assert_eq!(books.len(), message.rows.len());
        for (book, row) in books.iter().zip(&message.rows) {
            let columns = [
                ("/@branch", &row.branch),
                ("@id", &row.book_id),
                ("@lang", &row.lang),
                ("record_id", &row.record_id),
                ("title", &row.title),
                ("author/name", &row.author_name),
                ("author/country", &row.author_country),
                ("genre", &row.genre),
                ("price", &row.price),
                ("price/@currency", &row.currency),
                ("publication_year", &row.publication_year),
                ("added", &row.added),
            ];
            for (path, value) in columns {
                assert_eq!(book.get(path), Some(value), "{path}");
            }
            let added: jiff::Timestamp = row.added.parse().unwrap();
            let date = added.to_zoned(jiff::tz::TimeZone::UTC).date();
            assert!(date <= library.last_date && date >= library.last_date - jiff::Span::new().days(DAYS - 1));
            assert_eq!(row.book_id, format!("B{:09}", row.record_id.parse::<u64>().unwrap()));
        }
        assert_eq!(message.key, message.rows[0].branch);
        good += 1;
    }
    assert!((1750..1900).contains(&good), "{good}");
}

#[test]
fn flaws_break_exactly_what_they_say() {
    let good = (0..).map(|number| library().message(number)).find(|message| message.outcome == Outcome::Rows).unwrap();
    let text = |flaw| {
        let broken = broken::spoil(flaw, good.clone(), &mut fastrand::Rng::with_seed(1));
        String::from_utf8_lossy(&broken.payload.unwrap_or_default()).into_owned()
    };
    assert_eq!(parse(&text(Flaw::Truncated)), Err("unclosed".to_owned()));
    assert!(parse(&text(Flaw::MismatchedTag)).is_err());
    assert!(text(Flaw::TwoRoots).ends_with("</library>\n<library/>"));
    let wrong = parse(&text(Flaw::WrongType)).unwrap();
    assert_eq!(wrong.iter().filter(|book| book["price"] == "abc").count(), 1);
    let missing = parse(&text(Flaw::MissingRequired)).unwrap();
    assert_eq!(missing.iter().filter(|book| !book.contains_key("record_id")).count(), 1);
    assert!(text(Flaw::BadUtf8).contains('\u{FFFD}'));
    assert!(text(Flaw::Empty).is_empty() && !text(Flaw::NotXml).contains('<'));
}

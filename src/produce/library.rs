//! Library messages: pure, the same for the same seed and number, whoever makes them and when.

use std::fmt::Write as _;

use fastrand::Rng;
use jiff::Span;
use jiff::civil::Date;

use super::broken::{self, Flaw};
use super::words;
use crate::model::batch::Outcome;

/// Books of one message, unless another number is wanted.
pub const BOOKS: u64 = 3;
/// Bytes of one book, about.
const BOOK_BYTES: usize = 400;
/// Days over which `added` is spread, the last one included.
pub const DAYS: i64 = 28;
/// Share of books that come under the id of an earlier book, unless said otherwise.
pub const REPEATED: f64 = 0.03;
/// Branches; the branch is the key of a message.
const BRANCHES: u64 = 97;

/// What is to be generated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Library {
    /// Same seed, same messages.
    pub seed: u64,
    /// Books of one message: [`BOOKS`], or more where messages are to be long.
    pub books: u64,
    /// Share of messages that are broken on purpose (tombstones included), 0 to 1.
    pub broken: f64,
    /// Share of messages that are an earlier one, sent again byte by byte.
    pub resent: f64,
    /// Share of messages that are an earlier one with new titles and prices, and a later `added`.
    pub changed: f64,
    /// Share of books that come under the id of an earlier book: [`REPEATED`], or another.
    pub repeated: f64,
    /// Latest date of `added`; the earliest is [`DAYS`] − 1 before.
    pub last_date: Date,
}

/// One message and what must become of it with the mapping `books`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Key: the branch.
    pub key: String,
    /// Payload; none is a tombstone.
    pub payload: Option<Vec<u8>>,
    /// What the ledger must say.
    pub outcome: Outcome,
    /// Codes of which the first violation must have one; empty for a good message.
    pub codes: &'static [&'static str],
    /// The rows that must come of it; empty unless the outcome is `rows`.
    pub rows: Vec<Book>,
}

/// One book: the columns of the mapping `books`, as text.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Book {
    /// `/@branch`
    pub branch: String,
    /// `@id`
    pub book_id: String,
    /// `@lang`
    pub lang: String,
    /// `record_id`, a whole number
    pub record_id: String,
    /// `title`, without escapes
    pub title: String,
    /// `author/name`
    pub author_name: String,
    /// `author/country`
    pub author_country: String,
    /// `genre`
    pub genre: String,
    /// `price`, two digits after the point
    pub price: String,
    /// `price/@currency`
    pub currency: String,
    /// `publication_year`
    pub publication_year: String,
    /// `added`, RFC 3339, UTC, whole seconds
    pub added: String,
}

/// What kind of message a number stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Fresh,
    Broken(Flaw),
    Resent(u64),
    Changed(u64),
}

impl Library {
    /// Message `number` (0, 1, 2, …).
    pub fn message(&self, number: u64) -> Message {
        match self.kind(number) {
            Kind::Fresh => good(self.books(number)),
            Kind::Resent(earlier) => good(self.books(earlier)),
            Kind::Changed(earlier) => good(self.changed_books(earlier, number)),
            Kind::Broken(flaw) => broken::spoil(flaw, good(self.books(number)), &mut self.rng(number, 3)),
        }
    }

    fn kind(&self, number: u64) -> Kind {
        let mut rng = self.rng(number, 1);
        let roll = rng.f64();
        if roll < self.broken {
            return Kind::Broken(Flaw::ALL[rng.usize(..Flaw::ALL.len())]);
        }
        let again = self.broken + self.resent;
        if roll >= again + self.changed {
            return Kind::Fresh;
        }
        // An earlier message that is itself a fresh one; at the very start there may be none.
        let mut draws = (0..16).filter(|_| number > 0).map(|_| rng.u64(..number));
        let earlier = draws.find(|earlier| self.is_fresh(*earlier));
        match earlier {
            Some(earlier) if roll < again => Kind::Resent(earlier),
            Some(earlier) => Kind::Changed(earlier),
            None => Kind::Fresh,
        }
    }

    fn is_fresh(&self, number: u64) -> bool {
        self.rng(number, 1).f64() >= self.broken + self.resent + self.changed
    }

    fn books(&self, number: u64) -> Vec<Book> {
        let mut rng = self.rng(number, 2);
        let branch = format!("L{}", rng.u64(..BRANCHES));
        (0..self.books).map(|index| self.book(&branch, number * self.books + index + 1, &mut rng)).collect()
    }

    fn book(&self, branch: &str, fresh_id: u64, rng: &mut Rng) -> Book {
        let id = if fresh_id > 1 && rng.f64() < self.repeated { rng.u64(1..fresh_id) } else { fresh_id };
        let days = rng.i64(0..DAYS);
        let date = self.last_date.checked_sub(Span::new().days(days)).unwrap_or(self.last_date);
        Book {
            branch: branch.to_owned(),
            book_id: format!("B{id:09}"),
            lang: pick(rng, &words::LANGUAGE).to_owned(),
            record_id: id.to_string(),
            title: format!("{} & {}", pick(rng, &words::FIRST), pick(rng, &words::SECOND)),
            author_name: format!("{} {}", pick(rng, &words::GIVEN), pick(rng, &words::FAMILY)),
            author_country: pick(rng, &words::COUNTRY).to_owned(),
            genre: pick(rng, &words::GENRE).to_owned(),
            price: format!("{}.{:02}", rng.u32(1..100), rng.u32(..100)),
            currency: pick(rng, &words::CURRENCY).to_owned(),
            publication_year: rng.u32(1900..=2025).to_string(),
            added: format!("{date}T{:02}:{:02}:{:02}Z", rng.u32(..24), rng.u32(..60), rng.u32(..60)),
        }
    }

    /// The books of an earlier message as they are after a change: the same ids, later or equal dates.
    fn changed_books(&self, earlier: u64, number: u64) -> Vec<Book> {
        let mut rng = self.rng(number, 4);
        let mut books = self.books(earlier);
        for book in &mut books {
            book.title = format!("{} ({} edition)", book.title, rng.u32(2..1000));
            book.price = format!("{}.{:02}", rng.u32(100..200), rng.u32(..100));
            let (date, time) = book.added.split_at(10);
            let later =
                date.parse::<Date>().ok().and_then(|date| date.checked_add(Span::new().days(rng.i64(0..5))).ok());
            book.added = format!("{}{time}", later.map_or(self.last_date, |later| later.min(self.last_date)));
        }
        books
    }

    /// Random numbers for one purpose of one message.
    fn rng(&self, number: u64, purpose: u64) -> Rng {
        // Neighbouring numbers give unlike seeds (the finisher of splitmix64).
        let mut mixed =
            self.seed ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ purpose.wrapping_mul(0xD1B5_4A32_D192_ED03);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        Rng::with_seed(mixed ^ (mixed >> 31))
    }
}

fn pick<'a>(rng: &mut Rng, list: &[&'a str]) -> &'a str {
    list.get(rng.usize(..list.len())).copied().unwrap_or_default()
}

fn good(rows: Vec<Book>) -> Message {
    let key = rows.first().map(|book| book.branch.clone()).unwrap_or_default();
    Message { payload: Some(render(&key, &rows)), key, outcome: Outcome::Rows, codes: &[], rows }
}

fn render(branch: &str, books: &[Book]) -> Vec<u8> {
    let mut xml = String::with_capacity(100 + books.len() * BOOK_BYTES);
    // Writing to a string cannot fail.
    let _infallible = write!(xml, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<library branch=\"{branch}\">\n");
    for book in books {
        let _infallible = write!(
            xml,
            "  <book id=\"{}\" lang=\"{}\">\n    <record_id>{}</record_id>\n    <title>{}</title>\n    \
             <author><name>{}</name><country>{}</country></author>\n    <genre>{}</genre>\n    \
             <price currency=\"{}\">{}</price>\n    <publication_year>{}</publication_year>\n    \
             <added>{}</added>\n  </book>\n",
            book.book_id,
            book.lang,
            book.record_id,
            Escaped(&book.title),
            Escaped(&book.author_name),
            Escaped(&book.author_country),
            book.genre,
            book.currency,
            book.price,
            book.publication_year,
            book.added,
        );
    }
    xml.push_str("</library>\n");
    xml.into_bytes()
}

/// Text with the escapes that XML needs, and one character by its number, so that parsers meet both.
struct Escaped<'a>(&'a str);

impl std::fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut rest = self.0;
        while let Some(at) = rest.find(['&', '<', '>', 'é']) {
            f.write_str(&rest[..at])?;
            let special = rest[at..].chars().next().unwrap_or_default();
            f.write_str(match special {
                '&' => "&amp;",
                '<' => "&lt;",
                '>' => "&gt;",
                _ => "&#233;",
            })?;
            rest = &rest[at + special.len_utf8()..];
        }
        f.write_str(rest)
    }
}

#[cfg(test)]
#[path = "library_tests.rs"]
mod tests;

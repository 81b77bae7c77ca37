//! What the texts of one path look like, and the narrowest type that holds every one of them as it is.

use super::draft::quote;
use super::lexical::{Moment, Number, PATTERNS, decimal, is_space, patterns};
use crate::model::mapping::{Kind, Precision};

/// Distinct values that are kept as examples of one path.
const EXAMPLES: usize = 20;
/// Characters kept of an example.
const EXAMPLE_CHARS: usize = 60;
/// Most digits of a decimal.
const DECIMAL_DIGITS: usize = 38;
/// Significant digits that a double always keeps.
const DOUBLE_DIGITS: usize = 15;

/// How one text is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Form {
    Whole,
    Decimal,
    Exponent,
    Special,
    Coded,
    Bool,
    Date,
    ZonedDate,
    Local,
    Zoned,
    Time,
    ZonedTime,
    Text,
}

/// Every form, as a person calls it.
const FORMS: [(Form, &str); 13] = [
    (Form::Whole, "whole number"),
    (Form::Decimal, "decimal"),
    (Form::Exponent, "number with exponent"),
    (Form::Special, "INF or NaN"),
    (Form::Coded, "number with leading zero or plus"),
    (Form::Bool, "true or false"),
    (Form::Date, "date"),
    (Form::ZonedDate, "date with zone"),
    (Form::Local, "timestamp without zone"),
    (Form::Zoned, "timestamp with zone"),
    (Form::Time, "time"),
    (Form::ZonedTime, "time with zone"),
    (Form::Text, "text"),
];

/// What is known of all texts of one path. Its size does not depend on how many there were.
#[derive(Debug, Clone, Default)]
pub(super) struct Values {
    /// Texts, empty ones too.
    pub(super) count: u64,
    /// Texts that were empty.
    pub(super) empty: u64,
    /// Texts of white space alone: null for every type but string.
    blank: u64,
    /// Texts with white space at an end.
    spaced: u64,
    forms: [u64; FORMS.len()],
    /// The first text of each form.
    firsts: [Option<Box<str>>; FORMS.len()],
    zero_or_one: u64,
    whole_digits: usize,
    fraction_digits: usize,
    significant: usize,
    is_wide: bool,
    is_infinite: bool,
    second_digits: usize,
    outside_nanos: bool,
    patterns: Option<u8>,
    /// Characters of the longest text.
    pub(super) longest: usize,
    /// Bytes of the text with the most.
    pub(super) most_bytes: usize,
    examples: Vec<Box<str>>,
    has_more: bool,
}

/// A type and what has to be said about it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Decision {
    pub(super) kind: Kind,
    /// Why, where it is not plain.
    pub(super) notes: Vec<String>,
}

/// The narrowest type that holds each of these values as it is, as a mapping writes it, and what has to be said about
/// it.
pub fn type_of<'t>(values: impl IntoIterator<Item = &'t str>) -> (String, Vec<String>) {
    let mut all = Values::default();
    // The type does not hang on examples, of which none are asked for here.
    values.into_iter().for_each(|value| all.add(value, &mut 0));
    let Decision { kind, notes } = all.decide();
    (kind.to_string(), notes)
}

impl Values {
    /// One more text. Examples are kept as long as there are bytes left for them.
    pub(super) fn add(&mut self, text: &str, examples: &mut usize) {
        self.count += 1;
        if text.is_empty() {
            self.empty += 1;
            return;
        }
        self.longest = self.longest.max(text.chars().count());
        self.most_bytes = self.most_bytes.max(text.len());
        self.remember(text, examples);
        let trimmed = text.trim_matches(is_space);
        self.spaced += u64::from(trimmed.len() != text.len());
        if trimmed.is_empty() {
            self.blank += 1;
            return;
        }
        let form = self.look(trimmed);
        if let Some(counted) = self.forms.get_mut(form as usize) {
            *counted += 1;
        }
        if let Some(first) = self.firsts.get_mut(form as usize) {
            first.get_or_insert_with(|| shorten(trimmed));
        }
        if form == Form::Text {
            let fitting = patterns(trimmed);
            self.patterns = Some(self.patterns.map_or(fitting, |known| known & fitting));
        }
    }

    fn remember(&mut self, text: &str, left: &mut usize) {
        if self.has_more {
            return;
        }
        let shown = shorten(text);
        if self.examples.contains(&shown) {
            return;
        }
        if self.examples.len() < EXAMPLES && shown.len() <= *left {
            *left -= shown.len();
            self.examples.push(shown);
        } else {
            self.has_more = true;
        }
    }

    /// The form of a text, and what of it decides about the width of a type.
    fn look(&mut self, text: &str) -> Form {
        if matches!(text, "true" | "false") {
            return Form::Bool;
        }
        if matches!(text, "INF" | "-INF" | "+INF" | "NaN") {
            return Form::Special;
        }
        if let Some(number) = Number::of(text) {
            if number.is_coded() {
                return Form::Coded;
            }
            self.significant = self.significant.max(number.significant());
            self.whole_digits = self.whole_digits.max(number.whole.len());
            self.fraction_digits = self.fraction_digits.max(number.fraction.map_or(0, str::len));
            if number.has_exponent {
                let is_zero = number.significant() == 0;
                self.is_infinite |=
                    !text.parse::<f64>().is_ok_and(|value| value.is_finite() && (value == 0.0) == is_zero);
                return Form::Exponent;
            }
            if number.fraction.is_some() {
                return Form::Decimal;
            }
            self.is_wide |= text.parse::<i64>().is_err();
            self.zero_or_one += u64::from(matches!(text, "0" | "1"));
            return Form::Whole;
        }
        let Some(moment) = Moment::of(text) else { return Form::Text };
        self.second_digits = self.second_digits.max(moment.second_digits);
        self.outside_nanos |= moment.year.is_some_and(|year| !(1678..2262).contains(&year));
        match (moment.year.is_some(), moment.has_clock, moment.has_zone) {
            (true, false, false) => Form::Date,
            (true, false, true) => Form::ZonedDate,
            (true, true, false) => Form::Local,
            (true, true, true) => Form::Zoned,
            (false, _, false) => Form::Time,
            (false, _, true) => Form::ZonedTime,
        }
    }

    fn of(&self, form: Form) -> u64 {
        self.forms.get(form as usize).copied().unwrap_or_default()
    }

    /// Texts that mean a value of whatever type.
    pub(super) fn filled(&self) -> u64 {
        self.forms.iter().sum()
    }

    /// Texts that are null, where white space is taken away or kept.
    pub(super) fn nulls(&self, is_trimmed: bool) -> u64 {
        self.empty + if is_trimmed { self.blank } else { 0 }
    }

    /// The type that holds every text as it is, and why.
    pub(super) fn decide(&self) -> Decision {
        let total = self.filled();
        let only = |forms: &[Form]| forms.iter().map(|form| self.of(*form)).sum::<u64>() == total;
        let plain = |kind| Decision { kind, notes: Vec::new() };
        let noted = |kind, note: &str| Decision { kind, notes: vec![note.to_owned()] };
        if total == 0 {
            return noted(Kind::String, "no value was seen: string until one is");
        }
        if only(&[Form::Text]) {
            return Decision { kind: Kind::String, notes: self.pattern_note().into_iter().collect() };
        }
        if only(&[Form::Whole]) {
            return match self.whole_digits {
                _ if !self.is_wide => plain(Kind::Int64),
                0..=DECIMAL_DIGITS => noted(
                    decimal(self.whole_digits.max(1), 0),
                    "too many digits for int64: if it is an identifier, string takes whatever comes",
                ),
                _ => noted(Kind::String, "whole numbers of more than 38 digits: no number type holds them"),
            };
        }
        if only(&[Form::Whole, Form::Decimal]) {
            return match self.whole_digits + self.fraction_digits {
                0..=DECIMAL_DIGITS => {
                    plain(decimal((self.whole_digits + self.fraction_digits).max(1), self.fraction_digits))
                }
                _ => noted(Kind::String, "decimals of more than 38 digits: no number type holds them exactly"),
            };
        }
        if only(&[Form::Whole, Form::Decimal, Form::Exponent, Form::Special]) {
            return self.decide_float(total);
        }
        if self.of(Form::Bool) + self.zero_or_one == total && self.of(Form::Bool) > 0 {
            return plain(Kind::Bool);
        }
        if only(&[Form::Date, Form::ZonedDate]) {
            return match self.of(Form::ZonedDate) {
                0 => plain(Kind::Date),
                _ => noted(Kind::Date, "a zone after a date does not move it, and is not kept"),
            };
        }
        if only(&[Form::Local]) {
            return self.clock(Kind::LocalTimestamp);
        }
        if only(&[Form::Zoned]) {
            return self.clock(Kind::Timestamp);
        }
        if only(&[Form::Time]) {
            return match self.second_digits {
                0..=6 => noted(
                    Kind::Time(Precision::Micro),
                    "a table with a Processed zone cannot hold a time: take string there",
                ),
                _ => noted(Kind::String, "finer than a microsecond: string keeps it"),
            };
        }
        self.mixed(total)
    }

    fn decide_float(&self, total: u64) -> Decision {
        let note = if self.of(Form::Special) == total {
            "INF and NaN alone do not make a number"
        } else if self.significant > DOUBLE_DIGITS {
            "conflict: exponents, and more digits than a float64 keeps: string keeps them"
        } else if self.is_infinite {
            "conflict: an exponent that is out of the range of float64: string keeps it"
        } else {
            return Decision { kind: Kind::Float64, notes: Vec::new() };
        };
        Decision { kind: Kind::String, notes: vec![note.to_owned()] }
    }

    fn clock(&self, kind: fn(Precision) -> Kind) -> Decision {
        let noted = |kind, note: &str| Decision { kind, notes: vec![note.to_owned()] };
        match self.second_digits {
            0..=6 => Decision { kind: kind(Precision::Micro), notes: Vec::new() },
            7..=9 if !self.outside_nanos => noted(
                kind(Precision::Nano),
                "nanoseconds: a table with a Processed zone cannot hold them, take string there",
            ),
            7..=9 => noted(Kind::String, "conflict: nanoseconds, and years that they cannot count: string keeps both"),
            _ => noted(Kind::String, "finer than a nanosecond: string keeps it"),
        }
    }

    /// Texts of several families: a string, and what a person has to decide.
    fn mixed(&self, total: u64) -> Decision {
        let mut notes = Vec::new();
        let (coded, text) = (self.of(Form::Coded), self.of(Form::Text));
        if coded > 0 && text == 0 {
            notes.push("a number type would lose leading zeros and plus signs: string keeps them".to_owned());
        }
        if text == 0 && self.of(Form::Local) > 0 && self.of(Form::Zoned) > 0 {
            notes.push(
                "conflict: timestamps with and without zone; type = \"timestamp\" and zone = \"…\" say which zone is meant"
                    .to_owned(),
            );
        } else if text * 2 < total && coded != total {
            let rest = if text > 0 { self.without_text() } else { None };
            notes.push(match rest {
                Some(kind) => format!("conflict: without the {text} that are text it would be {kind}"),
                _ => "conflict: several forms that no other type holds together".to_owned(),
            });
        }
        if text == 0 && self.of(Form::ZonedTime) == total {
            notes = vec!["times with a zone: string keeps it".to_owned()];
        }
        Decision { kind: Kind::String, notes }
    }

    /// The type that everything but text would have, if that is one.
    fn without_text(&self) -> Option<Kind> {
        let mut rest = self.clone();
        if let Some(text) = rest.forms.get_mut(Form::Text as usize) {
            *text = 0;
        }
        Some(rest.decide().kind).filter(|kind| *kind != Kind::String)
    }

    fn pattern_note(&self) -> Option<String> {
        let mask = self.patterns.filter(|mask| *mask != 0)?;
        let fitting = PATTERNS.iter().enumerate().filter(|(bit, _)| mask & (1 << bit) != 0).map(|(_, pattern)| pattern);
        let all: Vec<String> =
            fitting.map(|(format, kind)| format!("type = \"{kind}\", format = \"{format}\"")).collect();
        let ambiguous = if all.len() > 1 { "; which of them is meant only a person can say" } else { "" };
        Some(format!("every value fits {}{ambiguous}", all.join(" or ")))
    }

    /// The forms that were seen, the most frequent first; of the others one text each.
    pub(super) fn forms(&self) -> String {
        let seen = FORMS.iter().zip(&self.firsts).map(|((form, name), first)| (self.of(*form), *name, first));
        let mut seen: Vec<_> = seen.filter(|(count, ..)| *count > 0).collect();
        seen.sort_by_key(|(count, ..)| std::cmp::Reverse(*count));
        let shown = seen.iter().enumerate().map(|(rank, (count, name, first))| match first {
            Some(first) if rank > 0 => format!("{name} {count} such as {}", quote(first)),
            _ if seen.len() > 1 => format!("{name} {count}"),
            _ => (*name).to_owned(),
        });
        shown.collect::<Vec<_>>().join(", ")
    }

    /// Texts with white space at an end.
    pub(super) fn spaced(&self) -> u64 {
        self.spaced
    }

    /// Up to twenty distinct values, and whether there were more.
    pub(super) fn examples(&self) -> (&[Box<str>], bool) {
        (&self.examples, self.has_more)
    }

    /// The distinct values, when they look like a closed list: few, each seen several times, none shortened.
    pub(super) fn closed_list(&self) -> Option<&[Box<str>]> {
        let few = !self.has_more && self.examples.len() > 1;
        let often = self.filled() >= 4 * self.examples.len() as u64;
        (few && often && self.longest <= EXAMPLE_CHARS).then_some(&self.examples)
    }
}

/// A text as it is kept: its beginning.
fn shorten(text: &str) -> Box<str> {
    match text.char_indices().nth(EXAMPLE_CHARS) {
        Some((at, _)) => format!("{}…", &text[..at]).into(),
        None => text.into(),
    }
}

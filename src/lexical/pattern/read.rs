//! A text by a pattern.

use super::{Field, Part, Pattern};
use crate::lexical::calendar::{self, DAY, Written};
use crate::lexical::iso::two;

/// Months and weekdays by their English names; the first three letters of each are its short name.
const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const WEEKDAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/// Most digits of the seconds since 1970.
const MAX_EPOCH_DIGITS: usize = 15;

/// What was read so far.
#[derive(Default)]
struct Seen<'t> {
    year: Option<i32>,
    month: u32,
    day: u32,
    ordinal: u32,
    weekday: Option<u32>,
    hour: u32,
    half: Option<bool>,
    minute: u32,
    second: u32,
    fraction: &'t [u8],
    offset: Option<i32>,
    epoch: Option<i64>,
    is_before_epoch: bool,
}

impl Pattern {
    /// The date or time that the text is; none when it is not of this form or does not exist.
    pub(in crate::lexical) fn read<'t>(&self, text: &'t str) -> Option<Written<'t>> {
        let mut seen = Seen::default();
        let mut rest = text.as_bytes();
        for part in &self.parts {
            rest = seen.read(part, rest)?;
        }
        if rest.is_empty() { seen.finish() } else { None }
    }
}

impl<'t> Seen<'t> {
    fn read(&mut self, part: &Part, text: &'t [u8]) -> Option<&'t [u8]> {
        match part {
            Part::Literal(literal) => text.strip_prefix(literal.as_bytes()),
            Part::Blank => blanks(text),
            Part::Number { field, least, most, blanks } => self.number(*field, *least, *most, *blanks, text),
            Part::MonthName => {
                let (month, rest) = name(&MONTHS, text)?;
                self.month = month + 1;
                Some(rest)
            }
            Part::WeekdayName => {
                let (weekday, rest) = name(&WEEKDAYS, text)?;
                self.weekday = Some(weekday);
                Some(rest)
            }
            Part::Half => {
                let (half, rest) = text.split_at_checked(2)?;
                self.half = Some(half.eq_ignore_ascii_case(b"PM"));
                (self.half == Some(true) || half.eq_ignore_ascii_case(b"AM")).then_some(rest)
            }
            Part::Fraction { digits } => {
                let count = digits_of(text);
                let taken = digits.unwrap_or(count);
                if count == 0 || taken > count {
                    return None;
                }
                let (fraction, rest) = text.split_at(taken);
                self.fraction = fraction;
                Some(rest)
            }
            Part::PointFraction => {
                let [b'.', rest @ ..] = text else { return Some(text) };
                let (fraction, rest) = rest.split_at(digits_of(rest));
                self.fraction = fraction;
                (!fraction.is_empty()).then_some(rest)
            }
            Part::Offset => {
                let (offset, rest) = offset(text)?;
                self.offset = Some(offset);
                Some(rest)
            }
            Part::Epoch => {
                let (is_before, text) = text.strip_prefix(b"-").map_or((false, text), |rest| (true, rest));
                let count = digits_of(text);
                let (digits, rest) = text.split_at(count);
                if digits.is_empty() || count > MAX_EPOCH_DIGITS {
                    return None;
                }
                let value = digits.iter().fold(0, |value, digit| value * 10 + i64::from(digit - b'0'));
                self.epoch = Some(if is_before { -value } else { value });
                self.is_before_epoch = is_before;
                Some(rest)
            }
        }
    }

    fn number(&mut self, field: Field, least: usize, most: usize, blanks: bool, text: &'t [u8]) -> Option<&'t [u8]> {
        let padding = if blanks { text.iter().take(most - 1).take_while(|byte| **byte == b' ').count() } else { 0 };
        let text = &text[padding..];
        let most = most - padding;
        let count = digits_of(text).min(most);
        if count == 0 || count + padding < least {
            return None;
        }
        let (digits, rest) = text.split_at(count);
        let value = digits.iter().fold(0, |value, digit| value * 10 + u32::from(digit - b'0'));
        match field {
            Field::Year => self.year = Some(value.cast_signed()),
            Field::YearOfCentury => {
                let century = if value < 69 { 2000 } else { 1900 };
                self.year = Some((century + value).cast_signed());
            }
            Field::Month => self.month = value,
            Field::Day => self.day = value,
            Field::DayOfYear => self.ordinal = value,
            Field::Hour => self.hour = value,
            Field::HourOfHalf if (1..=12).contains(&value) => self.hour = value % 12,
            Field::HourOfHalf => return None,
            Field::Minute => self.minute = value,
            Field::Second => self.second = value,
        }
        Some(rest)
    }

    fn finish(self) -> Option<Written<'t>> {
        if let Some(epoch) = self.epoch {
            // The fraction of a time before 1970 would count the other way.
            if self.is_before_epoch && self.fraction.iter().any(|&digit| digit != b'0') {
                return None;
            }
            let day = i64::from(DAY);
            let second = i32::try_from(epoch.rem_euclid(day)).ok()?;
            return Some(Written { days: epoch.div_euclid(day), second, fraction: self.fraction, offset: Some(0) });
        }
        let days = match self.year {
            Some(year) if self.ordinal > 0 => calendar::days_of_ordinal(year, self.ordinal)?,
            Some(year) => calendar::days(year, self.month, self.day)?,
            None => 0,
        };
        if self.weekday.is_some_and(|weekday| weekday != calendar::weekday(days)) {
            return None;
        }
        let hour = if self.half == Some(true) { self.hour + 12 } else { self.hour };
        let second = calendar::second_of_day(hour, self.minute, self.second)?;
        if second == DAY && self.fraction.iter().any(|&digit| digit != b'0') {
            return None;
        }
        Some(Written { days, second, fraction: self.fraction, offset: self.offset })
    }
}

fn digits_of(text: &[u8]) -> usize {
    text.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

fn blanks(text: &[u8]) -> Option<&[u8]> {
    // The no-break blank counts: it is what a typesetter puts between a day and its month.
    let mut rest = text;
    loop {
        rest = match rest {
            [b' ' | b'\t' | b'\n' | b'\r', rest @ ..] => rest,
            [0xc2, 0xa0, rest @ ..] => rest,
            [0xe2, 0x80, 0xaf, rest @ ..] => rest,
            _ => break,
        };
    }
    (rest.len() < text.len()).then_some(rest)
}

/// Number of a name, full or of three letters, and what follows it.
fn name<'t>(names: &[&str], text: &'t [u8]) -> Option<(u32, &'t [u8])> {
    let starts = |name: &str| text.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name.as_bytes()));
    let index = names.iter().position(|name| starts(&name[..3]))?;
    let length = if starts(names[index]) { names[index].len() } else { 3 };
    Some((u32::try_from(index).ok()?, &text[length..]))
}

/// `Z`, `+02`, `+0200`, `+02:00`.
fn offset(text: &[u8]) -> Option<(i32, &[u8])> {
    let (is_west, text) = match text {
        [b'Z', rest @ ..] => return Some((0, rest)),
        [b'+', rest @ ..] => (false, rest),
        [b'-', rest @ ..] => (true, rest),
        _ => return None,
    };
    let [h1, h2, rest @ ..] = text else { return None };
    let (minutes, rest) = match rest {
        [b':', m1, m2, rest @ ..] => (two(*m1, *m2)?, rest),
        [m1 @ b'0'..=b'9', m2, rest @ ..] => (two(*m1, *m2)?, rest),
        _ => (0, rest),
    };
    Some((calendar::offset(is_west, two(*h1, *h2)?, minutes)?, rest))
}

//! Patterns of dates and times, in the letters of `strftime`, compiled when the mapping is loaded.
//!
//! | letters | read as |
//! |---|---|
//! | `%Y` | year, four digits |
//! | `%y` | year of the century, two digits: 69 to 99 are 1969 to 1999, 00 to 68 are 2000 to 2068 |
//! | `%m`, `%d`, `%j` | month, day of the month, day of the year |
//! | `%b` `%B` `%h` | name of the month in English, short or full, in any case |
//! | `%a` `%A` | name of the weekday in English, likewise; it has to be that of the date |
//! | `%H`, `%I`, `%p` `%P` | hour of 24; hour of 12 and `AM` or `PM` in any case |
//! | `%M`, `%S` | minute, second |
//! | `%f`, `%3f` | digits of the fraction of a second: any number of them, or as many as it says |
//! | `%.f`, `%.3f` | the same after a point; may be missing together with its point |
//! | `%z` `%:z` | `Z`, `+02`, `+0200` or `+02:00` |
//! | `%s` | seconds since 1970-01-01T00:00:00Z |
//! | `%e`, `%k`, `%l` | as `%d`, `%H`, `%I`, also with a blank for a leading zero |
//! | `%F` `%T` `%R` `%D` | `%Y-%m-%d` `%H:%M:%S` `%H:%M` `%m/%d/%y` |
//! | `%n` `%t`, white space | one or more white space characters |
//! | `%%` | `%` |
//!
//! Everything else stands for itself. Leading zeros may be missing, except where a number touches another one
//! (`%Y%m%d`): there each has its full width. `-`, `_` and `0` after the `%` are allowed: `_` reads blanks for leading
//! zeros.
//!
//! A pattern has to say the whole of its type, and nothing twice; minutes, seconds and the fraction that it does not
//! mention are zero, and so is the time in the pattern of a timestamp. What it reads besides (the time of a date) is
//! checked and dropped. As everywhere, there is no second 60, and 24:00:00 is the end of the day.

mod compile;
mod read;

/// A compiled pattern.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    written: Box<str>,
    parts: Box<[Part]>,
}

/// What a pattern reads at one place.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    /// This text.
    Literal(Box<str>),
    /// White space.
    Blank,
    /// A number of that many digits.
    Number { field: Field, least: usize, most: usize, blanks: bool },
    /// Name of a month.
    MonthName,
    /// Name of a weekday.
    WeekdayName,
    /// `AM` or `PM`.
    Half,
    /// Digits of the fraction of a second; `digits`: as many.
    Fraction { digits: Option<usize> },
    /// The same after a point; or nothing.
    PointFraction,
    /// An offset from UTC.
    Offset,
    /// Seconds since 1970.
    Epoch,
}

/// What a number is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Year,
    YearOfCentury,
    Month,
    Day,
    DayOfYear,
    Hour,
    HourOfHalf,
    Minute,
    Second,
}

impl Pattern {
    /// The pattern as the mapping writes it.
    pub(super) fn written(&self) -> &str {
        &self.written
    }
}

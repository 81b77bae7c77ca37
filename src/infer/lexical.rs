//! The types of the mapping language and the forms of their texts: XML Schema's lexical forms, nothing more lenient.

use jiff::civil::Date;

use crate::model::mapping::Kind;

/// Most digits of a decimal.
const MAX_DIGITS: i8 = 38;

/// A decimal of so many digits, so many of them after the point: 38 at most.
pub(super) fn decimal<N: TryInto<i8>>(digits: N, fraction: N) -> Kind {
    let most = |count: N| count.try_into().map_or(MAX_DIGITS, |count| count.min(MAX_DIGITS));
    Kind::Decimal(most(digits).unsigned_abs(), most(fraction))
}

/// Whether the values are whole numbers of at most 64 bits.
pub(super) fn is_whole(kind: &Kind) -> bool {
    matches!(kind, Kind::Int8 | Kind::Int16 | Kind::Int32 | Kind::Int64)
}

/// Patterns that texts may follow which are not ISO 8601. Only ever told in a comment: which of two is meant nobody
/// can see from the values.
pub(super) const PATTERNS: [(&str, &str); 6] = [
    ("%d.%m.%Y", "date"),
    ("%d/%m/%Y", "date"),
    ("%m/%d/%Y", "date"),
    ("%Y/%m/%d", "date"),
    ("%Y-%m-%d %H:%M:%S", "timestamp_ntz"),
    ("%d-%m-%Y", "date"),
];

/// A number as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Number<'t> {
    has_plus: bool,
    has_minus: bool,
    /// Digits before the point.
    pub(super) whole: &'t str,
    /// Digits after it, if there is one.
    pub(super) fraction: Option<&'t str>,
    pub(super) has_exponent: bool,
}

impl<'t> Number<'t> {
    pub(super) fn of(text: &'t str) -> Option<Self> {
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let (has_plus, has_minus) = (text.starts_with('+'), text.starts_with('-'));
        let unsigned = if has_plus || has_minus { text.get(1..)? } else { text };
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, Some(exponent)),
            None => (unsigned, None),
        };
        if let Some(exponent) = exponent {
            let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            if exponent.is_empty() || !digits(exponent) {
                return None;
            }
        }
        let (whole, fraction) = match mantissa.split_once('.') {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (mantissa, None),
        };
        let is_number =
            digits(whole) && fraction.is_none_or(digits) && !(whole.is_empty() && fraction.is_none_or(str::is_empty));
        is_number.then_some(Self { has_plus, has_minus, whole, fraction, has_exponent: exponent.is_some() })
    }

    /// Whether a number type would not keep how it is written: `007`, `+49`, `-0`, `5.`.
    pub(super) fn is_coded(&self) -> bool {
        let is_padded = self.whole.len() > 1 && self.whole.starts_with('0');
        let is_minus_zero = self.has_minus && self.whole == "0" && self.fraction.is_none();
        self.has_plus || is_padded || is_minus_zero || self.fraction == Some("")
    }

    pub(super) fn significant(&self) -> usize {
        let all = self.whole.bytes().chain(self.fraction.unwrap_or_default().bytes());
        all.skip_while(|&digit| digit == b'0').count()
    }
}

/// A date, a time of day, or both, as ISO 8601 and XML Schema write them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) year: Option<i16>,
    pub(super) has_clock: bool,
    pub(super) has_zone: bool,
    /// Digits of the fraction of a second, zeros at its end left out.
    pub(super) second_digits: usize,
}

impl Moment {
    pub(super) fn of(text: &str) -> Option<Self> {
        if let Some((clock, rest)) = text.split_at_checked(8)
            && clock.as_bytes().get(2) == Some(&b':')
        {
            let (second_digits, zone) = fraction(rest)?;
            let has_zone = is_zone(zone)?;
            is_clock(clock, second_digits)?;
            return Some(Self { year: None, has_clock: true, has_zone, second_digits });
        }
        let (date, rest) = text.split_at_checked(10)?;
        let year = year_of(date)?;
        let Some(rest) = rest.strip_prefix('T') else {
            return Some(Self { year: Some(year), has_clock: false, has_zone: is_zone(rest)?, second_digits: 0 });
        };
        let (clock, rest) = rest.split_at_checked(8)?;
        let (second_digits, zone) = fraction(rest)?;
        is_clock(clock, second_digits)?;
        Some(Self { year: Some(year), has_clock: true, has_zone: is_zone(zone)?, second_digits })
    }
}

/// The year of `YYYY-MM-DD`, if that is a day of the calendar.
fn year_of(date: &str) -> Option<i16> {
    let bytes = date.as_bytes();
    let dashes = bytes.get(4) == Some(&b'-') && bytes.get(7) == Some(&b'-') && bytes.len() == 10;
    let year = if dashes { number(date.get(..4)?)? } else { return None };
    let (month, day) = (number(date.get(5..7)?)?, number(date.get(8..)?)?);
    let (month, day) = (i8::try_from(month).ok()?, i8::try_from(day).ok()?);
    Date::new(year, month, day).ok().filter(|_| year > 0).map(|date| date.year())
}

fn number(digits: &str) -> Option<i16> {
    if digits.bytes().all(|byte| byte.is_ascii_digit()) { digits.parse().ok() } else { None }
}

fn is_clock(clock: &str, second_digits: usize) -> Option<()> {
    let bytes = clock.as_bytes();
    let colons = bytes.get(2) == Some(&b':') && bytes.get(5) == Some(&b':');
    let (hour, minute, second) = (number(clock.get(..2)?)?, number(clock.get(3..5)?)?, number(clock.get(6..8)?)?);
    let is_end_of_day = hour == 24 && minute == 0 && second == 0 && second_digits == 0;
    (colons && (hour < 24 || is_end_of_day) && minute < 60 && second < 60).then_some(())
}

/// Digits of a fraction without zeros at its end, and what follows it.
fn fraction(rest: &str) -> Option<(usize, &str)> {
    let Some(rest) = rest.strip_prefix('.') else { return Some((0, rest)) };
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (digits, zone) = rest.split_at_checked(end)?;
    (!digits.is_empty()).then(|| (digits.trim_end_matches('0').len(), zone))
}

/// Whether there is a zone; `None` when it is something else.
fn is_zone(zone: &str) -> Option<bool> {
    match zone {
        "" => return Some(false),
        "Z" => return Some(true),
        _ => {}
    }
    let offset = zone.strip_prefix(['+', '-'])?;
    let (hours, minutes) = offset.split_once(':')?;
    let is_two = hours.len() == 2 && minutes.len() == 2;
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    (is_two && minutes < 60 && hours * 60 + minutes <= 14 * 60).then_some(true)
}

/// Which of [`PATTERNS`] a text fits, as bits.
pub(super) fn patterns(text: &str) -> u8 {
    let two =
        |text: &str, most: i16| text.len() == 2 && number(text).is_some_and(|number| (1..=most).contains(&number));
    let year = |text: &str| text.len() == 4 && number(text).is_some_and(|number| number > 0);
    let parts = |separator: char| {
        let parts: Vec<&str> = text.split(separator).collect();
        <[&str; 3]>::try_from(parts).ok()
    };
    let day_first = |separator| parts(separator).is_some_and(|[d, m, y]| two(d, 31) && two(m, 12) && year(y));
    let month_first = parts('/').is_some_and(|[m, d, y]| two(m, 12) && two(d, 31) && year(y));
    let year_first = parts('/').is_some_and(|[y, m, d]| year(y) && two(m, 12) && two(d, 31));
    let blank = text.len() == 19
        && text.split_once(' ').is_some_and(|(date, clock)| year_of(date).is_some() && is_clock(clock, 0).is_some());
    let fits = [day_first('.'), day_first('/'), month_first, year_first, blank, day_first('-')];
    fits.iter().enumerate().map(|(bit, fits)| u8::from(*fits) << bit).sum()
}

/// Whether a text that the daemon takes for a type also says all that the type says: a timestamp without a zone is no
/// instant, one with a zone no local time, and the zone of a time would be lost.
pub(super) fn is_kept_apart(kind: &Kind, text: &str) -> bool {
    let moment = || Moment::of(text.trim_matches(is_space));
    match kind {
        Kind::Timestamp(_) => moment().is_none_or(|moment| moment.has_zone),
        Kind::LocalTimestamp(_) | Kind::Time(_) => moment().is_none_or(|moment| !moment.has_zone),
        _ => true,
    }
}

/// White space as XML has it.
pub(super) fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\n' | '\r')
}

//! Dates and times as XML Schema 1.1 writes them.

use super::calendar::{self, DAY, MAX_YEAR_DIGITS, Written};

/// `2026-10-15`, with or without a zone.
#[inline]
pub(super) fn date(text: &str) -> Option<Written<'_>> {
    let (days, rest) = day(text.as_bytes())?;
    Some(Written { offset: zone(rest)?, ..Written::midnight(days) })
}

/// `18:42:00`, with or without a fraction and a zone.
#[inline]
pub(super) fn time(text: &str) -> Option<Written<'_>> {
    clock(0, text.as_bytes())
}

/// `2026-10-15T18:42:00`, with or without a fraction and a zone.
#[inline]
pub(super) fn timestamp(text: &str) -> Option<Written<'_>> {
    match day(text.as_bytes())? {
        (days, [b'T', rest @ ..]) => clock(days, rest),
        _ => None,
    }
}

#[inline]
fn day(text: &[u8]) -> Option<(i64, &[u8])> {
    if let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, rest @ ..] = text {
        let year = (two(*y1, *y2)? * 100 + two(*y3, *y4)?).cast_signed();
        return Some((calendar::days(year, two(*m1, *m2)?, two(*d1, *d2)?)?, rest));
    }
    far_day(text)
}

/// A day of a year with a sign or with more digits than four.
#[cold]
fn far_day(text: &[u8]) -> Option<(i64, &[u8])> {
    let (is_before, text) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    let count = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = text.split_at(count);
    if !(4..=MAX_YEAR_DIGITS).contains(&count) || (count > 4 && digits[0] == b'0') {
        return None;
    }
    let year = digits.iter().fold(0, |year, digit| year * 10 + i32::from(digit - b'0'));
    let [b'-', m1, m2, b'-', d1, d2, rest @ ..] = rest else { return None };
    let year = if is_before { -year } else { year };
    Some((calendar::days(year, two(*m1, *m2)?, two(*d1, *d2)?)?, rest))
}

#[inline]
fn clock(days: i64, text: &[u8]) -> Option<Written<'_>> {
    let [h1, h2, b':', m1, m2, b':', s1, s2, rest @ ..] = text else { return None };
    let second = calendar::second_of_day(two(*h1, *h2)?, two(*m1, *m2)?, two(*s1, *s2)?)?;
    let (fraction, rest) = match rest {
        [b'.', rest @ ..] => {
            let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if count == 0 {
                return None;
            }
            rest.split_at(count)
        }
        _ => (&[][..], rest),
    };
    if second == DAY && fraction.iter().any(|&digit| digit != b'0') {
        return None;
    }
    Some(Written { days, second, fraction, offset: zone(rest)? })
}

/// The offset of a zone; none where the text ends before one. The outer none: not a zone.
#[inline]
fn zone(text: &[u8]) -> Option<Option<i32>> {
    match text {
        [] => Some(None),
        [b'Z'] => Some(Some(0)),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            calendar::offset(*sign == b'-', two(*h1, *h2)?, two(*m1, *m2)?).map(Some)
        }
        _ => None,
    }
}

#[inline]
pub(super) fn two(tens: u8, ones: u8) -> Option<u32> {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    if tens > 9 || ones > 9 { None } else { Some(u32::from(tens * 10 + ones)) }
}

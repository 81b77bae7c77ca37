//! ISO 8601 dates and times as XML Schema and RFC 3339 write them.

use super::cast::Reason;

const NOT_A_DATE: Reason = "not a date of the form 2026-10-15";
const NOT_A_TIMESTAMP: Reason = "not a timestamp of the form 2026-10-15T18:42:00Z";

/// Days since 1970-01-01 of `YYYY-MM-DD`. A zone after it, which XML Schema allows, does not move the date.
pub(super) fn date(text: &[u8]) -> Result<i32, Reason> {
    let (date, zone) = text.split_at_checked(10).ok_or(NOT_A_DATE)?;
    let days = days(date).ok_or(NOT_A_DATE)?;
    match zone {
        [] => Ok(days),
        zone => offset_minutes(zone).map(|_| days).ok_or(NOT_A_DATE),
    }
}

/// Microseconds since 1970, UTC, of `YYYY-MM-DDTHH:MM:SS` with an optional fraction and an optional zone; without a
/// zone it is UTC. Digits beyond the microsecond are an error unless they are zeros.
pub(super) fn timestamp(text: &[u8]) -> Result<i64, Reason> {
    let (clock, rest) = text.split_at_checked(19).ok_or(NOT_A_TIMESTAMP)?;
    let seconds = seconds(clock).ok_or(NOT_A_TIMESTAMP)?;
    let (micros, zone) = fraction(rest)?;
    let is_midnight_of_24 = clock[11..13] == *b"24";
    if is_midnight_of_24 && micros != 0 {
        return Err(NOT_A_TIMESTAMP);
    }
    let minutes = match zone {
        b"" | b"Z" => 0,
        zone => offset_minutes(zone).ok_or(NOT_A_TIMESTAMP)?,
    };
    Ok((seconds - i64::from(minutes) * 60) * 1_000_000 + micros)
}

fn days(text: &[u8]) -> Option<i32> {
    let &[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = text else { return None };
    let year = i32::from(two(y1, y2)?) * 100 + i32::from(two(y3, y4)?);
    let (month, day) = (two(m1, m2)?, two(d1, d2)?);
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if is_leap => 29,
        2 => 28,
        _ => return None,
    };
    if year == 0 || day == 0 || day > last {
        return None;
    }
    // Days from the civil calendar with the year beginning in March, so that the leap day is its last.
    let (year, month) = if month <= 2 { (year - 1, i32::from(month) + 9) } else { (year, i32::from(month) - 3) };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * month + 2) / 5 + i32::from(day) - 1;
    Some(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
}

fn seconds(text: &[u8]) -> Option<i64> {
    let (date, time) = text.split_at_checked(10)?;
    let &[b'T', h1, h2, b':', m1, m2, b':', s1, s2] = time else { return None };
    let (hour, minute, second) = (two(h1, h2)?, two(m1, m2)?, two(s1, s2)?);
    // 24:00:00 is the first instant of the next day.
    let is_in_range = (hour < 24 || (hour == 24 && minute == 0 && second == 0)) && minute < 60 && second < 60;
    let of_day = (i64::from(hour) * 60 + i64::from(minute)) * 60 + i64::from(second);
    if is_in_range { Some(i64::from(days(date)?) * 86_400 + of_day) } else { None }
}

fn fraction(rest: &[u8]) -> Result<(i64, &[u8]), Reason> {
    let [b'.', rest @ ..] = rest else { return Ok((0, rest)) };
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (fraction, zone) = rest.split_at(digits);
    if fraction.is_empty() {
        return Err(NOT_A_TIMESTAMP);
    }
    let mut micros = 0;
    for place in 0..6 {
        micros = micros * 10 + fraction.get(place).map_or(0, |digit| i64::from(digit - b'0'));
    }
    if fraction.iter().skip(6).any(|&digit| digit != b'0') {
        return Err("finer than a microsecond, which does not fit");
    }
    Ok((micros, zone))
}

fn offset_minutes(zone: &[u8]) -> Option<i32> {
    let (sign, h1, h2, m1, m2) = match *zone {
        [b'Z'] => return Some(0),
        [b'+', h1, h2, b':', m1, m2] => (1, h1, h2, m1, m2),
        [b'-', h1, h2, b':', m1, m2] => (-1, h1, h2, m1, m2),
        _ => return None,
    };
    let (hours, minutes) = (i32::from(two(h1, h2)?), i32::from(two(m1, m2)?));
    (minutes < 60 && hours * 60 + minutes <= 14 * 60).then_some(sign * (hours * 60 + minutes))
}

fn two(tens: u8, ones: u8) -> Option<u8> {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    if tens > 9 || ones > 9 { None } else { Some(tens * 10 + ones) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(date(b"1970-01-01"), Ok(0));
        assert_eq!(date(b"1969-12-31"), Ok(-1));
        assert_eq!(date(b"2000-02-29"), Ok(11_016));
        assert_eq!(date(b"2026-10-15Z"), date(b"2026-10-15"));
        assert_eq!(date(b"2026-10-15+02:00"), date(b"2026-10-15"));
        for bad in ["", "2026-1-1", "2026-13-01", "2026-02-29", "1900-02-29", "0000-01-01", "2026-10-15T", "20261015"] {
            assert!(date(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn timestamps_keep_microseconds_and_refuse_to_lose_more() {
        let base = timestamp(b"2026-10-15T18:42:00Z").unwrap();
        assert_eq!(timestamp(b"2026-10-15T18:42:00"), Ok(base));
        assert_eq!(timestamp(b"2026-10-15T20:42:00+02:00"), Ok(base));
        assert_eq!(timestamp(b"2026-10-15T13:12:00-05:30"), Ok(base));
        assert_eq!(timestamp(b"2026-10-15T18:42:00.5Z"), Ok(base + 500_000));
        assert_eq!(timestamp(b"2026-10-15T18:42:00.123456000Z"), Ok(base + 123_456));
        assert_eq!(timestamp(b"2026-10-15T24:00:00Z"), timestamp(b"2026-10-16T00:00:00Z"));
        assert_eq!(timestamp(b"0001-01-01T00:00:00Z"), Ok(-719_162 * 86_400_000_000));
        assert!(timestamp(b"2026-10-15T18:42:00.1234567Z").unwrap_err().starts_with("finer"));
        for bad in [
            "2026-10-15 18:42:00Z",
            "2026-10-15T18:42Z",
            "2026-10-15T25:00:00Z",
            "2026-10-15T24:00:00.1Z",
            "2026-10-15T24:00:01Z",
            "2026-10-15T18:60:00Z",
            "2026-10-15T18:42:60Z",
            "2026-10-15T18:42:00.Z",
            "2026-10-15T18:42:00+15:00",
            "2026-10-15T18:42:00+0200",
            "2026-10-15T18:42:00z",
            "2026-10-15",
            "\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}",
        ] {
            assert_eq!(timestamp(bad.as_bytes()), Err(NOT_A_TIMESTAMP), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn every_day_of_the_calendar_is_the_one_jiff_means(days in -719_162_i32..2_932_897) {
            let jiff = jiff::civil::date(1970, 1, 1) + jiff::Span::new().days(days);
            prop_assert_eq!(date(jiff.to_string().as_bytes()), Ok(days));
        }

        #[test]
        fn every_instant_is_the_one_jiff_means(micros in -62_135_596_800_000_000_i64..253_402_300_799_999_999) {
            let text = jiff::Timestamp::from_microsecond(micros).unwrap().to_string();
            prop_assert_eq!(timestamp(text.as_bytes()), Ok(micros));
        }
    }
}

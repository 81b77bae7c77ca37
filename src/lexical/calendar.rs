//! The calendar: days since 1970-01-01 of the proleptic Gregorian calendar, and dates and times as they are written.

/// Seconds of a day.
pub(super) const DAY: i32 = 86_400;

/// Most digits of a year that is read; far beyond what any type has room for.
pub(super) const MAX_YEAR_DIGITS: usize = 9;

/// A date and a time of day as they are written; a value may have only one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Written<'t> {
    /// The date, in days since 1970-01-01; zero where none is written.
    pub(super) days: i64,
    /// Second of the day. The end of the day, 24:00:00, is [`DAY`]; it has no fraction but zeros.
    pub(super) second: i32,
    /// Digits of the fraction of the second.
    pub(super) fraction: &'t [u8],
    /// Seconds that the local time is ahead of UTC, where that is written.
    pub(super) offset: Option<i32>,
}

impl<'t> Written<'t> {
    /// Midnight at the beginning of a day.
    pub(super) fn midnight(days: i64) -> Self {
        Self { days, second: 0, fraction: &[], offset: None }
    }

    /// Seconds since 1970-01-01T00:00:00, both local.
    pub(super) fn local_second(&self) -> i64 {
        self.days * i64::from(DAY) + i64::from(self.second)
    }
}

/// Days since 1970-01-01 of a day that exists.
#[inline]
pub(super) fn days(year: i32, month: u32, day: u32) -> Option<i64> {
    if !(1..=12).contains(&month) || day == 0 || day > days_of_month(year, month) {
        return None;
    }
    // The year begins in March here, so that the leap day is its last.
    let (year, month) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400).unsigned_abs());
    let of_year = (153 * month + 2) / 5 + day - 1;
    let of_era = of_era * 365 + of_era / 4 - of_era / 100 + of_year;
    Some(i64::from(era) * 146_097 + i64::from(of_era) - 719_468)
}

/// Year, month and day of a number of days since 1970-01-01.
pub(super) fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    // The year begins in March here.
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let year = era * 400 + year;
    if month < 10 { (year, month + 3, day) } else { (year + 1, month - 9, day) }
}

/// Days since 1970-01-01 of a day of the year, the first being 1.
pub(super) fn days_of_ordinal(year: i32, ordinal: u32) -> Option<i64> {
    let last = if is_leap(year) { 366 } else { 365 };
    if ordinal == 0 || ordinal > last {
        return None;
    }
    Some(days(year, 1, 1)? + i64::from(ordinal) - 1)
}

/// Day of the week, Monday being 0.
pub(super) fn weekday(days: i64) -> u32 {
    // 1970-01-01 was a Thursday.
    u32::try_from((days + 3).rem_euclid(7)).unwrap_or_default()
}

/// Second of the day; 24:00:00 is the end of the day.
#[inline]
pub(super) fn second_of_day(hour: u32, minute: u32, second: u32) -> Option<i32> {
    let is_clock = hour < 24 && minute < 60 && second < 60;
    let is_end = hour == 24 && minute == 0 && second == 0;
    if !is_clock && !is_end {
        return None;
    }
    i32::try_from((hour * 60 + minute) * 60 + second).ok()
}

/// Seconds of an offset of at most 14 hours.
#[inline]
pub(super) fn offset(is_west: bool, hours: u32, minutes: u32) -> Option<i32> {
    if minutes >= 60 || hours * 60 + minutes > 14 * 60 {
        return None;
    }
    let seconds = i32::try_from((hours * 60 + minutes) * 60).ok()?;
    Some(if is_west { -seconds } else { seconds })
}

fn is_leap(year: i32) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_of_month(year: i32, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap(year) => 29,
        2 => 28,
        _ => 31,
    }
}

//! Dates and times as written, made to fit their type: unit, range, rounding, zone.

use super::calendar::{DAY, Written};
use super::decimal::Tail;
use super::iso;
use super::pattern::Pattern;
use super::value::Refused;
use super::zone::{NoInstant, Zone};
use crate::model::mapping::{Precision, Rounding};
use crate::model::violation::Code;

/// What a date or time becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// `date`: days.
    Date,
    /// `time`: ticks since midnight.
    Time,
    /// `timestamp`: ticks since 1970, UTC.
    Instant,
    /// `timestamp_ntz`: ticks since 1970, local.
    Local,
}

/// A type of dates or times, and how its values are written.
#[derive(Debug)]
pub(super) struct Moment {
    shape: Shape,
    digits: usize,
    rounding: Rounding,
    zone: Option<Zone>,
    patterns: Box<[Pattern]>,
}

impl Moment {
    pub(super) fn new(
        shape: Shape,
        precision: Precision,
        rounding: Rounding,
        zone: Option<Zone>,
        patterns: Vec<Pattern>,
    ) -> Self {
        let digits = match precision {
            Precision::Milli => 3,
            Precision::Micro => 6,
            Precision::Nano => 9,
        };
        Self { shape, digits, rounding, zone, patterns: patterns.into() }
    }

    /// Days or ticks of the value that the text is.
    #[inline]
    pub(super) fn read(&self, text: &str) -> Result<i64, Box<Refused>> {
        if !self.patterns.is_empty() {
            return self.read_patterns(text);
        }
        let written = match self.shape {
            Shape::Date => iso::date(text),
            Shape::Time => iso::time(text),
            Shape::Instant | Shape::Local => iso::timestamp(text),
        };
        match written {
            Some(written) => self.fit(&written),
            None => Err(self.not_iso()),
        }
    }

    fn read_patterns(&self, text: &str) -> Result<i64, Box<Refused>> {
        for pattern in &self.patterns {
            if let Some(written) = pattern.read(text) {
                return self.fit(&written);
            }
        }
        Err(self.of_no_pattern())
    }

    #[inline]
    fn fit(&self, written: &Written<'_>) -> Result<i64, Box<Refused>> {
        match self.shape {
            Shape::Date => match i32::try_from(written.days) {
                Ok(days) => Ok(i64::from(days)),
                Err(_) => Err(self.refused("out of the range of a date")),
            },
            Shape::Time => {
                let second = i64::from(written.second % DAY);
                let ticks = self.ticks(second, written.fraction)?;
                if ticks < self.ticks(i64::from(DAY), &[])? {
                    Ok(ticks)
                } else {
                    Err(self.refused("rounded up to the end of the day, which a time has no room for"))
                }
            }
            Shape::Instant => {
                let local = written.local_second();
                let offset = match (written.offset, &self.zone) {
                    (Some(offset), _) => offset,
                    (None, None) => 0,
                    (None, Some(zone)) => zone.offset_of_local(local).map_err(|why| self.no_instant(why, zone))?,
                };
                self.ticks(local - i64::from(offset), written.fraction)
            }
            Shape::Local => {
                let local = written.local_second();
                let second = match (written.offset, &self.zone) {
                    (None, _) => local,
                    (Some(_), None) => {
                        return Err(self.refused("a timestamp with a zone, which its column has no place for"));
                    }
                    (Some(offset), Some(zone)) => {
                        let instant = local - i64::from(offset);
                        let there = zone.offset_at(instant).ok_or_else(|| self.no_instant(NoInstant::Far, zone))?;
                        instant + i64::from(there)
                    }
                };
                self.ticks(second, written.fraction)
            }
        }
    }

    #[inline]
    fn ticks(&self, second: i64, fraction: &[u8]) -> Result<i64, Box<Refused>> {
        let per_second: i64 = match self.digits {
            3 => 1_000,
            6 => 1_000_000,
            _ => 1_000_000_000,
        };
        let mut part = 0;
        if !fraction.is_empty() {
            for place in 0..self.digits {
                part = part * 10 + fraction.get(place).map_or(0, |digit| i64::from(digit - b'0'));
            }
            if let Some(rest @ [_, ..]) = fraction.get(self.digits..) {
                let up = Tail::of(rest).goes_up(self.rounding, part % 2 == 1);
                part += i64::from(up.ok_or_else(|| self.too_fine())?);
            }
        }
        match second.checked_mul(per_second).and_then(|ticks| ticks.checked_add(part)) {
            Some(ticks) => Ok(ticks),
            None => self.far_ticks(second, per_second, part),
        }
    }

    /// Near the beginning of the range the seconds alone do not fit, and together with the fraction they do.
    #[cold]
    fn far_ticks(&self, second: i64, per_second: i64, part: i64) -> Result<i64, Box<Refused>> {
        let ticks = i128::from(second) * i128::from(per_second) + i128::from(part);
        i64::try_from(ticks).map_err(|_| {
            self.refused(match self.digits {
                9 => "out of the range of nanoseconds, 1677-09-21 to 2262-04-11",
                _ => "out of the range of its unit",
            })
        })
    }

    fn code(&self) -> Code {
        match self.shape {
            Shape::Date => Code::TYPE_DATE,
            Shape::Time => Code::TYPE_TIME,
            Shape::Instant | Shape::Local => Code::TYPE_TIMESTAMP,
        }
    }

    #[cold]
    fn refused(&self, what: impl Into<std::borrow::Cow<'static, str>>) -> Box<Refused> {
        Refused::new(self.code(), what)
    }

    #[cold]
    fn not_iso(&self) -> Box<Refused> {
        self.refused(match self.shape {
            Shape::Date => "not a date of the form 2026-10-15",
            Shape::Time => "not a time of the form 18:42:00",
            Shape::Instant => "not a timestamp of the form 2026-10-15T18:42:00Z",
            Shape::Local => "not a timestamp of the form 2026-10-15T18:42:00",
        })
    }

    #[cold]
    fn of_no_pattern(&self) -> Box<Refused> {
        let name = match self.shape {
            Shape::Date => "date",
            Shape::Time => "time",
            Shape::Instant | Shape::Local => "timestamp",
        };
        let forms: Vec<&str> = self.patterns.iter().map(Pattern::written).collect();
        self.refused(format!("not a {name} of the form {}", super::text::listed(&forms)))
    }

    #[cold]
    fn too_fine(&self) -> Box<Refused> {
        self.refused(match self.digits {
            3 => "finer than a millisecond, which its column has no room for",
            6 => "finer than a microsecond, which its column has no room for",
            _ => "finer than a nanosecond, which its column has no room for",
        })
    }

    #[cold]
    fn no_instant(&self, why: NoInstant, zone: &Zone) -> Box<Refused> {
        let name = zone.name();
        self.refused(match why {
            NoInstant::Skipped => format!("a local time that the clocks of {name} skip"),
            NoInstant::Twice => {
                format!("a local time that the clocks of {name} show twice, so its instant is not known")
            }
            NoInstant::Far => format!("beyond the years for which {name} has rules"),
        })
    }
}

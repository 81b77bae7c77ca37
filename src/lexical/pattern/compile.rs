//! From the letters of a pattern to its parts, with everything that is wrong.

use super::{Field, Part, Pattern};
use crate::lexical::fit::Shape;

/// Longest pattern.
const MAX_LENGTH: usize = 256;

/// What is wrong with a pattern, and what would be right.
pub(in crate::lexical) type Fault = (String, String);

impl Pattern {
    /// Compiles a pattern for a type.
    ///
    /// `has_zone`: a zone is set, so a local timestamp can take values with an offset.
    ///
    /// # Errors
    ///
    /// What is wrong with it first.
    pub(in crate::lexical) fn compile(written: &str, shape: Shape, has_zone: bool) -> Result<Self, Fault> {
        if written.len() > MAX_LENGTH {
            return Err(fault("the pattern is too long", format!("take at most {MAX_LENGTH} bytes")));
        }
        let mut parts = Vec::new();
        read(written, &mut parts)?;
        settle_widths(&mut parts)?;
        check(&parts, shape, has_zone)?;
        Ok(Self { written: written.into(), parts: parts.into() })
    }
}

fn fault(message: impl Into<String>, help: impl Into<String>) -> Fault {
    (message.into(), help.into())
}

fn read(written: &str, parts: &mut Vec<Part>) -> Result<(), Fault> {
    let mut rest = written.chars().peekable();
    while let Some(letter) = rest.next() {
        if letter.is_whitespace() {
            blank(parts);
            continue;
        }
        if letter != '%' {
            literal(parts, letter);
            continue;
        }
        let mut directive = String::new();
        while let Some(&next) = rest.peek() {
            directive.push(next);
            rest.next();
            if next.is_alphabetic() || next == '%' {
                break;
            }
        }
        read_directive(&directive, parts)?;
    }
    Ok(())
}

fn read_directive(directive: &str, parts: &mut Vec<Part>) -> Result<(), Fault> {
    let number = |field, most| Part::Number { field, least: 1, most, blanks: false };
    let padded = |field| Part::Number { field, least: 1, most: 2, blanks: true };
    let (plain, blanks) = match directive.strip_prefix(['-', '0']) {
        Some(plain) => (plain, false),
        None => directive.strip_prefix('_').map_or((directive, false), |plain| (plain, true)),
    };
    let mut part = match plain {
        "Y" => Part::Number { field: Field::Year, least: 4, most: 4, blanks: false },
        "y" => Part::Number { field: Field::YearOfCentury, least: 2, most: 2, blanks: false },
        "m" => number(Field::Month, 2),
        "d" => number(Field::Day, 2),
        "e" => padded(Field::Day),
        "j" => number(Field::DayOfYear, 3),
        "H" => number(Field::Hour, 2),
        "k" => padded(Field::Hour),
        "I" => number(Field::HourOfHalf, 2),
        "l" => padded(Field::HourOfHalf),
        "M" => number(Field::Minute, 2),
        "S" => number(Field::Second, 2),
        _ if directive != plain => return Err(unknown(directive)),
        "b" | "B" | "h" => Part::MonthName,
        "a" | "A" => Part::WeekdayName,
        "p" | "P" => Part::Half,
        "f" => Part::Fraction { digits: None },
        ".f" => Part::PointFraction,
        "z" | ":z" => Part::Offset,
        "s" => Part::Epoch,
        "F" => return read("%Y-%m-%d", parts),
        "T" => return read("%H:%M:%S", parts),
        "R" => return read("%H:%M", parts),
        "D" => return read("%m/%d/%y", parts),
        "n" | "t" => {
            blank(parts);
            return Ok(());
        }
        "%" => {
            literal(parts, '%');
            return Ok(());
        }
        other => match other.as_bytes() {
            [digit @ b'1'..=b'9', b'f'] => Part::Fraction { digits: Some(usize::from(digit - b'0')) },
            [b'.', b'1'..=b'9', b'f'] => Part::PointFraction,
            _ => return Err(unknown(directive)),
        },
    };
    if let Part::Number { blanks: allowed, .. } = &mut part {
        *allowed |= blanks;
    }
    parts.push(part);
    Ok(())
}

fn unknown(directive: &str) -> Fault {
    let help = match directive {
        "Z" => "abbreviations of zones mean different things in different places: read %z, or set zone and write the \
                abbreviation as it stands in the values"
            .to_owned(),
        "Q" | ":Q" => "set zone, and write the zone as it stands in the values".to_owned(),
        "" => "write %% for a percent sign".to_owned(),
        _ => "take %Y %m %d %y %j %b %a %H %I %p %M %S %f %.f %z %s %F %T %R %D".to_owned(),
    };
    fault(format!("%{directive} is nothing that a pattern can read"), help)
}

fn blank(parts: &mut Vec<Part>) {
    if parts.last() != Some(&Part::Blank) {
        parts.push(Part::Blank);
    }
}

fn literal(parts: &mut Vec<Part>, letter: char) {
    if let Some(Part::Literal(text)) = parts.last_mut() {
        *text = format!("{text}{letter}").into();
    } else {
        parts.push(Part::Literal(letter.to_string().into()));
    }
}

/// A number that touches another one has its full width: nothing else says where one ends and the other begins.
fn settle_widths(parts: &mut [Part]) -> Result<(), Fault> {
    let begins_with_digit = |part: &Part| match part {
        Part::Number { .. } | Part::Fraction { .. } | Part::Epoch => true,
        Part::Literal(text) => text.starts_with(|letter: char| letter.is_ascii_digit()),
        _ => false,
    };
    for at in 0..parts.len() {
        let touches_next = parts.get(at + 1).is_some_and(begins_with_digit);
        let touches_last = at > 0 && matches!(parts[at - 1], Part::Number { .. } | Part::Fraction { .. });
        match &mut parts[at] {
            Part::Number { least, most, .. } if touches_next || touches_last => *least = *most,
            Part::Fraction { digits: None } | Part::PointFraction | Part::Epoch if touches_next => {
                let help = "write how many digits the fraction has, such as %3f, or what stands between";
                return Err(fault("nothing says where a number ends and the next begins", help));
            }
            _ => {}
        }
    }
    Ok(())
}

/// What a pattern reads, for the check that it is whole and says nothing twice.
#[derive(Default)]
struct Says {
    year: u32,
    month: u32,
    day: u32,
    ordinal: u32,
    weekday: u32,
    hour: u32,
    hour_of_half: u32,
    half: u32,
    minute: u32,
    second: u32,
    fraction: u32,
    offset: u32,
    epoch: u32,
}

impl Says {
    fn of(parts: &[Part]) -> Self {
        let mut says = Self::default();
        for part in parts {
            let count = match part {
                Part::Literal(_) | Part::Blank => continue,
                Part::Number { field: Field::Year | Field::YearOfCentury, .. } => &mut says.year,
                Part::Number { field: Field::Month, .. } | Part::MonthName => &mut says.month,
                Part::Number { field: Field::Day, .. } => &mut says.day,
                Part::Number { field: Field::DayOfYear, .. } => &mut says.ordinal,
                Part::Number { field: Field::Hour, .. } => &mut says.hour,
                Part::Number { field: Field::HourOfHalf, .. } => &mut says.hour_of_half,
                Part::Number { field: Field::Minute, .. } => &mut says.minute,
                Part::Number { field: Field::Second, .. } => &mut says.second,
                Part::WeekdayName => &mut says.weekday,
                Part::Half => &mut says.half,
                Part::Fraction { .. } | Part::PointFraction => &mut says.fraction,
                Part::Offset => &mut says.offset,
                Part::Epoch => &mut says.epoch,
            };
            *count += 1;
        }
        says
    }

    fn all(&self) -> [(&'static str, u32); 13] {
        [
            ("the year", self.year),
            ("the month", self.month),
            ("the day", self.day),
            ("the day of the year", self.ordinal),
            ("the weekday", self.weekday),
            ("the hour", self.hour),
            ("the hour", self.hour_of_half),
            ("AM or PM", self.half),
            ("the minute", self.minute),
            ("the second", self.second),
            ("the fraction", self.fraction),
            ("the offset", self.offset),
            ("the time since 1970", self.epoch),
        ]
    }

    fn has_time(&self) -> bool {
        self.hour + self.hour_of_half + self.half + self.minute + self.second + self.fraction > 0
    }

    fn has_date(&self) -> bool {
        self.year + self.month + self.day + self.ordinal + self.weekday > 0
    }
}

fn check(parts: &[Part], shape: Shape, has_zone: bool) -> Result<(), Fault> {
    let says = Says::of(parts);
    if let Some((what, _)) = says.all().into_iter().find(|(_, count)| *count > 1) {
        return Err(fault(format!("the pattern reads {what} twice"), "read everything once"));
    }
    if says.epoch > 0 {
        return check_epoch(&says, shape, has_zone);
    }
    let has_day = says.month + says.day == 2 && says.ordinal == 0 || says.ordinal == 1 && says.month + says.day == 0;
    let is_whole_date = says.year == 1 && has_day;
    if (shape != Shape::Time || says.has_date()) && !is_whole_date {
        let message =
            if says.has_date() { "the pattern reads only a part of a date" } else { "the pattern reads no date" };
        return Err(fault(message, "read the year and either month and day or the day of the year: %Y-%m-%d, %Y-%j"));
    }
    if shape == Shape::Time && !says.has_time() {
        return Err(fault("the pattern reads no time", "read at least the hour: %H:%M:%S"));
    }
    if says.has_time() {
        check_time(&says)?;
    }
    if shape == Shape::Local && says.offset > 0 && !has_zone {
        return Err(local_with_offset());
    }
    Ok(())
}

fn check_epoch(says: &Says, shape: Shape, has_zone: bool) -> Result<(), Fault> {
    if says.has_date() || says.offset > 0 || says.hour + says.hour_of_half + says.half + says.minute + says.second > 0 {
        return Err(fault("%s is the whole of a timestamp", "read nothing besides it but a fraction: %s%.f"));
    }
    match shape {
        Shape::Instant => Ok(()),
        Shape::Local if has_zone => Ok(()),
        Shape::Local => Err(local_with_offset()),
        Shape::Date | Shape::Time => {
            Err(fault("%s is an instant, which has no date or time of its own", "take type = \"timestamp\""))
        }
    }
}

fn check_time(says: &Says) -> Result<(), Fault> {
    if says.hour + says.hour_of_half == 0 {
        return Err(fault("the pattern reads a part of a time and no hour", "read the hour with %H, or %I and %p"));
    }
    if says.hour > 0 && says.hour_of_half + says.half > 0 {
        return Err(fault("the pattern reads an hour of 24 and AM or PM", "take %I with %p, or %H alone"));
    }
    if says.hour_of_half != says.half {
        return Err(fault("%I and %p need each other", "take %I with %p, or %H alone"));
    }
    if says.second > 0 && says.minute == 0 || says.fraction > 0 && says.second == 0 {
        return Err(fault("the pattern leaves a part of the time out", "read hour, minute and second: %H:%M:%S"));
    }
    Ok(())
}

fn local_with_offset() -> Fault {
    let help = "set zone, whose local time is meant, or take type = \"timestamp\"";
    fault("the pattern reads an offset, and a timestamp_ntz has no place for it", help)
}

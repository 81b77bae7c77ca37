//! Decimals: exact, or rounded as the mapping asks.

use super::number::signed;
use super::value::Refused;
use crate::model::mapping::Rounding;
use crate::model::violation::Code;

/// Digits that surely fit in 64 bits without a sign.
const SURE_DIGITS: usize = 19;

/// Most digits of a decimal.
pub(super) const MAX_PRECISION: u8 = 38;

/// A decimal type.
#[derive(Debug, Clone, Copy)]
pub(super) struct Decimal {
    precision: u8,
    scale: u8,
    rounding: Rounding,
    /// The first number that is too long.
    limit: i128,
}

/// What is between the sign and the end.
struct Digits<'t> {
    whole: &'t [u8],
    fraction: &'t [u8],
}

impl Decimal {
    /// The type of that precision (1 to 38) and scale (0 to 38), or none.
    pub(super) fn new(precision: u8, scale: i8, rounding: Rounding) -> Option<Self> {
        let scale = u8::try_from(scale).ok()?;
        let is_possible = (1..=MAX_PRECISION).contains(&precision) && scale <= MAX_PRECISION;
        let limit = 10_i128.checked_pow(u32::from(precision))?;
        is_possible.then_some(Self { precision, scale, rounding, limit })
    }

    /// The decimal that the text is, as the whole number of its last place.
    #[inline]
    pub(super) fn read(&self, text: &str) -> Result<i128, Box<Refused>> {
        let (negative, digits) = signed(text.as_bytes());
        let value = match self.read_short(digits) {
            Some(value) => value,
            None => self.read_any(digits)?,
        };
        Ok(if negative { -value } else { value })
    }

    /// For what most values are: few digits, of which none has to go.
    #[inline]
    fn read_short(&self, text: &[u8]) -> Option<i128> {
        if text.len() > SURE_DIGITS {
            return None;
        }
        let (mut value, mut digits, mut point) = (0_u64, 0, None);
        for (at, &byte) in text.iter().enumerate() {
            let digit = byte.wrapping_sub(b'0');
            if digit <= 9 {
                value = value * 10 + u64::from(digit);
                digits += 1;
            } else if byte == b'.' && point.is_none() {
                point = Some(at);
            } else {
                return None;
            }
        }
        let places = point.map_or(0, |at| text.len() - at - 1);
        let missing = usize::from(self.scale).checked_sub(places)?;
        if digits == 0 {
            return None;
        }
        let power = POWERS.get(missing)?;
        let value = i128::from(value) * i128::from(*power);
        (value < self.limit).then_some(value)
    }

    #[cold]
    fn read_any(&self, text: &[u8]) -> Result<i128, Box<Refused>> {
        let Digits { whole, fraction } = split(text).ok_or_else(|| refused("not a decimal"))?;
        let scale = usize::from(self.scale);
        let (kept, dropped) = fraction.split_at(scale.min(fraction.len()));
        let tail = Tail::of(dropped);
        let missing = (scale - kept.len()) as u32;
        let scaled = exact(whole, kept).and_then(|value| value.checked_mul(10_i128.checked_pow(missing)?));
        let value = scaled.ok_or_else(|| self.too_long())?;
        // Each way of rounding is the same on both sides of zero, so the sign does not matter here.
        let up = tail.goes_up(self.rounding, value % 2 == 1).ok_or_else(|| self.inexact())?;
        let rounded = value.checked_add(i128::from(up)).filter(|rounded| *rounded < self.limit);
        rounded.ok_or_else(|| self.too_long())
    }

    fn inexact(&self) -> Box<Refused> {
        let Self { precision, scale, .. } = self;
        refused(if *scale > 0 {
            format!("not exact in decimal({precision},{scale}): it has more than {scale} digits after the point")
        } else {
            format!("not exact in decimal({precision},{scale}): it has digits beyond its last place")
        })
    }

    fn too_long(&self) -> Box<Refused> {
        let Self { precision, scale, .. } = self;
        refused(match precision.checked_sub(*scale) {
            Some(room @ 1..) => {
                format!("too long for decimal({precision},{scale}): it has more than {room} digits before the point")
            }
            _ => format!("too long for decimal({precision},{scale})"),
        })
    }
}

const POWERS: [u64; 19] = {
    let mut powers = [1; 19];
    let mut at = 1;
    while at < powers.len() {
        powers[at] = powers[at - 1] * 10;
        at += 1;
    }
    powers
};

fn refused(what: impl Into<std::borrow::Cow<'static, str>>) -> Box<Refused> {
    Refused::new(Code::TYPE_DECIMAL, what)
}

fn split(text: &[u8]) -> Option<Digits<'_>> {
    let (whole, fraction) = match text.iter().position(|&byte| byte == b'.') {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, &[][..]),
    };
    let is_decimal = whole.len() + fraction.len() > 0 && whole.iter().chain(fraction).all(u8::is_ascii_digit);
    is_decimal.then_some(Digits { whole, fraction })
}

/// The number that the digits make; none when 128 bits are too few.
fn exact(first: &[u8], second: &[u8]) -> Option<i128> {
    let add = |value: i128, digit: &u8| value.checked_mul(10)?.checked_add(i128::from(digit - b'0'));
    first.iter().chain(second).try_fold(0, add)
}

/// Digits that have no room, seen as a fraction of the last place that has.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tail {
    /// It is not zero.
    pub(super) is_something: bool,
    /// It is a half or more.
    pub(super) is_half_or_more: bool,
    /// It is more than a half.
    pub(super) is_more_than_half: bool,
}

impl Tail {
    /// That of digits, the first of which is worth a tenth.
    pub(super) fn of(digits: &[u8]) -> Self {
        let mut digits = digits.iter();
        let tenths = digits.next().copied().unwrap_or(b'0');
        let is_rest = digits.any(|&digit| digit != b'0');
        Self {
            is_something: tenths != b'0' || is_rest,
            is_half_or_more: tenths >= b'5',
            is_more_than_half: tenths > b'5' || (tenths == b'5' && is_rest),
        }
    }

    /// Whether `whole` goes up by one; none when nothing may be rounded and there is something to round.
    pub(super) fn goes_up(self, rounding: Rounding, is_odd: bool) -> Option<bool> {
        match rounding {
            _ if !self.is_something => Some(false),
            Rounding::Error => None,
            Rounding::Down => Some(false),
            Rounding::HalfUp => Some(self.is_half_or_more),
            Rounding::HalfEven => Some(self.is_more_than_half || (self.is_half_or_more && is_odd)),
        }
    }
}

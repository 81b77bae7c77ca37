//! Whole and floating-point numbers, and booleans.

use std::str::FromStr;

use super::value::Refused;
use crate::model::violation::Code;

/// Digits that surely fit in 64 bits.
const SURE_DIGITS: usize = 18;

/// A type of whole numbers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Whole {
    /// Name of the type.
    pub(super) name: &'static str,
    /// Lowest value.
    pub(super) low: i64,
    /// Highest value.
    pub(super) high: i64,
}

impl Whole {
    /// The whole number that the text is.
    #[inline]
    pub(super) fn read(self, text: &str) -> Result<i64, Box<Refused>> {
        let (negative, digits) = signed(text.as_bytes());
        let mut value: i64 = 0;
        if digits.len() <= SURE_DIGITS {
            for &byte in digits {
                let digit = byte.wrapping_sub(b'0');
                if digit > 9 {
                    return Err(not_whole());
                }
                value = value * 10 + i64::from(digit);
            }
            if digits.is_empty() {
                return Err(not_whole());
            }
            value = if negative { -value } else { value };
        } else {
            value = self.read_long(negative, digits)?;
        }
        if (self.low..=self.high).contains(&value) { Ok(value) } else { Err(self.out_of_range()) }
    }

    fn read_long(self, negative: bool, digits: &[u8]) -> Result<i64, Box<Refused>> {
        if !digits.iter().all(u8::is_ascii_digit) {
            return Err(not_whole());
        }
        // Counted downwards, because the lowest number has no positive counterpart.
        let down = |value: i64, digit: &u8| value.checked_mul(10)?.checked_sub(i64::from(digit - b'0'));
        let value = digits.iter().try_fold(0_i64, down);
        let value = if negative { value } else { value.and_then(i64::checked_neg) };
        value.ok_or_else(|| self.out_of_range())
    }

    #[cold]
    fn out_of_range(self) -> Box<Refused> {
        Refused::new(Code::TYPE_INT, format!("out of the range of {}: {} to {}", self.name, self.low, self.high))
    }
}

#[cold]
fn not_whole() -> Box<Refused> {
    Refused::new(Code::TYPE_INT, "not a whole number")
}

/// The sign, and what follows it.
#[inline]
pub(super) fn signed(text: &[u8]) -> (bool, &[u8]) {
    match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    }
}

/// `true`, `false`, `1`, `0`.
#[inline]
pub(super) fn boolean(text: &str) -> Result<bool, Box<Refused>> {
    match text.as_bytes() {
        b"true" | b"1" => Ok(true),
        b"false" | b"0" => Ok(false),
        _ => Err(Refused::new(Code::TYPE_BOOL, "neither true, false, 1 nor 0")),
    }
}

/// A type of floating-point numbers.
pub(super) trait Float: FromStr + Copy {
    /// Name of the type.
    const NAME: &'static str;
    const INFINITY: Self;
    const NEG_INFINITY: Self;
    const NAN: Self;
    fn is_finite(self) -> bool;
}

macro_rules! float {
    ($type:ident, $name:literal) => {
        impl Float for $type {
            const NAME: &'static str = $name;
            const INFINITY: Self = Self::INFINITY;
            const NEG_INFINITY: Self = Self::NEG_INFINITY;
            const NAN: Self = Self::NAN;

            fn is_finite(self) -> bool {
                Self::is_finite(self)
            }
        }
    };
}

float!(f32, "float32");
float!(f64, "float64");

/// The floating-point number that is nearest to the text.
#[inline]
pub(super) fn float<T: Float>(text: &str) -> Result<T, Box<Refused>> {
    // The standard library reads more than XML Schema has: `inf`, `infinity`, `nan` in any case.
    let is_plain = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'));
    let value = if is_plain { text.parse::<T>().ok() } else { special(text) };
    match value {
        Some(value) if value.is_finite() || !is_plain => Ok(value),
        Some(_) => Err(Refused::new(Code::TYPE_FLOAT, format!("out of the range of {}", T::NAME))),
        None => Err(Refused::new(Code::TYPE_FLOAT, "not a number")),
    }
}

#[cold]
fn special<T: Float>(text: &str) -> Option<T> {
    match text {
        "INF" | "+INF" => Some(T::INFINITY),
        "-INF" => Some(T::NEG_INFINITY),
        "NaN" => Some(T::NAN),
        _ => None,
    }
}

//! Text to typed values: exact, or an error that says why. XML Schema's lexical forms, nothing more lenient.

/// Why a value is not of its column's type: a fragment that follows "is".
pub(super) type Reason = &'static str;

/// A whole number of `T`'s width; `+5` and leading zeros are legal forms.
pub(super) fn integer<T: TryFrom<i64>>(text: &[u8]) -> Result<T, Reason> {
    let (negative, digits) = signed(text);
    if digits.is_empty() {
        return Err("not a whole number");
    }
    let mut value: i64 = 0;
    for &byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return Err("not a whole number");
        }
        // Counted downwards, because the lowest number has no positive counterpart.
        let next = value.checked_mul(10).and_then(|tens| tens.checked_sub(i64::from(digit)));
        value = match next {
            Some(next) => next,
            None if digits.iter().all(u8::is_ascii_digit) => return Err("out of the range"),
            None => return Err("not a whole number"),
        };
    }
    let value = if negative { Some(value) } else { value.checked_neg() };
    value.and_then(|value| T::try_from(value).ok()).ok_or("out of the range")
}

/// `true`, `false`, `1`, `0`.
pub(super) fn boolean(text: &[u8]) -> Result<bool, Reason> {
    match text {
        b"true" | b"1" => Ok(true),
        b"false" | b"0" => Ok(false),
        _ => Err("neither true, false, 1 nor 0"),
    }
}

/// A floating-point number: digits with point and exponent, or `INF`, `-INF`, `NaN`.
pub(super) fn float<T: Float>(text: &str) -> Result<T, Reason> {
    match text {
        "INF" | "+INF" => return Ok(T::INFINITY),
        "-INF" => return Ok(T::NEG_INFINITY),
        "NaN" => return Ok(T::NAN),
        _ => {}
    }
    let number = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'));
    let value = if number { text.parse::<T>().ok() } else { None };
    match value {
        Some(value) if value.is_finite() => Ok(value),
        Some(_) => Err("out of the range"),
        None => Err("not a number"),
    }
}

/// What [`float`] needs of `f32` and `f64`.
pub(super) trait Float: std::str::FromStr {
    const INFINITY: Self;
    const NEG_INFINITY: Self;
    const NAN: Self;
    fn is_finite(&self) -> bool;
}

impl Float for f32 {
    const INFINITY: Self = Self::INFINITY;
    const NEG_INFINITY: Self = Self::NEG_INFINITY;
    const NAN: Self = Self::NAN;

    fn is_finite(&self) -> bool {
        Self::is_finite(*self)
    }
}

impl Float for f64 {
    const INFINITY: Self = Self::INFINITY;
    const NEG_INFINITY: Self = Self::NEG_INFINITY;
    const NAN: Self = Self::NAN;

    fn is_finite(&self) -> bool {
        Self::is_finite(*self)
    }
}

/// A decimal as the whole number of its last place. Nothing is rounded: a digit beyond the scale is an error unless it
/// is a zero.
pub(super) fn decimal(text: &[u8], precision: u8, scale: i8) -> Result<i128, Reason> {
    let (negative, digits) = signed(text);
    let point = digits.iter().position(|&byte| byte == b'.');
    let (whole, fraction) = match point {
        Some(at) => (&digits[..at], &digits[at + 1..]),
        None => (digits, &digits[digits.len()..]),
    };
    if whole.is_empty() && fraction.is_empty() {
        return Err("not a decimal");
    }
    let places = usize::from(scale.max(0).unsigned_abs());
    let (kept, excess) = fraction.split_at(places.min(fraction.len()));
    let mut value: i128 = 0;
    let mut too_long = false;
    for &byte in whole.iter().chain(kept) {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return Err("not a decimal");
        }
        match value.checked_mul(10).and_then(|tens| tens.checked_add(i128::from(digit))) {
            Some(next) => value = next,
            None => too_long = true,
        }
    }
    if !excess.iter().all(u8::is_ascii_digit) {
        return Err("not a decimal");
    }
    if excess.iter().any(|&byte| byte != b'0') {
        return Err("more digits after the point than");
    }
    let missing = u32::try_from(places - kept.len()).unwrap_or(u32::MAX);
    let mut scaled = 10_i128.checked_pow(missing).and_then(|power| value.checked_mul(power)).filter(|_| !too_long);
    if scale < 0 {
        let power = 10_i128.checked_pow(u32::from(scale.unsigned_abs()));
        if let (Some(whole), Some(power)) = (scaled, power) {
            if whole % power != 0 {
                return Err("more digits before the point than");
            }
            scaled = Some(whole / power);
        }
    }
    let limit = 10_i128.checked_pow(u32::from(precision));
    match (scaled, limit) {
        (Some(value), Some(limit)) if value < limit => Ok(if negative { -value } else { value }),
        _ => Err("too long for"),
    }
}

fn signed(text: &[u8]) -> (bool, &[u8]) {
    match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_exact_to_the_ends_of_their_range() {
        assert_eq!(integer::<i64>(b"-9223372036854775808"), Ok(i64::MIN));
        assert_eq!(integer::<i64>(b"9223372036854775807"), Ok(i64::MAX));
        assert_eq!(integer::<i64>(b"9223372036854775808"), Err("out of the range"));
        assert_eq!(integer::<i8>(b"-128"), Ok(-128));
        assert_eq!(integer::<i8>(b"128"), Err("out of the range"));
        assert_eq!(integer::<i32>(b"+0042"), Ok(42));
        for bad in ["", "-", "+", "1.0", "1e3", " 1", "0x10", "99999999999999999999x", "1_000", "--1"] {
            assert_eq!(integer::<i64>(bad.as_bytes()), Err("not a whole number"), "{bad}");
        }
    }

    #[test]
    fn decimals_are_never_rounded() {
        assert_eq!(decimal(b"17.95", 10, 2), Ok(1795));
        assert_eq!(decimal(b"-.5", 10, 2), Ok(-50));
        assert_eq!(decimal(b"7.", 10, 2), Ok(700));
        assert_eq!(decimal(b"1.500", 10, 2), Ok(150));
        assert_eq!(decimal(b"1.005", 10, 2), Err("more digits after the point than"));
        assert_eq!(decimal(b"99999999.99", 10, 2), Ok(9_999_999_999));
        assert_eq!(decimal(b"100000000.00", 10, 2), Err("too long for"));
        assert_eq!(decimal(b"0000000000000000000000000000000000000000000001", 1, 0), Ok(1));
        assert_eq!(decimal(&[b'9'; 38], 38, 0), Ok(10_i128.pow(38) - 1));
        assert_eq!(decimal(&[b'9'; 60], 38, 0), Err("too long for"));
        assert_eq!(decimal(b"1200", 3, -2), Ok(12));
        assert_eq!(decimal(b"1250", 3, -2), Err("more digits before the point than"));
        for bad in ["", ".", "-", "1,5", "1.234,56", "1.2.3", "1e2", "NaN", "1 ", "1.00x"] {
            assert_eq!(decimal(bad.as_bytes(), 10, 2), Err("not a decimal"), "{bad}");
        }
    }

    #[test]
    fn floats_take_the_forms_of_xml_schema_only() {
        assert_eq!(float::<f64>("-1.5e3"), Ok(-1500.0));
        assert_eq!(float::<f64>("INF"), Ok(f64::INFINITY));
        assert!(float::<f64>("NaN").unwrap().is_nan());
        assert_eq!(float::<f32>("0.1"), Ok(0.1_f32));
        assert_eq!(float::<f64>("1e999"), Err("out of the range"));
        for bad in ["", "inf", "infinity", "nan", "1,5", "e5", "1e", "0x1p3"] {
            assert_eq!(float::<f64>(bad), Err("not a number"), "{bad}");
        }
    }

    #[test]
    fn booleans_are_four_words() {
        assert_eq!((boolean(b"true"), boolean(b"0")), (Ok(true), Ok(false)));
        assert!(boolean(b"TRUE").is_err() && boolean(b"yes").is_err());
    }
}

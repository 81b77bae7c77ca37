//! Decimals and their rounding against arithmetic on digits.

use proptest::prelude::*;

use super::{caster, gives};
use crate::lexical::{Memory, Value};
use crate::model::mapping::{Kind, Rounding};

#[test]
fn the_three_ways_of_rounding() {
    for (text, down, half_up, half_even) in [
        ("1.005", 100, 101, 100),
        ("1.015", 101, 102, 102),
        ("1.0050000000000000000000000000000000000000000001", 100, 101, 101),
        ("1.0049999999999999999999999999999999999999999999", 100, 100, 100),
        ("-1.005", -100, -101, -100),
        ("-1.009", -100, -101, -101),
        ("-0.001", 0, 0, 0),
        ("0.995", 99, 100, 100),
        ("1.00", 100, 100, 100),
    ] {
        for (rounding, expected) in
            [(Rounding::Down, down), (Rounding::HalfUp, half_up), (Rounding::HalfEven, half_even)]
        {
            let caster = caster(&Kind::Decimal(10, 2), |rules| rules.rounding = rounding);
            assert_eq!(caster.cast(text, &mut Memory::default()), Ok(Value::Decimal(expected)), "{text} {rounding:?}");
        }
    }
    // Rounding up can need a digit more than there is.
    let small = caster(&Kind::Decimal(3, 2), |rules| rules.rounding = Rounding::HalfUp);
    assert!(small.cast("9.995", &mut Memory::default()).is_err());
    let large = caster(&Kind::Decimal(38, 0), |rules| rules.rounding = Rounding::HalfUp);
    assert!(large.cast(&("9".repeat(38) + ".5"), &mut Memory::default()).is_err());
}

/// The decimal by arithmetic on the digits as text; none when it does not fit.
fn oracle(whole: &str, fraction: &str, precision: u8, scale: i8, rounding: Rounding) -> Option<u128> {
    // All digits, with zeros on both sides, so that the last place of the type is always among them.
    let digits = format!("{}{whole}{fraction}{}", "0".repeat(50), "0".repeat(50));
    let point = (50 + whole.len()) as isize;
    let (kept, dropped) = digits.split_at((point + isize::from(scale)) as usize);
    let half = format!("5{}", "0".repeat(dropped.len() - 1));
    let mut kept = kept.to_owned();
    let is_odd = kept.ends_with(['1', '3', '5', '7', '9']);
    let up = match rounding {
        Rounding::Error if dropped.contains(|digit| digit != '0') => return None,
        Rounding::Error | Rounding::Down => false,
        Rounding::HalfUp => *dropped >= *half,
        Rounding::HalfEven => *dropped > *half || (*dropped == *half && is_odd),
    };
    if up {
        let nines = kept.len() - kept.trim_end_matches('9').len();
        let at = kept.len() - nines - 1;
        let next = char::from(kept.as_bytes()[at] + 1);
        kept = format!("{}{next}{}", &kept[..at], "0".repeat(nines));
    }
    let significant = kept.trim_start_matches('0');
    if significant.len() > usize::from(precision) {
        return None;
    }
    Some(if significant.is_empty() { 0 } else { significant.parse().unwrap() })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn every_decimal_is_the_one_of_its_digits(
        sign in prop_oneof![Just(""), Just("-"), Just("+")],
        whole in "0{0,3}[0-9]{0,42}",
        fraction in prop_oneof![Just(None), "[0-9]{0,42}".prop_map(Some), "[0-9]{0,6}5?0{0,20}".prop_map(Some)],
        precision in 1_u8..=38,
        scale in 0_i8..=38,
        rounding in prop_oneof![
            Just(Rounding::Error), Just(Rounding::Down), Just(Rounding::HalfUp), Just(Rounding::HalfEven)],
    ) {
        let digits = fraction.clone().unwrap_or_default();
        prop_assume!(whole.len() + digits.len() > 0);
        let text = match &fraction {
            Some(fraction) => format!("{sign}{whole}.{fraction}"),
            None => format!("{sign}{whole}"),
        };
        let caster = caster(&Kind::Decimal(precision, scale), |rules| rules.rounding = rounding);
        let expected = oracle(&whole, &digits, precision, scale, rounding).map(|value| {
            let value = i128::try_from(value).unwrap();
            Value::Decimal(if sign == "-" { -value } else { value })
        });
        gives(&caster, &text, expected);
    }

    #[test]
    fn short_decimals_are_read_by_the_same_rules(
        sign in prop_oneof![Just(""), Just("-")],
        whole in "[0-9]{0,12}",
        fraction in "[0-9]{0,8}",
        precision in 1_u8..=20,
        scale in 0_i8..=20,
    ) {
        prop_assume!(whole.len() + fraction.len() > 0);
        let caster = caster(&Kind::Decimal(precision, scale), |_| {});
        let expected = oracle(&whole, &fraction, precision, scale, Rounding::Error).map(|value| {
            let value = i128::try_from(value).unwrap();
            Value::Decimal(if sign == "-" { -value } else { value })
        });
        let text = format!("{sign}{whole}.{fraction}");
        gives(&caster, &text, expected);
    }
}

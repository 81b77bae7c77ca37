//! What holds for any text, any type and any rules.

use base64::Engine as _;
use jiff::civil;
use jiff::tz::{AmbiguousOffset, TimeZone};
use proptest::prelude::*;

use super::{caster, gives, takes};
use crate::lexical::{Caster, Memory, Value};
use crate::model::mapping::{BinaryText, Kind, Precision, Rounding, Trim, ValueRules};

fn kind() -> impl Strategy<Value = Kind> {
    let precision = || prop_oneof![Just(Precision::Milli), Just(Precision::Micro), Just(Precision::Nano)];
    prop_oneof![
        Just(Kind::String),
        Just(Kind::Bool),
        Just(Kind::Int8),
        Just(Kind::Int64),
        Just(Kind::Float32),
        Just(Kind::Float64),
        (any::<u8>(), any::<i8>()).prop_map(|(precision, scale)| Kind::Decimal(precision, scale)),
        (1_u8..=38, 0_i8..20).prop_map(|(precision, scale)| Kind::Decimal(precision, scale)),
        Just(Kind::Date),
        precision().prop_map(Kind::Time),
        precision().prop_map(Kind::Timestamp),
        precision().prop_map(Kind::LocalTimestamp),
        Just(Kind::Binary(BinaryText::Base64)),
        Just(Kind::Binary(BinaryText::Hex)),
        Just(Kind::Json),
        Just(Kind::Xml),
    ]
}

/// Texts that are nearly values of some type, and any others.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[-+0-9.,eEINFTZa:' \u{a0}]{0,24}",
        "-?[0-9]{4,10}-[0-1][0-9]-[0-3][0-9](T[0-2][0-9]:[0-5][0-9]:[0-6][0-9](\\.[0-9]{1,12})?)?(Z|[-+][01][0-9]:[0-5][0-9])?",
        "[0-3]?[0-9]/[01]?[0-9]/[0-9]{4} [0-2]?[0-9]:[0-5][0-9]( ?[APap][Mm])?",
        "(Mon|friday|sun) [0-9]{1,2} (jan|February|dec) [0-9]{4}",
        "[A-Za-z0-9+/ ]{0,20}={0,2}",
        "[\\[\\]{}\":,0-9a tfn.\\\\-]{0,20}",
        any::<String>(),
    ]
}

fn rules() -> impl Strategy<Value = ValueRules> {
    let few = |strategy: BoxedStrategy<String>| proptest::collection::vec(strategy, 0..3);
    let maybe = || proptest::option::weighted(0.2, text());
    let pattern = prop_oneof![
        proptest::sample::select(vec![
            "%d/%m/%Y %H:%M",
            "%F",
            "%FT%T%.f%z",
            "%T",
            "%a %d %b %Y",
            "%s",
            "%Y%j",
            "%I:%M %p"
        ])
        .prop_map(str::to_owned),
        "(%[-_0]?[A-Za-z%.:3]f?|[ /:T-]){0,8}",
        any::<String>(),
    ];
    let marks =
        || proptest::option::weighted(0.3, prop_oneof![Just(','), Just('.'), Just(' '), Just('\''), any::<char>()]);
    let patterns = prop_oneof![3 => Just(Vec::new()).boxed(), 1 => few(pattern.boxed()).boxed()];
    let zone = proptest::option::weighted(0.2, proptest::sample::select(vec!["UTC", "Europe/Paris", "Nowhere"]));
    let regex =
        proptest::option::weighted(0.2, prop_oneof![Just("[0-9.]*".to_owned()), "[a()\\[\\]*+?{}1,|\\\\]{0,8}"]);
    let lengths = (proptest::option::weighted(0.2, 0_u64..9), proptest::option::weighted(0.2, 0_u64..20));
    (
        (
            proptest::sample::select(vec![Trim::None, Trim::Both, Trim::Collapse]),
            few(text().boxed()),
            maybe(),
            patterns,
            zone,
        ),
        (marks(), marks()),
        proptest::sample::select(vec![Rounding::Error, Rounding::HalfEven, Rounding::HalfUp, Rounding::Down]),
        (
            prop_oneof![3 => Just(Vec::new()).boxed(), 1 => few(text().boxed()).boxed()],
            regex,
            maybe(),
            maybe(),
            lengths,
        ),
    )
        .prop_map(
            |(
                (trim, nulls, default, formats, zone),
                (decimal, group),
                rounding,
                (allowed, regex, min, max, lengths),
            )| {
                ValueRules {
                    trim,
                    null_values: nulls,
                    default,
                    formats,
                    zone: zone.map(str::to_owned),
                    decimal,
                    group,
                    rounding,
                    allowed,
                    regex,
                    min,
                    max,
                    min_length: lengths.0,
                    max_length: lengths.1,
                }
            },
        )
}

const KEYS: [&str; 14] = [
    "type",
    "null_values",
    "default",
    "format",
    "zone",
    "decimal",
    "group",
    "rounding",
    "enum",
    "regex",
    "min",
    "max",
    "min_length",
    "max_length",
];

/// `rules` without what is wrong with it.
fn repaired(kind: &Kind, mut rules: ValueRules) -> Option<(Caster, ValueRules)> {
    for _ in 0..KEYS.len() {
        let wrong = match Caster::new(kind, &rules) {
            Ok(caster) => return Some((caster, rules)),
            Err(wrong) => wrong,
        };
        assert!(!wrong.is_empty());
        for wrong in wrong {
            assert!(KEYS.contains(&wrong.key) && !wrong.message.is_empty() && wrong.help.is_some(), "{wrong:?}");
            assert!(!wrong.message.contains('\n'), "{wrong:?}");
            match wrong.key {
                "null_values" => rules.null_values.clear(),
                "default" => rules.default = None,
                "format" => rules.formats.clear(),
                "zone" => rules.zone = None,
                "decimal" => rules.decimal = None,
                "group" => rules.group = None,
                "rounding" => rules.rounding = Rounding::Error,
                "enum" => rules.allowed.clear(),
                "regex" => rules.regex = None,
                "min" => rules.min = None,
                "max" => rules.max = None,
                "min_length" => rules.min_length = None,
                "max_length" => rules.max_length = None,
                _ => return None,
            }
        }
    }
    panic!("never right: {kind:?} {rules:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn any_text_any_type_any_rules(kind in kind(), rules in rules(), texts in proptest::collection::vec(text(), 1..6)) {
        let Some((caster, rules)) = repaired(&kind, rules) else { return Ok(()) };
        let mut memory = Memory::default();
        for text in &texts {
            let answer = format!("{:?}", caster.cast(text, &mut memory));
            prop_assert_eq!(&answer, &format!("{:?}", caster.cast(text, &mut Memory::default())), "{:?}", text);
            if answer.contains("Null") && answer.len() < 10 {
                prop_assert!(rules.default.is_none());
            }
            let value = caster.cast(text, &mut memory);
            let is_of_kind = matches!(
                (&kind, &value),
                (_, Err(_) | Ok(Value::Null))
                    | (Kind::String | Kind::Json | Kind::Xml, Ok(Value::Text(_)))
                    | (Kind::Bool, Ok(Value::Bool(_)))
                    | (Kind::Int8, Ok(Value::Int(-128..=127)))
                    | (Kind::Int64 | Kind::Timestamp(_) | Kind::LocalTimestamp(_), Ok(Value::Int(_)))
                    | (Kind::Time(_), Ok(Value::Int(0..86_400_000_000_000)))
                    | (Kind::Date, Ok(Value::Int(-2_147_483_648..=2_147_483_647)))
                    | (Kind::Float32, Ok(Value::Float32(_)))
                    | (Kind::Float64, Ok(Value::Float64(_)))
                    | (Kind::Decimal(..), Ok(Value::Decimal(_)))
                    | (Kind::Binary(_), Ok(Value::Bytes(_)))
            );
            prop_assert!(is_of_kind, "{:?} {:?}", kind, value);
        }
    }

    #[test]
    fn every_whole_number_comes_back(value in any::<i64>(), zeros in 0_usize..30, shift in 0_u32..64) {
        let value = value >> shift;
        let sign = if value < 0 { "-" } else if zeros % 3 == 0 { "+" } else { "" };
        let text = format!("{sign}{}{}", "0".repeat(zeros), value.unsigned_abs());
        for (kind, low, high) in [
            (Kind::Int8, i64::from(i8::MIN), i64::from(i8::MAX)),
            (Kind::Int16, i64::from(i16::MIN), i64::from(i16::MAX)),
            (Kind::Int32, i64::from(i32::MIN), i64::from(i32::MAX)),
            (Kind::Int64, i64::MIN, i64::MAX),
        ] {
            let expected = (low..=high).contains(&value).then_some(Value::Int(value));
            gives(&caster(&kind, |_| {}), &text, expected);
        }
    }

    #[test]
    fn a_text_is_a_whole_number_when_the_standard_library_says_so(text in "[-+]?[0-9]{0,22}.?[0-9]?") {
        let expected = text.parse::<i64>().ok().map(Value::Int);
        let expected = if text.is_empty() { Some(Value::Null) } else { expected };
        gives(&caster(&Kind::Int64, |_| {}), &text, expected);
    }

    #[test]
    fn every_float_comes_back(bits in any::<u64>(), single in any::<u32>()) {
        let (double, single) = (f64::from_bits(bits), f32::from_bits(single));
        prop_assume!(double.is_finite() && single.is_finite());
        let caster64 = caster(&Kind::Float64, |_| {});
        for text in [format!("{double}"), format!("{double:e}"), format!("{double:E}")] {
            gives(&caster64, &text, Some(Value::Float64(double)));
        }
        gives(&caster(&Kind::Float32, |_| {}), &format!("{single:e}"), Some(Value::Float32(single)));
    }

    #[test]
    fn every_day_of_the_calendar_is_the_one_jiff_means(days in -4_371_587_i32..=2_932_896) {
        let day = civil::date(1970, 1, 1) + jiff::Span::new().days(days);
        let text = if day.year() < 0 {
            format!("-{:04}-{:02}-{:02}", -day.year(), day.month(), day.day())
        } else {
            day.to_string()
        };
        let expected = Some(Value::Int(i64::from(days)));
        gives(&caster(&Kind::Date, |_| {}), &text, expected);
    }

    #[test]
    fn the_calendar_repeats_every_400_years(
        days in -719_162_i64..2_932_896,
        cycles in proptest::sample::select(vec![-14_000_i64, -300, -25, 25, 77, 1_000, 14_000]),
    ) {
        let day = civil::date(1970, 1, 1) + jiff::Span::new().days(days);
        let year = i64::from(day.year()) + cycles * 400;
        let sign = if year < 0 { "-" } else { "" };
        let text = format!("{sign}{:04}-{:02}-{:02}", year.abs(), day.month(), day.day());
        let expected = Some(Value::Int(days + cycles * 146_097));
        gives(&caster(&Kind::Date, |_| {}), &text, expected);
    }

    #[test]
    fn every_instant_is_the_one_jiff_means(
        nanos in i64::MIN..i64::MAX, offset in -14 * 60_i32..=14 * 60, digits in 0_u32..=9,
    ) {
        let nanos = i128::from(nanos) / 10_i128.pow(9 - digits) * 10_i128.pow(9 - digits);
        let instant = jiff::Timestamp::from_nanosecond(nanos).unwrap();
        let offset = jiff::tz::Offset::from_seconds(offset * 60).unwrap();
        let written = instant.display_with_offset(offset).to_string();
        for (precision, places) in [(Precision::Milli, 3), (Precision::Micro, 6), (Precision::Nano, 9)] {
            let unit = 10_i128.pow(9 - places);
            for rounding in [Rounding::Error, Rounding::Down, Rounding::HalfUp, Rounding::HalfEven] {
                let (below, rest) = (nanos.div_euclid(unit), nanos.rem_euclid(unit));
                let expected = match rounding {
                    _ if rest == 0 => Some(below),
                    Rounding::Error => None,
                    Rounding::Down => Some(below),
                    Rounding::HalfUp => Some(if rest * 2 >= unit { below + 1 } else { below }),
                    Rounding::HalfEven if rest * 2 == unit => Some(below + below.rem_euclid(2)),
                    Rounding::HalfEven => Some(if rest * 2 > unit { below + 1 } else { below }),
                };
                let expected = expected.map(|ticks| Value::Int(i64::try_from(ticks).unwrap()));
                let caster = caster(&Kind::Timestamp(precision), |rules| rules.rounding = rounding);
                gives(&caster, &written, expected);
            }
        }
    }

    #[test]
    fn every_local_time_is_the_one_jiff_means(
        second in -2_208_988_800_i64..4_102_444_800,
        near in proptest::option::of((0_i64..130, -4_000_i64..4_000)),
        name in proptest::sample::select(vec![
            "Europe/Paris", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "Africa/Casablanca", "UTC"]),
    ) {
        let zone = TimeZone::get(name).unwrap();
        // Half of them lie near a change of the clocks.
        let second = match near {
            None => second,
            Some((count, shift)) => {
                let start = jiff::Timestamp::from_second(0).unwrap();
                let change = zone.following(start).nth(usize::try_from(count).unwrap());
                change.map_or(second, |change| change.timestamp().as_second() + i64::from(change.offset().seconds()) + shift)
            }
        };
        let local = jiff::tz::Offset::UTC.to_datetime(jiff::Timestamp::from_second(second).unwrap());
        let expected = match zone.to_ambiguous_timestamp(local).offset() {
            AmbiguousOffset::Unambiguous { offset } => Some(Value::Int((second - i64::from(offset.seconds())) * 1000)),
            _ => None,
        };
        let caster = caster(&Kind::Timestamp(Precision::Milli), |rules| rules.zone = Some(name.into()));
        gives(&caster, &local.to_string(), expected);
    }

    #[test]
    fn what_jiff_writes_by_a_pattern_is_read_by_it(
        second in -2_208_988_800_i64..4_102_444_800,
        format in proptest::sample::select(vec![
            "%Y-%m-%d %H:%M:%S", "%d/%m/%Y %T", "%e %B %Y, %l:%M:%S %p", "%A %d %b %Y %k:%M:%S", "%Y%m%d%H%M%S",
            "%j/%Y %I.%M.%S%P", "%a, %-d %h %Y %-H:%M:%S", "%FT%T", "%B %_d %Y %R:%S",
        ]),
    ) {
        let local = jiff::tz::Offset::UTC.to_datetime(jiff::Timestamp::from_second(second).unwrap());
        let text = local.strftime(format).to_string();
        let caster = caster(&Kind::LocalTimestamp(Precision::Milli), |rules| rules.formats = vec![format.into()]);
        let expected = Some(Value::Int(second * 1000));
        gives(&caster, &text, expected);
    }

    #[test]
    fn groups_are_those_of_the_grammar(text in "[-+]?[0-9.]{0,4}([.][0-9]{2,3}){0,3}(,[0-9.]{0,3})?") {
        prop_assume!(!text.is_empty());
        let grammar = r"^[-+]?([0-9]*|[0-9]{1,3}(\.[0-9]{3})+|[0-9]{1,2}(\.[0-9]{2})*\.[0-9]{3})(,[0-9]*)?$";
        let has_digit = text.split(',').next().is_some_and(|whole| whole.contains(|c: char| c.is_ascii_digit()))
            || text.split(',').nth(1).is_some_and(|fraction| !fraction.is_empty());
        let expected = regex::Regex::new(grammar).unwrap().is_match(&text) && has_digit;
        let caster = caster(&Kind::Decimal(30, 6), |rules| (rules.decimal, rules.group) = (Some(','), Some('.')));
        let mut memory = Memory::default();
        let value = caster.cast(&text, &mut memory);
        prop_assert_eq!(value.is_ok(), expected, "{} {:?}", text, value);
        if let Ok(Value::Decimal(value)) = value {
            let plain: f64 = text.replace('.', "").replace(',', ".").parse().unwrap();
            prop_assert!((value as f64 / 1e6 - plain).abs() <= plain.abs() * 1e-12, "{} {}", text, value);
        }
    }

    #[test]
    fn bytes_come_back(bytes in proptest::collection::vec(any::<u8>(), 1..100), width in 1_usize..80) {
        let plain = base64::engine::general_purpose::STANDARD.encode(&bytes);
        let lines: Vec<&str> =
            plain.as_bytes().chunks(width).map(|line| std::str::from_utf8(line).unwrap()).collect();
        let base64 = caster(&Kind::Binary(BinaryText::Base64), |_| {});
        gives(&base64, &lines.join("\r\n"), Some(Value::Bytes(&bytes)));
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        gives(&caster(&Kind::Binary(BinaryText::Hex), |_| {}), &hex, Some(Value::Bytes(&bytes)));
    }

    #[test]
    fn a_text_is_json_when_serde_says_so(
        text in prop_oneof![
            "[\\[\\]{}\":, 0-2tn\\\\-]{0,12}",
            "-?[0-9]{0,3}(\\.[0-9]{0,2})?([eE][-+]?[0-9]{0,2})?",
            "\\{\"a\": ?(1|\\[(1,)?2\\]|\\{\\}|tru?e|null|false),? ?\"\\\\?[bu\u{e9}\\n\\\\/][0-9a-f]{3,4}\"(:0)?\\} ?",
        ],
        cut in proptest::option::of(0_usize..20),
    ) {
        let text = cut.and_then(|cut| text.get(..cut)).unwrap_or(&text);
        prop_assume!(!text.is_empty());
        let expected = serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
        prop_assert_eq!(takes(&caster(&Kind::Json, |_| {}), text), expected, "{:?}", text);
    }

    #[test]
    fn white_space_is_gone_and_nothing_else(text in "[ab \t\n\r\u{a0}]{0,20}") {
        let words: Vec<&str> = text.split([' ', '\t', '\n', '\r']).filter(|word| !word.is_empty()).collect();
        let collapsed = words.join(" ");
        let expected = if collapsed.is_empty() { Value::Null } else { Value::Text(&collapsed) };
        let caster = caster(&Kind::String, |rules| rules.trim = Trim::Collapse);
        gives(&caster, &text, Some(expected));
    }

    #[test]
    fn lengths_are_counted_in_characters(text in "[a\u{e9}\u{20ac}\u{1f600}]{1,12}", least in 0_u64..14, more in 0_u64..6) {
        let caster = caster(&Kind::String, |rules| {
            (rules.min_length, rules.max_length) = (Some(least), Some(least + more));
        });
        let expected = (least..=least + more).contains(&(text.chars().count() as u64));
        prop_assert_eq!(takes(&caster, &text), expected);
    }

    #[test]
    fn bounds_are_those_of_the_numbers(value in -2000_i64..2000, low in -2000_i64..2000, high in -2000_i64..2000) {
        let (low, high) = (low.min(high), low.max(high));
        for kind in [Kind::Int32, Kind::Float32, Kind::Float64, Kind::Decimal(9, 3)] {
            let caster = caster(&kind, |rules| {
                (rules.min, rules.max) = (Some(low.to_string()), Some(format!("+{}", high.abs())));
                if high < 0 { rules.max = Some(high.to_string()); }
            });
            let is_in = takes(&caster, &value.to_string());
            prop_assert_eq!(is_in, (low..=high).contains(&value), "{:?}", kind);
        }
    }

    #[test]
    fn enum_finds_every_value_that_is_listed(listed in proptest::collection::vec(-50_i32..50, 1..30), value in -50_i32..50) {
        for kind in [Kind::Int32, Kind::Float64, Kind::Decimal(9, 3), Kind::String] {
            let caster = caster(&kind, |rules| rules.allowed = listed.iter().map(i32::to_string).collect());
            let is_in = takes(&caster, &value.to_string());
            prop_assert_eq!(is_in, listed.contains(&value), "{:?}", kind);
        }
    }
}

//! Dates and times as XML Schema writes them.

use super::{caster, refused, shown, table};
use crate::model::mapping::{Kind, Precision, Rounding};

const DAY: i64 = 86_400;

#[test]
fn dates_are_those_of_the_calendar() {
    let date = caster(&Kind::Date, |_| {});
    table(
        &date,
        &[
            ("1970-01-01", "Int(0)"),
            ("1969-12-31", "Int(-1)"),
            ("2000-02-29", "Int(11016)"),
            ("2026-10-15Z", "Int(20741)"),
            ("2026-10-15+14:00", "Int(20741)"),
            ("2026-10-15-00:00", "Int(20741)"),
            ("0001-01-01", "Int(-719162)"),
            // 1 BC, a leap year, and 2 BC.
            ("0000-02-29", "Int(-719469)"),
            ("-0000-02-29", "Int(-719469)"),
            ("-0001-12-31", "Int(-719529)"),
            ("9999-12-31", "Int(2932896)"),
            ("10000-01-01", "Int(2932897)"),
            // The ends of 32 bits.
            ("5881580-07-11", "Int(2147483647)"),
            ("5881580-07-12", "type.date: out of the range of a date"),
            ("-5877641-06-23", "Int(-2147483648)"),
            ("-5877641-06-22", "type.date: out of the range of a date"),
        ],
    );
    refused(
        &date,
        "type.date: not a date of the form 2026-10-15",
        &[
            "x",
            "2026-1-1",
            "2026-13-01",
            "2026-00-10",
            "2026-02-29",
            "1900-02-29",
            "2026-04-31",
            "2026-10-00",
            "2026-10-15T",
            "2026-10-15T00:00:00",
            "20261015",
            "02026-10-15",
            "+2026-10-15",
            "--2026-10-15",
            "226-10-15",
            "99999999999-01-01",
            "2026-10-15+14:01",
            "2026-10-15+15:00",
            "2026-10-15+02",
            "2026-10-15z",
            " 2026-10-15",
            "2026-10-155",
            "2026/10/15",
            "15.10.2026",
            "2026-W42-4",
            "\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}",
        ],
    );
}

#[test]
fn times_are_those_of_a_clock() {
    let time = caster(&Kind::Time(Precision::Milli), |_| {});
    table(
        &time,
        &[
            ("00:00:00", "Int(0)"),
            ("18:42:00", "Int(67320000)"),
            ("23:59:59.999", "Int(86399999)"),
            ("12:00:00.5Z", "Int(43200500)"),
            ("12:00:00+02:00", "Int(43200000)"),
            // The last instant of a day is the first one of the next, and a time has no day.
            ("24:00:00", "Int(0)"),
            ("24:00:00.000", "Int(0)"),
            ("12:00:00.1230", "Int(43200123)"),
            ("12:00:00.1234", "type.time: finer than a millisecond, which its column has no room for"),
        ],
    );
    refused(
        &time,
        "type.time: not a time of the form 18:42:00",
        &[
            "18:42",
            "1:02:03",
            "24:00:01",
            "24:00:00.1",
            "25:00:00",
            "18:60:00",
            "18:42:60",
            "23:59:60",
            "18:42:00.",
            "18:42:00,5",
            "184200",
            "18:42:00+14:01",
            "18:42:00 Z",
            "T18:42:00",
            "6:42 pm",
        ],
    );
    assert_eq!(shown(&caster(&Kind::Time(Precision::Nano), |_| {}), "23:59:59.999999999"), "Int(86399999999999)");
}

#[test]
fn timestamps_are_instants() {
    let micro = caster(&Kind::Timestamp(Precision::Micro), |_| {});
    let base = 20_741 * DAY * 1_000_000 + (18 * 3600 + 42 * 60) * 1_000_000;
    for (text, micros) in [
        ("2026-10-15T18:42:00Z", base),
        ("2026-10-15T18:42:00", base),
        ("2026-10-15T18:42:00-00:00", base),
        ("2026-10-15T20:42:00+02:00", base),
        ("2026-10-15T13:12:00-05:30", base),
        ("2026-10-16T08:42:00+14:00", base),
        ("2026-10-15T18:42:00.5Z", base + 500_000),
        ("2026-10-15T18:42:00.123456000Z", base + 123_456),
        ("2026-10-15T24:00:00Z", 20_742 * DAY * 1_000_000),
        ("2026-12-31T24:00:00", 20_819 * DAY * 1_000_000),
        ("0001-01-01T00:00:00Z", -719_162 * DAY * 1_000_000),
        ("0000-01-01T00:00:00Z", -719_528 * DAY * 1_000_000),
        ("12026-10-15T00:00:00Z", 3_673_166 * DAY * 1_000_000),
        ("294247-01-10T04:00:54.775807Z", i64::MAX),
        ("-290308-12-21T19:59:05.224192Z", i64::MIN),
    ] {
        assert_eq!(shown(&micro, text), format!("Int({micros})"), "{text}");
    }
    table(
        &micro,
        &[
            ("294247-01-10T04:00:54.775808Z", "type.timestamp: out of the range of its unit"),
            ("-290308-12-21T19:59:05.224191Z", "type.timestamp: out of the range of its unit"),
            ("999999999-01-01T00:00:00Z", "type.timestamp: out of the range of its unit"),
            (
                "2026-10-15T18:42:00.1234567Z",
                "type.timestamp: finer than a microsecond, which its column has no room for",
            ),
        ],
    );
    refused(
        &micro,
        "type.timestamp: not a timestamp of the form 2026-10-15T18:42:00Z",
        &[
            "2026-10-15 18:42:00Z",
            "2026-10-15t18:42:00Z",
            "2026-10-15T18:42Z",
            "2026-10-15T25:00:00Z",
            "2026-10-15T24:00:00.1Z",
            "2026-10-15T24:00:01Z",
            "2026-10-15T18:60:00Z",
            "2026-10-15T18:42:60Z",
            "2016-12-31T23:59:60Z",
            "2026-10-15T18:42:00.Z",
            "2026-10-15T18:42:00+15:00",
            "2026-10-15T18:42:00+14:01",
            "2026-10-15T18:42:00+0200",
            "2026-10-15T18:42:00z",
            "2026-10-15",
            "18:42:00",
            "2026-02-30T00:00:00Z",
            "1697380920",
            "2026-10-15T18:42:00Zx",
        ],
    );
}

#[test]
fn nanoseconds_end_in_2262() {
    let nano = caster(&Kind::Timestamp(Precision::Nano), |_| {});
    table(
        &nano,
        &[
            ("2262-04-11T23:47:16.854775807Z", "Int(9223372036854775807)"),
            (
                "2262-04-11T23:47:16.854775808Z",
                "type.timestamp: out of the range of nanoseconds, 1677-09-21 to 2262-04-11",
            ),
            ("1677-09-21T00:12:43.145224192Z", "Int(-9223372036854775808)"),
            (
                "1677-09-21T00:12:43.145224191Z",
                "type.timestamp: out of the range of nanoseconds, 1677-09-21 to 2262-04-11",
            ),
            (
                "1970-01-01T00:00:00.0000000001Z",
                "type.timestamp: finer than a nanosecond, which its column has no room for",
            ),
        ],
    );
}

#[test]
fn a_local_timestamp_has_no_zone() {
    let local = caster(&Kind::LocalTimestamp(Precision::Milli), |_| {});
    table(
        &local,
        &[
            ("1970-01-02T00:00:00.001", "Int(86400001)"),
            ("1970-01-01T24:00:00", "Int(86400000)"),
            ("1970-01-02T00:00:00Z", "type.timestamp: a timestamp with a zone, which its column has no place for"),
            ("1970-01-02", "type.timestamp: not a timestamp of the form 2026-10-15T18:42:00"),
        ],
    );
}

#[test]
fn finer_digits_are_rounded_when_asked_for() {
    let cases = |rounding, expected: [i64; 6]| {
        let texts = ["00.0000005", "00.0000015", "00.00000051", "00.0000004999", "59.9999999", "00.000000"];
        let caster = caster(&Kind::Timestamp(Precision::Micro), |rules| rules.rounding = rounding);
        for (text, ticks) in texts.iter().zip(expected) {
            assert_eq!(shown(&caster, &format!("1970-01-01T00:00:{text}Z")), format!("Int({ticks})"), "{text}");
        }
    };
    cases(Rounding::Down, [0, 1, 0, 0, 59_999_999, 0]);
    cases(Rounding::HalfUp, [1, 2, 1, 0, 60_000_000, 0]);
    cases(Rounding::HalfEven, [0, 2, 1, 0, 60_000_000, 0]);
    // Up is later, before 1970 too.
    let up = caster(&Kind::Timestamp(Precision::Milli), |rules| rules.rounding = Rounding::HalfUp);
    assert_eq!(shown(&up, "1969-12-31T23:59:59.9985Z"), "Int(-1)");
    let time = caster(&Kind::Time(Precision::Milli), |rules| rules.rounding = Rounding::HalfUp);
    table(
        &time,
        &[
            ("23:59:59.9994", "Int(86399999)"),
            ("23:59:59.9995", "type.time: rounded up to the end of the day, which a time has no room for"),
        ],
    );
}

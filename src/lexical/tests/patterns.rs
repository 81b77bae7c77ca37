//! Dates and times by the patterns of the mapping.

use super::{caster, refused, shown, table, wrong};
use crate::lexical::Caster;
use crate::model::mapping::{Kind, Precision, Rounding};

fn by(kind: &Kind, formats: &[&str]) -> Caster {
    caster(kind, |rules| rules.formats = formats.iter().map(|&format| format.to_owned()).collect())
}

fn date(format: &str) -> Caster {
    by(&Kind::Date, &[format])
}

/// A date as days, from its ISO form.
fn days(iso: &str) -> String {
    shown(&caster(&Kind::Date, |_| {}), iso)
}

/// An instant in microseconds, from its ISO form.
fn micros(iso: &str) -> String {
    shown(&caster(&Kind::Timestamp(Precision::Micro), |_| {}), iso)
}

#[test]
fn dates_by_their_parts() {
    for (format, text, iso) in [
        ("%d/%m/%Y", "15/10/2026", "2026-10-15"),
        ("%d/%m/%Y", "5/1/2026", "2026-01-05"),
        ("%d.%m.%y", "15.10.26", "2026-10-15"),
        ("%d.%m.%y", "15.10.69", "1969-10-15"),
        ("%d.%m.%y", "15.10.68", "2068-10-15"),
        ("%Y%m%d", "20261015", "2026-10-15"),
        ("%y%m%d", "261015", "2026-10-15"),
        ("%Y%j", "2026001", "2026-01-01"),
        ("%Y-%j", "2024-366", "2024-12-31"),
        ("%Y-%j", "2026-1", "2026-01-01"),
        ("%d %b %Y", "15 Oct 2026", "2026-10-15"),
        ("%d %b %Y", "15\u{a0}october \t2026", "2026-10-15"),
        ("%B %e, %Y", "may  5, 2026", "2026-05-05"),
        ("%a, %d-%b-%Y", "Thu, 15-OCT-2026", "2026-10-15"),
        ("%A %d %h %Y", "thursday 15 Oct 2026", "2026-10-15"),
        ("%D", "10/15/26", "2026-10-15"),
        ("%F", "2026-10-15", "2026-10-15"),
        ("%F%z", "2026-10-15+14:00", "2026-10-15"),
        ("%Y-%m-%dT%T", "2026-10-15T23:59:59", "2026-10-15"),
        ("100%% %F", "100% 2026-10-15", "2026-10-15"),
        ("le %d%nde %m%tde %Y", "le 15 de 10\nde 2026", "2026-10-15"),
        ("%_d/%-m/%Y", " 5/1/2026", "2026-01-05"),
        ("%_d%m%Y", " 5012026", "2026-01-05"),
    ] {
        assert_eq!(shown(&date(format), text), days(iso), "{format} {text}");
    }
}

#[test]
fn what_is_not_of_the_pattern_is_refused() {
    refused(
        &date("%d/%m/%Y"),
        "type.date: not a date of the form %d/%m/%Y",
        &[
            "2026-10-15",
            "15/10/26",
            "15/10/20266",
            "32/10/2026",
            "29/02/2026",
            "10/15/2026",
            "15/10/2026 ",
            " 15/10/2026",
            "15/10",
            "15//10/2026",
            "0/10/2026",
            "+5/10/2026",
            "015/10/2026",
            "15/10/-2026",
            "\u{661}5/10/2026",
        ],
    );
    refused(&date("%Y%m%d"), "type.date", &["2026115", "202610155", "0991015", "2026 115"]);
    refused(&date("%Y%j"), "type.date", &["20261", "2026000", "2026366"]);
    refused(
        &date("%a %F"),
        "type.date",
        &["Wed 2026-10-15", "T 2026-10-15", "Thurs 2026-10-15", "Th\u{e9} 2026-10-15"],
    );
    refused(&date("%d %b %Y"), "type.date", &["15Oct2026", "15 Okt 2026", "15 Octo 2026", "15 oc", "15 \u{e9}\u{e9}"]);
    assert_eq!(shown(&by(&Kind::Date, &["%d/%m/%Y", "%F"]), "x"), "type.date: not a date of the form %d/%m/%Y or %F");
}

#[test]
fn the_first_pattern_that_fits_is_taken() {
    let both = by(&Kind::Date, &["%d/%m/%Y", "%m/%d/%Y", "%F"]);
    assert_eq!(shown(&both, "05/06/2026"), days("2026-06-05"));
    assert_eq!(shown(&both, "05/16/2026"), days("2026-05-16"));
    assert_eq!(shown(&both, "2026-06-05"), days("2026-06-05"));
}

#[test]
fn times_by_their_parts() {
    let time = |format: &str, text: &str| shown(&by(&Kind::Time(Precision::Milli), &[format]), text);
    for (format, text, seconds) in [
        ("%H:%M", "18:42", 67_320),
        ("%R", "8:05", 29_100),
        ("%T", "24:00:00", 0),
        ("%H%M%S", "184205", 67_325),
        ("%I:%M %p", "12:00 AM", 0),
        ("%I:%M %p", "12:30 pm", 45_000),
        ("%I:%M%P", "6:42pm", 67_320),
        ("%l.%M %p", " 6.42 PM", 67_320),
        ("%k:%M", " 6:42", 24_120),
        ("%Hh", "6h", 21_600),
        ("%H:%M %d/%m/%Y", "06:00 15/10/2026", 21_600),
        ("%T%.f", "06:00:00", 21_600),
        ("%T%.f", "06:00:00.000", 21_600),
        ("%T,%f", "06:00:00,000", 21_600),
        ("%T%:z", "06:00:00-05:00", 21_600),
    ] {
        assert_eq!(time(format, text), format!("Int({})", seconds * 1000), "{format} {text}");
    }
    assert_eq!(time("%H%M%S%f", "1842051"), "Int(67325100)");
    assert_eq!(time("%3f %T", "042 00:00:01"), "Int(1042)");
    for (format, text) in [
        ("%H:%M", "24:01"),
        ("%H:%M", "25:00"),
        ("%H:%M", "6:5:4"),
        ("%T", "23:59:60"),
        ("%T", "24:00:01"),
        ("%T%.f", "24:00:00.1"),
        ("%T%.f", "06:00:00."),
        ("%T,%f", "06:00:00,"),
        ("%T.%3f", "06:00:00.12"),
        ("%T.%3f", "06:00:00.1234"),
        ("%I:%M %p", "13:00 PM"),
        ("%I:%M %p", "0:00 AM"),
        ("%I:%M %p", "6:00 XM"),
        ("%I:%M %p", "6:00 P"),
        ("%H%M", "642"),
    ] {
        assert!(time(format, text).starts_with("type.time: not a time of the form"), "{format} {text}");
    }
}

#[test]
fn timestamps_by_their_parts() {
    let zoned = |format: &str, text: &str| shown(&by(&Kind::Timestamp(Precision::Micro), &[format]), text);
    for (format, text, iso) in [
        ("%F %T", "2026-10-15 18:42:00", "2026-10-15T18:42:00Z"),
        ("%F %T%.f %z", "2026-10-15 18:42:00.25 +0200", "2026-10-15T16:42:00.25Z"),
        ("%FT%T%:z", "2026-10-15T18:42:00+02", "2026-10-15T16:42:00Z"),
        ("%FT%T%z", "2026-10-15T18:42:00Z", "2026-10-15T18:42:00Z"),
        ("%FT%T%z", "2026-10-15T18:42:00-05:30", "2026-10-16T00:12:00Z"),
        ("%a %b %d %T CEST %Y", "Thu Oct 15 18:42:00 CEST 2026", "2026-10-15T18:42:00Z"),
        ("%d/%m/%Y", "15/10/2026", "2026-10-15T00:00:00Z"),
        ("%F %R", "2026-10-15 24:00", "2026-10-16T00:00:00Z"),
        ("%s", "0", "1970-01-01T00:00:00Z"),
        ("%s", "1791744120", "2026-10-11T18:42:00Z"),
        ("%s", "-1", "1969-12-31T23:59:59Z"),
        ("%s%.f", "1791744120.5", "2026-10-11T18:42:00.5Z"),
        ("%s%.f", "-1.000", "1969-12-31T23:59:59Z"),
    ] {
        assert_eq!(zoned(format, text), micros(iso), "{format} {text}");
    }
    for (format, text) in [
        ("%FT%T%z", "2026-10-15T18:42:00"),
        ("%FT%T%z", "2026-10-15T18:42:00+14:01"),
        ("%FT%T%z", "2026-10-15T18:42:00+2"),
        ("%FT%T%z", "2026-10-15T18:42:00+020"),
        ("%FT%T%z", "2026-10-15T18:42:00+02:0"),
        ("%FT%T%z", "2026-10-15T18:42:00z"),
        ("%s%.f", "-1.5"),
        ("%s", "9999999999999999"),
        ("%s", "-"),
        ("%s", "1e3"),
    ] {
        assert!(zoned(format, text).starts_with("type.timestamp: not a timestamp of the form"), "{format} {text}");
    }
    assert_eq!(
        zoned("%F %T%.f", "2026-10-15 18:42:00.1234567"),
        "type.timestamp: finer than a microsecond, which its column has no room for"
    );
    let rounded = caster(&Kind::Timestamp(Precision::Milli), |rules| {
        (rules.formats, rules.rounding) = (vec!["%s%.f".into()], Rounding::Down);
    });
    assert_eq!(shown(&rounded, "1.9999"), "Int(1999)");
    assert_eq!(shown(&rounded, "999999999999999"), "Int(999999999999999000)");
}

#[test]
fn a_pattern_and_a_zone() {
    let paris = caster(&Kind::Timestamp(Precision::Micro), |rules| {
        (rules.formats, rules.zone) = (vec!["%d/%m/%Y".into(), "%d/%m/%Y %R%z".into()], Some("Europe/Paris".into()));
    });
    assert_eq!(shown(&paris, "15/10/2026"), micros("2026-10-14T22:00:00Z"));
    assert_eq!(shown(&paris, "15/10/2026 12:00Z"), micros("2026-10-15T12:00:00Z"));
    let local = caster(&Kind::LocalTimestamp(Precision::Micro), |rules| {
        (rules.formats, rules.zone) = (vec!["%F %R%z".into(), "%s".into()], Some("Europe/Paris".into()));
    });
    assert_eq!(shown(&local, "2026-10-15 12:00+00:00"), micros("2026-10-15T14:00:00Z"));
    assert_eq!(shown(&local, "0"), "Int(3600000000)");
    table(&by(&Kind::LocalTimestamp(Precision::Milli), &["%F %R"]), &[("1970-01-01 01:00", "Int(3600000)")]);
}

#[test]
fn a_pattern_that_cannot_work_is_found_when_it_is_loaded() {
    let date_help = "read the year and either month and day or the day of the year: %Y-%m-%d, %Y-%j";
    let micro = Precision::Micro;
    for (kind, format, message) in [
        (Kind::Date, "%H:%M", format!("the pattern reads no date; {date_help}")),
        (Kind::Date, "", format!("the pattern reads no date; {date_help}")),
        (Kind::Date, "%d/%m", format!("the pattern reads only a part of a date; {date_help}")),
        (Kind::Date, "%Y", format!("the pattern reads only a part of a date; {date_help}")),
        (Kind::Date, "%Y-%m-%j", format!("the pattern reads only a part of a date; {date_help}")),
        (Kind::Timestamp(micro), "%T", format!("the pattern reads no date; {date_help}")),
        (Kind::Time(micro), "%d %T", format!("the pattern reads only a part of a date; {date_help}")),
        (Kind::Time(micro), "%F", "the pattern reads no time; read at least the hour: %H:%M:%S".into()),
        (Kind::Date, "%F %y", "the pattern reads the year twice; read everything once".into()),
        (Kind::Date, "%F %b", "the pattern reads the month twice; read everything once".into()),
        (Kind::Time(micro), "%H %H", "the pattern reads the hour twice; read everything once".into()),
        (Kind::Time(micro), "%M", "the pattern reads a part of a time and no hour; read the hour with %H, or %I and %p".into()),
        (Kind::Time(micro), "%I:%M", "%I and %p need each other; take %I with %p, or %H alone".into()),
        (Kind::Time(micro), "%H:%M %p", "the pattern reads an hour of 24 and AM or PM; take %I with %p, or %H alone".into()),
        (
            Kind::Time(micro),
            "%H:%S",
            "the pattern leaves a part of the time out; read hour, minute and second: %H:%M:%S".into(),
        ),
        (
            Kind::Time(micro),
            "%T%f%F",
            "nothing says where a number ends and the next begins; write how many digits the fraction has, such as %3f, or \
             what stands between"
                .into(),
        ),
        (Kind::Date, "%F %", "% is nothing that a pattern can read; write %% for a percent sign".into()),
        (
            Kind::Date,
            "%G-W%V-%u",
            "%G is nothing that a pattern can read; take %Y %m %d %y %j %b %a %H %I %p %M %S %f %.f %z %s %F %T %R %D".into(),
        ),
        (
            Kind::Timestamp(micro),
            "%F %T %Z",
            "%Z is nothing that a pattern can read; abbreviations of zones mean different things in different places: read \
             %z, or set zone and write the abbreviation as it stands in the values"
                .into(),
        ),
        (
            Kind::Timestamp(micro),
            "%F %T %Q",
            "%Q is nothing that a pattern can read; set zone, and write the zone as it stands in the values".into(),
        ),
        (Kind::Date, "%s", "%s is an instant, which has no date or time of its own; take type = \"timestamp\"".into()),
        (
            Kind::Timestamp(micro),
            "%s %z",
            "%s is the whole of a timestamp; read nothing besides it but a fraction: %s%.f".into(),
        ),
        (
            Kind::LocalTimestamp(micro),
            "%F %T%z",
            "the pattern reads an offset, and a timestamp_ntz has no place for it; set zone, whose local time is meant, or \
             take type = \"timestamp\""
                .into(),
        ),
        (
            Kind::LocalTimestamp(micro),
            "%s",
            "the pattern reads an offset, and a timestamp_ntz has no place for it; set zone, whose local time is meant, or \
             take type = \"timestamp\""
                .into(),
        ),
    ] {
        let found = wrong(&kind, |rules| rules.formats = vec![format.to_owned()]);
        assert_eq!(found, [format!("format: {format:?}: {message}")], "{kind:?}");
    }
    let long = "x".repeat(300);
    assert!(
        wrong(&Kind::Date, |rules| rules.formats = vec![long])[0]
            .ends_with("the pattern is too long; take at most 256 bytes")
    );
}

//! Zones: values that carry none, local times that clocks skip or show twice.

use super::{caster, shown, table};
use crate::model::mapping::{Kind, Precision};

fn instant(text: &str) -> String {
    let instant: jiff::Timestamp = text.parse().unwrap();
    format!("Int({})", instant.as_microsecond())
}

#[test]
fn a_zone_is_that_of_values_that_carry_none() {
    let paris = caster(&Kind::Timestamp(Precision::Micro), |rules| rules.zone = Some("Europe/Paris".into()));
    for (text, meant) in [
        ("2026-10-15T18:42:00", "2026-10-15T16:42:00Z"),
        ("2026-01-15T18:42:00.25", "2026-01-15T17:42:00.25Z"),
        ("2026-10-15T18:42:00Z", "2026-10-15T18:42:00Z"),
        ("2026-10-15T18:42:00+05:00", "2026-10-15T13:42:00Z"),
        // Just before and just after the hour that is skipped, and the hour that comes twice.
        ("2026-03-29T01:59:59", "2026-03-29T00:59:59Z"),
        ("2026-03-29T03:00:00", "2026-03-29T01:00:00Z"),
        ("2026-10-25T01:59:59", "2026-10-24T23:59:59Z"),
        ("2026-10-25T03:00:00", "2026-10-25T02:00:00Z"),
        ("2026-10-25T02:30:00+01:00", "2026-10-25T01:30:00Z"),
        // Local mean time, 9 minutes and 21 seconds ahead.
        ("1890-01-01T00:00:00", "1889-12-31T23:50:39Z"),
    ] {
        assert_eq!(shown(&paris, text), instant(meant), "{text}");
    }
    table(
        &paris,
        &[
            ("2026-03-29T02:30:00", "type.timestamp: a local time that the clocks of Europe/Paris skip"),
            (
                "2026-10-25T02:30:00",
                "type.timestamp: a local time that the clocks of Europe/Paris show twice, so its instant is not known",
            ),
            ("12026-01-01T00:00:00", "type.timestamp: beyond the years for which Europe/Paris has rules"),
        ],
    );
}

#[test]
fn utc_has_no_end() {
    for name in ["UTC", "Etc/UTC"] {
        let utc = caster(&Kind::Timestamp(Precision::Milli), |rules| rules.zone = Some(name.into()));
        assert_eq!(shown(&utc, "12026-01-01T00:00:00"), "Int(317336745600000)");
    }
}

#[test]
fn a_local_timestamp_is_that_of_its_zone() {
    let paris = caster(&Kind::LocalTimestamp(Precision::Micro), |rules| rules.zone = Some("Europe/Paris".into()));
    for (text, local) in [
        ("2026-10-15T18:42:00Z", "2026-10-15T20:42:00Z"),
        ("2026-10-15T18:42:00-05:00", "2026-10-16T01:42:00Z"),
        // Both of the hours that the clocks show twice, and a time without a zone that they skip, are local times.
        ("2026-10-25T00:30:00Z", "2026-10-25T02:30:00Z"),
        ("2026-10-25T01:30:00Z", "2026-10-25T02:30:00Z"),
        ("2026-03-29T02:30:00", "2026-03-29T02:30:00Z"),
    ] {
        assert_eq!(shown(&paris, text), instant(local), "{text}");
    }
    assert!(shown(&paris, "12026-01-01T00:00:00Z").ends_with("beyond the years for which Europe/Paris has rules"));
    assert!(shown(&paris, "12026-01-01T00:00:00").starts_with("Int("));
}

#[test]
fn a_zone_does_not_move_a_date() {
    let date = caster(&Kind::Date, |rules| rules.zone = Some("Pacific/Auckland".into()));
    table(&date, &[("2026-10-15", "Int(20741)"), ("2026-10-15Z", "Int(20741)"), ("2026-10-15-11:00", "Int(20741)")]);
}

use arrow::array::{Date32Array, TimestampMicrosecondArray, TimestampMillisecondArray, TimestampNanosecondArray};
use proptest::prelude::*;

use super::*;
use crate::model::table::{OnBadDate, Retire};

fn settings(zone: &str, date_min: DateBound, date_max: DateBound) -> ProcessedSettings {
    ProcessedSettings {
        record_id: vec!["id".into()],
        version: None,
        date: "added".into(),
        date_zone: zone.into(),
        on_bad_date: OnBadDate::Quarantine,
        date_min,
        date_max,
        retire: Retire::Immediate,
    }
}

fn day_of(zone: &str) -> DayOf {
    DayOf::new(&settings(zone, DateBound::Date(EPOCH), DateBound::Relative(1))).unwrap()
}

fn good_days(zone: &str, min: DateBound, max: DateBound) -> GoodDays {
    GoodDays::new(&settings(zone, min, max)).unwrap()
}

fn texts(days: &[Option<EpochDay>]) -> Vec<String> {
    days.iter().map(|day| day.and_then(day_text).unwrap_or_default()).collect()
}

#[test]
fn an_instant_falls_on_the_day_of_the_zone_and_a_clock_on_the_wall_on_its_own() {
    let at: Timestamp = "2026-10-15T22:30:00.999Z".parse().unwrap();
    let millis = TimestampMillisecondArray::from(vec![Some(at.as_millisecond()), None]);
    let micros = TimestampMicrosecondArray::from(vec![Some(at.as_microsecond()), None]);
    let nanos = TimestampNanosecondArray::from(vec![i64::try_from(at.as_nanosecond()).ok(), None]);
    for (zone, want) in [("UTC", "2026-10-15"), ("Europe/Paris", "2026-10-16"), ("America/New_York", "2026-10-15")] {
        let mut days = day_of(zone);
        let mut of = |dates: &dyn Array| texts(&days.days(dates).unwrap());
        assert_eq!(of(&millis.clone().with_timezone("UTC")), [want, ""], "{zone}");
        assert_eq!(of(&micros.clone().with_timezone("UTC")), [want, ""], "{zone}");
        assert_eq!(of(&nanos.clone().with_timezone("UTC")), [want, ""], "{zone}");
        for wall in [&millis as &dyn Array, &micros, &nanos] {
            assert_eq!(of(wall), ["2026-10-15", ""], "{zone}");
        }
        assert_eq!(of(&Date32Array::from(vec![Some(20_741), None])), ["2026-10-15", ""], "{zone}");
    }
    assert!(day_of("UTC").days(&arrow::array::Int64Array::from(vec![1])).is_err());
}

#[test]
fn bounds_count_from_the_day_of_the_message_in_the_zone_of_the_table() {
    let (epoch, tomorrow) = (DateBound::Date(EPOCH), DateBound::Relative(1));
    let sent: Timestamp = "2026-10-15T22:30:00Z".parse().unwrap();
    let sent = Some(sent.as_microsecond());
    assert_eq!(good_days("UTC", epoch, tomorrow).of(sent, None), (0, 20_742));
    assert_eq!(good_days("Asia/Tokyo", epoch, tomorrow).of(sent, None), (0, 20_743));
    assert_eq!(good_days("UTC", DateBound::Relative(-2), DateBound::Relative(0)).of(sent, None), (20_739, 20_741));
    let (first, last) = (*READABLE.start(), *READABLE.end());
    let mut far = good_days("UTC", DateBound::Relative(-1), DateBound::Relative(i32::MAX));
    for unknown in [None, Some(i64::MAX), Some(i64::MIN)] {
        assert_eq!(far.of(unknown, None), (first, last));
        assert_eq!(
            good_days("UTC", DateBound::Relative(-1), DateBound::Relative(1)).of(unknown, sent),
            (20_740, 20_742)
        );
    }
    assert_eq!(far.of(sent, None), (20_740, last));
    let mut all = good_days("UTC", DateBound::Date(jiff::civil::date(-5, 1, 1)), DateBound::Date(Date::MAX));
    assert_eq!(all.of(sent, None), (first, last), "no day that a reader cannot parse is good");
}

proptest! {
    #[test]
    fn days_agree_with_the_calendar(
        micros in prop::collection::vec(-2_000_000_000_000_000i64..4_000_000_000_000_000, 1..20),
        zone in prop::sample::select(vec!["UTC", "Europe/Paris", "Pacific/Apia", "Australia/Lord_Howe"]),
    ) {
        let dates = TimestampMicrosecondArray::from(micros.clone());
        let tz = TimeZone::get(zone).unwrap();
        let in_zone = |zone: &TimeZone| -> Vec<String> {
            let date = |at: &i64| Timestamp::from_microsecond(*at).unwrap().to_zoned(zone.clone()).date().to_string();
            micros.iter().map(date).collect()
        };
        prop_assert_eq!(texts(&day_of(zone).days(&dates).unwrap()), in_zone(&TimeZone::UTC));
        prop_assert_eq!(texts(&day_of(zone).days(&dates.with_timezone("UTC")).unwrap()), in_zone(&tz));
    }
}

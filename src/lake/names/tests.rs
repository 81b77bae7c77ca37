use jiff::civil::date;
use proptest::prelude::*;

use super::*;

fn topics() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9._~-]{1,40}".prop_filter("a topic", |topic| topic_problem(topic).is_none())
}

fn ranges() -> impl Strategy<Value = OffsetRange> {
    (0..=i64::MAX, 0..=i64::MAX).prop_map(|(a, b)| OffsetRange::new(a.min(b), a.max(b)).unwrap())
}

fn dates() -> impl Strategy<Value = Date> {
    (1970i16..=9999, 1i8..=12, 1i8..=28).prop_map(|(year, month, day)| date(year, month, day))
}

proptest! {
    #[test]
    fn an_interval_is_read_back(topic in topics(), partition in 0..=i32::MAX, range in ranges(), epoch: u64) {
        let name = IntervalName { source: TopicPartition::new(topic, partition), range, epoch: Epoch(epoch) };
        prop_assert_eq!(IntervalName::parse(&name.file_name()), Some(name));
    }

    #[test]
    fn names_of_one_kafka_partition_sort_by_offset(a in ranges(), b in ranges()) {
        let name = |range| IntervalName { source: TopicPartition::new("t", 0), range, epoch: Epoch(1) }.file_name();
        prop_assert_eq!(name(a).cmp(&name(b)), (a.from(), a.to()).cmp(&(b.from(), b.to())));
    }

    #[test]
    fn what_is_read_is_written_the_same_way(text in "[a-z0-9+e.=-]{0,60}") {
        if let Some(name) = IntervalName::parse(&text) { prop_assert_eq!(name.file_name(), text.clone()); }
        if let Some(name) = PartName::parse(&text) { prop_assert_eq!(name.file_name(), text.clone()); }
        if let Some((name, _)) = RewindName::parse(&text) { prop_assert!(text.starts_with(&name.stem())); }
    }

    #[test]
    fn small_files_are_read_back(range in ranges(), epoch: u64, date in dates(), bucket: u32, number: u32) {
        let epoch = Epoch(epoch);
        let hint = HeadHint { date, range, epoch };
        prop_assert_eq!(HeadHint::parse(&hint.name()), Some(hint));
        for undoes in [None, Some(Epoch(u64::from(bucket)))] {
            let rewind = RewindName { epoch, to: range.from(), head: range.to(), undoes };
            prop_assert_eq!(RewindName::parse(&rewind.intent()), Some((rewind, false)));
            prop_assert_eq!(RewindName::parse(&rewind.done()), Some((rewind, true)));
        }
        let revision = RevisionName { epoch, head: range.to() };
        prop_assert_eq!(RevisionName::parse(&revision.intent()), Some((revision, false)));
        prop_assert_eq!(RevisionName::parse(&revision.done()), Some((revision, true)));
        prop_assert_eq!(parse_floor(&floor_name(range.from(), epoch)), Some(range.from()));
        let part = PartName { seq: epoch.0, epoch, bucket, number };
        prop_assert_eq!(PartName::parse(&part.file_name()), Some(part));
        prop_assert_eq!(parse_date_segment(&date_segment(date)), Some(date));
    }

    #[test]
    fn a_home_names_its_epochs(topic in topics(), partition in 0..100_000i32, epoch: u64) {
        let home = Home::raw(&TopicPartition::new(topic, partition));
        let epoch = Epoch(epoch);
        prop_assert_eq!(parse_owner(home.owner(epoch).name()), Some(epoch));
        prop_assert_eq!(parse_epoch_segment(home.stage(epoch).name()), Some(epoch));
        prop_assert_eq!(parse_fenced(home.fenced_stage(epoch, uuid::Uuid::new_v4()).name()), Some(epoch));
        prop_assert_eq!(Home::parse_partition(home.path().name()), Some(partition));
        prop_assert_eq!(parse_plan(home.plan(epoch.0).name()), Some(epoch.0));
    }
}

#[test]
fn the_paths_are_those_of_the_manual() {
    let source = TopicPartition::new("library", 3);
    let name = IntervalName { source: source.clone(), range: OffsetRange::new(5, 10).unwrap(), epoch: Epoch(2) };
    assert_eq!(name.file_name(), "library+00003+00000000000000000005+00000000000000000010+e0000000002.parquet");
    assert_eq!(ledger_dir(&source).as_str(), "ledger/library/p=00003");
    assert_eq!(raw_dir("books", date(2026, 11, 1), 7).as_str(), "raw/books/dt=2026-11-01/hr=07");
    assert_eq!(quarantine_dir(UNROUTED, date(2026, 11, 1)).as_str(), "quarantine/_unrouted/dt=2026-11-01");
    assert_eq!(Home::raw(&source).owner(Epoch(2)).as_str(), "_forebay/raw/library/p00003/owner/0000000002.json");
    let mark = LetterMark { epoch: Epoch(4), to: 12, rewind: Epoch(3), date: date(2026, 11, 1) };
    assert_eq!(mark.name(), "e0000000004+00000000000000000012+r0000000003+dt=2026-11-01");
    assert_eq!(LetterMark::parse(&mark.name()), Some(mark));
    assert_eq!(LetterMark::parse("e0000000004+12+r0000000003+dt=2026-11-01"), None);
    let letters = Home::raw(&source).letters("books", "dead");
    assert_eq!(letters.as_str(), "_forebay/raw/library/p00003/letters/books/dead");
    assert_eq!(Home::processed("books").stage(Epoch(2)).as_str(), "_forebay/processed/books/stage/e0000000002");
}

#[test]
fn the_longest_topic_fits_a_file_name_and_no_longer_one() {
    let source = TopicPartition::new("t".repeat(topic::MAX_BYTES), 99_999);
    let name = IntervalName { source, range: OffsetRange::new(0, i64::MAX).unwrap(), epoch: Epoch(9_999_999_999) };
    assert_eq!(name.file_name().len(), 255);
    assert_eq!(topic_problem(&name.source.topic), None);
    assert!(topic_problem(&"t".repeat(topic::MAX_BYTES + 1)).unwrap().contains("187"));
    for bad in ["", ".", "..", "a/b", "a b", "a+b", "ä", "a~"] {
        assert!(topic_problem(bad).is_some(), "{bad}");
    }
}

#[test]
fn an_incarnation_has_a_number_and_the_id_of_its_topic() {
    assert_eq!((incarnation("library", 1), incarnation("library", 12)), ("library".into(), "library~12".into()));
    let second = TopicPartition::new(incarnation("library", 2), 3);
    assert_eq!((second.in_kafka(), second.incarnation()), (TopicPartition::new("library", 3), 2));
    assert_eq!(second.in_kafka().incarnation(), 1);
    let name = accepted_name(2, &plain_topic_id("x+Y/7").unwrap());
    assert_eq!((name.as_str(), parse_accepted(&name)), ("0000000002+x-Y_7.json", Some((2, "x-Y_7"))));
    assert!(plain_topic_id("a b").is_none() && plain_topic_id("").is_none());
    assert!(parse_accepted("2+x.json").is_none() && parse_accepted("0000000002+x+y.json").is_none());
    assert_eq!(Home::topic("library").accepted().as_str(), "_forebay/raw/library/topic/accepted");
    assert_eq!(Home::parse_partition("topic"), None);
}

#[test]
fn a_name_in_another_spelling_is_not_read() {
    for bad in [
        "t+0+00000000000000000005+00000000000000000010+e0000000002.parquet",
        "t+00000+00000000000000000010+00000000000000000005+e0000000002.parquet",
        "t+00000+00000000000000000005+00000000000000000010+e2.parquet",
        "t+00000+00000000000000000005+00000000000000000010+e0000000002.parquet.tmp",
        "+00000+00000000000000000005+00000000000000000010+e0000000002.parquet",
    ] {
        assert_eq!(IntervalName::parse(bad), None, "{bad}");
    }
    assert_eq!(parse_date_segment("dt=2026-1-2"), None);
    assert_eq!(parse_hour_segment("hr=24"), None);
}

//! What a requeue does to messages, and what it leaves alone.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use forebay::flow::requeue::{Selection, Tally, candidates, requeue_lane};
use forebay::lake::chain::read_chain;
use forebay::lake::footer::{Zone, read_footer};
use forebay::model::batch::{DeadLetter, LedgerRow, Outcome, ValidBatch};
use forebay::model::budget::MemoryBudget;
use forebay::model::mapping::{Kind, Mapping, OnBadField, OnBadMessage};
use forebay::model::table::Table;
use forebay::model::violation::{Code, Violation};

use super::world::{
    BAD_ID, GOOD, NO_ID, NO_PRICE, TABLE, World, column, everything, lenient, library, mapping, strict, table,
};

fn one(book: &str) -> String {
    library(&[book])
}

/// An interval of five messages: offset 1 lacks a price, 3 has a bad id, 4 is no XML.
fn filled() -> World {
    let world = World::new();
    world.commit(&strict(), &[one(GOOD), library(&[NO_PRICE, GOOD]), one(GOOD), one(BAD_ID), "<library>".into()]);
    world
}

#[test]
fn what_is_good_now_reaches_raw_and_what_is_bad_stays() {
    let world = filled();
    let (before, quarantine) = (world.rows(Zone::Raw), world.rows(Zone::Quarantine));
    let files = world.memory.files("");
    let planned = world.preview(&lenient(), &everything());
    assert_eq!(world.memory.files(""), files, "a preview changes nothing");
    let done = world.requeue(&lenient(), &everything());
    assert_eq!(done, planned);
    let rows = [(TABLE.to_owned(), 2)].into();
    assert_eq!(done.tally, Tally { messages: 3, released: 1, unchanged: 2, rows, ..Tally::default() });
    assert_eq!((done.intervals, done.skipped.len()), (1, 0));
    let want = ["0 rows 1", "1 rows 2", "2 rows 1", "3 quarantined 0 type.int", "4 quarantined 0 xml.unclosed"];
    assert_eq!(world.ledger(), want);
    assert_eq!(world.places(), [(0, 0), (1, 0), (1, 1), (2, 0)], "by offset, beside the old rows");
    let rows = world.rows(Zone::Raw);
    assert_eq!((&rows[0], &rows[3]), (&before[0], &before[1]), "rows that were good stay as they were");
    assert_eq!((rows[1]["note"].as_str(), rows[1].get("price")), ("free", None));
    assert_eq!(world.rows(Zone::Quarantine), &quarantine[1..], "what stays stays as it was");

    let files = world.memory.files("raw");
    let again = world.requeue(&lenient(), &everything());
    assert_eq!((again.intervals, again.tally.messages, again.tally.unchanged), (0, 2, 2));
    assert_eq!(world.memory.files("raw"), files, "a second time there is nothing to do");
    let state = read_chain(&*world.storage(), &world.source).unwrap();
    assert_eq!(state.revisions.len(), 1);
}

#[test]
fn keys_and_headers_go_with_the_rows_of_messages_that_are_good_now() {
    let carrying = |mut mapping: Mapping| {
        (mapping.lineage.key, mapping.lineage.headers) = (Some("kafka_key".into()), Some("kafka_headers".into()));
        mapping
    };
    for before in [strict(), carrying(strict())] {
        let had_them = before.lineage.key.is_some();
        let world = World::new();
        world.commit(&before, &[one(GOOD), one(NO_PRICE)]);
        let quarantined = world.rows(Zone::Quarantine);
        world.requeue(&carrying(lenient()), &everything());
        let rows = world.rows(Zone::Raw);
        assert_eq!((rows.len(), world.rows(Zone::Quarantine).len()), (2, 0));
        for same in ["kafka_key", "kafka_headers"] {
            assert_eq!(rows[0].contains_key(same), had_them, "an old row has what it was written with");
            assert_eq!(rows[1][same], quarantined[0][same]);
        }
    }
}

#[test]
fn the_columns_of_forebay_may_have_other_names() {
    let renamed = |mut mapping: Mapping, offset: &str| {
        mapping.lineage.names[2] = offset.into();
        mapping.lineage.names[4] = "n".into();
        mapping
    };
    let world = World::new();
    let sent = [library(&[GOOD, GOOD]), library(&[NO_PRICE, NO_PRICE]), one(GOOD)];
    world.commit(&renamed(strict(), "source_offset"), &sent);
    let files = world.memory.files("raw");
    let clash = world.requeue(&renamed(lenient(), "moved"), &everything());
    assert_eq!((clash.intervals, clash.skipped.len()), (0, 1), "offsets of one file are in one column: {clash:?}");
    assert!(clash.skipped[0].contains("column moved of today's tables is not there"), "{clash:?}");
    assert_eq!(world.memory.files("raw"), files);
    let done = world.requeue(&renamed(lenient(), "source_offset"), &everything());
    assert_eq!((done.tally.released, done.skipped.len()), (1, 0));
    let places: Vec<_> =
        world.rows(Zone::Raw).iter().map(|row| format!("{} {}", row["source_offset"], row["n"])).collect();
    assert_eq!(places, ["0 0", "0 1", "1 0", "1 1", "2 0"], "by offset, beside the old rows");
}

#[test]
fn the_ledger_names_the_mappings_of_old_and_new_rows() {
    let world = filled();
    world.requeue(&lenient(), &everything());
    let storage = world.storage();
    let live = read_chain(&*storage, &world.source).unwrap().chain.live;
    let footer = read_footer(&*storage, &live[0].path, live[0].bytes).unwrap();
    assert_eq!(footer.mappings.iter().map(|used| used.version).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(
        (footer.sums.messages, footer.sums.tables[TABLE].rows, footer.sums.tables[TABLE].quarantined),
        (5, 4, 2)
    );
}

#[test]
fn a_message_that_is_bad_for_other_reasons_is_in_quarantine_with_those() {
    let world = World::new();
    world.commit(&strict(), &[one(GOOD), one(NO_ID), one(BAD_ID)]);
    let before = world.rows(Zone::Quarantine);
    let raw = world.memory.files("raw");
    // The price is a date now: both are bad for one reason more.
    let other = mapping(3, vec![column("id", Kind::Int64, true), column("price", Kind::Date, true)]);
    world.clock.advance(std::time::Duration::from_secs(60));
    let done = world.requeue(&other, &everything());
    assert_eq!(done.tally, Tally { messages: 2, renewed: 2, ..Tally::default() });
    let after = world.rows(Zone::Quarantine);
    for (before, after) in before.iter().zip(&after) {
        for same in ["kafka_topic", "kafka_offset", "kafka_timestamp", "kafka_key", "kafka_headers", "payload"] {
            assert_eq!(before[same], after[same], "{same}");
        }
        assert!(after["violations"].contains("type.date") && !before["violations"].contains("type.date"));
        assert_eq!((before["mapping_version"].as_str(), after["mapping_version"].as_str()), ("1", "3"));
        assert_ne!(before["quarantined_at"], after["quarantined_at"]);
    }
    let (was, is) = (raw.into_values().next().unwrap(), world.memory.files("raw").into_values().next().unwrap());
    assert_eq!(was, is, "a file that nothing joins is the same, byte for byte");
}

#[test]
fn messages_are_chosen_by_violation_and_by_time() {
    let world = World::new();
    world.commit(&strict(), &[one(NO_PRICE), one(NO_PRICE), one(NO_ID)]);
    world.commit(&strict(), &[one(NO_PRICE), one(GOOD)]);
    world.commit(&strict(), &[one(GOOD)]);
    // Price and id may be missing now.
    let mut any = lenient();
    any.columns[0].required = false;
    let of = |code, from: Option<i64>| Selection { code, from_us: from.map(|at| at * 1_000_000), ..everything() };
    let tally = |selection: &Selection| {
        let planned = world.preview(&any, selection);
        (planned.tally.messages, planned.tally.released, planned.intervals)
    };
    assert_eq!(tally(&of(None, None)), (4, 4, 2));
    assert_eq!(tally(&of(Some(Code::TYPE_INT), None)), (0, 0, 0));
    assert_eq!(tally(&of(Some(Code::RULE_REQUIRED), Some(1))), (3, 3, 2));
    assert_eq!(tally(&of(None, Some(3))), (1, 1, 1));
    assert_eq!(tally(&of(None, Some(4))), (0, 0, 0));
    assert_eq!(tally(&Selection { table: "_unrouted".into(), ..everything() }), (0, 0, 0));
    let before = world.memory.files("ledger").into_keys().collect::<Vec<_>>();
    world.requeue(&any, &of(None, Some(2)));
    let after = world.memory.files("ledger").into_keys().collect::<Vec<_>>();
    assert_eq!(before[2], after[2], "an interval without such a message is not touched");
    assert_eq!(
        world.ledger()[..4],
        ["0 quarantined 0 rule.required", "1 quarantined 0 rule.required", "2 rows 1", "3 rows 1"]
    );
    world.requeue(&any, &everything());
    assert!(world.rows(Zone::Quarantine).is_empty() && world.memory.files("quarantine").is_empty());
    assert_eq!(world.places().len(), 6);
}

#[test]
fn a_message_that_was_partly_good_comes_again_as_a_whole() {
    let world = World::new();
    let keep = |mut mapping: forebay::model::mapping::Mapping| {
        mapping.on_bad_message = OnBadMessage::KeepGoodRows;
        mapping
    };
    let messages = [library(&[GOOD, NO_PRICE]), library(&[GOOD, GOOD]), library(&[GOOD, NO_PRICE, BAD_ID])];
    world.commit(&keep(strict()), &messages);
    assert_eq!(world.ledger(), ["0 partial 1 rule.required", "1 rows 2", "2 partial 1 rule.required"]);
    let done = world.requeue(&keep(lenient()), &everything());
    assert_eq!((done.tally.released, done.tally.partial, done.tally.rows[TABLE]), (1, 1, 4));
    assert_eq!(world.ledger(), ["0 rows 2", "1 rows 2", "2 partial 2 type.int"]);
    assert_eq!(world.places(), [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1)], "each row once");
    assert_eq!(world.requeue(&keep(lenient()), &everything()).intervals, 0);
    // As a whole it is bad again, if the mapping says so.
    let done = world.requeue(&lenient(), &everything());
    assert_eq!((done.tally.unchanged, done.intervals), (1, 0), "for the same reasons it stays what it is");
}

#[test]
fn good_rows_that_the_mapping_takes_today_come_though_the_reasons_are_the_same() {
    let keep = |mut mapping: Mapping| {
        mapping.on_bad_message = OnBadMessage::KeepGoodRows;
        mapping
    };
    let null = |mut mapping: Mapping| {
        mapping.on_bad_field = OnBadField::Null;
        mapping
    };
    const BAD_PRICE: &str = "<id>3</id><price>x</price>";
    for (today, rows) in [(keep(lenient()), 2), (null(lenient()), 3)] {
        let world = World::new();
        world.commit(&lenient(), &[library(&[GOOD, BAD_PRICE, GOOD]), "<library>".into(), one(GOOD)]);
        assert_eq!(world.ledger()[0], "0 quarantined 0 type.decimal");
        let done = world.requeue(&today, &everything());
        assert_eq!((done.tally.partial, done.tally.unchanged, done.tally.rows[TABLE]), (1, 1, rows));
        assert_eq!(world.ledger()[0], format!("0 partial {rows} type.decimal"));
        assert_eq!((world.rows(Zone::Raw).len() as u64, world.rows(Zone::Quarantine).len()), (rows + 1, 2));
        assert_eq!(world.requeue(&today, &everything()).intervals, 0);
    }
}

#[test]
fn what_is_wrong_beyond_the_violations_that_are_kept_is_told_by_the_rows() {
    let keep = |mut mapping: Mapping| {
        mapping.on_bad_message = OnBadMessage::KeepGoodRows;
        mapping
    };
    let world = World::new();
    let books: Vec<&str> = [GOOD].into_iter().chain([BAD_ID; 120]).chain([NO_PRICE; 50]).collect();
    world.commit(&keep(strict()), &[library(&books)]);
    assert_eq!(world.ledger(), ["0 partial 1 type.int"]);
    let done = world.requeue(&keep(lenient()), &everything());
    assert_eq!((done.tally.partial, done.tally.rows[TABLE]), (1, 51));
    assert_eq!(world.ledger(), ["0 partial 51 type.int"]);
    assert_eq!(world.places().len(), 51, "each row once");
}

#[test]
fn of_an_interval_that_is_left_as_it_is_all_messages_count() {
    let keep = |mut mapping: Mapping| {
        mapping.on_bad_message = OnBadMessage::KeepGoodRows;
        mapping
    };
    // There are old rows that go, and no new ones: that they do not fit is seen at the end.
    let world = World::new();
    world.commit(&keep(strict()), &[library(&[GOOD, NO_PRICE])]);
    let other = mapping(4, vec![column("id", Kind::String, true), column("price", Kind::Date, true)]);
    let planned = world.preview(&other, &everything());
    assert_eq!((planned.intervals, planned.skipped.len(), planned.tally.messages), (0, 1, 1));
    // There are new rows, in the first of several slices.
    let world = World::new();
    let messages: Vec<String> = (0..3000).map(|n| one(if n == 0 { GOOD } else { NO_PRICE })).collect();
    world.commit(&strict(), &messages);
    let text = mapping(4, vec![column("id", Kind::String, true), column("price", Kind::Decimal(6, 2), false)]);
    let planned = world.preview(&text, &everything());
    assert_eq!((planned.intervals, planned.skipped.len(), planned.tally.messages), (0, 1, 2999));
}

#[test]
fn rows_of_another_type_are_not_mixed() {
    let world = filled();
    let files = world.memory.files("");
    let text = mapping(4, vec![column("id", Kind::String, true), column("price", Kind::Decimal(6, 2), false)]);
    let planned = world.preview(&text, &everything());
    assert_eq!((planned.intervals, planned.tally.released), (0, 0));
    let said = "column id is int64 there and string in today's mapping";
    assert!(planned.skipped.len() == 1 && planned.skipped[0].contains(said), "{planned:?}");
    assert_eq!(world.memory.files(""), files);
    // Where nothing is in RAW yet, any type is fine.
    let world = World::new();
    world.commit(&strict(), &[one(BAD_ID)]);
    assert_eq!(world.requeue(&text, &everything()).tally.released, 1);
    assert_eq!(world.rows(Zone::Raw)[0]["id"], "x");
}

#[test]
fn a_message_whose_payload_was_not_kept_stays_and_is_told() {
    let world = World::new();
    let tables: Arc<[Table]> = [table(strict())].into();
    let raw = Arc::new(world.raw(0, &[None, Some(one(NO_PRICE)), None]));
    let violation = || Violation {
        code: Code::RULE_REQUIRED,
        column: Some("price".into()),
        path: None,
        line: None,
        byte_offset: None,
        value: None,
        message: "gone".into(),
    };
    let row = |offset: i64| LedgerRow {
        offset,
        timestamp_us: Some(offset * 1_000_000),
        outcome: Outcome::Quarantined,
        table: Some(0),
        rows: 0,
        code: Some(Code::RULE_REQUIRED),
    };
    let letter = |message: u32| DeadLetter { table: Some(0), message, violations: vec![violation()] };
    let permit = MemoryBudget::new(1).take(0);
    let ledger = (0..3).map(row).collect();
    let valid =
        ValidBatch { raw, ledger, tables: Vec::new(), dead_letters: (0..3).map(letter).collect(), permit, room: None };
    world.commit_valid(&tables, valid);
    let done = world.requeue(&lenient(), &everything());
    let rows = [(TABLE.to_owned(), 1)].into();
    assert_eq!(done.tally, Tally { messages: 3, released: 1, redacted: vec![0, 2], rows, ..Tally::default() });
    assert_eq!(world.ledger()[0], "0 quarantined 0 rule.required");
    assert_eq!(world.ledger()[1], "1 rows 1");
    assert_eq!(world.rows(Zone::Quarantine).len(), 2);
    let done = world.requeue(&lenient(), &everything());
    assert_eq!((done.intervals, done.tally.redacted), (0, vec![0, 2]));
}

#[test]
fn a_message_that_kills_the_parser_is_left_out() {
    let world = World::new();
    world.commit(&strict(), &[one(NO_PRICE), one(NO_PRICE), one(NO_PRICE)]);
    let storage = world.storage();
    let mut requeuer = world.requeuer(&storage, &lenient());
    requeuer.probe = Some(Arc::new(|message| assert_ne!(message.offset, 1, "poison")));
    let mut lane = world.acquire(&storage).unwrap();
    let intervals = candidates(&*storage, TABLE).unwrap().live(&*storage, &world.source).unwrap();
    let run = || requeue_lane(&requeuer, &intervals, &everything(), Some((&mut lane, "test")), &|| Ok(()));
    let done = catch_unwind(AssertUnwindSafe(run)).unwrap().unwrap();
    assert_eq!((done.tally.released, done.tally.renewed), (2, 1));
    assert_eq!(world.ledger(), ["0 rows 1", "1 quarantined 0 rule.poison", "2 rows 1"]);
    world.audit();
}

#[test]
fn many_messages_go_slice_by_slice() {
    let world = World::new();
    let messages: Vec<String> = (0..3000).map(|n| one(if n % 3 == 0 { NO_PRICE } else { GOOD })).collect();
    world.commit(&strict(), &messages);
    let done = world.requeue(&lenient(), &everything());
    assert_eq!((done.tally.messages, done.tally.released, done.intervals), (1000, 1000, 1));
    let places = world.places();
    assert!(places.is_sorted() && places.len() == 3000);
}

#[test]
fn who_is_asked_to_stop_stops() {
    use forebay::fault::Fault;
    let world = filled();
    let storage = world.storage();
    let files = world.memory.files("raw");
    let mut lane = world.acquire(&storage).unwrap();
    let intervals = candidates(&*storage, TABLE).unwrap().live(&*storage, &world.source).unwrap();
    let requeuer = world.requeuer(&storage, &lenient());
    let stop = || Err(Fault::fenced("lane.given-up", "given up"));
    let fault = requeue_lane(&requeuer, &intervals, &everything(), Some((&mut lane, "test")), &stop).unwrap_err();
    assert_eq!(fault.event, "lane.given-up");
    assert_eq!(world.memory.files("raw"), files);
}

//! Several tables on one topic: a message may come out of quarantine into any of them, and so may one that nobody took.

use forebay::flow::requeue::{Selection, Tally};
use forebay::lake::footer::Zone;
use forebay::model::mapping::{Child, Kind, Mapping, OnBadMessage};
use forebay::model::table::{Table, When};

use super::world::{GOOD, NO_PRICE, TABLE, World, column, everything, lenient, library, mapping, name, strict, table};

/// A table for the messages with this root element.
fn of_root(table_name: &str, root: &str, mapping: Mapping) -> Table {
    let when = When { root: Some(name(root)), header: None };
    let mapping = Mapping { root: Some(name(root)), ..mapping };
    Table { name: table_name.into(), when: Some(when), ..table(mapping) }
}

/// Shelves, with a row of a child table for each note.
fn shelves(is_strict: bool) -> Mapping {
    let mut shelves =
        mapping(1, vec![column("id", Kind::Int64, true), column("price", Kind::Decimal(6, 2), is_strict)]);
    let notes = vec![column("note", Kind::String, false)];
    let mut notes =
        Child { name: "shelf_notes".into(), rows: vec![name("note").into()], columns: notes, children: vec![] };
    notes.columns[0].path.steps.clear();
    shelves.children = vec![notes];
    shelves
}

fn in_quarantine_of(table: &str) -> Selection {
    Selection { table: table.into(), ..everything() }
}

fn shelf(books: &[&str]) -> String {
    library(books).replace("library>", "shelf>")
}

/// What is in each table's quarantine, by offset.
fn quarantined(world: &World, table: &str) -> Vec<String> {
    world.rows_in(Zone::Quarantine, table).iter().map(|row| row["kafka_offset"].clone()).collect()
}

#[test]
fn what_nobody_took_is_taken_by_the_table_that_there_is_now() {
    let world = World::new();
    let before = [of_root(TABLE, "library", strict()), of_root("others", "other", strict())];
    let notes = "<id>7</id><price>1.00</price><note>a</note><note>b</note>";
    let messages =
        [library(&[GOOD]), shelf(&[notes, GOOD]), library(&[NO_PRICE]), shelf(&[NO_PRICE]), "<stray/>".into()];
    world.commit(&before, &messages);
    assert_eq!(
        (quarantined(&world, "_unrouted"), quarantined(&world, TABLE)),
        (vec!["1".into(), "3".into(), "4".into()], vec!["2".into()])
    );

    let now = [of_root(TABLE, "library", lenient()), of_root("shelves", "shelf", shelves(true))];
    let done = world.requeue(&now, &in_quarantine_of("_unrouted"));
    let rows = [("shelf_notes".to_owned(), 2), ("shelves".to_owned(), 2)].into();
    assert_eq!(done.tally, Tally { messages: 3, released: 1, renewed: 1, unchanged: 1, rows, ..Tally::default() });
    let ledger = [
        "0 rows 1",
        "1 rows 2",
        "2 quarantined 0 rule.required",
        "3 quarantined 0 rule.required",
        "4 quarantined 0 shape.unrouted",
    ];
    assert_eq!(world.ledger(), ledger);
    assert_eq!(quarantined(&world, "_unrouted"), ["4"]);
    assert_eq!((quarantined(&world, "shelves"), quarantined(&world, TABLE)), (vec!["3".into()], vec!["2".into()]));
    let notes = world.rows_in(Zone::Raw, "shelf_notes");
    let told: Vec<_> =
        notes.iter().map(|row| [&*row["note"], &*row["row_index"], &*row["ordinal"], &*row["kafka_offset"]]).collect();
    assert_eq!(told, [["a", "0", "0", "1"], ["b", "0", "1", "1"]]);
    assert_eq!(world.rows_in(Zone::Raw, TABLE).len(), 1, "the other table's rows are as they were");
    assert_eq!(
        world.requeue(&now, &in_quarantine_of("_unrouted")).intervals,
        0,
        "a second time there is nothing to do"
    );

    // It goes on from there, in its new table's quarantine.
    let now = [of_root(TABLE, "library", lenient()), of_root("shelves", "shelf", shelves(false))];
    let done = world.requeue(&now, &in_quarantine_of("shelves"));
    assert_eq!((done.tally.released, done.tally.rows["shelves"], done.tally.rows["shelf_notes"]), (1, 1, 1));
    assert_eq!(world.rows_in(Zone::Raw, "shelf_notes").len(), 3);
    assert!(quarantined(&world, "shelves").is_empty());
}

#[test]
fn a_message_moves_to_the_quarantine_of_the_table_that_takes_it_now_and_to_nobodys() {
    let world = World::new();
    let before = [of_root("shelves", "shelf", shelves(true)), table(strict())];
    world.commit(&before, &[library(&[GOOD]), library(&[NO_PRICE]), shelf(&[NO_PRICE]), "<library>".into()]);
    assert_eq!(quarantined(&world, TABLE), ["1", "3"]);
    let payloads = world.rows_in(Zone::Quarantine, TABLE);

    // The library's messages are another table's now, and that is as strict.
    let renamed = [of_root("shelves", "shelf", shelves(true)), Table { name: "catalogue".into(), ..table(strict()) }];
    let done = world.requeue(&renamed, &everything());
    assert_eq!((done.tally.messages, done.tally.renewed, done.intervals), (2, 2, 1));
    assert_eq!((quarantined(&world, TABLE), quarantined(&world, "catalogue")), (vec![], vec!["1".into(), "3".into()]));
    let moved = world.rows_in(Zone::Quarantine, "catalogue");
    for (was, is) in payloads.iter().zip(&moved) {
        assert!(
            ["payload", "kafka_key", "kafka_headers", "kafka_timestamp"].iter().all(|same| was[*same] == is[*same])
        );
    }
    assert_eq!(world.rows_in(Zone::Raw, TABLE).len(), 1, "what was good stays where it is");
    assert_eq!(world.requeue(&renamed, &everything()).tally, Tally::default(), "nothing is left to be moved");

    // And nobody's then: only shelves are taken.
    let nobody = [of_root("shelves", "shelf", shelves(true)), of_root("catalogue", "catalogue", strict())];
    world.requeue(&nobody, &in_quarantine_of("catalogue"));
    assert_eq!(
        (quarantined(&world, "_unrouted"), quarantined(&world, "catalogue")),
        (vec!["1".into(), "3".into()], vec![])
    );
    assert_eq!(quarantined(&world, "shelves"), ["2"], "that of others is not touched");
    let ledger = [
        "0 rows 1",
        "1 quarantined 0 shape.unrouted",
        "2 quarantined 0 rule.required",
        "3 quarantined 0 shape.unrouted",
    ];
    assert_eq!(world.ledger()[..2], ledger[..2]);
    assert_eq!(world.ledger()[2], ledger[2]);

    // Back again, with what is good by now.
    let back = [of_root("shelves", "shelf", shelves(true)), table(lenient())];
    let done = world.requeue(&back, &in_quarantine_of("_unrouted"));
    assert_eq!((done.tally.released, done.tally.rows[TABLE]), (1, 1));
    assert_eq!(quarantined(&world, TABLE), ["3"]);
    assert_eq!(world.rows_in(Zone::Raw, TABLE).len(), 2);
}

#[test]
fn rows_of_child_tables_of_a_partly_good_message_go_and_come_with_it() {
    let world = World::new();
    let keep = |is_strict| Mapping { on_bad_message: OnBadMessage::KeepGoodRows, ..shelves(is_strict) };
    let configured = |is_strict| [of_root("shelves", "shelf", keep(is_strict)), table(strict())];
    let good = "<id>1</id><price>1.00</price><note>a</note>";
    let message = shelf(&[good, NO_PRICE, good]);
    world.commit(&configured(true), &[message, library(&[GOOD]), shelf(&[good])]);
    assert_eq!(world.ledger()[0], "0 partial 2 rule.required");
    let notes = |world: &World| -> Vec<[String; 3]> {
        let rows = world.rows_in(Zone::Raw, "shelf_notes");
        rows.iter().map(|row| [&row["kafka_offset"], &row["row_index"], &row["note"]].map(Clone::clone)).collect()
    };
    let note = |offset: &str, row: &str, text: &str| [offset, row, text].map(str::to_owned);
    assert_eq!(notes(&world), [note("0", "0", "a"), note("0", "2", "a"), note("2", "0", "a")]);
    let done = world.requeue(&configured(false), &in_quarantine_of("shelves"));
    assert_eq!((done.tally.released, done.tally.rows["shelves"], done.tally.rows["shelf_notes"]), (1, 3, 3));
    assert_eq!(world.ledger(), ["0 rows 3", "1 rows 1", "2 rows 1"]);
    let want = [note("0", "0", "a"), note("0", "1", "free"), note("0", "2", "a"), note("2", "0", "a")];
    assert_eq!(notes(&world), want, "each once, in order");
    assert!(world.rows(Zone::Quarantine).is_empty());
}

#[test]
fn a_message_of_very_many_rows_comes_again_whole_and_its_neighbours_beside_it() {
    let world = World::new();
    // More rows than one piece has room for, so it comes alone; and others that come together.
    let many = library(&vec!["<id>1</id>"; 60_000]);
    let messages = [library(&[GOOD]), library(&[NO_PRICE]), many, library(&[NO_PRICE]), library(&[GOOD])];
    world.commit(&strict(), &messages);
    let done = world.requeue(&lenient(), &everything());
    assert_eq!((done.tally.released, done.tally.rows[TABLE], done.intervals), (3, 60_002, 1));
    assert_eq!(world.ledger(), ["0 rows 1", "1 rows 1", "2 rows 60000", "3 rows 1", "4 rows 1"]);
    let places = world.places();
    assert!(places.is_sorted() && places.len() == 60_004);
}

#[test]
fn child_rows_that_are_good_today_come_though_the_reasons_that_are_kept_are_the_same() {
    let keep = |mut mapping: Mapping, is_strict: bool| {
        mapping.on_bad_message = OnBadMessage::KeepGoodRows;
        for child in &mut mapping.children {
            child.columns[0].kind = Kind::Int64;
            child.columns[0].rules.max = is_strict.then(|| "9".to_owned());
        }
        mapping
    };
    let shelves = |is_strict| [of_root("shelves", "shelf", keep(shelves(false), is_strict)), table(strict())];
    let world = World::new();
    // Beyond the violations that are kept there are notes that only the strict mapping refuses.
    let notes: Vec<&str> = [&["1"][..], &["x"; 120], &["50"; 30]].concat();
    let notes: String = notes.iter().map(|note| format!("<note>{note}</note>")).collect();
    let message = shelf(&[&format!("<id>1</id>{notes}"), "<id>2</id><note>2</note>"]);
    world.commit(&shelves(true), &[message, shelf(&["<id>3</id>"])]);
    assert_eq!(world.ledger(), ["0 partial 2 type.int", "1 rows 1"]);
    assert_eq!(world.rows_in(Zone::Raw, "shelf_notes").len(), 2);
    let done = world.requeue(&shelves(false), &in_quarantine_of("shelves"));
    assert_eq!((done.tally.partial, done.tally.rows["shelf_notes"]), (1, 32));
    assert_eq!(world.ledger(), ["0 partial 2 type.int", "1 rows 1"]);
    assert_eq!((world.rows_in(Zone::Raw, "shelf_notes").len(), world.rows_in(Zone::Raw, "shelves").len()), (32, 3));
    // Neither a second time nor for a stricter mapping: what was taken is not taken away.
    for is_strict in [false, true] {
        let again = world.requeue(&shelves(is_strict), &in_quarantine_of("shelves"));
        assert_eq!((again.intervals, again.tally.unchanged), (0, 1));
    }
}

#[test]
fn rows_of_a_child_table_that_is_new_today_come_though_the_reasons_are_the_same() {
    let keep = |mapping: Mapping| Mapping { on_bad_message: OnBadMessage::KeepGoodRows, ..mapping };
    let plain = Mapping { children: Vec::new(), ..keep(shelves(true)) };
    let (before, now) = ([of_root("shelves", "shelf", plain), table(strict())], keep(shelves(true)));
    let now = [of_root("shelves", "shelf", now), table(strict())];
    let world = World::new();
    world.commit(&before, &[shelf(&["<id>1</id><price>1.00</price><note>a</note>", NO_PRICE])]);
    assert_eq!(world.ledger(), ["0 partial 1 rule.required"]);
    let done = world.requeue(&now, &in_quarantine_of("shelves"));
    assert_eq!((done.tally.partial, done.tally.rows["shelf_notes"]), (1, 1));
    assert_eq!(world.requeue(&now, &in_quarantine_of("shelves")).intervals, 0);
}

#[test]
fn of_many_messages_that_are_as_they_were_none_comes_again() {
    let keep = Mapping { on_bad_message: OnBadMessage::KeepGoodRows, ..shelves(true) };
    let world = World::new();
    let body = "<id>1</id><price>1.00</price><note>a</note><note>b</note>";
    // Several slices of quarantine, and several of each file that has their rows.
    let messages: Vec<String> = (0..3000).map(|_| library(&[body, NO_PRICE, body])).collect();
    world.commit(&keep, &messages);
    let done = world.requeue(&keep, &everything());
    assert_eq!((done.intervals, done.tally.unchanged), (0, 3000));
}

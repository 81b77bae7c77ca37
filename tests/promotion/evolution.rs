//! Every type that a Processed table holds, and files of several versions of a mapping read together.

use std::sync::Arc;

use forebay::fault::{Fault, Verdict};
use forebay::lake::log::{LogState, TableLog};
use forebay::lake::names::processed_dir;
use forebay::model::mapping::{BinaryText, Column, Kind, Precision, Repeat};
use forebay::storage::faulty::Injected;
use forebay::storage::{LakePath, Storage};
use proptest::prelude::*;

use super::values::{all_types, column, mapping, mapping_with};
use super::world::{TABLE, World, retriable};

/// Columns that a later version of the mapping has besides, the first so many of them.
fn later(count: usize) -> Vec<Column> {
    let fields = [column("code", Kind::String, true), column("seen", Kind::LocalTimestamp(Precision::Milli), false)];
    let parts = Column { repeat: Repeat::List, ..column("parts", Kind::Struct(fields.into()), false) };
    let all = [
        column("genre", Kind::String, false),
        parts,
        column("amount", Kind::Decimal(38, 9), false),
        column("digest", Kind::Binary(BinaryText::Hex), false),
        column("sold", Kind::Timestamp(Precision::Milli), false),
    ];
    all.into_iter().take(count).collect()
}

fn state(world: &World) -> LogState {
    let storage = Arc::clone(&world.memory) as Arc<dyn Storage>;
    let log = TableLog::open(&storage, TABLE, processed_dir(TABLE), LakePath::root().join("nowhere")).unwrap();
    log.state().unwrap().unwrap()
}

fn names(world: &World) -> Vec<String> {
    let lineage = ["kafka_topic", "kafka_partition", "kafka_offset", "kafka_timestamp", "row_index"];
    let columns = state(world).columns.into_iter().map(|column| column.name);
    columns.filter(|name| !lineage.contains(&name.as_str())).collect()
}

#[test]
fn values_of_every_type_reach_processed_as_they_are_in_raw() {
    let mut world = World::new(true);
    world.table.mapping = Arc::new(mapping_with(all_types()));
    for round in 0..3 {
        (0..3).for_each(|lane| world.commit(lane, 20));
        let report = world.promote();
        assert_eq!(report.seq, Some(round + 1));
        world.check_oracle();
    }
    world.rewind(1, 25, None);
    world.commit(1, 45);
    world.revise(0, 0, 2, None);
    assert_eq!(world.promote().left_out, []);
    world.check_oracle();
    assert!(world.check_values() > 250, "{}", world.check_values());
    let of = |name: &str| state(&world).columns.into_iter().find(|column| column.name == name).unwrap().kind;
    assert_eq!(of("at_ms"), "timestamp");
    assert_eq!(
        of("parts"),
        "list<struct<id:string,wall_ms:timestamp_ntz,amounts:list<decimal(38,0)>,inside:struct<id:string,wall_ms:timestamp_ntz>>>"
    );
}

#[test]
fn every_scalar_type_tells_one_record_and_one_version_from_another() {
    let scalar = |column: &&Column| {
        let is_list = column.repeat == Repeat::List;
        !is_list && !matches!(column.kind, Kind::Struct(_) | Kind::Json | Kind::Xml)
    };
    for column in all_types().iter().filter(scalar) {
        let mut world = World::new(true);
        world.table.mapping = Arc::new(mapping_with([column.clone()]));
        let mut settings = world.table.processed.clone().unwrap();
        settings.version = Some(column.name.clone());
        world.table.processed = Some(settings);
        (0..3).for_each(|lane| world.commit(lane, 8));
        world.promote();
        (0..3).for_each(|lane| world.commit(lane, 8));
        world.promote();
        let rows = world.check_table();
        world.check_values();
        let ids: std::collections::BTreeSet<i64> = world.raw().iter().map(|row| row.id).collect();
        assert_eq!(rows.len(), ids.len(), "{}", column.name);
    }
}

#[test]
fn new_columns_come_with_the_first_files_that_have_them() {
    let mut world = World::new(true);
    world.commit(0, 6);
    world.promote();
    world.commit(0, 6);
    world.table.mapping = Arc::new(mapping_with(later(5)));
    assert_eq!(names(&world), ["id", "version", "added", "value"], "a mapping alone changes nothing");
    // Files of both versions in one promotion, and the rows of before.
    world.commit(0, 6);
    world.commit(1, 6);
    assert_eq!(world.promote().seq, Some(2), "schema and data are one promotion");
    world.check_oracle();
    assert_eq!(names(&world), ["id", "version", "added", "value", "genre", "parts", "amount", "digest", "sold"]);
    // Nothing new to write: nothing new in the schema, whether nothing came or a message without a row.
    let empty = (0..).find(|offset| world.rows_of(2, *offset, 0).is_empty()).unwrap();
    world.commit(2, empty);
    world.promote();
    world.table.mapping = Arc::new(mapping_with(later(5).into_iter().chain([column("more", Kind::Date, false)])));
    assert_eq!(world.promote().seq, None);
    world.commit(2, 1);
    let report = world.promote();
    assert_eq!((report.seq, report.files_added), (Some(4), 0));
    assert!(!names(&world).contains(&"more".into()));
    world.commit(2, 40);
    world.promote();
    assert!(names(&world).contains(&"more".into()));
    world.check_oracle();
}

#[test]
fn columns_that_a_mapping_drops_stay_and_are_null_in_new_rows() {
    let mut world = World::new(true);
    world.table.mapping = Arc::new(mapping_with(later(2)));
    (0..3).for_each(|lane| world.commit(lane, 6));
    world.promote();
    // These rows still have the column when they are promoted by a mapping that has it no more.
    world.commit(0, 6);
    world.table.mapping = Arc::new(mapping(&[]));
    world.commit(0, 6);
    world.promote();
    world.check_oracle();
    assert_eq!(names(&world), ["id", "version", "added", "value", "genre", "parts"]);
    world.table.mapping = Arc::new(mapping_with(later(3)));
    (0..3).for_each(|lane| world.commit(lane, 6));
    world.promote();
    world.check_oracle();
    assert_eq!(names(&world), ["id", "version", "added", "value", "genre", "parts", "amount"]);
}

/// What a promotion says of a mapping, after rows of `before` were promoted or not.
fn refusal(before: Column, after: Column, is_promoted: bool) -> Fault {
    let mut world = World::new(true);
    world.table.mapping = Arc::new(mapping_with([before]));
    world.commit(0, 8);
    if is_promoted {
        world.promote();
    }
    world.table.mapping = Arc::new(mapping_with([after]));
    world.commit(0, 8);
    let before = world.directory();
    let fault = world.promoter().unwrap().promote().unwrap_err();
    assert_eq!(fault.verdict, Verdict::Halt, "{fault}");
    assert_eq!(world.directory(), before);
    fault
}

#[test]
fn a_column_that_cannot_be_what_it_was_is_named() {
    let list = Column { repeat: Repeat::List, ..column("genre", Kind::String, false) };
    let structure = |field: &str| {
        let fields = [column(field, Kind::String, false)];
        column("genre", Kind::Struct(fields.into()), false)
    };
    let clashes = [
        (column("genre", Kind::String, false), column("genre", Kind::Int64, false), "string", "int64"),
        (column("genre", Kind::String, false), list, "string", "list<string>"),
        (structure("a"), structure("b"), "struct<a:string>", "struct<b:string>"),
        (
            column("genre", Kind::Timestamp(Precision::Micro), false),
            column("genre", Kind::LocalTimestamp(Precision::Micro), false),
            "timestamp",
            "timestamp_ntz",
        ),
    ];
    for (before, after, was, is) in clashes {
        let fault = refusal(before.clone(), after.clone(), true);
        let want = format!("column genre of table books is {was} in Processed and {is} in the mapping");
        assert!(fault.message.starts_with(&want), "{fault}");
        let fault = refusal(before, after, false);
        assert!(fault.message.starts_with(&format!("column genre is {is} in the table and {was} in raw/")), "{fault}");
        assert!(fault.message.contains("rewind"), "{fault}");
    }
    let fault = refusal(column("Genre", Kind::String, false), column("genre", Kind::String, false), true);
    assert!(fault.message.starts_with("column Genre of table books is called genre in the mapping"), "{fault}");
    let fault = refusal(column("Genre", Kind::String, false), column("genre", Kind::String, false), false);
    assert!(fault.message.starts_with("column genre of the table is called Genre in raw/"), "{fault}");
}

#[test]
fn milliseconds_that_become_microseconds_are_the_same_column() {
    let mut world = World::new(true);
    world.table.mapping = Arc::new(mapping_with([column("sold", Kind::Timestamp(Precision::Milli), false)]));
    world.commit(0, 8);
    world.promote();
    world.commit(0, 8);
    world.table.mapping = Arc::new(mapping_with([column("sold", Kind::Timestamp(Precision::Micro), false)]));
    world.commit(0, 8);
    world.promote();
    world.check_oracle();
}

#[test]
fn a_record_id_that_old_rows_lack_stops_the_table_and_is_named() {
    let mut world = World::new(true);
    world.commit(0, 8);
    world.promote();
    world.table.mapping = Arc::new(mapping_with([column("region", Kind::String, true)]));
    let mut settings = world.table.processed.clone().unwrap();
    settings.record_id.push("region".into());
    world.table.processed = Some(settings);
    world.commit(0, 8);
    let fault = world.promoter().unwrap().promote().unwrap_err();
    assert_eq!((fault.verdict, fault.event), (Verdict::Halt, "promote.record-id"), "{fault}");
    assert!(fault.message.contains("rows without region, which record_id names"), "{fault}");
}

#[test]
fn a_version_that_is_a_new_column_counts_as_the_lowest_in_old_rows() {
    let mut world = World::new(false);
    (0..3).for_each(|lane| world.commit(lane, 8));
    world.promote();
    world.table.mapping = Arc::new(mapping_with([column("revision", Kind::Int64, true)]));
    let mut settings = world.table.processed.clone().unwrap();
    settings.version = Some("revision".into());
    world.table.processed = Some(settings);
    assert!(world.audit().iter().all(|invariant| invariant.ok), "before any row has it");
    world.commit(0, 30);
    world.promote();
    let from_old =
        world.check_table().into_iter().filter(|row| row.topic == "library" && row.partition == 0 && row.offset >= 8);
    let new_ids: std::collections::BTreeSet<i64> = world
        .raw()
        .into_iter()
        .filter(|row| row.topic == "library" && row.partition == 0 && row.offset >= 8)
        .map(|row| row.id)
        .collect();
    assert_eq!(from_old.count(), new_ids.len());
    world.check_values();
}

/// A world with a promotion by an older mapping behind it, and one ahead with rows of both.
fn grown() -> World {
    let mut world = World::new(true);
    (0..3).for_each(|lane| world.commit(lane, 6));
    world.promote();
    world.commit(0, 4);
    world.table.mapping = Arc::new(mapping_with(later(5)));
    (0..3).for_each(|lane| world.commit(lane, 5));
    world
}

fn run(world: &World) -> Result<(), Fault> {
    world.promoter()?.promote().map(drop)
}

fn mutations() -> u64 {
    let world = grown();
    let before = world.faulty.mutations();
    run(&world).unwrap();
    world.faulty.mutations() - before
}

/// The log has the new columns exactly when it has the files with them.
fn check_whole(world: &World, at: &str) {
    let state = state(world);
    let is_new = state.columns.iter().any(|column| column.name == "parts");
    assert_eq!(is_new, state.seq == Some(2), "{at}");
    assert_eq!(state.live.iter().any(|file| file.path.contains("part-00000000000000000002-")), is_new, "{at}");
}

#[test]
fn a_new_schema_and_its_first_files_are_there_together_or_not_at_all() {
    let all = mutations();
    for cut in 0..all {
        let world = grown();
        world.faulty.crash_after_mutations(cut);
        run(&world).expect_err("the crash is noticed");
        world.faulty.heal();
        check_whole(&world, &format!("cut at {cut}"));
        run(&world).unwrap();
        check_whole(&world, &format!("after the cut at {cut}"));
        world.check_oracle();
    }
    for injected in [Injected::LoseAnswer, Injected::Tear] {
        for lost in 0..all {
            let world = grown();
            let at = world.faulty.mutations() + lost;
            world.faulty.inject_once(injected, move |call| call.operation.is_mutation() && call.mutations == at);
            let answer = (0..4).map(|_| run(&world)).find(|answer| !answer.as_ref().is_err_and(retriable));
            answer.unwrap().unwrap_or_else(|fault| panic!("{injected:?} of mutation {lost}: {fault}"));
            check_whole(&world, &format!("{injected:?} of {lost}"));
            world.check_oracle();
        }
    }
}

#[test]
fn a_plan_of_a_newer_mapping_is_finished_by_one_that_lacks_its_columns() {
    // Every cut, and then a daemon with the older mapping: what was published stays published.
    for cut in 0..mutations() {
        let mut world = grown();
        world.faulty.crash_after_mutations(cut);
        run(&world).expect_err("the crash is noticed");
        world.faulty.heal();
        let newer = std::mem::replace(&mut world.table.mapping, Arc::new(mapping(&[])));
        let was_published = (&*world.memory as &dyn Storage)
            .list_or_empty(&forebay::lake::names::Home::processed(TABLE).plans())
            .unwrap()
            .len()
            > 1;
        run(&world).unwrap();
        assert_eq!(names(&world).contains(&"parts".into()), was_published, "cut at {cut}");
        world.table.mapping = newer;
        world.commit(0, 3);
        run(&world).unwrap();
        world.check_table();
    }
}

#[derive(Debug, Clone)]
enum Step {
    Grow,
    Commit { lane: usize, len: i64 },
    Rewind { lane: usize, back: i64 },
    Revise { lane: usize, first: usize },
    Promote { crash: Option<u64> },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => Just(Step::Grow),
        4 => (0usize..3, 1i64..7).prop_map(|(lane, len)| Step::Commit { lane, len }),
        1 => (0usize..3, 1i64..9).prop_map(|(lane, back)| Step::Rewind { lane, back }),
        1 => (0usize..3, 0usize..4).prop_map(|(lane, first)| Step::Revise { lane, first }),
        3 => prop::option::weighted(0.5, 0u64..40).prop_map(|crash| Step::Promote { crash }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn mappings_that_grow_at_any_time_lose_no_value(version in any::<bool>(), steps in prop::collection::vec(step(), 1..14)) {
        let mut world = World::new(version);
        let (mut end, mut columns) = (0, 0);
        for step in steps {
            match step {
                Step::Grow => {
                    columns = (columns + 1).min(5);
                    world.table.mapping = Arc::new(mapping_with(later(columns)));
                }
                Step::Commit { lane, len } => {
                    world.commit(lane, len);
                    end += len;
                }
                Step::Rewind { lane, back } => world.rewind(lane, back, None),
                Step::Revise { lane, first } => drop(world.revise(lane, first, 1, None)),
                Step::Promote { crash: Some(mutations) } => {
                    world.faulty.crash_after_mutations(mutations);
                    let _ = run(&world);
                    world.faulty.heal();
                }
                Step::Promote { crash: None } => {
                    if world.promote().left_out.is_empty() {
                        world.check_oracle();
                    } else {
                        world.check_table();
                    }
                }
            }
        }
        world.settle(end + 1);
        world.promote();
        world.check_oracle();
    }
}

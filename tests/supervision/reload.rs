//! A reload under load: every interval is read whole with one version of the mapping, nothing is lost or doubled, and
//! what is refused changes nothing. The lake is read back by what its files say.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use arrow::array::Array;
use forebay::app::daemon::{Daemon, Options, open_storage};
use forebay::app::reload::{Refused, Reloaded, Reloader};
use forebay::config::Settings;
use forebay::exit::ExitCode;
use forebay::model::mapping::{Column, Compatibility, Kind, Mapping};
use forebay::model::offset::TopicPartition;
use forebay::model::status::LaneState;
use forebay::model::table::{StopRule, TopicChoice};
use forebay::storage::Kind as StorageKind;
use forebay::storage::faulty::{FaultyStorage, Injected};
use forebay::supervise::parts::TreeProbe;
use forebay::supervise::root::{Selection, SetPaused};
use futures::executor::block_on;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::common::{eventually, library};
use crate::lake;
use crate::world::{Fate, World, drain, end_of, in_state, lane};

/// The settings with this version of the mapping of the books: each version has one column more, which is in every
/// message.
fn version(settings: &Settings, version: u32) -> Settings {
    let mut settings = settings.clone();
    let mapping = &settings.tables[0].mapping;
    let genre = mapping.columns.iter().find(|column| column.name == "genre").unwrap();
    let mut columns = mapping.columns.clone();
    columns.retain(|column| !column.name.starts_with("since_"));
    columns.extend((2..=version).map(|number| Column { name: format!("since_{number}"), ..genre.clone() }));
    settings.tables[0].mapping = Arc::new(Mapping { version, columns, ..Mapping::clone(mapping) });
    settings
}

/// The settings with a change of the mapping.
fn changed(settings: &Settings, change: impl FnOnce(&mut Mapping)) -> Settings {
    let mut settings = settings.clone();
    let mut mapping = Mapping::clone(&settings.tables[0].mapping);
    change(&mut mapping);
    settings.tables[0].mapping = Arc::new(mapping);
    settings
}

fn reloader(daemon: &Daemon, settings: &Settings) -> Reloader {
    Reloader::new(daemon, settings, Path::new("forebay.toml"))
}

fn reload(reloader: &Reloader, settings: Settings) -> Result<Reloaded, Refused> {
    block_on(reloader.replace_by(move || Ok(settings)))
}

fn lanes(partitions: &[i32]) -> Vec<TopicPartition> {
    partitions.iter().map(|partition| TopicPartition::new("library", *partition)).collect()
}

/// Each file of RAW by partition and first offset, with the version it says it was read with: it has to have the
/// columns of that version, with a value in every row.
fn versions(root: &Path) -> BTreeMap<(i32, i64), u32> {
    let mut found = BTreeMap::new();
    for path in lake::files(&root.join("raw/books")) {
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(&path).unwrap()).unwrap();
        let pairs = reader.metadata().file_metadata().key_value_metadata().unwrap().clone();
        let says = |key: &str| pairs.iter().find(|pair| pair.key == key).unwrap().value.clone().unwrap();
        let version: u32 = says("forebay.mapping_version").parse().unwrap();
        for batch in reader.build().unwrap().map(Result::unwrap) {
            let schema = batch.schema();
            let since: Vec<_> = schema.fields().iter().filter(|field| field.name().starts_with("since_")).collect();
            assert_eq!(since.len() as u32, version - 1, "{}", path.display());
            for field in since {
                assert_eq!(batch.column_by_name(field.name()).unwrap().null_count(), 0, "{}", path.display());
            }
        }
        found.insert((says("forebay.partition").parse().unwrap(), says("forebay.from").parse().unwrap()), version);
    }
    found
}

/// Versions never go back along a partition.
fn assert_in_order(versions: &BTreeMap<(i32, i64), u32>) {
    for (before, after) in versions.iter().zip(versions.iter().skip(1)) {
        assert!(before.0.0 != after.0.0 || before.1 <= after.1, "{before:?} is followed by {after:?}");
    }
}

/// Sends until it is told to stop.
fn under_load<T>(world: &Arc<World>, run: impl FnOnce() -> T) -> T {
    let busy = Arc::new(AtomicBool::new(true));
    let (sender, is_busy) = (Arc::clone(world), Arc::clone(&busy));
    let load = std::thread::spawn(move || {
        while is_busy.load(Ordering::SeqCst) {
            sender.trickle(10);
        }
    });
    let result = run();
    busy.store(false, Ordering::SeqCst);
    load.join().unwrap();
    result
}

#[test]
fn a_reload_in_the_middle_of_a_stream_parts_old_and_new_at_a_commit() {
    let world = Arc::new(World::new(2));
    let settings = world.settings();
    let daemon = world.start(&Options::default());
    let reloader = reloader(&daemon, &settings);
    world.send(100);
    world.caught_up(&daemon);
    let old_ends = [world.end_of(0), world.end_of(1)];
    let reloaded = under_load(&world, || reload(&reloader, version(&settings, 2)).unwrap());
    assert_eq!(reloaded, Reloaded { changed: vec!["books".to_owned()], lanes: lanes(&[0, 1]) });
    for partition in [0, 1] {
        let lane = lane(&daemon, partition).unwrap();
        assert_eq!(
            (lane.generation, lane.mappings["books"]),
            (2, 2),
            "the answer comes when it reads with the new one"
        );
    }
    world.caught_up(&daemon);
    let new_from = [world.end_of(0), world.end_of(1)];
    world.send(100);
    world.finish(daemon);
    let versions = versions(&world.sandbox.lake());
    assert_in_order(&versions);
    for ((partition, from), version) in versions {
        let place = usize::try_from(partition).unwrap();
        assert!(version == 1 || from >= old_ends[place], "{partition}:{from} was committed before the reload");
        assert!(version == 2 || from < new_from[place], "{partition}:{from} was sent after the reload");
    }
}

#[test]
fn what_was_read_before_a_reload_is_committed_with_the_old_mapping() {
    let world = World::new(1);
    let mut settings = world.settings();
    settings.tables[0].raw.roll_age = Duration::from_secs(600);
    let daemon = world.sandbox.start(&settings, &Options::default());
    let reloader = reloader(&daemon, &settings);
    world.send(60);
    eventually("it is read", || lane(&daemon, 0).is_some_and(|lane| lane.position == Some(60)));
    assert_eq!(lane(&daemon, 0).unwrap().committed, Some(0));
    reload(&reloader, version(&settings, 2)).unwrap();
    assert_eq!(lane(&daemon, 0).unwrap().committed, Some(60));
    world.send(40);
    // The files roll sooner from now on: that needs no version.
    let mut sooner = version(&settings, 2);
    sooner.tables[0].raw.roll_age = Duration::from_millis(200);
    assert_eq!(reload(&reloader, sooner).unwrap().lanes, lanes(&[0]));
    world.finish(daemon);
    let versions = versions(&world.sandbox.lake());
    assert_eq!(versions[&(0, 0)], 1);
    assert!(versions.iter().all(|((_, from), version)| (*from < 60) == (*version == 1)), "{versions:?}");
}

#[test]
fn many_reloads_under_load_with_stages_that_panic_lose_nothing() {
    let world = Arc::new(World::new(2));
    let settings = world.settings();
    let steps = AtomicU64::new(0);
    let at: Vec<u64> = (0..12).map(|number| number * 60 + world.below(60) as u64).collect();
    let probe: TreeProbe = Arc::new(move |_, _| {
        assert!(!at.contains(&steps.fetch_add(1, Ordering::SeqCst)), "on purpose");
    });
    let daemon = world.start(&Options { probe: Some(probe), ..Options::default() });
    let reloader = reloader(&daemon, &settings);
    under_load(&world, || {
        for number in 2..=7 {
            eventually("something is committed", || lane(&daemon, 0).is_some_and(|lane| lane.last_commit.is_some()));
            assert_eq!(reload(&reloader, version(&settings, number)).unwrap().changed, ["books"]);
        }
    });
    world.finish(daemon);
    let versions = versions(&world.sandbox.lake());
    assert_in_order(&versions);
    assert!(versions.values().any(|version| *version == 7), "{versions:?}");
}

#[test]
fn what_is_refused_changes_nothing_and_all_of_it_is_told() {
    let world = World::new(1);
    let settings = world.settings();
    let daemon = world.start(&Options::default());
    let reloader = reloader(&daemon, &settings);
    world.send(50);
    world.caught_up(&daemon);
    let before = daemon.parts().tables();
    let mut wrong = changed(&version(&settings, 2), |mapping| mapping.columns.retain(|column| column.name != "genre"));
    wrong.limits.memory *= 2;
    wrong.tables[0].raw.roll_age = Duration::from_millis(100);
    let Err(Refused::Problems(problems)) = reload(&reloader, wrong) else { panic!("not refused") };
    let keys: Vec<_> = problems.iter().map(|problem| problem.key.as_str()).collect();
    assert_eq!(keys, ["limits.memory", "table.mapping"]);
    assert!(problems[1].message.starts_with("column genre would go"), "{problems:?}");
    let same_version = changed(&version(&settings, 2), |mapping| mapping.version = 1);
    let Err(Refused::Problems(problems)) = reload(&reloader, same_version) else { panic!("not refused") };
    assert!(problems[0].message.contains("still version 1"), "{problems:?}");
    let unreadable = block_on(reloader.replace_by(|| Err(Vec::new())));
    assert_eq!(unreadable, Err(Refused::Problems(Vec::new())));
    assert!(Arc::ptr_eq(&before, &daemon.parts().tables()));
    assert_eq!(reload(&reloader, settings.clone()).unwrap().changed, Vec::<String>::new());
    let lane = lane(&daemon, 0).unwrap();
    assert_eq!((lane.generation, lane.state), (1, LaneState::Running), "nobody was disturbed");
    // And it still takes what is right.
    assert_eq!(reload(&reloader, version(&settings, 2)).unwrap().lanes, lanes(&[0]));
    world.send(50);
    world.finish(daemon);
}

#[test]
fn what_cannot_be_read_together_is_taken_when_the_mapping_says_so() {
    let world = World::new(1);
    let settings = world.settings();
    let daemon = world.start(&Options::default());
    let reloader = reloader(&daemon, &settings);
    world.send(20);
    world.caught_up(&daemon);
    let other = changed(&version(&settings, 2), |mapping| {
        mapping.compatibility = Compatibility::None;
        mapping
            .columns
            .iter_mut()
            .filter(|column| column.name == "publication_year")
            .for_each(|c| c.kind = Kind::String);
    });
    assert_eq!(reload(&reloader, other).unwrap().changed, ["books"]);
    world.send(20);
    world.caught_up(&daemon);
    drain(daemon).unwrap();
    world.assert_raw();
    assert_eq!(versions(&world.sandbox.lake()).into_values().max(), Some(2));
}

#[test]
fn lanes_of_tables_that_have_not_changed_go_on() {
    let world = World::new(1);
    let mut settings = world.settings();
    let mut other = settings.tables[0].clone();
    (other.name, other.topics, other.processed) = ("notes".into(), TopicChoice::List(vec!["notes".to_owned()]), None);
    settings.tables.push(other);
    let daemon = world.sandbox.start(&settings, &Options::default());
    let reloader = reloader(&daemon, &settings);
    world.send_elsewhere("notes", &library(1, "a note", "2026-10-15T18:42:00Z").unwrap());
    let of = |topic: &str| {
        let lanes = daemon.snapshot().unwrap().lanes;
        lanes.into_iter().filter(|lane| lane.topic == topic).collect::<Vec<_>>()
    };
    world.send(50);
    world.caught_up(&daemon);
    eventually("the other topic is read", || {
        let lanes = of("notes");
        !lanes.is_empty() && lanes.iter().all(|lane| lane.state == LaneState::Running)
    });
    assert_eq!(reload(&reloader, version(&settings, 2)).unwrap().lanes, lanes(&[0]));
    for lane in of("notes") {
        assert_eq!((lane.generation, lane.state, lane.mappings["notes"]), (1, LaneState::Running, 1));
    }
    world.send(50);
    world.caught_up(&daemon);
    drain(daemon).unwrap();
    world.assert_raw();
}

#[test]
fn a_paused_lane_goes_over_paused_and_a_halted_one_begins_again() {
    let world = World::new(2);
    let mut settings = world.settings();
    settings.tables[0].stop_when = Some(StopRule { failed_ppm: 500_000, of: 10 });
    let daemon = world.sandbox.start(&settings, &Options::default());
    let reloader = reloader(&daemon, &settings);
    let source = TopicPartition::new("library", 0);
    in_state(&daemon, 0, LaneState::Running);
    let pause = |is_paused| SetPaused { selection: Selection::One(source.clone()), is_paused };
    block_on(daemon.root().send(pause(true))).unwrap();
    let bad = || (Some("<library><book>".to_owned()), Fate::Quarantined { code: "xml." });
    world.send_these((0..20).map(|_| bad()).collect());
    in_state(&daemon, 1, LaneState::Halted);
    let mut next = version(&settings, 2);
    next.tables[0].stop_when = None;
    assert_eq!(reload(&reloader, next).unwrap().lanes, lanes(&[0, 1]));
    assert_eq!(in_state(&daemon, 0, LaneState::Paused).mappings["books"], 2);
    in_state(&daemon, 1, LaneState::Running);
    block_on(daemon.root().send(pause(false))).unwrap();
    world.send(20);
    world.finish(daemon);
}

#[test]
fn a_daemon_that_dies_in_a_reload_leaves_whole_intervals_of_one_version_each() {
    for point in 0..8 {
        let world = Arc::new(World::new(1));
        let mut settings = world.settings();
        settings.run.drain = Duration::from_millis(300);
        settings.tables[0].raw.roll_age = Duration::from_secs(60);
        let faulty = Arc::new(FaultyStorage::new(open_storage(&settings).unwrap()));
        let options = Options { storage: Some(Arc::clone(&faulty) as _), ..Options::default() };
        let daemon = world.sandbox.start(&settings, &options);
        let reloader = reloader(&daemon, &settings);
        world.send(60);
        eventually("it is read", || lane(&daemon, 0).is_some_and(|lane| lane.position == Some(world.end_of(0))));
        // The commit with the old mapping, the epoch of the new generation, and what lies between.
        let dies_at = faulty.mutations() + point;
        faulty.crash_after_mutations(point);
        let next = version(&settings, 2);
        std::thread::scope(|scope| {
            let asked = scope.spawn(|| reload(&reloader, next.clone()));
            eventually("it has died", || faulty.mutations() > dies_at);
            let _ = drain(daemon);
            // Whatever was answered: nobody relies on it.
            drop(asked.join());
        });
        world.send(30);
        world.finish(world.sandbox.start(&version(&world.settings(), 2), &Options::default()));
        assert_in_order(&versions(&world.sandbox.lake()));
    }
}

#[test]
fn a_lane_whose_storage_is_away_goes_over_when_it_is_back() {
    let world = World::new(1);
    let settings = world.settings();
    let faulty = Arc::new(FaultyStorage::new(open_storage(&settings).unwrap()));
    let options = Options { storage: Some(Arc::clone(&faulty) as _), ..Options::default() };
    let daemon = world.sandbox.start(&settings, &options);
    let reloader = reloader(&daemon, &settings);
    in_state(&daemon, 0, LaneState::Running);
    faulty.inject(Injected::Fail(StorageKind::Unavailable), |_| true);
    world.send(50);
    eventually("it is read", || lane(&daemon, 0).is_some_and(|lane| lane.position == Some(world.end_of(0))));
    let (first, second) = (version(&settings, 2), version(&settings, 3));
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| reload(&reloader, first));
        let waiting = in_state(&daemon, 0, LaneState::Draining);
        assert_eq!(waiting.mappings["books"], 1, "the status says what it still reads with");
        // Another reload does not wait for the first.
        let again = scope.spawn(|| reload(&reloader, second));
        eventually("both are taken", || daemon.parts().tables().tables()[0].mapping.version == 3);
        faulty.heal();
        assert_eq!(asked.join().unwrap().unwrap().lanes, lanes(&[0]));
        assert_eq!(again.join().unwrap().unwrap().lanes, lanes(&[0]));
    });
    assert_eq!(in_state(&daemon, 0, LaneState::Running).mappings["books"], 3);
    world.send(50);
    world.finish(daemon);
    assert_in_order(&versions(&world.sandbox.lake()));
}

#[test]
fn a_daemon_that_starts_with_a_mapping_that_does_not_fit_the_lake_says_so_until_it_does() {
    let world = World::new(1);
    let settings = world.settings();
    let daemon = world.start(&Options::default());
    world.send(20);
    world.caught_up(&daemon);
    drain(daemon).unwrap();
    let files = lake::files(&world.sandbox.lake());
    let without_genre = |mapping: &mut Mapping| mapping.columns.retain(|column| column.name != "genre");
    let wrong = changed(&version(&settings, 2), without_genre);
    world.send(20);
    let fault = end_of(world.sandbox.start(&wrong, &Options::default())).unwrap_err();
    assert_eq!((fault.event, ExitCode::of(&fault)), ("lane.schema-clash", ExitCode::Configuration));
    for word in ["table books", "column genre would go", "raw/books/dt=", "(books.toml, version 1)", "compatibility"] {
        assert!(fault.message.contains(word), "{word} is not in {fault:?}");
    }
    assert_eq!(lake::files(&world.sandbox.lake()), files, "nothing was written");
    // Beside a lane that works, the one that does not fit halts alone, and begins when its mapping does fit.
    let mut two = wrong.clone();
    let mut other = settings.tables[0].clone();
    (other.name, other.topics, other.processed) = ("notes".into(), TopicChoice::List(vec!["notes".to_owned()]), None);
    two.tables.push(other);
    world.send_elsewhere("notes", &library(1, "a note", "2026-10-15T18:42:00Z").unwrap());
    let daemon = world.sandbox.start(&two, &Options::default());
    let halted = || lane(&daemon, 0).is_some_and(|lane| lane.state == LaneState::Halted);
    eventually("the lane of the books halts", halted);
    let mut right = version(&settings, 3);
    right.tables.push(two.tables[1].clone());
    let reloader = reloader(&daemon, &two);
    assert_eq!(reload(&reloader, right).unwrap().lanes, lanes(&[0]));
    world.send(20);
    world.caught_up(&daemon);
    drain(daemon).unwrap();
    world.assert_raw();
    // A version does not go back, not even where old and new could be read together.
    let back = changed(&version(&settings, 3), |mapping| mapping.version = 2);
    let fault = end_of(world.sandbox.start(&back, &Options::default())).unwrap_err();
    assert!(fault.message.contains("books.toml is version 2, and raw/books/dt="), "{fault:?}");
    // What the mapping answers for is not asked.
    let none = changed(&wrong, |mapping| (mapping.version, mapping.compatibility) = (4, Compatibility::None));
    let daemon = world.sandbox.start(&none, &Options::default());
    in_state(&daemon, 0, LaneState::Running);
    drain(daemon).unwrap();
}

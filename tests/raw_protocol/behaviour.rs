//! What an owner's calls promise, one by one.

use std::sync::Arc;
use std::time::Duration;

use forebay::fault::{Fault, Verdict};
use forebay::lake::fence::Owner;
use forebay::lake::{LakeError, PendingInterval, RewindOrder, acquire, chain, plan_rewind};
use forebay::model::offset::{Epoch, OffsetRange};
use forebay::storage::faulty::{FaultyStorage, Operation};
use forebay::storage::{LakePath, Storage};

use super::world::{Latest, START, World, owner};

fn storage(world: &World) -> Arc<dyn Storage> {
    Arc::clone(&world.memory) as Arc<dyn Storage>
}

pub(crate) fn order(target: i64) -> RewindOrder<'static> {
    RewindOrder { target, expect: None, broker_low: 0, reason: "test" }
}

#[test]
fn a_lane_and_its_intervals_go_from_thread_to_thread() {
    fn is_send<T: Send>() {}
    is_send::<forebay::lake::LaneLedger>();
    is_send::<PendingInterval>();
}

#[test]
fn the_configured_start_is_published_once_and_then_kept() {
    let world = World::new();
    assert_eq!(world.acquire(&storage(&world), "a").unwrap().head(), START);
    let moving = Latest::new();
    for _ in 0..3 {
        let lane = acquire(&storage(&world), &world.clock(), &owner("b"), &world.source, &moving).unwrap();
        assert_eq!(lane.head(), START);
    }
    let floors = world.memory.files(&world.home("floor"));
    assert_eq!(floors.len(), 1);
}

#[test]
fn each_acquire_takes_its_own_epoch_and_fences_the_one_before() {
    let world = World::new();
    let mut first = world.acquire(&storage(&world), "a").unwrap();
    let mut second = world.acquire(&storage(&world), "a").unwrap();
    assert_eq!((first.epoch(), second.epoch()), (Epoch(1), Epoch(2)));
    let error = world.commit_next(&mut first, 2, "a").unwrap_err();
    assert_eq!(
        error.to_string(),
        "_forebay/raw/library/p00007 was taken over by e2 (pid 1 on h, group forebay): e1 is over"
    );
    assert_eq!(Fault::from(error).verdict, Verdict::Fenced);
    world.commit_next(&mut second, 2, "a").unwrap();
    assert!(first.rewind(order(START)).unwrap_err().is_fenced());
}

#[test]
fn another_group_cluster_or_topic_is_refused() {
    let world = World::new();
    world.acquire(&storage(&world), "a").unwrap();
    let try_as = |change: &dyn Fn(&mut Owner)| {
        let mut who = owner("b");
        change(&mut who);
        acquire(&storage(&world), &world.clock(), &who, &world.source, &Latest::new())
    };
    type Change<'a> = (&'a str, &'a dyn Fn(&mut Owner));
    let changes: [Change<'_>; 3] = [
        ("consumer group", &|who| who.group = "other".into()),
        ("cluster", &|who| who.cluster_id = Some("other".into())),
        ("topic", &|who| who.topic_id = Some("other".into())),
    ];
    for (what, change) in changes {
        let error = try_as(change).unwrap_err();
        assert!(matches!(&error, LakeError::Foreign { what: found, .. } if *found == what), "{error}");
        assert_eq!(Fault::from(error).verdict, Verdict::Halt);
    }
    assert_eq!(world.memory.files(&world.home("owner")).len(), 1, "a refusal takes no epoch");
    let taken = try_as(&|who| (who.group, who.takes_over) = ("other".into(), true)).unwrap();
    assert_eq!(taken.epoch(), Epoch(2));
    let recreated = try_as(&|who| (who.topic_id, who.takes_over) = (Some("other".into()), true));
    assert!(recreated.is_err(), "offsets of a recreated topic mean something else");
}

#[test]
fn an_interval_begins_at_the_head_and_adds_up() {
    let world = World::new();
    let mut lane = world.acquire(&storage(&world), "a").unwrap();
    let mut ahead = world.interval(START + 1, START + 2, "a");
    assert!(matches!(lane.commit(&mut ahead), Err(LakeError::Internal(_))));
    let empty = OffsetRange::new(START, START).unwrap();
    let mut empty = PendingInterval::new(empty, world.ledger_writer(), Vec::new(), Vec::new());
    assert!(matches!(lane.commit(&mut empty), Err(LakeError::Internal(_))));
    let range = OffsetRange::new(START, START + 1).unwrap();
    let mut writer = world.ledger_writer();
    let row = forebay::model::batch::LedgerRow {
        offset: START,
        timestamp_us: None,
        outcome: forebay::model::batch::Outcome::Rows,
        table: Some(0),
        rows: 2,
        code: None,
    };
    writer.append(&[row]).unwrap();
    let mut without_file = PendingInterval::new(range, writer, Vec::new(), Vec::new());
    let error = lane.commit(&mut without_file).unwrap_err().to_string();
    assert!(error.contains("2 rows for raw of `books`, its files hold 0"), "{error}");
    world.commit_next(&mut lane, 4, "a").unwrap();
    assert_eq!(lane.head(), START + 4);
}

#[test]
fn a_loss_that_was_accepted_is_an_interval_that_says_so() {
    let world = World::new();
    let mut lane = world.acquire(&storage(&world), "a").unwrap();
    let range = OffsetRange::new(START, START + 500).unwrap();
    let mut lost = PendingInterval::lost(range, world.ledger_writer(), "retention was faster");
    let committed = lane.commit(&mut lost).unwrap();
    assert_eq!(committed.footer.lost.unwrap().reason, "retention was faster");
    assert_eq!(world.acquire(&storage(&world), "b").unwrap().head(), START + 500);
}

#[test]
fn dates_come_from_storage_and_never_go_back() {
    let world = World::new();
    let mut lane = world.acquire(&storage(&world), "a").unwrap();
    world.commit_next(&mut lane, 1, "a").unwrap();
    world.clock.advance(Duration::from_secs(60));
    world.memory.set_time("2026-11-21T00:00:30Z".parse().unwrap());
    world.commit_next(&mut lane, 1, "a").unwrap();
    world.memory.set_time("2026-11-20T20:00:00Z".parse().unwrap());
    let mut lane = world.acquire(&storage(&world), "b").unwrap();
    world.commit_next(&mut lane, 1, "b").unwrap();
    let raw: Vec<String> = world.memory.files("raw").into_keys().collect();
    let dirs: Vec<&str> = raw.iter().map(|path| path.rsplit_once('/').unwrap().0).collect();
    let expected = ["raw/books/dt=2026-11-20/hr=23", "raw/books/dt=2026-11-21/hr=00", "raw/books/dt=2026-11-21/hr=00"];
    // Offset 3 is broken: only quarantine has it.
    assert_eq!(dirs, expected[1..], "{raw:?}");
    let ledger: Vec<String> = world.memory.files("ledger").into_keys().collect();
    let dates = ledger.iter().map(|path| path.split('/').nth(3).unwrap()).collect::<Vec<_>>();
    assert_eq!(dates, ["dt=2026-11-20", "dt=2026-11-21", "dt=2026-11-21"]);
}

#[test]
fn clocks_a_day_apart_halt() {
    let world = World::new();
    world.clock.advance(Duration::from_secs(25 * 3600));
    let error = world.acquire(&storage(&world), "a").unwrap_err();
    assert!(error.to_string().contains("25 hours apart"), "{error}");
    assert_eq!(Fault::from(error).verdict, Verdict::Halt);
    world.memory.set_time("2026-11-22T00:59:30Z".parse().unwrap());
    let mut lane = world.acquire(&storage(&world), "a").unwrap();
    world.memory.set_time("2026-11-24T00:59:30Z".parse().unwrap());
    assert!(matches!(world.commit_next(&mut lane, 1, "a"), Err(LakeError::Clocks { .. })));
    assert!(world.memory.files("ledger").is_empty());
}

#[test]
fn a_rewind_goes_to_the_beginning_of_an_interval() {
    let world = World::new();
    let mut lane = world.acquire(&storage(&world), "a").unwrap();
    for _ in 0..3 {
        world.commit_next(&mut lane, 3, "a").unwrap();
    }
    let plan = plan_rewind(&*storage(&world), &world.source, order(START + 4)).unwrap();
    assert_eq!((plan.to, plan.head, plan.intervals, plan.messages), (START + 3, START + 9, 2, 6));
    assert_eq!((plan.quarantined, plan.rows["books"], plan.files), (2, 4, 4));
    assert_eq!(lane.rewind(order(START + 4)).unwrap().plan, plan);
    assert_eq!((lane.head(), lane.epoch(), lane.rewound_until()), (START + 3, Epoch(2), Some(START + 9)));
    assert_eq!(world.memory.files("raw").len(), 1);
    let superseded = world.memory.files(&world.home("superseded/e0000000002"));
    assert_eq!(superseded.len(), 6, "{superseded:?}");
    world.commit_next(&mut lane, 6, "a").unwrap();
    assert_eq!(lane.rewound_until(), None);
    let state = chain::read_chain(&*storage(&world), &world.source).unwrap();
    assert!(!state.has_open_intent() && state.intents.len() == 1);
}

#[test]
fn a_rewind_that_cannot_be_is_refused_and_changes_nothing() {
    let world = World::new();
    let mut lane = world.acquire(&storage(&world), "a").unwrap();
    world.commit_next(&mut lane, 3, "a").unwrap();
    world.commit_next(&mut lane, 3, "a").unwrap();
    let head = START + 6;
    for (order, reason) in [
        (order(START - 1), "below the floor 3"),
        (order(head), "not below its head 9"),
        (RewindOrder { expect: Some(1), ..order(START) }, "is at offset 9, not at 1"),
        (RewindOrder { broker_low: START + 1, ..order(START) }, "the earliest possible is 6"),
        (RewindOrder { broker_low: 100, ..order(START) }, "nothing of the chain can be read again"),
    ] {
        let error = lane.rewind(order).unwrap_err();
        assert!(matches!(error, LakeError::Refused(_)) && error.to_string().contains(reason), "{error}");
    }
    assert_eq!((lane.head(), lane.epoch()), (head, Epoch(1)));
    world.commit_next(&mut lane, 1, "a").unwrap();
}

#[test]
fn a_hint_is_verified_and_never_trusted() {
    let world = World::new();
    let mut lane = world.acquire(&storage(&world), "a").unwrap();
    for _ in 0..4 {
        world.commit_next(&mut lane, 1, "a").unwrap();
    }
    let heads = LakePath::parse(&world.home("head")).unwrap();
    let content = forebay::storage::Content::Bytes(b"");
    for lie in [
        "00000000000000000090+00000000000000000099+e0000000001+dt=2026-11-20",
        "00000000000000000004+00000000000000000005+e0000000001+dt=2026-11-19",
        "what is this",
    ] {
        world.memory.create(&heads.join(lie), content).unwrap();
    }
    assert_eq!(world.acquire(&storage(&world), "b").unwrap().head(), START + 4);
    world.memory.delete(&heads).unwrap();
    assert_eq!(world.acquire(&storage(&world), "b").unwrap().head(), START + 4);
}

#[test]
fn a_hole_halts_the_lane_and_names_the_offset() {
    let world = World::new();
    let mut lane = world.acquire(&storage(&world), "a").unwrap();
    for _ in 0..3 {
        world.commit_next(&mut lane, 1, "a").unwrap();
    }
    let middle = world.memory.files("ledger").into_keys().nth(1).unwrap();
    world.memory.delete(&LakePath::parse(&middle).unwrap()).unwrap();
    let error = world.acquire(&storage(&world), "b").unwrap_err();
    assert!(error.to_string().contains("no file begins at offset 4"), "{error}");
    assert_eq!(Fault::from(error).verdict, Verdict::Halt);
}

#[test]
fn a_staged_file_that_lost_its_end_is_written_again_under_another_name() {
    let world = World::new();
    let faulty = Arc::new(FaultyStorage::new(storage(&world)));
    let watched = Arc::clone(&faulty) as Arc<dyn Storage>;
    let mut lane = world.acquire(&watched, "a").unwrap();
    let memory = Arc::clone(&world.memory);
    let stage = LakePath::parse(&world.home("stage/e0000000001")).unwrap();
    faulty.before_each(move |call| {
        let short: Vec<LakePath> = memory
            .files(stage.as_str())
            .into_keys()
            .filter(|file| file.contains("-a1."))
            .map(|file| LakePath::parse(&file).unwrap())
            .collect();
        if call.operation == Operation::List && call.path == stage {
            for file in short {
                memory.delete(&file).unwrap();
                memory.create(&file, forebay::storage::Content::Bytes(b"PAR1")).unwrap();
            }
        }
    });
    world.commit_next(&mut lane, 3, "a").unwrap();
    world.recover("b");
    world.check_at_rest().unwrap();
}

#[test]
fn the_head_is_found_without_listing_the_whole_chain() {
    let world = World::new();
    let mut lane = world.acquire(&storage(&world), "a").unwrap();
    for day in 0..40 {
        world.memory.set_time(format!("2026-11-{:02}T12:00:00Z", day % 2 + 20).parse().unwrap());
        world.commit_next(&mut lane, 1, "a").unwrap();
    }
    let faulty = Arc::new(FaultyStorage::new(storage(&world)));
    let counted = Arc::clone(&faulty) as Arc<dyn Storage>;
    assert_eq!(world.acquire(&counted, "b").unwrap().head(), START + 40);
    assert_eq!(faulty.count(Operation::Read), 2, "the newest owner and the newest ledger file");
    let listed = faulty.history().into_iter().filter(|call| call.path.as_str().contains("/dt=")).count();
    assert_eq!(listed, 2, "one path partition, one footer");
}

#[test]
fn calls_to_storage_are_few() {
    let world = World::new();
    let mut lane = world.acquire(&storage(&world), "a").unwrap();
    for _ in 0..5 {
        world.commit_next(&mut lane, 1, "a").unwrap();
    }
    let faulty = Arc::new(FaultyStorage::new(storage(&world)));
    let counted = Arc::clone(&faulty) as Arc<dyn Storage>;
    let mut lane = world.acquire(&counted, "b").unwrap();
    let story = faulty.history().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    assert!(faulty.calls() <= 21, "an acquire takes {} calls:\n{story}", faulty.calls());
    // Offset 10 is a good one; the commits before it have made its directories.
    world.commit_next(&mut lane, 1, "b").unwrap();
    world.commit_next(&mut lane, 1, "b").unwrap();
    let before = faulty.calls();
    world.commit_next(&mut lane, 1, "b").unwrap();
    assert!(faulty.calls() - before <= 5, "a commit of one data file takes {} calls", faulty.calls() - before);
    assert!(world.spool_is_empty(), "what is committed leaves the spool");
}

use std::sync::Arc;

use super::*;
use crate::fault::Verdict;
use crate::lake::names::{PartName, processed_dir};
use crate::lake::plan::{ColumnStats, part_path};
use crate::model::offset::Epoch;
use crate::storage::faulty::{FaultyStorage, Injected, Operation};
use crate::storage::local::LocalStorage;
use crate::storage::{Content, Kind};

struct Lake {
    _dir: tempfile::TempDir,
    faulty: Arc<FaultyStorage>,
    storage: Arc<dyn Storage>,
    log: TableLog,
}

fn spec(name: &str, kind: &str) -> ColumnSpec {
    ColumnSpec { name: name.into(), kind: kind.into() }
}

fn lake() -> Lake {
    let dir = tempfile::tempdir().unwrap();
    let local: Arc<dyn Storage> = Arc::new(LocalStorage::open(dir.path()).unwrap());
    let faulty = Arc::new(FaultyStorage::new(local));
    let storage: Arc<dyn Storage> = faulty.clone();
    let stage = LakePath::root().join("stage");
    storage.make_dirs(&stage).unwrap();
    let log = TableLog::open(&storage, "books", processed_dir("books"), stage).unwrap();
    Lake { _dir: dir, faulty, storage, log }
}

impl Lake {
    /// The plan after `previous` that adds one file for each date and removes `remove`, its files in place.
    fn plan(&self, previous: Option<&Plan>, dates: &[Option<&str>], remove: &[String]) -> Plan {
        let mut plan = Plan::after(previous, "books", 1);
        plan.columns = vec![spec("id", "int64"), spec("added", "timestamp"), spec("price", "decimal(10,2)")];
        let mut live: Vec<String> = self
            .log
            .state()
            .unwrap()
            .map_or_else(Vec::new, |state| state.live.into_iter().map(|file| file.path).collect());
        for (number, dt) in dates.iter().enumerate() {
            let name = PartName { seq: plan.seq, epoch: Epoch(1), bucket: 0, number: number as u32 };
            let path = part_path(*dt, name);
            let target = processed_dir("books").join(&path);
            self.storage.make_dirs(&target.parent()).unwrap();
            self.storage.create(&target, Content::Bytes(b"rows")).unwrap();
            live.push(path.clone());
            plan.add.push(PlannedFile {
                path,
                staged: name.file_name(),
                bytes: 4,
                rows: 7,
                crc32: 0,
                dt: dt.map(str::to_owned),
                stats: vec![
                    ColumnStats { column: "id".into(), nulls: 0, bounds: Some((1, 9)) },
                    ColumnStats { column: "added".into(), nulls: 7, bounds: None },
                ],
            });
        }
        plan.remove = remove.to_vec();
        live.retain(|path| !remove.contains(path));
        plan.after = Census::of(live.iter().map(String::as_str));
        plan
    }
}

#[test]
fn a_log_is_created_grows_and_shrinks() {
    let lake = lake();
    assert_eq!(lake.log.state().unwrap(), None);
    let first = lake.plan(None, &[Some("2026-10-15"), None], &[]);
    assert_eq!(lake.log.commit(&first).unwrap(), None);
    let state = lake.log.state().unwrap().unwrap();
    assert_eq!((state.version, state.seq, state.columns.clone()), (0, Some(1), first.columns.clone()));
    let seen: Vec<_> =
        state.live.iter().map(|file| (file.path.clone(), file.bytes, file.rows, file.dt.clone())).collect();
    let want = |number: usize| {
        let file = &first.add[number];
        (file.path.clone(), 4, 7, file.dt.clone())
    };
    assert_eq!(seen, [want(0), want(1)]);
    assert_eq!(state.census(), first.after);

    let second = lake.plan(Some(&first), &[Some("2026-10-16")], &[first.add[1].path.clone()]);
    lake.log.commit(&second).unwrap();
    lake.log.commit(&second).unwrap();
    let state = lake.log.state().unwrap().unwrap();
    assert_eq!((state.version, state.seq, state.census()), (1, Some(2), second.after));
    assert_eq!(state.live.len(), 2);
}

#[test]
fn new_columns_come_in_the_entry_of_the_first_files_that_have_them() {
    let lake = lake();
    let first = lake.plan(None, &[Some("2026-10-15")], &[]);
    lake.log.commit(&first).unwrap();
    let mut second = lake.plan(Some(&first), &[Some("2026-10-16")], &[]);
    second.columns.extend([spec("genre", "string"), spec("tags", "list<struct<a:string,b:decimal(38,9)>>")]);
    lake.log.commit(&second).unwrap();
    let state = lake.log.state().unwrap().unwrap();
    assert_eq!((state.version, state.seq, state.live.len()), (1, Some(2), 2));
    assert_eq!(state.columns, second.columns);
    // A plan that lacks them does not take them away.
    let third = lake.plan(Some(&second), &[Some("2026-10-17")], &[]);
    lake.log.commit(&third).unwrap();
    assert_eq!(lake.log.state().unwrap().unwrap().columns, second.columns);
    // A plan of an earlier version may have columns and no files: it was published, so it is finished.
    let mut bare = lake.plan(Some(&third), &[], &[]);
    bare.columns.push(spec("shelf", "int8"));
    lake.log.commit(&bare).unwrap();
    let state = lake.log.state().unwrap().unwrap();
    assert_eq!((state.seq, state.columns.last()), (Some(4), bare.columns.last()));
    let mut clash = lake.plan(Some(&bare), &[Some("2026-10-18")], &[]);
    clash.columns.push(spec("Genre", "string"));
    let fault = lake.log.commit(&clash).unwrap_err();
    assert_eq!((fault.verdict, fault.event), (Verdict::Halt, "promote.schema"), "{fault}");
}

#[test]
fn a_log_is_told_of_timestamps_without_a_zone_before_it_has_one() {
    let entries = |lake: &Lake| {
        let names = lake.storage.list(&processed_dir("books").join("_delta_log")).unwrap();
        names.into_iter().filter(|entry| !entry.is_dir).count()
    };
    let lake = lake();
    let first = lake.plan(None, &[Some("2026-10-15")], &[]);
    lake.log.commit(&first).unwrap();
    let mut second = lake.plan(Some(&first), &[Some("2026-10-16")], &[]);
    second.columns.push(spec("placed", "list<timestamp_ntz>"));
    // The first answer is lost, so that it is told by an entry that nobody knows of.
    lake.faulty.inject_once(Injected::LoseAnswer, |call| call.operation == Operation::Rename);
    lake.log.commit(&second).unwrap();
    let state = lake.log.state().unwrap().unwrap();
    assert_eq!((state.version, state.seq, state.columns, entries(&lake)), (2, Some(2), second.columns.clone(), 3));
    let mut third = lake.plan(Some(&second), &[Some("2026-10-17")], &[]);
    third.columns = second.columns;
    third.columns.push(spec("shipped", "timestamp_ntz"));
    lake.log.commit(&third).unwrap();
    assert_eq!((lake.log.state().unwrap().unwrap().version, entries(&lake)), (3, 4), "told once");
}

#[test]
fn a_checkpoint_is_written_now_and_then_and_read_again() {
    let lake = lake();
    let mut plan = lake.plan(None, &[Some("2026-10-15")], &[]);
    assert_eq!(lake.log.commit(&plan).unwrap(), None);
    for _ in 0..CHECKPOINT_EVERY + 2 {
        plan = lake.plan(Some(&plan), &[Some("2026-10-15")], std::slice::from_ref(&plan.add[0].path));
        assert_eq!(lake.log.commit(&plan).unwrap(), None);
    }
    let names: Vec<_> = lake.storage.list(&processed_dir("books").join("_delta_log")).unwrap();
    let has = |name: &str| names.iter().any(|entry| entry.path.name() == name);
    assert!(has("_last_checkpoint") && has("00000000000000000020.checkpoint.parquet"), "{names:?}");
    let state = lake.log.state().unwrap().unwrap();
    assert_eq!((state.seq, state.census()), (Some(plan.seq), plan.after));
    assert_eq!(state.columns, plan.columns);
}

#[test]
fn files_of_somebody_else_stop_the_table() {
    let lake = lake();
    let first = lake.plan(None, &[Some("2026-10-15")], &[]);
    lake.log.commit(&first).unwrap();
    let mut foreign = lake.plan(Some(&first), &[Some("2026-10-16")], &[]);
    let log = TableLog::open(&lake.storage, "other", processed_dir("books"), LakePath::root().join("stage")).unwrap();
    foreign.seq = 1;
    log.commit(&foreign).unwrap();
    let mut mine = lake.plan(Some(&first), &[Some("2026-10-17")], &[]);
    mine.before = first.after;
    let fault = lake.log.commit(&mine).unwrap_err();
    assert_eq!((fault.verdict, fault.event), (Verdict::Halt, "promote.foreign-files"), "{fault}");
    assert_eq!(lake.log.state().unwrap().unwrap().seq, Some(1));
}

#[test]
fn metadata_of_somebody_else_is_committed_on_top_of() {
    let lake = lake();
    let first = lake.plan(None, &[Some("2026-10-15")], &[]);
    lake.log.commit(&first).unwrap();
    let path = processed_dir("books").join("_delta_log").join("00000000000000000001.json");
    let info = br#"{"commitInfo":{"timestamp":1,"operation":"SET TBLPROPERTIES","operationParameters":{}}}"#;
    lake.storage.create(&path, Content::Bytes(info)).unwrap();
    let second = lake.plan(Some(&first), &[Some("2026-10-16")], &[]);
    lake.log.commit(&second).unwrap();
    let state = lake.log.state().unwrap().unwrap();
    assert_eq!((state.version, state.seq, state.live.len()), (2, Some(2), 2));
}

#[test]
fn a_lost_answer_is_resolved_by_looking() {
    let lake = lake();
    let mut previous = None;
    for number in 0..3 {
        let plan = lake.plan(previous.as_ref(), &[Some("2026-10-15")], &[]);
        for operation in [Operation::Rename, Operation::Create, Operation::MakeDirs] {
            lake.faulty.inject_once(Injected::LoseAnswer, move |call| call.operation == operation);
        }
        lake.log.commit(&plan).unwrap();
        lake.faulty.heal();
        let state = lake.log.state().unwrap().unwrap();
        assert_eq!((state.version, state.seq), (number, Some(number + 1)));
        previous = Some(plan);
    }
}

#[test]
fn a_fenced_owner_cannot_commit() {
    let lake = lake();
    let first = lake.plan(None, &[Some("2026-10-15")], &[]);
    lake.storage.rename(&LakePath::root().join("stage"), &LakePath::root().join("gone")).unwrap();
    let fault = lake.log.commit(&first).unwrap_err();
    assert_eq!(fault.verdict, Verdict::Fenced, "{fault}");
    assert_eq!(lake.log.state().unwrap(), None);
    assert!(lake.storage.stat(&LakePath::root().join("stage")).is_err_and(|error| error.kind == Kind::NotFound));
}

#[test]
fn the_log_can_be_used_and_dropped_on_an_actors_thread() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let lake = lake();
        let plan = lake.plan(None, &[Some("2026-10-15")], &[]);
        lake.log.commit(&plan).unwrap();
        assert_eq!(lake.log.state().unwrap().unwrap().seq, Some(1));
        drop(lake);
    });
}

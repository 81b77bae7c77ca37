use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use forebay::fault::Verdict;
use forebay::lake::names::{Home, ledger_dir, processed_dir};
use forebay::model::mapping::{Kind, Lineage, Mapping};
use forebay::storage::{Content, Storage};

use super::values::mapping;
use super::world::{TABLE, World};

#[test]
fn promotions_give_what_one_great_promotion_would() {
    for version in [true, false] {
        let mut world = World::new(version);
        let mut ids = 0;
        for round in 0..4 {
            for lane in 0..3 {
                world.commit(lane, 3 + round);
            }
            let report = world.promote();
            assert_eq!((report.seq, report.intervals), (Some(round as u64 + 1), 3));
            ids += report.ids_new;
            world.check_oracle();
        }
        assert_eq!(ids, world.oracle().len() as u64);
    }
}

#[test]
fn the_columns_of_forebay_may_have_other_names() {
    let mut world = World::new(true);
    let names = ["source", "part", "position", "sent", "nth"].map(Arc::from);
    world.table.mapping = Arc::new(Mapping { lineage: Lineage { names, ..Lineage::default() }, ..mapping(&[]) });
    for _ in 0..2 {
        (0..3).for_each(|lane| world.commit(lane, 6));
        world.promote();
    }
    world.rewind(0, 4, None);
    world.commit(0, 6);
    world.promote();
    world.check_oracle();
}

#[test]
fn a_promoter_with_an_older_mapping_waits_for_its_reload() {
    let mut world = World::new(true);
    world.commit(0, 5);
    let mut old = world.promoter().unwrap();
    assert_eq!(old.promote().unwrap().seq, Some(1));
    let newer = Mapping { version: 2, ..mapping(&[("more", Kind::String)]) };
    world.table.mapping = Arc::new(newer);
    world.commit(0, 5);
    // It would promote the rows without the new column, and nobody would ever read them again.
    let fault = old.promote().unwrap_err();
    assert_eq!((fault.event, fault.verdict), ("promote.newer-mapping", Verdict::Retry));
    assert!(fault.message.contains("version 2") && fault.message.contains("forebay reload"), "{fault:?}");
    assert_eq!(world.promote().intervals, 1);
    world.check_oracle();
}

#[test]
fn nothing_new_changes_nothing() {
    let mut world = World::new(true);
    assert_eq!(world.promote().seq, None);
    assert_eq!(world.log().0, None);
    world.commit(0, 5);
    let mut promoter = world.promoter().unwrap();
    assert_eq!(promoter.promote().unwrap().seq, Some(1));
    let before = world.directory();
    let report = promoter.promote().unwrap();
    assert_eq!((report.seq, report.files_added, report.files_removed), (None, 0, 0));
    assert_eq!(world.directory(), before);
    world.commit(0, 5);
    assert_eq!(promoter.promote().unwrap().seq, Some(2));
    world.check_oracle();
}

#[test]
fn a_lane_whose_first_commit_was_cut_is_not_told_as_left_out() {
    let mut world = World::new(true);
    world.commit(0, 5);
    // If its topic is created again now, nothing will ever come to lie there.
    world.memory.make_dirs(&ledger_dir(&world.lanes[1]).join("dt=2026-10-15")).unwrap();
    let report = world.promote();
    assert_eq!((report.seq, report.left_out), (Some(1), vec![]));
    world.commit(1, 5);
    assert_eq!(world.promote().seq, Some(2));
    world.check_oracle();
}

#[test]
fn a_rewind_is_waited_for_and_then_replaces_its_rows() {
    let mut world = World::new(true);
    for lane in 0..3 {
        world.commit(lane, 8);
        world.commit(lane, 8);
    }
    world.promote();
    world.check_oracle();
    let before = world.check_table();
    world.rewind(0, 12, None);
    let report = world.promote();
    assert_eq!((report.seq, report.left_out.len()), (None, 1), "nothing is read again yet");
    world.commit(0, 7);
    assert_eq!(world.promote().seq, None, "not as long again yet");
    assert_eq!(world.check_table(), before);
    world.commit(0, 12);
    assert_eq!(world.promote().seq, Some(2));
    world.check_oracle();
}

#[test]
fn an_unfinished_rewind_leaves_its_partition_out_and_others_go_on() {
    let mut world = World::new(false);
    for lane in 0..3 {
        world.commit(lane, 8);
    }
    world.promote();
    // The intent is out, and the process is gone before everything is moved.
    world.rewind(0, 8, Some(4));
    world.commit(1, 5);
    let report = world.promote();
    assert_eq!(report.seq, Some(2));
    world.check_table();
    world.settle(15);
    world.promote();
    world.check_oracle();
}

#[test]
fn a_second_promoter_takes_over_and_the_first_is_fenced() {
    let mut world = World::new(true);
    world.commit(0, 5);
    let mut first = world.promoter().unwrap();
    let mut second = world.promoter().unwrap();
    let fault = first.promote().unwrap_err();
    assert_eq!(fault.verdict, Verdict::Fenced, "{fault}");
    assert_eq!(second.promote().unwrap().seq, Some(1));
    world.check_oracle();
}

#[test]
fn replaced_files_stay_in_the_trash_for_one_promotion() {
    let mut world = World::new(false);
    let mut promoter = world.promoter().unwrap();
    let mut removed = 0;
    for _ in 0..4 {
        world.commit(0, 8);
        removed = promoter.promote().unwrap().files_removed;
    }
    assert!(removed > 0);
    let trash = Home::processed(TABLE).trash();
    let kept = world.memory.list(&trash).unwrap();
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert_eq!(world.memory.files(kept[0].path.as_str()).len() as u64, removed);
}

#[test]
fn a_file_that_is_not_ours_in_the_place_of_one_stops_the_promotion() {
    let mut world = World::new(true);
    world.commit(0, 5);
    world.faulty.before_each({
        let memory = Arc::clone(&world.memory);
        move |call| {
            let to = call.to.as_ref().filter(|to| to.as_str().starts_with("processed/books/dt="));
            if let Some(to) = to {
                memory.make_dirs(&to.parent()).unwrap();
                let _ = memory.create(to, Content::Bytes(b"not ours"));
            }
        }
    });
    let fault = world.promoter().unwrap().promote().unwrap_err();
    assert_eq!(fault.verdict, Verdict::Halt, "{fault}");
    assert!(world.memory.list(&processed_dir(TABLE)).unwrap().iter().all(|entry| entry.path.name() != "_delta_log"));
}

#[test]
fn a_staged_file_that_is_gone_stops_the_promotion_and_is_named() {
    let mut world = World::new(true);
    world.commit(0, 12);
    let gone = Arc::new(Mutex::new(None));
    world.faulty.before_each({
        let (memory, gone) = (Arc::clone(&world.memory), Arc::clone(&gone));
        let renames = AtomicUsize::new(0);
        move |call| {
            let to = call.to.as_ref().filter(|to| to.as_str().starts_with("processed/books/dt="));
            // The first one is in its place by then.
            if let Some(to) = to.filter(|_| renames.fetch_add(1, Ordering::SeqCst) == 1) {
                memory.delete(&call.path).unwrap();
                *gone.lock().unwrap() = Some(to.to_string());
            }
        }
    });
    let fault = world.promoter().unwrap().promote().unwrap_err();
    let gone = gone.lock().unwrap().clone().unwrap();
    assert!(fault.verdict == Verdict::Halt && fault.message.contains(&gone), "{fault}");
    // Who comes next does not go past it either, and a reader of the log sees nothing of the half that is there.
    let again = world.promoter().and_then(|mut promoter| promoter.promote()).unwrap_err();
    assert!(again.verdict == Verdict::Halt && again.message.contains(&gone), "{again}");
    assert!(world.memory.list(&processed_dir(TABLE)).unwrap().iter().all(|entry| entry.path.name() != "_delta_log"));
}

/// Names of the invariants that an audit finds broken.
fn broken(world: &World) -> Vec<&'static str> {
    world.audit().iter().filter(|invariant| !invariant.ok).map(|invariant| invariant.id).collect()
}

#[test]
fn an_audit_says_which_promise_is_broken() {
    let mut world = World::new(true);
    for lane in 0..3 {
        world.commit(lane, 12);
    }
    world.promote();
    let checked: Vec<_> = world.audit().iter().map(|invariant| (invariant.id, invariant.checked)).collect();
    let (ids, files) = (world.oracle().len() as u64, world.directory().len() as u64);
    assert_eq!(checked, [("I5", ids), ("I6", ids), ("I7", files), ("I8", files)]);

    let first = processed_dir(TABLE).join(world.directory().first().unwrap());
    let stray = first.parent().join("stray.parquet");
    world.memory.create(&stray, Content::Bytes(b"x")).unwrap();
    assert_eq!(broken(&world), ["I8"]);
    world.memory.delete(&stray).unwrap();

    // More is in RAW below the cursor than was promoted: the newest plan forgets what it consumed.
    let path = Home::processed(TABLE).plan(1);
    let plan = (&*world.memory as &dyn Storage).read_whole(&path).unwrap();
    world.commit(0, 30);
    let ahead = String::from_utf8(plan.to_vec()).unwrap().replacen("\"next\": 12", "\"next\": 42", 2);
    world.memory.delete(&path).unwrap();
    world.memory.create(&path, Content::Bytes(ahead.as_bytes())).unwrap();
    assert_eq!(broken(&world), ["I5"]);
    // Less is promoted than Processed holds.
    let behind = String::from_utf8(plan.to_vec()).unwrap().replace("\"next\": 12", "\"next\": 0");
    world.memory.delete(&path).unwrap();
    world.memory.create(&path, Content::Bytes(behind.as_bytes())).unwrap();
    assert_eq!(broken(&world), ["I6"]);
    world.memory.delete(&path).unwrap();
    world.memory.create(&path, Content::Bytes(&plan)).unwrap();
    assert_eq!(broken(&world), Vec::<&str>::new());

    world.memory.rename(&first, &processed_dir("elsewhere")).unwrap();
    assert_eq!(world.audit().iter().find(|invariant| invariant.id == "I7").map(|invariant| invariant.ok), Some(false));
}

//! Revised intervals below the cursor, with promotions before, in between and after, and in the middle of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use forebay::fault::Verdict;
use forebay::lake::chain::read_chain;

use super::world::World;

/// Three lanes of three intervals; promoted or not.
fn world(is_promoted: bool) -> World {
    let mut world = World::new(true);
    for lane in 0..3 {
        (0..3).for_each(|_| world.commit(lane, 5));
    }
    if is_promoted {
        world.promote();
    }
    world
}

#[test]
fn a_promotion_in_any_phase_ends_in_what_the_revised_intervals_say() {
    // Before the revision, between two, after them, after more was read.
    for phases in 0..16u32 {
        let happens = |phase: u32| phases >> phase & 1 == 1;
        let mut world = world(happens(0));
        world.revise(0, 1, 1, None);
        let seen = world.check_table();
        if happens(1) {
            assert_eq!(world.promote().left_out, []);
            world.check_oracle();
        } else {
            assert_eq!(world.check_table(), seen, "until it is honoured nothing is lost or doubled");
        }
        world.revise(0, 0, 2, None);
        world.revise(2, 2, 1, None);
        world.check_table();
        if happens(2) {
            world.promote();
            world.check_oracle();
        }
        if happens(3) {
            world.commit(0, 4);
            world.promote();
            world.check_oracle();
        }
        world.commit(1, 3);
        world.promote();
        world.check_oracle();
        assert_eq!(world.promote().seq, None, "honoured once, it is no matter any more");
    }
}

#[test]
fn only_revised_intervals_are_read_again() {
    let mut world = world(true);
    world.revise(1, 1, 1, None);
    let report = world.promote();
    assert_eq!(report.intervals, 1);
    world.check_oracle();
    // One that no promotion has read is no revision to it.
    world.commit(1, 4);
    world.revise(1, 3, 1, None);
    assert_eq!(world.promote().intervals, 1);
    world.check_oracle();
}

#[test]
fn a_revision_that_is_cut_leaves_its_partition_out_until_it_is_finished() {
    let mutations = {
        let mut world = world(true);
        let before = world.faulty.mutations();
        assert!(world.revise(0, 0, 2, None));
        world.faulty.mutations() - before
    };
    let mut left_out = 0;
    for cut in 0..mutations {
        let mut world = world(true);
        world.revise(0, 0, 2, Some(cut));
        let is_open = read_chain(&*world.memory, &world.lanes[0]).unwrap().revisions.iter().any(|one| !one.is_done);
        world.check_table();
        world.commit(1, 4);
        let report = world.promote();
        world.check_table();
        assert_eq!(report.left_out.len(), usize::from(is_open), "cut at {cut}: {report:?}");
        left_out += report.left_out.len();
        world.settle(20);
        assert_eq!(world.promote().left_out, []);
        world.check_oracle();
    }
    assert!(left_out > 5, "{left_out}");
}

/// Another lane is rewound while the revision of this one is open: an id that has to be recomputed finds its row in the
/// revised interval.
#[test]
fn an_open_revision_takes_no_id_away() {
    for cut in 4..14 {
        let mut world = world(true);
        let ids = world.check_table().len();
        // As it was, in other files: nothing that was in RAW is lost.
        world.revise(0, 0, 3, Some(cut));
        world.rewind(1, 15, None);
        world.commit(1, 15);
        world.promote();
        world.check_table();
        world.settle(16);
        world.promote();
        world.check_oracle();
        assert!(ids > 0);
    }
}

/// A whole revision happens before any call of a promotion.
#[test]
fn a_revision_in_the_middle_of_a_promotion_does_no_harm() {
    for is_promoted in [false, true] {
        let prepared = || {
            let mut world = world(is_promoted);
            (0..3).for_each(|lane| world.commit(lane, 3));
            world
        };
        let calls = {
            let world = prepared();
            let before = world.faulty.calls();
            world.promote();
            world.faulty.calls() - before
        };
        // Every few calls, others for each case.
        for at in (u64::from(is_promoted)..calls).step_by(3) {
            let world = Arc::new(Mutex::new(prepared()));
            let (faulty, mut promoter) = {
                let world = world.lock().unwrap();
                (Arc::clone(&world.faulty), world.promoter().unwrap())
            };
            let (point, is_done) = (faulty.calls() + at, AtomicBool::new(false));
            let revising = Arc::clone(&world);
            faulty.before_each(move |call| {
                if call.number >= point && !is_done.swap(true, Ordering::SeqCst) {
                    revising.lock().unwrap().revise_beside(0, 1, 2);
                }
            });
            let promoted = promoter.promote();
            faulty.heal();
            drop(promoter);
            let mut world = world.lock().unwrap();
            // What it was reading may have gone: then it is tried again.
            let is_fine = promoted.as_ref().map_or_else(|fault| fault.verdict == Verdict::Retry, |_| true);
            assert!(is_fine, "before call {at}: {promoted:?}");
            world.check_table();
            world.promote();
            world.check_oracle();
            world.settle(20);
            world.promote();
            world.check_oracle();
        }
    }
}

//! Taking a rewind back, with promotions before, in between and after, and in the middle of it.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use forebay::fault::Verdict;
use forebay::lake::chain::read_chain;

use super::world::World;

/// Whether promotions happen: before the rewind, when nothing is read again, when some is, when all is, after the undo.
fn phases() -> impl Iterator<Item = [bool; 5]> {
    (0..32u32).map(|bits| std::array::from_fn(|phase| bits >> phase & 1 == 1))
}

#[test]
fn promotions_in_any_phase_end_in_what_was_there_before() {
    for phases in phases() {
        let all_alike = phases.iter().all(|phase| *phase == phases[0]);
        for read_again in if all_alike { &[0, 3, 10][..] } else { &[3] }.iter().copied() {
            let mut world = World::new(true);
            for lane in 0..3 {
                world.commit(lane, 8);
                world.commit(lane, 8);
            }
            let phase = Cell::new(0);
            let promote = |world: &World| {
                if phases[phase.replace(phase.get() + 1)] {
                    world.promote();
                    world.check_table();
                }
            };
            promote(&world);
            let before = world.oracle();
            world.rewind(0, 10, None);
            promote(&world);
            if read_again > 0 {
                world.commit(0, read_again);
                promote(&world);
            }
            if read_again == 3 {
                world.commit(0, 10);
                promote(&world);
            }
            let seen = world.check_table();
            assert!(world.undo(0, None), "{phases:?}, {read_again} read again");
            // Nothing is lost or doubled before it is honoured, and a promotion makes it what it was.
            assert_eq!(world.check_table(), seen);
            promote(&world);
            world.commit(1, 3);
            world.promote();
            world.check_oracle();
            world.commit(0, 5);
            world.promote();
            world.check_oracle();
            let of_before = world.raw().into_iter().filter(|row| row.topic == "library" && row.offset < 16).count();
            assert!(of_before > 0 && !before.is_empty());
        }
    }
}

/// A world whose lane 0 was rewound, partly or wholly read again, and promoted or not.
fn rewound(read_again: i64, is_promoted: bool) -> World {
    let mut world = World::new(true);
    for lane in 0..3 {
        world.commit(lane, 6);
        world.commit(lane, 6);
    }
    world.promote();
    world.rewind(0, 7, None);
    if read_again > 0 {
        world.commit(0, read_again);
    }
    if is_promoted {
        world.promote();
    }
    world
}

fn mutations(read_again: i64) -> u64 {
    let mut world = rewound(read_again, false);
    let before = world.faulty.mutations();
    assert!(world.undo(0, None));
    world.faulty.mutations() - before
}

#[test]
fn an_undo_that_is_cut_leaves_its_partition_out_until_it_is_finished() {
    for read_again in [0, 5, 12] {
        for cut in 0..mutations(read_again) {
            let mut world = rewound(read_again, cut % 2 == 0);
            let seen = world.check_table();
            world.undo(0, Some(cut));
            let state = read_chain(&*world.memory, &world.lanes[0]).unwrap();
            world.commit(1, 4);
            let report = world.promote();
            world.check_table();
            assert!(!state.has_open_intent() || report.left_out.len() == 1, "cut at {cut}: {report:?}");
            assert!(seen.len() <= world.check_table().len(), "cut at {cut}");
            world.settle(20);
            assert_eq!(world.promote().left_out, []);
            world.check_oracle();
        }
    }
}

/// A whole undo happens before any call of a promotion.
#[test]
fn an_undo_in_the_middle_of_a_promotion_does_no_harm() {
    for (read_again, is_promoted) in [(0, false), (5, false), (12, false), (12, true)] {
        let calls = {
            let world = rewound(read_again, is_promoted);
            let before = world.faulty.calls();
            world.promote();
            world.faulty.calls() - before
        };
        // Every few calls, others for each case.
        for at in (read_again.unsigned_abs() % 4..calls).step_by(4) {
            let world = Arc::new(Mutex::new(rewound(read_again, is_promoted)));
            let (faulty, mut promoter) = {
                let world = world.lock().unwrap();
                (Arc::clone(&world.faulty), world.promoter().unwrap())
            };
            let (point, is_done) = (faulty.calls() + at, AtomicBool::new(false));
            let undoing = Arc::clone(&world);
            faulty.before_each(move |call| {
                if call.number >= point && !is_done.swap(true, Ordering::SeqCst) {
                    undoing.lock().unwrap().undo_beside(0);
                }
            });
            let promoted = promoter.promote();
            faulty.heal();
            drop(promoter);
            let mut world = world.lock().unwrap();
            // What it was reading may have gone: then it is tried again.
            assert!(
                promoted.as_ref().is_ok() || promoted.as_ref().is_err_and(|f| f.verdict == Verdict::Retry),
                "{promoted:?}"
            );
            world.check_table();
            world.settle(14);
            world.promote();
            world.check_oracle();
        }
    }
}

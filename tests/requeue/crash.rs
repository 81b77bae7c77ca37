//! A requeue that is cut after any call, whose answers are lost, or that somebody else takes over: whoever comes next
//! has a good lake, and the same order given again ends in the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use forebay::fault::Verdict;
use forebay::lake::footer::Zone;
use forebay::storage::Storage;
use forebay::storage::faulty::Injected;

use super::world::{BAD_ID, GOOD, NO_PRICE, World, everything, lenient, library, strict};

fn world() -> World {
    let world = World::new();
    world.commit(&strict(), &[library(&[GOOD]), library(&[NO_PRICE]), library(&[BAD_ID])]);
    world.commit(&strict(), &[library(&[GOOD])]);
    world.commit(&strict(), &[library(&[NO_PRICE])]);
    world
}

fn faulty(world: &World) -> Arc<dyn Storage> {
    Arc::clone(&world.faulty) as Arc<dyn Storage>
}

fn check_end(world: &World, story: &str) {
    world.faulty.heal();
    world.audit();
    world.requeue(&lenient(), &everything());
    let want = ["0 rows 1", "1 rows 1", "2 quarantined 0 type.int", "3 rows 1", "4 rows 1"];
    assert_eq!(world.ledger(), want, "{story}");
    assert_eq!(world.places(), [(0, 0), (1, 0), (3, 0), (4, 0)], "{story}");
    assert_eq!(world.rows(Zone::Quarantine).len(), 1, "{story}");
    // Whoever lists folders sees no row twice.
    assert_eq!(world.memory.files("raw").len(), 3, "{story}: {:?}", world.memory.files("raw").keys());
    assert_eq!(world.memory.files("quarantine").len(), 1, "{story}");
    assert_eq!(world.preview(&lenient(), &everything()).intervals, 0, "{story}");
}

fn calls() -> u64 {
    let world = world();
    world.requeue_on(&faulty(&world), &lenient(), &everything()).unwrap();
    world.faulty.calls()
}

#[test]
fn a_crash_after_any_call_loses_nothing() {
    for at in 0..calls() {
        let world = world();
        world.faulty.crash_after(at);
        world.requeue_on(&faulty(&world), &lenient(), &everything()).expect_err("the crash is noticed");
        check_end(&world, &format!("crash after {at} calls"));
    }
}

#[test]
fn a_lost_answer_or_a_refusal_at_any_call_loses_nothing() {
    for injected in [Injected::LoseAnswer, Injected::Tear, Injected::Fail(forebay::storage::Kind::Unavailable)] {
        // Every other call, others for each.
        for at in (u64::from(injected == Injected::Tear)..calls()).step_by(2) {
            let world = world();
            world.faulty.inject_once(injected, move |call| call.number == at);
            let answer = world.requeue_on(&faulty(&world), &lenient(), &everything());
            let is_fine = answer.as_ref().map_or_else(|fault| fault.verdict == Verdict::Retry, |_| true);
            assert!(is_fine, "{injected:?} at call {at}: {answer:?}");
            check_end(&world, &format!("{injected:?} at call {at}"));
        }
    }
}

#[test]
fn a_takeover_before_any_call_does_no_harm() {
    for at in (0..calls()).step_by(2) {
        let world = Arc::new(world());
        let (other, is_done) = (Arc::clone(&world), AtomicBool::new(false));
        world.faulty.before_each(move |call| {
            if call.number == at && !is_done.swap(true, Ordering::SeqCst) {
                other.requeue_on(&other.storage(), &lenient(), &everything()).unwrap();
            }
        });
        let answer = world.requeue_on(&faulty(&world), &lenient(), &everything());
        if let Err(fault) = answer {
            // It is fenced, or what it was reading has been revised under its eyes.
            assert!(matches!(fault.verdict, Verdict::Fenced | Verdict::Retry), "before call {at}: {fault}");
        }
        check_end(&world, &format!("takeover before call {at}"));
    }
}

//! Every point at which a promotion can be cut, and every answer that can be lost.

use forebay::fault::Fault;
use forebay::flow::promote::PromotionReport;
use forebay::storage::faulty::Injected;

use super::world::{World, retriable};

/// A world with one promotion behind it and one ahead that adds, changes, moves and rewinds.
fn world() -> World {
    let mut world = World::new(true);
    for lane in 0..3 {
        world.commit(lane, 6);
    }
    world.promote();
    world.rewind(1, 4, None);
    for lane in 0..3 {
        world.commit(lane, 7);
    }
    world
}

fn run(world: &World) -> Result<PromotionReport, Fault> {
    world.promoter()?.promote()
}

fn mutations() -> u64 {
    let world = world();
    let before = world.faulty.mutations();
    run(&world).unwrap();
    world.faulty.mutations() - before
}

#[test]
fn a_crash_before_any_mutation_is_recovered_from() {
    for cut in 0..mutations() {
        let world = world();
        world.faulty.crash_after_mutations(cut);
        run(&world).expect_err("the crash is noticed");
        world.faulty.heal();
        run(&world).unwrap();
        world.check_oracle();
        // Nothing of the epoch that died stays behind.
        assert!(world.memory.files("_forebay/processed/books/fenced").is_empty(), "cut at {cut}");
    }
}

#[test]
fn a_crash_in_the_recovery_is_recovered_from() {
    let all = mutations();
    for cut in (all / 3..all).step_by(2) {
        for again in 0..14 {
            let world = world();
            world.faulty.crash_after_mutations(cut);
            run(&world).expect_err("the crash is noticed");
            world.faulty.heal();
            world.faulty.crash_after_mutations(again);
            let _ = run(&world);
            world.faulty.heal();
            run(&world).unwrap();
            world.check_oracle();
        }
    }
}

#[test]
fn a_lost_answer_of_any_mutation_does_no_harm() {
    for injected in [Injected::LoseAnswer, Injected::Tear] {
        for lost in 0..mutations() {
            let world = world();
            let at = world.faulty.mutations() + lost;
            world.faulty.inject_once(injected, move |call| call.operation.is_mutation() && call.mutations == at);
            let mut promoter = world.promoter();
            let mut tries = 0;
            // As the supervisor does: again, as long as the fault says so.
            let answer = loop {
                let answer = match &mut promoter {
                    Ok(promoter) => promoter.promote(),
                    Err(fault) => Err(fault.clone()),
                };
                tries += 1;
                match answer {
                    Err(fault) if retriable(&fault) && tries < 4 => {
                        if promoter.is_err() {
                            promoter = world.promoter();
                        }
                    }
                    other => break other,
                }
            };
            answer.unwrap_or_else(|fault| panic!("{injected:?} of mutation {lost}: {fault}"));
            world.check_oracle();
        }
    }
}

#[test]
fn a_reader_of_the_log_sees_whole_promotions_only() {
    for cut in 0..mutations() {
        let world = world();
        let before = world.rows_in(&world.log().1);
        world.faulty.crash_after_mutations(cut);
        run(&world).expect_err("the crash is noticed");
        world.faulty.heal();
        let (seq, files) = world.log();
        let seen = world.rows_in(&files);
        match seq {
            Some(1) => assert_eq!(seen, before, "cut at {cut}"),
            Some(2) => assert_eq!(seen, world.oracle(), "cut at {cut}"),
            other => panic!("promotion {other:?}"),
        }
    }
}

#[test]
fn a_zombie_at_any_mutation_changes_nothing_after_it_was_fenced() {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Arc, mpsc};
    for at in 0..mutations() {
        let world = world();
        let (reached, wait_reached) = mpsc::channel();
        let (go_on, wait_go_on) = mpsc::channel::<()>();
        let wait_go_on = std::sync::Mutex::new(wait_go_on);
        let held = Arc::new(AtomicBool::new(false));
        let point = world.faulty.mutations() + at;
        world.faulty.before_each(move |call| {
            if call.operation.is_mutation() && call.mutations == point && !held.swap(true, Ordering::SeqCst) {
                reached.send(()).unwrap();
                let _ = wait_go_on.lock().unwrap().recv();
            }
        });
        std::thread::scope(|scope| {
            let zombie = scope.spawn(|| run(&world));
            // The hook runs on threads of the log too; whoever is there is held.
            wait_reached.recv().unwrap();
            let successor = run(&world);
            go_on.send(()).unwrap();
            let zombie = zombie.join().unwrap();
            // A zombie that had not taken its epoch yet may itself have won.
            assert!(successor.is_ok() || zombie.is_ok(), "at {at}: {successor:?} {zombie:?}");
        });
        world.faulty.heal();
        run(&world).unwrap();
        world.check_oracle();
    }
}

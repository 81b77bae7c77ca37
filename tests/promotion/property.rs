//! Random histories: intervals, rewinds and revisions that are cut, promotions that are cut, in any order.

use proptest::prelude::*;

use super::world::World;

#[derive(Debug, Clone)]
enum Step {
    Commit { lane: usize, len: i64 },
    Rewind { lane: usize, back: i64, crash: Option<u64> },
    Undo { lane: usize, crash: Option<u64> },
    Revise { lane: usize, first: usize, count: usize, crash: Option<u64> },
    Promote { crash: Option<u64> },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0usize..3, 1i64..7).prop_map(|(lane, len)| Step::Commit { lane, len }),
        1 => (0usize..3, 1i64..9, prop::option::of(0u64..12)).prop_map(|(lane, back, crash)| Step::Rewind { lane, back, crash }),
        1 => (0usize..3, prop::option::of(0u64..24)).prop_map(|(lane, crash)| Step::Undo { lane, crash }),
        2 => (0usize..3, 0usize..4, 1usize..3, prop::option::of(0u64..14))
            .prop_map(|(lane, first, count, crash)| Step::Revise { lane, first, count, crash }),
        3 => prop::option::weighted(0.4, 0u64..40).prop_map(|crash| Step::Promote { crash }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn any_history_ends_in_the_latest_row_of_each_id(version in any::<bool>(), steps in prop::collection::vec(step(), 1..14)) {
        let mut world = World::new(version);
        let mut end = 0;
        for step in steps {
            match step {
                Step::Commit { lane, len } => {
                    world.commit(lane, len);
                    end += len;
                }
                Step::Rewind { lane, back, crash } => world.rewind(lane, back, crash),
                Step::Undo { lane, crash } => drop(world.undo(lane, crash)),
                Step::Revise { lane, first, count, crash } => drop(world.revise(lane, first, count, crash)),
                Step::Promote { crash: Some(mutations) } => {
                    world.faulty.crash_after_mutations(mutations);
                    if let Ok(mut promoter) = world.promoter() {
                        let _ = promoter.promote();
                    }
                    world.faulty.heal();
                }
                Step::Promote { crash: None } => {
                    let report = world.promote();
                    if report.left_out.is_empty() {
                        world.check_oracle();
                    } else {
                        world.check_table();
                    }
                }
            }
        }
        world.settle(end + 1);
        let report = world.promote();
        prop_assert!(report.left_out.is_empty());
        world.check_oracle();
        // And once more: nothing is left to do.
        prop_assert_eq!(world.promote().seq, None);
    }
}

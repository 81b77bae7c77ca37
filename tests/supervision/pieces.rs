//! Batches whose rows are too many to be under way at once go through the tree in pieces, and nothing is lost or
//! doubled.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use forebay::app::daemon::Options;
use forebay::config::Settings;
use forebay::model::mapping::{Column, Mapping};
use forebay::supervise::parts::TreeProbe;

use crate::common::eventually;
use crate::world::World;

/// Rows of some nine kilobytes, and so little memory that a hundred messages are more than one piece.
fn settings(world: &World) -> Settings {
    let mut settings = world.settings();
    settings.limits.memory = 16 << 20;
    let mapping = &settings.tables[0].mapping;
    let title = mapping.columns.iter().find(|column| column.name == "title").unwrap();
    let wide = (0..200).map(|number| {
        let mut column = Column { name: format!("wide_{number}"), required: false, ..title.clone() };
        column.path.steps[0].name.as_mut().unwrap().local = format!("wide{number}").into();
        column.rules.default = Some("forty characters that stand for nothing.".to_owned());
        column
    });
    let columns = mapping.columns.iter().cloned().chain(wide).collect();
    settings.tables[0].mapping = Arc::new(Mapping { columns, ..(**mapping).clone() });
    settings
}

#[test]
fn nothing_is_lost_or_doubled_in_pieces_when_parsers_and_validators_panic() {
    let world = World::new(2);
    let settings = settings(&world);
    let (steps, panics) = (AtomicU64::new(0), Arc::new(AtomicU64::new(0)));
    let (at, counted) = (5 + world.below(20) as u64, Arc::clone(&panics));
    let probe: TreeProbe = Arc::new(move |role, _| {
        let is_meant = matches!(role, "Parser" | "Validator") && steps.fetch_add(1, Ordering::SeqCst) % at == at - 1;
        if is_meant && counted.fetch_add(1, Ordering::SeqCst) < 10 {
            panic!("on purpose");
        }
    });
    // Batches are large: all of it is there before the first is read.
    world.send(3000);
    let daemon = world.sandbox.start(&settings, &Options { probe: Some(probe), ..Options::default() });
    eventually("all panics happened", || panics.load(Ordering::SeqCst) >= 10);
    world.send(500);
    world.caught_up(&daemon);
    assert_eq!(daemon.parts().room.used(), 0);
    world.finish(daemon);
}

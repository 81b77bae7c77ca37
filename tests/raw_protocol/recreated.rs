//! A topic that is created again after its last owner has died between any two steps. Nobody will own the incarnation
//! before any more, so whoever accepts the new one puts it in order: nothing of it stays half done.

use forebay::lake::fence::Owner;
use forebay::lake::{LakeError, accept_topic};
use forebay::storage::sim::SimFs;

use super::Lake;
use super::crashes::{Moment, moments};
use super::world::owner;

/// The points at which the last owner dies, and how many of them leave something that can be accepted.
fn points(lake: Lake, make: fn(jiff::Timestamp) -> SimFs) -> (u64, u64) {
    let world = lake.on(make);
    let script = moments(&world, |storage| world.script(storage, "first").unwrap());
    let (mut all, mut accepted) = (0, 0);
    for moment in script.into_iter().flat_map(Moment::aftermaths) {
        all += 1;
        let reader = Owner { topic_id: Some("another".into()), ..owner("second") };
        match accept_topic(&*moment.world.memory, &reader, "library", "test") {
            Ok(told) => assert_eq!((told.lineage.as_str(), told.was_accepted), ("library~2", false)),
            // Nobody has owned anything yet.
            Err(LakeError::Refused(_)) => continue,
            Err(error) => panic!("{lake:?}, {moment}: {error}"),
        }
        accepted += 1;
        moment.world.check_in_order().unwrap_or_else(|violation| panic!("{lake:?}, {moment}: {violation}"));
    }
    (all, accepted)
}

#[test]
fn the_incarnation_before_is_put_in_order() {
    let lakes = [Lake::Cold, Lake::Warm, Lake::Rewound, Lake::Revised];
    let found = lakes.map(|lake| (points(lake, SimFs::hdfs), points(lake, SimFs::local)));
    let expected = [((85, 82), (508, 480)), ((73, 73), (380, 380)), ((108, 108), (632, 632)), ((123, 123), (676, 676))];
    assert_eq!(found, expected, "the number of points has changed: write the new one down if that is meant");
}

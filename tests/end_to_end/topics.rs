//! Topics and Kafka partitions that come while the daemon runs.

use serde_json::Value;

use super::bad_input::send;
use crate::site::{Recipe, Site, until};
use crate::stack::Stack;

#[test]
fn new_partitions_and_new_topics_of_a_pattern_are_found_while_running() {
    let Some(stack) = Stack::find("topics by a pattern") else { return };
    let recipe = Recipe {
        topics: Some("topic_pattern = \"^LIBRARY\\\\.\"".to_owned()),
        kafka: "\"topic.metadata.refresh.interval.ms\" = 500",
        ..Recipe::default()
    };
    let mut site = Site::new(&stack, &recipe);
    let (north, south) = (format!("{}.north", site.topic), format!("{}.south", site.topic));
    site.create_topic(&north, 1);
    let book = |id: i64| {
        format!(
            "<library><book id=\"B{id}\"><record_id>{id}</record_id><title>t{id}</title><added>2026-10-15T18:42:00Z</added></book></library>"
        )
    };
    send(&site, &north, 0, &[Some(book(1).as_bytes())]);
    let daemon = site.start();
    let is_committed = |topic: &str, partition: i64, end: i64| {
        let lanes = site.get("/v1/lanes").unwrap_or_default();
        let lanes = lanes["lanes"].as_array().cloned().unwrap_or_default();
        let is_it = |lane: &Value| {
            lane["topic"] == topic && lane["partition"] == partition && lane["committed"].as_i64() == Some(end)
        };
        lanes.iter().any(is_it)
    };
    until("the first topic is read", || is_committed(&north, 0, 1));

    site.ok(&["topic", "widen", &north, "--partitions", "3"]);
    send(&site, &north, 2, &[Some(book(2).as_bytes()), Some(book(3).as_bytes())]);
    until("the new partition is read", || is_committed(&north, 2, 2));

    site.ok(&["topic", "create", &south, "--partitions", "1"]);
    send(&site, &south, 0, &[Some(book(4).as_bytes())]);
    until("the new topic is read", || is_committed(&south, 0, 1));

    send(&site, &north, 0, &[Some(book(5).as_bytes())]);
    until("the first partition goes on", || is_committed(&north, 0, 2));
    site.ok(&["promote"]);
    daemon.stop();
    let rows = site.ok(&["--json", "show", "processed.books", "--columns", "record_id"]).out;
    let mut ids: Vec<i64> =
        rows.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["record_id"].as_i64().unwrap()).collect();
    ids.sort_unstable();
    assert_eq!(ids, [1, 2, 3, 4, 5]);
    assert_eq!(site.run(&["audit"]).code, Some(0));
    site.ok(&["topic", "delete", &south]);
}

//! The supervision tree as people see it.

use super::actor::{LaneEntry, RootSupervisor};
use crate::model::status::Node;
use crate::observe::trouble::Trouble;
use crate::supervise::view::{LaneView, StageView};

pub(super) fn of(root: &RootSupervisor, state: &str) -> Node {
    let mut node = Node::new("forebay", "root", state);
    node.last_fault = message(root.kafka_fault().as_ref());
    node.children.push(root.pool_view.get());
    node.children.extend(root.lanes.values().map(lane));
    let mut timer = Node::new("HourlyTimer", "timer", "running");
    timer.state = root.next_due.get().map_or_else(|| "idle".to_owned(), |due| format!("next tick {due}"));
    node.children.push(timer);
    node.children.extend(root.promotion_views.iter().map(|(_, view)| {
        let view = view.get();
        let mut promoter = Node::new(&view.table, "promoter", &view.state);
        (promoter.restarts, promoter.last_fault) = (u64::from(view.failures), message(view.last_fault.as_ref()));
        promoter
    }));
    if root.parts.has_dead_letter_topic() {
        node.children.push(root.letters_node.get());
    }
    node
}

fn lane(entry: &LaneEntry) -> Node {
    let view: LaneView = entry.view.get();
    let mut node = Node::new(&format!("{}:{}", view.topic, view.partition), "lane", view.state.name());
    (node.generation, node.restarts) = (view.generation, u64::from(view.restarts));
    node.last_fault = message(view.last_fault.as_ref());
    let stage = |stage: StageView| Node::new(&stage.stage, "stage", &format!("silent for {} ms", stage.silent_ms));
    node.children = view.stages.into_iter().map(stage).collect();
    node
}

fn message(trouble: Option<&Trouble>) -> Option<String> {
    trouble.map(|trouble| trouble.fault.message.clone())
}

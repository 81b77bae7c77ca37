//! The supervision tree as people see it.

use super::actor::{LaneEntry, RootSupervisor};
use crate::supervise::view::{LaneView, Node, StageView};

pub(super) fn of(root: &RootSupervisor, state: &str) -> Node {
    let mut node = Node::new("forebay", "root", state);
    node.last_fault.clone_from(&root.session_fault);
    node.children.push(root.pool_view.get());
    node.children.extend(root.lanes.values().map(lane));
    let mut timer = Node::new("HourlyTimer", "timer", "running");
    timer.state = root.next_due.get().map_or_else(|| "idle".to_owned(), |due| format!("next tick {due}"));
    node.children.push(timer);
    node.children.extend(root.promotion_views.iter().map(|(_, view)| {
        let view = view.get();
        let mut promoter = Node::new(&view.table, "promoter", &view.state);
        (promoter.restarts, promoter.last_fault) = (view.failures, view.last_fault);
        promoter
    }));
    node
}

fn lane(entry: &LaneEntry) -> Node {
    let view: LaneView = entry.view.get();
    let state = serde_json::to_value(view.state).ok().and_then(|state| state.as_str().map(str::to_owned));
    let mut node = Node::new(&format!("{}:{}", view.topic, view.partition), "lane", &state.unwrap_or_default());
    (node.generation, node.restarts, node.last_fault) = (view.generation, view.restarts, view.last_fault);
    let stage = |stage: StageView| Node::new(&stage.stage, "stage", &format!("silent for {} ms", stage.silent_ms));
    node.children = view.stages.into_iter().map(stage).collect();
    node
}

//! `requeue` behind the control socket: which lanes are concerned, and what came of it.

use std::sync::Arc;

use actix::Addr;

use super::steering::gone;
use crate::control::api::{Lanes, RequeueElsewhere, RequeueRequest, RequeuedLane};
use crate::control::problem::Problem;
use crate::flow::requeue::{LaneRequeue, Selection, Tally};
use crate::lake::names::UNROUTED;
use crate::model::offset::TopicPartition;
use crate::model::violation::Code;
use crate::supervise::lane::{Elsewhere, RequeueOrder, RequeuePreview, preview_requeue};
use crate::supervise::parts::Parts;
use crate::supervise::root::{self, RootSupervisor};

/// Requeues on the lanes in `here`, one after another. Everything is tried out first, so that only lanes in which
/// something changes are stopped for it.
pub(super) async fn requeue(
    root: &Addr<RootSupervisor>,
    parts: &Arc<Parts>,
    request: &RequeueRequest,
    here: &Lanes,
) -> Result<(Vec<RequeuedLane>, Vec<RequeueElsewhere>), Problem> {
    let selection = selection(parts, request)?;
    let source = |lane: &crate::control::api::Lane| TopicPartition::new(lane.topic.as_str(), lane.partition);
    let here: Vec<TopicPartition> = here.lanes.iter().map(source).collect();
    let (of_preview, meant) = (Arc::clone(parts), selection.clone());
    let preview = actix_rt::task::spawn_blocking(move || preview_requeue(&of_preview, &here, &meant)).await;
    let preview = preview.map_err(|error| Problem::internal(error.to_string()))??;
    let RequeuePreview { here, elsewhere } = preview;
    if let Some(first) = elsewhere.first().filter(|_| here.is_empty()) {
        return Err(Problem::not_owner(not_here(first)));
    }
    let mut lanes = Vec::with_capacity(here.len());
    for (source, planned) in here {
        let done = if request.dry_run || planned.intervals == 0 {
            planned
        } else {
            let reason = request.reason.clone().unwrap_or_default();
            let order = RequeueOrder { selection: selection.clone(), reason };
            let order = root::RequeueRequest { source: source.clone(), order };
            root.send(order).await.map_err(|_| gone())??
        };
        lanes.push(lane(&source, done));
    }
    Ok((lanes, elsewhere.into_iter().map(elsewhere_of).collect()))
}

fn selection(parts: &Parts, request: &RequeueRequest) -> Result<Selection, Problem> {
    let table = request.table.clone();
    if table != UNROUTED && !parts.tables().tables().iter().any(|known| *known.name == *table) {
        return Err(Problem::not_found(format!("there is no table {table}")));
    }
    let code = request.code.as_deref().map(|name| {
        Code::from_name(name).ok_or_else(|| Problem::bad_request(format!("no violation is called {name}")))
    });
    let from_us = request.from.map(|from| from.0.as_microsecond());
    Ok(Selection { table, code: code.transpose()?, from_us })
}

fn not_here(elsewhere: &Elsewhere) -> String {
    let Elsewhere { source, owner, is_closed, .. } = elsewhere;
    if *is_closed {
        return format!("{source} is closed: the topic was created again since");
    }
    let owner = owner.as_ref().map(|owner| format!("; its last owner is {owner}")).unwrap_or_default();
    format!("{source} is not assigned to this daemon{owner}")
}

fn elsewhere_of(elsewhere: Elsewhere) -> RequeueElsewhere {
    let Elsewhere { source, messages, is_closed, owner } = elsewhere;
    let (topic, partition) = (source.topic.to_string(), source.partition);
    RequeueElsewhere { topic, partition, messages, closed: is_closed, owner }
}

fn lane(source: &TopicPartition, done: LaneRequeue) -> RequeuedLane {
    let LaneRequeue { intervals, tally, skipped } = done;
    let Tally { messages, released, partial, renewed, unchanged, redacted, rows } = tally;
    let (topic, partition) = (source.topic.to_string(), source.partition);
    RequeuedLane {
        topic,
        partition,
        messages,
        released,
        partial,
        renewed,
        unchanged,
        redacted,
        rows,
        intervals,
        skipped,
    }
}

//! Quarantined messages of a table through today's mapping again, on this daemon's lanes.

use std::sync::Arc;

use super::start::RequeueOrder;
use crate::fault::Fault;
use crate::flow::buffer::step::ROW_GROUP_BYTES;
use crate::flow::requeue::{LaneRequeue, Requeuer, Selection, candidates, requeue_lane};
use crate::lake::fence::owner_of;
use crate::lake::footer::read_footer;
use crate::lake::names::Home;
use crate::lake::{self, LaneLedger};
use crate::model::offset::{Epoch, TopicPartition};
use crate::observe::events;
use crate::supervise::parts::Parts;
use crate::supervise::tables::TableSet;

/// What a requeue would do.
#[derive(Debug, Clone, Default)]
pub struct RequeuePreview {
    /// Lanes of this daemon with intervals that have quarantined messages of the table.
    pub here: Vec<(TopicPartition, LaneRequeue)>,
    /// Chains with such intervals that no lane of this daemon owns.
    pub elsewhere: Vec<Elsewhere>,
}

/// A chain that no lane of this daemon owns.
#[derive(Debug, Clone)]
pub struct Elsewhere {
    /// The Kafka partition, as the lake calls it.
    pub source: TopicPartition,
    /// Messages in quarantine of the table, of whatever violation and time.
    pub messages: u64,
    /// Whether nobody owns it any more: the topic was created again since, and goes on under another name.
    pub is_closed: bool,
    /// Who owned it last.
    pub owner: Option<String>,
}

/// What a requeue would do, without doing any of it: every message that is meant is parsed. `here` are the lanes of
/// this daemon.
///
/// # Errors
///
/// Kafka, storage, the spool, or files that are damaged.
pub fn preview_requeue(parts: &Parts, here: &[TopicPartition], selection: &Selection) -> Result<RequeuePreview, Fault> {
    let storage = &*parts.storage;
    let found = candidates(storage, &selection.table)?;
    let mut preview = RequeuePreview::default();
    let mut chains = Vec::with_capacity(here.len());
    for source in here {
        let topic_id = parts.broker.topic_id(&source.topic)?;
        chains.push((lake::lineage(storage, source, topic_id.as_deref())?, source));
    }
    let requeuer = requeuer(parts, &parts.tables());
    for source in found.sources() {
        let intervals = found.live(storage, source)?;
        if intervals.is_empty() {
            continue;
        }
        if let Some((_, lane)) = chains.iter().find(|(chain, _)| chain == source) {
            let done = requeue_lane(&requeuer, &intervals, selection, None, &|| Ok(()))?;
            preview.here.push(((*lane).clone(), done));
            continue;
        }
        let mut messages = 0;
        for file in &intervals {
            let sums = read_footer(storage, &file.path, file.bytes)?.sums;
            messages += sums.tables.get(&selection.table).map_or(0, |sum| sum.quarantined);
        }
        let owner = owner_of(storage, &Home::raw(source))?;
        let owner = owner.map(|owner| format!("{} (pid {}, group {})", owner.host, owner.pid, owner.group));
        let is_closed = lake::newest_lineage(storage, &source.in_kafka())? != *source;
        preview.elsewhere.push(Elsewhere { source: source.clone(), messages, is_closed, owner });
    }
    Ok(preview)
}

/// Requeues on a chain that this daemon owns. After an error its hold has to be given up.
pub(super) fn apply_requeue(
    (parts, tables): (&Parts, &TableSet),
    order: &RequeueOrder,
    ledger: &mut LaneLedger,
    go_on: &dyn Fn() -> Result<(), Fault>,
) -> Result<LaneRequeue, Fault> {
    let source = ledger.source().clone();
    let epoch: Epoch = ledger.epoch();
    let intervals = candidates(&*parts.storage, &order.selection.table)?.live(&*parts.storage, &source)?;
    let lane = Some((ledger, &*order.reason));
    let done = requeue_lane(&requeuer(parts, tables), &intervals, &order.selection, lane, go_on)?;
    let LaneRequeue { intervals, tally, .. } = &done;
    let left = tally.messages - tally.released;
    events::requeued(&source, &order.selection.table, epoch, *intervals, tally.released, left, &order.reason);
    Ok(done)
}

fn requeuer(parts: &Parts, tables: &TableSet) -> Requeuer {
    Requeuer {
        storage: Arc::clone(&parts.storage),
        catalog: tables.catalog.clone(),
        parser_tables: Arc::clone(&tables.parser_tables),
        rules: Arc::clone(&tables.rules),
        spool: parts.spool.clone(),
        budget: parts.budget.clone(),
        room: parts.room.clone(),
        encoders: parts.encoders.clone(),
        clock: Arc::clone(&parts.clock),
        row_group_bytes: ROW_GROUP_BYTES,
        probe: parts.message_probe.clone(),
    }
}

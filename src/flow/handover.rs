//! How batches pass between the stages: every channel and its capacity, and the way into the shared parser pool.
//!
//! | from → to | channel | bound |
//! |---|---|---|
//! | KafkaReader → Parser pool | one for the process | [`POOL_JOBS`] batches, and [`LANE_SLOTS`] of one lane under way |
//! | Parser pool → Validator | one for each lane | [`LANE_SLOTS`] batches: as many as can be under way, so a worker never waits |
//! | Validator → ParquetBufferer | one for each lane | [`VALID_BATCHES`] batches |
//!
//! Bytes are bounded by the memory budget, which every batch holds a permit of until its rows are encoded. Nothing is
//! ever dropped to make room: without room the reader does not poll, and the Kafka client stops fetching by itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Select, Sender};

use super::parse::{ParseJob, ParserTable, Route};
use super::read::step::{RawSink, Refusal};
use crate::model::batch::{ParsedBatch, RawBatch};
use crate::model::slots::LaneSlots;

/// Batches waiting for a parser, of all lanes together.
pub const POOL_JOBS: usize = 64;
/// Batches of one lane under way, from the reader until their rows are in files.
pub const LANE_SLOTS: usize = 8;
/// Batches waiting for the bufferer of a lane.
pub const VALID_BATCHES: usize = 2;

/// The way of one lane's batches into the parser pool, and the address of its validator on each of them.
#[derive(Debug)]
pub struct PoolSink {
    jobs: Sender<ParseJob>,
    slots: LaneSlots,
    route: Route,
    tables: Arc<[ParserTable]>,
    parsed: Sender<ParsedBatch>,
    /// Batches given to the parsers; the validator counts that as many come back.
    issued: Arc<AtomicU64>,
}

impl PoolSink {
    /// A sink for the lane whose messages take this `route` to these `tables`, and whose validator listens on the other
    /// end of `parsed`.
    pub fn new(
        jobs: Sender<ParseJob>,
        slots: LaneSlots,
        (route, tables): (Route, Arc<[ParserTable]>),
        parsed: Sender<ParsedBatch>,
        issued: Arc<AtomicU64>,
    ) -> Self {
        Self { jobs, slots, route, tables, parsed, issued }
    }
}

impl RawSink for PoolSink {
    fn try_send(&mut self, mut batch: RawBatch, timeout: Duration) -> Result<(), Refusal> {
        let until = Instant::now() + timeout;
        let Some(slot) = self.slots.take(timeout) else { return Err(Refusal::Blocked(batch)) };
        let mut select = Select::new();
        select.send(&self.jobs);
        let Ok(room) = select.select_timeout(until.saturating_duration_since(Instant::now())) else {
            return Err(Refusal::Blocked(batch));
        };
        batch.slot = Some(slot);
        let job = ParseJob::new(Arc::new(batch), self.route.clone(), Arc::clone(&self.tables), self.parsed.clone());
        self.issued.fetch_add(1, Ordering::AcqRel);
        room.send(&self.jobs, job).map_err(|_| Refusal::Closed)
    }
}

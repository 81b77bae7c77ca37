//! The stages of one generation of a lane: built, wired, told, halted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actix::prelude::Recipient;
use crossbeam_channel::bounded;

use super::observer::LaneObserver;
use super::same_topic::SameTopic;
use crate::fault::Fault;
use crate::flow::buffer::commit::{Backoff, Committer};
use crate::flow::buffer::lake_committer::LakeCommitter;
use crate::flow::buffer::report::BufferReport;
use crate::flow::buffer::step::{BuffererParts, ParquetBuffererStep, ROW_GROUP_BYTES};
use crate::flow::handover::{LANE_SLOTS, PoolSink, VALID_BATCHES};
use crate::flow::parse::Route;
use crate::flow::read::source::PartitionSource;
use crate::flow::read::step::{BatchLimits, Command, KafkaReaderStep, ReadCounters, ReaderSpec};
use crate::flow::validate::{StopRules, Validator, ValidatorStep};
use crate::lake::LaneLedger;
use crate::model::offset::{LastMessage, TopicPartition};
use crate::model::slots::LaneSlots;
use crate::stage::host::{self, Probe, StageExited, StageHandle};
use crate::stage::step::Step;
use crate::supervise::letters::Letters;
use crate::supervise::parts::Parts;
use crate::supervise::reaper::ReaperHandle;
use crate::supervise::tables::TableSet;
use crate::supervise::view::{LaneView, Shared, StageView};

/// What a generation begins with: the lane's ledger, and its place in the Kafka partition.
pub(super) struct Opened {
    pub(super) ledger: LaneLedger,
    pub(super) fetch: PartitionSource,
    /// The message at which it was opened, when that is below the head of the chain.
    pub(super) known: Option<LastMessage>,
    pub(super) stop_at: Option<i64>,
    /// Id of the topic, where the broker tells it.
    pub(super) topic_id: Option<String>,
    /// The tables that this generation begins and ends with.
    pub(super) tables: Arc<TableSet>,
}

/// The running stages of one generation.
pub(super) struct Stages {
    reader: StageHandle<KafkaReaderStep<PartitionSource, PoolSink>>,
    validator: StageHandle<ValidatorStep>,
    bufferer: StageHandle<ParquetBuffererStep>,
    counters: Arc<ReadCounters>,
    report: BufferReport,
    exited: usize,
}

/// Roles of the stages of a lane, in the order of the flow.
pub(super) const ROLES: [&str; 3] = ["KafkaReader", "Validator", "ParquetBufferer"];

/// Which lane, and which incarnation of it.
pub(super) struct LaneIdentity<'a> {
    pub(super) source: &'a TopicPartition,
    pub(super) generation: u64,
    /// Whether it begins paused.
    pub(super) is_paused: bool,
}

impl Stages {
    /// Builds and starts them, the last of the flow first, so that nobody sends to nobody.
    pub(super) fn start(
        parts: &Arc<Parts>,
        lane: &LaneIdentity<'_>,
        opened: Opened,
        view: &Shared<LaneView>,
        letters: &Letters,
        supervisor: &Recipient<StageExited>,
    ) -> Result<Self, Fault> {
        let &LaneIdentity { source, generation, .. } = lane;
        let set = opened.tables;
        let route = Route::of(&source.topic, set.tables())?;
        let (head, epoch) = (opened.ledger.head(), opened.ledger.epoch());
        // What the lake calls it goes with the data; everybody else calls it as Kafka does.
        let lineage = opened.ledger.source().clone();
        let (parsed_in, parsed_out) = bounded(LANE_SLOTS);
        let (valid_in, valid_out) = bounded(VALID_BATCHES);
        let report = BufferReport::default();
        let committer = LakeCommitter::new(opened.ledger);
        let committer: Box<dyn Committer> = match opened.topic_id {
            Some(id) => Box::new(SameTopic::new(committer, parts.broker.clone(), &source.topic, id)),
            None => Box::new(committer),
        };
        let bufferer = ParquetBuffererStep::new(BuffererParts {
            source: lineage.clone(),
            head,
            input: valid_out,
            committer,
            catalog: set.catalog.clone(),
            spool: parts.spool.clone(),
            memory: parts.encoders.clone(),
            clock: Arc::clone(&parts.clock),
            backoff: Backoff::default(),
            row_group_bytes: ROW_GROUP_BYTES,
            report: report.clone(),
            observer: Arc::new(LaneObserver::new(
                (parts, Arc::clone(&set)),
                view.clone(),
                epoch,
                generation,
                letters.clone(),
            )),
        })?;
        let issued = Arc::new(AtomicU64::new(0));
        let validator = Validator {
            generation,
            from: head,
            rules: Arc::clone(&set.rules),
            drift: set.drift.clone(),
            clock: Arc::clone(&parts.clock),
            issued: Arc::clone(&issued),
            stop_when: StopRules::of(&source.topic, set.tables(), &parts.unrouted),
        };
        let validator = ValidatorStep::new(validator, parsed_out, valid_in);
        let way = (route, Arc::clone(&set.parser_tables));
        let sink = PoolSink::new(parts.jobs.clone(), LaneSlots::new(LANE_SLOTS), way, parsed_in, issued);
        let spec = ReaderSpec {
            source: lineage,
            generation,
            position: head,
            known: opened.known,
            stop_at: opened.stop_at,
            limits: BatchLimits::default(),
        };
        let counters = Arc::new(ReadCounters::default());
        let mut reader = KafkaReaderStep::new(spec, opened.fetch, sink, parts.budget.clone(), Arc::clone(&counters));
        if lane.is_paused {
            // Before it starts: a command would come after its first step.
            reader.command(Command::Pause);
        }
        let probe = || {
            let (probe, source) = (parts.probe.clone()?, source.clone());
            Some(Arc::new(move |stage: &'static str| probe(stage, Some(&source))) as Probe)
        };
        let bufferer = host::start(ROLES[2], generation, 0, bufferer, probe(), supervisor.clone());
        let validator = host::start(ROLES[1], generation, 0, validator, probe(), supervisor.clone());
        let reader = host::start(ROLES[0], generation, 0, reader, probe(), supervisor.clone());
        Ok(Self { reader, validator, bufferer, counters, report, exited: 0 })
    }

    /// Ends the intake; what is in the lane is worked off, and the bufferer commits it.
    pub(super) fn drain(&self) {
        self.reader.tell(Command::Drain);
    }

    /// Ends the intake at once; what the validator has handed on goes to the lake.
    pub(super) fn stop_reading(&self) {
        self.reader.halt();
    }

    /// Stops or goes on reading, on an operator's command.
    pub(super) fn pause(&self, is_paused: bool) {
        self.reader.tell(if is_paused { Command::Pause } else { Command::Resume });
    }

    /// Ends all at once, which is safe: storage is the truth. A stage that hangs ends when it comes back, if ever.
    pub(super) fn halt(self, reaper: &ReaperHandle) {
        self.reader.halt();
        self.validator.halt();
        self.bufferer.halt();
        self.join(reaper);
    }

    /// Notes an exit. Whether all have ended.
    pub(super) fn exited(&mut self) -> bool {
        self.exited += 1;
        self.exited >= ROLES.len()
    }

    /// Hands over the threads of stages that have ended or are about to.
    pub(super) fn join(self, reaper: &ReaperHandle) {
        reaper.join(self.reader);
        reaper.join(self.validator);
        reaper.join(self.bufferer);
    }

    /// The first stage that has not ended and gives no sign of life for longer than `limit`.
    pub(super) fn hung(&self, limit: Duration) -> Option<&'static str> {
        let silences = self.heartbeats().map(|heartbeat| heartbeat.silence());
        let ended = [self.reader.has_ended(), self.validator.has_ended(), self.bufferer.has_ended()];
        let mut stages = ROLES.into_iter().zip(silences).zip(ended);
        stages.find(|((_, silence), has_ended)| *silence > limit && !has_ended).map(|((role, _), _)| role)
    }

    /// Brings what people see of the lane up to date.
    pub(super) fn show(&self, view: &mut LaneView) {
        let buffered = self.report.view();
        view.position = Some(self.counters.position.load(Ordering::Relaxed));
        (view.buffered_bytes, view.buffered_rows) = (buffered.buffered_bytes, buffered.buffered_rows);
        view.stages = self.stage_views();
    }

    fn stage_views(&self) -> Vec<StageView> {
        let view = |(role, heartbeat): (&'static str, &crate::stage::heartbeat::Heartbeat)| StageView {
            stage: role.to_owned(),
            silent_ms: u64::try_from(heartbeat.silence().as_millis()).unwrap_or(u64::MAX),
            waited_us: heartbeat.waited_us(),
        };
        ROLES.into_iter().zip(self.heartbeats()).map(view).collect()
    }

    fn heartbeats(&self) -> [&crate::stage::heartbeat::Heartbeat; 3] {
        [&self.reader.heartbeat, &self.validator.heartbeat, &self.bufferer.heartbeat]
    }
}

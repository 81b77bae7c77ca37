//! The parser pool: one for the process, a worker for each core.
//!
//! A worker that panics or hangs is replaced. The batch it held is taken from its lease and given first to the
//! replacement, with its attempt counted; from the third attempt on the parser leaves out the message at which it died,
//! and that one is quarantined (`flow::parse::lease`). Such a replacement comes at once and is not counted against the
//! pool: each brings the batch forward, so there are at most as many as the batch has messages, and three. A batch that
//! does not come forward is taken away from the pool, and its lane starts again from its chain.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::{Actor, ActorContext, AsyncContext, Context, Handler, Message, Recipient};
use crossbeam_channel::Receiver;

use super::lane::{BatchLost, PARSER};
use super::parts::Parts;
use super::policy::{Decision, RestartPolicy};
use super::view::Shared;
use crate::fault::Fault;
use crate::flow::parse::Parser;
use crate::flow::parse::ParserStep;
use crate::flow::parse::{Abandoned, Lease, ParseJob};
use crate::model::status::Node;
use crate::observe::events;
use crate::observe::trouble::{Course, Subject, Trouble};
use crate::stage::exit::Exit;
use crate::stage::host::{self, Probe, StageExited, StageHandle};

/// The pool cannot go on: the process ends.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct PoolFailed(pub Fault);

/// End all workers, at once.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct StopPool;

/// Supervises the workers.
pub struct ParserPool {
    parts: Arc<Parts>,
    jobs: Receiver<ParseJob>,
    workers: Vec<Worker>,
    policy: RestartPolicy,
    view: Shared<Node>,
    failed: Recipient<PoolFailed>,
    lost: Recipient<BatchLost>,
}

struct Worker {
    lease: Lease,
    handle: Option<StageHandle<ParserStep>>,
    /// Tells a worker from its predecessors, whose reports may come late.
    generation: u64,
    last_fault: Option<String>,
}

/// How often hung workers are looked for.
const LOOK_EVERY: Duration = Duration::from_millis(500);

impl ParserPool {
    /// A pool of `size` workers on `jobs`.
    pub fn new(
        parts: Arc<Parts>,
        jobs: Receiver<ParseJob>,
        size: usize,
        view: Shared<Node>,
        failed: Recipient<PoolFailed>,
        lost: Recipient<BatchLost>,
    ) -> Self {
        let idle = || Worker { lease: Lease::default(), handle: None, generation: 0, last_fault: None };
        let policy = RestartPolicy::new(parts.limits);
        Self { parts, jobs, workers: (0..size).map(|_| idle()).collect(), policy, view, failed, lost }
    }

    /// Starts the next worker in the place `index`; `first` is what its predecessor left.
    fn start_worker(&mut self, index: usize, first: Option<ParseJob>, ctx: &Context<Self>) {
        let worker = &mut self.workers[index];
        worker.lease = Lease::default();
        worker.generation += 1;
        // Each batch brings the tables of its lane.
        let mut parser = Parser::new(Arc::from([]));
        if let Some(probe) = self.parts.message_probe.clone() {
            parser = parser.with_probe(Box::new(move |message| probe(message)));
        }
        let step = ParserStep::new(parser, self.jobs.clone(), worker.lease.clone(), self.parts.room.clone(), first);
        let probe = self.parts.probe.clone().map(|probe| Arc::new(move |stage| probe(stage, None)) as Probe);
        let reports = ctx.address().recipient();
        worker.handle = Some(host::start(PARSER, worker.generation, index, step, probe, reports));
    }

    /// The worker has ended, or is given up: put another in its place.
    fn ended(&mut self, index: usize, exit: &Exit, ctx: &mut Context<Self>) {
        let worker = &mut self.workers[index];
        if let Some(handle) = worker.handle.take() {
            handle.halt();
            self.parts.reaper.join(handle);
        }
        let fault = match exit {
            Exit::Failed(fault) => fault.clone(),
            other => Fault::internal("parser.failed", format!("a parser {other}")),
        };
        worker.last_fault = Some(fault.message.clone());
        let abandoned = worker.lease.take_abandoned();
        let of = abandoned.as_ref().map(|abandoned| Arc::clone(&abandoned.job.raw));
        let (source, generation) = (of.as_ref().map(|raw| &raw.source), of.as_ref().map_or(0, |raw| raw.generation));
        let next = abandoned.map(Abandoned::into_retry);
        let decision = match &next {
            // Each brings the batch forward, or its lane begins again: it does not count against the pool.
            Some(_) => Decision::RestartAfter(Duration::ZERO),
            None => self.policy.decide(exit, self.parts.clock.instant(), fastrand::f64()),
        };
        let course = match decision {
            Decision::RestartAfter(wait) => Course::Retry(wait),
            _ => Course::End,
        };
        let subject = source.map_or(Subject::Daemon, |source| Subject::Lane(source.clone()));
        events::fault(PARSER, generation, &Trouble::new(subject, &fault, course, self.parts.clock.now()));
        match next {
            Some(Ok(job)) => {
                events::stage_restarted(PARSER, source, generation, &fault.message, Duration::ZERO);
                self.start_worker(index, Some(job), ctx);
            }
            Some(Err(fault)) => {
                if let Some(raw) = &of {
                    self.lost.do_send(BatchLost { source: raw.source.clone(), generation, fault });
                }
                self.start_worker(index, None, ctx);
            }
            None => self.restart_later(index, &decision, &fault, ctx),
        }
        self.publish();
    }

    /// No batch is to blame: a fault of the pool.
    fn restart_later(&mut self, index: usize, decision: &Decision, fault: &Fault, ctx: &mut Context<Self>) {
        match decision {
            Decision::RestartAfter(delay) => {
                let delay = *delay;
                events::stage_restarted(PARSER, None, 0, &fault.message, delay);
                ctx.run_later(delay, move |pool, ctx| {
                    pool.start_worker(index, None, ctx);
                    pool.publish();
                });
            }
            _ => {
                let message = format!("the parser pool failed too often; last: {fault}");
                self.failed.do_send(PoolFailed(Fault::internal("parser.pool-failed", message)));
            }
        }
    }

    fn look_for_hung(&mut self, ctx: &mut Context<Self>) {
        let limit = self.parts.hang_after;
        let is_hung = |worker: &Worker| worker.handle.as_ref().is_some_and(|h| h.heartbeat.silence() > limit);
        let hung: Vec<usize> = (0..self.workers.len()).filter(|index| is_hung(&self.workers[*index])).collect();
        for index in hung {
            self.ended(index, &Exit::Hung, ctx);
        }
    }

    fn publish(&self) {
        let child = |(index, worker): (usize, &Worker)| Node {
            name: format!("{PARSER} {index}"),
            kind: "stage".to_owned(),
            state: if worker.handle.is_some() { "running" } else { "restarting" }.to_owned(),
            generation: worker.generation,
            restarts: worker.generation.saturating_sub(1),
            last_fault: worker.last_fault.clone(),
            children: Vec::new(),
        };
        let children = self.workers.iter().enumerate().map(child).collect();
        self.view.update(|view| view.children = children);
    }
}

impl Actor for ParserPool {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        (0..self.workers.len()).for_each(|index| self.start_worker(index, None, ctx));
        self.publish();
        ctx.run_interval(LOOK_EVERY, Self::look_for_hung);
    }
}

impl Handler<StageExited> for ParserPool {
    type Result = ();

    fn handle(&mut self, report: StageExited, ctx: &mut Self::Context) {
        let worker = &self.workers[report.worker];
        // A worker that hung and was replaced reports when it comes back.
        if worker.generation == report.generation && worker.handle.is_some() {
            self.ended(report.worker, &report.exit, ctx);
        }
    }
}

impl Handler<StopPool> for ParserPool {
    type Result = ();

    fn handle(&mut self, _: StopPool, ctx: &mut Self::Context) {
        for handle in self.workers.iter_mut().filter_map(|worker| worker.handle.take()) {
            handle.halt();
            self.parts.reaper.join(handle);
        }
        ctx.stop();
    }
}

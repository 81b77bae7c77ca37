//! The parser pool: one for the process, a worker for each core.
//!
//! A worker that panics is replaced. The batch it held is taken from its lease and given first to the replacement, with
//! its attempt counted; from the third attempt on the parser leaves out the message at which it panicked, and that one
//! is quarantined (`flow::parse::lease`).

use std::sync::Arc;

use actix::prelude::{Actor, AsyncContext, Context, Handler, Message, Recipient};
use crossbeam_channel::Receiver;

use super::parts::Parts;
use super::policy::{Decision, RestartPolicy};
use super::view::{FaultView, Node, Shared};
use crate::fault::Fault;
use crate::flow::parse::Parser;
use crate::flow::parse::ParserStep;
use crate::flow::parse::{Lease, ParseJob};
use crate::observe::events;
use crate::stage::exit::Exit;
use crate::stage::host::{self, StageExited, StageHandle};

/// The pool cannot go on: the process ends.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct PoolFailed(pub Fault);

/// Supervises the workers.
pub struct ParserPool {
    parts: Arc<Parts>,
    jobs: Receiver<ParseJob>,
    workers: Vec<Worker>,
    policy: RestartPolicy,
    view: Shared<Node>,
    root: Recipient<PoolFailed>,
}

struct Worker {
    lease: Lease,
    handle: Option<StageHandle<ParserStep>>,
    restarts: u32,
    last_fault: Option<FaultView>,
}

const ROLE: &str = "Parser";

impl ParserPool {
    /// A pool of `size` workers on `jobs`.
    pub fn new(
        parts: Arc<Parts>,
        jobs: Receiver<ParseJob>,
        size: usize,
        view: Shared<Node>,
        root: Recipient<PoolFailed>,
    ) -> Self {
        let idle = || Worker { lease: Lease::default(), handle: None, restarts: 0, last_fault: None };
        let policy = RestartPolicy::new(parts.limits);
        Self { parts, jobs, workers: (0..size).map(|_| idle()).collect(), policy, view, root }
    }

    fn start_worker(&mut self, index: usize, ctx: &Context<Self>) {
        let reports = ctx.address().recipient();
        let worker = &mut self.workers[index];
        // A batch that nobody can parse goes nowhere: its lane misses it, and begins again from its chain.
        let first = worker.lease.take_abandoned().and_then(|abandoned| {
            let retry = abandoned.into_retry();
            retry.inspect_err(|fault| events::fault(ROLE, None, 0, fault)).ok()
        });
        worker.lease = Lease::default();
        let parser = Parser::new(Arc::clone(&self.parts.parser_tables));
        let step = ParserStep::new(parser, self.jobs.clone(), worker.lease.clone(), first);
        worker.handle = Some(host::start(ROLE, 0, index, step, self.parts.probe.clone(), reports));
    }

    fn publish(&self) {
        let child = |(index, worker): (usize, &Worker)| Node {
            name: format!("{ROLE} {index}"),
            kind: "stage".to_owned(),
            state: if worker.handle.is_some() { "running" } else { "restarting" }.to_owned(),
            generation: u64::from(worker.restarts) + 1,
            restarts: worker.restarts,
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
        (0..self.workers.len()).for_each(|index| self.start_worker(index, ctx));
        self.publish();
    }
}

impl Handler<StageExited> for ParserPool {
    type Result = ();

    fn handle(&mut self, report: StageExited, ctx: &mut Self::Context) {
        let index = report.worker;
        if let Some(handle) = self.workers[index].handle.take() {
            self.parts.reaper.join(move || handle.join());
        }
        let fault = match &report.exit {
            Exit::Failed(fault) => fault.clone(),
            other => Fault::internal("parser.panicked", other.to_string()),
        };
        events::fault(ROLE, None, 0, &fault);
        let now = self.parts.clock.now();
        let worker = &mut self.workers[index];
        (worker.restarts, worker.last_fault) = (worker.restarts + 1, Some(FaultView::new(&fault, now)));
        match self.policy.decide(&report.exit, self.parts.clock.instant(), fastrand::f64()) {
            Decision::RestartAfter(delay) => {
                events::stage_restarted(ROLE, None, 0, &fault.message, delay);
                ctx.run_later(delay, move |pool, ctx| {
                    pool.start_worker(index, ctx);
                    pool.publish();
                });
            }
            Decision::ParkFor(_) | Decision::Halt(_) => {
                let message = format!("the parser pool failed too often; last: {fault}");
                self.root.do_send(PoolFailed(Fault::internal("parser.pool-failed", message)));
            }
            Decision::AwaitAssignment | Decision::Ignore => {}
        }
        self.publish();
    }
}

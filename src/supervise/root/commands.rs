//! What an operator can ask of the root, and what it answers.

use std::sync::Arc;

use actix::prelude::{Context, Handler, Message, MessageResult, ResponseFuture};

use super::actor::{Mode, RootSupervisor};
use super::tree;
use crate::fault::Fault;
use crate::flow::requeue::LaneRequeue;
use crate::model::offset::{OffsetRange, TopicPartition};
use crate::model::status::Node;
use crate::observe::trouble::Trouble;
use crate::supervise::lane::{
    Done, LaneOrder, LossOrder, Moved, OrderLane, PauseLane, RenewLane, RequeueOrder, ResumeLane, RewindOrder,
    TopicAccepted,
};
use crate::supervise::promotion::{PromoteNow, PromotionSupervisor};
use crate::supervise::tables::TableSet;
use crate::supervise::view::{LaneView, PromotionView};
use actix::Addr;
use futures::FutureExt;
use futures::future::join_all;

/// Lanes by name: all, those of a topic, or one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Selection {
    /// Every lane.
    All,
    /// The lanes of a topic.
    Topic(String),
    /// One lane.
    One(TopicPartition),
}

impl Selection {
    /// Whether the lane of `source` is meant.
    pub fn takes(&self, source: &TopicPartition) -> bool {
        match self {
            Self::All => true,
            Self::Topic(topic) => *topic == *source.topic,
            Self::One(one) => one == source,
        }
    }
}

/// The daemon as a whole, copied out.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// `running`, `finishing` or `draining`.
    pub state: String,
    /// The lanes, by topic and Kafka partition.
    pub lanes: Vec<LaneView>,
    /// Promotions, by table.
    pub promotions: Vec<PromotionView>,
    /// What is wrong with Kafka, until it is well again.
    pub session_fault: Option<Trouble>,
    /// The supervision tree.
    pub tree: Node,
}

/// Asks for a [`Snapshot`].
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "Snapshot")]
pub struct GetSnapshot;

/// Pauses or resumes the lanes of a selection; also those that are assigned later. Answers which it concerns now, when
/// they have obeyed.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Vec<TopicPartition>")]
pub struct SetPaused {
    /// Which.
    pub selection: Selection,
    /// Pause or resume.
    pub is_paused: bool,
}

/// Asks for a rewind.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Moved, Fault>")]
pub struct RewindRequest {
    /// Which lane.
    pub source: TopicPartition,
    /// What is ordered.
    pub order: RewindOrder,
}

/// Asks for a requeue.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<LaneRequeue, Fault>")]
pub struct RequeueRequest {
    /// Which lane.
    pub source: TopicPartition,
    /// What is ordered.
    pub order: RequeueOrder,
}

/// Records what Kafka has no more of a lane as lost; answers with those offsets.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<OffsetRange, Fault>")]
pub struct LossRequest {
    /// Which lane.
    pub source: TopicPartition,
    /// What is ordered.
    pub order: LossOrder,
}

/// Says that a topic which was created again is accepted: its lanes here that wait for that start. Answers when they
/// have obeyed.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct AcceptTopic(pub String);

/// Puts other tables in the place of those that run. What begins from now on begins with them.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<(), Fault>")]
pub struct ReplaceTables(pub Arc<TableSet>);

/// Has the lanes go over to the tables as they are now. Answers which are concerned, when each of them reads with the
/// new tables or cannot.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "Vec<TopicPartition>")]
pub struct RenewLanes;

impl RootSupervisor {
    fn not_ours(source: &TopicPartition) -> Fault {
        Fault::fenced("lane.not-ours", format!("{source} is not assigned to this daemon"))
    }

    fn order(&self, source: &TopicPartition, order: LaneOrder) -> ResponseFuture<Result<Done, Fault>> {
        let Some(lane) = self.lanes.get(source) else {
            let fault = Self::not_ours(source);
            return Box::pin(async move { Err(fault) });
        };
        let answer = lane.address.send(OrderLane(order));
        Box::pin(async move {
            answer.await.unwrap_or_else(|error| Err(Fault::retry("lane.gone", format!("the lane has ended: {error}"))))
        })
    }
}

impl Handler<GetSnapshot> for RootSupervisor {
    type Result = MessageResult<GetSnapshot>;

    fn handle(&mut self, _: GetSnapshot, _: &mut Context<Self>) -> Self::Result {
        let state = match self.mode {
            Mode::Running => "running",
            Mode::Finishing => "finishing",
            Mode::Draining => "draining",
        };
        let next_due = self.next_due.get();
        let promotion = |view: PromotionView| PromotionView { next_due, ..view };
        MessageResult(Snapshot {
            state: state.to_owned(),
            lanes: self.lanes.values().map(|lane| lane.view.get()).collect(),
            promotions: self.promotion_views.iter().map(|(_, view)| promotion(view.get())).collect(),
            session_fault: self.kafka_fault(),
            tree: tree::of(self, state),
        })
    }
}

impl Handler<SetPaused> for RootSupervisor {
    type Result = ResponseFuture<Vec<TopicPartition>>;

    fn handle(&mut self, order: SetPaused, _: &mut Context<Self>) -> Self::Result {
        self.pauses.command(&order.selection, order.is_paused);
        let mut concerned = Vec::new();
        let mut obeyed = Vec::new();
        for (source, lane) in self.lanes.iter().filter(|(source, _)| order.selection.takes(source)) {
            concerned.push(source.clone());
            obeyed.push(if order.is_paused {
                lane.address.send(PauseLane).boxed()
            } else {
                lane.address.send(ResumeLane).boxed()
            });
        }
        // A lane that has ended meanwhile has nothing to pause.
        Box::pin(join_all(obeyed).map(|_| concerned))
    }
}

impl Handler<AcceptTopic> for RootSupervisor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, accepted: AcceptTopic, _: &mut Context<Self>) -> Self::Result {
        let of_topic = self.lanes.iter().filter(|(source, _)| *source.topic == *accepted.0);
        Box::pin(join_all(of_topic.map(|(_, lane)| lane.address.send(TopicAccepted))).map(drop))
    }
}

impl Handler<ReplaceTables> for RootSupervisor {
    type Result = Result<(), Fault>;

    fn handle(&mut self, order: ReplaceTables, _: &mut Context<Self>) -> Self::Result {
        if self.mode != Mode::Running {
            return Err(Fault::retry("root.ending", "the daemon is ending: it reads the configuration when it starts"));
        }
        self.parts.tables.update(|tables| *tables = order.0);
        Ok(())
    }
}

impl Handler<RenewLanes> for RootSupervisor {
    type Result = ResponseFuture<Vec<TopicPartition>>;

    fn handle(&mut self, _: RenewLanes, _: &mut Context<Self>) -> Self::Result {
        let lanes = self.lanes.iter().filter(|(_, lane)| lane.end.is_none());
        let renewed = lanes.map(|(source, lane)| {
            let (source, renewed) = (source.clone(), lane.address.send(RenewLane));
            // A lane that has ended meanwhile reads with nothing.
            async move { renewed.await.unwrap_or(false).then_some(source) }
        });
        Box::pin(join_all(renewed).map(|lanes| lanes.into_iter().flatten().collect()))
    }
}

impl Handler<RewindRequest> for RootSupervisor {
    type Result = ResponseFuture<Result<Moved, Fault>>;

    fn handle(&mut self, request: RewindRequest, _: &mut Context<Self>) -> Self::Result {
        let answer = self.order(&request.source, LaneOrder::Rewind(request.order));
        Box::pin(async move { answer.await?.moved() })
    }
}

impl Handler<RequeueRequest> for RootSupervisor {
    type Result = ResponseFuture<Result<LaneRequeue, Fault>>;

    fn handle(&mut self, request: RequeueRequest, _: &mut Context<Self>) -> Self::Result {
        let answer = self.order(&request.source, LaneOrder::Requeue(request.order));
        Box::pin(async move { answer.await?.requeued() })
    }
}

impl Handler<LossRequest> for RootSupervisor {
    type Result = ResponseFuture<Result<OffsetRange, Fault>>;

    fn handle(&mut self, request: LossRequest, _: &mut Context<Self>) -> Self::Result {
        let answer = self.order(&request.source, LaneOrder::AcceptLoss(request.order));
        Box::pin(async move { answer.await?.lost() })
    }
}

impl Handler<PromoteNow> for RootSupervisor {
    type Result = ResponseFuture<<PromoteNow as Message>::Result>;

    fn handle(&mut self, order: PromoteNow, _: &mut Context<Self>) -> Self::Result {
        let promotions: Option<Addr<PromotionSupervisor>> = self.promotions.clone();
        Box::pin(async move {
            let gone = || Fault::internal("promotion.gone", "the promotion supervisor is not there");
            match promotions {
                Some(promotions) => promotions.send(order).await.unwrap_or_else(|_| Err(gone())),
                None => Err(gone()),
            }
        })
    }
}

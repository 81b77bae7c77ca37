//! What the supervisors build lanes from: handles to the parts of the process, shared by all lanes.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Sender;

use super::policy::RestartLimits;
use super::reaper::ReaperHandle;
use super::tables::TableSet;
use super::view::Shared;
use crate::clock::Clock;
use crate::flow::buffer::pressure::EncoderMemory;
use crate::flow::letters::post::OpenPost;
use crate::flow::parse::ParseJob;
use crate::flow::read::broker::Broker;
use crate::flow::read::session::Session;
use crate::flow::spool::Spool;
use crate::lake::fence::Owner;
use crate::lake::names::UNROUTED;
use crate::model::batch::RawMessage;
use crate::model::budget::MemoryBudget;
use crate::model::offset::TopicPartition;
use crate::model::room::RowRoom;
use crate::model::table::UnroutedSettings;
use crate::storage::Storage;

/// Called with the role of a stage, and its lane unless it is a parser, before each of its steps.
pub type TreeProbe = Arc<dyn Fn(&'static str, Option<&TopicPartition>) + Send + Sync>;

/// Called with each message before it is parsed.
pub type MessageProbe = Arc<dyn Fn(&RawMessage) + Send + Sync>;

/// Everything a lane is built from. One for the process.
pub struct Parts {
    /// The lake.
    pub storage: Arc<dyn Storage>,
    /// The one consumer.
    pub session: Session,
    /// Watermarks, identities and start positions.
    pub broker: Broker,
    /// The tables, until the next reload.
    pub tables: Shared<Arc<TableSet>>,
    /// What happens about messages that no table takes.
    pub unrouted: UnroutedSettings,
    /// Who we are, for owner files.
    pub owner: Owner,
    /// What is read and not yet encoded.
    pub budget: MemoryBudget,
    /// What is parsed and not yet encoded.
    pub room: RowRoom,
    /// What is encoded and still in memory.
    pub encoders: EncoderMemory,
    /// Where encoded files wait for their commit.
    pub spool: Spool,
    /// Into the parser pool.
    pub jobs: Sender<ParseJob>,
    /// How failed lanes are restarted.
    pub limits: RestartLimits,
    /// A stage that is silent for longer than this outside a protected zone hangs.
    pub hang_after: Duration,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// The way of dead letters to Kafka.
    pub post: OpenPost,
    /// Joins the threads of ended parts.
    pub reaper: ReaperHandle,
    /// Called before each step of each stage; tests make stages fail with it. None in production.
    pub probe: Option<TreeProbe>,
    /// Called before each message is parsed; tests make a message poisonous with it. None in production.
    pub message_probe: Option<MessageProbe>,
    /// Stop each lane at the end that its Kafka partition had when the lane was first started.
    pub until_caught_up: bool,
}

impl Parts {
    /// The tables as they are now.
    pub fn tables(&self) -> Arc<TableSet> {
        self.tables.get()
    }

    /// Whose dead letters among the messages of `topic` go where: the names of tables of `set`, [`UNROUTED`] for
    /// messages that none takes, each with its dead-letter topic.
    pub fn dead_letter_topics<'s>(&'s self, set: &'s TableSet, topic: &str) -> Vec<(&'s str, &'s str)> {
        let tables = set.of_topic(topic).map(|(_, table)| table);
        let tables = tables.filter_map(|table| Some((&*table.name, table.quarantine.topic.as_deref()?)));
        tables.chain(self.unrouted.topic.as_deref().map(|topic| (UNROUTED, topic))).collect()
    }

    /// Whether anything has a dead-letter topic.
    pub fn has_dead_letter_topic(&self) -> bool {
        self.unrouted.topic.is_some() || self.tables().tables().iter().any(|table| table.quarantine.topic.is_some())
    }
}

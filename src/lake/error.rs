//! What can go wrong in the lake, and what may be done about it.

use crate::fault::{Domain, Fault, Verdict};
use crate::lake::chain::ChainFault;
use crate::model::offset::{Epoch, TopicPartition};
use crate::storage::{Kind, LakePath, StorageError};

/// What differs when a topic was deleted and created again.
pub(super) const RECREATED: &str = "topic";

/// Event of the fault that waits for `forebay accept-topic`.
pub const TOPIC_RECREATED: &str = "lake.topic-recreated";

/// Event of the fault that waits for a clock to be put right.
pub const CLOCKS_APART: &str = "lake.clocks-apart";

/// An answer of the lake that is not the one asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LakeError {
    /// Storage did not do it; what was under way can be gone on with, or begun again under a new epoch.
    #[error("{0}")]
    Storage(#[from] StorageError),
    /// Somebody with a higher epoch has taken over; nothing of ours can be published any more.
    #[error("{home} was taken over by {by}: {epoch} is over", by = by.as_deref().unwrap_or("a later owner"))]
    Fenced {
        /// Control folder of the Kafka partition or table.
        home: LakePath,
        /// The epoch that is over.
        epoch: Epoch,
        /// Who has it now, for a person; none when that is not known.
        by: Option<String>,
    },
    /// A path that only we could have written holds something else.
    #[error("{path} is taken by something else: {detail}; look at it and move it away")]
    Conflict {
        /// The path.
        path: LakePath,
        /// What is there.
        detail: String,
    },
    /// The chain of a Kafka partition is broken.
    #[error("the chain of {chain} is broken: {fault}; see `forebay audit`", chain = source_partition)]
    Chain {
        /// The Kafka partition.
        source_partition: TopicPartition,
        /// Where and how.
        fault: Box<ChainFault>,
    },
    /// A file of ours does not hold what it should.
    #[error("{path} is damaged: {detail}; restore it from a backup")]
    Corrupt {
        /// The file.
        path: LakePath,
        /// What is wrong with it.
        detail: String,
    },
    /// Somebody else's Kafka partition or table: another group, cluster or topic.
    #[error("{home} belongs to another {what}: {detail}")]
    Foreign {
        /// Control folder of the Kafka partition or table.
        home: LakePath,
        /// What differs: `consumer group`, `cluster`, `topic`.
        what: &'static str,
        /// Theirs, ours, and the next step.
        detail: String,
    },
    /// The storage's clock and this machine's are a day or more apart.
    #[error("clocks are {hours} hours apart: storage says {storage}, this machine says {local}; set the wrong one")]
    Clocks {
        /// The storage's time.
        storage: jiff::Timestamp,
        /// This machine's time.
        local: jiff::Timestamp,
        /// Whole hours between them.
        hours: i64,
    },
    /// An operator's command that cannot be carried out as it is.
    #[error("{0}")]
    Refused(String),
    /// The local spool.
    #[error("spool: {0}")]
    Spool(String),
    /// What a caller outside the lake answered, e.g. Kafka for a starting position.
    #[error("{0}")]
    Outside(Fault),
    /// Forebay's own mistake.
    #[error("{0}")]
    Internal(String),
}

impl LakeError {
    /// The kind of storage's answer, when it was storage.
    pub fn storage_kind(&self) -> Option<Kind> {
        match self {
            Self::Storage(error) => Some(error.kind),
            _ => None,
        }
    }

    /// Whether a higher epoch has taken over.
    pub fn is_fenced(&self) -> bool {
        matches!(self, Self::Fenced { .. })
    }
}

impl From<LakeError> for Fault {
    fn from(error: LakeError) -> Self {
        let message = error.to_string();
        match error {
            LakeError::Storage(error) => error.into(),
            LakeError::Outside(fault) => fault,
            LakeError::Fenced { .. } => Self::fenced("lake.fenced", message),
            LakeError::Conflict { .. } => Self::halt("lake.conflict", message),
            LakeError::Chain { .. } => Self::halt("lake.broken-chain", message),
            LakeError::Corrupt { .. } => {
                Self { domain: Domain::External, verdict: Verdict::Halt, event: "lake.corrupt", message }
            }
            LakeError::Foreign { what: RECREATED, .. } => Self::halt(TOPIC_RECREATED, message),
            LakeError::Foreign { .. } => Self::halt("lake.foreign-owner", message),
            LakeError::Clocks { .. } => Self::halt(CLOCKS_APART, message),
            LakeError::Refused(_) => Self::halt("lake.refused", message),
            LakeError::Spool(_) => Self::retry("lake.spool", message),
            LakeError::Internal(_) => Self::internal("lake.internal", message),
        }
    }
}

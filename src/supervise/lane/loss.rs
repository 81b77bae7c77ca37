//! A hole that only an operator can accept: messages that Kafka has deleted before the lane read them.
//!
//! The chain goes on behind them by an interval without rows, whose footer says which offsets are lost and why. It is a
//! commit like any other, so that whoever follows the chain (promotion, audit, the next owner) sees all of it or
//! nothing. What was read once, before a rewind, is not lost: taking the rewind back brings it back.

use super::start::record_loss;
use crate::fault::Fault;
use crate::lake::{self, LakeError, LaneLedger, UndoOrder, chain};
use crate::model::offset::{OffsetRange, TopicPartition};
use crate::supervise::parts::Parts;

/// Event of an order that is not carried out; the chain is as before.
pub(super) const LOSS_REFUSED: &str = "lane.loss-refused";

/// An operator's decision that what Kafka has no more is lost.
#[derive(Debug, Clone)]
pub struct LossOrder {
    /// Why; kept in the ledger.
    pub reason: String,
}

/// What would be recorded as lost, without doing any of it.
///
/// # Errors
///
/// Nothing is lost, or it can be brought back; or what Kafka or storage says.
pub fn preview_loss(parts: &Parts, source: &TopicPartition) -> Result<OffsetRange, Fault> {
    let marks = parts.broker.watermarks(source)?;
    let chain = lake::lineage(&*parts.storage, source, parts.broker.topic_id(&source.topic)?.as_deref())?;
    let state = chain::read_chain(&*parts.storage, &chain)?;
    let head =
        state.chain.head().ok_or_else(|| refused(format!("nothing of {source} was read yet, so nothing is lost")))?;
    find_hole(source, head, marks, &|| Ok(state.rewound_until().is_some() && can_undo(parts, &chain)?))
}

/// Records the hole behind the head of the chain as lost; reading goes on after it. `marks` are the broker's first
/// offset and end.
pub(super) fn accept_loss(
    parts: &Parts,
    source: &TopicPartition,
    order: &LossOrder,
    marks: (i64, i64),
    ledger: &mut LaneLedger,
) -> Result<OffsetRange, Fault> {
    let was_rewound = ledger.rewound_until().is_some();
    let hole = find_hole(source, ledger.head(), marks, &|| Ok(was_rewound && can_undo(parts, ledger.source())?))?;
    let given = if order.reason.is_empty() { "no reason given" } else { &order.reason };
    record_loss(parts, source, hole.from(), hole.to(), &format!("accepted by an operator: {given}"), ledger)?;
    Ok(hole)
}

/// The offsets between the head of a chain and the first one that the broker has. `may_come_back` is asked when there
/// are some.
fn find_hole(
    source: &TopicPartition,
    head: i64,
    marks: (i64, i64),
    may_come_back: &dyn Fn() -> Result<bool, Fault>,
) -> Result<OffsetRange, Fault> {
    let (low, end) = marks;
    let hole = OffsetRange::new(head, low).filter(|hole| !hole.is_empty());
    let Some(hole) = hole else {
        let why = if head > end {
            format!("the lake holds {source} up to offset {head}, the broker up to {end}: there is no hole to accept")
        } else {
            format!("{source} goes on at offset {head}, and the broker has {low} to {end}: nothing is lost")
        };
        return Err(refused(why));
    };
    if may_come_back()? {
        return Err(refused(format!(
            "offsets {head} to {low} of {source} were read once, before a rewind: `forebay rewind {source} --undo` brings \
             them back"
        )));
    }
    Ok(hole)
}

/// Whether the newest rewind of a chain can be taken back.
fn can_undo(parts: &Parts, chain: &TopicPartition) -> Result<bool, Fault> {
    match lake::plan_undo(&*parts.storage, chain, UndoOrder { expect: None, reason: "" }) {
        Ok(_) => Ok(true),
        Err(LakeError::Refused(_)) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn refused(why: String) -> Fault {
    Fault::halt(LOSS_REFUSED, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(head: i64, marks: (i64, i64), may_come_back: bool) -> Result<OffsetRange, String> {
        let source = TopicPartition::new("library", 3);
        find_hole(&source, head, marks, &|| Ok(may_come_back)).map_err(|fault| fault.message)
    }

    #[test]
    fn only_what_the_broker_has_no_more_and_nobody_else_has_is_lost() {
        assert_eq!(ask(10, (15, 40), false), Ok(OffsetRange::new(10, 15).unwrap()));
        assert_eq!(ask(10, (15, 15), false), Ok(OffsetRange::new(10, 15).unwrap()), "everything is deleted");
        assert!(ask(15, (15, 40), false).unwrap_err().contains("nothing is lost"));
        assert!(ask(40, (15, 40), true).unwrap_err().contains("nothing is lost"), "a rewind is no matter then");
        assert!(ask(41, (15, 40), false).unwrap_err().contains("no hole to accept"));
        assert!(ask(10, (15, 40), true).unwrap_err().contains("`forebay rewind library:3 --undo`"));
    }
}

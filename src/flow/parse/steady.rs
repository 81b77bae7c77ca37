//! A batch on the thread of the caller, who has no pool behind it: what makes the parser panic is left out all the
//! same.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::batch::{Care, NO_MESSAGE, Parser, Room};
use super::route::Route;
use crate::fault::Fault;
use crate::model::batch::{ParsedBatch, RawBatch};

/// Parses a batch. A message that makes the parser panic ends as it would in the pool: in quarantine, as `rule.poison`.
/// `fresh` makes a parser in place of one that has panicked. With bounded `room` there may be verdicts for the first
/// messages only.
///
/// # Errors
///
/// A fault of the parser itself.
pub fn parse_steadily(
    parser: &mut Parser,
    fresh: impl Fn() -> Parser,
    raw: &Arc<RawBatch>,
    route: &Route,
    room: Option<Room>,
) -> Result<ParsedBatch, Fault> {
    let mut poisoned: Vec<u32> = Vec::new();
    loop {
        let progress = AtomicU32::new(NO_MESSAGE);
        let is_isolated = !poisoned.is_empty();
        let care = Care { poisoned: &poisoned, is_isolated, progress: Some(&progress), room };
        let run = catch_unwind(AssertUnwindSafe(|| parser.parse_with_care(raw, route.clone(), &care)));
        if let Ok(parsed) = run {
            return parsed;
        }
        *parser = fresh();
        let at = progress.load(Ordering::Acquire);
        if at == NO_MESSAGE || poisoned.contains(&at) {
            let message = format!("the parser failed at {} of {}, at no message of it", raw.range, raw.source);
            return Err(Fault::internal("parser.batch", message));
        }
        poisoned.push(at);
    }
}

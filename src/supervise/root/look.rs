//! The look that a daemon takes at its lake, once, when its lanes work.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::actor::RootSupervisor;
use crate::lake::fsck::{Class, look_at_newest};
use crate::model::status::LaneState;
use crate::observe::events::{self, Examined};
use crate::observe::trouble::{Course, Subject, Trouble};
use crate::supervise::view::LaneView;

/// Role of the look in logs and metrics.
const LOOK: &str = "Look";

impl RootSupervisor {
    /// Begins the look on a thread of its own, as soon as it can be in nobody's way: each lane that has something to
    /// commit has done so, or is kept from it.
    pub(super) fn look_when_settled(&mut self, lanes: &[LaneView]) {
        if self.look.is_some() || self.parts.until_caught_up || lanes.is_empty() || !lanes.iter().all(is_settled) {
            return;
        }
        let is_stopped = Arc::new(AtomicBool::new(false));
        self.look = Some(Arc::clone(&is_stopped));
        let promoted = self.promotion_views.iter().map(|(_, view)| view.get()).filter(|view| view.is_promoter);
        let tables: Vec<String> = promoted.map(|view| view.table).collect();
        let parts = Arc::clone(&self.parts);
        let spawned = std::thread::Builder::new().name("look".to_owned()).spawn(move || {
            let begun = parts.clock.instant();
            match look_at_newest(&parts.storage, &tables, &|| !is_stopped.load(Ordering::Acquire)) {
                Ok(Some(sight)) => events::lake_examined(&Examined {
                    files: sight.files,
                    orphans: sight.of(Class::Orphan),
                    foreign: sight.of(Class::Foreign),
                    missing: sight.of(Class::Missing),
                    first: sight.first.as_deref(),
                    elapsed: parts.clock.instant().duration_since(begun),
                }),
                // The daemon ends.
                Ok(None) => {}
                Err(fault) => {
                    let trouble = Trouble::new(Subject::Daemon, &fault, Course::GoOn, parts.clock.now());
                    events::fault(LOOK, 0, &trouble);
                }
            }
        });
        match spawned {
            Ok(thread) => self.parts.reaper.join(thread),
            // The system is short of threads: the next look of the root tries again.
            Err(_) => self.look = None,
        }
    }

    /// A look that goes on ends before its next call.
    pub(super) fn stop_looking(&self) {
        if let Some(is_stopped) = &self.look {
            is_stopped.store(true, Ordering::Release);
        }
    }
}

fn is_settled(lane: &LaneView) -> bool {
    match lane.state {
        LaneState::Acquiring => false,
        LaneState::Running => lane.last_commit.is_some() || lane.lag == Some(0),
        _ => true,
    }
}

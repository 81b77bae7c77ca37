//! `[table.quarantine]`, `[unrouted]` and `stop_when`: what happens to messages that fail, and when too many do.

use super::section::Section;
use super::table;
use crate::model::table::{PayloadKept, QuarantineSettings, StopRule, UnroutedSettings};

/// Most messages that a stop rule may look back on: the window of a lane takes a byte for each.
const LONGEST_WINDOW: i64 = 1_000_000;

/// Reads `[table.quarantine]`.
pub(super) fn read(section: Section<'_>) -> QuarantineSettings {
    let payloads = [("keep", PayloadKept::Keep), ("digest", PayloadKept::Digest), ("none", PayloadKept::None)];
    let payload = section.get("payload").and_then(|item| item.choice(&payloads)).unwrap_or_default();
    let topic = read_topic(&section);
    section.finish();
    QuarantineSettings { payload, topic }
}

/// Reads `[unrouted]`.
pub(super) fn read_unrouted(section: Section<'_>) -> UnroutedSettings {
    let topic = read_topic(&section);
    let stop_when = read_stop_when(section.section("stop_when"));
    section.finish();
    UnroutedSettings { topic, stop_when }
}

fn read_topic(section: &Section<'_>) -> Option<String> {
    let item = section.get("topic")?;
    let topic = item.text()?;
    table::is_topic(&item, topic).then(|| topic.to_owned())
}

/// Reads `stop_when = { failed = 0.5, of = 1000 }`.
pub(super) fn read_stop_when(section: Section<'_>) -> Option<StopRule> {
    if !section.exists() {
        return None;
    }
    let failed = section.required("failed", "write the share of messages that may fail, such as failed = 0.5");
    let failed_ppm = failed.and_then(|item| {
        let share = item.number()?;
        if !(0.0..1.0).contains(&share) {
            let help = "take 0 (none may fail) or more, and less than 1".to_owned();
            item.problem(format!("{share} is not a share that may fail"), Some(help));
            return None;
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and a million")]
        let failed_ppm = (share * 1_000_000.0).round() as u32;
        // Rounded up to all of them it would be a rule that never stops.
        Some(failed_ppm.min(999_999))
    });
    let of = section.required("of", "write how many messages the share is of, such as of = 1000");
    let of = of.and_then(|item| u32::try_from(item.whole(1..=LONGEST_WINDOW)?).ok());
    section.finish();
    Some(StopRule { failed_ppm: failed_ppm?, of: of? })
}

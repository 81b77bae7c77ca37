//! Who this process is, for owner files: what a person needs to find the process that wrote one.

use crate::clock::{Clock, SystemClock};
use crate::lake::fence::Owner;

/// The owner that this process is, in the consumer group `group`. `takes_over`: chains of another group are its own
/// too.
pub(super) fn owner(group: &str, takes_over: bool) -> Owner {
    let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    Owner {
        host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        pid: std::process::id(),
        boot_id: boot_id.trim().to_owned(),
        group: group.to_owned(),
        cluster_id: None,
        topic_id: None,
        instance: uuid::Uuid::new_v4().to_string(),
        software: env!("CARGO_PKG_VERSION").to_owned(),
        taken_at: SystemClock.now(),
        takes_over,
    }
}

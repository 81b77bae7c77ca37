//! Who owns the lanes and tables of a test.

use forebay::lake::fence::Owner;
use jiff::Timestamp;

/// An owner whom the lake takes for the one before.
pub(crate) fn owner() -> Owner {
    Owner {
        host: "h".into(),
        pid: 1,
        boot_id: "b".into(),
        group: "forebay".into(),
        cluster_id: None,
        topic_id: None,
        instance: "i".into(),
        software: "0".into(),
        taken_at: Timestamp::UNIX_EPOCH,
        takes_over: false,
    }
}

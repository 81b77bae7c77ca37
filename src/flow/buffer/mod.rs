//! The ParquetBufferer: encodes the good rows and the dead letters of one Kafka partition into files of the local
//! spool, and hands whole intervals to the commit.
//!
//! ```text
//! ValidBatch ─▶ Interval ─▶ one OpenFile a zone and table ─▶ should_roll? ─▶ PendingInterval ─▶ commit thread
//!                             (memory holds open row groups only)              (one in flight a lane)
//! ```
//!
//! What bounds it: encoded bytes by [`crate::flow::spool::Spool`], open row groups of all lanes together by
//! [`pressure::EncoderMemory`], everything before it by the memory permit of the batch, which is given back as soon
//! as the batch is encoded.

pub mod commit;
pub mod encoding;
pub mod file;
pub mod interval;
pub mod lake_committer;
pub mod ledger_file;
pub mod pressure;
pub mod quarantine;
pub mod report;
pub mod roll;
pub mod step;
pub mod sums;

//! Reading: one consumer for the daemon, one reader for each Kafka partition.
//!
//! [`session::Session`] is the daemon's membership in the group: it says which Kafka partitions are ours and opens
//! each at the offset that storage says. [`step::KafkaReaderStep`] takes messages from one of them and hands on
//! batches. [`broker::Broker`] answers questions about the cluster. Nothing outside this folder knows rdkafka.
//!
//! # How a rebalance is answered
//!
//! librdkafka keeps two lists: what the group gave us, and what is being fetched. The answer to a rebalance needs an
//! assign or unassign call, but its list may be empty. So the callback acknowledges with an empty list, nothing is
//! fetched, and a Kafka partition enters the second list only in [`session::Session::open`], with its explicit offset
//! and its queue split off beforehand. There is no moment at which it could be fetched from anywhere else, or into
//! the common queue.
//!
//! # How a membership is kept
//!
//! The client of a session may be replaced: when it was fenced, or has had no connection for too long. What the old one
//! held is told as lost, and whoever asks for the client ([`broker::Broker`] too) gets the newest. A thread of its own
//! looks whether every Kafka partition has an owner in the group. The reasons are in `session/renewal.rs` and
//! `session/coverage.rs`.
//!
//! # Memory
//!
//! librdkafka holds at most `queued.max.messages.kbytes` for each open Kafka partition plus one fetch; see
//! [`settings`]. A reader holds one batch that it fills and one that it could not hand on.

pub mod broker;
mod context;
pub mod faults;
pub mod fetch;
mod link;
pub mod mock;
mod native;
pub mod producer;
pub mod sample;
pub mod session;
pub mod settings;
pub mod source;
pub mod step;
pub mod topics;

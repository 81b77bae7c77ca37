//! The daemon as people run it: its own process, on a real Kafka and a real HDFS, steered by its commands and its
//! socket.
//!
//! Needs the stack that `scripts/stack env` describes; without it every test says what is left out, and under `CI=true`
//! that fails.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod bad_input;
mod carried;
mod crowd;
mod hostile;
mod invoices;
mod kerberos;
mod lake;
mod letters;
mod lost;
mod main_path;
mod outages;
mod recreated;
mod reload;
mod requeue;
mod schema;
mod secure;
mod site;
mod stack;
mod steering;
mod stopping;
mod systemd;
mod tables;
mod topics;
mod types;

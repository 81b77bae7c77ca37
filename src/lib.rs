//! Forebay keeps a data lake fed from Kafka.
//!
//! ```text
//! Kafka topic ──▶ KafkaReader ═▶ Parser pool ═▶ Validator ═▶ ParquetBufferer ─▶ RAW zone (+ quarantine)
//! (per partition)  one a partition   n workers     in order again    rolls files        │
//!                                                                                      ▼ hourly timer, or by command
//!                                                                  Promoter ─▶ Processed zone
//! ```

pub mod app;
pub mod cli;
pub mod config;
pub mod exit;
pub mod infer;
pub mod produce;

pub mod control;

pub mod supervise;

pub mod flow;

pub mod lake;
pub mod stage;
pub mod storage;

pub mod observe;

pub mod lexical;

pub mod clock;
pub mod failpoint;
pub mod fault;
pub mod model;
#[cfg(feature = "xsd")]
pub mod schema;
#[cfg(not(feature = "xsd"))]
#[path = "schema/absent.rs"]
pub mod schema;

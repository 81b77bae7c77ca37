//! Forebay keeps a data lake fed from Kafka.
//!
//! ```text
//! Kafka topic ──▶ KafkaReader ═▶ Parser pool ═▶ Validator ═▶ ParquetBufferer ─▶ RAW zone (+ quarantine)
//! (per partition)  one a partition   n workers     in order again    rolls files        │
//!                                                                                      ▼ hourly timer, or by command
//!                                                                  Promoter ─▶ Processed zone
//! ```

pub mod clock;
pub mod control;
pub mod fault;
pub mod flow;
pub mod lake;
pub mod model;
pub mod stage;
pub mod storage;

//! The supervision tree: actors that start, watch, restart and stop the parts.
//!
//! ```text
//! RootSupervisor
//!   ├─ ParserPool ── Parser × n           one pool for the process
//!   ├─ LaneSupervisor p0                  one for each Kafka partition that is assigned to us
//!   │     KafkaReader ═▶ (pool) ═▶ Validator ═▶ ParquetBufferer
//!   ├─ LaneSupervisor p1 …
//!   ├─ HourlyTimer ──▶ PromotionSupervisor
//!   └─ LetterSupervisor ── LetterSender    dead letters of all lanes, once they are committed
//! ```

pub mod fit;
pub mod lane;
pub mod letters;
pub mod parts;
pub mod policy;
pub mod pool;
pub mod promotion;
pub mod reaper;
pub mod root;
pub mod tables;
pub mod timer;
pub mod view;

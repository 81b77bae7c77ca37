//! The configuration: `forebay.toml`, the environment laid over it, and the mapping files it names.
//!
//! ```text
//! file + environment ─▶ document (values with lines) ─▶ section (asked key by key) ─▶ model (Settings)
//!                                                            └─▶ problem: all of them, each with file and line
//! ```
//!
//! The `config` crate merges the layers. What reads the merged values is written by hand and not derived by serde: a
//! derived reader stops at the first thing that is wrong, and `forebay check` owes people all of them at once. A key
//! that nobody asks for is unknown, so the readers are the schema.
//!
//! Paths in `forebay.toml` begin at the working directory, those of mappings and secrets at the folder of the file.

mod changes;
pub mod check;
mod document;
mod kafka;
mod load;
pub mod mapping;
mod model;
mod problem;
mod quarantine;
mod section;
mod table;
#[cfg(test)]
mod tests;
mod units;

pub use changes::{refusals, version_help};
pub use load::{environment, load, load_control, load_kafka};
pub use model::{
    ControlSettings, KafkaSettings, LakeSettings, LimitSettings, LogSettings, PromoteSettings, RunSettings, Settings,
    SpoolSettings, SuperviseSettings,
};
pub use problem::{ENVIRONMENT, Problem};
pub use units::{parse_duration, parse_size, show_duration, show_size};

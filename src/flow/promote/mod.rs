//! RAW → Processed: each record id once, in its winning version, by date.
//!
//! [`Promoter`] does one promotion after the other: what is new by offset intervals ([`delta`], [`sources`]), keys first
//! ([`keys`], [`scan`], [`winners`], [`decide`]), then all columns of the winners once ([`rewrite`], [`parts`],
//! [`stage`]), then the plan and the table log ([`crate::lake::roll`]). When is a matter of [`due`].

mod audit;
pub mod dates;
pub mod decide;
pub mod delta;
pub mod due;
pub mod encode;
pub mod input;
pub mod keys;
pub mod parts;
mod promoter;
pub mod rewrite;
pub mod scan;
pub mod sources;
pub mod stage;
pub mod winners;

pub use audit::audit_processed;
pub use promoter::{Promoter, PromotionReport};

//! RAW → Processed: each record id once, in its winning version, by date.
//!
//! [`Promoter`] does one promotion after the other: what is new by offset intervals ([`delta`], [`sources`]), keys
//! first ([`keys`], [`scan`], [`winners`], [`decide`]), then all columns of the winners once ([`rewrite`], [`parts`],
//! [`stage`]), then the plan and the table log ([`crate::lake::roll`]). When is a matter of [`due`].
//!
//! Files of several versions of a mapping are read together: columns by their names, those that a file lacks as nulls.
//! The table keeps the columns it has in their order and gets new ones after them, in the log entry of the first files
//! that have them. A column that today's mapping lacks stays, null in new rows; what no promotion has ever had and
//! today's mapping does not name is not taken. A column that would have to change stops the table and is named.

mod audit;
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

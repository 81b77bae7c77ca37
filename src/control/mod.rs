//! The control socket: HTTP/1.1 over a Unix socket, JSON in and out, and the client that the command line uses.
//!
//! ```text
//! curl, forebay status ─▶ socket ─▶ routes ─▶ authority ─▶ Steering (the supervisors) ─▶ AuditLog
//! ```

pub mod api;
pub mod authority;
pub mod client;
mod guests;
pub mod problem;
pub mod routes;
pub mod socket;
pub mod steering;

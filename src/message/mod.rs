//! Messages between agents, as JSON.

pub mod read;
pub mod write;

#[cfg(feature = "python")]
pub mod python;

/// The fields that are text, in the order in which they are written and checked.
pub const TEXTS: [&str; 4] = ["id", "sender", "recipient", "content"];
pub const TIMESTAMP: &str = "timestamp";

//! Tasks that depend on each other.

pub mod graph;
pub mod progress;

#[cfg(feature = "python")]
pub mod python;
#[cfg(feature = "python")]
pub mod runtime;

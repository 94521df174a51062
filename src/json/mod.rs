//! JSON-like data: `crewai.utilities.serialization`, and what stores keep as text.

mod eight;
pub mod literal;
pub mod plain;
pub mod repair;

#[cfg(feature = "python")]
pub mod dumped;
#[cfg(feature = "python")]
pub mod python;
#[cfg(feature = "python")]
pub mod repairing;
#[cfg(feature = "python")]
pub mod serializable;
#[cfg(feature = "python")]
pub mod write;

//! JSON-like data: `crewai.utilities.serialization`, and what stores keep as text.

pub mod plain;

#[cfg(feature = "python")]
pub mod python;
#[cfg(feature = "python")]
pub mod serializable;
#[cfg(feature = "python")]
pub mod write;

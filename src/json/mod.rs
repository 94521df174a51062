//! JSON-like data: `crewai.utilities.serialization`.

pub mod serializable;

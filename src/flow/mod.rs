//! Flow triggers: `crewai.flow.runtime.Flow`.

pub mod condition;
pub mod state;
pub mod trigger;

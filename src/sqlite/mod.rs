//! CrewAI's long-term memories in SQLite, with a full-text index.

pub mod database;
pub mod jsonb;
pub mod pool;

#[cfg(feature = "python")]
pub mod python;

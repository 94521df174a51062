//! CrewAI's memory: a table's vectors and texts in RAM, searched as Lance searches them.

#[cfg(feature = "python")]
pub mod answer;
#[cfg(feature = "python")]
pub mod apart;
pub mod distance;
mod first;
#[cfg(feature = "python")]
mod kept;
mod listing;
pub mod mirror;
#[cfg(feature = "python")]
mod paused;
#[cfg(feature = "python")]
pub mod plain;
#[cfg(feature = "python")]
pub mod python;
#[cfg(feature = "python")]
pub mod records;
#[cfg(feature = "python")]
pub mod scores;
pub mod similarity;
mod summary;
mod texts;

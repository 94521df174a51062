//! JSON Schema for the arguments of tools.

pub mod check;
pub mod value;

#[cfg(feature = "python")]
pub mod python;

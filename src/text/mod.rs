//! Text functions of `crewai.utilities.string_utils`.

pub mod interpolate;
pub mod tool_name;

#[cfg(feature = "python")]
pub mod python;

//! Pydantic models: `pydantic.main.BaseModel`.

pub mod gather;
pub mod private_attribute;

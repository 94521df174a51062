//! Pydantic models: `pydantic.main.BaseModel`.

pub mod private_attribute;

//! The private state of a flow object, read live.

use crate::errors::{Error, Result, declined};
use crate::live::generic_getattr;
use pyo3::exceptions::{PyAttributeError, PyException};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

/// Everything that can fail is read before anything is changed, so the original may still run
/// and raise by itself.
pub fn or_declined<T>(py: Python<'_>, read: PyResult<T>, reason: &'static str) -> Result<T> {
    match read {
        Ok(value) => Ok(value),
        Err(error) if error.is_instance_of::<PyException>(py) => declined(reason),
        Err(error) => Err(Error::Python(error)),
    }
}

/// `flow.__pydantic_private__`, where pydantic's `__getattr__` finds private attributes.
pub fn private_dict<'py>(flow: &Bound<'py, PyAny>) -> Result<Bound<'py, PyDict>> {
    let py = flow.py();
    let read = flow.getattr(intern!(py, "__pydantic_private__"));
    match or_declined(py, read, "no private state")?.cast_into_exact() {
        Ok(dict) => Ok(dict),
        Err(_) => declined("no private state"),
    }
}

/// One private attribute, provided that `flow.NAME` does read it from there.
pub fn private<'py>(
    flow: &Bound<'py, PyAny>,
    state: &Bound<'py, PyDict>,
    name: &Bound<'py, PyString>,
) -> Result<Bound<'py, PyAny>> {
    match generic_getattr(flow, name) {
        Err(error) if error.is_instance_of::<PyAttributeError>(flow.py()) => {}
        Err(error) => return Err(Error::Python(error)),
        Ok(_) => return declined("private state is shadowed"),
    }
    match state.get_item(name)? {
        Some(value) => Ok(value),
        None => declined("private state is incomplete"),
    }
}

/// `flow._definition.methods`.
pub fn methods<'py>(
    flow: &Bound<'py, PyAny>,
    state: &Bound<'py, PyDict>,
) -> Result<Bound<'py, PyDict>> {
    let py = flow.py();
    let definition = private(flow, state, intern!(py, "_definition"))?;
    let read = definition.getattr(intern!(py, "methods"));
    match or_declined(py, read, "definition has no methods")?.cast_into_exact() {
        Ok(dict) => Ok(dict),
        Err(_) => declined("methods is not a plain dict"),
    }
}

/// `definition.NAME` of one method.
pub fn field<'py>(
    definition: &Bound<'py, PyAny>,
    name: &Bound<'py, PyString>,
) -> Result<Bound<'py, PyAny>> {
    let read = definition.getattr(name);
    or_declined(definition.py(), read, "method definition is incomplete")
}

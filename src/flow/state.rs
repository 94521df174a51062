//! The private state of a flow object, read live.

use crate::errors::{Error, Result, declined};
use crate::live::{generic_getattr, type_getattr};
use pyo3::exceptions::{PyAttributeError, PyException};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyType};

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

/// Declined unless `flow.NAME` is read from the private state.
pub fn unshadowed(flow: &Bound<'_, PyAny>, name: &Bound<'_, PyString>) -> Result<()> {
    match generic_getattr(flow, name) {
        Err(error) if error.is_instance_of::<PyAttributeError>(flow.py()) => Ok(()),
        Err(error) => Err(Error::Python(error)),
        Ok(_) => declined("private state is shadowed"),
    }
}

/// One private attribute.
pub fn private<'py>(
    state: &Bound<'py, PyDict>,
    name: &Bound<'py, PyString>,
) -> Result<Bound<'py, PyAny>> {
    match state.get_item(name)? {
        Some(value) => Ok(value),
        None => declined("private state is incomplete"),
    }
}

/// `flow._definition.methods`.
pub fn methods<'py>(state: &Bound<'py, PyDict>) -> Result<Bound<'py, PyDict>> {
    let py = state.py();
    let definition = private(state, intern!(py, "_definition"))?;
    let read = definition.getattr(intern!(py, "methods"));
    match or_declined(py, read, "definition has no methods")?.cast_into_exact() {
        Ok(dict) => Ok(dict),
        Err(_) => declined("methods is not a plain dict"),
    }
}

/// `definition.NAME` of one method after the other, mostly of one class.
#[derive(Default)]
pub struct Fields<'py> {
    /// The class seen last, if it looks attributes up as `object` does.
    generic: Option<Bound<'py, PyType>>,
}

impl<'py> Fields<'py> {
    pub fn get(
        &mut self,
        definition: &Bound<'py, PyAny>,
        name: &Bound<'py, PyString>,
    ) -> Result<Bound<'py, PyAny>> {
        let class = definition.get_type();
        if !self.generic.as_ref().is_some_and(|known| known.is(&class)) {
            self.generic = has_generic_lookup(&class).then_some(class);
        }
        if self.generic.is_some() {
            // What is found there needs no `__getattr__`.
            if let Ok(found) = generic_getattr(definition, name) {
                return Ok(found);
            }
        }
        let read = definition.getattr(name);
        or_declined(definition.py(), read, "method definition is incomplete")
    }
}

fn has_generic_lookup(class: &Bound<'_, PyType>) -> bool {
    let py = class.py();
    let name = intern!(py, "__getattribute__");
    let object = py.get_type::<PyAny>();
    match (type_getattr(class, name), type_getattr(&object, name)) {
        (Ok(own), Ok(generic)) => own.is(&generic),
        _ => false,
    }
}

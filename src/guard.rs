//! The methods a replaced method relies on: as long as they are untouched, so is its meaning.

use crate::errors::{Result, declined_name, guarded};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyString;

struct Method {
    name: Py<PyString>,
    expected: Py<PyAny>,
}

#[pyclass(module = "fast_crewai._core")]
pub struct Guard {
    methods: Vec<Method>,
}

#[pymethods]
impl Guard {
    #[new]
    fn new(py: Python<'_>, methods: Vec<(String, Py<PyAny>)>) -> Self {
        let methods = methods.into_iter().map(|(name, expected)| Method {
            name: PyString::intern(py, &name).unbind(),
            expected,
        });
        Guard {
            methods: methods.collect(),
        }
    }

    fn intact(&self, obj: &Bound<'_, PyAny>) -> Result<()> {
        guarded(|| self.check(obj))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> std::result::Result<(), PyTraverseError> {
        for method in &self.methods {
            visit.call(&method.expected)?;
        }
        Ok(())
    }

    fn __clear__(&mut self) {
        self.methods.clear();
    }
}

impl Guard {
    fn check(&self, obj: &Bound<'_, PyAny>) -> Result<()> {
        let py = obj.py();
        for method in &self.methods {
            let name = method.name.bind(py);
            let found = obj.getattr(name);
            if !found.is_ok_and(|found| is_bound(&found, obj, &method.expected)) {
                return declined_name("overridden", &name.to_string_lossy());
            }
        }
        Ok(())
    }
}

fn is_bound(found: &Bound<'_, PyAny>, obj: &Bound<'_, PyAny>, expected: &Py<PyAny>) -> bool {
    let py = obj.py();
    is_method(found)
        && found
            .getattr(intern!(py, "__func__"))
            .is_ok_and(|function| function.is(expected))
        && found
            .getattr(intern!(py, "__self__"))
            .is_ok_and(|owner| owner.is(obj))
}

fn is_method(found: &Bound<'_, PyAny>) -> bool {
    static METHOD: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = found.py();
    METHOD
        .import(py, "types", "MethodType")
        .is_ok_and(|method| found.get_type_ptr().cast() == method.as_ptr())
}

//! The collaborators of a replaced function: as long as they are untouched, so is its meaning.

use crate::errors::{Result, declined_name, guarded};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString};

struct Global {
    namespace: Py<PyDict>,
    name: Py<PyString>,
    expected: Py<PyAny>,
}

struct Method {
    name: Py<PyString>,
    expected: Py<PyAny>,
}

/// The collaborators a replaced function relies on.
#[pyclass(module = "fast_crewai._core")]
pub struct Guard {
    globals: Vec<Global>,
    methods: Vec<Method>,
}

#[pymethods]
impl Guard {
    #[new]
    fn new(
        py: Python<'_>,
        globals: Vec<(Py<PyDict>, String, Py<PyAny>)>,
        methods: Vec<(String, Py<PyAny>)>,
    ) -> Self {
        let intern = |name: &str| PyString::intern(py, name).unbind();
        let globals = globals
            .into_iter()
            .map(|(namespace, name, expected)| Global {
                namespace,
                name: intern(&name),
                expected,
            });
        let methods = methods.into_iter().map(|(name, expected)| Method {
            name: intern(&name),
            expected,
        });
        Guard {
            globals: globals.collect(),
            methods: methods.collect(),
        }
    }

    /// Raises Declined("patched: NAME") unless every name still is the expected object.
    fn intact(&self, py: Python<'_>) -> Result<()> {
        guarded(|| self.check_globals(py))
    }

    /// `intact()`, and every method of `obj` must be the expected function, bound to `obj`.
    fn intact_for(&self, obj: &Bound<'_, PyAny>) -> Result<()> {
        guarded(|| {
            self.check_globals(obj.py())?;
            self.check_methods(obj)
        })
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> std::result::Result<(), PyTraverseError> {
        for global in &self.globals {
            visit.call(&global.namespace)?;
            visit.call(&global.expected)?;
        }
        for method in &self.methods {
            visit.call(&method.expected)?;
        }
        Ok(())
    }

    fn __clear__(&mut self) {
        self.globals.clear();
        self.methods.clear();
    }
}

impl Guard {
    fn check_globals(&self, py: Python<'_>) -> Result<()> {
        for global in &self.globals {
            let name = global.name.bind(py);
            match global.namespace.bind(py).get_item(name)? {
                Some(found) if found.is(&global.expected) => {}
                _ => return declined_name("patched", &name.to_string_lossy()),
            }
        }
        Ok(())
    }

    fn check_methods(&self, obj: &Bound<'_, PyAny>) -> Result<()> {
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

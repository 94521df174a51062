//! Python's collector, kept from running for a while.

use pyo3::ffi;
use pyo3::prelude::*;

/// No collection until this is dropped. Nobody can see it where the GIL is kept and no Python code
/// runs.
pub struct Paused<'py> {
    _py: Python<'py>,
    was_on: bool,
}

impl<'py> Paused<'py> {
    pub fn new(py: Python<'py>) -> Self {
        // SAFETY: the GIL is held.
        let was_on = unsafe { ffi::PyGC_Disable() != 0 };
        Paused { _py: py, was_on }
    }
}

impl Drop for Paused<'_> {
    fn drop(&mut self) {
        if self.was_on {
            // SAFETY: the GIL is held, as `_py` shows.
            unsafe { ffi::PyGC_Enable() };
        }
    }
}

//! What Python's garbage collector looks at.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyList;

/// Objects that the collector keeps apart (`gc.freeze`) become young again.
#[pyfunction]
#[pyo3(text_signature = "(objects, /)")]
pub fn track_again(objects: &Bound<'_, PyList>) {
    for object in objects.iter() {
        let pointer = object.as_ptr();
        // SAFETY: a live object, and the GIL is held; one that is tracked has the collector's
        // header, is complete, and between the two calls no other code runs.
        unsafe {
            if ffi::PyObject_GC_IsTracked(pointer) != 0 {
                ffi::PyObject_GC_UnTrack(pointer.cast());
                ffi::PyObject_GC_Track(pointer.cast());
            }
        }
    }
}

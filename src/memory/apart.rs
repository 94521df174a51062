//! Vectors that the collector doesn't look at, as long as nobody but a recall's flow has them.
//!
//! A deep recall finds hundreds of records and answers ten. In each of its passes the collector
//! visited every number of every vector, which was a third of the recall's time. A list of numbers
//! refers to nothing, so it is freed with its record; the records themselves are tracked.

use crate::errors::{Result, guarded};
use crate::live::generic_getattr;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use pyo3::{ffi, intern};

/// No pass of the collector visits it until it is tracked again.
pub fn leave_alone(numbers: &Bound<'_, PyAny>) {
    // SAFETY: a live list or tuple, and the GIL is held; nothing is done to one that isn't tracked.
    unsafe { ffi::PyObject_GC_UnTrack(numbers.as_ptr().cast()) };
}

/// The vectors that `MemoryRecords` has left alone become as they are for all other records.
#[pyfunction]
#[pyo3(text_signature = "(records, /)")]
pub fn track_records(py: Python<'_>, records: &Bound<'_, PyList>) -> Result<()> {
    guarded(|| {
        for record in records.iter() {
            let values = generic_getattr(&record, intern!(py, "__dict__"))?;
            if let Ok(values) = values.cast_exact::<PyDict>()
                && let Some(list) = values.get_item(intern!(py, "embedding"))?
                && list.is_exact_instance_of::<PyList>()
            {
                track(&list);
            }
        }
        Ok(())
    })
}

fn track(list: &Bound<'_, PyAny>) {
    let pointer = list.as_ptr();
    // SAFETY: a live, complete list, and the GIL is held; only one that isn't tracked gets tracked.
    unsafe {
        if ffi::PyObject_GC_IsTracked(pointer) == 0 {
            ffi::PyObject_GC_Track(pointer.cast());
        }
    }
}

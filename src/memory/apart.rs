//! Records that the collector doesn't look at, as long as nobody but a recall's flow has them.
//!
//! A deep recall finds hundreds of records and answers ten. In each of its passes the collector
//! visited every number of every vector, which was a third of the recall's time. None of a record's
//! parts refers to anything that refers to it, so they are freed with the flow that has them.

use crate::errors::{Result, guarded};
use crate::live::generic_getattr;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use pyo3::{ffi, intern};

/// No pass of the collector visits it until it is tracked again.
pub fn leave_alone(container: &Bound<'_, PyAny>) {
    // SAFETY: a live container with the collector's header (a tuple, list, dict, set or model),
    // and the GIL is held; this does nothing to one that isn't tracked.
    unsafe { ffi::PyObject_GC_UnTrack(container.as_ptr().cast()) };
}

/// What `MemoryRecords` has left alone of these records becomes as it is for all others.
#[pyfunction]
#[pyo3(text_signature = "(records, /)")]
pub fn track_records(py: Python<'_>, records: &Bound<'_, PyList>) -> Result<()> {
    guarded(|| {
        for record in records.iter() {
            track(&record);
            track(&generic_getattr(
                &record,
                intern!(py, "__pydantic_fields_set__"),
            )?);
            let values = generic_getattr(&record, intern!(py, "__dict__"))?;
            track(&values);
            if let Ok(values) = values.cast_exact::<PyDict>() {
                for name in [intern!(py, "categories"), intern!(py, "embedding")] {
                    if let Some(list) = values.get_item(name)?
                        && list.is_exact_instance_of::<PyList>()
                    {
                        track(&list);
                    }
                }
            }
        }
        Ok(())
    })
}

fn track(container: &Bound<'_, PyAny>) {
    let pointer = container.as_ptr();
    // SAFETY: a live, complete object, and the GIL is held; only one that has the collector's
    // header and isn't tracked gets tracked.
    unsafe {
        let flags = ffi::PyType_GetFlags(container.get_type_ptr());
        if flags & ffi::Py_TPFLAGS_HAVE_GC != 0 && ffi::PyObject_GC_IsTracked(pointer) == 0 {
            ffi::PyObject_GC_Track(pointer.cast());
        }
    }
}

//! Whether what a recall has found is plain data, so that dumping it runs no code of anybody's.

use crate::errors::{Result, guarded};
use crate::live::{generic_getattr, utf8};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFloat, PyFrozenSet, PyList, PyString, PyTuple, PyType};
use pyo3::{ffi, intern};
use std::cell::Cell;

/// Whether all are what a recall has found: tuples of a record and a float, or dicts of lists of
/// these and of atoms; and the records hold nothing but atoms, and lists and dicts of these (what
/// is in their vectors doesn't matter).
#[pyfunction]
pub fn are_plain_hits(
    hits: &Bound<'_, PyList>,
    kind: &Bound<'_, PyType>,
    atoms: &Bound<'_, PyFrozenSet>,
) -> Result<bool> {
    guarded(|| {
        let plain = Plain {
            kind,
            atoms,
            known: std::array::from_fn(|_| Cell::new(std::ptr::null_mut())),
        };
        for hit in hits.iter() {
            let is_plain = match hit.cast_exact::<PyDict>() {
                Ok(finding) => plain.is_finding(finding)?,
                Err(_) => plain.is_hit(&hit)?,
            };
            if !is_plain {
                return Ok(false);
            }
        }
        Ok(true)
    })
}

struct Plain<'a, 'py> {
    kind: &'a Bound<'py, PyType>,
    atoms: &'a Bound<'py, PyFrozenSet>,
    /// Types that were found among the atoms, which keep them alive.
    known: [Cell<*mut ffi::PyTypeObject>; 4],
}

impl<'py> Plain<'_, 'py> {
    fn is_finding(&self, finding: &Bound<'py, PyDict>) -> Result<bool> {
        for (name, value) in finding.iter() {
            if !self.is_atom(&name)? {
                return Ok(false);
            }
            if self.is_atom(&value)? {
                continue;
            }
            let Ok(hits) = value.cast_exact::<PyList>() else {
                return Ok(false);
            };
            for hit in hits.iter() {
                if !self.is_hit(&hit)? {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    fn is_hit(&self, hit: &Bound<'py, PyAny>) -> Result<bool> {
        let Ok(hit) = hit.cast_exact::<PyTuple>() else {
            return Ok(false);
        };
        if hit.len() != 2 || !hit.get_borrowed_item(1)?.is_exact_instance_of::<PyFloat>() {
            return Ok(false);
        }
        let record = hit.get_borrowed_item(0)?;
        Ok(record.get_type_ptr() == self.kind.as_type_ptr() && self.is_record(&record)?)
    }

    fn is_record(&self, record: &Bound<'py, PyAny>) -> Result<bool> {
        let py = record.py();
        let (extra, private) = (
            intern!(py, "__pydantic_extra__"),
            intern!(py, "__pydantic_private__"),
        );
        for name in [extra, private] {
            if !generic_getattr(record, name)?.is_none() {
                return Ok(false);
            }
        }
        let values = generic_getattr(record, intern!(py, "__dict__"))?;
        let Ok(values) = values.cast_exact::<PyDict>() else {
            return Ok(false);
        };
        let mut lists = 0;
        for (name, value) in values.iter() {
            let Ok(name) = name.cast_exact::<PyString>() else {
                return Ok(false);
            };
            let plain = match utf8(name)? {
                "embedding" => value.is_none() || value.is_exact_instance_of::<PyList>(),
                "categories" => match value.cast_exact::<PyList>() {
                    Ok(labels) => {
                        lists += 1;
                        self.all_atoms(labels.iter())?
                    }
                    Err(_) => false,
                },
                "metadata" => match value.cast_exact::<PyDict>() {
                    Ok(details) => self.all_atoms(details.iter().flat_map(|(k, v)| [k, v]))?,
                    Err(_) => false,
                },
                _ => self.is_atom(&value)?,
            };
            if !plain {
                return Ok(false);
            }
        }
        Ok(lists == 1)
    }

    fn all_atoms(&self, values: impl Iterator<Item = Bound<'py, PyAny>>) -> Result<bool> {
        for value in values {
            if !self.is_atom(&value)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn is_atom(&self, value: &Bound<'py, PyAny>) -> Result<bool> {
        let kind = value.get_type_ptr();
        if value.is_exact_instance_of::<PyString>()
            || value.is_exact_instance_of::<PyFloat>()
            || self.known.iter().any(|known| known.get() == kind)
        {
            return Ok(true);
        }
        let found = self.atoms.contains(value.get_type())?;
        if found && let Some(free) = self.known.iter().find(|known| known.get().is_null()) {
            free.set(kind);
        }
        Ok(found)
    }
}

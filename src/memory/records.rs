//! Rows as CrewAI's records, which `memory_records.py` describes.
//!
//! Hundreds of records at once would make Python's collector look at all of them again and again
//! while they are made: it runs once, afterwards (as Python 3.12 and later do by themselves).

use super::apart::leave_alone;
use super::kept::{Kept, KnownRows, Said};
use super::mirror::{Row, Rows, Text};
use super::paused::Paused;
use super::texts::is_time;
use crate::errors::{Result, declined, internal};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyFrozenSet, PyList, PyString, PyType};
use pyo3::{ffi, intern};

/// How a record is made. Texts of JSON are parsed by Python, once; `labels` and `details` keep
/// what is flat.
#[pyclass(module = "fast_crewai._core", frozen)]
pub struct MemoryRecords {
    new: Py<PyAny>,
    kind: Py<PyType>,
    values: Py<PyDict>,
    fields: Py<PyFrozenSet>,
    labels: Py<PyDict>,
    details: Py<PyDict>,
    parse_labels: Py<PyAny>,
    parse_details: Py<PyAny>,
    read_time: Py<PyAny>,
}

#[pymethods]
impl MemoryRecords {
    #[new]
    #[allow(clippy::too_many_arguments)]
    fn new(
        new: Py<PyAny>,
        kind: Py<PyType>,
        values: Py<PyDict>,
        fields: Py<PyFrozenSet>,
        labels: Py<PyDict>,
        details: Py<PyDict>,
        parse_labels: Py<PyAny>,
        parse_details: Py<PyAny>,
        read_time: Py<PyAny>,
    ) -> Self {
        MemoryRecords {
            new,
            kind,
            values,
            fields,
            labels,
            details,
            parse_labels,
            parse_details,
            read_time,
        }
    }
}

/// What one record's texts of JSON say.
struct Parsed<'py> {
    labels: Bound<'py, PyList>,
    details: Bound<'py, PyDict>,
    /// Whether there is nothing in them that could change.
    flat: bool,
}

impl MemoryRecords {
    /// A record of its own for each of `places` (indices into `rows`). Declined for a row that
    /// may be none, or, if `naive`, has a time in another form than CrewAI's without a zone.
    /// The vectors of `apart` ones aren't tracked by the collector (`apart.rs`).
    #[allow(clippy::too_many_arguments)]
    pub fn make<'py, T>(
        &self,
        py: Python<'py>,
        kept: &Kept,
        rows: &Rows,
        places: &[usize],
        naive: bool,
        apart: bool,
        use_them: impl FnOnce(Vec<Bound<'py, PyAny>>) -> Result<T>,
    ) -> Result<T> {
        if naive && !rows.rows.iter().all(|(_, row, _)| is_time(&row.created)) {
            return declined("a time of another form");
        }
        let mut known = kept.look_up(py, rows)?;
        let mut parsed = Vec::with_capacity(places.len());
        for &place in places {
            parsed.push(match (known.said(place), known.row(place)) {
                (None, Some(row)) => Some(self.parsed(py, row)?),
                _ => None,
            });
        }
        let _paused = Paused::new(py);
        let mut records = Vec::with_capacity(places.len());
        for (&place, parsed) in places.iter().zip(parsed) {
            let vector = known.list(py, place)?;
            records.push(self.record(py, &mut known, place, parsed, vector, apart)?);
        }
        known.keep();
        use_them(records)
    }

    /// Python code may run here.
    fn parsed<'py>(&self, py: Python<'py>, row: &Row) -> Result<Parsed<'py>> {
        let (labels, _) = parse(py, &self.labels, &self.parse_labels, &row.categories)?;
        let (details, flat) = parse(py, &self.details, &self.parse_details, &row.metadata)?;
        match (labels.cast_into_exact(), details.cast_into_exact()) {
            (Ok(labels), Ok(details)) => Ok(Parsed {
                labels,
                details,
                flat,
            }),
            _ => declined("a row that is no record"),
        }
    }

    /// `parsed` is what isn't known; of equal places the first one's may be known since.
    fn record<'py>(
        &self,
        py: Python<'py>,
        known: &mut KnownRows<'_, 'py>,
        place: usize,
        parsed: Option<Parsed<'py>>,
        vector: Bound<'py, PyList>,
        apart: bool,
    ) -> Result<Bound<'py, PyAny>> {
        let Some(row) = known.row(place) else {
            return internal("a place that isn't there");
        };
        let (values, labels, details) = match (known.said(place), parsed) {
            (Some(said), _) => {
                let values = said.values.copy()?;
                if said.accessed != row.accessed {
                    let accessed = self.time(py, &row.accessed)?;
                    values.set_item(intern!(py, "last_accessed"), accessed)?;
                }
                (values, copy_of(&said.labels)?, said.details.copy()?)
            }
            (None, Some(parsed)) => {
                let values = self.values(py, row)?;
                let copies = (copy_of(&parsed.labels)?, parsed.details.copy()?);
                if parsed.flat {
                    let said = Said {
                        values: values.copy()?,
                        labels: parsed.labels,
                        details: parsed.details,
                        accessed: row.accessed.clone(),
                    };
                    known.learn(place, said);
                }
                (values, copies.0, copies.1)
            }
            (None, None) => return internal("a row that wasn't read"),
        };
        values.set_item(intern!(py, "categories"), &labels)?;
        values.set_item(intern!(py, "metadata"), details)?;
        values.set_item(intern!(py, "embedding"), &vector)?;
        let record = self.new.bind(py).call1((&self.kind,))?;
        let fields = set_of(self.fields.bind(py))?;
        set(&record, intern!(py, "__dict__"), values.as_any())?;
        set(&record, intern!(py, "__pydantic_fields_set__"), &fields)?;
        let none = py.None();
        set(&record, intern!(py, "__pydantic_extra__"), none.bind(py))?;
        set(&record, intern!(py, "__pydantic_private__"), none.bind(py))?;
        if apart {
            leave_alone(&vector);
        }
        Ok(record)
    }

    /// What can't change in a row's record; the other values are None.
    fn values<'py>(&self, py: Python<'py>, row: &Row) -> Result<Bound<'py, PyDict>> {
        let text = |text: &Text| PyString::new(py, text);
        let values = self.values.bind(py).copy()?;
        values.set_item(intern!(py, "id"), text(&row.id))?;
        values.set_item(intern!(py, "content"), text(&row.content))?;
        values.set_item(intern!(py, "scope"), text(&row.scope))?;
        values.set_item(intern!(py, "importance"), PyFloat::new(py, row.importance))?;
        values.set_item(intern!(py, "created_at"), self.time(py, &row.created)?)?;
        values.set_item(intern!(py, "last_accessed"), self.time(py, &row.accessed)?)?;
        if !row.source.is_empty() {
            values.set_item(intern!(py, "source"), text(&row.source))?;
        }
        values.set_item(intern!(py, "private"), PyBool::new(py, row.private))?;
        Ok(values)
    }

    fn time<'py>(&self, py: Python<'py>, text: &Text) -> Result<Bound<'py, PyAny>> {
        let read = self.read_time.bind(py);
        Ok(if text.contains('Z') {
            read.call1((text.replace('Z', "+00:00"),))?
        } else {
            read.call1((PyString::new(py, text),))?
        })
    }
}

/// What a text says: known (then nothing in it can change), or as Python reads it. To be copied by
/// whoever gives it away.
fn parse<'py>(
    py: Python<'py>,
    known: &Py<PyDict>,
    read: &Py<PyAny>,
    text: &Text,
) -> Result<(Bound<'py, PyAny>, bool)> {
    let text = PyString::new(py, text);
    let known = known.bind(py);
    if let Some(value) = known.get_item(&text)? {
        return Ok((value, true));
    }
    let value = read.bind(py).call1((&text,))?;
    let kept = known.get_item(&text)?;
    let flat = kept.is_some_and(|kept| kept.is(&value));
    Ok((value, flat))
}

fn copy_of<'py>(list: &Bound<'py, PyList>) -> Result<Bound<'py, PyList>> {
    Ok(list.get_slice(0, list.len()))
}

/// A set of what is in a frozenset, without asking for each of them.
fn set_of<'py>(names: &Bound<'py, PyFrozenSet>) -> Result<Bound<'py, PyAny>> {
    // SAFETY: a live object, and the GIL is held; a new set or NULL with an error set.
    unsafe {
        let made = ffi::PySet_New(names.as_ptr());
        Ok(Bound::from_owned_ptr_or_err(names.py(), made)?)
    }
}

/// `object.__setattr__(record, name, value)`
fn set(
    record: &Bound<'_, PyAny>,
    name: &Bound<'_, PyString>,
    value: &Bound<'_, PyAny>,
) -> Result<()> {
    // SAFETY: live objects, and the GIL is held.
    let failed = unsafe {
        ffi::PyObject_GenericSetAttr(record.as_ptr(), name.as_ptr(), value.as_ptr()) != 0
    };
    if failed {
        return Err(PyErr::fetch(record.py()).into());
    }
    Ok(())
}

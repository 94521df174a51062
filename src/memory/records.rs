//! Rows as CrewAI's records, which `memory_records.py` describes.
//!
//! Hundreds of records at once would make Python's collector look at all of them again and again
//! while they are made: it runs once, afterwards (as Python 3.12 and later do by themselves).

use super::kept::Kept;
use super::mirror::{Row, Rows, Text};
use super::paused::Paused;
use super::texts::is_time;
use crate::errors::{Result, declined, guarded};
use crate::live::{generic_getattr, utf8};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyFrozenSet, PyList, PyString, PyTuple, PyType};
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
}

impl MemoryRecords {
    /// A record of its own for each of `places` (indices into `rows`). Declined for a row that
    /// may be none, or, if `naive`, has a time in another form than CrewAI's without a zone.
    pub fn make<'py, T>(
        &self,
        py: Python<'py>,
        kept: &Kept,
        rows: &Rows,
        places: &[usize],
        naive: bool,
        use_them: impl FnOnce(Vec<Bound<'py, PyAny>>) -> Result<T>,
    ) -> Result<T> {
        if naive && !rows.rows.iter().all(|(_, row, _)| is_time(&row.created)) {
            return declined("a time of another form");
        }
        let of_place = |&place: &usize| rows.rows.get(place);
        let wanted: Vec<_> = places.iter().filter_map(of_place).collect();
        let parsed = wanted.iter().map(|(_, row, _)| self.parsed(py, row));
        let parsed = parsed.collect::<Result<Vec<_>>>()?;
        let _paused = Paused::new(py);
        let vectors = kept.lists(py, rows, places)?;
        let mut records = Vec::with_capacity(wanted.len());
        for (((_, row, _), parsed), vector) in wanted.into_iter().zip(parsed).zip(vectors) {
            records.push(self.record(py, row, &parsed, vector)?);
        }
        use_them(records)
    }

    /// Python code may run here.
    fn parsed<'py>(&self, py: Python<'py>, row: &Row) -> Result<Parsed<'py>> {
        let labels = parse(py, &self.labels, &self.parse_labels, &row.categories)?;
        let details = parse(py, &self.details, &self.parse_details, &row.metadata)?;
        match (labels.cast_into_exact(), details.cast_into_exact()) {
            (Ok(labels), Ok(details)) => Ok(Parsed { labels, details }),
            _ => declined("a row that is no record"),
        }
    }

    fn record<'py>(
        &self,
        py: Python<'py>,
        row: &Row,
        parsed: &Parsed<'py>,
        vector: Bound<'py, PyList>,
    ) -> Result<Bound<'py, PyAny>> {
        let text = |text: &Text| PyString::new(py, text);
        let values = self.values.bind(py).copy()?;
        values.set_item(intern!(py, "id"), text(&row.id))?;
        values.set_item(intern!(py, "content"), text(&row.content))?;
        values.set_item(intern!(py, "scope"), text(&row.scope))?;
        values.set_item(intern!(py, "categories"), copy_of(&parsed.labels)?)?;
        values.set_item(intern!(py, "metadata"), parsed.details.copy()?)?;
        values.set_item(intern!(py, "importance"), PyFloat::new(py, row.importance))?;
        values.set_item(intern!(py, "created_at"), self.time(py, &row.created)?)?;
        values.set_item(intern!(py, "last_accessed"), self.time(py, &row.accessed)?)?;
        values.set_item(intern!(py, "embedding"), vector)?;
        if row.source.is_empty() {
            values.set_item(intern!(py, "source"), py.None())?;
        } else {
            values.set_item(intern!(py, "source"), text(&row.source))?;
        }
        values.set_item(intern!(py, "private"), PyBool::new(py, row.private))?;
        let record = self.new.bind(py).call1((&self.kind,))?;
        let fields = set_of(self.fields.bind(py))?;
        set(&record, intern!(py, "__dict__"), values.as_any())?;
        set(&record, intern!(py, "__pydantic_fields_set__"), &fields)?;
        let none = py.None();
        set(&record, intern!(py, "__pydantic_extra__"), none.bind(py))?;
        set(&record, intern!(py, "__pydantic_private__"), none.bind(py))?;
        Ok(record)
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

/// Whether all are what a recall has found: tuples of a record and a float, or dicts of lists of
/// these and of atoms; and the records hold nothing but atoms, and lists and dicts of these (what
/// is in their vectors doesn't matter).
#[pyfunction]
pub fn are_plain_hits(
    py: Python<'_>,
    hits: &Bound<'_, PyList>,
    kind: &Bound<'_, PyType>,
    atoms: &Bound<'_, PyFrozenSet>,
) -> Result<bool> {
    guarded(|| {
        for hit in hits.iter() {
            let plain = match hit.cast_exact::<PyDict>() {
                Ok(finding) => is_plain_finding(py, finding, kind, atoms)?,
                Err(_) => is_plain_hit(py, &hit, kind, atoms)?,
            };
            if !plain {
                return Ok(false);
            }
        }
        Ok(true)
    })
}

fn is_plain_finding(
    py: Python<'_>,
    finding: &Bound<'_, PyDict>,
    kind: &Bound<'_, PyType>,
    atoms: &Bound<'_, PyFrozenSet>,
) -> Result<bool> {
    for (name, value) in finding.iter() {
        if !is_atom(&name, atoms)? {
            return Ok(false);
        }
        if is_atom(&value, atoms)? {
            continue;
        }
        let Ok(hits) = value.cast_exact::<PyList>() else {
            return Ok(false);
        };
        for hit in hits.iter() {
            if !is_plain_hit(py, &hit, kind, atoms)? {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

fn is_plain_hit(
    py: Python<'_>,
    hit: &Bound<'_, PyAny>,
    kind: &Bound<'_, PyType>,
    atoms: &Bound<'_, PyFrozenSet>,
) -> Result<bool> {
    let Ok(hit) = hit.cast_exact::<PyTuple>() else {
        return Ok(false);
    };
    if hit.len() != 2 || !hit.get_borrowed_item(1)?.is_exact_instance_of::<PyFloat>() {
        return Ok(false);
    }
    let record = hit.get_borrowed_item(0)?;
    Ok(record.get_type().is(kind) && is_plain(py, &record, atoms)?)
}

fn is_plain(
    py: Python<'_>,
    record: &Bound<'_, PyAny>,
    atoms: &Bound<'_, PyFrozenSet>,
) -> Result<bool> {
    for name in [
        intern!(py, "__pydantic_extra__"),
        intern!(py, "__pydantic_private__"),
    ] {
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
                    all_atoms(labels.iter(), atoms)?
                }
                Err(_) => false,
            },
            "metadata" => match value.cast_exact::<PyDict>() {
                Ok(details) => {
                    all_atoms(details.keys().iter(), atoms)?
                        && all_atoms(details.values().iter(), atoms)?
                }
                Err(_) => false,
            },
            _ => is_atom(&value, atoms)?,
        };
        if !plain {
            return Ok(false);
        }
    }
    Ok(lists == 1)
}

fn all_atoms<'py>(
    values: impl Iterator<Item = Bound<'py, PyAny>>,
    atoms: &Bound<'py, PyFrozenSet>,
) -> Result<bool> {
    for value in values {
        if !is_atom(&value, atoms)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn is_atom(value: &Bound<'_, PyAny>, atoms: &Bound<'_, PyFrozenSet>) -> Result<bool> {
    Ok(value.is_exact_instance_of::<PyString>()
        || value.is_exact_instance_of::<PyFloat>()
        || atoms.contains(value.get_type())?)
}

/// What a text says: known, or as Python reads it. To be copied by whoever gives it away.
fn parse<'py>(
    py: Python<'py>,
    known: &Py<PyDict>,
    read: &Py<PyAny>,
    text: &Text,
) -> Result<Bound<'py, PyAny>> {
    let text = PyString::new(py, text);
    if let Some(value) = known.bind(py).get_item(&text)? {
        return Ok(value);
    }
    Ok(read.bind(py).call1((text,))?)
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

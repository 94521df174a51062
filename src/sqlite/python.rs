//! Python edge of the databases.

use super::database::{Database, Parameters, Rows};
use super::jsonb;
use crate::errors::{Error, Result, guarded};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};
use rusqlite::types::Value;
use std::path::PathBuf;

/// The bytes that SQLite's `jsonb(text)` stores.
#[pyfunction]
pub fn jsonb_of<'py>(py: Python<'py>, text: &str) -> Result<Bound<'py, PyBytes>> {
    guarded(|| {
        let blob = py.detach(|| jsonb::encode(text))?;
        Ok(PyBytes::new(py, &blob))
    })
}

/// What SQLite's `json(blob)` makes of such bytes.
#[pyfunction]
pub fn text_of_jsonb(py: Python<'_>, blob: &[u8]) -> Result<String> {
    guarded(|| py.detach(|| jsonb::decode(blob)))
}

/// A SQLite file through a few connections of SQLite's own version, not Python's.
#[pyclass(frozen, module = "fast_crewai._core")]
pub struct RustSQLiteWrapper {
    database: Database,
}

#[pymethods]
impl RustSQLiteWrapper {
    #[new]
    #[pyo3(signature = (db_path, pool_size=5))]
    fn new(py: Python<'_>, db_path: PathBuf, pool_size: usize) -> Result<Self> {
        guarded(|| {
            if pool_size == 0 {
                return Err(PyValueError::new_err("pool_size is 1 or more").into());
            }
            let database = py.detach(|| Database::open(&db_path, pool_size))?;
            Ok(RustSQLiteWrapper { database })
        })
    }

    /// The rows of a statement, as dicts.
    #[pyo3(signature = (query, params=None))]
    fn execute_query<'py>(
        &self,
        query: &Bound<'py, PyString>,
        params: Option<&Bound<'py, PyAny>>,
    ) -> Result<Bound<'py, PyList>> {
        guarded(|| {
            let (sql, parameters) = (text(query)?, parameters(params)?);
            let py = query.py();
            dicts(py, py.detach(|| self.database.query(&sql, &parameters))?)
        })
    }

    /// How many rows a statement changed.
    #[pyo3(signature = (query, params=None))]
    fn execute_update(
        &self,
        query: &Bound<'_, PyString>,
        params: Option<&Bound<'_, PyAny>>,
    ) -> Result<u64> {
        guarded(|| {
            let (sql, parameters) = (text(query)?, parameters(params)?);
            query
                .py()
                .detach(|| self.database.update(&sql, &parameters))
        })
    }

    /// The same of several statements, all or none.
    fn execute_batch(
        &self,
        queries: Vec<(Bound<'_, PyString>, Option<Bound<'_, PyAny>>)>,
        py: Python<'_>,
    ) -> Result<Vec<u64>> {
        guarded(|| {
            let each = queries
                .iter()
                .map(|(sql, params)| Ok((text(sql)?, parameters(params.as_ref())?)));
            let statements = each.collect::<Result<Vec<_>>>()?;
            py.detach(|| self.database.batch(&statements))
        })
    }

    /// The id of the row that an INSERT made.
    #[pyo3(signature = (query, params=None))]
    fn execute_insert(
        &self,
        query: &Bound<'_, PyString>,
        params: Option<&Bound<'_, PyAny>>,
    ) -> Result<i64> {
        guarded(|| {
            let (sql, parameters) = (text(query)?, parameters(params)?);
            query
                .py()
                .detach(|| self.database.insert(&sql, &parameters))
        })
    }

    /// The long-term memories whose descriptions fit best, with "rank" (bm25, the smallest first).
    #[pyo3(signature = (query, limit=10))]
    fn search_fts<'py>(
        &self,
        query: &Bound<'py, PyString>,
        limit: u32,
    ) -> Result<Bound<'py, PyList>> {
        guarded(|| {
            let (py, words) = (query.py(), text(query)?);
            dicts(py, py.detach(|| self.database.search(&words, limit))?)
        })
    }

    #[getter]
    fn implementation(&self) -> &'static str {
        "rust"
    }
}

fn text(value: &Bound<'_, PyString>) -> Result<String> {
    match value.to_str() {
        Ok(text) => Ok(text.to_owned()),
        Err(_) => refuse("text with lone surrogates"),
    }
}

fn refuse<T>(what: &str) -> Result<T> {
    Err(Error::Database(format!("SQLite can't hold {what}")))
}

fn parameters(given: Option<&Bound<'_, PyAny>>) -> Result<Parameters> {
    let Some(given) = given else {
        return Ok(Parameters::Positional(Vec::new()));
    };
    if let Ok(named) = given.cast::<PyDict>() {
        let each = named.iter().map(|(name, value)| {
            let name = name
                .cast::<PyString>()
                .map_err(PyErr::from)?
                .to_str()?
                .to_owned();
            Ok((name, sql_value(&value)?))
        });
        return Ok(Parameters::Named(each.collect::<Result<_>>()?));
    }
    if !given.is_instance_of::<PyTuple>() && !given.is_instance_of::<PyList>() {
        let text = "params is a tuple, list or dict";
        return Err(PyTypeError::new_err(text).into());
    }
    let each = given.try_iter()?.map(|value| sql_value(&value?));
    Ok(Parameters::Positional(each.collect::<Result<_>>()?))
}

fn sql_value(value: &Bound<'_, PyAny>) -> Result<Value> {
    if value.is_none() {
        return Ok(Value::Null);
    }
    if value.is_instance_of::<PyInt>() {
        return match value.extract() {
            Ok(value) => Ok(Value::Integer(value)),
            Err(_) => refuse("an integer of more than 64 bits"),
        };
    }
    if let Ok(value) = value.cast::<PyFloat>() {
        return Ok(Value::Real(value.value()));
    }
    if let Ok(value) = value.cast::<PyString>() {
        return Ok(Value::Text(text(value)?));
    }
    if value.is_instance_of::<PyBytes>() || value.is_instance_of::<PyByteArray>() {
        return Ok(Value::Blob(value.extract()?));
    }
    let name = value.get_type().name()?;
    refuse(&format!("a {name}"))
}

fn dicts(py: Python<'_>, found: Rows) -> Result<Bound<'_, PyList>> {
    let names: Vec<_> = found
        .columns
        .iter()
        .map(|name| PyString::new(py, name))
        .collect();
    let list = PyList::empty(py);
    for row in found.rows {
        let dict = PyDict::new(py);
        for (name, value) in names.iter().zip(row) {
            match value {
                Value::Null => dict.set_item(name, py.None())?,
                Value::Integer(value) => dict.set_item(name, value)?,
                Value::Real(value) => dict.set_item(name, value)?,
                Value::Text(value) => dict.set_item(name, value)?,
                Value::Blob(value) => dict.set_item(name, PyBytes::new(py, &value))?,
            }
        }
        list.append(dict)?;
    }
    Ok(list)
}

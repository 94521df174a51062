//! Python edge of the schemas.

use super::check::{Patterns, Step, Violation, violations};
use super::value::{Dict, Value};
use crate::errors::{Result, declined, guarded};
use crate::live::{DictWalk, ListWalk, utf8};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};
use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::PoisonError;

const MAX_NESTING: usize = 64;

type Place = (Vec<Py<PyAny>>, Vec<Py<PyAny>>);

/// JSON schemas of tools by name, and what arguments break of them.
#[pyclass(frozen, module = "fast_crewai._core")]
pub struct RustToolExecutor {
    // Held without waiting for the GIL's next owner: nothing is called back under it.
    schemas: Mutex<HashMap<String, std::sync::Arc<Value>>>,
}

#[pymethods]
impl RustToolExecutor {
    #[new]
    fn new() -> Self {
        RustToolExecutor {
            schemas: Mutex::default(),
        }
    }

    /// Keeps a schema (dict or bool) under a name.
    fn register_tool(&self, name: &str, schema: &Bound<'_, PyAny>) -> Result<()> {
        guarded(|| {
            let Some(schema) = value_of(schema, 0)? else {
                return declined("the schema is nested too deeply");
            };
            self.lock()
                .insert(name.to_owned(), std::sync::Arc::new(schema));
            Ok(())
        })
    }

    /// (path in the arguments, path in the schema) of everything that they break; the schema's
    /// path is ("depth",) alone for arguments nested over 64 levels.
    fn validate_args(&self, name: &str, arguments: &Bound<'_, PyAny>) -> Result<Vec<Place>> {
        guarded(|| self.places(name, arguments))
    }

    /// `validate_args` of each.
    fn batch_validate(&self, name: &str, batch: &Bound<'_, PyList>) -> Result<Vec<Vec<Place>>> {
        guarded(|| {
            batch
                .iter()
                .map(|arguments| self.places(name, &arguments))
                .collect()
        })
    }

    #[getter]
    fn implementation(&self) -> &'static str {
        "rust"
    }
}

impl RustToolExecutor {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, std::sync::Arc<Value>>> {
        self.schemas.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn places(&self, name: &str, arguments: &Bound<'_, PyAny>) -> Result<Vec<Place>> {
        let py = arguments.py();
        let Some(schema) = self.lock().get(name).cloned() else {
            return declined("no schema of that name");
        };
        let found = match value_of(arguments, 0)? {
            Some(value) => violations(&schema, &value, &Regular { py }),
            None => vec![Violation {
                path: Vec::new(),
                schema_path: vec![Step::Key("depth".to_owned())],
            }],
        };
        let place = |one: Violation| Ok((steps(py, one.path)?, steps(py, one.schema_path)?));
        found.into_iter().map(place).collect()
    }
}

fn steps(py: Python<'_>, path: Vec<Step>) -> Result<Vec<Py<PyAny>>> {
    let step = |step| {
        Ok(match step {
            Step::Key(name) => PyString::new(py, &name).into_any().unbind(),
            Step::Index(index) => PyInt::new(py, index).into_any().unbind(),
        })
    };
    path.into_iter().map(step).collect()
}

/// Python's `re`, which keeps the patterns it has compiled.
struct Regular<'py> {
    py: Python<'py>,
}

impl Patterns for Regular<'_> {
    fn found(&self, pattern: &str, text: &str) -> Option<bool> {
        let re = self.py.import("re").ok()?;
        let found = re.call_method1("search", (pattern, text)).ok()?;
        Some(!found.is_none())
    }
}

/// The value, or None if it is nested too deeply. Declined: integers over 127 bits, lone
/// surrogates, containers that change meanwhile.
fn value_of(object: &Bound<'_, PyAny>, depth: usize) -> Result<Option<Value>> {
    if let Ok(text) = object.cast::<PyString>() {
        return Ok(Some(Value::Text(utf8(text)?.to_owned())));
    }
    if object.is_none() {
        return Ok(Some(Value::Null));
    }
    if object.is_instance_of::<PyBool>() {
        return Ok(Some(Value::Bool(object.is_truthy()?)));
    }
    if object.is_instance_of::<PyInt>() {
        return match object.extract::<i64>() {
            Ok(value) => Ok(Some(Value::Int(value.into()))),
            Err(_) => match digits(object)?.extract::<String>() {
                Ok(digits) => match digits.parse() {
                    Ok(value) => Ok(Some(Value::Int(value))),
                    Err(_) => declined("an integer of more than 127 bits"),
                },
                Err(_) => declined("an integer of more than 127 bits"),
            },
        };
    }
    if let Ok(value) = object.cast::<PyFloat>() {
        return Ok(Some(Value::Float(value.value())));
    }
    if depth >= MAX_NESTING && is_container(object) {
        return Ok(None);
    }
    if let Ok(list) = object.cast::<PyList>() {
        let (mut items, mut walk) = (Vec::with_capacity(list.len()), ListWalk::new(list));
        while let Some(item) = walk.next()? {
            let Some(item) = value_of(&item, depth + 1)? else {
                return Ok(None);
            };
            items.push(item);
        }
        return Ok(Some(Value::List(items)));
    }
    if let Ok(tuple) = object.cast::<PyTuple>() {
        let mut items = Vec::with_capacity(tuple.len());
        for item in tuple.iter() {
            let Some(item) = value_of(&item, depth + 1)? else {
                return Ok(None);
            };
            items.push(item);
        }
        return Ok(Some(Value::List(items)));
    }
    if let Ok(dict) = object.cast::<PyDict>() {
        return dict_of(dict, depth);
    }
    Ok(Some(Value::Other))
}

/// What `int` writes, whatever a subclass does.
fn digits<'py>(number: &Bound<'py, PyAny>) -> Result<Bound<'py, PyAny>> {
    let class = number.py().get_type::<PyInt>();
    Ok(class.call_method1("__repr__", (number,))?)
}

fn is_container(object: &Bound<'_, PyAny>) -> bool {
    object.is_instance_of::<PyList>()
        || object.is_instance_of::<PyTuple>()
        || object.is_instance_of::<PyDict>()
}

fn dict_of(dict: &Bound<'_, PyDict>, depth: usize) -> Result<Option<Value>> {
    let (mut entries, mut walk) = (Vec::with_capacity(dict.len()), DictWalk::new(dict));
    let mut is_json = true;
    while let Some((key, value)) = walk.next()? {
        let Some(value) = value_of(&value, depth + 1)? else {
            return Ok(None);
        };
        match key.cast::<PyString>() {
            Ok(key) => entries.push((utf8(key)?.to_owned(), value)),
            Err(_) => is_json = false,
        }
    }
    Ok(Some(if is_json {
        Value::Dict(Dict::new(entries))
    } else {
        Value::Other
    }))
}

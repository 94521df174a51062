//! Python edge of `repair`, `literal` and `plain`: what models write.

use super::literal::literal;
use super::plain::{Kind, kind};
use super::repair::{Value, elements, members};
use crate::errors::{Result, guarded};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString};
use std::collections::HashMap;

/// How many different keys are kept, so that equal ones are made once.
const KEYS: usize = 256;
/// More text than this is read without the GIL.
const MUCH: usize = 50_000;

/// Adds the elements that `text` begins with. Where it goes on behind them, how far was looked.
#[pyfunction]
pub fn repaired_elements(
    text: &Bound<'_, PyString>,
    made: &Bound<'_, PyList>,
    quoteless: bool,
) -> Result<(usize, usize)> {
    guarded(|| {
        let Ok(text) = text.to_str() else {
            return Ok((0, text.len()?)); // lone surrogates
        };
        let run = elements(text, quoteless);
        let (mut maker, mut end) = (Maker::sharing(made.py()), 0);
        for (value, behind) in run.read {
            made.append(maker.value(value)?)?;
            end = behind;
        }
        Ok((characters(text, end), characters(text, run.reached)))
    })
}

/// Adds the members that `text` begins with, up to one whose key is known.
#[pyfunction]
pub fn repaired_members(
    text: &Bound<'_, PyString>,
    made: &Bound<'_, PyDict>,
    quoteless: bool,
) -> Result<(usize, usize)> {
    guarded(|| {
        let Ok(text) = text.to_str() else {
            return Ok((0, text.len()?));
        };
        let run = members(text, quoteless);
        let (mut maker, mut end) = (Maker::sharing(made.py()), 0);
        for ((key, value), behind) in run.read {
            let key = maker.key(key);
            if made.contains(&key)? {
                break;
            }
            made.set_item(key, maker.value(value)?)?;
            end = behind;
        }
        Ok((characters(text, end), characters(text, run.reached)))
    })
}

/// What `ast.literal_eval` surely makes of `text`, if that is a list or dict; else None.
#[pyfunction]
pub fn python_literal<'py>(text: &Bound<'py, PyString>) -> Result<Option<Bound<'py, PyAny>>> {
    guarded(|| {
        let Ok(read) = text.to_str() else {
            return Ok(None);
        };
        let value = apart(text.py(), read, literal);
        value.map(|v| Maker::new(text.py()).value(v)).transpose()
    })
}

/// "plain", "broken", "cut" (off, nested up to 20 levels) or "unsure".
#[pyfunction]
pub fn kind_of_json(text: &Bound<'_, PyString>) -> Result<&'static str> {
    guarded(|| {
        let Ok(read) = text.to_str() else {
            return Ok("unsure");
        };
        Ok(match apart(text.py(), read, kind) {
            Kind::Plain => "plain",
            Kind::Broken => "broken",
            Kind::Cut(0..=20) => "cut",
            Kind::Cut(_) => "broken",
            Kind::Unsure => "unsure",
        })
    })
}

/// Without the GIL if it takes long.
fn apart<'a, T: Send>(py: Python<'_>, text: &'a str, read: fn(&'a str) -> T) -> T {
    if text.len() > MUCH {
        py.detach(|| read(text))
    } else {
        read(text)
    }
}

fn characters(text: &str, bytes: usize) -> usize {
    if text.is_ascii() {
        return bytes;
    }
    let bytes = text.as_bytes().iter().take(bytes);
    bytes.filter(|&&byte| byte & 0xc0 != 0x80).count()
}

/// Makes Python's objects.
struct Maker<'a, 'py> {
    py: Python<'py>,
    keys: HashMap<&'a str, Bound<'py, PyString>>,
    /// The last text, where nobody can tell whether equal ones are one object.
    last: Option<(&'a str, Bound<'py, PyString>)>,
    shares: bool,
}

impl<'a, 'py> Maker<'a, 'py> {
    fn new(py: Python<'py>) -> Self {
        Maker {
            py,
            keys: HashMap::new(),
            last: None,
            shares: false,
        }
    }

    /// What it makes is written as JSON, and then gone.
    fn sharing(py: Python<'py>) -> Self {
        Maker {
            shares: true,
            ..Maker::new(py)
        }
    }

    fn text(&mut self, text: &'a str) -> Bound<'py, PyString> {
        match &self.last {
            Some((last, made)) if *last == text => made.clone(),
            _ => {
                let made = PyString::new(self.py, text);
                if self.shares {
                    self.last = Some((text, made.clone()));
                }
                made
            }
        }
    }

    fn key(&mut self, key: &'a str) -> Bound<'py, PyString> {
        if let Some(known) = self.keys.get(key) {
            return known.clone();
        }
        let made = PyString::new(self.py, key);
        if self.keys.len() < KEYS {
            self.keys.insert(key, made.clone());
        }
        made
    }

    fn value(&mut self, value: Value<'a>) -> Result<Bound<'py, PyAny>> {
        let py = self.py;
        Ok(match value {
            Value::Null => py.None().into_bound(py),
            Value::Bool(flag) => PyBool::new(py, flag).to_owned().into_any(),
            Value::Int(number) => PyInt::new(py, number).into_any(),
            Value::Float(number) => PyFloat::new(py, number).into_any(),
            Value::Text(text) => self.text(text).into_any(),
            Value::List(values) => {
                let made = PyList::empty(py);
                for value in values {
                    made.append(self.value(value)?)?;
                }
                made.into_any()
            }
            Value::Object(members) => {
                let made = PyDict::new(py);
                for (key, value) in members {
                    made.set_item(self.key(key), self.value(value)?)?;
                }
                made.into_any()
            }
        })
    }
}

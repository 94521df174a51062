//! Python edge of the text functions.

use super::{interpolate::Template, tool_name};
use crate::errors::{Result, declined, guarded};
use crate::live::{DictWalk, ListWalk, exact_i64, utf8};
use memchr::memchr2;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString};

/// Deeper values are left to the original, whose recursion Python bounds.
const MAX_DEPTH: usize = 100;

/// `crewai.utilities.string_utils.sanitize_tool_name` for short ASCII names.
#[pyfunction]
pub fn sanitize_tool_name(
    name: &Bound<'_, PyAny>,
    max_length: &Bound<'_, PyAny>,
) -> Result<String> {
    guarded(|| {
        let Ok(name) = name.cast_exact::<PyString>() else {
            return declined("name is not a plain str");
        };
        let max_length = exact_i64(max_length, "max_length is not a plain int")?;
        let text = utf8(name)?;
        match tool_name::sanitize(text, max_length) {
            Some(out) => Ok(out),
            None => declined("needs normalising or cutting"),
        }
    })
}

/// `crewai.utilities.string_utils.interpolate_only` for exact builtin types.
#[pyfunction]
pub fn interpolate<'py>(
    input_string: &Bound<'py, PyAny>,
    inputs: &Bound<'py, PyAny>,
) -> Result<Bound<'py, PyString>> {
    guarded(|| {
        let Ok(inputs) = inputs.cast_exact::<PyDict>() else {
            return declined("inputs is not a plain dict");
        };
        check_inputs(inputs)?;
        if input_string.is_none() {
            return Ok(PyString::new(inputs.py(), ""));
        }
        match input_string.cast_exact::<PyString>() {
            Ok(text) => fill(text, inputs),
            Err(_) => declined("input_string is not a plain str"),
        }
    })
}

fn fill<'py>(
    input: &Bound<'py, PyString>,
    inputs: &Bound<'py, PyDict>,
) -> Result<Bound<'py, PyString>> {
    let text = utf8(input)?;
    if memchr2(b'{', b'}', text.as_bytes()).is_none() {
        return Ok(input.clone());
    }
    if inputs.is_empty() {
        return declined("empty inputs");
    }
    let template = Template::parse(text);
    let mut values = Vec::new();
    for name in template.names() {
        match inputs.get_item(name)? {
            Some(value) => values.push(value_text(value)?),
            None => return declined("missing variable"),
        }
    }
    if values.is_empty() {
        return Ok(input.clone());
    }
    let values = values.iter().map(utf8).collect::<Result<Vec<_>>>()?;
    match template.render(&values) {
        Some(out) => Ok(PyString::new(input.py(), &out)),
        None => declined("result too large"),
    }
}

/// `str(value)`; values are checked before, so no code of the user's runs.
fn value_text(value: Bound<'_, PyAny>) -> Result<Bound<'_, PyString>> {
    match value.cast_into_exact::<PyString>() {
        Ok(text) => Ok(text),
        // The original raises the same error (an int of too many digits).
        Err(other) => other
            .into_inner()
            .str()
            .or_else(|_| declined("value has no str()")),
    }
}

fn check_inputs(inputs: &Bound<'_, PyDict>) -> Result<()> {
    let mut walk = DictWalk::new(inputs);
    while let Some((_, value)) = walk.next()? {
        check_value(&value, 0)?;
    }
    Ok(())
}

fn check_value(value: &Bound<'_, PyAny>, depth: usize) -> Result<()> {
    if is_plain_leaf(value) {
        return Ok(());
    }
    if depth >= MAX_DEPTH {
        return declined("inputs nested too deeply");
    }
    if let Ok(dict) = value.cast_exact::<PyDict>() {
        let mut walk = DictWalk::new(dict);
        while let Some((key, item)) = walk.next()? {
            // str(dict) shows the keys, whatever they are.
            if !is_plain_leaf(&key) {
                return declined("key of an unknown type in inputs");
            }
            check_value(&item, depth + 1)?;
        }
        Ok(())
    } else if let Ok(list) = value.cast_exact::<PyList>() {
        let mut walk = ListWalk::new(list);
        while let Some(item) = walk.next()? {
            check_value(&item, depth + 1)?;
        }
        Ok(())
    } else {
        declined("value of an unknown type in inputs")
    }
}

fn is_plain_leaf(value: &Bound<'_, PyAny>) -> bool {
    value.is_exact_instance_of::<PyString>()
        || value.is_none()
        || value.is_exact_instance_of::<PyInt>()
        || value.is_exact_instance_of::<PyFloat>()
        || value.is_exact_instance_of::<PyBool>()
}

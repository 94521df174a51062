//! Plain Python data → the text that `json.dumps` writes of it.

use super::eight::first_escaped;
use crate::errors::{Result, declined, guarded};
use crate::live::{DictWalk, ListWalk, utf8};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString};
use std::fmt::Write;

/// Deeper values are left to the original, whose recursion Python bounds.
const MAX_DEPTH: usize = 100;

/// `json.dumps` without options, for exact builtin types.
#[pyfunction]
pub fn json_text<'py>(value: &Bound<'py, PyAny>) -> Result<Bound<'py, PyString>> {
    guarded(|| {
        let mut out = String::with_capacity(256);
        write(&mut out, value, 0)?;
        Ok(PyString::new(value.py(), &out))
    })
}

fn write(out: &mut String, value: &Bound<'_, PyAny>, depth: usize) -> Result<()> {
    if let Ok(text) = value.cast_exact::<PyString>() {
        write_text(out, utf8(text)?);
    } else if let Ok(dict) = value.cast_exact::<PyDict>() {
        write_dict(out, dict, depth + 1)?;
    } else if let Ok(list) = value.cast_exact::<PyList>() {
        write_list(out, list, depth + 1)?;
    } else if value.is_none() {
        out.push_str("null");
    } else if let Ok(truth) = value.cast_exact::<PyBool>() {
        out.push_str(if truth.is_true() { "true" } else { "false" });
    } else if value.is_exact_instance_of::<PyInt>() {
        let Ok(number) = value.extract::<i64>() else {
            return declined("a long number");
        };
        // Writing to a String can't fail.
        let _ = write!(out, "{number}");
    } else if let Ok(number) = value.cast_exact::<PyFloat>() {
        write_float(out, number)?;
    } else {
        return declined("not plain data");
    }
    Ok(())
}

fn write_dict(out: &mut String, dict: &Bound<'_, PyDict>, depth: usize) -> Result<()> {
    check(depth)?;
    out.push('{');
    let mut walk = DictWalk::new(dict);
    let mut first = true;
    while let Some((key, value)) = walk.next()? {
        let Ok(key) = key.cast_exact::<PyString>() else {
            return declined("a key that is not a plain str");
        };
        if !first {
            out.push_str(", ");
        }
        first = false;
        write_text(out, utf8(key)?);
        out.push_str(": ");
        write(out, &value, depth)?;
    }
    out.push('}');
    Ok(())
}

fn write_list(out: &mut String, list: &Bound<'_, PyList>, depth: usize) -> Result<()> {
    check(depth)?;
    out.push('[');
    let mut walk = ListWalk::new(list);
    let mut first = true;
    while let Some(item) = walk.next()? {
        if !first {
            out.push_str(", ");
        }
        first = false;
        write(out, &item, depth)?;
    }
    out.push(']');
    Ok(())
}

fn check(depth: usize) -> Result<()> {
    if depth > MAX_DEPTH {
        return declined("too deep");
    }
    Ok(())
}

fn write_float(out: &mut String, number: &Bound<'_, PyFloat>) -> Result<()> {
    let value = number.value();
    if value.is_finite() {
        out.push_str(utf8(&number.repr()?)?);
    } else if value.is_nan() {
        out.push_str("NaN");
    } else {
        out.push_str(if value > 0.0 { "Infinity" } else { "-Infinity" });
    }
    Ok(())
}

/// A string with all but printable ASCII escaped.
fn write_text(out: &mut String, text: &str) {
    out.push('"');
    let mut rest = text;
    while let Some(at) = first_escaped(rest.as_bytes()) {
        // Before `at` all is ASCII, so a character begins there.
        let (before, after) = rest.split_at_checked(at).unwrap_or((rest, ""));
        out.push_str(before);
        let mut characters = after.chars();
        match characters.next() {
            Some('"') => out.push_str("\\\""),
            Some('\\') => out.push_str("\\\\"),
            Some('\n') => out.push_str("\\n"),
            Some('\r') => out.push_str("\\r"),
            Some('\t') => out.push_str("\\t"),
            Some('\u{c}') => out.push_str("\\f"),
            Some('\u{8}') => out.push_str("\\b"),
            Some(other) => {
                for unit in other.encode_utf16(&mut [0; 2]) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
            None => {}
        }
        rest = characters.as_str();
    }
    out.push_str(rest);
    out.push('"');
}

//! Trigger conditions: an event name, or `{"and" | "or": [condition, …]}`, nested.

use crate::errors::{Result, declined};
use crate::live::ListWalk;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PySet, PyString};

const MAX_DEPTH: usize = 64;

/// `(is_and, branches)` of a dict condition; "and" wins over "or", as in the original.
fn branches<'py>(condition: &Bound<'py, PyDict>) -> Result<(bool, Bound<'py, PyList>)> {
    let py = condition.py();
    let (is_and, found) = match condition.get_item(intern!(py, "and"))? {
        Some(found) => (true, Some(found)),
        None => (false, condition.get_item(intern!(py, "or"))?),
    };
    match found.map(|found| found.cast_into_exact::<PyList>()) {
        Some(Ok(list)) => Ok((is_and, list)),
        _ => declined("condition of an unknown shape"),
    }
}

/// Checks the whole condition; returns whether it is an `or` of several branches.
pub fn check(condition: &Bound<'_, PyAny>) -> Result<bool> {
    check_nested(condition, 0)
}

fn check_nested(condition: &Bound<'_, PyAny>, depth: usize) -> Result<bool> {
    if condition.is_exact_instance_of::<PyString>() {
        return Ok(false);
    }
    let Ok(dict) = condition.cast_exact::<PyDict>() else {
        return declined("condition of an unknown shape");
    };
    if depth >= MAX_DEPTH {
        return declined("condition nested too deeply");
    }
    let (is_and, list) = branches(dict)?;
    let mut walk = ListWalk::new(&list);
    while let Some(branch) = walk.next()? {
        check_nested(&branch, depth + 1)?;
    }
    Ok(!is_and && list.len() > 1)
}

/// Whether `events` satisfy a checked condition.
pub fn satisfied(condition: &Bound<'_, PyAny>, events: &Bound<'_, PySet>) -> Result<bool> {
    let Ok(dict) = condition.cast_exact::<PyDict>() else {
        return Ok(events.contains(condition)?);
    };
    let (is_and, list) = branches(dict)?;
    let mut walk = ListWalk::new(&list);
    while let Some(branch) = walk.next()? {
        if satisfied(&branch, events)? != is_and {
            return Ok(!is_and);
        }
    }
    Ok(is_and)
}

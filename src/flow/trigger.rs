//! Which methods an event triggers: `Flow._find_triggered_methods` and its helpers.

use super::condition::{check, satisfied};
use super::state::{Fields, methods, private, private_dict, unshadowed};
use crate::errors::{Result, declined, guarded, internal};
use crate::live::DictWalk;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyList, PySet, PyString};

/// What the search reads of a flow's private state.
const USED: [&str; 3] = ["_definition", "_pending_events", "_fired_or_listeners"];

/// A listener whose kind (router or not) was asked for.
struct Candidate<'py> {
    name: Bound<'py, PyAny>,
    condition: Bound<'py, PyAny>,
    /// An `or` of several events fires once until the flow re-arms it; routers always do.
    fires_once: bool,
}

/// `crewai.flow.runtime.Flow._find_triggered_methods`, side effects included.
#[pyfunction]
pub fn find_triggered_methods<'py>(
    flow: &Bound<'py, PyAny>,
    trigger_method: &Bound<'py, PyAny>,
    router_only: &Bound<'py, PyAny>,
) -> Result<Bound<'py, PyList>> {
    guarded(|| {
        let state = private_dict(flow)?;
        for name in USED {
            unshadowed(flow, &PyString::intern(flow.py(), name))?;
        }
        search(&state, trigger_method, router_only)
    })
}

/// The same, given the flow's `__pydantic_private__`, which its attributes are known to show.
#[pyfunction]
pub fn find_triggered_in<'py>(
    private: &Bound<'py, PyAny>,
    trigger_method: &Bound<'py, PyAny>,
    router_only: &Bound<'py, PyAny>,
) -> Result<Bound<'py, PyList>> {
    guarded(|| match private.cast_exact() {
        Ok(state) => search(state, trigger_method, router_only),
        Err(_) => declined("no private state"),
    })
}

fn search<'py>(
    state: &Bound<'py, PyDict>,
    trigger_method: &Bound<'py, PyAny>,
    router_only: &Bound<'py, PyAny>,
) -> Result<Bound<'py, PyList>> {
    if !trigger_method.is_exact_instance_of::<PyString>() {
        return declined("trigger is not a plain str");
    }
    let router_only = exact_bool(router_only, "router_only is not a bool")?;
    let py = state.py();
    let methods = methods(state)?;
    let pending = private(state, intern!(py, "_pending_events"))?;
    let fired = private(state, intern!(py, "_fired_or_listeners"))?;
    let (Ok(pending), Ok(fired)) = (pending.cast_exact(), fired.cast_exact()) else {
        return declined("private state of an unknown type");
    };
    let candidates = candidates(&methods, router_only, pending)?;
    fire(&candidates, trigger_method, pending, fired)
}

/// Reads and checks all that `fire` will use; changes nothing.
fn candidates<'py>(
    methods: &Bound<'py, PyDict>,
    router_only: bool,
    pending: &Bound<'py, PyDict>,
) -> Result<Vec<Candidate<'py>>> {
    let py = methods.py();
    let mut found = Vec::with_capacity(methods.len());
    let mut walk = DictWalk::new(methods);
    let mut fields = Fields::default();
    while let Some((name, definition)) = walk.next()? {
        let condition = fields.get(&definition, intern!(py, "listen"))?;
        if condition.is_none() {
            continue;
        }
        let router = fields.get(&definition, intern!(py, "router"))?;
        if exact_bool(&router, "router is not a bool")? != router_only {
            continue;
        }
        check_name(&name)?;
        check_seen(pending, &name)?;
        let fires_once = check(&condition)? && !router_only;
        found.push(Candidate {
            name,
            condition,
            fires_once,
        });
    }
    Ok(found)
}

fn check_name(name: &Bound<'_, PyAny>) -> Result<()> {
    if name.is_exact_instance_of::<PyString>() {
        Ok(())
    } else {
        declined("method name is not a plain str")
    }
}

fn check_seen(pending: &Bound<'_, PyDict>, name: &Bound<'_, PyAny>) -> Result<()> {
    match pending.get_item(name)? {
        Some(seen) if !seen.is_exact_instance_of::<PySet>() => {
            declined("pending events of an unknown type")
        }
        _ => Ok(()),
    }
}

fn fire<'py>(
    candidates: &[Candidate<'py>],
    trigger: &Bound<'py, PyAny>,
    pending: &Bound<'py, PyDict>,
    fired: &Bound<'py, PySet>,
) -> Result<Bound<'py, PyList>> {
    let triggered = PyList::empty(pending.py());
    for candidate in candidates {
        if candidate.fires_once && fired.contains(&candidate.name)? {
            continue;
        }
        if condition_met(candidate, trigger, pending)? {
            triggered.append(&candidate.name)?;
            if candidate.fires_once {
                fired.add(&candidate.name)?;
            }
        }
    }
    Ok(triggered)
}

/// `Flow._condition_met`: remembers the event until the whole condition is satisfied.
fn condition_met<'py>(
    candidate: &Candidate<'py>,
    trigger: &Bound<'py, PyAny>,
    pending: &Bound<'py, PyDict>,
) -> Result<bool> {
    let seen = match pending.get_item(&candidate.name)? {
        Some(seen) => seen,
        None => {
            let seen = PySet::empty(pending.py())?.into_any();
            pending.set_item(&candidate.name, &seen)?;
            seen
        }
    };
    let Ok(seen) = seen.cast_exact::<PySet>() else {
        return internal("pending events changed their type");
    };
    seen.add(trigger)?;
    if !satisfied(&candidate.condition, seen)? {
        return Ok(false);
    }
    pending.del_item(&candidate.name)?;
    Ok(true)
}

/// `crewai.flow.runtime.Flow._start_method_names`.
#[pyfunction]
pub fn start_method_names<'py>(flow: &Bound<'py, PyAny>) -> Result<Bound<'py, PyList>> {
    guarded(|| {
        let py = flow.py();
        let state = private_dict(flow)?;
        unshadowed(flow, intern!(py, "_definition"))?;
        let methods = methods(&state)?;
        let mut fields = Fields::default();
        let names = PyList::empty(py);
        let mut walk = DictWalk::new(&methods);
        while let Some((name, definition)) = walk.next()? {
            check_name(&name)?;
            if is_start(&fields.get(&definition, intern!(py, "start"))?)? {
                names.append(name)?;
            }
        }
        Ok(names)
    })
}

fn is_start(start: &Bound<'_, PyAny>) -> Result<bool> {
    let plain = start.is_none()
        || start.is_exact_instance_of::<PyBool>()
        || start.is_exact_instance_of::<PyString>()
        || start.is_exact_instance_of::<PyDict>();
    if plain {
        Ok(start.is_truthy()?)
    } else {
        declined("start of an unknown type")
    }
}

fn exact_bool(value: &Bound<'_, PyAny>, reason: &'static str) -> Result<bool> {
    match value.cast_exact::<PyBool>() {
        Ok(value) => Ok(value.is_true()),
        Err(_) => declined(reason),
    }
}

//! Vectors as Python floats, kept for the next record of the same row.
//!
//! Making 384 floats takes 4 µs, and freeing them half of that; a list of those that are there 0.3 µs.
//! Tuples, because the garbage collector soon leaves those alone.

use super::mirror::Rows;
use crate::errors::{Result, declined, internal};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};
use std::collections::HashMap;
use std::sync::Mutex;

/// Numbers that are kept at most, at 32 bytes (`memory_mirror.py` counts them).
const MOST: usize = 1 << 19;

#[derive(Default)]
struct State {
    state: u64,
    vectors: HashMap<u32, Py<PyTuple>>,
}

/// The lock is never held while Python code could run: no container is made or freed meanwhile.
pub struct Kept {
    state: Mutex<State>,
    room: usize,
}

impl Kept {
    /// For vectors of `dim` numbers.
    pub fn new(dim: usize) -> Self {
        Kept {
            state: Mutex::default(),
            room: MOST / dim.max(1),
        }
    }

    /// A list of its own for each of `places` (indices into `rows`).
    pub fn lists<'py>(
        &self,
        py: Python<'py>,
        rows: &Rows,
        places: &[usize],
    ) -> Result<Vec<Bound<'py, PyList>>> {
        let mut known = self.known(py, rows)?;
        let keep = known.iter().filter(|known| known.is_none()).count() <= self.room;
        let mut made = Vec::new();
        let mut lists = Vec::with_capacity(places.len());
        for &place in places {
            let (Some(known), Some((slot, _, vector))) =
                (known.get_mut(place), rows.rows.get(place))
            else {
                return internal("a place that isn't there");
            };
            if let Some(known) = known {
                lists.push(known.to_list());
                continue;
            }
            let Some(vector) = vector else {
                return declined("vectors that are gone");
            };
            let floats = vector.iter().map(|&x| f64::from(x));
            if !keep {
                lists.push(PyList::new(py, floats)?);
                continue;
            }
            let new = PyTuple::new(py, floats)?;
            made.push((*slot, new.clone().unbind()));
            lists.push(new.to_list());
            *known = Some(new);
        }
        self.add(rows.state, made)?;
        Ok(lists)
    }

    /// Whether a slot's vector is here. Needs no GIL.
    pub fn knows(&self, state: u64, slot: u32) -> bool {
        let kept = self.state.lock();
        kept.is_ok_and(|kept| kept.state == state && kept.vectors.contains_key(&slot))
    }

    fn known<'py>(&self, py: Python<'py>, rows: &Rows) -> Result<Vec<Option<Bound<'py, PyTuple>>>> {
        let kept = self.state.lock().or_else(|_| internal("poisoned"))?;
        let current = kept.state == rows.state;
        let find = |slot| kept.vectors.get(slot).filter(|_| current);
        let slots = rows.rows.iter().map(|(slot, _, _)| slot);
        Ok(slots
            .map(|slot| find(slot).map(|vector| vector.bind(py).clone()))
            .collect())
    }

    fn add(&self, state: u64, made: Vec<(u32, Py<PyTuple>)>) -> Result<()> {
        let mut old = HashMap::new();
        if let Ok(mut kept) = self.state.lock() {
            if state < kept.state {
                return Ok(());
            }
            if state > kept.state || kept.vectors.len() + made.len() > self.room {
                old = std::mem::take(&mut kept.vectors);
                kept.state = state;
            }
            kept.vectors.extend(made);
        }
        drop(old);
        Ok(())
    }
}

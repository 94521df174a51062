//! Vectors as Python floats, kept for the next record of the same row.
//!
//! Making 384 floats takes 4 µs, and freeing them half of that; a list of those that are there 0.3 µs.
//! Tuples, because the garbage collector soon leaves those alone.

use super::mirror::Rows;
use crate::errors::{Result, internal};
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
#[derive(Default)]
pub struct Kept {
    state: Mutex<State>,
}

impl Kept {
    /// A list of its own for each of the rows.
    pub fn lists<'py>(&self, py: Python<'py>, rows: &Rows) -> Result<Vec<Bound<'py, PyList>>> {
        let known = self.known(py, rows)?;
        let room = rows.rows.first().map_or(0, |row| MOST / row.2.len().max(1));
        let keep = known.iter().filter(|known| known.is_none()).count() <= room;
        let mut made = Vec::new();
        let mut lists = Vec::with_capacity(known.len());
        for (known, (slot, _, vector)) in known.into_iter().zip(&rows.rows) {
            let floats = vector.iter().map(|&x| f64::from(x));
            let list = match known {
                Some(known) => known.to_list(),
                None if keep => {
                    let new = PyTuple::new(py, floats)?;
                    made.push((*slot, new.clone().unbind()));
                    new.to_list()
                }
                None => PyList::new(py, floats)?,
            };
            lists.push(list);
        }
        self.add(rows.state, made, room)?;
        Ok(lists)
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

    fn add(&self, state: u64, made: Vec<(u32, Py<PyTuple>)>, room: usize) -> Result<()> {
        let mut old = HashMap::new();
        if let Ok(mut kept) = self.state.lock() {
            if state < kept.state {
                return Ok(());
            }
            if state > kept.state || kept.vectors.len() + made.len() > room {
                old = std::mem::take(&mut kept.vectors);
                kept.state = state;
            }
            kept.vectors.extend(made);
        }
        drop(old);
        Ok(())
    }
}

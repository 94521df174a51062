//! What rows say as Python's objects, kept for the next record of the same row: the numbers of its
//! vector, and the texts and times, none of which can change.
//!
//! Making 384 floats takes 4 µs, and freeing them half of that; a list of those that are there 0.3 µs.
//! Tuples, because the garbage collector leaves those alone that hold nothing it could free.

use super::apart::leave_alone;
use super::mirror::{Row, Rows, Text};
use crate::errors::{Result, declined, internal};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};
use std::collections::HashMap;
use std::sync::Mutex;

/// What is kept at most, in numbers of 32 bytes (`memory_mirror.py` counts them).
const MOST: usize = 1 << 19;
/// What the values of a row take beside their characters.
const VALUES: usize = 32;

/// A record's values but its vector, to be copied: those that can't change in a dict, which has
/// places for the others.
pub struct Said<'py> {
    pub values: Bound<'py, PyDict>,
    pub labels: Bound<'py, PyList>,
    pub details: Bound<'py, PyDict>,
    /// The time of access in `values`: it may be another one now.
    pub accessed: Text,
}

impl<'py> Said<'py> {
    fn unbind(&self) -> KeptValues {
        KeptValues {
            values: self.values.clone().unbind(),
            labels: self.labels.clone().unbind(),
            details: self.details.clone().unbind(),
            accessed: self.accessed.clone(),
        }
    }
}

struct KeptValues {
    values: Py<PyDict>,
    labels: Py<PyList>,
    details: Py<PyDict>,
    accessed: Text,
}

impl KeptValues {
    fn bind<'py>(&self, py: Python<'py>) -> Said<'py> {
        Said {
            values: self.values.bind(py).clone(),
            labels: self.labels.bind(py).clone(),
            details: self.details.bind(py).clone(),
            accessed: self.accessed.clone(),
        }
    }
}

struct KeptRow {
    vector: Py<PyTuple>,
    values: Option<KeptValues>,
    size: usize,
}

#[derive(Default)]
struct State {
    state: u64,
    size: usize,
    rows: HashMap<u32, KeptRow>,
}

/// The lock is never held while Python code could run: no container is made or freed meanwhile.
pub struct Kept {
    state: Mutex<State>,
    dim: usize,
}

/// What is known of one row.
#[derive(Default)]
struct Known<'py> {
    vector: Option<Bound<'py, PyTuple>>,
    said: Option<Said<'py>>,
    is_new: bool,
}

/// Rows, and what is known of each, in their order.
pub struct KnownRows<'a, 'py> {
    kept: &'a Kept,
    rows: &'a Rows,
    known: Vec<Known<'py>>,
    /// Whether there is room for what isn't known yet.
    keeps: bool,
}

impl Kept {
    /// For vectors of `dim` numbers.
    pub fn new(dim: usize) -> Self {
        Kept {
            state: Mutex::default(),
            dim: dim.max(1),
        }
    }

    /// Whether a slot's vector is here. Needs no GIL.
    pub fn knows(&self, state: u64, slot: u32) -> bool {
        let kept = self.state.lock();
        kept.is_ok_and(|kept| kept.state == state && kept.rows.contains_key(&slot))
    }

    pub fn look_up<'a, 'py>(
        &'a self,
        py: Python<'py>,
        rows: &'a Rows,
    ) -> Result<KnownRows<'a, 'py>> {
        let kept = self.state.lock().or_else(|_| internal("poisoned"))?;
        let current = kept.state == rows.state;
        let mut missing = 0;
        let mut known = Vec::with_capacity(rows.rows.len());
        for (slot, row, _) in &rows.rows {
            let found = kept.rows.get(slot).filter(|_| current);
            if found.is_none_or(|found| found.values.is_none()) {
                missing += self.size(row, true);
            }
            known.push(found.map_or_else(Known::default, |found| Known {
                vector: Some(found.vector.bind(py).clone()),
                said: found.values.as_ref().map(|values| values.bind(py)),
                is_new: false,
            }));
        }
        Ok(KnownRows {
            kept: self,
            rows,
            known,
            keeps: missing <= MOST,
        })
    }

    /// What a row takes, in numbers.
    fn size(&self, row: &Row, with_values: bool) -> usize {
        self.dim + if with_values { VALUES + length(row) } else { 0 }
    }
}

impl<'py> KnownRows<'_, 'py> {
    pub fn row(&self, place: usize) -> Option<&Row> {
        self.rows.rows.get(place).map(|(_, row, _)| row)
    }

    pub fn said(&self, place: usize) -> Option<&Said<'py>> {
        self.known.get(place)?.said.as_ref()
    }

    /// What a row says from now on, if there is room.
    pub fn learn(&mut self, place: usize, said: Said<'py>) {
        if self.keeps
            && let Some(known) = self.known.get_mut(place)
        {
            known.said = Some(said);
            known.is_new = true;
        }
    }

    /// A list of its own of a row's numbers.
    pub fn list(&mut self, py: Python<'py>, place: usize) -> Result<Bound<'py, PyList>> {
        let row = self.rows.rows.get(place);
        let (Some(known), Some((_, _, vector))) = (self.known.get_mut(place), row) else {
            return internal("a place that isn't there");
        };
        if let Some(numbers) = &known.vector {
            return Ok(numbers.to_list());
        }
        let Some(vector) = vector else {
            return declined("vectors that are gone");
        };
        let numbers = vector.iter().map(|&x| f64::from(x));
        if !self.keeps {
            return Ok(PyList::new(py, numbers)?);
        }
        let numbers = PyTuple::new(py, numbers)?;
        leave_alone(&numbers);
        let list = numbers.to_list();
        known.vector = Some(numbers);
        known.is_new = true;
        Ok(list)
    }

    /// Keep what is new.
    pub fn keep(self) {
        let all = self.rows.rows.iter().zip(&self.known);
        let new = all.filter(|(_, known)| known.is_new);
        let made: Vec<(u32, KeptRow)> = new
            .filter_map(|((slot, row, _), known)| {
                let vector = known.vector.as_ref()?.clone().unbind();
                let values = known.said.as_ref().map(Said::unbind);
                let size = self.kept.size(row, values.is_some());
                let row = KeptRow {
                    vector,
                    values,
                    size,
                };
                Some((*slot, row))
            })
            .collect();
        if made.is_empty() {
            return;
        }
        self.kept.put(self.rows.state, made);
    }
}

impl Kept {
    fn put(&self, state: u64, made: Vec<(u32, KeptRow)>) {
        let mut old = HashMap::new();
        let mut replaced = Vec::new();
        if let Ok(mut kept) = self.state.lock() {
            if state < kept.state {
                return;
            }
            let sum: usize = made.iter().map(|(_, row)| row.size).sum();
            if state > kept.state || kept.size + sum > MOST {
                old = std::mem::take(&mut kept.rows);
                kept.state = state;
                kept.size = 0;
            }
            for (slot, row) in made {
                kept.size += row.size;
                if let Some(before) = kept.rows.insert(slot, row) {
                    kept.size -= before.size;
                    replaced.push(before);
                }
            }
        }
        drop((old, replaced));
    }
}

/// Numbers' worth of a row's characters.
fn length(row: &Row) -> usize {
    let texts = [&row.id, &row.content, &row.scope, &row.source];
    let bytes = texts.map(|text| {
        if text.is_ascii() {
            text.len()
        } else {
            4 * text.len()
        }
    });
    bytes.iter().sum::<usize>() / 32
}

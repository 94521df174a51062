//! Python edge of the memory functions.

use super::kept::Kept;
use super::mirror::{Found, Mirror, Row, Rows, Text};
use super::records::MemoryRecords;
use super::similarity::Sum;
use super::texts::{is_dict, is_time, labels};
use crate::errors::{Result, declined, guarded, internal};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyFloat, PyList, PyString, PyTuple};
use std::sync::RwLock;

/// A column of texts, as Arrow has them: offsets (i32) and UTF-8 data.
type Column<'a> = (&'a [u8], &'a [u8]);

type Summarized = (
    usize,
    Vec<String>,
    Vec<String>,
    Vec<String>,
    Option<String>,
    Option<String>,
);

const BAD: &str = "columns of different lengths";

#[pyclass(module = "fast_crewai._core", frozen)]
pub struct MemoryMirror {
    mirror: RwLock<Mirror>,
    dim: usize,
    kept: Kept,
}

#[pymethods]
impl MemoryMirror {
    #[new]
    fn new(dim: usize) -> Result<Self> {
        if dim == 0 || dim > 1 << 16 {
            return declined("vectors of an odd length");
        }
        Ok(MemoryMirror {
            mirror: RwLock::new(Mirror::new(dim)),
            dim,
            kept: Kept::new(dim),
        })
    }

    fn __len__(&self) -> usize {
        self.mirror.read().map_or(0, |mirror| mirror.len())
    }

    /// (rows of a batch: ids by row, vectors, texts in the order of a record's fields, …)
    #[allow(clippy::too_many_arguments)]
    fn add(
        &self,
        py: Python<'_>,
        row_ids: &[u8],
        vectors: &[u8],
        importances: &[u8],
        private: Vec<bool>,
        texts: Vec<(Bound<'_, PyBytes>, Bound<'_, PyBytes>)>,
    ) -> Result<()> {
        guarded(|| {
            let columns = texts.iter();
            let columns = columns.map(|(offsets, data)| (offsets.as_bytes(), data.as_bytes()));
            let columns: Vec<Column<'_>> = columns.collect();
            py.detach(|| {
                let rows = read_rows(row_ids, importances, &private, &columns)?;
                if vectors.len() != rows.len() * self.dim * 4 {
                    return declined(BAD);
                }
                let mut mirror = self.mirror.write().or_else(|_| internal("poisoned"))?;
                for (row, vector) in rows.into_iter().zip(vectors.chunks_exact(self.dim * 4)) {
                    let (numbers, _) = vector.as_chunks::<4>();
                    mirror.add(row, numbers.iter().map(|b| f32::from_le_bytes(*b)))?;
                }
                Ok(())
            })
        })
    }

    fn row_id_of(&self, ids: Vec<String>) -> Result<Vec<Option<u64>>> {
        guarded(|| {
            let mirror = self.mirror.read().or_else(|_| internal("poisoned"))?;
            mirror.row_id_of(&ids)
        })
    }

    fn touch(&self, rows: Vec<(String, u64, String)>) -> Result<()> {
        guarded(|| {
            let mut mirror = self.mirror.write().or_else(|_| internal("poisoned"))?;
            mirror.touch(&rows)
        })
    }

    fn remove(&self, ids: Vec<String>) -> Result<()> {
        guarded(|| {
            let mut mirror = self.mirror.write().or_else(|_| internal("poisoned"))?;
            mirror.remove(&ids);
            Ok(())
        })
    }

    fn max_row_id(&self) -> Result<Option<u64>> {
        guarded(|| {
            let mirror = self.mirror.read().or_else(|_| internal("poisoned"))?;
            Ok(mirror.max_row_id())
        })
    }

    /// What was added is all that a scan finds, in its order
    fn scanned(&self) -> Result<()> {
        guarded(|| {
            let mut mirror = self.mirror.write().or_else(|_| internal("poisoned"))?;
            mirror.scanned();
            Ok(())
        })
    }

    /// (rows, scopes, labels, other categories, oldest, newest) of the first `most` under a prefix
    fn summary(&self, py: Python<'_>, prefix: Option<String>, most: usize) -> Result<Summarized> {
        guarded(|| {
            let found = py.detach(|| {
                let mirror = self.mirror.read().or_else(|_| internal("poisoned"))?;
                mirror.summary(prefix.as_deref(), most)
            })?;
            let time = |text: Option<Text>| text.map(|text| text.to_string());
            Ok((
                found.rows,
                owned(found.scopes),
                found.labels,
                owned(found.others),
                time(found.oldest),
                time(found.newest),
            ))
        })
    }

    /// The scopes of the first `most` rows under a prefix
    fn scopes(&self, py: Python<'_>, prefix: Option<String>, most: usize) -> Result<Vec<String>> {
        guarded(|| {
            let found = py.detach(|| {
                let mirror = self.mirror.read().or_else(|_| internal("poisoned"))?;
                mirror.scopes(prefix.as_deref(), most)
            })?;
            Ok(owned(found))
        })
    }

    /// Ids of rows under a prefix that have one of the labels
    fn labelled(
        &self,
        py: Python<'_>,
        prefix: Option<String>,
        labels: Vec<String>,
    ) -> Result<Vec<String>> {
        guarded(|| {
            let found = py.detach(|| {
                let mirror = self.mirror.read().or_else(|_| internal("poisoned"))?;
                mirror.labelled(prefix.as_deref(), &labels)
            })?;
            Ok(owned(found))
        })
    }

    #[pyo3(signature = (prefix, offset, size, records=None))]
    fn newest<'py>(
        &self,
        py: Python<'py>,
        prefix: Option<String>,
        offset: usize,
        size: usize,
        records: Option<&MemoryRecords>,
    ) -> Result<Bound<'py, PyList>> {
        guarded(|| {
            let known = |state, slot| self.kept.knows(state, slot);
            let rows = py.detach(|| {
                let mirror = self.mirror.read().or_else(|_| internal("poisoned"))?;
                mirror.newest(prefix.as_deref(), offset, size, known)
            })?;
            let Some(records) = records else {
                return self.tuples(py, &rows);
            };
            let all: Vec<usize> = (0..rows.rows.len()).collect();
            let made = |made| Ok(PyList::new(py, made)?);
            records.make(py, &self.kept, &rows, &all, false, false, made)
        })
    }

    fn search<'py>(
        &self,
        py: Python<'py>,
        queries: Vec<Bound<'py, PyList>>,
        prefixes: Vec<Option<String>>,
        size: usize,
    ) -> Result<(Bound<'py, PyList>, Bound<'py, PyList>)> {
        guarded(|| {
            let found = self.find(py, queries, prefixes, size)?;
            let tasks = PyList::empty(py);
            for hits in found.tasks {
                tasks.append(hits)?;
            }
            Ok((tasks, self.tuples(py, &found.rows)?))
        })
    }

    /// `search`, with records and scores: those that aren't private, or all, or of this source;
    /// `apart`: the collector doesn't look at their vectors (`track_records`)
    #[pyo3(signature = (
        queries, prefixes, size, records, everything, source, naive, apart=false
    ))]
    #[allow(clippy::too_many_arguments)]
    fn recall<'py>(
        &self,
        py: Python<'py>,
        queries: Vec<Bound<'py, PyList>>,
        prefixes: Vec<Option<String>>,
        size: usize,
        records: &MemoryRecords,
        everything: bool,
        source: Option<String>,
        naive: bool,
        apart: bool,
    ) -> Result<Bound<'py, PyList>> {
        guarded(|| {
            let found = self.find(py, queries, prefixes, size.saturating_add(1))?;
            let is_tie = |pair: &[(u32, f32)]| pair[0].1 == pair[1].1;
            if found.tasks.iter().any(|hits| hits.windows(2).any(is_tie)) {
                return declined("equal distances"); // their order is Lance's own matter
            }
            let is_shown = |row: &Row| {
                let own = source
                    .as_deref()
                    .is_some_and(|s| !s.is_empty() && s == &*row.source);
                everything || !row.private || own
            };
            let is_sure =
                |(_, row, _): &(u32, Row, Option<Vec<f32>>)| is_shown(row) || is_record(row);
            if !found.rows.rows.iter().all(is_sure) {
                return declined("a row that may be no record"); // CrewAI makes the private ones, too
            }
            let mut shown: Vec<Vec<f64>> = Vec::with_capacity(found.tasks.len());
            let mut places = Vec::new();
            for hits in &found.tasks {
                let mut scores = Vec::with_capacity(hits.len());
                for &(place, distance) in hits.iter().take(size) {
                    let row = found.rows.rows.get(place as usize);
                    if row.is_some_and(|(_, row, _)| is_shown(row)) {
                        places.push(place as usize);
                        scores.push(1.0 / (1.0 + f64::from(distance)));
                    }
                }
                shown.push(scores);
            }
            let tasks = |records: Vec<Bound<'py, PyAny>>| {
                let mut records = records.into_iter();
                let tasks = PyList::empty(py);
                for scores in shown.drain(..) {
                    let pairs = records.by_ref().take(scores.len()).zip(scores);
                    tasks.append(PyList::new(py, pairs.collect::<Vec<_>>())?)?;
                }
                Ok(tasks)
            };
            records.make(py, &self.kept, &found.rows, &places, naive, apart, tasks)
        })
    }
}

/// Whether CrewAI certainly makes a record of it (its importance was looked at when it was added).
fn is_record(row: &Row) -> bool {
    is_time(&row.created)
        && is_time(&row.accessed)
        && labels(&row.categories).is_some()
        && is_dict(&row.metadata)
}

impl MemoryMirror {
    fn find(
        &self,
        py: Python<'_>,
        queries: Vec<Bound<'_, PyList>>,
        prefixes: Vec<Option<String>>,
        size: usize,
    ) -> Result<Found> {
        let queries = queries.iter().map(query).collect::<Result<Vec<_>>>()?;
        let known = |state, slot| self.kept.knows(state, slot);
        py.detach(|| {
            let mirror = self.mirror.read().or_else(|_| internal("poisoned"))?;
            mirror.search(&queries, &prefixes, size, known)
        })
    }

    fn tuples<'py>(&self, py: Python<'py>, rows: &Rows) -> Result<Bound<'py, PyList>> {
        let mut known = self.kept.look_up(py, rows)?;
        let found = PyList::empty(py);
        for (place, (_, row, _)) in rows.rows.iter().enumerate() {
            found.append(as_tuple(py, row, known.list(py, place)?)?)?;
        }
        known.keep();
        Ok(found)
    }
}

fn owned(texts: Vec<Text>) -> Vec<String> {
    texts.iter().map(|text| text.to_string()).collect()
}

fn read_rows(
    row_ids: &[u8],
    importances: &[u8],
    private: &[bool],
    texts: &[Column<'_>],
) -> Result<Vec<Row>> {
    let (row_ids, importances) = (row_ids.as_chunks::<8>().0, importances.as_chunks::<8>().0);
    let size = private.len();
    if row_ids.len() != size || importances.len() != size {
        return declined(BAD);
    }
    let columns = texts.iter().map(|column| column_texts(*column, size));
    let mut columns = columns.collect::<Result<Vec<_>>>()?;
    let mut next = |number: usize| match columns.get_mut(number) {
        Some(column) => column.next().unwrap_or_else(|| declined(BAD)),
        None => declined(BAD),
    };
    let mut rows = Vec::with_capacity(size);
    for i in 0..size {
        rows.push(Row {
            row_id: u64::from_le_bytes(row_ids[i]),
            importance: f64::from_le_bytes(importances[i]),
            private: private[i],
            id: next(0)?,
            content: next(1)?,
            scope: next(2)?,
            categories: next(3)?,
            metadata: next(4)?,
            created: next(5)?,
            accessed: next(6)?,
            source: next(7)?,
        });
    }
    Ok(rows)
}

fn column_texts<'a>(
    (offsets, data): Column<'a>,
    size: usize,
) -> Result<impl Iterator<Item = Result<Text>> + 'a> {
    let offsets = offsets.as_chunks::<4>().0;
    if offsets.len() != size + 1 {
        return declined(BAD);
    }
    let at = |bytes: &[u8; 4]| i32::from_le_bytes(*bytes) as usize;
    let first = at(&offsets[0]);
    Ok(offsets.windows(2).map(move |pair| {
        let (from, to) = (
            at(&pair[0]).wrapping_sub(first),
            at(&pair[1]).wrapping_sub(first),
        );
        match data.get(from..to).map(std::str::from_utf8) {
            Some(Ok(text)) => Ok(text.into()),
            _ => declined("a text that can't be read"),
        }
    }))
}

fn query(values: &Bound<'_, PyList>) -> Result<Vec<f32>> {
    Ok(floats(values)?.into_iter().map(|x| x as f32).collect())
}

fn floats(values: &Bound<'_, PyList>) -> Result<Vec<f64>> {
    let number = |value: Bound<'_, PyAny>| match value.cast_exact::<PyFloat>() {
        Ok(value) => Ok(value.value()),
        Err(_) => declined("a vector that isn't a list of floats"),
    };
    values.iter().map(number).collect()
}

fn as_tuple<'py>(
    py: Python<'py>,
    row: &Row,
    vector: Bound<'py, PyList>,
) -> Result<Bound<'py, PyTuple>> {
    let Ok(row_id) = row.row_id.into_pyobject(py);
    let text = |text: &Text| PyString::new(py, text).into_any();
    let values = [
        text(&row.id),
        text(&row.content),
        text(&row.scope),
        text(&row.categories),
        text(&row.metadata),
        PyFloat::new(py, row.importance).into_any(),
        text(&row.created),
        text(&row.accessed),
        text(&row.source),
        PyBool::new(py, row.private).to_owned().into_any(),
        vector.into_any(),
        row_id.into_any(),
    ];
    Ok(PyTuple::new(py, values)?)
}

/// `EncodingFlow._cosine_similarity`; `compensated` says how this Python's `sum` adds.
#[pyfunction]
pub fn cosine_similarity(
    a: &Bound<'_, PyList>,
    b: &Bound<'_, PyList>,
    compensated: bool,
) -> Result<f64> {
    guarded(|| {
        let (a, b) = (floats(a)?, floats(b)?);
        // So no sum, product or norm is infinite or lost.
        let plain = |x: &f64| *x == 0.0 || (1e-100..1e100).contains(&x.abs());
        if !a.iter().chain(&b).all(plain) {
            return declined("a vector with a value of odd size");
        }
        let sum = if compensated {
            Sum::Compensated
        } else {
            Sum::Plain
        };
        Ok(sum.cosine(&a, &b))
    })
}

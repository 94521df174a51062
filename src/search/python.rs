//! Python edge of the memory store.

use super::index::{Index, Scratch};
use super::journal::Journal;
use crate::errors::{Error, Result, guarded};
use crate::message::read::text_of_json;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString};
use std::borrow::Cow;
use std::cell::RefCell;
use std::path::PathBuf;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Texts with what belongs to them, found by TF-IDF and cosine similarity.
#[pyclass(frozen, module = "fast_crewai._core")]
pub struct RustMemoryStorage {
    // Whoever holds the lock never waits for the GIL, so holders of the GIL may wait for it.
    store: RwLock<Store>,
}

#[derive(Default)]
struct Store {
    index: Index,
    records: Vec<Py<PyString>>,
    journal: Option<Journal>,
    /// Counts resets: document numbers of another generation mean nothing.
    generation: u64,
}

impl Store {
    fn add(&mut self, text: &str, record: Py<PyString>, line: Option<&str>) -> Result<u32> {
        if let (Some(journal), Some(line)) = (&mut self.journal, line) {
            journal.append(line)?;
        }
        let Some(document) = self.index.add(text) else {
            return Err(Error::Storage("more than 2**32 records".to_owned()));
        };
        self.records.push(record);
        Ok(document)
    }
}

#[pymethods]
impl RustMemoryStorage {
    #[new]
    #[pyo3(signature = (path=None))]
    fn new(py: Python<'_>, path: Option<PathBuf>) -> Result<Self> {
        guarded(|| {
            let mut store = Store::default();
            if let Some(path) = path {
                let (journal, lines) = Journal::open(&path)?;
                for (number, line) in lines.split_terminator('\n').enumerate() {
                    let saved = match text_of_json(line) {
                        Some(saved) => Some(saved),
                        None => text_by_python(py, line)?,
                    };
                    let Some(saved) = saved else {
                        let (path, number) = (path.display(), number + 1);
                        let text = format!("{path}: line {number} is no record");
                        return Err(Error::Storage(text));
                    };
                    let shown = if line.starts_with('"') { &saved } else { line };
                    store.add(&saved, PyString::new(py, shown).unbind(), None)?;
                }
                store.journal = Some(journal);
            }
            Ok(RustMemoryStorage {
                store: RwLock::new(store),
            })
        })
    }

    /// Saves a text and returns its number. `record` is what `search` and `get_all` return for it
    /// (one line: a JSON object with "value"), the text itself if there is none.
    #[pyo3(signature = (value, record=None))]
    fn save(
        &self,
        value: &Bound<'_, PyString>,
        record: Option<&Bound<'_, PyString>>,
    ) -> Result<u32> {
        guarded(|| {
            let py = value.py();
            let text = lossy(value)?;
            let line = match record {
                Some(record) => Cow::Borrowed(record.to_str()?),
                None => Cow::Owned(serde_json::to_string(&*text).map_err(failed)?),
            };
            if line.contains('\n') {
                return Err(Error::Storage("a record is one line".to_owned()));
            }
            let shown = record.unwrap_or(value).clone().unbind();
            py.detach(|| self.write().add(&text, shown, Some(&line)))
        })
    }

    /// (number, record, similarity) of the most similar texts, best first.
    #[pyo3(signature = (query, limit=3, threshold=0.0))]
    fn search(
        &self,
        query: &Bound<'_, PyString>,
        limit: usize,
        threshold: f64,
    ) -> Result<Vec<(u32, Py<PyString>, f64)>> {
        guarded(|| {
            let py = query.py();
            let text = lossy(query)?;
            loop {
                let (generation, hits) = py.detach(|| self.hits(&text, limit, threshold));
                let store = self.read();
                if store.generation != generation {
                    continue;
                }
                let found = hits.into_iter().filter_map(|hit| {
                    let record = store.records.get(hit.document as usize)?;
                    Some((hit.document, record.clone_ref(py), hit.score))
                });
                return Ok(found.collect());
            }
        })
    }

    /// All records, in the order in which they were saved.
    fn get_all<'py>(&self, py: Python<'py>) -> Result<Bound<'py, PyList>> {
        guarded(|| {
            let records: Vec<_> = self
                .read()
                .records
                .iter()
                .map(|r| r.clone_ref(py))
                .collect();
            Ok(PyList::new(py, records)?)
        })
    }

    /// Forgets everything, in the file, too.
    fn reset(&self) -> Result<()> {
        guarded(|| {
            let mut store = self.write();
            if let Some(journal) = &mut store.journal {
                journal.clear()?;
            }
            let journal = store.journal.take();
            let generation = store.generation + 1;
            *store = Store {
                journal,
                generation,
                ..Store::default()
            };
            Ok(())
        })
    }

    fn __len__(&self) -> usize {
        self.read().records.len()
    }

    #[getter]
    fn implementation(&self) -> &'static str {
        "rust"
    }
}

impl RustMemoryStorage {
    fn read(&self) -> RwLockReadGuard<'_, Store> {
        self.store.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Store> {
        self.store.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn hits(&self, query: &str, limit: usize, threshold: f64) -> (u64, Vec<super::index::Hit>) {
        let search = |store: &Store| {
            let mut scratch = SCRATCH.take(); // lost in a panic, so never half used
            let hits = store.index.search(query, limit, threshold, &mut scratch);
            SCRATCH.set(scratch);
            (store.generation, hits)
        };
        let store = self.read();
        if !store.index.is_stale() {
            return search(&store);
        }
        drop(store);
        let mut store = self.write();
        if store.index.is_stale() {
            store.index.refresh();
        }
        search(&store)
    }
}

fn failed(error: serde_json::Error) -> Error {
    Error::Internal(format!("JSON: {error}"))
}

/// What the Python twin finds: for values that aren't text, and NaN, which is no JSON.
fn text_by_python(py: Python<'_>, line: &str) -> Result<Option<String>> {
    let twin = py.import("fast_crewai.memory.python")?;
    let found = twin.call_method1("text_of", (line,))?;
    Ok(match found.cast::<PyString>() {
        Ok(text) => Some(lossy(text)?.into_owned()),
        Err(_) => None,
    })
}

/// The text in UTF-8; lone surrogates, which are no part of words, are replaced.
fn lossy<'a>(text: &'a Bound<'_, PyString>) -> Result<Cow<'a, str>> {
    if let Ok(text) = text.to_str() {
        return Ok(Cow::Borrowed(text));
    }
    let bytes: Vec<u8> = text
        .call_method1("encode", ("utf-8", "surrogatepass"))?
        .extract()?;
    Ok(Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()))
}

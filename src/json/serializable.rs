//! `to_serializable` for plain data; everything else goes to the original, subtree by subtree.

use super::dumped::{Shapes, names_only};
use crate::errors::{Result, declined, guarded};
use crate::live::{DictWalk, ListWalk, exact_i64};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyFrozenSet, PyInt, PyList, PySet, PyString, PyTuple};

/// From this depth on the original works alone. Depth grows along every path, through the
/// original and back, so this bounds the native stack whatever calls us again.
const MAX_NATIVE_DEPTH: i64 = 100;

/// `crewai.utilities.serialization.to_serializable` for plain data, and for what `shapes` knows.
#[pyfunction]
#[pyo3(signature = (obj, exclude, max_depth, current_depth, ancestors, original, shapes=None))]
pub fn to_serializable<'py>(
    obj: &Bound<'py, PyAny>,
    exclude: &Bound<'py, PyAny>,
    max_depth: &Bound<'py, PyAny>,
    current_depth: &Bound<'py, PyAny>,
    ancestors: &Bound<'py, PyAny>,
    original: &Bound<'py, PyAny>,
    shapes: Option<(Bound<'py, PyDict>, Bound<'py, PyAny>, Bound<'py, PyTuple>)>,
) -> Result<Bound<'py, PyAny>> {
    guarded(|| {
        let plain = is_plain(obj);
        if !plain && shapes.is_none() {
            return declined("not plain data");
        }
        let depth = exact_i64(current_depth, "current_depth is not a plain int")?;
        if !(0..MAX_NATIVE_DEPTH).contains(&depth) {
            return declined("too deep");
        }
        let mut walker = Walker {
            exclude: checked_exclude(exclude)?,
            max_depth: exact_i64(max_depth, "max_depth is not a plain int")?,
            ancestors: checked_ancestors(ancestors)?,
            path: Vec::new(),
            original,
            shapes: shapes.as_ref().map(|(known, learn, kinds)| Shapes {
                known,
                learn,
                kinds,
            }),
        };
        if plain {
            return walker.convert(obj, depth);
        }
        let max_depth = walker.max_depth;
        if max_depth > 0 && depth >= max_depth {
            return declined("not plain data");
        }
        match walker.dumped(obj, depth)? {
            Some(found) => Ok(found),
            None => declined("not plain data"),
        }
    })
}

fn checked_exclude<'py>(exclude: &Bound<'py, PyAny>) -> Result<Option<Bound<'py, PyAny>>> {
    if exclude.is_none() {
        return Ok(None);
    }
    if exclude.is_exact_instance_of::<PySet>() || exclude.is_exact_instance_of::<PyFrozenSet>() {
        return Ok(Some(exclude.clone()));
    }
    declined("exclude is not a plain set")
}

fn checked_ancestors<'a, 'py>(
    ancestors: &'a Bound<'py, PyAny>,
) -> Result<Option<&'a Bound<'py, PySet>>> {
    if ancestors.is_none() {
        return Ok(None);
    }
    match ancestors.cast_exact::<PySet>() {
        Ok(set) => Ok(Some(set)),
        Err(_) => declined("ancestors is not a plain set"),
    }
}

fn is_plain(obj: &Bound<'_, PyAny>) -> bool {
    obj.is_exact_instance_of::<PyDict>()
        || obj.is_exact_instance_of::<PyList>()
        || obj.is_exact_instance_of::<PyString>()
        || obj.is_none()
        || obj.is_exact_instance_of::<PyInt>()
        || obj.is_exact_instance_of::<PyFloat>()
        || obj.is_exact_instance_of::<PyBool>()
        || obj.is_exact_instance_of::<PyTuple>()
        || obj.is_exact_instance_of::<PySet>()
}

struct Walker<'a, 'py> {
    /// The caller's set, or the one empty set that `None` stands for, once it is needed.
    exclude: Option<Bound<'py, PyAny>>,
    max_depth: i64,
    ancestors: Option<&'a Bound<'py, PySet>>,
    /// The containers being walked, outermost first; each is held by its own call.
    path: Vec<*mut pyo3::ffi::PyObject>,
    original: &'a Bound<'py, PyAny>,
    shapes: Option<Shapes<'a, 'py>>,
}

impl<'py> Walker<'_, 'py> {
    fn convert(&mut self, obj: &Bound<'py, PyAny>, depth: i64) -> Result<Bound<'py, PyAny>> {
        if self.max_depth > 0 && depth >= self.max_depth {
            return Ok(obj.repr()?.into_any());
        }
        if is_primitive(obj) {
            return Ok(obj.clone());
        }
        if depth >= MAX_NATIVE_DEPTH {
            return self.hand_over(obj, depth);
        }
        if let Ok(dict) = obj.cast_exact::<PyDict>() {
            self.within(obj, "<circular_ref:dict>", |walker| {
                walker.dict(dict, depth + 1)
            })
        } else if let Ok(list) = obj.cast_exact::<PyList>() {
            self.within(obj, "<circular_ref:list>", |walker| {
                walker.list(list, depth + 1)
            })
        } else if let Ok(tuple) = obj.cast_exact::<PyTuple>() {
            self.within(obj, "<circular_ref:tuple>", |walker| {
                walker.tuple(tuple, depth + 1)
            })
        } else if let Ok(set) = obj.cast_exact::<PySet>() {
            self.within(obj, "<circular_ref:set>", |walker| {
                walker.set(set, depth + 1)
            })
        } else if let Some(found) = self.dumped(obj, depth)? {
            Ok(found)
        } else {
            self.hand_over(obj, depth)
        }
    }

    /// Without the original, if it is a model of a known kind with plain values, a UUID or a time.
    fn dumped(&self, obj: &Bound<'py, PyAny>, depth: i64) -> Result<Option<Bound<'py, PyAny>>> {
        let Some(shapes) = &self.shapes else {
            return Ok(None);
        };
        let (only, exclude) = names_only(self.exclude.as_ref())?;
        if !only || self.is_ancestor(obj)? {
            return Ok(None);
        }
        shapes.top(obj, exclude, self.max_depth, depth)
    }

    /// Walks a container, or names it when it is one of its own ancestors.
    fn within(
        &mut self,
        obj: &Bound<'py, PyAny>,
        circular: &str,
        walk: impl FnOnce(&mut Self) -> Result<Bound<'py, PyAny>>,
    ) -> Result<Bound<'py, PyAny>> {
        if self.is_ancestor(obj)? {
            return Ok(PyString::new(obj.py(), circular).into_any());
        }
        self.path.push(obj.as_ptr());
        let result = walk(self);
        self.path.pop();
        result
    }

    fn is_ancestor(&self, obj: &Bound<'py, PyAny>) -> Result<bool> {
        if self.path.contains(&obj.as_ptr()) {
            return Ok(true);
        }
        match self.ancestors {
            Some(ids) if !ids.is_empty() => Ok(ids.contains(id(obj))?),
            _ => Ok(false),
        }
    }

    fn dict(&mut self, dict: &Bound<'py, PyDict>, depth: i64) -> Result<Bound<'py, PyAny>> {
        let out = PyDict::new(dict.py());
        let mut walk = DictWalk::new(dict);
        while let Some((key, value)) = walk.next()? {
            if self.is_excluded(&key)? {
                continue;
            }
            let key = key_text(key)?;
            out.set_item(key, self.convert(&value, depth)?)?;
        }
        Ok(out.into_any())
    }

    fn is_excluded(&self, key: &Bound<'py, PyAny>) -> Result<bool> {
        match &self.exclude {
            Some(exclude) => Ok(exclude.contains(key)?),
            None => Ok(false),
        }
    }

    fn list(&mut self, list: &Bound<'py, PyList>, depth: i64) -> Result<Bound<'py, PyAny>> {
        let mut items = Vec::with_capacity(list.len());
        let mut walk = ListWalk::new(list);
        while let Some(item) = walk.next()? {
            items.push(self.convert(&item, depth)?);
        }
        Ok(PyList::new(list.py(), items)?.into_any())
    }

    fn tuple(&mut self, tuple: &Bound<'py, PyTuple>, depth: i64) -> Result<Bound<'py, PyAny>> {
        let mut items = Vec::with_capacity(tuple.len());
        for index in 0..tuple.len() {
            items.push(self.convert(&tuple.get_item(index)?, depth)?);
        }
        Ok(PyList::new(tuple.py(), items)?.into_any())
    }

    fn set(&mut self, set: &Bound<'py, PySet>, depth: i64) -> Result<Bound<'py, PyAny>> {
        let mut items = Vec::with_capacity(set.len());
        // Python's own iterator: PyO3's panics when the set changes.
        for item in set.as_any().try_iter()? {
            let Ok(item) = item else {
                return declined("changed while read");
            };
            items.push(self.convert(&item, depth)?);
        }
        Ok(PyList::new(set.py(), items)?.into_any())
    }

    /// Calls the original as its own recursion would have done here.
    fn hand_over(&mut self, obj: &Bound<'py, PyAny>, depth: i64) -> Result<Bound<'py, PyAny>> {
        let py = obj.py();
        let ids = PySet::empty(py)?;
        if let Some(ancestors) = self.ancestors {
            for ancestor in ancestors.as_any().try_iter()? {
                ids.add(ancestor?)?;
            }
        }
        for &container in &self.path {
            ids.add(container as usize)?;
        }
        let exclude = match &self.exclude {
            Some(exclude) => exclude.clone(),
            None => self.exclude.insert(PySet::empty(py)?.into_any()).clone(),
        };
        let arguments = (obj, exclude, self.max_depth, depth, ids);
        Ok(self.original.call1(arguments)?)
    }
}

/// Subclasses included: the original returns them as they are.
fn is_primitive(obj: &Bound<'_, PyAny>) -> bool {
    obj.is_instance_of::<PyString>()
        || obj.is_none()
        || obj.is_instance_of::<PyInt>()
        || obj.is_instance_of::<PyFloat>()
}

fn id(obj: &Bound<'_, PyAny>) -> usize {
    obj.as_ptr() as usize
}

fn key_text(key: Bound<'_, PyAny>) -> Result<Bound<'_, PyAny>> {
    if key.is_exact_instance_of::<PyString>() {
        return Ok(key);
    }
    if key.is_instance_of::<PyString>() || key.is_instance_of::<PyInt>() {
        return Ok(key.str()?.into_any());
    }
    let shown = key.repr()?;
    if !shown.is_exact_instance_of::<PyString>() {
        return declined("repr() of a key is not a plain str");
    }
    Ok(PyString::new(key.py(), &format!("key_{}_", id(&key))).add(shown)?)
}

//! What `to_serializable` makes of a model of CrewAI's, without pydantic's dump of it in between.
//!
//! `shapes` says what is known of a class: "text" and "time" for `str()` and `isoformat()`, "value"
//! for an enumeration, and for a model its serializer, its `model_dump` and its fields. With
//! `serialize_as_any` the dump of a field depends on its value alone. Nothing of the user's runs
//! here; whatever isn't known ends the attempt.

use crate::errors::{Error, Result};
use crate::live::{DictWalk, ListWalk};
use pyo3::exceptions::PyException;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{
    PyBool, PyDict, PyFloat, PyFrozenSet, PyInt, PyList, PySet, PyString, PyTuple, PyType,
};

/// pydantic refuses deeper values; repr() of them is Python's to bound.
const DEEPEST: u32 = 60;

/// What is known of classes; what isn't yet is asked for.
pub struct Shapes<'a, 'py> {
    pub known: &'a Bound<'py, PyDict>,
    pub learn: &'a Bound<'py, PyAny>,
    /// The classes of classes that may be looked up: others' may have a hash of their own.
    pub kinds: &'a Bound<'py, PyTuple>,
}

type Found<'py> = Result<Option<Bound<'py, PyAny>>>;

impl<'py> Shapes<'_, 'py> {
    fn of(&self, kind: &Bound<'py, PyType>) -> Result<Bound<'py, PyAny>> {
        let meta = kind.get_type();
        let is_plain = meta.is(kind.py().get_type::<PyType>());
        if !is_plain && !self.kinds.iter().any(|known| known.is(&meta)) {
            return Ok(kind.py().None().into_bound(kind.py()));
        }
        match self.known.get_item(kind)? {
            Some(found) => Ok(found),
            None if is_plain => Ok(kind.py().None().into_bound(kind.py())),
            None => Ok(self.learn.call1((kind,))?),
        }
    }

    /// A model, at a depth of its own, or a UUID, date or time; None for all else.
    pub fn top(
        &self,
        obj: &Bound<'py, PyAny>,
        exclude: Option<&Bound<'py, PyAny>>,
        max_depth: i64,
        depth: i64,
    ) -> Found<'py> {
        match self.found(obj, exclude, max_depth, depth) {
            // What it lacks, or is too long: the original finds out, without what ran before.
            Err(Error::Python(error)) if error.is_instance_of::<PyException>(obj.py()) => Ok(None),
            found => found,
        }
    }

    fn found(
        &self,
        obj: &Bound<'py, PyAny>,
        exclude: Option<&Bound<'py, PyAny>>,
        max_depth: i64,
        depth: i64,
    ) -> Found<'py> {
        let shape = self.of(&obj.get_type())?;
        if let Ok(model) = shape.cast_exact::<PyTuple>() {
            // Its dump is a dictionary one level further down.
            if max_depth > 0 && depth + 1 >= max_depth {
                return Ok(None);
            }
            return self.fields(obj, model, exclude, max_depth, depth + 2, 0);
        }
        match name(&shape) {
            Some("text") => Ok(Some(obj.str()?.into_any())),
            Some("time") => self.time(obj, false),
            _ => Ok(None),
        }
    }

    fn fields(
        &self,
        obj: &Bound<'py, PyAny>,
        shape: &Bound<'py, PyTuple>,
        exclude: Option<&Bound<'py, PyAny>>,
        max_depth: i64,
        depth: i64,
        nested: u32,
    ) -> Found<'py> {
        let (py, kind) = (obj.py(), obj.get_type());
        let serializer = kind.getattr(intern!(py, "__pydantic_serializer__"))?;
        let dump = kind.getattr(intern!(py, "model_dump"))?;
        let values = obj.getattr(intern!(py, "__dict__"))?;
        let names = shape.get_item(2)?;
        let (Ok(values), Ok(names)) = (
            values.cast_exact::<PyDict>(),
            names.cast_exact::<PyFrozenSet>(),
        ) else {
            return Ok(None);
        };
        if !serializer.is(&shape.get_item(0)?)
            || !dump.is(&shape.get_item(1)?)
            || !obj.getattr(intern!(py, "__pydantic_extra__"))?.is_none()
            || values.len() != names.len()
        {
            return Ok(None);
        }
        let out = values.copy()?;
        let mut walk = DictWalk::new(values);
        while let Some((key, value)) = walk.next()? {
            if !key.is_exact_instance_of::<PyString>() || !names.contains(&key)? {
                return Ok(None);
            }
            if let Some(exclude) = exclude
                && exclude.contains(&key)?
            {
                out.del_item(key)?;
                continue;
            }
            let Some(made) = self.value(&value, max_depth, depth, nested + 1)? else {
                return Ok(None);
            };
            if !made.is(&value) {
                out.set_item(key, made)?;
            }
        }
        Ok(Some(out.into_any()))
    }

    /// A value as pydantic dumps it, made serializable from this depth on.
    fn value(
        &self,
        obj: &Bound<'py, PyAny>,
        max_depth: i64,
        depth: i64,
        nested: u32,
    ) -> Found<'py> {
        if max_depth > 0 && depth >= max_depth {
            return if is_plain(obj, nested)? {
                Ok(Some(obj.repr()?.into_any()))
            } else {
                Ok(None)
            };
        }
        if is_scalar(obj) {
            return Ok(Some(obj.clone()));
        }
        if nested > DEEPEST {
            return Ok(None);
        }
        let below = (max_depth, depth + 1, nested + 1);
        if let Ok(dict) = obj.cast_exact::<PyDict>() {
            let out = PyDict::new(obj.py());
            let mut walk = DictWalk::new(dict);
            while let Some((key, value)) = walk.next()? {
                let Some(value) = self.value(&value, below.0, below.1, below.2)? else {
                    return Ok(None);
                };
                if !is_key(&key) {
                    return Ok(None);
                }
                out.set_item(key, value)?;
            }
            return Ok(Some(out.into_any()));
        }
        if let Ok(list) = obj.cast_exact::<PyList>() {
            let mut items = Vec::with_capacity(list.len());
            let mut walk = ListWalk::new(list);
            while let Some(item) = walk.next()? {
                let Some(item) = self.value(&item, below.0, below.1, below.2)? else {
                    return Ok(None);
                };
                items.push(item);
            }
            return Ok(Some(PyList::new(obj.py(), items)?.into_any()));
        }
        let shape = self.of(&obj.get_type())?;
        if let Ok(model) = shape.cast_exact::<PyTuple>() {
            return self.fields(obj, model, None, below.0, below.1, below.2);
        }
        match name(&shape) {
            Some("text") => Ok(Some(obj.str()?.into_any())),
            Some("time") => self.time(obj, true),
            Some("value") => {
                let value = obj.getattr(intern!(obj.py(), "_value_"))?;
                Ok(is_scalar(&value).then_some(value))
            }
            _ => Ok(None),
        }
    }

    /// `isoformat()`; pydantic writes UTC in another way.
    fn time(&self, obj: &Bound<'py, PyAny>, dumped: bool) -> Found<'py> {
        let py = obj.py();
        let text = || obj.call_method0(intern!(py, "isoformat"));
        // A date has none.
        let Some(zone) = obj.getattr_opt(intern!(py, "tzinfo"))? else {
            return Ok(Some(text()?));
        };
        if zone.is_none() {
            return Ok(Some(text()?));
        }
        if name(&self.of(&zone.get_type())?) != Some("zone") {
            return Ok(None);
        }
        let text = text()?;
        if !dumped {
            return Ok(Some(text));
        }
        let text = text.cast_exact::<PyString>().map_err(PyErr::from)?;
        Ok(text
            .to_str()?
            .strip_suffix("+00:00")
            .map(|utc| PyString::new(py, &format!("{utc}Z")).into_any()))
    }
}

/// The set to leave out, if it only has names.
pub fn names_only<'a, 'py>(
    exclude: Option<&'a Bound<'py, PyAny>>,
) -> Result<(bool, Option<&'a Bound<'py, PyAny>>)> {
    let Some(set) = exclude else {
        return Ok((true, None));
    };
    if set.len()? == 0 {
        return Ok((true, None));
    }
    if !set.is_exact_instance_of::<PySet>() {
        return Ok((false, None));
    }
    for item in set.try_iter()? {
        let item = item?;
        let Ok(text) = item.cast_exact::<PyString>() else {
            return Ok((false, None));
        };
        if text.to_str().map_or(true, |text| text == "__all__") {
            return Ok((false, None));
        }
    }
    Ok((true, Some(set)))
}

fn name<'a>(shape: &'a Bound<'_, PyAny>) -> Option<&'a str> {
    shape.cast_exact::<PyString>().ok()?.to_str().ok()
}

fn is_scalar(obj: &Bound<'_, PyAny>) -> bool {
    obj.is_exact_instance_of::<PyString>()
        || obj.is_none()
        || obj.is_exact_instance_of::<PyBool>()
        || obj.is_exact_instance_of::<PyInt>()
        || obj
            .cast_exact::<PyFloat>()
            .is_ok_and(|number| number.value().is_finite())
}

/// pydantic refuses lone surrogates here.
fn is_key(key: &Bound<'_, PyAny>) -> bool {
    key.cast_exact::<PyString>()
        .is_ok_and(|text| text.to_str().is_ok())
}

/// Whether its dump is equal to it, and so is what repr() says of it.
fn is_plain(obj: &Bound<'_, PyAny>, nested: u32) -> Result<bool> {
    if is_scalar(obj) {
        return Ok(true);
    }
    if nested > DEEPEST {
        return Ok(false);
    }
    if let Ok(dict) = obj.cast_exact::<PyDict>() {
        let mut walk = DictWalk::new(dict);
        while let Some((key, value)) = walk.next()? {
            if !is_key(&key) || !is_plain(&value, nested + 1)? {
                return Ok(false);
            }
        }
        return Ok(true);
    }
    if let Ok(list) = obj.cast_exact::<PyList>() {
        let mut walk = ListWalk::new(list);
        while let Some(item) = walk.next()? {
            if !is_plain(&item, nested + 1)? {
                return Ok(false);
            }
        }
        return Ok(true);
    }
    Ok(false)
}

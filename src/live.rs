//! Reading Python objects that other code may change meanwhile.

use crate::errors::{Result, declined};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyInt, PyList, PyString, PyType};
use std::sync::OnceLock;

const CHANGED: &str = "changed while read";

/// A dict's items by Python's own rules: stops when the size changes, never panics.
pub struct DictWalk<'a, 'py> {
    dict: &'a Bound<'py, PyDict>,
    position: ffi::Py_ssize_t,
    size: usize,
    left: usize,
}

impl<'a, 'py> DictWalk<'a, 'py> {
    pub fn new(dict: &'a Bound<'py, PyDict>) -> Self {
        let size = dict.len();
        DictWalk {
            dict,
            position: 0,
            size,
            left: size,
        }
    }

    /// The next item. `Declined` when the dict changed since the walk began.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<(Bound<'py, PyAny>, Bound<'py, PyAny>)>> {
        if self.dict.len() != self.size {
            return declined(CHANGED);
        }
        let Some(item) = self.advance() else {
            return Ok(None);
        };
        if self.left == 0 {
            return declined(CHANGED);
        }
        self.left -= 1;
        Ok(Some(item))
    }

    fn advance(&mut self) -> Option<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
        let py = self.dict.py();
        let mut key = std::ptr::null_mut();
        let mut value = std::ptr::null_mut();
        // SAFETY: the GIL is held and `dict` is a dict; PyDict_Next checks the position against
        // the current table, and its borrowed references are owned before any other call.
        unsafe {
            if ffi::PyDict_Next(self.dict.as_ptr(), &mut self.position, &mut key, &mut value) == 0 {
                return None;
            }
            Some((
                Bound::from_borrowed_ptr(py, key),
                Bound::from_borrowed_ptr(py, value),
            ))
        }
    }
}

/// A list's items; stops when the size changes.
pub struct ListWalk<'a, 'py> {
    list: &'a Bound<'py, PyList>,
    size: usize,
    index: usize,
}

impl<'a, 'py> ListWalk<'a, 'py> {
    pub fn new(list: &'a Bound<'py, PyList>) -> Self {
        ListWalk {
            list,
            size: list.len(),
            index: 0,
        }
    }

    /// The next item. `Declined` when the list's size changed since the walk began.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<Bound<'py, PyAny>>> {
        if self.list.len() != self.size {
            return declined(CHANGED);
        }
        if self.index == self.size {
            return Ok(None);
        }
        let item = self.list.get_item(self.index)?;
        self.index += 1;
        Ok(Some(item))
    }
}

/// `object.__getattribute__(obj, name)`: the class and the instance, never `__getattr__`.
pub fn generic_getattr<'py>(
    obj: &Bound<'py, PyAny>,
    name: &Bound<'py, PyString>,
) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: both are live objects, the GIL is held; a new reference or NULL with an error set.
    unsafe {
        let found = ffi::PyObject_GenericGetAttr(obj.as_ptr(), name.as_ptr());
        Bound::from_owned_ptr_or_err(obj.py(), found)
    }
}

/// The text of a str; `Declined` for lone surrogates.
pub fn utf8<'a>(text: &'a Bound<'_, PyString>) -> Result<&'a str> {
    text.to_str().or_else(|_| declined("text is not UTF-8"))
}

/// The value of an exact int; `Declined(reason)` for anything else.
pub fn exact_i64(value: &Bound<'_, PyAny>, reason: &'static str) -> Result<i64> {
    if !value.is_exact_instance_of::<PyInt>() {
        return declined(reason);
    }
    value.extract().or_else(|_| declined(reason))
}

/// `type.__getattribute__(class, name)`: a class attribute without the metaclass's `__getattr__`.
pub fn type_getattr<'py>(
    class: &Bound<'py, PyType>,
    name: &Bound<'py, PyString>,
) -> PyResult<Bound<'py, PyAny>> {
    static GETATTR: OnceLock<Option<ffi::getattrofunc>> = OnceLock::new();
    let Some(getattr) = GETATTR.get_or_init(slot_of_type) else {
        return class.getattr(name);
    };
    // SAFETY: the slot of `type` itself, for an instance of `type`; the GIL is held.
    unsafe {
        let found = getattr(class.as_ptr(), name.as_ptr());
        Bound::from_owned_ptr_or_err(class.py(), found)
    }
}

fn slot_of_type() -> Option<ffi::getattrofunc> {
    // SAFETY: PyType_Type is a static type, whose slots may be read from Python 3.10 on; a slot
    // that isn't null has the type that belongs to its number.
    unsafe {
        let slot = ffi::PyType_GetSlot(&raw mut ffi::PyType_Type, ffi::Py_tp_getattro);
        (!slot.is_null())
            .then(|| std::mem::transmute::<*mut std::ffi::c_void, ffi::getattrofunc>(slot))
    }
}

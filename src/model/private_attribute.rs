//! Private attributes, as `BaseModel.__getattr__` finds them.

use crate::errors::{Error, Result, declined, guarded};
use crate::live::{generic_getattr, type_getattr};
use pyo3::exceptions::{PyAttributeError, PyException};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{
    PyBool, PyDict, PyFloat, PyInt, PyList, PySet, PyString, PySuper, PyTuple, PyType,
};

/// The pydantic objects that are recognised by identity.
struct Known {
    base_model: Py<PyAny>,
    private_attr: Py<PyAny>,
    undefined: Py<PyAny>,
}

static KNOWN: PyOnceLock<Known> = PyOnceLock::new();

fn known(py: Python<'_>) -> Result<&Known> {
    if let Some(known) = KNOWN.get(py) {
        return Ok(known);
    }
    let load = || {
        let fields = py.import("pydantic.fields")?;
        Ok::<_, PyErr>(Known {
            base_model: py.import("pydantic.main")?.getattr("BaseModel")?.unbind(),
            private_attr: fields.getattr("ModelPrivateAttr")?.unbind(),
            undefined: fields.getattr("PydanticUndefined")?.unbind(),
        })
    };
    KNOWN.get_or_try_init(py, load).or_else(|error| {
        if error.is_instance_of::<PyException>(py) {
            declined("pydantic is not as expected")
        } else {
            Err(Error::Python(error))
        }
    })
}

/// `pydantic.main.BaseModel.__getattr__` for private attributes that are set.
#[pyfunction]
pub fn private_attribute<'py>(
    obj: &Bound<'py, PyAny>,
    name: &Bound<'py, PyAny>,
    owner: &Bound<'py, PyAny>,
    base_getattr: &Bound<'py, PyAny>,
) -> Result<Bound<'py, PyAny>> {
    guarded(|| {
        let Ok(name) = name.cast_exact::<PyString>() else {
            return declined("name is not a plain str");
        };
        let py = obj.py();
        let known = known(py)?;
        let Some(attribute) = lookup(obj, intern!(py, "__private_attributes__"), name)? else {
            return declined("not a private attribute");
        };
        check_not_descriptor(&attribute, known)?;
        check_base(obj, owner, base_getattr, known)?;
        // Not the generic lookup: the original honours an overridden __getattribute__ here.
        let private = obj.getattr(intern!(py, "__pydantic_private__"));
        match private.map(|private| private.cast_into_exact::<PyDict>()) {
            Ok(Ok(private)) => private
                .get_item(name)?
                .map_or_else(|| declined("not set"), Ok),
            _ => declined("no private state"),
        }
    })
}

/// `object.__getattribute__(obj, attribute).get(name)` for an exact dict.
fn lookup<'py>(
    obj: &Bound<'py, PyAny>,
    attribute: &Bound<'py, PyString>,
    name: &Bound<'py, PyString>,
) -> Result<Option<Bound<'py, PyAny>>> {
    match generic_getattr(obj, attribute).map(|found| found.cast_into_exact::<PyDict>()) {
        Ok(Ok(attributes)) => Ok(attributes.get_item(name)?),
        _ => declined("no private attributes"),
    }
}

/// `not hasattr(attribute, "__get__")`, which `ModelPrivateAttr` answers by its default.
fn check_not_descriptor(attribute: &Bound<'_, PyAny>, known: &Known) -> Result<()> {
    if !is_type(attribute, &known.private_attr) {
        return declined("private attribute of an unknown type");
    }
    let py = attribute.py();
    match generic_getattr(attribute, intern!(py, "default")) {
        Ok(default) if default.is(&known.undefined) || has_no_get(&default) => Ok(()),
        _ => declined("default may be a descriptor"),
    }
}

fn is_type(obj: &Bound<'_, PyAny>, expected: &Py<PyAny>) -> bool {
    obj.get_type_ptr().cast() == expected.as_ptr()
}

/// Values whose exact types have no `__get__` and take no attributes.
fn has_no_get(default: &Bound<'_, PyAny>) -> bool {
    default.is_none()
        || default.is_exact_instance_of::<PyBool>()
        || default.is_exact_instance_of::<PyInt>()
        || default.is_exact_instance_of::<PyString>()
        || default.is_exact_instance_of::<PyDict>()
        || default.is_exact_instance_of::<PyList>()
        || default.is_exact_instance_of::<PyFloat>()
        || default.is_exact_instance_of::<PyTuple>()
        || default.is_exact_instance_of::<PySet>()
}

/// `super(owner, obj).__getattr__.__func__ is base_getattr`.
fn check_base<'py>(
    obj: &Bound<'py, PyAny>,
    owner: &Bound<'py, PyAny>,
    base_getattr: &Bound<'py, PyAny>,
    known: &Known,
) -> Result<()> {
    let class = obj.get_type();
    if next_is_base(&class, owner, base_getattr, known)? {
        return Ok(());
    }
    let Ok(owner) = owner.cast::<PyType>() else {
        return declined("owner is not a class");
    };
    // super(owner, class) shows the plain function, without a bound method.
    let found = PySuper::new(owner, class.as_any())
        .and_then(|parent| parent.getattr(intern!(obj.py(), "__getattr__")));
    match found {
        Ok(found) if found.is(base_getattr) => Ok(()),
        _ => declined("another __getattr__"),
    }
}

/// The same question where no class between `owner` and `BaseModel` has a `__getattr__` of its
/// own: then each of them, asked alone, shows `BaseModel`'s. `false` means "not known".
fn next_is_base(
    class: &Bound<'_, PyType>,
    owner: &Bound<'_, PyAny>,
    base_getattr: &Bound<'_, PyAny>,
    known: &Known,
) -> Result<bool> {
    let py = class.py();
    let mut below = true;
    for parent in class.mro().iter_borrowed() {
        if below {
            below = !parent.is(owner);
            continue;
        }
        let Ok(parent_class) = parent.cast::<PyType>() else {
            return Ok(false);
        };
        match type_getattr(&parent_class, intern!(py, "__getattr__")) {
            Ok(found) if found.is(base_getattr) => {}
            Ok(_) => return Ok(false),
            Err(error) if error.is_instance_of::<PyAttributeError>(py) => return Ok(false),
            Err(error) => return Err(Error::Python(error)),
        }
        if parent.is(&known.base_model) {
            return Ok(true);
        }
    }
    Ok(false)
}

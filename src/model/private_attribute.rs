//! Private attributes, as `BaseModel.__getattr__` finds them.

use crate::errors::{Error, Result, declined, guarded};
use crate::live::{generic_getattr, type_getattr};
use pyo3::exceptions::{PyAttributeError, PyException};
use pyo3::gc::{PyTraverseError, PyVisit};
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

/// `super(owner, obj).__getattr__` where that is `BaseModel`'s.
#[pyclass(module = "fast_crewai._core")]
pub struct PrivateAttributes {
    owner: Option<Py<PyAny>>,
    base_getattr: Option<Py<PyAny>>,
}

#[pymethods]
impl PrivateAttributes {
    #[new]
    fn new(owner: Py<PyAny>, base_getattr: Py<PyAny>) -> Self {
        PrivateAttributes {
            owner: Some(owner),
            base_getattr: Some(base_getattr),
        }
    }

    fn read<'py>(
        &self,
        obj: &Bound<'py, PyAny>,
        name: &Bound<'py, PyAny>,
    ) -> Result<Bound<'py, PyAny>> {
        let py = obj.py();
        let (Some(owner), Some(base_getattr)) = (&self.owner, &self.base_getattr) else {
            return declined("cleared");
        };
        let base_getattr = base_getattr.bind(py);
        // Reading has no side effects, so that a panic may start again with the original.
        let found = match guarded(|| find(obj, name, owner.bind(py), base_getattr)) {
            Err(Error::Internal(_)) => return declined("internal error"),
            found => found?,
        };
        // Everything else is `BaseModel.__getattr__`'s to answer, or to raise.
        found.map_or_else(|| Ok(base_getattr.call1((obj, name))?), Ok)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> std::result::Result<(), PyTraverseError> {
        visit.call(&self.owner)?;
        visit.call(&self.base_getattr)
    }

    fn __clear__(&mut self) {
        self.owner = None;
        self.base_getattr = None;
    }
}

/// The value of a private attribute that is set; `None` for what only the original knows.
fn find<'py>(
    obj: &Bound<'py, PyAny>,
    name: &Bound<'py, PyAny>,
    owner: &Bound<'py, PyAny>,
    base_getattr: &Bound<'py, PyAny>,
) -> Result<Option<Bound<'py, PyAny>>> {
    let py = obj.py();
    let known = known(py)?;
    check_base(obj, owner, base_getattr, known)?;
    let Ok(name) = name.cast_exact::<PyString>() else {
        return Ok(None);
    };
    let Some(attribute) = lookup(obj, intern!(py, "__private_attributes__"), name)? else {
        return Ok(None);
    };
    if !is_plain(&attribute, known) {
        return Ok(None);
    }
    // Not the generic lookup: the original honours an overridden __getattribute__ here.
    let private = obj.getattr(intern!(py, "__pydantic_private__"));
    match private.map(|private| private.cast_into_exact::<PyDict>()) {
        Ok(Ok(private)) => Ok(private.get_item(name)?),
        _ => Ok(None),
    }
}

/// `object.__getattribute__(obj, attribute).get(name)` for an exact dict.
fn lookup<'py>(
    obj: &Bound<'py, PyAny>,
    attribute: &Bound<'py, PyString>,
    name: &Bound<'py, PyString>,
) -> Result<Option<Bound<'py, PyAny>>> {
    match generic_getattr(obj, attribute).map(|found| found.cast_into_exact::<PyDict>()) {
        Ok(Ok(attributes)) => Ok(attributes.get_item(name)?),
        _ => Ok(None),
    }
}

/// `not hasattr(attribute, "__get__")`, which `ModelPrivateAttr` answers by its default.
fn is_plain(attribute: &Bound<'_, PyAny>, known: &Known) -> bool {
    let default = intern!(attribute.py(), "default");
    is_type(attribute, &known.private_attr)
        && generic_getattr(attribute, default)
            .is_ok_and(|default| default.is(&known.undefined) || has_no_get(&default))
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

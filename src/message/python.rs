//! Python edge of the messages.

use super::read::{Fields, Text, read};
use super::{TEXTS, TIMESTAMP, write::write};
use crate::errors::{Error, MessageProblem, Result, guarded};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyInt, PyList, PyString, PyTuple};
use std::borrow::Cow;

/// A message between two agents; immutable.
#[pyclass(frozen, module = "fast_crewai._core")]
pub struct AgentMessage {
    texts: [Py<PyString>; 4],
    timestamp: u64,
}

#[pymethods]
impl AgentMessage {
    #[new]
    fn new(
        id: &Bound<'_, PyAny>,
        sender: &Bound<'_, PyAny>,
        recipient: &Bound<'_, PyAny>,
        content: &Bound<'_, PyAny>,
        timestamp: &Bound<'_, PyAny>,
    ) -> Result<Self> {
        guarded(|| {
            Ok(AgentMessage {
                texts: [
                    text(id, TEXTS[0])?,
                    text(sender, TEXTS[1])?,
                    text(recipient, TEXTS[2])?,
                    text(content, TEXTS[3])?,
                ],
                timestamp: number(timestamp)?,
            })
        })
    }

    /// The message that a JSON text (str, or bytes in UTF-8) is.
    #[staticmethod]
    fn from_json(text: &Bound<'_, PyAny>) -> Result<Self> {
        guarded(|| with_json(text, |json| Self::of(text.py(), read(json)?)))
    }

    fn to_json<'py>(&self, py: Python<'py>) -> Result<Bound<'py, PyString>> {
        guarded(|| self.json(py))
    }

    #[getter]
    fn id(&self, py: Python<'_>) -> Py<PyString> {
        self.texts[0].clone_ref(py)
    }

    #[getter]
    fn sender(&self, py: Python<'_>) -> Py<PyString> {
        self.texts[1].clone_ref(py)
    }

    #[getter]
    fn recipient(&self, py: Python<'_>) -> Py<PyString> {
        self.texts[2].clone_ref(py)
    }

    #[getter]
    fn content(&self, py: Python<'_>) -> Py<PyString> {
        self.texts[3].clone_ref(py)
    }

    #[getter]
    fn timestamp(&self) -> u64 {
        self.timestamp
    }

    #[getter]
    fn implementation(&self) -> &'static str {
        "rust"
    }

    fn __eq__(&self, py: Python<'_>, other: &Bound<'_, PyAny>) -> Result<Py<PyAny>> {
        guarded(|| {
            let Ok(other) = other.cast::<AgentMessage>() else {
                return Ok(py.NotImplemented());
            };
            let equal = self.tuple(py)?.eq(other.get().tuple(py)?)?;
            Ok(PyBool::new(py, equal).to_owned().into_any().unbind())
        })
    }

    fn __hash__(&self, py: Python<'_>) -> Result<isize> {
        guarded(|| Ok(self.tuple(py)?.hash()?))
    }

    fn __repr__(&self, py: Python<'_>) -> Result<String> {
        guarded(|| {
            let mut parts = Vec::with_capacity(5);
            for (name, text) in TEXTS.iter().zip(&self.texts) {
                parts.push(format!("{name}={}", text.bind(py).repr()?.to_str()?));
            }
            let timestamp = self.timestamp;
            Ok(format!(
                "AgentMessage({}, timestamp={timestamp})",
                parts.join(", ")
            ))
        })
    }

    /// Pickles are read by either implementation.
    fn __reduce__<'py>(&self, py: Python<'py>) -> Result<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        guarded(|| {
            let class = py
                .import("fast_crewai.serialization")?
                .getattr("AgentMessage")?;
            Ok((class, self.tuple(py)?))
        })
    }
}

impl AgentMessage {
    fn of(py: Python<'_>, fields: Fields<'_>) -> Result<Self> {
        let [id, sender, recipient, content] = fields.texts;
        Ok(AgentMessage {
            texts: [
                python_text(py, id)?,
                python_text(py, sender)?,
                python_text(py, recipient)?,
                python_text(py, content)?,
            ],
            timestamp: fields.timestamp,
        })
    }

    fn tuple<'py>(&self, py: Python<'py>) -> Result<Bound<'py, PyTuple>> {
        let [id, sender, recipient, content] = &self.texts;
        Ok((id, sender, recipient, content, self.timestamp).into_pyobject(py)?)
    }

    fn json<'py>(&self, py: Python<'py>) -> Result<Bound<'py, PyString>> {
        let [id, sender, recipient, content] = self.texts.each_ref().map(|text| text.bind(py));
        let texts = [
            bytes(id)?,
            bytes(sender)?,
            bytes(recipient)?,
            bytes(content)?,
        ];
        let size: usize = texts.iter().map(|text| text.len()).sum();
        let mut out = Vec::with_capacity(size + size / 8 + 96);
        write(
            &mut out,
            texts.each_ref().map(|text| &**text),
            self.timestamp,
        )?;
        match std::str::from_utf8(&out) {
            Ok(json) => Ok(PyString::new(py, json)),
            Err(error) => Err(Error::Internal(format!("JSON: {error}"))),
        }
    }
}

/// `[message.to_json() for message in messages]`; messages may be dicts with the fields' names.
#[pyfunction]
pub fn serialize_messages<'py>(messages: &Bound<'py, PyList>) -> Result<Bound<'py, PyList>> {
    guarded(|| {
        let mut out = Vec::with_capacity(messages.len());
        for (index, message) in messages.iter().enumerate() {
            out.push(one_json(&message).map_err(|error| at(index, error))?);
        }
        Ok(PyList::new(messages.py(), out)?)
    })
}

/// The fields of each JSON text, as dicts.
#[pyfunction]
pub fn deserialize_messages<'py>(texts: &Bound<'py, PyList>) -> Result<Bound<'py, PyList>> {
    guarded(|| {
        let mut out = Vec::with_capacity(texts.len());
        for (index, text) in texts.iter().enumerate() {
            out.push(one_dict(&text).map_err(|error| at(index, error))?);
        }
        Ok(PyList::new(texts.py(), out)?)
    })
}

fn one_json<'py>(message: &Bound<'py, PyAny>) -> Result<Bound<'py, PyString>> {
    let py = message.py();
    if let Ok(message) = message.cast::<AgentMessage>() {
        return message.get().json(py);
    }
    let Ok(fields) = message.cast::<PyDict>() else {
        let type_name = message.get_type().name()?;
        let text = format!("not an AgentMessage or dict: {type_name}");
        return Err(PyTypeError::new_err(text).into());
    };
    let field = |name| match fields.get_item(name)? {
        Some(value) => Ok(value),
        None => problem("missing", name, "is missing"),
    };
    AgentMessage {
        texts: [
            text(&field(TEXTS[0])?, TEXTS[0])?,
            text(&field(TEXTS[1])?, TEXTS[1])?,
            text(&field(TEXTS[2])?, TEXTS[2])?,
            text(&field(TEXTS[3])?, TEXTS[3])?,
        ],
        timestamp: number(&field(TIMESTAMP)?)?,
    }
    .json(py)
}

fn one_dict<'py>(text: &Bound<'py, PyAny>) -> Result<Bound<'py, PyDict>> {
    let py = text.py();
    with_json(text, |json| {
        let fields = read(json)?;
        let dict = PyDict::new(py);
        for (name, value) in TEXTS.iter().zip(fields.texts) {
            dict.set_item(
                pyo3::types::PyString::intern(py, name),
                python_text(py, value)?,
            )?;
        }
        dict.set_item(pyo3::intern!(py, TIMESTAMP), fields.timestamp)?;
        Ok(dict)
    })
}

fn at(index: usize, error: Error) -> Error {
    match error {
        Error::Message(problem) => Error::Message(MessageProblem {
            index: Some(index),
            ..problem
        }),
        other => other,
    }
}

fn problem<T>(kind: &'static str, field: &'static str, what: &str) -> Result<T> {
    Err(Error::Message(MessageProblem {
        text: format!("{field} {what}"),
        kind,
        field: Some(field),
        index: None,
    }))
}

fn text(value: &Bound<'_, PyAny>, field: &'static str) -> Result<Py<PyString>> {
    if let Ok(text) = value.cast_exact::<PyString>() {
        return Ok(text.clone().unbind());
    }
    if !value.is_instance_of::<PyString>() {
        return problem("type", field, "is not a string");
    }
    let class = value.py().get_type::<PyString>(); // a subclass's own __str__ is not asked
    let plain = class.call_method1("__str__", (value,))?;
    Ok(plain.cast_into::<PyString>().map_err(PyErr::from)?.unbind())
}

fn number(value: &Bound<'_, PyAny>) -> Result<u64> {
    if !value.is_instance_of::<PyInt>() || value.is_instance_of::<PyBool>() {
        return problem("type", TIMESTAMP, "is not an integer");
    }
    value
        .extract::<u64>()
        .or_else(|_| problem("range", TIMESTAMP, "is not between 0 and 2**64-1"))
}

fn with_json<T>(text: &Bound<'_, PyAny>, body: impl FnOnce(&str) -> Result<T>) -> Result<T> {
    let unreadable = || {
        Error::Message(MessageProblem {
            text: "not JSON: the text is not Unicode".to_owned(),
            kind: "syntax",
            field: None,
            index: None,
        })
    };
    if let Ok(text) = text.cast::<PyString>() {
        return body(text.to_str().map_err(|_| unreadable())?);
    }
    if let Ok(bytes) = text.cast::<PyBytes>() {
        return body(std::str::from_utf8(bytes.as_bytes()).map_err(|_| unreadable())?);
    }
    let type_name = text.get_type().name()?;
    Err(PyTypeError::new_err(format!("JSON is str or bytes, not {type_name}")).into())
}

/// The text's UTF-8, with lone surrogates encoded as if they were characters.
fn bytes<'a>(text: &'a Bound<'_, PyString>) -> Result<Cow<'a, [u8]>> {
    if let Ok(text) = text.to_str() {
        return Ok(Cow::Borrowed(text.as_bytes()));
    }
    let encoded = text.call_method1("encode", ("utf-8", "surrogatepass"))?;
    Ok(Cow::Owned(encoded.extract::<Vec<u8>>()?))
}

fn python_text(py: Python<'_>, text: Text<'_>) -> Result<Py<PyString>> {
    match text {
        Text::Borrowed(text) => Ok(PyString::new(py, text).unbind()),
        Text::Owned(text) => Ok(PyString::new(py, &text).unbind()),
        Text::Surrogates(bytes) => {
            let encoded = PyBytes::new(py, &bytes);
            let text = encoded.call_method1("decode", ("utf-8", "surrogatepass"))?;
            Ok(text.cast_into::<PyString>().map_err(PyErr::from)?.unbind())
        }
    }
}

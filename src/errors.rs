//! The one error type of the crate, and its only conversion to Python exceptions.

use std::any::Any;
use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Why a native function did not return a result.
#[derive(Debug)]
pub enum Error {
    /// The input is not ours: nothing was changed, the original function must run.
    Declined(Cow<'static, str>),
    /// A state that cannot occur, or a caught panic.
    Internal(String),
    /// A message that is not one: text, kind, field.
    Message(MessageProblem),
    /// A memory store's file.
    Storage(String),
    /// What SQLite refuses.
    #[cfg(feature = "sqlite")]
    Database(String),
    /// A graph of tasks that cannot be run.
    Task(TaskProblem),
    /// An exception raised by Python code that was called back.
    #[cfg(feature = "python")]
    Python(pyo3::PyErr),
}

/// Why a message could not be read or written (`fast_crewai.errors.SerializationError`).
#[derive(Debug, PartialEq, Eq)]
pub struct MessageProblem {
    pub text: String,
    pub kind: &'static str,
    pub field: Option<&'static str>,
    pub index: Option<usize>,
}

/// Why a graph of tasks refuses (`fast_crewai.errors.TaskError` and its subclasses).
#[derive(Debug, PartialEq, Eq)]
pub enum TaskProblem {
    /// Ids that wait for each other, the first one again at the end.
    Cycle(Vec<String>),
    Unknown(String),
    State(String),
}

pub type Result<T> = std::result::Result<T, Error>;

/// `Err(Declined(reason))`, for `return declined("…")`.
pub fn declined<T>(reason: &'static str) -> Result<T> {
    Err(Error::Declined(Cow::Borrowed(reason)))
}

/// `Declined("kind: name")`, cut so that the reason stays short.
pub fn declined_name<T>(kind: &str, name: &str) -> Result<T> {
    let reason: String = format!("{kind}: {name}").chars().take(59).collect();
    Err(Error::Declined(Cow::Owned(reason)))
}

/// `Err(Internal(message))`.
pub fn internal<T>(message: &str) -> Result<T> {
    Err(Error::Internal(message.to_owned()))
}

/// Runs `body` and turns a panic into [`Error::Internal`].
pub fn guarded<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    // Unwind safety: no Rust state outlives a call, and Python objects stay valid after a panic.
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(result) => result,
        Err(payload) => Err(Error::Internal(format!(
            "panic: {}",
            panic_text(payload.as_ref())
        ))),
    }
}

fn panic_text(payload: &(dyn Any + Send)) -> &str {
    if let Some(text) = payload.downcast_ref::<&str>() {
        text
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text
    } else {
        "unknown"
    }
}

#[cfg(feature = "python")]
pub mod python {
    use super::{Error, TaskProblem};
    use pyo3::PyErr;
    use pyo3::exceptions::PyException;
    use pyo3::import_exception;

    // One hierarchy, which the Python twins raise, too.
    #[cfg(feature = "sqlite")]
    import_exception!(fast_crewai.errors, DatabaseError);
    import_exception!(fast_crewai.errors, CycleError);
    import_exception!(fast_crewai.errors, NativeError);
    import_exception!(fast_crewai.errors, SerializationError);
    import_exception!(fast_crewai.errors, StorageError);
    import_exception!(fast_crewai.errors, TaskStateError);
    import_exception!(fast_crewai.errors, UnknownTaskError);

    pyo3::create_exception!(
        fast_crewai._core,
        Declined,
        PyException,
        "The native function does not handle this input; run the original."
    );
    impl From<PyErr> for Error {
        fn from(error: PyErr) -> Self {
            Error::Python(error)
        }
    }

    impl From<Error> for PyErr {
        fn from(error: Error) -> Self {
            match error {
                Error::Declined(reason) => Declined::new_err(reason),
                Error::Internal(message) => NativeError::new_err(message),
                Error::Message(problem) => SerializationError::new_err((
                    problem.text,
                    problem.kind,
                    problem.field,
                    problem.index,
                )),
                Error::Storage(message) => StorageError::new_err(message),
                #[cfg(feature = "sqlite")]
                Error::Database(message) => DatabaseError::new_err(message),
                Error::Task(TaskProblem::Cycle(cycle)) => CycleError::new_err((cycle,)),
                Error::Task(TaskProblem::Unknown(id)) => UnknownTaskError::new_err(id),
                Error::Task(TaskProblem::State(message)) => TaskStateError::new_err(message),
                Error::Python(error) => error,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_pass_through() {
        assert!(matches!(guarded(|| Ok(1)), Ok(1)));
        let refused: Result<()> = guarded(|| declined("no"));
        assert!(matches!(refused, Err(Error::Declined(reason)) if reason == "no"));
    }

    #[test]
    fn panics_become_errors() {
        let text: Result<()> = guarded(|| panic!("static"));
        assert!(matches!(text, Err(Error::Internal(m)) if m == "panic: static"));
        let formatted: Result<()> = guarded(|| panic!("number {}", 1));
        assert!(matches!(formatted, Err(Error::Internal(m)) if m == "panic: number 1"));
    }

    #[test]
    fn reasons_stay_short() {
        let refused: Result<()> = declined_name("patched", &"é".repeat(100));
        assert!(matches!(refused, Err(Error::Declined(r)) if r.chars().count() < 60));
    }
}

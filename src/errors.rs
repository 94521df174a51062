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
    /// An exception raised by Python code that was called back.
    #[cfg(feature = "python")]
    Python(pyo3::PyErr),
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
    use super::Error;
    use pyo3::PyErr;
    use pyo3::exceptions::PyException;

    pyo3::create_exception!(
        fast_crewai._core,
        Declined,
        PyException,
        "The native function does not handle this input; run the original."
    );
    pyo3::create_exception!(
        fast_crewai._core,
        CoreError,
        PyException,
        "The native core failed internally."
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
                Error::Internal(message) => CoreError::new_err(message),
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

//! The answer of a native coroutine of LanceDB's, without an event loop.
//!
//! LanceDB runs such a coroutine in its own threads, and tells the event loop that was running when
//! it was asked. Something that looks like a loop and a future, for this one answer, saves the two
//! wake-ups of LanceDB's background loop, and the thread that asks keeps its core.

use super::paused::Paused;
use crate::errors::{Result, declined, guarded};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

/// How long an interrupt may have to wait (an answer takes far less).
const STEP: Duration = Duration::from_millis(5);

#[pyclass(module = "fast_crewai._core", frozen)]
pub struct Answer {
    state: Mutex<Option<PyResult<Py<PyAny>>>>,
    ready: Condvar,
    /// What a future would call when it is cancelled: kept until nobody needs the answer.
    callbacks: Mutex<Vec<Py<PyAny>>>,
}

/// The lock is never held while anybody waits for the GIL.
impl Answer {
    fn new() -> Self {
        Answer {
            state: Mutex::new(None),
            ready: Condvar::new(),
            callbacks: Mutex::default(),
        }
    }

    fn put(&self, answer: PyResult<Py<PyAny>>) {
        if let Ok(mut state) = self.state.lock()
            && state.is_none()
        {
            *state = Some(answer);
            self.ready.notify_all();
        }
    }

    fn wait(&self, py: Python<'_>, end: Instant) -> Result<Py<PyAny>> {
        loop {
            let found = py.detach(|| {
                let left = end.saturating_duration_since(Instant::now());
                let state = self.state.lock().ok()?;
                let waited = self
                    .ready
                    .wait_timeout_while(state, STEP.min(left), |state| state.is_none());
                waited.ok()?.0.take()
            });
            if let Some(found) = found {
                return Ok(found?);
            }
            py.check_signals()?;
            if Instant::now() >= end {
                return declined("LanceDB gives no answer");
            }
        }
    }
}

/// What LanceDB uses of a loop and of its future.
#[pymethods]
impl Answer {
    fn create_future(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (callback, *, context=None))]
    fn add_done_callback(&self, callback: Py<PyAny>, context: Option<Py<PyAny>>) {
        drop(context);
        if let Ok(mut callbacks) = self.callbacks.lock() {
            callbacks.push(callback);
        }
    }

    fn cancelled(&self) -> bool {
        false
    }

    fn set_result(&self, result: Py<PyAny>) {
        self.put(Ok(result));
    }

    fn set_exception(&self, error: &Bound<'_, PyAny>) {
        self.put(Err(PyErr::from_value(error.clone())));
    }

    /// Called in LanceDB's thread: `callback` is native, and sets the result.
    #[pyo3(signature = (callback, *arguments, context=None))]
    fn call_soon_threadsafe(
        &self,
        callback: &Bound<'_, PyAny>,
        arguments: &Bound<'_, PyTuple>,
        context: Option<Py<PyAny>>,
    ) {
        drop(context);
        if let Err(error) = callback.call1(arguments.clone()) {
            self.put(Err(error));
        }
    }
}

/// The result of `ask()`, which returns a future of the running event loop's.
///
/// `loops`: asyncio's (`_get_running_loop`, `_set_running_loop`), and the class of contexts.
/// LanceDB keeps the context it is asked in, and frees it while it is asked the next time, or in a
/// thread of its own: it must hold nothing of anybody's. Declined if LanceDB takes no notice of
/// the loop, or gives no answer in time.
#[pyfunction]
pub fn answer_of(
    py: Python<'_>,
    ask: &Bound<'_, PyAny>,
    loops: (Bound<'_, PyAny>, Bound<'_, PyAny>, Bound<'_, PyAny>),
    seconds: f64,
) -> Result<Py<PyAny>> {
    guarded(|| {
        let Ok(limit) = Duration::try_from_secs_f64(seconds) else {
            return declined("an odd time");
        };
        let answer = Bound::new(py, Answer::new())?;
        let (get, set, context) = loops;
        let context = context.call0()?;
        let future = {
            // Nobody sees the loop: no collection, no signal's handler and no other thread runs
            // here, since all that is called is native.
            let _paused = Paused::new(py);
            let running = get.call0()?;
            set.call1((&answer,))?;
            let future = context.call_method1(intern!(py, "run"), (ask,));
            set.call1((running,))?;
            future?
        };
        if !future.is(&answer) {
            return declined("LanceDB asks another loop");
        }
        answer.get().wait(py, Instant::now() + limit)
    })
}

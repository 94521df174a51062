//! Python edge of the tasks.

use super::graph::{Graph, State};
use super::progress::{Outcome, Progress};
use super::runtime;
use crate::errors::{Error, Result, guarded};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

/// How long a wait may take before Python's signals are looked at.
const GLANCE: Duration = Duration::from_millis(50);

/// A graph of tasks, and runs of Python callables on the process's one Tokio runtime.
#[pyclass(frozen, module = "fast_crewai._core")]
pub struct RustTaskExecutor {
    max_concurrent: usize,
    // Both locks are never held by somebody who waits for the GIL.
    graph: Mutex<Graph>,
    runs: Mutex<Vec<Weak<Run>>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[pymethods]
impl RustTaskExecutor {
    #[new]
    #[pyo3(signature = (max_concurrent_tasks=10))]
    fn new(max_concurrent_tasks: usize) -> Self {
        RustTaskExecutor {
            max_concurrent: max_concurrent_tasks.max(1),
            graph: Mutex::default(),
            runs: Mutex::default(),
        }
    }

    #[pyo3(signature = (task_id, dependencies=Vec::new()))]
    fn register_task(&self, task_id: &str, dependencies: Vec<String>) -> Result<()> {
        guarded(|| locked(&self.graph).register(task_id, dependencies))
    }

    /// Pending tasks whose dependencies are completed, in the order of registration.
    fn get_ready_tasks(&self) -> Result<Vec<String>> {
        guarded(|| Ok(locked(&self.graph).ready()))
    }

    /// All tasks, each after those that it depends on.
    fn get_execution_order(&self) -> Result<Vec<String>> {
        guarded(|| locked(&self.graph).order())
    }

    fn mark_started(&self, task_id: &str) -> Result<()> {
        guarded(|| locked(&self.graph).mark(task_id, &[State::Pending], State::Running))
    }

    fn mark_completed(&self, task_id: &str) -> Result<()> {
        let from = [State::Pending, State::Running];
        guarded(|| locked(&self.graph).mark(task_id, &from, State::Completed))
    }

    fn mark_failed(&self, task_id: &str) -> Result<()> {
        let from = [State::Pending, State::Running];
        guarded(|| locked(&self.graph).mark(task_id, &from, State::Failed))
    }

    /// "pending", "running", "completed" or "failed".
    fn get_state(&self, task_id: &str) -> Result<&'static str> {
        guarded(|| Ok(locked(&self.graph).state(task_id)?.name()))
    }

    /// How many tasks are pending, running, completed, failed.
    fn get_counts(&self) -> Result<[usize; 4]> {
        guarded(|| Ok(locked(&self.graph).counts()))
    }

    fn clear(&self) -> Result<()> {
        guarded(|| {
            *locked(&self.graph) = Graph::default();
            Ok(())
        })
    }

    /// Calls each function without arguments, so many at a time, and returns for each a pair:
    /// ("completed", result), ("failed", exception), ("timed_out", None), ("cancelled", None) or
    /// ("skipped", number of the dependency).
    #[pyo3(signature = (functions, dependencies=None, timeout_seconds=None, stop_on_error=false))]
    fn execute_concurrent_tasks<'py>(
        &self,
        py: Python<'py>,
        functions: Vec<Py<PyAny>>,
        dependencies: Option<Vec<Vec<usize>>>,
        timeout_seconds: Option<f64>,
        stop_on_error: bool,
    ) -> Result<Bound<'py, PyList>> {
        guarded(|| {
            let count = functions.len();
            let dependencies = dependencies.unwrap_or_else(|| vec![Vec::new(); count]);
            let run = Arc::new(Run {
                functions,
                timeout: timeout_seconds.and_then(|s| Duration::try_from_secs_f64(s).ok()),
                state: Mutex::new(RunState {
                    progress: Progress::new(&dependencies, stop_on_error),
                    begun: vec![None; count],
                }),
                changed: Condvar::new(),
            });
            {
                let mut runs = locked(&self.runs);
                runs.retain(|run| run.strong_count() > 0);
                runs.push(Arc::downgrade(&run));
            }
            for workers in 0..self.max_concurrent.min(count) {
                match Run::spawn(&run) {
                    Err(error) if workers == 0 => return Err(error),
                    Err(_) => break, // no more threads: those that there are do the work
                    Ok(()) => {}
                }
            }
            run.wait(py)?;
            run.results(py)
        })
    }

    /// Cancels what hasn't started of all runs that are under way.
    fn cancel(&self) -> Result<()> {
        guarded(|| {
            for run in locked(&self.runs).iter().filter_map(Weak::upgrade) {
                locked(&run.state).progress.stop();
                run.changed.notify_all();
            }
            Ok(())
        })
    }

    #[getter]
    fn implementation(&self) -> &'static str {
        "rust"
    }
}

struct Run {
    functions: Vec<Py<PyAny>>,
    timeout: Option<Duration>,
    state: Mutex<RunState>,
    changed: Condvar,
}

struct RunState {
    progress: Progress<Py<PyAny>>,
    begun: Vec<Option<Instant>>,
}

impl Run {
    fn spawn(run: &Arc<Run>) -> Result<()> {
        let run = Arc::clone(run);
        // Tokio panics if the system has no more threads.
        guarded(|| {
            runtime::spawn(move || {
                Python::attach(|py| {
                    run.work(py);
                    drop(run);
                });
            })
        })
    }

    /// Calls what is ready until nothing is left.
    fn work(&self, py: Python<'_>) {
        while let Some(task) = self.next(py) {
            let result = match self.functions.get(task) {
                Some(function) => function.call0(py),
                None => return,
            };
            let outcome = match result {
                Ok(value) => Outcome::Completed(value),
                Err(error) => Outcome::Failed(error.into_value(py).into_any()),
            };
            let mut state = locked(&self.state);
            let in_time = state.progress.finish(task, outcome);
            drop(state);
            self.changed.notify_all();
            if !in_time {
                return; // another worker took this one's place
            }
        }
    }

    fn next(&self, py: Python<'_>) -> Option<usize> {
        let mut state = locked(&self.state);
        if let Some(task) = state.start() {
            return Some(task);
        }
        if state.progress.is_done() {
            return None;
        }
        drop(state);
        py.detach(|| {
            let mut state = locked(&self.state);
            loop {
                if let Some(task) = state.start() {
                    return Some(task);
                }
                if state.progress.is_done() {
                    return None;
                }
                let waited = self.changed.wait(state);
                state = waited.unwrap_or_else(PoisonError::into_inner);
            }
        })
    }

    /// Until all is done; looks at time limits and Python's signals.
    fn wait(self: &Arc<Self>, py: Python<'_>) -> Result<()> {
        loop {
            let (done, overdue) = py.detach(|| self.glance());
            for _ in 0..overdue {
                Run::spawn(self)?; // in place of a worker that can't be stopped
            }
            if done {
                return Ok(());
            }
            if let Err(error) = py.check_signals() {
                locked(&self.state).progress.stop();
                self.changed.notify_all();
                return Err(error.into());
            }
        }
    }

    fn glance(&self) -> (bool, usize) {
        let state = locked(&self.state);
        let state = if state.progress.is_done() {
            state
        } else {
            let pause = self.timeout.map_or(GLANCE, |limit| state.pause(limit));
            let waited = self
                .changed
                .wait_timeout_while(state, pause, |s| !s.progress.is_done());
            waited.unwrap_or_else(PoisonError::into_inner).0
        };
        let mut state = state;
        let overdue = self.timeout.map_or(0, |limit| state.expire(limit));
        let done = state.progress.is_done();
        drop(state);
        if overdue > 0 {
            self.changed.notify_all();
        }
        (done, overdue)
    }

    fn results<'py>(&self, py: Python<'py>) -> Result<Bound<'py, PyList>> {
        let outcomes = locked(&self.state).progress.take_outcomes();
        let list = PyList::empty(py);
        for outcome in outcomes {
            list.append(pair(py, outcome)?)?;
        }
        Ok(list)
    }
}

fn pair<'py>(py: Python<'py>, outcome: Option<Outcome<Py<PyAny>>>) -> Result<Bound<'py, PyTuple>> {
    let pair = match outcome {
        Some(Outcome::Completed(value)) => ("completed", value).into_pyobject(py),
        Some(Outcome::Failed(error)) => ("failed", error).into_pyobject(py),
        Some(Outcome::TimedOut) => ("timed_out", py.None()).into_pyobject(py),
        Some(Outcome::Cancelled) => ("cancelled", py.None()).into_pyobject(py),
        Some(Outcome::Skipped(cause)) => ("skipped", cause).into_pyobject(py),
        None => return Err(Error::Internal("a task has no outcome".to_owned())),
    };
    Ok(pair?)
}

impl RunState {
    fn start(&mut self) -> Option<usize> {
        let task = self.progress.take()?;
        if let Some(begun) = self.begun.get_mut(task) {
            *begun = Some(Instant::now());
        }
        Some(task)
    }

    /// How long until the next task may be overdue.
    fn pause(&self, limit: Duration) -> Duration {
        let now = Instant::now();
        let running = self
            .begun
            .iter()
            .enumerate()
            .filter(|(task, _)| self.progress.is_open(*task));
        let left = running.filter_map(|(_, begun)| {
            Some(limit.saturating_sub(now.saturating_duration_since((*begun)?)))
        });
        left.min()
            .unwrap_or(limit)
            .clamp(Duration::from_millis(1), GLANCE)
    }

    /// Gives up tasks over the limit; how many.
    fn expire(&mut self, limit: Duration) -> usize {
        let now = Instant::now();
        let mut overdue = 0;
        for task in 0..self.begun.len() {
            let begun = self.begun.get(task).copied().flatten();
            if begun.is_some_and(|begun| now.saturating_duration_since(begun) >= limit)
                && self.progress.is_open(task)
                && self.progress.finish(task, Outcome::TimedOut)
            {
                overdue += 1;
            }
        }
        overdue
    }
}

/// Waits for callables that still run, at most so long; called when the interpreter exits.
#[pyfunction]
pub fn shut_down_tasks(py: Python<'_>, seconds: f64) -> Result<()> {
    guarded(|| {
        let patience = Duration::try_from_secs_f64(seconds).unwrap_or_default();
        if let Some(runtime) = runtime::take() {
            py.detach(|| runtime.shutdown_timeout(patience));
        }
        Ok(())
    })
}

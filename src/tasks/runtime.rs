//! The one Tokio runtime of this process; its blocking threads run Python's callables.

use crate::errors::{Error, Result};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

// Locked only by holders of the GIL, who don't release it meanwhile: never locked across a fork.
static RUNTIME: Mutex<Option<(u32, Runtime)>> = Mutex::new(None);

const MAX_THREADS: usize = 4096;
const IDLE: Duration = Duration::from_secs(5);

/// Runs `work` in a thread of the runtime.
pub fn spawn(work: impl FnOnce() + Send + 'static) -> Result<()> {
    let mut slot = RUNTIME.lock().unwrap_or_else(PoisonError::into_inner);
    let process = std::process::id();
    match slot.take() {
        Some((owner, runtime)) if owner == process => *slot = Some((owner, runtime)),
        inherited => {
            std::mem::forget(inherited); // its threads don't exist after a fork
            let runtime = Builder::new_current_thread()
                .max_blocking_threads(MAX_THREADS)
                .thread_keep_alive(IDLE)
                .thread_name("fast_crewai-task")
                .build()
                .map_err(|error| Error::Internal(format!("Tokio: {error}")))?;
            *slot = Some((process, runtime));
        }
    }
    if let Some((_, runtime)) = &*slot {
        drop(runtime.spawn_blocking(work));
    }
    Ok(())
}

/// The runtime, to be shut down without the lock.
pub fn take() -> Option<Runtime> {
    let mut slot = RUNTIME.lock().unwrap_or_else(PoisonError::into_inner);
    let (owner, runtime) = slot.take()?;
    if owner == std::process::id() {
        return Some(runtime);
    }
    std::mem::forget(runtime);
    None
}

//! A few connections to one file, lent to one caller at a time.

use crate::errors::{Error, Result};
use rusqlite::{Connection, OpenFlags};
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// For another process's lock, and for a connection to become free.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Pool {
    path: PathBuf,
    size: usize,
    /// SQLite's connections must not cross a fork.
    process: u32,
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Default)]
struct State {
    idle: Vec<Connection>,
    open: usize,
}

/// A connection that goes back to its pool when it is dropped.
pub struct Lent<'a> {
    pool: &'a Pool,
    /// There until it is dropped.
    connection: Option<Connection>,
}

pub fn refused(error: rusqlite::Error) -> Error {
    Error::Database(error.to_string())
}

impl Pool {
    pub fn new(path: &Path, size: usize) -> Self {
        // Each connection to ":memory:" has a database of its own.
        let size = if path == Path::new(":memory:") {
            1
        } else {
            size
        };
        Pool {
            path: path.to_owned(),
            size: size.max(1),
            process: std::process::id(),
            state: Mutex::default(),
            freed: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A free connection, or a new one, or the next that is given back.
    fn get(&self) -> Result<Lent<'_>> {
        if std::process::id() != self.process {
            let text = "opened by the parent process; open it again after a fork";
            return Err(Error::Database(text.to_owned()));
        }
        let mut state = self.lock();
        loop {
            if let Some(connection) = state.idle.pop() {
                return self.lend(connection);
            }
            if state.open < self.size {
                state.open += 1;
                drop(state);
                let opened = self.connect().and_then(|connection| self.lend(connection));
                if opened.is_err() {
                    self.lock().open -= 1;
                    self.freed.notify_one();
                }
                return opened;
            }
            let (after, waited) = self
                .freed
                .wait_timeout(state, PATIENCE)
                .unwrap_or_else(PoisonError::into_inner);
            state = after;
            if waited.timed_out() {
                let text = format!("all {} connections are busy", self.size);
                return Err(Error::Database(text));
            }
        }
    }

    fn lend(&self, connection: Connection) -> Result<Lent<'_>> {
        Ok(Lent {
            pool: self,
            connection: Some(connection),
        })
    }

    /// Runs `body` with a connection; a transaction that it leaves open is undone, and an error.
    pub fn with<T>(&self, body: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let lent = self.get()?;
        let Some(connection) = &lent.connection else {
            return Err(Error::Internal("a connection is missing".to_owned()));
        };
        let result = body(connection);
        if connection.is_autocommit() {
            return result;
        }
        connection.execute_batch("ROLLBACK").map_err(refused)?;
        result?;
        let text = "a transaction was left open; use execute_batch";
        Err(Error::Database(text.to_owned()))
    }

    fn connect(&self) -> Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags).map_err(refused)?;
        connection.busy_timeout(PATIENCE).map_err(refused)?;
        Ok(connection)
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            let mut state = self.pool.lock();
            if connection.is_autocommit() {
                state.idle.push(connection);
            } else {
                state.open -= 1; // after a panic
            }
            drop(state);
            self.pool.freed.notify_one();
        }
    }
}

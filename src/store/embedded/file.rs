//! The open file: how it is found, opened and locked, and the transactions on it.

use super::{
    beats::Beats,
    failure::{Failure, explain},
    schema::{self, Found},
    turns::{Next, Place, Turns},
};
use crate::store::StoreError;
use rusqlite::{CachedStatement, Connection, ErrorCode, OpenFlags};
use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

/// How often a locked file is tried before [`StoreError::Unavailable`]: for 20 s and more, as a disk that others fill may take as
/// long for a sync.
///
/// SQLite's own handler backs off to 100 ms. A process that commits without pause leaves gaps far shorter than that between its
/// transactions, and a waiter that looks so rarely would starve. Transactions stand in a line besides: [`Turns`].
pub(super) const LOCK_ATTEMPTS: i32 = 20_000;

/// How long between.
const LOCK_PAUSE: Duration = Duration::from_millis(1);

/// The write-ahead log is cut to this size, in bytes, after a burst has made it longer.
const MAX_IDLE_LOG: u32 = 64 << 20;

/// How many prepared statements are kept: more than there are.
const STATEMENTS: usize = 64;

/// One cluster's part of an open file.
pub(super) struct File {
    connection: Connection,
    cluster: i64,
    beats: Beats,
    turns: Turns,
    /// For how long a turn is waited for.
    patience: Duration,
    /// Whether a lock that another has is waited for by SQLite.
    waits: Arc<AtomicBool>,
    /// The most turns of others that one of this file's has waited for.
    #[cfg(test)]
    pub(super) longest_line: std::cell::Cell<u64>,
    /// The statements that were prepared.
    #[cfg(test)]
    pub(super) prepared: std::cell::RefCell<std::collections::BTreeSet<String>>,
}

/// A transaction that may write; leaves no trace of it unless it was committed, and ends the turn.
struct Turn<'f> {
    file: &'f File,
    place: Place,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.file.end_transaction();
        self.file.turns.leave(&self.place);
    }
}

impl File {
    /// Opens the file, or makes it; tries for a lock `attempts` times, then and later.
    ///
    /// # Errors
    /// [`StoreError::CannotOpen`].
    pub(super) fn open(path: &Path, cluster: &str, attempts: i32) -> Result<Self, StoreError> {
        let cannot = |why: String| StoreError::CannotOpen {
            place: path.display().to_string(),
            why,
        };
        let sql = |error: rusqlite::Error| cannot(explain_opening(&error));
        let path = existing_place(path).map_err(cannot)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(&path, flags).map_err(sql)?;
        let waits = wait_for_locks(&mut connection, attempts).map_err(sql)?;
        if connection.is_readonly("main").map_err(sql)? {
            return Err(cannot(
                "the file can only be read: the process must be allowed to write it and its folder".into(),
            ));
        }
        ours(schema::look(&mut connection).map_err(sql)?).map_err(cannot)?;
        keep_log(&connection, attempts).map_err(sql)?.map_err(cannot)?;
        ours(schema::create(&mut connection).map_err(sql)?).map_err(cannot)?;
        let cluster = schema::cluster(&mut connection, cluster).map_err(sql)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        let beats = Beats::open(&path, cluster)
            .map_err(|error| cannot(format!("the folder of its heartbeats cannot be made: {error}")))?;
        let turns = Turns::open(&path)
            .map_err(|error| cannot(format!("the file of its writers' turns cannot be made: {error}")))?;
        Ok(Self {
            connection,
            cluster,
            beats,
            turns,
            patience: LOCK_PAUSE * attempts.unsigned_abs(),
            waits,
            #[cfg(test)]
            longest_line: std::cell::Cell::default(),
            #[cfg(test)]
            prepared: std::cell::RefCell::default(),
        })
    }

    /// The cluster's number, the first parameter of every statement.
    pub(super) fn cluster(&self) -> i64 {
        self.cluster
    }

    /// The silos' heartbeats.
    pub(super) fn beats(&self) -> &Beats {
        &self.beats
    }

    /// A statement, prepared once.
    pub(super) fn prepare(&self, sql: &str) -> Result<CachedStatement<'_>, Failure> {
        #[cfg(test)]
        self.prepared.borrow_mut().insert(sql.to_owned());
        Ok(self.connection.prepare_cached(sql)?)
    }

    /// Runs `work` in a transaction and commits it, or leaves no trace of it. `writes` takes the file's write lock at
    /// once: a transaction that began by reading could not be sure to get it later.
    pub(super) fn transaction(&self, writes: bool, work: impl FnOnce() -> Result<(), Failure>) -> Result<(), Failure> {
        self.end_transaction();
        if writes {
            let _turn = self.begin_in_turn()?;
            return work().and_then(|()| self.step("COMMIT"));
        }
        self.step("BEGIN")?;
        let outcome = work().and_then(|()| self.step("COMMIT"));
        self.end_transaction();
        outcome
    }

    /// Begins a transaction that has the file's write lock, when its turn has come.
    fn begin_in_turn(&self) -> Result<Turn<'_>, Failure> {
        let place = self.turns.stand();
        let mut turn = Turn { file: self, place };
        let (mut waited, mut paused) = (Duration::ZERO, Duration::ZERO);
        loop {
            let next = self.turns.look(&mut turn.place, paused);
            let has_begun = match next {
                Next::Wait(_) => false,
                Next::Take => self.try_begin()?,
                Next::Probe => {
                    let is_free = self.try_begin()?;
                    self.turns.found(&mut turn.place, is_free)
                }
            };
            if has_begun {
                #[cfg(test)]
                self.longest_line
                    .set(self.longest_line.get().max(self.turns.others(&turn.place)));
                return Ok(turn);
            }
            self.end_transaction();
            if waited >= self.patience {
                // Out of turn, and if it cannot be had now SQLite says why.
                return self.begin_at_once().map(|()| turn);
            }
            paused = match next {
                Next::Wait(pause) => pause,
                Next::Take | Next::Probe => self.turns.pause(&turn.place),
            };
            thread::sleep(paused);
            waited += paused;
        }
    }

    /// Begins a transaction that has the write lock, unless another has it.
    fn try_begin(&self) -> Result<bool, Failure> {
        match self.begin_at_once() {
            Err(Failure::Sql(error)) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => Ok(false),
            begun => begun.map(|()| true),
        }
    }

    /// Begins a transaction that has the write lock; an error if it cannot be had now.
    fn begin_at_once(&self) -> Result<(), Failure> {
        self.waits.store(false, Ordering::Relaxed);
        let begun = self.step("BEGIN IMMEDIATE");
        self.waits.store(true, Ordering::Relaxed);
        begun
    }

    /// Runs `work` within the transaction; if it fails, nothing of it stays.
    ///
    /// The outer error says that the transaction as a whole is lost.
    pub(super) fn savepoint<T>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, Failure>,
    ) -> Result<Result<T, Failure>, Failure> {
        self.step("SAVEPOINT job")?;
        match work(self) {
            Ok(result) => {
                self.step("RELEASE job")?;
                Ok(Ok(result))
            }
            // A full disk or a failed read takes SQLite out of the transaction.
            Err(failure) if self.connection.is_autocommit() => Err(failure),
            Err(failure) => {
                self.step("ROLLBACK TO job")?;
                self.step("RELEASE job")?;
                Ok(Err(failure))
            }
        }
    }

    #[cfg(test)]
    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    fn step(&self, sql: &str) -> Result<(), Failure> {
        self.prepare(sql)?.execute([])?;
        Ok(())
    }

    /// Takes back what is not committed. Should that fail, the next transaction tries again before it begins.
    fn end_transaction(&self) {
        if !self.connection.is_autocommit()
            && let Err(error) = self.connection.execute_batch("ROLLBACK")
        {
            tracing::warn!(%error, "a transaction of the embedded store could not be taken back");
        }
    }
}

/// The absolute path, if a file can be there. Absolute, because SQLite takes `:memory:` and the like for no file.
fn existing_place(path: &Path) -> Result<PathBuf, String> {
    let path = std::path::absolute(path).map_err(|error| format!("the path is no file's: {error}"))?;
    if path.is_dir() {
        return Err("it is a folder: name a file in it".into());
    }
    match path.parent() {
        Some(folder) if !folder.is_dir() => Err(format!("the folder {} does not exist: create it", folder.display())),
        _ => Ok(path),
    }
}

/// Waits for locks; answers what says whether it does.
fn wait_for_locks(connection: &mut Connection, max: i32) -> rusqlite::Result<Arc<AtomicBool>> {
    let waits = Arc::new(AtomicBool::new(true));
    let waits_here = waits.clone();
    connection.busy_handler(Some(move |attempts: i32| {
        if !waits_here.load(Ordering::Relaxed) {
            return false;
        }
        thread::sleep(LOCK_PAUSE);
        attempts < max
    }))?;
    Ok(waits)
}

fn ours(found: Found) -> Result<(), String> {
    match found {
        Found::Empty | Found::Known => Ok(()),
        Found::Unknown(version) => Err(format!(
            "its schema has version {version}, this program knows {}: run the program that made it, or a newer one",
            schema::VERSION
        )),
        Found::Foreign => Err("it is a database of another program: name another file".into()),
    }
}

/// Sets the write-ahead log and when it is synced. The inner error says why the file system cannot have one.
fn keep_log(connection: &Connection, attempts: i32) -> rusqlite::Result<Result<(), String>> {
    let mode = write_ahead(connection, attempts)?;
    if !mode.eq_ignore_ascii_case("wal") {
        return Ok(Err(format!(
            "it cannot have a write-ahead log (its journal stays {mode:?}): put it on a local file system"
        )));
    }
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "journal_size_limit", MAX_IDLE_LOG)?;
    // What a savepoint may have to take back stays in memory: it needs no second place to write to.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    Ok(Ok(()))
}

/// SQLite does not wait for a lock to change the journal, so of processes that open a new file together all but one
/// would fail at once.
fn write_ahead(connection: &Connection, mut attempts: i32) -> rusqlite::Result<String> {
    loop {
        match connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)) {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && attempts > 0 => {
                attempts -= 1;
                thread::sleep(LOCK_PAUSE);
            }
            other => return other,
        }
    }
}

fn explain_opening(error: &rusqlite::Error) -> String {
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => format!("{error}: name another file, or remove it"),
        Some(ErrorCode::DatabaseCorrupt) => format!("{error}: restore it from a copy, or remove it"),
        Some(ErrorCode::CannotOpen) => {
            format!("{error}: the process must be allowed to write the file and its folder")
        }
        _ => explain(error),
    }
}

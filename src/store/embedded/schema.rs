//! The file's schema: making it, knowing it again, refusing what is not ours.

use rusqlite::{Connection, Transaction, TransactionBehavior};

/// Marks a SQLite file as ours (`PRAGMA application_id`): "Qrk1".
pub(super) const APPLICATION_ID: i32 = 0x5172_6b31;

/// The version of the schema that this program makes and knows (`PRAGMA user_version`).
pub(super) const VERSION: i32 = 1;

/// 64-bit numbers are stored as SQLite's signed ones with the same bits: they are compared for equality only.
const TABLES: &str = "
    CREATE TABLE clusters (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        view INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE members (
        cluster INTEGER NOT NULL,
        name TEXT NOT NULL,
        incarnation INTEGER NOT NULL,
        heartbeat INTEGER NOT NULL,
        record BLOB NOT NULL,
        PRIMARY KEY (cluster, name, incarnation)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE entries (
        cluster INTEGER NOT NULL,
        kind TEXT NOT NULL,
        key TEXT NOT NULL,
        owner TEXT,
        incarnation INTEGER,
        epoch INTEGER NOT NULL,
        PRIMARY KEY (cluster, kind, key),
        CHECK ((owner IS NULL) = (incarnation IS NULL))
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX entries_by_owner ON entries (cluster, owner, incarnation) WHERE owner IS NOT NULL;
    CREATE TABLE states (
        cluster INTEGER NOT NULL,
        kind TEXT NOT NULL,
        key TEXT NOT NULL,
        etag INTEGER NOT NULL,
        version TEXT NOT NULL,
        body BLOB NOT NULL,
        PRIMARY KEY (cluster, kind, key)
    ) STRICT;
";

/// Tables that came after the first programs of this version: those do not look at them and lose nothing by them.
const LATER_TABLES: &str = "
    CREATE TABLE IF NOT EXISTS documents (
        cluster INTEGER NOT NULL,
        name TEXT NOT NULL,
        etag INTEGER NOT NULL,
        body BLOB NOT NULL,
        PRIMARY KEY (cluster, name)
    ) STRICT;
    CREATE TABLE IF NOT EXISTS named_states (
        cluster INTEGER NOT NULL,
        kind TEXT NOT NULL,
        key TEXT NOT NULL,
        name TEXT NOT NULL,
        etag INTEGER NOT NULL,
        version TEXT NOT NULL,
        body BLOB NOT NULL,
        PRIMARY KEY (cluster, kind, key, name)
    ) STRICT;
    CREATE TABLE IF NOT EXISTS posters (
        cluster INTEGER NOT NULL,
        kind TEXT NOT NULL,
        key TEXT NOT NULL,
        PRIMARY KEY (cluster, kind, key)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS buckets (
        cluster INTEGER NOT NULL,
        bucket INTEGER NOT NULL,
        owner TEXT,
        incarnation INTEGER,
        epoch INTEGER NOT NULL,
        changes INTEGER NOT NULL,
        PRIMARY KEY (cluster, bucket),
        CHECK ((owner IS NULL) = (incarnation IS NULL))
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS reminders (
        cluster INTEGER NOT NULL,
        bucket INTEGER NOT NULL,
        kind TEXT NOT NULL,
        key TEXT NOT NULL,
        name TEXT NOT NULL,
        number INTEGER NOT NULL,
        due INTEGER NOT NULL,
        spec BLOB NOT NULL,
        PRIMARY KEY (cluster, kind, key, name)
    ) STRICT;
    CREATE INDEX IF NOT EXISTS reminders_by_due ON reminders (cluster, bucket, due, number);
    CREATE TABLE IF NOT EXISTS subscriptions (
        cluster INTEGER NOT NULL,
        kind TEXT NOT NULL,
        key TEXT NOT NULL,
        subscriber_kind TEXT NOT NULL,
        subscriber_key TEXT NOT NULL,
        event TEXT NOT NULL,
        spec BLOB NOT NULL,
        PRIMARY KEY (cluster, kind, key, subscriber_kind, subscriber_key, event)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS reminders_by_number ON reminders (cluster, bucket, number);
";

/// Whose file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Nobody's yet.
    Empty,
    /// Ours, of this schema.
    Known,
    /// Ours, of a schema that this program does not know.
    Unknown(i32),
    /// Another program's.
    Foreign,
}

/// Looks whose file it is, and changes nothing.
pub(super) fn look(connection: &mut Connection) -> rusqlite::Result<Found> {
    // One moment for all that is looked at: another process may be making the tables.
    look_within(&connection.transaction()?)
}

fn look_within(connection: &Transaction<'_>) -> rusqlite::Result<Found> {
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i32>(0));
    let application = number("PRAGMA application_id")?;
    let version = number("PRAGMA user_version")?;
    let objects = number("SELECT count(*) FROM sqlite_schema")?;
    Ok(match (application, version, objects) {
        (0, 0, 0) => Found::Empty,
        (APPLICATION_ID, VERSION, _) => Found::Known,
        (APPLICATION_ID, version, _) => Found::Unknown(version),
        _ => Found::Foreign,
    })
}

/// Makes the tables that are missing if the file is empty or ours; of several processes that try, one does. Answers what the file was.
pub(super) fn create(connection: &mut Connection) -> rusqlite::Result<Found> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found = look_within(&transaction)?;
    if found == Found::Empty {
        transaction.execute_batch(TABLES)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", VERSION)?;
    }
    if matches!(found, Found::Empty | Found::Known) {
        transaction.execute_batch(LATER_TABLES)?;
    }
    transaction.commit()?;
    Ok(found)
}

/// The number of a cluster within the file; a new name gets a new one.
pub(super) fn cluster(connection: &mut Connection, name: &str) -> rusqlite::Result<i64> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute("INSERT OR IGNORE INTO clusters (name, view) VALUES (?1, 0)", [name])?;
    let id = transaction.query_row("SELECT id FROM clusters WHERE name = ?1", [name], |row| row.get(0))?;
    transaction.commit()?;
    Ok(id)
}

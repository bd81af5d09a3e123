//! A store in a SQLite file that several processes of one machine share; it survives a crash of any of them.
//!
//! Owns the file's schema, the SQL, and the thread that runs it. Imports the contract and `ident`.
//!
//! ```text
//!   callers --job--> queue (bounded) --> thread: takes all that waits
//!                                          BEGIN IMMEDIATE          (BEGIN, if all of it only reads)
//!                                          each job in a savepoint
//!                                          COMMIT, one sync of the disk
//!   callers <--answers, after the commit--'
//!
//!   reads of the membership table and of reminders, heartbeats --job--> queue --> a second thread, which writes nothing to the database
//! ```
//!
//! The membership table is changed ahead of all else that waits. It is read, and heartbeats are written ([`beats`]), by a thread
//! that waits for no disk: a silo must not lose its lease because others save much.
//!
//! **Invariants.** *Answered is durable*: no answer but a heartbeat's leaves before its transaction is on the disk. *All or nothing per
//! job*: a job that fails leaves no trace and does not fail its neighbours; if the transaction itself fails, every job
//! in it answers [`StoreError::Unavailable`](super::StoreError::Unavailable). *Nobody hangs*: a job whose thread is
//! gone answers the same. *Everybody gets a turn*: who writes again stands behind those who wait, of whatever process ([`turns`]).
//!
//! Only for local file systems: SQLite's write-ahead log needs memory shared between the processes.

mod beats;
mod documents;
mod embedded_store;
mod entries;
mod failure;
mod file;
mod job;
mod members;
mod named;
mod reminders;
mod schema;
mod states;
mod subscriptions;
#[cfg(test)]
mod tests;
mod turns;
mod worker;

pub use embedded_store::EmbeddedStore;

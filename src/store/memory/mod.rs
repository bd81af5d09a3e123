//! A store in the memory of one process: several silos of the process share it, and it ends with them.
//!
//! Owns nothing but its tables, behind one lock. For tests and for clusters of one process.
//! Imports the contract and `ident`.

mod memory_store;
mod reminders;
mod rows;
mod subscriptions;
mod tables;

pub use memory_store::MemoryStore;
#[cfg(feature = "testkit")]
pub(crate) use memory_store::Snapshot;

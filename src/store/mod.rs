//! What the cluster shares: the contract of a store and its backends.
//!
//! Owns membership rows, directory entries and actor state, and every check-and-set on them. Every change is atomic in
//! the backend. The caller decides what an answer means; a store never retries a check-and-set on its own.
//! Imports `ident`, `clock`.

mod contract;
mod error;
mod membership;
mod ownership;
mod state;

pub use contract::{Store, StoreFuture};
pub use error::StoreError;
pub use membership::{Change, KindManifest, Manifest, MemberRow, MembershipTable, SiloStatus};
pub use ownership::{Entry, EntryChange, EntryOutcome, Owner, RegisterOutcome, Registered};
pub use state::{ETag, SaveOutcome, SaveRequest, StoredState};

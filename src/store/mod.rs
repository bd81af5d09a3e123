//! What the cluster shares: the contract of a store and its backends.
//!
//! Owns membership rows, directory entries, actor state, reminders, subscriptions to streams and documents, and every check-and-set on them. Every change is atomic in
//! the backend. The caller decides what an answer means; a store never retries a check-and-set on its own.
//! Imports `clock` and `ident`.
//!
//! ```text
//!   open(url, cluster) --> memory:    one process      one lock
//!                     |--> embedded:  one machine      SQLite; a thread that commits what waits in one transaction
//!                     \--> redis:     many machines    a thread with connections; Lua; new views are pushed
//!   conformance        the laws that every backend keeps, one test each
//! ```

pub mod conformance;
mod contract;
mod document;
#[cfg(feature = "embedded")]
mod embedded;
mod error;
mod membership;
mod memory;
mod ownership;
#[cfg(any(feature = "embedded", feature = "redis", fuzzing))]
mod record;
#[cfg(feature = "redis")]
mod redis;
mod reminder;
mod state;
mod subscription;
mod unknown;
mod url;
mod views;

pub use contract::{Store, StoreFuture};
pub use document::Document;
#[cfg(feature = "embedded")]
pub use embedded::EmbeddedStore;
pub use error::StoreError;
pub use membership::{Change, KindManifest, Manifest, MemberRow, MembershipTable, SiloStatus};
pub use memory::MemoryStore;
#[cfg(feature = "testkit")]
pub(crate) use memory::Snapshot;
pub use ownership::{Entry, EntryChange, EntryOutcome, Owner, RegisterOutcome, Registered};
#[cfg(fuzzing)]
pub(crate) use record::{decode as decode_record, encode as encode_record};
#[cfg(feature = "redis")]
pub use redis::RedisStore;
pub use reminder::{
    Bucket, BucketRead, BucketRow, Missed, Reminder, ReminderId, ReminderSpec, ReminderWrite, ReminderWritten,
    TickOutcome, TickRef, TickStep, Window,
};
pub use state::{ETag, NamedChange, NewState, SaveOutcome, SaveRequest, StoredState};
pub use subscription::{BackPressure, SubscriptionId, SubscriptionSpec, SubscriptionWrite, SubscriptionWritten};
pub use unknown::Unknown;
pub(crate) use unknown::Value;
pub use url::open;

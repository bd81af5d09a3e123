//! Names: who is who in a cluster.
//!
//! Owns the identities that every other room speaks in: silos and their incarnations, actor ids, epochs, the processes
//! and links that messages come from, request ids, ids of effects, trace contexts, shares of all actors. Plain values; imports nothing of the crate.

mod actor_id;
mod actor_table;
mod epoch;
mod kind_names;
mod once_id;
mod process;
mod silo_id;
mod trace_context;
mod weight;

pub use actor_id::{ActorId, InvalidName};
pub(crate) use actor_table::{ActorTable, OfActor, SHARDS, shard_of};
pub use epoch::{Epoch, Hint};
pub use once_id::OnceId;
pub use process::{ClientId, LinkId, ProcessId, RequestId};
pub use silo_id::SiloId;
pub use trace_context::{InvalidTrace, TraceContext};
pub use weight::{InvalidWeight, Weight};

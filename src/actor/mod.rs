//! What users write against: actors, messages, references, errors.
//!
//! Owns the traits that users implement, the references they send through, the errors they see, and the erased tables
//! by which a silo finds and runs actor types. Nothing here executes: the runtime does, behind [`Port`] and
//! [`Services`]. Imports `ident`, `clock`, `wire` and the plain values of `store`.

mod cell;
mod check;
mod context;
mod error;
mod letter;
mod port;
mod reference;
pub mod registry;
mod scope;
mod traits;

pub use cell::{AnyActor, Dehydrated, Hydrate, KindEntry, MessageEntry, TurnEnd};
pub use check::assert_distinct;
pub use context::{Context, Grant, SaveError, Services};
pub use error::{ActivationError, CallError, TryError};
pub use letter::{Body, Letter, ReplySlot, ReplyTo, ReplyValue, TypedMessage, reply_pair};
pub use port::{Port, Undelivered, unusable_port};
pub use reference::{ActorRef, Ask, Tell};
pub use scope::{Scope, Scoped, current_scope};
pub use traits::{Accepts, Actor, DeactivateReason, Handler, Hosted, Kind, Message};

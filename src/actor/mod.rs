//! What users write against: actors, messages, references, errors.
//!
//! Owns the traits that users implement, the references they send through, the errors they see, the erased tables by which a
//! silo finds and runs actor types, and the turn: how one message meets its handler, with the fence around a panic, the memory
//! of the handler's future, and what calls made in it inherit. When a turn is run, and for which activation, is the runtime's
//! affair; calls leave through [`Port`], all else through [`Services`].
//!
//! Imports `ident`, `clock`, `mailbox`, `schema`, `wire` and the plain values of `store`.

mod ask;
mod blocking;
mod cell;
mod check;
mod context;
mod error;
mod frame;
pub mod lock;
mod port;
mod reference;
pub mod registry;
mod scope;
mod timers;
mod traits;
mod turn;

pub use ask::{Ask, Tell};
pub use blocking::{BlockingError, Job};
pub use cell::{AnyActor, Dehydrated, Hydrate, KindEntry, MessageEntry};
pub use check::assert_distinct;
pub use context::{Context, Grant, SaveError, Services};
pub use error::{ActivationError, CallError, TryError};
pub use frame::{Frame, Memory};
pub use port::{Port, Undelivered, unusable_port};
pub use reference::ActorRef;
pub use scope::{TurnScope, clear_turn, restore_turn, save_turn, swap_actor, swap_turn, with_timers};
pub use timers::Timers;
pub use traits::{Accepts, Actor, DeactivateReason, Handler, Hosted, Kind, Message};
pub(crate) use turn::panic_text;
pub use turn::{Begin, Rare, Remote, Source};

//! What users write against: actors, messages, references, errors.
//!
//! Owns the traits that users implement, the references they send through, the errors they see, the erased tables by which a
//! silo finds and runs actor types, and the turn: how one message meets its handler, with the fence around a panic, the memory
//! of the handler's future, and what calls made in it inherit. Also the bytes that an actor is saved as, the schemas of its state, and
//! what it remembers of effects that happen once. When a turn is run, and for which activation, is the runtime's
//! affair; calls leave through [`Port`], all else through [`Services`].
//!
//! Imports `ident`, `clock`, `mailbox`, `schema`, `wire` and the plain values of `store`.

mod ask;
mod behind;
mod blocking;
mod cell;
mod check;
mod context;
mod current;
mod effects;
mod error;
mod frame;
mod hearing;
mod image;
pub mod lock;
mod named;
mod once;
mod outbox;
mod own;
mod port;
mod reference;
pub mod registry;
mod reminders;
mod replying;
mod save;
mod scope;
mod state;
mod tell;
mod timers;
mod traits;
mod turn;
mod wrapped;

pub use ask::Ask;
pub use blocking::{BlockingError, Job};
pub use cell::{AnyActor, Dehydrated, Hydrate, KindEntry, MessageEntry};
pub use check::assert_distinct;
pub use context::{Audience, Context, Services};
pub use current::{run_as, with_timers};
pub use effects::{Effect, Effects};
pub use error::{ActivationError, CallError, TryError};
pub use frame::{Frame, Memory};
pub use hearing::{Heard, PublishedBy};
pub use named::{LoadError, Named};
pub use once::seal;
pub use outbox::{DISOWNED, FORGET, Forget, HEARD, OWN_MESSAGES, PostError, Posted, SETTLED, Settled, WAKE};
pub use port::{Port, SentOut, Undelivered, unusable_port};
pub use reference::ActorRef;
pub use reminders::{
    Asker, ReminderAnswer, ReminderAsk, ReminderError, ReminderInfo, Schedule, Tick, encode_tick, reminder_id,
};
pub use replying::Remote;
pub use save::{Grant, SaveError, Saving};
pub use scope::{Nested, TurnScope, clear_turn, leave_turn, nest_turn, swap_turn, take_lost, take_outliving};
pub use state::{Back, Forms, FormsOf, NoSchema, Older, Read, State, StateError, ToWrite, Written};
pub use tell::Tell;
pub use timers::Timers;
pub use traits::{Accepts, Actor, DeactivateReason, Handler, Hosted, Kind, Message};
pub(crate) use turn::panic_text;
pub use turn::{Begin, Rare, Source};
pub(crate) use wrapped::{Suffix, wrapped_name};

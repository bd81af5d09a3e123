//! The traits that users implement.

use super::{ActivationError, Context, Forms, MessageEntry, PublishedBy};
use crate::schema::{Form, Types, opaque};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// A type of actor as its callers know it: a stable wire name and the messages it takes ([`Accepts`]).
///
/// Implemented by `#[actor]` for the actor type itself, and by `#[actor_interface]` for a stand-in that callers can use
/// without linking the actor:
///
/// ```
/// use quark::prelude::*;
///
/// #[derive(Message, Serialize, Deserialize)]
/// #[message(name = "airport.depart", reply = bool)]
/// struct Depart;
///
/// #[actor_interface(kind = "airport", messages(Depart))]
/// pub struct Airport;
///
/// async fn depart(airport: &ActorRef<Airport>) -> Result<bool, CallError> {
///     airport.ask(Depart).await
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is neither an actor nor a stand-in for one",
    label = "no actor type",
    note = "put `#[actor(kind = \"...\", messages(...))]` above `impl Actor for {Self}`, or `#[actor_interface(kind = \"...\", messages(...))]` above a stand-in"
)]
pub trait Kind: 'static {
    /// The stable wire name.
    const KIND: &'static str;
}

/// The kind takes the message.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not take the message `{M}`",
    label = "not among the messages of this kind",
    note = "add `{M}` to `messages(...)` of its `#[actor]` or `#[actor_interface]`"
)]
pub trait Accepts<M: Message>: Kind {}

/// The message that cannot be made, so that every kind takes it.
///
/// With it no kind takes one message only, which the compiler would take every other for: it says "expected `Add`" then,
/// and not what [`Accepts`] has to say.
#[doc(hidden)]
#[derive(Debug, Serialize, Deserialize)]
pub enum NoMessage {}

#[diagnostic::do_not_recommend]
impl Message for NoMessage {
    type Reply = ();
    const NAME: &'static str = "";
}

#[diagnostic::do_not_recommend]
impl<K: Kind> Accepts<NoMessage> for K {}

/// A message: what it is called on the wire, and what it is answered with.
///
/// The wire name outlives the type's: renaming or moving the type changes nothing for callers of another version.
///
/// ```
/// use quark::prelude::*;
///
/// #[derive(Message, Serialize, Deserialize)]
/// #[message(name = "cart.add", reply = usize)]
/// struct Add {
///     sku: String,
/// }
/// assert_eq!(Add::NAME, "cart.add");
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a message",
    label = "not a message",
    note = "derive it: `#[derive(Message, Serialize, Deserialize)]` with `#[message(name = \"...\", reply = ...)]`"
)]
pub trait Message: Serialize + DeserializeOwned + Send + 'static {
    /// The reply; `()` if there is none to speak of.
    type Reply: Serialize + DeserializeOwned + Send + 'static;

    /// The stable wire name; unique among the messages of a kind.
    const NAME: &'static str;

    /// Whether an ask of it is sent again when what became of it is not known, and has one effect all the same: the actor is saved
    /// with the reply before it answers, and answers a second time from what it remembers.
    const IDEMPOTENT: bool = false;

    /// Whether who sends it sends it again unless its turn had its effect: a turn of an activation that turns out to be none any more is
    /// answered as one that may not have been.
    #[doc(hidden)]
    const AT_LEAST_ONCE: bool = false;

    /// The activation of a stream that gives it, of an event that came by the wire: of one that another has succeeded nothing runs any
    /// more.
    #[doc(hidden)]
    fn published_by(&self) -> Option<PublishedBy<'_>> {
        None
    }

    /// What the message and its reply look like. Told by the derive.
    #[doc(hidden)]
    fn shapes(_: &mut Types) -> (Form, Form) {
        (opaque::<Self>(), opaque::<Self::Reply>())
    }
}

/// A virtual actor: a value that is its own state.
///
/// It is made by `Default` or read from what was last saved, lives on one thread, runs one turn at a time, and is written
/// as named MessagePack when it is saved or moves to another silo; fields under `#[serde(skip)]` are made anew there.
/// Needs not be `Send`.
///
/// ```
/// use quark::prelude::*;
/// # #[derive(Message, Serialize, Deserialize)]
/// # #[message(name = "cart.add", reply = usize)]
/// # struct Add { sku: String }
///
/// #[derive(Default, Serialize, Deserialize)]
/// struct Cart {
///     skus: Vec<String>,
/// }
///
/// #[actor(kind = "cart", messages(Add))]
/// impl Actor for Cart {}
///
/// impl Handler<Add> for Cart {
///     async fn handle(&mut self, add: Add, _ctx: &mut Context<Self>) -> usize {
///         self.skus.push(add.sku);
///         self.skus.len()
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an actor",
    label = "not an actor",
    note = "write `#[actor(kind = \"...\", messages(...))] impl Actor for {Self} {{}}`"
)]
pub trait Actor: Hosted + Default + Serialize + DeserializeOwned {
    /// Runs before the first message of an activation, after its state was read.
    ///
    /// An error fails the callers that wait and leaves nothing behind; the next call tries again.
    #[allow(async_fn_in_trait, reason = "handler futures need not be Send")]
    async fn on_activate(&mut self, ctx: &mut Context<Self>) -> Result<(), ActivationError> {
        let _ = ctx;
        Ok(())
    }

    /// Runs after the last message of an activation, before its state is saved or packed.
    ///
    /// A migration that is called off after it activates the actor anew, with the state it had.
    #[allow(async_fn_in_trait, reason = "handler futures need not be Send")]
    async fn on_deactivate(&mut self, ctx: &mut Context<Self>, reason: DeactivateReason) {
        let _ = (ctx, reason);
    }
}

/// Why an activation ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DeactivateReason {
    /// It was idle, or asked for it.
    Idle,
    /// It moves to another silo.
    Migrating,
    /// Its silo shuts down and it could not move.
    ShuttingDown,
}

/// How an actor answers a message; there is one for each that its `#[actor]` lists. See [`Actor`] for an example.
#[diagnostic::on_unimplemented(
    message = "`{Self}` lists the message `{M}` but has no handler for it",
    label = "no `Handler<{M}>`",
    note = "write `impl Handler<{M}> for {Self}`, or take `{M}` out of `messages(...)`"
)]
pub trait Handler<M: Message>: Actor + Accepts<M> {
    /// Runs one turn. No other turn of the actor starts before it ends.
    #[allow(async_fn_in_trait, reason = "handler futures need not be Send")]
    async fn handle(&mut self, message: M, ctx: &mut Context<Self>) -> M::Reply; // `reply = ...` of the message
}

/// What a silo needs to know to host a kind. Implemented by `#[actor]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not declared as an actor",
    label = "not declared by `#[actor(...)]`",
    note = "put `#[actor(kind = \"...\", messages(...))]` above `impl Actor for {Self}`"
)]
pub trait Hosted: Kind + Sized {
    /// The version of the actor type, semver; by default that of its crate.
    const VERSION: &'static str;

    /// Whether the actor is never saved: its memory moves with it, and ends with its activation.
    const VOLATILE: bool;

    /// Whether it may go to another silo. What may not is deactivated with its silo, its state saved.
    const MOVABLE: bool;

    /// The schemas of its state.
    const FORMS: Forms<Self> = Forms::PLAIN;

    /// The namespaces of streams whose events it gets without subscribing: the actor whose key is the stream's.
    const STREAMS: &'static [&'static str] = &[];

    /// Its messages.
    fn messages() -> Vec<MessageEntry>;

    /// What its state looks like. Told by the macro, if the type derives `Shape`.
    #[doc(hidden)]
    fn shape(_: &mut Types) -> Form {
        opaque::<Self>()
    }
}

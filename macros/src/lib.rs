//! The macros of Quark: `#[actor]`, `#[actor_interface]`, `#[derive(Message)]`, `#[derive(State)]` and
//! `#[derive(Shape)]`.
//!
//! Owns what users write above their types and the text of the errors they get for it. Each macro has a file of its own;
//! `keys` reads what stands in the parentheses, `names` holds the rules that names and versions must keep. The output
//! names nothing of Quark but `quark::macro_support`.

mod actor;
mod actor_interface;
mod errors;
mod keys;
mod message;
mod names;
mod output;
mod serde_names;
mod shape;
mod state;

use proc_macro::TokenStream;

/// Declares an actor: put it above `impl Actor for YourType`.
///
/// `#[actor(kind = "cart", messages(Add, Get))]`
///
/// | key | meaning |
/// |---|---|
/// | `kind = "cart"` | the stable wire name of the actor type; 1 to 1024 bytes without control characters, best plain ASCII |
/// | `messages(Add, Get)` | the messages it takes; for each there is an `impl Handler<Add> for YourType` |
/// | `version = "1.2.3"` | its version, semver; if not given, that of its crate |
/// | `volatile` | it is never saved: its memory moves with it and ends with its activation |
/// | `immovable` | it never moves to another silo (what it holds cannot be packed: a device, a file, a socket). A drain deactivates it, its state saved, and its next message activates it elsewhere |
/// | `unlisted` | the silo does not find it by itself, but hosts it if it is told to |
/// | `crate = path::to::quark` | where Quark is, if the crate is re-exported by another |
///
/// Two messages of one actor that share a wire name are a compile error.
#[proc_macro_attribute]
pub fn actor(keys: TokenStream, item: TokenStream) -> TokenStream {
    actor::expand(keys.into(), item.into()).into()
}

/// Declares a stand-in for an actor: callers that have it and the messages need not link the actor.
///
/// `#[actor_interface(kind = "airport", messages(Depart, Arrive))] pub struct Airport;`
///
/// | key | meaning |
/// |---|---|
/// | `kind = "airport"` | the kind, as the `#[actor]` says it |
/// | `messages(Depart, Arrive)` | the messages that callers may send; some or all of those that the actor takes |
/// | `crate = path::to::quark` | where Quark is, if the crate is re-exported by another |
#[proc_macro_attribute]
pub fn actor_interface(keys: TokenStream, item: TokenStream) -> TokenStream {
    actor_interface::expand(keys.into(), item.into()).into()
}

/// Derives `Message`: what a message is called on the wire, and what it is answered with.
///
/// `#[derive(Message, Serialize, Deserialize)] #[message(name = "cart.add", reply = usize)]`
///
/// | key | meaning |
/// |---|---|
/// | `name = "cart.add"` | the stable wire name; 1 to 128 printable ASCII characters without spaces |
/// | `reply = usize` | the type of the reply; `()` if not given |
/// | `idempotent` | an ask of it is sent again if what became of it is not known, and has one effect: the actor is saved with the reply before it answers, and answers again from what it remembers |
/// | `crate = path::to::quark` | where Quark is, if the crate is re-exported by another |
#[proc_macro_derive(Message, attributes(message))]
pub fn message(item: TokenStream) -> TokenStream {
    message::expand(item.into()).into()
}

/// Derives `Shape`: what a state, or a part of a message, looks like on the wire, so that a version that cannot read another's is
/// found before it runs beside it. Messages have it by `#[derive(Message)]`. Follows serde's attributes.
///
/// `#[derive(Default, Serialize, Deserialize, Shape)]`
#[proc_macro_derive(Shape)]
pub fn shape(item: TokenStream) -> TokenStream {
    shape::expand(item.into()).into()
}

/// Derives `State`: what the schema of a state is called, and which older ones it reads and writes.
///
/// `#[derive(Serialize, Deserialize, State)] #[state(schema = "cart.2", from(CartV1), back = CartV1)]`
///
/// | key | meaning |
/// |---|---|
/// | `schema = "cart.2"` | the stable name; 1 to 128 printable ASCII characters without spaces |
/// | `from(CartV1)` | older schemas that it reads: each a `State` of which there is an `impl From<CartV1>` for this one |
/// | `back = CartV1` | the older schema that is written while silos of an older version may read it: there is an `impl From<&Cart> for CartV1` |
/// | `unnamed` | what was written before its type named a schema is of this one, and it is written without a name as before |
/// | `crate = path::to::quark` | where Quark is, if the crate is re-exported by another |
#[proc_macro_derive(State, attributes(state))]
pub fn state(item: TokenStream) -> TokenStream {
    state::expand(item.into()).into()
}

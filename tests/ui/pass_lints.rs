//! The macros' output breaks none of the lints that a user may have.
#![deny(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, warnings)]
#![forbid(unsafe_code)]

use quark::prelude::*;

/// A message.
#[derive(Debug, Message, Serialize, Deserialize)]
#[message(name = "cart.add", reply = Result<(), String>)]
pub struct Add;

/// A message without reply.
#[derive(Debug, Message, Serialize, Deserialize)]
#[message(name = "cart.clear")]
pub enum Clear {
    /// All.
    All,
}

/// An actor.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Cart<T>(T);

#[actor(kind = "cart", messages(Add, Clear), volatile)]
impl Actor for Cart<u32> {}

impl Handler<Add> for Cart<u32> {
    async fn handle(&mut self, _: Add, _: &mut Context<Self>) -> Result<(), String> {
        Ok(())
    }
}

impl Handler<Clear> for Cart<u32> {
    async fn handle(&mut self, _: Clear, _: &mut Context<Self>) {}
}

#[actor_interface(kind = "cart", messages(Add))]
struct StandIn;

#[actor(kind = "off", messages(Add))]
#[cfg(any())]
impl Actor for NotThere {}

fn main() {
    fn takes<K: quark::actor::Accepts<M>, M: Message>() -> (&'static str, &'static str) {
        (K::KIND, M::NAME)
    }
    assert_eq!(takes::<StandIn, Add>(), ("cart", "cart.add"));
    assert_eq!(takes::<Cart<u32>, Clear>(), ("cart", "cart.clear"));
}

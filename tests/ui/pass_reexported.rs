use framework::quark::prelude::*;

/// A crate that offers Quark under a path of its own.
mod framework {
    pub use quark;
}

#[derive(Message, Serialize, Deserialize)]
#[message(name = "cart.add", crate = crate::framework::quark)]
struct Add;

#[actor_interface(kind = "cart", messages(Add), crate = crate::framework::quark)]
struct StandIn;

#[derive(Default, Serialize, Deserialize)]
struct Cart;

#[actor(kind = "cart", messages(Add), crate = crate::framework::quark)]
impl Actor for Cart {}

impl Handler<Add> for Cart {
    async fn handle(&mut self, _: Add, _: &mut Context<Self>) {}
}

fn main() {}

use quark::{actor::registry::Registry, prelude::*};

#[derive(Message, Serialize, Deserialize)]
#[message(name = "cart.add")]
struct Add;

macro_rules! cart {
    ($name:ident) => {
        #[derive(Default, Serialize, Deserialize)]
        struct $name;

        #[actor(kind = "cart", messages(Add), version = "1.0.0")]
        impl Actor for $name {}

        impl Handler<Add> for $name {
            async fn handle(&mut self, _: Add, _: &mut Context<Self>) {}
        }
    };
}

cart!(Cart);
cart!(Basket);

fn main() {
    let error = Registry::linked().expect_err("two carts").to_string();
    for wanted in [
        "\"cart\"",
        "::Cart 1.0.0",
        "::Basket 1.0.0",
        "give one of them another kind",
    ] {
        assert!(error.contains(wanted), "{error}");
    }
}

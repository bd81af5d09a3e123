use quark::prelude::*;

#[derive(Message, Serialize, Deserialize)]
#[message(name = "cart.add", reply = usize)]
struct Add;

#[derive(Message, Serialize, Deserialize)]
#[message(name = "cart.get", reply = usize)]
struct Get;

#[derive(Default, Serialize, Deserialize)]
struct Cart(usize);

#[actor(kind = "cart", messages(Add, Get))]
impl Actor for Cart {}

impl Handler<Add> for Cart {
    async fn handle(&mut self, _: Add, _: &mut Context<Self>) -> usize {
        self.0
    }
}

fn main() {}

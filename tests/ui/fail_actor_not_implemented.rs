use quark::prelude::*;

#[derive(Message, Serialize, Deserialize)]
#[message(name = "cart.add", reply = usize)]
struct Add;

#[derive(Default, Serialize, Deserialize)]
struct Cart(usize);

impl Handler<Add> for Cart {
    async fn handle(&mut self, _: Add, _: &mut Context<Self>) -> usize {
        self.0
    }
}

fn main() {}

use quark::prelude::*;

#[derive(Message, Serialize, Deserialize)]
#[message(name = "cart.add", reply = usize)]
struct Add;

#[derive(Default, Serialize)]
struct Cart(usize);

#[actor(kind = "cart", messages(Add))]
impl Actor for Cart {}

impl Handler<Add> for Cart {
    async fn handle(&mut self, _: Add, _: &mut Context<Self>) -> usize {
        self.0
    }
}

fn main() {}

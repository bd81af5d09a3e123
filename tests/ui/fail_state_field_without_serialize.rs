use quark::prelude::*;

#[derive(Message, Serialize, Deserialize)]
#[message(name = "cart.add", reply = usize)]
struct Add;

#[derive(Default)]
struct Line;

#[derive(Default, Serialize, Deserialize)]
struct Cart(usize, Vec<Line>);

#[actor(kind = "cart", messages(Add))]
impl Actor for Cart {}

impl Handler<Add> for Cart {
    async fn handle(&mut self, _: Add, _: &mut Context<Self>) -> usize {
        self.0
    }
}

fn main() {}

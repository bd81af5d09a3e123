use quark::prelude::*;

#[derive(Message, Serialize, Deserialize)]
#[message(name = "cart.add", reply = usize)]
struct Add;

#[derive(Default, Serialize, Deserialize)]
struct Cart(usize);

#[actor(kind = "cart", messages(Add))]
struct Line;

#[actor(kind = "cart", messages(Add))]
impl Cart {}

#[actor(kind = "cart", messages(Add))]
impl Clone for Cart {
    fn clone(&self) -> Self {
        Self(self.0)
    }
}

fn main() {}

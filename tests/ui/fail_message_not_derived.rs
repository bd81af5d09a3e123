use quark::prelude::*;

struct Add;

#[derive(Default, Serialize, Deserialize)]
struct Cart(usize);

#[actor(kind = "cart", messages(Add))]
impl Actor for Cart {}

fn main() {}

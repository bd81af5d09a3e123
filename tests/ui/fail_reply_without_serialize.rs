use quark::prelude::*;

struct Total(usize);

#[derive(Message, Serialize, Deserialize)]
#[message(name = "cart.add", reply = Total)]
struct Add;

fn main() {}

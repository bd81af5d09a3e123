use quark::prelude::*;

#[derive(Message, Serialize, Deserialize)]
#[message(name = "cart.add", reply = usize)]
struct Add;

#[actor_interface]
struct NoKeys;

#[actor_interface(kind = "", messages(Add, Add))]
struct EmptyKind;

#[actor_interface(kind = "cart", messages(Add), version = "1.0.0")]
struct VersionedInterface;

#[actor_interface(kind = "cart", messages(Add))]
fn not_a_type() {}

fn main() {}

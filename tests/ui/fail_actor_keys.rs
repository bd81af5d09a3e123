use quark::prelude::*;

#[derive(Message, Serialize, Deserialize)]
#[message(name = "cart.add")]
struct Add;

macro_rules! cart {
    ($name:ident) => {
        #[derive(Default, Serialize, Deserialize)]
        struct $name;

        impl Handler<Add> for $name {
            async fn handle(&mut self, _: Add, _: &mut Context<Self>) {}
        }
    };
}

cart!(EmptyKind);
#[actor(kind = "", messages(Add))]
impl Actor for EmptyKind {}

cart!(ControlCharacter);
#[actor(kind = "ca\nrt", messages(Add))]
impl Actor for ControlCharacter {}

cart!(NoKind);
#[actor(messages(Add))]
impl Actor for NoKind {}

cart!(ListedTwice);
#[actor(kind = "cart", messages(Add, Add))]
impl Actor for ListedTwice {}

cart!(VersionWithV);
#[actor(kind = "cart", messages(Add), version = "v1.2.3")]
impl Actor for VersionWithV {}

cart!(VersionOfTwoNumbers);
#[actor(kind = "cart", messages(Add), version = "1.2")]
impl Actor for VersionOfTwoNumbers {}

cart!(UnknownKey);
#[actor(kind = "cart", name = "cart", messages(Add))]
impl Actor for UnknownKey {}

cart!(MessagesAssigned);
#[actor(kind = "cart", messages = Add)]
impl Actor for MessagesAssigned {}

cart!(NoComma);
#[actor(kind = "cart" messages(Add))]
impl Actor for NoComma {}

#[derive(Default, Serialize, Deserialize)]
struct EmptyList;
#[actor(kind = "cart", messages())]
impl Actor for EmptyList {}

#[derive(Default, Serialize, Deserialize)]
struct NoKeys;
#[actor]
impl Actor for NoKeys {}

#[derive(Default, Serialize, Deserialize)]
struct Generic<T>(T);
#[actor(kind = "cart", messages(Add))]
impl<T> Actor for Generic<T> {}

fn main() {}

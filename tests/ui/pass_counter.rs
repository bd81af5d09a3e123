use quark::prelude::*;

#[derive(Message, Serialize, Deserialize)]
#[message(name = "counter.add")]
struct Add(u64);
#[derive(Message, Serialize, Deserialize)]
#[message(name = "counter.get", reply = u64)]
struct Get;

#[derive(Default, Serialize, Deserialize)]
struct Counter(u64);
#[actor(kind = "counter", messages(Add, Get), version = "1.2.0")]
impl Actor for Counter {}

impl Handler<Add> for Counter {
    async fn handle(&mut self, Add(count): Add, _: &mut Context<Self>) {
        self.0 += count;
    }
}
impl Handler<Get> for Counter {
    async fn handle(&mut self, _: Get, _: &mut Context<Self>) -> u64 {
        self.0
    }
}

fn main() {
    use quark::actor::{Hosted, Kind, registry::Registry};

    assert_eq!((Counter::KIND, Counter::VERSION), ("counter", "1.2.0"));
    let registry = Registry::linked().expect("one kind");
    let counter = registry.kind("counter").expect("linked");
    let messages: Vec<_> = counter.entry.messages().iter().map(|message| message.name()).collect();
    assert_eq!(messages, ["counter.add", "counter.get"]);
}

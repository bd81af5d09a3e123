//! A chat room over streams: guests are actors on two silos, the room is a stream, a journal listens without subscribing, and one silo leaves
//! in the middle of the talk.
//!
//! ```sh
//! cargo run --example chat
//! ```

use quark::{
    clock::Clock,
    prelude::*,
    silo::{Silo, SiloHandle},
    store::BackPressure,
    stream::{Event, StreamRef, Subscription},
};
use std::{error::Error, time::Duration};

/// Something that was said in a room.
#[derive(Debug, Message, Serialize, Deserialize)]
#[message(name = "chat.said")]
struct Said {
    who: String,
    text: String,
}

/// Somebody who can be in rooms.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Guest {
    heard: Vec<String>,
}

/// Enters a room, and says hello there.
#[derive(Debug, Message, Serialize, Deserialize)]
#[message(name = "guest.enter", reply = Result<(), String>)]
struct Enter {
    room: String,
}

/// Leaves a room.
#[derive(Debug, Message, Serialize, Deserialize)]
#[message(name = "guest.leave", reply = Result<(), String>)]
struct Leave {
    room: String,
}

/// Answers what the guest has heard.
#[derive(Debug, Message, Serialize, Deserialize)]
#[message(name = "guest.heard", reply = Vec<String>)]
struct Heard;

#[actor(kind = "guest", messages(Enter, Leave, Heard, Event<Said>))]
impl Actor for Guest {}

impl Handler<Enter> for Guest {
    async fn handle(&mut self, enter: Enter, ctx: &mut Context<Self>) -> Result<(), String> {
        // A guest who does not listen misses the oldest of what is said, and holds up nobody.
        let listen = Subscription::new().pressure(BackPressure::DropOldest(100));
        let entered = ctx.subscribe::<Said>("room", &enter.room, listen).await;
        entered.map_err(|error| error.to_string())?;
        let who = ctx.key().to_owned();
        let text = "hello".to_owned();
        let room = ctx.stream("room", &enter.room);
        let said = room.deliver(Said { who, text }).await;
        said.map(drop).map_err(|error| error.to_string())
    }
}

impl Handler<Leave> for Guest {
    async fn handle(&mut self, leave: Leave, ctx: &mut Context<Self>) -> Result<(), String> {
        let left = ctx.unsubscribe::<Said>("room", &leave.room).await;
        left.map(drop).map_err(|error| error.to_string())
    }
}

impl Handler<Heard> for Guest {
    async fn handle(&mut self, _: Heard, _: &mut Context<Self>) -> Vec<String> {
        self.heard.clone()
    }
}

impl Handler<Event<Said>> for Guest {
    async fn handle(&mut self, said: Event<Said>, _: &mut Context<Self>) {
        self.heard.push(format!("{}: {}", said.who, said.text));
    }
}

/// Writes down what is said in the room of its key.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Journal {
    lines: Vec<String>,
}

/// Answers the journal.
#[derive(Debug, Message, Serialize, Deserialize)]
#[message(name = "journal.read", reply = Vec<String>)]
struct Read;

#[actor(kind = "journal", messages(Read, Event<Said>), streams("room"))]
impl Actor for Journal {}

impl Handler<Event<Said>> for Journal {
    async fn handle(&mut self, said: Event<Said>, _: &mut Context<Self>) {
        self.lines.push(format!("{}: {}", said.who, said.text));
    }
}

impl Handler<Read> for Journal {
    async fn handle(&mut self, _: Read, _: &mut Context<Self>) -> Vec<String> {
        self.lines.clone()
    }
}

async fn start(name: &str) -> Result<SiloHandle, Box<dyn Error>> {
    let silo = Silo::builder()
        .name(name)
        .cluster("chat")
        .store("memory:chat")
        .handle_signals(false);
    Ok(silo.start().await?)
}

/// Waits until so many lines are in the journal.
async fn journal(silo: &SiloHandle, count: usize) -> Result<Vec<String>, Box<dyn Error>> {
    loop {
        let lines = silo.actor::<Journal>("lobby").ask(Read).await?;
        if lines.len() >= count {
            return Ok(lines);
        }
        Clock::system().sleep(Duration::from_millis(5)).await;
    }
}

async fn run() -> Result<Vec<String>, Box<dyn Error>> {
    let (left, right) = (start("left").await?, start("right").await?);
    let enter = || Enter { room: "lobby".into() };
    for guest in ["ann", "bob", "cleo"] {
        left.actor::<Guest>(guest).ask(enter()).await??;
    }
    let room: StreamRef<Said> = right.stream("room", "lobby");
    let say = |text: &str| Said {
        who: "host".into(),
        text: text.into(),
    };
    room.publish(say("welcome")).await?;
    println!("one of the two silos leaves; the room and its guests move");
    left.stop().await?;
    room.publish(say("where were we?")).await?;
    let leave = Leave { room: "lobby".into() };
    right.actor::<Guest>("bob").ask(leave).await??;
    let delivery = room.deliver(say("goodbye, those who are left")).await?;
    println!("the last word went to {} listeners", delivery.delivered);
    let lines = journal(&right, 6).await?;
    for line in &lines {
        println!("  {line}");
    }
    for guest in ["ann", "bob", "cleo"] {
        println!(
            "{guest} heard {} of it",
            right.actor::<Guest>(guest).ask(Heard).await?.len()
        );
    }
    right.stop().await?;
    Ok(lines)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    run().await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_is_said_is_lost() {
    let lines = run().await.expect("it runs");
    let due = [
        "ann: hello",
        "bob: hello",
        "cleo: hello",
        "host: welcome",
        "host: where were we?",
        "host: goodbye, those who are left",
    ];
    assert_eq!(lines, due);
}

//! What the tests of whole clusters share: a ledger actor that books what ran, and silos in this process.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    reason = "each test uses a part, and nobody else sees it"
)]

use parking_lot::{Condvar, Mutex};
use quark::{
    clock::Clock,
    prelude::*,
    silo::{Silo, SiloBuilder, SiloHandle, SiloOptions},
};
use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

/// Books the numbers that senders give their messages: what ran, how often, and whether in order.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Ledger {
    ran: BTreeMap<String, Vec<u64>>,
    activations: u32,
}

#[derive(Debug, Clone, Message, Serialize, Deserialize)]
#[message(name = "ledger.book", reply = u64)]
pub struct Book {
    pub sender: String,
    pub n: u64,
}

#[derive(Debug, Message, Serialize, Deserialize)]
#[message(name = "ledger.save", reply = Option<String>)]
pub struct Save;

#[derive(Debug, Message, Serialize, Deserialize)]
#[message(name = "ledger.read", reply = Entries)]
pub struct Read;

#[derive(Debug, Message, Serialize, Deserialize)]
#[message(name = "ledger.panic")]
pub struct Panic;

#[derive(Debug, Message, Serialize, Deserialize)]
#[message(name = "ledger.sleep")]
pub struct SleepFor(pub u64);

/// Blocks the actor's thread until the door of this name is open.
#[derive(Debug, Message, Serialize, Deserialize)]
#[message(name = "ledger.block")]
pub struct Block(pub String);

/// Waits until the door of this name is open.
#[derive(Debug, Message, Serialize, Deserialize)]
#[message(name = "ledger.wait_for")]
pub struct WaitFor(pub String);

#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entries {
    pub ran: BTreeMap<String, Vec<u64>>,
    pub activations: u32,
    pub epoch: u64,
}

#[actor(kind = "ledger", messages(Book, Save, Read, Panic, SleepFor, Block, WaitFor))]
impl Actor for Ledger {
    async fn on_activate(&mut self, _: &mut Context<Self>) -> Result<(), ActivationError> {
        self.activations += 1;
        Ok(())
    }
}

impl Handler<Book> for Ledger {
    async fn handle(&mut self, book: Book, _: &mut Context<Self>) -> u64 {
        let ran = self.ran.entry(book.sender).or_default();
        ran.push(book.n);
        ran.len() as u64
    }
}

impl Handler<Save> for Ledger {
    async fn handle(&mut self, _: Save, ctx: &mut Context<Self>) -> Option<String> {
        ctx.save(self).await.err().map(|error| error.to_string())
    }
}

impl Handler<Read> for Ledger {
    async fn handle(&mut self, _: Read, ctx: &mut Context<Self>) -> Entries {
        Entries {
            ran: self.ran.clone(),
            activations: self.activations,
            epoch: ctx.epoch().0,
        }
    }
}

impl Handler<Panic> for Ledger {
    async fn handle(&mut self, _: Panic, _: &mut Context<Self>) {
        panic!("as it was told");
    }
}

impl Handler<SleepFor> for Ledger {
    async fn handle(&mut self, sleep: SleepFor, ctx: &mut Context<Self>) {
        let clock = ctx.clock().clone();
        clock.sleep(Duration::from_millis(sleep.0)).await;
    }
}

impl Handler<Block> for Ledger {
    async fn handle(&mut self, block: Block, _: &mut Context<Self>) {
        DOORS.pass(&block.0);
    }
}

impl Handler<WaitFor> for Ledger {
    async fn handle(&mut self, wait: WaitFor, _: &mut Context<Self>) {
        DOORS.come_to(&wait.0);
        until("the door is opened", || DOORS.is_open(&wait.0)).await;
    }
}

/// Doors by name: closed until they are opened.
pub static DOORS: Doors = Doors {
    open: Mutex::new(BTreeMap::new()),
    changed: Condvar::new(),
};

pub struct Doors {
    open: Mutex<BTreeMap<String, bool>>,
    changed: Condvar,
}

impl Doors {
    /// Blocks the thread until the door is open; `arrived` tells that somebody stands before it.
    pub fn pass(&self, name: &str) {
        self.come_to(name);
        let mut open = self.open.lock();
        while !open[name] {
            self.changed.wait(&mut open);
        }
    }

    pub fn come_to(&self, name: &str) {
        self.open.lock().entry(name.to_owned()).or_insert(false);
    }

    pub fn is_open(&self, name: &str) -> bool {
        self.open.lock().get(name).copied().unwrap_or(false)
    }

    pub fn arrived(&self, name: &str) -> bool {
        self.open.lock().contains_key(name)
    }

    pub fn open(&self, name: &str) {
        self.open.lock().insert(name.to_owned(), true);
        self.changed.notify_all();
    }
}

/// Waits until it is so.
pub async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let clock = Clock::system();
    let end = clock.now() + Duration::from_secs(20);
    while !is_so() {
        assert!(clock.now() < end, "{what}");
        clock.sleep(Duration::from_millis(2)).await;
    }
}

/// Logs to stderr what the silos log, down to the level that `QUARK_TEST_LOG` names.
pub fn log() {
    if let Some(level) = std::env::var("QUARK_TEST_LOG")
        .ok()
        .and_then(|level| level.parse::<tracing::Level>().ok())
    {
        // Another test of this process may have been first.
        let _ = tracing_subscriber::fmt()
            .with_max_level(level)
            .with_writer(std::io::stderr)
            .try_init();
    }
}

/// A cluster's name that no other test of this process has.
pub fn cluster_name() -> String {
    log();
    static LAST: AtomicU32 = AtomicU32::new(0);
    format!("test-{}", LAST.fetch_add(1, Ordering::Relaxed))
}

/// A silo of a cluster in this process, on a memory store of the cluster's name.
pub fn silo(cluster: &str, name: &str) -> SiloBuilder {
    let options = SiloOptions {
        name: name.into(),
        cluster: cluster.into(),
        store: format!("memory:{cluster}"),
        workers: 2,
        handle_signals: false,
        ..SiloOptions::default()
    };
    Silo::builder().options(options)
}

pub async fn start(cluster: &str, name: &str) -> SiloHandle {
    silo(cluster, name).start().await.expect("the silo starts")
}

/// Waits until every one of the silos knows that all of them are Active.
pub async fn know_each_other(silos: &[&SiloHandle]) {
    let all_know = || silos.iter().all(|silo| silo.view().active().count() == silos.len());
    until("the silos see each other", all_know).await;
}

/// Each of a sender's messages ran once, in the order sent.
pub fn assert_in_order(entries: &Entries, sender: &str, count: u64) {
    let ran = entries.ran.get(sender).cloned().unwrap_or_default();
    assert_eq!(ran, (0..count).collect::<Vec<_>>(), "{sender}: each once, in order");
}

/// Asks along a path of relays, and answers what the last of them said.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Relay;

#[derive(Debug, Message, Serialize, Deserialize)]
#[message(name = "relay.pass", reply = Result<String, String>)]
pub struct Pass {
    pub path: Vec<String>,
}

#[actor(kind = "relay", messages(Pass), volatile)]
impl Actor for Relay {
    async fn on_activate(&mut self, ctx: &mut Context<Self>) -> Result<(), ActivationError> {
        if ctx.key().starts_with("broken") {
            return Err(ActivationError::new("it is broken"));
        }
        Ok(())
    }
}

impl Handler<Pass> for Relay {
    async fn handle(&mut self, pass: Pass, ctx: &mut Context<Self>) -> Result<String, String> {
        let mut path = pass.path;
        if path.is_empty() {
            return Ok(ctx.key().to_owned());
        }
        let next = ctx.actor::<Self>(&path.remove(0));
        match next.ask(Pass { path }).await {
            Ok(answer) => answer,
            Err(error) => Err(error.to_string()),
        }
    }
}

//! Invoices that dun by themselves: a reminder ticks until the invoice is paid, also when everything was down in between.
//!
//! ```sh
//! cargo run --example reminders
//! ```

use quark::{
    actor::{Schedule, Tick},
    clock::Clock,
    prelude::*,
    silo::{Silo, SiloHandle},
};
use std::{error::Error, path::Path, time::Duration};

/// How long a customer has before each letter. Weeks, elsewhere.
const PATIENCE: Duration = Duration::from_millis(400);

/// An invoice, and what became of it.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Invoice {
    cents: u64,
    paid: bool,
    letters: Vec<String>,
    /// When the last tick was due: one that comes again after a failure is known by it.
    last_tick: u64,
}

/// Sends the invoice.
#[derive(Debug, Message, Serialize, Deserialize)]
#[message(name = "invoice.send", reply = Result<(), String>)]
struct Send {
    cents: u64,
}

/// What the reminder brings.
#[derive(Debug, Message, Serialize, Deserialize)]
#[message(name = "invoice.dun")]
struct Dun {
    fee: u64,
}

/// Pays; answers what was due.
#[derive(Debug, Message, Serialize, Deserialize)]
#[message(name = "invoice.pay", reply = Result<u64, String>)]
struct Pay;

/// Answers the letters that were sent.
#[derive(Debug, Message, Serialize, Deserialize)]
#[message(name = "invoice.letters", reply = Vec<String>)]
struct Letters;

#[actor(kind = "invoice", messages(Send, Tick<Dun>, Pay, Letters))]
impl Actor for Invoice {}

impl Handler<Send> for Invoice {
    async fn handle(&mut self, send: Send, ctx: &mut Context<Self>) -> Result<(), String> {
        self.cents = send.cents;
        let letters = Schedule::every(PATIENCE);
        let set = ctx.set_reminder("dun", letters, &Dun { fee: 500 }).await;
        set.map_err(|error| error.to_string())?;
        ctx.save(self).await.map(drop).map_err(|error| error.to_string())
    }
}

impl Handler<Tick<Dun>> for Invoice {
    async fn handle(&mut self, dun: Tick<Dun>, ctx: &mut Context<Self>) {
        if self.paid || dun.due_micros <= self.last_tick {
            return;
        }
        self.last_tick = dun.due_micros;
        self.cents += dun.message.fee;
        let letter = format!("letter {}: {} cents are due", self.letters.len() + 1, self.cents);
        println!("  {}: {letter}", ctx.key());
        self.letters.push(letter);
        if let Err(error) = ctx.save(self).await {
            eprintln!("  {}: {error}", ctx.key());
        }
    }
}

impl Handler<Pay> for Invoice {
    async fn handle(&mut self, _: Pay, ctx: &mut Context<Self>) -> Result<u64, String> {
        self.paid = true;
        let cancelled = ctx.cancel_reminder("dun").await;
        cancelled.map_err(|error| error.to_string())?;
        ctx.save(self).await.map_err(|error| error.to_string())?;
        Ok(self.cents)
    }
}

impl Handler<Letters> for Invoice {
    async fn handle(&mut self, _: Letters, _: &mut Context<Self>) -> Vec<String> {
        self.letters.clone()
    }
}

async fn start(name: &str, file: &Path) -> Result<SiloHandle, Box<dyn Error>> {
    let store = format!("embedded:{}", file.display());
    Ok(Silo::builder()
        .name(name)
        .cluster("invoices")
        .store(store)
        .start()
        .await?)
}

/// Waits until so many letters were sent.
async fn letters(silo: &SiloHandle, count: usize) -> Result<Vec<String>, Box<dyn Error>> {
    loop {
        let letters = silo.actor::<Invoice>("2026-001").ask(Letters).await?;
        if letters.len() >= count {
            return Ok(letters);
        }
        Clock::system().sleep(Duration::from_millis(20)).await;
    }
}

async fn run() -> Result<u64, Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("invoices.db");
    println!("the invoice is sent");
    let silo = start("monday", &file).await?;
    silo.actor::<Invoice>("2026-001").ask(Send { cents: 10_000 }).await??;
    letters(&silo, 2).await?;
    silo.stop().await?;
    println!("everything is down, and time goes on");
    Clock::system().sleep(PATIENCE * 3).await;
    println!("and up again: what was missed meanwhile comes once");
    let silo = start("tuesday", &file).await?;
    letters(&silo, 4).await?;
    let due = silo.actor::<Invoice>("2026-001").ask(Pay).await??;
    println!(
        "paid: {due} cents; reminders left: {}",
        silo.reminders::<Invoice>("2026-001").await?.len()
    );
    silo.stop().await?;
    Ok(due)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    run().await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invoice_duns_until_it_is_paid() {
    let due = run().await.expect("it runs");
    assert!(due >= 10_000 + 4 * 500 && due % 500 == 0, "{due}");
}

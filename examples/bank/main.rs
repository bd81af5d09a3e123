//! A bank whose sum never changes: accounts on three silos pay each other while silos are killed with SIGKILL and come back.
//!
//! ```sh
//! cargo run --release --example bank -- --kills 10
//! ```
//!
//! A transfer takes money out of one account and posts a message to another, saved in one step with the new balance; the other takes it
//! once. The transfer is idempotent, so clients ask again when a silo was lost before it answered. In the end every account has exactly
//! what its clients were told.

mod account;
mod bank;
mod silo_process;

use anyhow::Result;
use clap::Parser;
use std::env;

/// Transfers money between accounts while silos are killed.
#[derive(Parser)]
struct Options {
    /// How many silos.
    #[arg(long, default_value_t = 3)]
    silos: usize,
    /// How many of them are killed.
    #[arg(long, default_value_t = 5)]
    kills: u64,
    /// How many accounts.
    #[arg(long, default_value_t = 20)]
    accounts: u64,
    /// How many clients.
    #[arg(long, default_value_t = 8)]
    clients: u64,
    /// What the transfers and the kills depend on.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The store; a file of its own if not given.
    #[arg(long)]
    store: Option<String>,
}

fn main() -> Result<()> {
    if let Ok(settings) = env::var(silo_process::SETTINGS) {
        return silo_process::serve(&settings);
    }
    let options = Options::parse();
    let folder = tempfile::tempdir()?;
    let own = || format!("embedded:{}", folder.path().join("bank.db").display());
    let plan = bank::Plan {
        silos: options.silos,
        accounts: options.accounts,
        clients: options.clients,
        kills: options.kills,
        transfers_between: 200,
        seed: options.seed,
        store: options.store.unwrap_or_else(own),
        arguments: &[],
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let report = runtime.block_on(plan.run())?;
    println!(
        "{} transfers, {} refused, {} asked again past their deadline, {} silos killed; the sum is {}, as it was.",
        report.transfers, report.refused, report.asked_again, report.kills, report.sum
    );
    Ok(())
}

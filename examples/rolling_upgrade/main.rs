//! A rolling upgrade of a real cluster under real load: the main job of Quark.
//!
//! `cargo run --release --example rolling_upgrade` starts three silo processes of version 1 of a small application,
//! replays a month of flights against them over TCP, starts three of version 2 (another program), and stops those of
//! version 1 one after the other while the load goes on. In the end every actor is asked what it has run, and the program
//! fails unless nothing failed, was lost, ran twice, was reordered, or moved twice.
//!
//! ```text
//!   senders, probe ──TCP──► v1-1  v1-2  v1-3        flights-v1 1.0.0   SIGTERM, one after the other
//!                  ──TCP──► v2-1  v2-2  v2-3        flights-v2 1.1.0   take the actors over, live
//!                             one store
//! ```

mod audit;
mod board;
mod display;
mod expectation;
mod flights;
mod latency;
mod load;
mod options;
mod pace;
mod process_group;
mod programs;
mod receipt;
mod screen;
mod sender;
mod silo_process;
mod tally;
mod upgrade;
mod watch_silos;

use anyhow::{Context, Result};
use clap::Parser;
use flights::Flights;
use options::Options;
use receipt::Receipt;
use screen::Screen;
use silo_process::Settings;
use std::{
    fmt::Write as _,
    io::Write,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::Instant,
};
use upgrade::Plan;

fn main() -> ExitCode {
    let options = Options::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let result = runtime.context("cannot start").and_then(|runtime| {
        let result = runtime.block_on(run_or_stop(&options));
        // What was given up may wait for something that does not end.
        runtime.shutdown_timeout(Duration::from_secs(1));
        result
    });
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs until the end or a signal. All processes that were started are gone afterwards.
async fn run_or_stop(options: &Options) -> Result<ExitCode> {
    let mut signals = Vec::new();
    for (kind, name) in [
        (SignalKind::interrupt(), "Ctrl+C"),
        (SignalKind::terminate(), "SIGTERM"),
        (SignalKind::hangup(), "SIGHUP"),
    ] {
        signals.push((
            signal(kind).context("cannot listen to signals")?,
            kind.as_raw_value(),
            name,
        ));
    }
    let stopped = signals.iter_mut().map(|(signal, number, name)| {
        Box::pin(async move {
            signal.recv().await;
            (*number, *name)
        })
    });
    tokio::select! {
        code = run(options) => code,
        ((number, name), ..) = futures_util::future::select_all(stopped) => {
            eprintln!("\nstopped by {name}; all silos are gone");
            Ok(ExitCode::from(128 + u8::try_from(number).unwrap_or(0)))
        }
    }
}

async fn run(options: &Options) -> Result<ExitCode> {
    options.check()?;
    let flights = Arc::new(Flights::read(options.flights())?);
    let json = options.open_json()?;
    let folder = tempfile::Builder::new().prefix("quark-flights-").tempdir();
    let folder = folder.context("cannot make a temporary folder")?;
    let programs = match options.programs() {
        Some(folder) => programs::present(folder)?,
        None => programs::build(programs::Beside::Example).await?,
    };
    let screen = Arc::new(Mutex::new(Screen::new(options.is_stdout_taken())));
    let store = options.store.clone();
    let plan = Plan {
        options,
        flights,
        programs,
        settings: Settings {
            // A store that is used again holds what an earlier run counted, under another name.
            cluster: format!("flights-{}", random_text()?),
            secret: random_text()?,
            store: store.unwrap_or_else(|| format!("embedded:{}", folder.path().join("quark.db").display())),
            logs: folder.path().to_path_buf(),
            arguments: Vec::new(),
        },
        screen: screen.clone(),
        started: Instant::now(),
    };
    let receipt = upgrade::run(plan).await?;
    let mut screen = screen.lock().unwrap_or_else(PoisonError::into_inner);
    receipt.lines().iter().for_each(|line| screen.line(line));
    drop(screen);
    if let Some(mut json) = json {
        write_json(&mut json, &receipt).context("cannot write the receipt as JSON")?;
    }
    if receipt.is_good() {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("the logs of the silos are in {}", folder.keep().display());
    Ok(ExitCode::FAILURE)
}

fn write_json(out: &mut dyn Write, receipt: &Receipt) -> Result<()> {
    serde_json::to_writer(&mut *out, receipt)?;
    out.write_all(b"\n")?;
    Ok(out.flush()?)
}

/// 128 random bits.
fn random_text() -> Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).context("the system gives no random numbers")?;
    Ok(bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

//! How the application's silo is started, told and stopped; the same in both versions.
//!
//! One JSON line on standard output says that the silo is ready, one at the end how it ended; logs go to standard error
//! (`RUST_LOG=debug` for more of them).
//!
//! ```text
//! {"ready": {"silo": {..}, "address": "127.0.0.1:40123", "version": "1.0.0"}}
//! {"report": {..}}      after SIGTERM or SIGINT: the `ShutdownReport`
//! {"error": "..."}      it did not start, or ended before its time
//! ```

use clap::{Parser, ValueEnum};
use flights_messages::Answer;
use quark::{
    prelude::*,
    silo::{SchemaConflicts, Silo, SiloOptions},
};
use serde_json::{Value, json};
use std::{
    io::{self, Read, Write},
    process::ExitCode,
    sync::OnceLock,
    thread,
    time::Duration,
};

/// A silo of the flights application.
#[derive(Parser)]
#[command(version, about)]
struct Options {
    /// The name of the silo.
    #[arg(long)]
    name: String,
    /// The name of the cluster.
    #[arg(long, default_value = "flights")]
    cluster: String,
    /// The URL of the store that all silos share.
    #[arg(long, default_value = "embedded:flights.db")]
    store: String,
    /// Where to listen; port 0 is any free port.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: String,
    /// Threads that run actors.
    #[arg(long, default_value_t = 2)]
    workers: usize,
    /// When actors are saved.
    #[arg(long, value_enum, default_value_t = Save::Leaving)]
    save: Save,
    /// For how long a silo is silent before its peers take it for dead, in milliseconds.
    #[arg(long)]
    failure_timeout_ms: Option<u64>,
    /// Joins also if it and living silos cannot read each other's messages.
    #[arg(long)]
    allow_conflicts: bool,
    /// Ends at once when standard input is closed, so that the silo cannot outlive the program that started it.
    #[arg(long)]
    exit_with_parent: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Save {
    /// When they are deactivated; their memory moves with them.
    Leaving,
    /// Before each answer: what was answered survives a crash.
    Each,
}

/// The secret is passed in the environment: others can read a command line.
const SECRET: &str = "FLIGHTS_SECRET";

static SAVE: OnceLock<Save> = OnceLock::new();

/// Answers a message that the actor has entered; saves it first if the silo was told to.
pub(crate) async fn answer<A: Actor>(actor: &A, ctx: &mut Context<A>) -> Answer {
    let saved = SAVE.get() == Some(&Save::Each)
        && (ctx.save(actor).await)
            .inspect_err(|error| tracing::warn!(actor = %ctx.id(), %error, "not saved"))
            .is_ok();
    Answer {
        version: A::VERSION.into(),
        saved,
    }
}

/// Runs the silo until it is told to stop.
pub(crate) fn run(version: &str) -> ExitCode {
    let options = Options::parse();
    let level = std::env::var("RUST_LOG").ok().and_then(|level| level.parse().ok());
    tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_ansi(false)
        .with_max_level(level.unwrap_or(tracing_subscriber::filter::LevelFilter::INFO))
        .init();
    if options.exit_with_parent {
        thread::spawn(|| {
            let _ = io::stdin().read_to_end(&mut Vec::new());
            std::process::exit(3);
        });
    }
    match serve(options, version) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let text = told(&error);
            say(&json!({ "error": text }));
            eprintln!("error: {text}");
            ExitCode::FAILURE
        }
    }
}

fn serve(options: Options, version: &str) -> anyhow::Result<()> {
    SAVE.set(options.save).unwrap_or(());
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(async {
        let mut all = SiloOptions {
            name: options.name,
            cluster: options.cluster,
            store: options.store,
            listen: options.listen,
            workers: options.workers,
            ..SiloOptions::default()
        };
        if options.allow_conflicts {
            all.schema_conflicts = SchemaConflicts::Allow;
        }
        if let Some(millis) = options.failure_timeout_ms {
            let timeout = Duration::from_millis(millis);
            all.membership.failure_timeout = timeout;
            all.membership.lease = timeout * 3 / 4;
            all.membership.heartbeat_interval = timeout / 5;
            all.membership.read_interval = timeout / 5;
            all.membership.probe_timeout = timeout / 5;
            all.membership.store_timeout = timeout / 2;
        }
        let mut silo = Silo::builder().options(all);
        if let Ok(secret) = std::env::var(SECRET) {
            silo = silo.secret(secret);
        }
        let silo = silo.start().await?;
        say(&json!({ "ready": { "silo": silo.id(), "address": silo.address(), "version": version } }));
        let report = silo.run_until_shutdown().await?;
        say(&json!({ "report": report }));
        Ok(())
    })
}

/// The error and its causes, each once: most say what caused them.
fn told(error: &anyhow::Error) -> String {
    error
        .chain()
        .map(ToString::to_string)
        .fold(String::new(), |told, cause| match told {
            told if told.is_empty() => cause,
            told if told.contains(&cause) => told,
            told => format!("{told}: {cause}"),
        })
}

/// One line on standard output. Nobody may be reading it any more, which is no reason to stop.
fn say(line: &Value) {
    let mut stdout = io::stdout().lock();
    let _ = writeln!(stdout, "{line}");
    let _ = stdout.flush();
}

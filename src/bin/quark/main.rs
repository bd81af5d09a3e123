//! The program `quark`: what people do for a cluster from a shell. Each command has a file of its own.

mod actors;
mod cert;
mod connection;
mod output;
mod rollout;
mod silos;

use clap::{CommandFactory, Parser, Subcommand};
use std::process::ExitCode;

/// For those who run clusters of Quark silos.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Status(silos::Status),
    Silos(silos::Silos),
    Versions(silos::Versions),
    Actors(actors::Actors),
    Actor(actors::Actor),
    Rollout(rollout::Rollout),
    Cert(cert::Cert),
    /// Print the completions of a shell, to be read by it
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

fn main() -> ExitCode {
    let Arguments { command } = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("quark: this program cannot do I/O: {error}");
            return ExitCode::FAILURE;
        }
    };
    let done = runtime.block_on(async {
        match command {
            Command::Status(status) => status.run().await,
            Command::Silos(silos) => silos.run().await,
            Command::Versions(versions) => versions.run().await,
            Command::Actors(actors) => actors.run().await,
            Command::Actor(actor) => actor.run().await,
            Command::Rollout(rollout) => rollout.run().await,
            Command::Cert(cert) => cert.run(),
            Command::Completions { shell } => {
                clap_complete::generate(shell, &mut Arguments::command(), "quark", &mut std::io::stdout());
                Ok(())
            }
        }
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("quark: {error:#}");
            ExitCode::FAILURE
        }
    }
}

//! The program `quark`: what people do for a cluster from a shell. Each command has a file of its own.

mod actors;
mod cert;
mod connection;
mod leaving;
mod letters;
mod lock;
mod moving;
mod output;
mod rollout;
mod rules;
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
    Migrate(moving::Migrate),
    Cordon(leaving::Cordon),
    Uncordon(leaving::Uncordon),
    Drain(leaving::DrainSilo),
    DeadLetters(letters::DeadLetters),
    Rollout(rollout::Rollout),
    Rules(rules::ShowRules),
    Policy(rules::Policy),
    Pin(rules::Pin),
    Unpin(rules::Unpin),
    Switch(rules::SwitchKind),
    Lock(lock::LockFiles),
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
            Command::Migrate(migrate) => migrate.run().await,
            Command::Cordon(cordon) => cordon.run().await,
            Command::Uncordon(uncordon) => uncordon.run().await,
            Command::Drain(drain) => drain.run().await,
            Command::DeadLetters(letters) => letters.run().await,
            Command::Rollout(rollout) => rollout.run().await,
            Command::Rules(rules) => rules.run().await,
            Command::Policy(policy) => policy.run().await,
            Command::Pin(pin) => pin.run().await,
            Command::Unpin(unpin) => unpin.run().await,
            Command::Switch(switch) => switch.run().await,
            Command::Lock(files) => files.run().await,
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

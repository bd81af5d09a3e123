//! The program `quark`: what people do for a cluster from a shell. Each command has a file of its own.

mod cert;

use clap::{Parser, Subcommand};
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
    Cert(cert::Cert),
}

fn main() -> ExitCode {
    let Arguments { command } = Arguments::parse();
    let done = match command {
        Command::Cert(cert) => cert.run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("quark: {error:#}");
            ExitCode::FAILURE
        }
    }
}

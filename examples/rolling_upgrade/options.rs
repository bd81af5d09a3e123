//! What the program can be told.

use anyhow::{Context, Result, ensure};
use clap::Parser;
use std::{
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
};

/// Upgrades a cluster of silos from version 1 to version 2 while flights are replayed against it, and counts what went
/// wrong: nothing, or the program fails.
#[derive(Parser)]
#[command(name = "rolling_upgrade")]
pub(crate) struct Options {
    /// Silos of each version.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=32))]
    pub(crate) silos: u16,
    /// Messages per second, at the most; a short file is replayed more slowly.
    #[arg(long, value_name = "N", default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) rate: u32,
    /// The flights to replay, as CSV. Default: examples/data/flights-2013-01.csv of this project.
    #[arg(long, value_name = "FILE")]
    flights: Option<PathBuf>,
    /// The store that the silos share, as `embedded:FILE` or `redis://HOST`. Default: a file in a temporary folder.
    #[arg(long, value_name = "URL")]
    pub(crate) store: Option<String>,
    /// The first of the ports that the silos listen on. Default: any free ports.
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// Writes the receipt as JSON to a file, or to standard output (`-`); all else goes to standard error then.
    #[arg(long, value_name = "FILE|-")]
    json: Option<PathBuf>,
    /// The folder that holds the silos' programs, flights-v1 and flights-v2. Default: cargo builds them first.
    #[arg(long, value_name = "FOLDER")]
    programs: Option<PathBuf>,
}

impl Options {
    /// Checks what the parser of the command line cannot.
    ///
    /// # Errors
    /// What cannot be, and what can.
    pub(crate) fn check(&self) -> Result<()> {
        if let Some(store) = &self.store {
            ensure!(
                !store.to_ascii_lowercase().starts_with("memory:"),
                "--store {store} cannot be used: it is the memory of one process, and the silos are several; give \
                 embedded:FILE or redis://HOST"
            );
        }
        if let Some(port) = self.port {
            let silos = u32::from(self.silos) * 2;
            ensure!(
                u32::from(port) + silos - 1 <= u32::from(u16::MAX),
                "--port {port} cannot be used: {silos} silos listen on as many ports from there on, and the last port is {}",
                u16::MAX
            );
        }
        Ok(())
    }

    /// Where the silos' programs are, if they need not be built.
    pub(crate) fn programs(&self) -> Option<&Path> {
        self.programs.as_deref()
    }

    /// Which file holds the flights.
    pub(crate) fn flights(&self) -> &Path {
        let own = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/flights-2013-01.csv");
        self.flights.as_deref().unwrap_or(Path::new(own))
    }

    /// Where the silo of this number, counted from 0 through both versions, is to listen.
    pub(crate) fn listen(&self, silo: u16) -> String {
        format!("127.0.0.1:{}", self.port.map_or(0, |port| port + silo))
    }

    /// Whether standard output is for the receipt alone.
    pub(crate) fn is_stdout_taken(&self) -> bool {
        self.json.as_deref() == Some(Path::new("-"))
    }

    /// Opens what the receipt is to be written to as JSON, if it is.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(crate) fn open_json(&self) -> Result<Option<Box<dyn Write>>> {
        Ok(match &self.json {
            None => None,
            Some(_) if self.is_stdout_taken() => Some(Box::new(io::stdout())),
            Some(path) => {
                let file = File::create(path).with_context(|| format!("cannot write --json {}", path.display()))?;
                Some(Box::new(file))
            }
        })
    }
}

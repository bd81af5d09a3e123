//! A silo as a process: started, heard, told to stop, and gone when dropped.

use crate::process_group::ProcessGroup;
use anyhow::{Context, Error, Result, anyhow, bail};
use quark::{ident::SiloId, wire::ShutdownReport};
use serde::Deserialize;
use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{ChildStdin, ChildStdout, Command, ExitStatus, Stdio},
    thread,
    time::Duration,
};
use tokio::{sync::mpsc, time};

/// How long a silo may take to be ready, and to end after its report.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a silo may take to drain: its own limit of 30 s, and a margin.
const DRAIN_PATIENCE: Duration = Duration::from_secs(45);

/// What silos are started with.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The name of the cluster.
    pub(crate) cluster: String,
    /// What its processes prove to know.
    pub(crate) secret: String,
    /// The URL of the store.
    pub(crate) store: String,
    /// The folder of the logs.
    pub(crate) logs: PathBuf,
    /// What else a silo is told.
    pub(crate) arguments: Vec<String>,
}

/// A silo that says it is ready.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Ready {
    pub(crate) silo: SiloId,
    pub(crate) address: String,
    pub(crate) version: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Said {
    Ready(Ready),
    Report(Box<ShutdownReport>),
    Error(String),
}

/// A silo process.
#[derive(Debug)]
pub(crate) struct SiloProcess {
    name: String,
    process: ProcessGroup,
    said: mpsc::Receiver<Said>,
    log: PathBuf,
    /// The silo ends by itself when this closes, however this process ends.
    _leash: ChildStdin,
}

impl SiloProcess {
    /// Starts a silo of a program.
    ///
    /// # Errors
    /// If the program cannot be run, or its log cannot be written.
    pub(crate) fn start(program: &Path, name: &str, listen: &str, settings: &Settings) -> Result<Self> {
        let log = settings.logs.join(format!("{name}.log"));
        let stderr = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut command = Command::new(program);
        command
            .args(["--exit-with-parent", "--name", name, "--listen", listen])
            .args(["--cluster", &settings.cluster, "--store", &settings.store])
            .args(&settings.arguments)
            .env("FLIGHTS_SECRET", &settings.secret)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr);
        let mut process =
            ProcessGroup::start(&mut command).with_context(|| format!("cannot run {}", program.display()))?;
        Ok(Self {
            name: name.to_owned(),
            _leash: process.take_stdin(),
            said: hear(process.take_stdout()),
            process,
            log,
        })
    }

    /// The silo's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Waits until it takes calls.
    ///
    /// # Errors
    /// If it ends or is silent instead: what it says, or the end of its log.
    pub(crate) async fn ready(&mut self) -> Result<Ready> {
        match time::timeout(PATIENCE, self.said.recv()).await {
            Ok(Some(Said::Ready(ready))) => Ok(ready),
            Ok(Some(Said::Error(why))) => bail!("silo {} did not start: {why}", self.name),
            Ok(_) => Err(self.trouble("ended before it was ready")),
            Err(_) => Err(self.trouble("was not ready in time")),
        }
    }

    /// Sends SIGTERM: the silo drains, leaves and ends.
    ///
    /// # Errors
    /// If it is gone already.
    pub(crate) fn terminate(&mut self) -> Result<()> {
        let sent = self.process.terminate();
        sent.map_err(|error| self.trouble("was to be stopped").context(error))
    }

    /// Waits for the end of a silo that was told to stop.
    ///
    /// # Errors
    /// If it ends otherwise than with its report and success.
    pub(crate) async fn report(mut self) -> Result<ShutdownReport> {
        let report = match time::timeout(DRAIN_PATIENCE, self.said.recv()).await {
            Ok(Some(Said::Report(report))) => report,
            Ok(Some(Said::Error(why))) => bail!("silo {} did not stop as it should: {why}", self.name),
            Ok(_) => return Err(self.trouble("ended without a report")),
            Err(_) => return Err(self.trouble("did not stop in time")),
        };
        match time::timeout(PATIENCE, self.said.recv()).await {
            Ok(None) => {}
            Ok(Some(_)) => return Err(self.trouble("said more after its report")),
            Err(_) => return Err(self.trouble("did not end after its report")),
        }
        let trouble = self.trouble("did not end well");
        let status: ExitStatus = time::timeout(PATIENCE, self.process.wait())
            .await
            .context("it did not end")??;
        if status.success() {
            Ok(*report)
        } else {
            Err(trouble.context(status))
        }
    }

    /// What to say if it has ended though nobody told it to.
    pub(crate) fn ended(&mut self) -> Option<Error> {
        let status = self.process.ended()?;
        Some(self.trouble(&format!("ended by itself ({status})")))
    }

    fn trouble(&self, what: &str) -> Error {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let end = lines[lines.len().saturating_sub(15)..].join("\n  ");
        let end = if end.is_empty() { "(nothing)" } else { &end };
        anyhow!("silo {} {what}; the end of its log:\n  {end}", self.name)
    }
}

/// Hears what a silo says on its standard output until it ends.
fn hear(output: ChildStdout) -> mpsc::Receiver<Said> {
    let (sender, receiver) = mpsc::channel(4);
    thread::spawn(move || {
        // A line is bounded by the report of the actors that moved.
        let mut lines = BufReader::new(output.take(1 << 30)).lines();
        while let Some(Ok(line)) = lines.next() {
            let said = serde_json::from_str(&line);
            let said =
                said.unwrap_or_else(|error| Said::Error(format!("it said {line:?}, which is no JSON of it: {error}")));
            if sender.blocking_send(said).is_err() {
                return;
            }
        }
    });
    receiver
}

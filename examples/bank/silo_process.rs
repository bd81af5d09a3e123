//! A silo of the bank as a process of its own, which can be killed.

use crate::account::Account;
use anyhow::{Context, Result, ensure};
use quark::silo::{Silo, SiloOptions};
use serde::{Deserialize, Serialize};
use std::{
    env,
    io::{self, BufRead, BufReader, Read, Write},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

/// Names what a silo is started with, in the environment of its process.
pub(crate) const SETTINGS: &str = "BANK_SILO";

/// What a silo says before its address when it is ready.
const READY: &str = "the silo is at ";

/// What a silo is started with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Settings {
    pub(crate) name: String,
    pub(crate) store: String,
    /// For how long it is silent before its peers take it for dead.
    pub(crate) failure_timeout: Duration,
}

/// A silo that runs; killed when it is dropped.
pub(crate) struct SiloProcess {
    child: Child,
    pub(crate) address: String,
}

impl SiloProcess {
    /// Starts this very program again as a silo, with `arguments`, and waits until it is ready.
    pub(crate) fn start(settings: &Settings, arguments: &[&str]) -> Result<Self> {
        let mut child = Command::new(env::current_exe()?)
            .args(arguments)
            .env(SETTINGS, serde_json::to_string(settings)?)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take().context("its output is piped")?;
        let mut said = BufReader::new(output).lines();
        let address = said.by_ref().map_while(io::Result::ok).find_map(|line| {
            let (_, address) = line.split_once(READY)?;
            Some(address.to_owned())
        });
        ensure!(address.is_some(), "silo {} did not start: see above", settings.name);
        // Nobody reads on, and it says nothing more.
        thread::spawn(move || said.for_each(drop));
        Ok(Self {
            child,
            address: address.unwrap_or_default(),
        })
    }

    /// SIGKILL: nothing is saved, nobody is told.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for SiloProcess {
    fn drop(&mut self) {
        // It may be gone.
        let _ = self.kill();
    }
}

/// Runs a silo until it is killed, or whoever started it is gone.
pub(crate) fn serve(settings: &str) -> Result<()> {
    let settings: Settings = serde_json::from_str(settings)?;
    thread::spawn(|| {
        let _ = io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(3);
    });
    let timeout = settings.failure_timeout;
    let mut options = SiloOptions {
        name: settings.name,
        cluster: "bank".into(),
        store: settings.store,
        workers: 1,
        ..SiloOptions::default()
    };
    options.membership.failure_timeout = timeout;
    options.membership.lease = timeout * 3 / 4;
    options.membership.heartbeat_interval = timeout / 5;
    options.membership.read_interval = timeout / 5;
    options.membership.probe_timeout = timeout / 5;
    options.membership.store_timeout = timeout / 2;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(async {
        let silo = Silo::builder().options(options).register::<Account>().start().await?;
        println!("{READY}{}", silo.address());
        io::stdout().flush()?;
        silo.run_until_shutdown().await?;
        Ok(())
    })
}

//! `quark cordon`, `quark uncordon`, `quark drain`: a silo that is to leave, or to stay.

use super::{
    connection::Connection,
    output::{Output, bar, clear_line},
};
use quark::{
    admin::Admin,
    clock::Clock,
    ident::SiloId,
    store::SiloStatus,
    wire::{DrainProgress, LeaveAsked},
};
use serde::Serialize;
use std::time::Duration;

/// How long a silo that leaves in order may say nothing at its end.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Let a silo take no more actors; those that it has stay
#[derive(Debug, clap::Args)]
pub(crate) struct Cordon {
    #[command(flatten)]
    one: One,
}

/// Let a silo take actors again, and call its drain off
#[derive(Debug, clap::Args)]
pub(crate) struct Uncordon {
    #[command(flatten)]
    one: One,
}

/// Let a silo leave in order: its actors move to others, then it ends
#[derive(Debug, clap::Args)]
pub(crate) struct DrainSilo {
    /// Do not wait for its end
    #[arg(long)]
    no_wait: bool,
    #[command(flatten)]
    one: One,
}

#[derive(Debug, clap::Args)]
struct One {
    /// The name of the silo
    silo: String,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

#[derive(Serialize)]
struct Done<'a> {
    silo: &'a SiloId,
    done: &'static str,
}

impl One {
    async fn ask(&self, asked: LeaveAsked) -> anyhow::Result<(Admin, SiloId)> {
        let admin = self.connection.open().await?;
        let silo = admin.silo(&self.silo)?;
        admin.leave(&silo, asked).await?;
        Ok((admin, silo))
    }

    fn say(&self, silo: &SiloId, done: &'static str) -> anyhow::Result<()> {
        self.output.print(&Done { silo, done }, || format!("{silo} {done}"))
    }
}

impl Cordon {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let (_, silo) = self.one.ask(LeaveAsked::Cordon).await?;
        self.one.say(&silo, "is cordoned")
    }
}

impl Uncordon {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let (_, silo) = self.one.ask(LeaveAsked::Uncordon).await?;
        self.one.say(&silo, "takes actors")
    }
}

impl DrainSilo {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let (admin, silo) = self.one.ask(LeaveAsked::Drain).await?;
        if self.no_wait {
            return self.one.say(&silo, "drains");
        }
        let clock = Clock::system();
        let (mut most, mut drains, mut heard) = (0, false, clock.now());
        // A silo that has left is no silo of the cluster any more.
        while let Some(address) = admin.silos().into_iter().find(|address| address.silo == silo) {
            if let Ok(report) = admin.status(&silo).await {
                heard = clock.now();
                match report.drain {
                    Some(drain) => {
                        drains = true;
                        most = most.max(drain.actors_left);
                        self.show(&drain, most)?;
                    }
                    None if drains && address.status == SiloStatus::Active => {
                        clear_line();
                        anyhow::bail!("{silo} was un-cordoned and stays: drain it again if it is to leave");
                    }
                    None => {}
                }
            }
            clock.sleep(Duration::from_millis(200)).await;
        }
        clear_line();
        let silent = clock.now().since(heard);
        if silent > LAST_WORDS {
            let silent = silent.as_secs();
            anyhow::bail!(
                "{silo} is gone, and had not answered for {silent} s: it died, or was cut off, before it had left; see its log"
            );
        }
        self.one.say(&silo, "has left")
    }

    fn show(&self, drain: &DrainProgress, most: usize) -> anyhow::Result<()> {
        if self.one.output.json {
            println!("{}", serde_json::to_string(drain)?);
        } else {
            let gone = most - drain.actors_left;
            let text = format!("{}: {} actors left", drain.phase, drain.actors_left);
            bar(gone, most, &text);
        }
        Ok(())
    }
}

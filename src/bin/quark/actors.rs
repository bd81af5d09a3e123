//! `quark actors`, `quark actor`: one by one.

use super::{
    connection::Connection,
    output::{Colour, Output, bytes, coloured, table},
};
use anyhow::Context;
use quark::{ident::ActorId, wire::ActorsAsked};

/// List active actors, the hottest first
#[derive(Debug, clap::Args)]
pub(crate) struct Actors {
    #[command(flatten)]
    connection: Connection,
    /// Of this kind alone
    #[arg(long)]
    kind: Option<String>,
    /// Whose keys begin so
    #[arg(long)]
    prefix: Option<String>,
    /// The hot ones alone
    #[arg(long, conflicts_with = "cold")]
    hot: bool,
    /// Those that are not hot alone
    #[arg(long)]
    cold: bool,
    /// The most that are listed
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    #[command(flatten)]
    output: Output,
}

impl Actors {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let admin = self.connection.open().await?;
        let asked = ActorsAsked {
            kind: self.kind,
            prefix: self.prefix,
            hot: (self.hot || self.cold).then_some(self.hot),
            limit: usize::try_from(self.limit)?,
        };
        let (listed, silent) = admin.actors(&asked).await;
        for error in &silent {
            eprintln!("quark: {}", coloured(&error.to_string(), Colour::Red));
        }
        self.output.print(&listed, || {
            let rows = listed.actors.iter().map(|line| {
                [
                    line.actor.to_string(),
                    line.silo.name().to_owned(),
                    line.version.clone(),
                    if line.hot {
                        coloured("hot", Colour::Red)
                    } else {
                        "cold".into()
                    },
                    format!("{:.2}", line.score),
                    line.waiting.to_string(),
                    format!("{} ms", line.idle_ms),
                ]
            });
            let shown = listed.actors.len();
            let table = table(
                ["actor", "silo", "version", "heat", "score#", "waiting#", "idle#"],
                rows,
            );
            if shown < listed.total {
                format!("{table}\n{shown} of {}; --limit shows more", listed.total)
            } else {
                table
            }
        })?;
        anyhow::ensure!(
            silent.is_empty(),
            "{} of the silos did not answer: the list is not whole",
            silent.len()
        );
        Ok(())
    }
}

/// Show where an actor is and what is saved of it
#[derive(Debug, clap::Args)]
pub(crate) struct Actor {
    /// The actor, KIND/KEY
    #[arg(value_parser = actor_id)]
    actor: ActorId,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

impl Actor {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let found = self.connection.open().await?.actor(&self.actor).await?;
        self.output.print(&found, || {
            let owner = found
                .owner
                .as_ref()
                .map_or("none: its next message activates it".to_owned(), ToString::to_string);
            let saved = found.saved.as_ref().map_or("nothing".to_owned(), |saved| {
                format!(
                    "number {}, {}, written by version {}",
                    saved.etag,
                    bytes(saved.bytes as u64),
                    saved.version
                )
            });
            format!(
                "actor  {}\nowner  {owner}\nepoch  {}\nsaved  {saved}",
                found.actor, found.epoch.0
            )
        })
    }
}

/// An actor as people write it.
pub(crate) fn actor_id(text: &str) -> anyhow::Result<ActorId> {
    let (kind, key) = text
        .split_once('/')
        .with_context(|| format!("{text:?} names no actor: write KIND/KEY"))?;
    Ok(ActorId::new(kind, key)?)
}

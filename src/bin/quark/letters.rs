//! `quark dead-letters`: tells that were not delivered.

use super::{
    actors::actor_id,
    connection::Connection,
    output::{Output, bytes, table},
};
use anyhow::bail;
use quark::{
    ident::{ActorId, SiloId},
    wire::{LetterLine, LettersAnswered, LettersAsked},
};
use serde::Serialize;

/// Look after tells that were not delivered
#[derive(Debug, clap::Args)]
pub(crate) struct DeadLetters {
    #[command(subcommand)]
    command: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// List them, the oldest of each silo first
    List {
        /// Those to this actor alone, KIND/KEY
        #[arg(long, value_name = "KIND/KEY", value_parser = actor_id)]
        actor: Option<ActorId>,
        /// Of this silo alone
        #[arg(long)]
        silo: Option<String>,
        /// The most that are listed of each silo
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
        #[command(flatten)]
        connection: Connection,
        #[command(flatten)]
        output: Output,
    },
    /// Send them again, in their order; who has run is forgotten
    Replay(Chosen),
    /// Forget them
    Remove(Chosen),
}

#[derive(Debug, clap::Args)]
struct Chosen {
    /// The silo that keeps them
    silo: String,
    /// Their numbers
    #[arg(value_name = "NUMBER", required_unless_present = "all", conflicts_with = "all")]
    numbers: Vec<u64>,
    /// All of them
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

#[derive(Serialize)]
struct Listed {
    silo: SiloId,
    total: usize,
    letters: Vec<LetterLine>,
}

impl DeadLetters {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        match self.command {
            What::List {
                actor,
                silo,
                limit,
                connection,
                output,
            } => {
                let admin = connection.open().await?;
                let silos = match silo {
                    Some(name) => vec![admin.silo(&name)?],
                    None => admin.silos().into_iter().map(|address| address.silo).collect(),
                };
                let limit = usize::try_from(limit)?;
                let mut all = Vec::new();
                for silo in silos {
                    let asked = LettersAsked::List {
                        actor: actor.clone(),
                        limit,
                    };
                    match admin.letters(&silo, &asked).await? {
                        LettersAnswered::Letters(letters, total) => all.push(Listed { silo, total, letters }),
                        other => bail!("{silo} answered something else: {other:?}"),
                    }
                }
                output.print(&all, || text(&all))
            }
            What::Replay(chosen) => chosen.replay().await,
            What::Remove(chosen) => chosen.remove().await,
        }
    }
}

fn text(all: &[Listed]) -> String {
    let rows = all.iter().flat_map(|listed| {
        listed.letters.iter().map(|letter| {
            [
                listed.silo.name().to_owned(),
                letter.number.to_string(),
                letter.actor.to_string(),
                letter.message.clone(),
                bytes(letter.bytes as u64),
                format!("{:?}", letter.why.ran).to_lowercase(),
                letter.why.text.clone(),
            ]
        })
    });
    let total: usize = all.iter().map(|listed| listed.total).sum();
    let shown: usize = all.iter().map(|listed| listed.letters.len()).sum();
    match total {
        0 => "no dead letters".to_owned(),
        _ => {
            let table = table(["silo", "number#", "actor", "message", "bytes#", "ran", "why"], rows);
            if shown < total {
                format!("{table}\n{shown} of {total}; --limit shows more")
            } else {
                table
            }
        }
    }
}

impl Chosen {
    async fn ask(&self, asked: impl FnOnce(Vec<u64>) -> LettersAsked) -> anyhow::Result<(SiloId, LettersAnswered)> {
        let admin = self.connection.open().await?;
        let silo = admin.silo(&self.silo)?;
        // No numbers are all: `--all` alone leaves them out.
        let answered = admin.letters(&silo, &asked(self.numbers.clone())).await?;
        Ok((silo, answered))
    }

    async fn replay(self) -> anyhow::Result<()> {
        let (silo, answered) = self.ask(LettersAsked::Replay).await?;
        let LettersAnswered::Replayed(letters) = answered else {
            bail!("{silo} answered something else: {answered:?}");
        };
        let failed = letters.iter().filter(|(_, why)| why.is_some()).count();
        self.output.print(&letters, || {
            let rows = letters.iter().map(|(number, why)| {
                let how = why.clone().unwrap_or_else(|| "has run".to_owned());
                [number.to_string(), how]
            });
            table(["number#", "what became of it"], rows)
        })?;
        anyhow::ensure!(failed == 0, "{failed} of {} were not delivered", letters.len());
        Ok(())
    }

    async fn remove(self) -> anyhow::Result<()> {
        let (silo, answered) = self.ask(LettersAsked::Remove).await?;
        let LettersAnswered::Removed(count) = answered else {
            bail!("{silo} answered something else: {answered:?}");
        };
        self.output
            .print(&count, || format!("{count} dead letters of {silo} were forgotten"))
    }
}

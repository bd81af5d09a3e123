//! `quark migrate`: one actor, to another silo.

use super::{actors::actor_id, connection::Connection, output::Output};
use anyhow::bail;
use quark::{
    clock::Clock,
    ident::ActorId,
    wire::{MoveRequest, MoveState},
};
use std::time::Duration;

/// Move an active actor to another silo
#[derive(Debug, clap::Args)]
pub(crate) struct Migrate {
    /// The actor, KIND/KEY
    #[arg(value_parser = actor_id)]
    actor: ActorId,
    /// The name of the silo that it should go to; without: the one that suits best
    #[arg(long, value_name = "SILO")]
    to: Option<String>,
    /// Do not wait for the end of the move
    #[arg(long)]
    no_wait: bool,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

impl Migrate {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let admin = self.connection.open().await?;
        let to = self.to.as_deref().map(|name| admin.silo(name)).transpose()?;
        let actor = self.actor;
        let source = (admin.begin_move(&MoveRequest {
            actor: actor.clone(),
            to,
        }))
        .await?;
        let clock = Clock::system();
        loop {
            let Some(status) = admin.move_of(&source, &actor).await? else {
                bail!("{source} knows nothing of the move any more; `quark actor {actor}` says where it is");
            };
            let is_over = !matches!(status.state, MoveState::NotStarted | MoveState::InProgress);
            if !is_over && !self.no_wait {
                clock.sleep(Duration::from_millis(50)).await;
                continue;
            }
            self.output.print(&status, || {
                let target = status
                    .target
                    .as_ref()
                    .map_or("a silo to be found".to_owned(), ToString::to_string);
                let how = match status.state {
                    MoveState::Completed => format!("has moved, {} bytes", status.bytes),
                    MoveState::Failed | MoveState::Cancelled => "did not move".to_owned(),
                    _ => "is to move".to_owned(),
                };
                format!("{actor} {how}: {source} to {target}, attempts: {}", status.attempts)
            })?;
            return match status.error {
                Some(why) if is_over && status.state != MoveState::Completed => bail!("{actor} did not move: {why}"),
                _ => Ok(()),
            };
        }
    }
}

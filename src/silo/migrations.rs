//! Moves as a silo's program asks for them: one or many, watched, cancelled. Every call works in any executor, and what it
//! asks and answers are plain values that can travel.

use super::{Gate, Node, SiloHandle, moves::Cancel};
use crate::{
    ident::{ActorId, SiloId},
    store::SiloStatus,
    wire::{MoveCounts, MoveFailure, MoveRequest, MoveStatus, Moved},
};
use std::sync::Arc;
use tokio::sync::{oneshot, watch};

/// A move that was asked for, until its end.
type Told = oneshot::Receiver<Result<Moved, MoveFailure>>;

impl SiloHandle {
    /// Moves an actor that is active here to another silo: the given one, or the one that suits best. Tried again
    /// [`migration_attempts`](super::SiloOptions::migration_attempts) times; goes on if the future is dropped.
    ///
    /// # Errors
    /// [`MoveFailure`]; the actor is where it was then, unless the error says otherwise.
    pub async fn migrate(&self, actor: &ActorId, to: Option<&SiloId>) -> Result<Moved, MoveFailure> {
        let told = self.node.ask_to_move(actor, to).await?;
        told.await.unwrap_or(Err(MoveFailure::Cancelled))
    }

    /// Moves actors that are active here; of those under way at once there are as many as the silo's options allow. Answers how
    /// each of them ended, in the order asked.
    pub async fn migrate_many(
        &self,
        requests: impl IntoIterator<Item = MoveRequest>,
    ) -> Vec<(ActorId, Result<Moved, MoveFailure>)> {
        let mut asked = Vec::new();
        for MoveRequest { actor, to } in requests {
            let told = self.node.ask_to_move(&actor, to.as_ref()).await;
            asked.push((actor, told));
        }
        let mut ended = Vec::with_capacity(asked.len());
        for (actor, told) in asked {
            let result = match told {
                Ok(told) => told.await.unwrap_or(Err(MoveFailure::Cancelled)),
                Err(why) => Err(why),
            };
            ended.push((actor, result));
        }
        ended
    }

    /// Asks for a move as [`SiloHandle::migrate`] does and does not wait for its end: see [`SiloHandle::migration`].
    ///
    /// # Errors
    /// [`MoveFailure`], if the move cannot be.
    pub async fn begin_migration(&self, request: &MoveRequest) -> Result<(), MoveFailure> {
        let told = self.node.ask_to_move(&request.actor, request.to.as_ref()).await;
        told.map(drop)
    }

    /// Cancels the move of an actor: what waits is dropped, what is under way is called off if the target has not committed it.
    /// Answers how the move ended, which may be that it was completed before; `None` if there was none.
    ///
    /// A silo that drains moves the actor all the same.
    pub async fn cancel_migration(&self, actor: &ActorId) -> Option<Result<Moved, MoveFailure>> {
        let (tell, told) = oneshot::channel();
        match self.node.moves.cancel(actor, tell) {
            Cancel::NotMoving => return None,
            Cancel::Done => {}
            Cancel::CallOff => self.node.call_off(actor),
        }
        Some(told.await.unwrap_or(Err(MoveFailure::Cancelled)))
    }

    /// The move of an actor away from here: wanted, under way, or how the last one ended, which is kept for ten minutes (of
    /// 10,000 moves at most).
    pub fn migration(&self, actor: &ActorId) -> Option<MoveStatus> {
        self.node.moves.status(actor)
    }

    /// All moves away from here that [`SiloHandle::migration`] would tell of.
    pub fn migrations(&self) -> Vec<MoveStatus> {
        self.node.moves.statuses()
    }

    /// How many moves away from here stand where, exactly.
    pub fn migration_counts(&self) -> MoveCounts {
        self.node.moves.counts()
    }

    /// The same, told when it changes, some fifty times a second at most.
    pub fn watch_migrations(&self) -> watch::Receiver<MoveCounts> {
        self.node.moves.tell_counts();
        self.node.moves.watch_counts()
    }
}

impl Node {
    /// Wants a move, if it can be.
    pub(super) async fn ask_to_move(
        self: &Arc<Self>,
        actor: &ActorId,
        to: Option<&SiloId>,
    ) -> Result<Told, MoveFailure> {
        if self.drain.lock().is_some() || self.gate() == Gate::Shut {
            return Err(MoveFailure::Leaving);
        }
        let is_here = (self.seats.peek(actor, |place| place.activation.is_some())).unwrap_or(false);
        if !is_here {
            return Err(self.where_else(actor).await);
        }
        self.check_target(actor, to)?;
        let (tell, told) = oneshot::channel();
        self.moves.want(actor.clone(), to.cloned(), Some(tell))?;
        Ok(told)
    }

    /// Why an actor that is not active here cannot be moved from here.
    async fn where_else(&self, actor: &ActorId) -> MoveFailure {
        let entry = self.store.entries(vec![actor.clone()]).await;
        let owner = entry.ok().and_then(|entries| entries.into_iter().next()?.owner);
        match owner {
            Some(owner) if !self.is_gone(&owner) => MoveFailure::NotHere,
            _ => MoveFailure::UnknownActor,
        }
    }

    /// Whether an actor that is active here may go to a silo, or to any.
    fn check_target(&self, actor: &ActorId, to: Option<&SiloId>) -> Result<(), MoveFailure> {
        let own = self.registry.kind(actor.kind()).ok_or(MoveFailure::UnknownActor)?;
        if !own.entry.is_movable() {
            return Err(MoveFailure::Immovable);
        }
        let Some(to) = to else {
            let any = !self.targets(actor.kind(), None).is_empty();
            return if any { Ok(()) } else { Err(MoveFailure::NoTarget) };
        };
        if *to == self.me {
            return Err(MoveFailure::SameSilo);
        }
        let view = self.view.read();
        let row = view.get(to).ok_or(MoveFailure::UnknownTarget)?;
        if row.status != SiloStatus::Active || self.leaving_peers.lock().contains(to) {
            return Err(MoveFailure::TargetNotActive);
        }
        let target = (row.manifest.kinds.get(actor.kind())).ok_or(MoveFailure::TargetDoesNotHost)?;
        let allowed = (self.placement.read().policy(actor.kind())).allows(&own.version, &target.version);
        if allowed {
            Ok(())
        } else {
            Err(MoveFailure::TargetVersion {
                source_version: own.version.clone(),
                target_version: target.version.clone(),
            })
        }
    }
}

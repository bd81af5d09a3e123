//! A running silo, as its program holds it.

use super::{
    Node,
    end::Ended,
    moves::{MoveFailure, Moved},
};
use crate::{
    actor::{ActorRef, Kind, Port, unusable_port},
    ident::{ActorId, SiloId},
    membership::View,
    wire::{ShutdownReport, StatusReport},
};
use std::{fmt, sync::Arc};
use tokio::sync::oneshot;

/// A running silo. Cheap to clone; `Send` and `Sync`. Dropping all handles does not stop the silo.
#[derive(Clone)]
pub struct SiloHandle {
    pub(super) node: Arc<Node>,
    address: Arc<str>,
}

impl SiloHandle {
    pub(super) fn new(node: Arc<Node>, address: String) -> Self {
        Self {
            node,
            address: address.into(),
        }
    }

    /// The silo's id.
    pub fn id(&self) -> &SiloId {
        &self.node.me
    }

    /// Where it listens, `host:port`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// A reference to an actor of the cluster. Calls through it fail if the key cannot be used ([`ActorId::new`]).
    pub fn actor<K: Kind>(&self, key: &str) -> ActorRef<K> {
        let port: Arc<dyn Port> = match ActorId::new(K::KIND, key) {
            Ok(actor) => self.node.board().port(actor),
            Err(error) => unusable_port(error, self.node.clock.clone()),
        };
        ActorRef::new(port)
    }

    /// How the silo does now.
    pub fn status(&self) -> StatusReport {
        self.node.status_report()
    }

    /// The cluster as this silo knows it.
    pub fn view(&self) -> View {
        self.node.view.read().clone()
    }

    /// Moves an actor that is active here to another silo: the given one, or the one that suits best.
    ///
    /// # Errors
    /// [`MoveFailure`]; the actor is where it was then, unless the error says otherwise.
    pub async fn migrate(&self, actor: &ActorId, to: Option<&SiloId>) -> Result<Moved, MoveFailure> {
        let is_here = (self.node.seats.peek(actor, |place| place.activation.is_some())).unwrap_or(false);
        if !is_here {
            return Err(MoveFailure::NotHere);
        }
        match to {
            Some(to) if *to == self.node.me => return Err(MoveFailure::SameSilo),
            Some(to) if !self.node.view.read().active().any(|row| row.silo == *to) => {
                return Err(MoveFailure::NoTarget);
            }
            _ => {}
        }
        let (tell, told) = oneshot::channel();
        self.node.moves.want(actor.clone(), to.cloned(), Some(tell));
        told.await.unwrap_or(Err(MoveFailure::Cancelled))
    }

    /// Waits until the silo has ended: by SIGTERM or SIGINT, by [`SiloHandle::stop`], or by its fence.
    ///
    /// # Errors
    /// [`Ended`] if it did not end in order.
    pub async fn run_until_shutdown(&self) -> Result<ShutdownReport, Ended> {
        self.node.end.report().await
    }

    /// Leaves the cluster in order: actors move to other silos or are deactivated with their state saved, every caller is
    /// told, nothing is lost. Ends within the shutdown timeout and a few seconds. May be called more than once; all calls
    /// answer the same.
    ///
    /// # Errors
    /// [`Ended`] if it did not end in order.
    pub async fn stop(&self) -> Result<ShutdownReport, Ended> {
        self.node.end.stop("it was asked to");
        self.run_until_shutdown().await
    }
}

impl fmt::Debug for SiloHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SiloHandle({} at {})", self.node.me, self.address)
    }
}

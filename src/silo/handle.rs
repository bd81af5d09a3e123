//! A running silo, as its program holds it.

use super::{Node, end::Ended};
use crate::{
    actor::{ActorRef, Kind, Port, unusable_port},
    ident::{ActorId, SiloId},
    membership::View,
    stream::{self, StreamRef},
    wire::{ShutdownReport, StatusReport},
};
use std::{fmt, sync::Arc};

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

    /// The stream of this namespace and key; see [`Context::stream`](crate::actor::Context::stream).
    pub fn stream<E>(&self, namespace: &str, key: &str) -> StreamRef<E> {
        stream::open(namespace, key, &self.node.clock, |id| self.node.board().port(id))
    }

    /// How the silo does now.
    pub fn status(&self) -> StatusReport {
        self.node.status_report()
    }

    /// Actors that are here in whatever phase, those that are passed on or on their way here, and asks that wait for an answer.
    #[cfg(feature = "testkit")]
    pub(crate) fn leftovers(&self) -> (usize, usize, usize) {
        let tally = self.node.seats.tally();
        let asks = self.node.board().pending().len();
        (tally.tenants, tally.passing_on + tally.arriving, asks)
    }

    /// The cluster as this silo knows it.
    pub fn view(&self) -> View {
        self.node.view.read().clone()
    }

    /// Waits until the silo has ended: by SIGTERM or SIGINT, by [`SiloHandle::stop`], or by its fence.
    ///
    /// # Errors
    /// [`Ended`] if it did not end in order.
    pub async fn run_until_shutdown(&self) -> Result<ShutdownReport, Ended> {
        self.node.end.report().await
    }
}

impl fmt::Debug for SiloHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SiloHandle({} at {})", self.node.me, self.address)
    }
}

//! A connected client, as its program holds it.

use super::{ClientBuilder, ConnectError, core::Core};
use crate::{
    actor::{ActorRef, CallError, Kind, Port, unusable_port},
    ident::{ActorId, SiloId},
    stream::{self, StreamRef},
    wire::{self, Failure, FailureCode, Ran, STATUS_QUERY, SiloAddress, StatusReport},
};
use bytes::Bytes;
use std::{fmt, ops::Deref, sync::Arc, time::Duration};

/// How long a silo may take to answer a query.
pub(crate) const QUERY_TIMEOUT: Duration = Duration::from_secs(5);

/// A caller outside the cluster. Cheap to clone; works in any executor. All clones are one sender.
///
/// The client ends with its last clone, whatever references there are: what they wait for then ends in an error, and calls
/// through them fail with [`CallError`] `ShuttingDown`. Keep a clone as long as its references are used.
#[derive(Clone)]
pub struct Client {
    core: Arc<Held>,
}

impl Client {
    pub(super) fn new(core: Arc<Core>) -> Self {
        let core = Arc::new(Held(core));
        Self { core }
    }

    /// Builds a client.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// Connects to the cluster `quark` that the silos at these addresses belong to.
    ///
    /// # Errors
    /// [`ConnectError`]; if no silo answered it says what happened at each address.
    pub async fn connect(seeds: impl IntoIterator<Item = impl Into<String>>) -> Result<Self, ConnectError> {
        Self::builder().seeds(seeds).connect().await
    }

    /// A reference to an actor of the cluster. Calls through it fail if the key cannot be used ([`ActorId::new`]), and when the
    /// last clone of the client has been dropped: a reference does not keep the client.
    pub fn actor<K: Kind>(&self, key: &str) -> ActorRef<K> {
        let port: Arc<dyn Port> = match ActorId::new(K::KIND, key) {
            Ok(actor) => self.core.board().port(actor),
            Err(error) => unusable_port(error, self.core.clock.clone()),
        };
        ActorRef::new(port)
    }

    /// The stream of this namespace and key; see [`Context::stream`](crate::actor::Context::stream).
    pub fn stream<E>(&self, namespace: &str, key: &str) -> StreamRef<E> {
        stream::open(namespace, key, &self.core.clock, |id| self.core.board().port(id))
    }

    /// The silos of the cluster, as the client knows them.
    pub fn silos(&self) -> Vec<SiloAddress> {
        self.core.silos()
    }

    /// How a silo does now.
    ///
    /// # Errors
    /// The silo does not answer, or is none of the cluster.
    pub async fn status(&self, silo: &SiloId) -> Result<StatusReport, CallError> {
        let bytes = self.query(silo, STATUS_QUERY, Bytes::new()).await?;
        wire::decode(&bytes).map_err(|error| {
            let text = format!("the status of {silo} cannot be read: {error}");
            CallError::from(Failure::new(FailureCode::BadReply, Ran::Yes, text))
        })
    }

    /// Asks a service of the silo itself, by its name; question and answer are named MessagePack. What a command line and
    /// dashboards stand on.
    ///
    /// # Errors
    /// The silo's own, or that it did not answer, or is none of the cluster.
    pub async fn query(&self, silo: &SiloId, name: &str, body: Bytes) -> Result<Bytes, CallError> {
        self.query_within(silo, name, body, QUERY_TIMEOUT).await
    }

    /// The same for what takes a silo longer.
    pub(crate) async fn query_within(
        &self,
        silo: &SiloId,
        name: &str,
        body: Bytes,
        timeout: Duration,
    ) -> Result<Bytes, CallError> {
        let answer = self.core.board().query(silo, name, body, timeout).await;
        answer.map_err(CallError::from)
    }

    /// Ends the client: what waits ends in an error that says whether it ran. References made by it fail from now on.
    pub async fn close(&self) {
        self.core.close();
    }
}

/// Ends the client with its last clone, also while its own thread is at work with it.
struct Held(Arc<Core>);

impl Deref for Held {
    type Target = Core;

    fn deref(&self) -> &Core {
        &self.0
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("silos", &self.core.silos().len())
            .finish()
    }
}

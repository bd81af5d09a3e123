//! What the rooms above see of a transport.

use super::{FrameReceiver, FrameSender, Secret, TransportError};
use crate::{
    ident::{ProcessId, SiloId},
    wire::ProtocolRange,
};
use futures_util::future::BoxFuture;
use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

/// Who this process is, told to each peer in the handshake.
#[derive(Clone, Debug)]
pub struct LocalEnd {
    /// This process.
    pub process: ProcessId,
    /// The name of its cluster. Peers of another cluster are refused.
    pub cluster: String,
    /// What the peers of the cluster prove to know; `None` on both sides is no proof, on one side an error.
    pub secret: Option<Secret>,
    /// The versions of the wire protocol that this process speaks.
    pub protocol: ProtocolRange,
}

impl LocalEnd {
    /// An end without a secret that speaks all protocol versions of this program.
    pub fn new(process: ProcessId, cluster: impl Into<String>) -> Self {
        Self {
            process,
            cluster: cluster.into(),
            secret: None,
            protocol: ProtocolRange::SUPPORTED,
        }
    }

    /// The same with a shared secret.
    #[must_use]
    pub fn with_secret(mut self, secret: Secret) -> Self {
        self.secret = Some(secret);
        self
    }
}

/// Makes links to peers and takes theirs. One per process.
pub trait Transport: Send + Sync + 'static {
    /// Listens for peers.
    ///
    /// # Errors
    /// The address is taken, not of this machine, malformed, or not allowed without encryption.
    fn listen(&self, address: &str) -> BoxFuture<'_, Result<Box<dyn Listener>, TransportError>>;

    /// Dials a peer and shakes hands. With `expected`, fails if another silo (or another incarnation) answers.
    ///
    /// # Errors
    /// Nobody answers, or the handshake failed; the error says which and what would help.
    fn connect(&self, address: &str, expected: Option<SiloId>) -> BoxFuture<'_, Result<Connection, TransportError>>;
}

/// Takes the links that peers dial.
pub trait Listener: Send {
    /// Where it listens; the port is the real one.
    fn local_address(&self) -> String;

    /// The next peer that dials; its handshake is still to be driven. Cancel-safe.
    ///
    /// # Errors
    /// The machine refuses (too many open files, say). The listener stays usable: wait a moment before the next call.
    fn accept(&mut self) -> BoxFuture<'_, Result<Accepting, TransportError>>;
}

/// A peer that has dialled and not yet shaken hands: a future to be driven apart from [`Listener::accept`], so that a slow
/// peer holds up no other. It has a timeout of its own.
pub struct Accepting {
    from: String,
    handshake: BoxFuture<'static, Result<Connection, TransportError>>,
}

impl Accepting {
    pub(super) fn new(
        from: String,
        handshake: impl Future<Output = Result<Connection, TransportError>> + Send + 'static,
    ) -> Self {
        Self {
            from,
            handshake: Box::pin(handshake),
        }
    }

    /// From where the peer dials, for logs.
    pub fn from(&self) -> &str {
        &self.from
    }
}

impl Future for Accepting {
    type Output = Result<Connection, TransportError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.handshake.as_mut().poll(cx)
    }
}

impl fmt::Debug for Accepting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accepting")
            .field("from", &self.from)
            .finish_non_exhaustive()
    }
}

/// The other end of a link, as it proved itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Which process.
    pub process: ProcessId,
    /// The version of the wire protocol that both ends speak on this link: the highest that both can.
    pub protocol: u16,
    /// The dialler's number of the link; grows with each of its dials. Of two links from one process the one with the
    /// lower number is the old one, whatever the order in which their handshakes ended.
    pub number: u64,
    /// Whether it takes large frames in pieces.
    pub takes_pieces: bool,
}

/// A link on which both ends have proved themselves.
pub struct Connection {
    /// The other end.
    pub peer: Peer,
    /// Sends frames.
    pub sender: FrameSender,
    /// Receives frames.
    pub receiver: FrameReceiver,
    /// Writes what the sender queues. The owner spawns it; it ends when the link is closed, aborted or lost. Dropped
    /// before, the sender is closed.
    pub driver: BoxFuture<'static, ()>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

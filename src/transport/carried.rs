//! Links over streams that somebody else makes and carries, as a simulation does: the same handshake, the same bytes.

use super::{
    Accepting, Connection, LinkOptions, Listener, LocalEnd, Transport, TransportError, handshake::Handshake,
    link::connection,
};
use crate::{clock::Clock, ident::SiloId};
use futures_util::{FutureExt, future::BoxFuture};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, Join, join},
    sync::mpsc,
};

/// The two directions of a stream, and who is at the other end, for logs.
pub(crate) struct Carried {
    pub(crate) from: String,
    pub(crate) reader: Box<dyn AsyncRead + Send + Unpin>,
    pub(crate) writer: Box<dyn AsyncWrite + Send + Unpin>,
}

type Stream = Join<Box<dyn AsyncRead + Send + Unpin>, Box<dyn AsyncWrite + Send + Unpin>>;

/// Makes streams for one process.
pub(crate) trait Carrier: Send + Sync + 'static {
    /// From now on the streams of those who dial `address` come out of what is answered.
    fn listen(&self, address: &str) -> Result<mpsc::UnboundedReceiver<Carried>, TransportError>;

    /// A stream to whoever listens at `address`.
    fn dial(&self, address: &str) -> BoxFuture<'static, Result<Carried, TransportError>>;
}

/// The transport of a process whose streams a carrier makes.
pub(crate) struct CarriedTransport(Arc<Shared>);

struct Shared {
    carrier: Box<dyn Carrier>,
    local: LocalEnd,
    clock: Clock,
    options: LinkOptions,
    dials: AtomicU64,
}

impl CarriedTransport {
    pub(crate) fn new(carrier: impl Carrier, local: LocalEnd, clock: Clock) -> Self {
        Self(Arc::new(Shared {
            carrier: Box::new(carrier),
            local,
            clock,
            options: LinkOptions::default(),
            dials: AtomicU64::new(0),
        }))
    }
}

impl Transport for CarriedTransport {
    fn listen(&self, address: &str) -> BoxFuture<'_, Result<Box<dyn Listener>, TransportError>> {
        let address = address.to_owned();
        async move {
            let arrivals = self.0.carrier.listen(&address)?;
            Ok(Box::new(Listening {
                shared: self.0.clone(),
                address,
                arrivals,
            }) as Box<dyn Listener>)
        }
        .boxed()
    }

    fn connect(&self, address: &str, expected: Option<SiloId>) -> BoxFuture<'_, Result<Connection, TransportError>> {
        let address = address.to_owned();
        async move {
            let dialled = self.0.carrier.dial(&address);
            let dialled = self.0.clock.timeout(self.0.options.handshake_timeout, dialled).await;
            let timed_out = || TransportError::Refused {
                address: address.clone(),
            };
            let carried = dialled.ok_or_else(timed_out)??;
            let number = self.0.dials.fetch_add(1, Ordering::Relaxed) + 1;
            self.0.shake(&address, carried, Some((number, expected))).await
        }
        .boxed()
    }
}

impl Shared {
    /// Shakes hands: as the dialler, with the number of the dial and who is expected, or as the one who is dialled.
    async fn shake(
        &self,
        address: &str,
        carried: Carried,
        dials: Option<(u64, Option<SiloId>)>,
    ) -> Result<Connection, TransportError> {
        let handshake = Handshake {
            local: &self.local,
            clock: &self.clock,
            timeout: self.options.handshake_timeout,
            address,
            may_be_silo: true,
        };
        let mut stream: Stream = join(carried.reader, carried.writer);
        let peer = match dials {
            Some((number, expected)) => handshake.dial(&mut stream, number, expected.as_ref()).await?,
            None => handshake.accept(&mut stream).await?,
        };
        let (reader, writer) = stream.into_inner();
        Ok(connection(self.options, peer, reader, writer))
    }
}

struct Listening {
    shared: Arc<Shared>,
    address: String,
    arrivals: mpsc::UnboundedReceiver<Carried>,
}

impl Listener for Listening {
    fn local_address(&self) -> String {
        self.address.clone()
    }

    fn accept(&mut self) -> BoxFuture<'_, Result<Accepting, TransportError>> {
        async move {
            let Some(carried) = self.arrivals.recv().await else {
                // The network has forgotten this process: nobody will dial it any more.
                return std::future::pending().await;
            };
            let (shared, from) = (self.shared.clone(), carried.from.clone());
            let handshake = async move { shared.shake(&carried.from.clone(), carried, None).await };
            Ok(Accepting::new(from, handshake))
        }
        .boxed()
    }
}

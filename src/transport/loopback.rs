//! Links inside one process, for tests and simulations: no sockets, the same handshake and the same bytes.

use super::{
    Accepting, Connection, LinkOptions, Listener, LocalEnd, Transport, TransportError, handshake::Handshake,
    link::connection,
};
use crate::{clock::Clock, ident::SiloId};
use futures_util::{FutureExt, future::BoxFuture};
use parking_lot::Mutex;
use std::{
    collections::{HashMap, hash_map::Entry},
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::{
    io::{DuplexStream, Join, duplex, join},
    sync::mpsc,
};

/// Bytes on their way in one direction of a link.
const PIPE_BYTES: usize = 256 * 1024;
/// Peers that have dialled and were not accepted yet.
const BACKLOG: usize = 1024;

/// A network inside one process. Addresses are `loopback:NAME`. Cheap to clone: clones are the same network.
#[derive(Clone, Default)]
pub struct LoopbackNetwork(Arc<Mutex<HashMap<String, mpsc::Sender<Arrival>>>>);

/// One end of a link: one pipe to read from and one to write to, so that each direction ends by itself.
type End = Join<DuplexStream, DuplexStream>;

struct Arrival {
    from: String,
    end: End,
}

impl LoopbackNetwork {
    /// An empty network.
    pub fn new() -> Self {
        Self::default()
    }

    /// A transport on this network for one process.
    pub fn transport(&self, local: LocalEnd, clock: Clock, options: LinkOptions) -> Box<dyn Transport> {
        Box::new(LoopbackTransport(Arc::new(Shared {
            network: self.clone(),
            local,
            clock,
            options,
            dials: AtomicU64::new(0),
        })))
    }
}

impl fmt::Debug for LoopbackNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.lock().keys()).finish()
    }
}

struct LoopbackTransport(Arc<Shared>);

struct Shared {
    network: LoopbackNetwork,
    local: LocalEnd,
    clock: Clock,
    options: LinkOptions,
    dials: AtomicU64,
}

impl Transport for LoopbackTransport {
    fn listen(&self, address: &str) -> BoxFuture<'_, Result<Box<dyn Listener>, TransportError>> {
        let address = address.to_owned();
        async move {
            check_address(&address)?;
            let (sender, arrivals) = mpsc::channel(BACKLOG);
            match self.0.network.0.lock().entry(address.clone()) {
                Entry::Occupied(_) => return Err(TransportError::AddressInUse { address }),
                Entry::Vacant(free) => free.insert(sender),
            };
            let shared = self.0.clone();
            Ok(Box::new(Listening {
                shared,
                address,
                arrivals,
            }) as Box<dyn Listener>)
        }
        .boxed()
    }

    fn connect(&self, address: &str, expected: Option<SiloId>) -> BoxFuture<'_, Result<Connection, TransportError>> {
        let address = address.to_owned();
        async move {
            check_address(&address)?;
            let listener = self.0.network.0.lock().get(&address).cloned();
            let refused = || TransportError::Refused {
                address: address.clone(),
            };
            let listener = listener.ok_or_else(refused)?;
            let (there, back) = (duplex(PIPE_BYTES), duplex(PIPE_BYTES));
            let from = format!("loopback:({})", self.0.local.process);
            let end = join(there.1, back.0);
            listener.try_send(Arrival { from, end }).map_err(|_| refused())?;
            let mut stream = join(back.1, there.0);
            let number = self.0.dials.fetch_add(1, Ordering::Relaxed) + 1;
            let peer = self
                .0
                .handshake(&address)
                .dial(&mut stream, number, expected.as_ref())
                .await?;
            let (reader, writer) = stream.into_inner();
            Ok(connection(self.0.options, peer, reader, writer))
        }
        .boxed()
    }
}

impl Shared {
    fn handshake<'a>(&'a self, address: &'a str) -> Handshake<'a> {
        Handshake {
            local: &self.local,
            clock: &self.clock,
            timeout: self.options.handshake_timeout,
            address,
            may_be_silo: true,
        }
    }
}

fn check_address(address: &str) -> Result<(), TransportError> {
    match address.strip_prefix("loopback:") {
        Some(name) if !name.is_empty() => Ok(()),
        _ => Err(TransportError::BadAddress {
            address: address.to_owned(),
            why: "an address of the in-process network is loopback:NAME",
        }),
    }
}

struct Listening {
    shared: Arc<Shared>,
    address: String,
    arrivals: mpsc::Receiver<Arrival>,
}

impl Listener for Listening {
    fn local_address(&self) -> String {
        self.address.clone()
    }

    fn accept(&mut self) -> BoxFuture<'_, Result<Accepting, TransportError>> {
        async move {
            let arrival = self.arrivals.recv().await;
            let Arrival { from, mut end } = arrival.expect("invariant: the network keeps a sender while it listens");
            let shared = self.shared.clone();
            let address = from.clone();
            let handshake = async move {
                let peer = shared.handshake(&address).accept(&mut end).await?;
                let (reader, writer) = end.into_inner();
                Ok(connection(shared.options, peer, reader, writer))
            };
            Ok(Accepting::new(from, handshake))
        }
        .boxed()
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.shared.network.0.lock().remove(&self.address);
    }
}

//! Links over TCP.

use super::{
    Accepting, Connection, LinkOptions, Listener, LocalEnd, Peer, Tls, Transport, TransportError,
    handshake::Handshake,
    link::connection,
    roaming::{RoamingListener, roaming},
    tls::Greeted,
};
use crate::{clock::Clock, ident::SiloId};
use futures_util::{FutureExt, future::BoxFuture};
use std::{
    fmt,
    io::{self, ErrorKind},
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream, lookup_host},
};

/// How long a link is silent before the system asks whether its peer is there.
#[cfg(target_os = "linux")]
const KEEPALIVE: Duration = Duration::from_secs(20);
/// How long what was sent may stay unacknowledged by the peer's system.
#[cfg(target_os = "linux")]
const UNACKNOWLEDGED: Duration = Duration::from_secs(60);

/// How TCP links are made.
#[derive(Clone, Debug)]
pub struct TcpOptions {
    /// The certificates of mutual TLS, for all links; `None` is plain TCP.
    pub tls: Option<Tls>,
    /// Allows plain TCP on addresses that are not loopback: anybody on the network can read and change what is sent.
    pub insecure: bool,
    /// How long resolving and dialling may take.
    pub connect_timeout: Duration,
    /// How links behave.
    pub link: LinkOptions,
}

impl Default for TcpOptions {
    fn default() -> Self {
        Self {
            tls: None,
            insecure: false,
            connect_timeout: Duration::from_secs(5),
            link: LinkOptions::default(),
        }
    }
}

/// Links over TCP, with mutual TLS if there are certificates; without, on loopback addresses alone unless
/// [`TcpOptions::insecure`]. Addresses are `host:port`. Needs a tokio runtime with I/O.
pub struct TcpTransport(Arc<Shared>);

struct Shared {
    local: LocalEnd,
    clock: Clock,
    options: TcpOptions,
    /// The number of the last dial.
    dials: AtomicU64,
}

impl TcpTransport {
    /// A transport for this process.
    pub fn new(local: LocalEnd, clock: Clock, options: TcpOptions) -> Self {
        Self(Arc::new(Shared {
            local,
            clock,
            options,
            dials: AtomicU64::new(0),
        }))
    }

    /// Whether this process may tell its peers to dial `address`.
    ///
    /// # Errors
    /// It is malformed; or, where links are neither encrypted nor `insecure`, it is not (or not known to be) of this machine.
    pub async fn check_advertised(&self, address: &str) -> Result<(), TransportError> {
        check_address(address)?;
        if self.0.is_plain() {
            self.0.resolve(address).await?;
        }
        Ok(())
    }
}

impl fmt::Debug for TcpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpTransport")
            .field("local", &self.0.local)
            .field("options", &self.0.options)
            .finish_non_exhaustive()
    }
}

impl Transport for TcpTransport {
    fn listen(&self, address: &str) -> BoxFuture<'_, Result<Box<dyn Listener>, TransportError>> {
        let address = address.to_owned();
        async move {
            let resolved = self.0.resolve(&address).await?;
            let listener = TcpListener::bind(&resolved[..]).await;
            let cannot = |source: io::Error| match source.kind() {
                ErrorKind::AddrInUse => TransportError::AddressInUse {
                    address: address.clone(),
                },
                _ => TransportError::CannotListen {
                    address: address.clone(),
                    source,
                },
            };
            let listener = listener.map_err(cannot)?;
            let local_address = listener.local_addr().map_err(cannot)?.to_string();
            let shared = self.0.clone();
            Ok(Box::new(Listening {
                shared,
                listener: RoamingListener::new(listener),
                local_address,
            }) as Box<dyn Listener>)
        }
        .boxed()
    }

    fn connect(&self, address: &str, expected: Option<SiloId>) -> BoxFuture<'_, Result<Connection, TransportError>> {
        let address = address.to_owned();
        async move {
            let options = &self.0.options;
            let dial = self.0.clock.timeout(options.connect_timeout, self.0.dial(&address));
            let stream = dial.await.unwrap_or_else(|| {
                Err(TransportError::TimedOut {
                    address: address.clone(),
                    what: "answer",
                    after: options.connect_timeout,
                })
            })?;
            self.0.shake_hands(stream, &address, Side::Dialler(expected)).await
        }
        .boxed()
    }
}

/// Which side of a connection this process is.
enum Side {
    Dialler(Option<SiloId>),
    Listener,
}

impl Shared {
    /// TLS, if there are certificates, and Quark's handshake, within one timeout.
    async fn shake_hands(&self, stream: TcpStream, address: &str, side: Side) -> Result<Connection, TransportError> {
        let TcpOptions { tls, link, .. } = &self.options;
        let Some(tls) = tls else {
            let mut stream = roaming(stream);
            let peer = self
                .introduce(&mut stream, address, side, link.handshake_timeout, true)
                .await?;
            let (reader, writer) = stream.into_inner();
            return Ok(connection(*link, peer, reader, writer));
        };
        let start = self.clock.now();
        let greet = async {
            match &side {
                Side::Dialler(_) => tls.dial(stream, address).await,
                Side::Listener => tls.accept(stream, address).await,
            }
        };
        let greeted = self.clock.timeout(link.handshake_timeout, greet).await;
        let Greeted { mut stream, is_silo } = greeted.unwrap_or_else(|| {
            Err(TransportError::TimedOut {
                address: address.to_owned(),
                what: "complete the handshake",
                after: link.handshake_timeout,
            })
        })?;
        let left = link.handshake_timeout.saturating_sub(self.clock.now().since(start));
        let peer = self.introduce(&mut stream, address, side, left, is_silo).await?;
        let (reader, writer) = tokio::io::split(stream);
        Ok(connection(*link, peer, reader, writer))
    }

    async fn introduce<S>(
        &self,
        stream: &mut S,
        address: &str,
        side: Side,
        timeout: Duration,
        may_be_silo: bool,
    ) -> Result<Peer, TransportError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let handshake = Handshake {
            local: &self.local,
            clock: &self.clock,
            timeout,
            address,
            may_be_silo,
        };
        match side {
            Side::Dialler(expected) => {
                let number = self.dials.fetch_add(1, Ordering::Relaxed) + 1;
                handshake.dial(stream, number, expected.as_ref()).await
            }
            Side::Listener => handshake.accept(stream).await,
        }
    }

    async fn dial(&self, address: &str) -> Result<TcpStream, TransportError> {
        let resolved = self.resolve(address).await?;
        let cannot = |source: io::Error| {
            let address = address.to_owned();
            match source.kind() {
                ErrorKind::ConnectionRefused => TransportError::Refused { address },
                _ => TransportError::CannotConnect { address, source },
            }
        };
        let stream = TcpStream::connect(&resolved[..]).await.map_err(cannot)?;
        prepare(&stream).map_err(cannot)?;
        Ok(stream)
    }

    /// The addresses behind `host:port`, all of them allowed.
    async fn resolve(&self, address: &str) -> Result<Vec<SocketAddr>, TransportError> {
        check_address(address)?;
        let unresolvable = |source| TransportError::Unresolvable {
            address: address.to_owned(),
            source,
        };
        let resolved: Vec<_> = lookup_host(address).await.map_err(unresolvable)?.collect();
        if resolved.is_empty() {
            return Err(unresolvable(ErrorKind::NotFound.into()));
        }
        match resolved
            .iter()
            .find(|resolved| !resolved.ip().to_canonical().is_loopback())
        {
            Some(public) if self.is_plain() => {
                let public = public.to_string();
                Err(TransportError::PlainTextRefused {
                    address: if public == address {
                        public
                    } else {
                        format!("{address} ({public})")
                    },
                })
            }
            _ => Ok(resolved),
        }
    }

    /// Whether links are readable on the network, and nobody has said that this is as it should be.
    fn is_plain(&self) -> bool {
        self.options.tls.is_none() && !self.options.insecure
    }
}

fn check_address(address: &str) -> Result<(), TransportError> {
    let bad = |why| TransportError::BadAddress {
        address: address.to_owned(),
        why,
    };
    let (host, port) = address
        .rsplit_once(':')
        .ok_or_else(|| bad("it must be HOST:PORT, and has no port"))?;
    if host.is_empty() {
        return Err(bad("it must be HOST:PORT, and has no host"));
    }
    if port.parse::<u16>().is_err() {
        return Err(bad("it must be HOST:PORT with a port from 0 to 65535"));
    }
    Ok(())
}

/// Sets what links need of their sockets.
fn prepare(stream: &TcpStream) -> io::Result<()> {
    use rustix::net::sockopt;
    // Frames are written in batches: the system need not wait for more.
    stream.set_nodelay(true)?;
    // A peer that vanished without a word is found, whether anything is sent to it or not.
    sockopt::set_socket_keepalive(stream, true)?;
    #[cfg(target_os = "linux")]
    {
        sockopt::set_tcp_keepidle(stream, KEEPALIVE)?;
        sockopt::set_tcp_keepintvl(stream, KEEPALIVE / 2)?;
        sockopt::set_tcp_keepcnt(stream, 3)?;
        let unacknowledged = u32::try_from(UNACKNOWLEDGED.as_millis()).unwrap_or(u32::MAX);
        sockopt::set_tcp_user_timeout(stream, unacknowledged)?;
    }
    Ok(())
}

struct Listening {
    shared: Arc<Shared>,
    listener: RoamingListener,
    local_address: String,
}

impl Listener for Listening {
    fn local_address(&self) -> String {
        self.local_address.clone()
    }

    fn accept(&mut self) -> BoxFuture<'_, Result<Accepting, TransportError>> {
        async move {
            let (stream, from) = loop {
                match self.listener.accept().await {
                    Ok(accepted) => break accepted,
                    // The peer went before its turn came.
                    Err(error) if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset) => {
                    }
                    Err(source) => return Err(TransportError::CannotAccept { source }),
                }
            };
            let from = from.to_string();
            let shared = self.shared.clone();
            let address = from.clone();
            let handshake = async move {
                prepare(&stream).map_err(|source| TransportError::HandshakeCut {
                    address: address.clone(),
                    source,
                })?;
                shared.shake_hands(stream, &address, Side::Listener).await
            };
            Ok(Accepting::new(from, handshake))
        }
        .boxed()
    }
}

//! Links over TCP.

use super::{Connection, LinkOptions, Listener, LocalEnd, Transport, TransportError};
use crate::{clock::Clock, ident::SiloId};
use futures_util::future::BoxFuture;
use std::time::Duration;

/// How TCP links are made.
#[derive(Clone, Copy, Debug)]
pub struct TcpOptions {
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
            insecure: false,
            connect_timeout: Duration::from_secs(5),
            link: LinkOptions::default(),
        }
    }
}

/// Links over TCP, on loopback addresses alone unless [`TcpOptions::insecure`]. Needs a tokio runtime with I/O.
#[derive(Debug)]
pub struct TcpTransport {}

impl TcpTransport {
    /// A transport for this process.
    pub fn new(_local: LocalEnd, _clock: Clock, _options: TcpOptions) -> Self {
        todo!()
    }
}

impl Transport for TcpTransport {
    fn listen(&self, _address: &str) -> BoxFuture<'_, Result<Box<dyn Listener>, TransportError>> {
        todo!()
    }

    fn connect(&self, _address: &str, _expected: Option<SiloId>) -> BoxFuture<'_, Result<Connection, TransportError>> {
        todo!()
    }
}

//! Why a client did not connect.

use crate::{
    ident::InvalidName,
    transport::{SecretTooShort, TlsError},
};

/// Why a client did not connect. Nothing of it is left behind.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// No addresses were given.
    #[error("no addresses were given: name at least one silo of the cluster, `host:port`")]
    NoSeeds,
    /// No silo answered.
    #[error("no silo of the cluster answered within {seconds} s; tried:{tried}")]
    NoneAnswered {
        /// How long it was tried, in seconds.
        seconds: u64,
        /// Each address and what happened there.
        tried: String,
    },
    /// A name that cannot be.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// A secret that cannot be.
    #[error(transparent)]
    Secret(#[from] SecretTooShort),
    /// The certificates cannot be used.
    #[error("the certificates cannot be used: {0}")]
    Tls(#[from] TlsError),
    /// The client's thread could not be started.
    #[error("the client's thread could not be started")]
    Thread(#[source] std::io::Error),
}

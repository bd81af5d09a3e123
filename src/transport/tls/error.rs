//! Why certificates cannot be used, this process's own and those of its peers.

use std::{fmt, io, path::PathBuf};

/// Why the files that [`super::TlsOptions`] names cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{path:?} cannot be read: {source}")]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
    /// A file is not what it should be.
    #[error("{path:?} cannot be used: {why}")]
    BadFile {
        /// Which.
        path: PathBuf,
        /// What is wrong and what is right.
        why: String,
    },
    /// The key is of another certificate.
    #[error(
        "the key in {key:?} is not that of the certificate in {certificate:?}: take the two that were made together"
    )]
    KeyMismatch {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// No peer would accept the certificate.
    #[error("the certificate in {path:?} {problem}")]
    Useless {
        /// Its file.
        path: PathBuf,
        /// Why.
        problem: CertificateProblem,
    },
    /// The name that silos' certificates shall carry cannot be one.
    #[error("`server_name` {name:?} is neither a DNS name nor an IP address")]
    BadName {
        /// As given.
        name: String,
    },
}

/// What is wrong with a certificate. Reads after "the certificate".
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CertificateProblem {
    /// There is none.
    Missing,
    /// Its time is over, or has not come.
    Expired,
    /// Its time has not come.
    NotYetValid,
    /// None of the authorities that are trusted has signed it.
    UnknownAuthority,
    /// It names others.
    WrongName {
        /// What it should name.
        expected: String,
    },
    /// It is not made for this side of a connection.
    WrongPurpose,
    /// Anything else.
    Other(String),
}

impl fmt::Display for CertificateProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("is missing: set `tls`, with a certificate of the cluster's CA"),
            Self::Expired => f.write_str("has expired, or is not valid yet: issue a new one, or set the clocks right"),
            Self::NotYetValid => f.write_str("is not valid yet: set the clocks right"),
            Self::UnknownAuthority => f.write_str("is of another CA than the one that `ca` names: use one CA for the cluster"),
            Self::WrongName { expected } => write!(
                f,
                "is not for {expected:?}: issue one that names it, or set `server_name` to the name that all silos' certificates carry"
            ),
            Self::WrongPurpose => f.write_str(
                "is not made for this side of a connection: a silo's must be good for servers and clients, a client's for clients",
            ),
            Self::Other(why) => write!(f, "cannot be used: {why}"),
        }
    }
}

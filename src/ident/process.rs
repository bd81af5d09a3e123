//! Processes that take part, the links between them, and the requests on these.

use super::SiloId;
use serde::{Deserialize, Serialize};
use std::fmt;

/// One run of a client outside the cluster; random.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClientId(pub u64);

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "client-{:016x}", self.0)
    }
}

impl fmt::Debug for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Whoever can call an actor: a silo or a client.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ProcessId {
    /// A silo of the cluster.
    #[serde(rename = "s")]
    Silo(SiloId),
    /// A client outside it.
    #[serde(rename = "c")]
    Client(ClientId),
}

impl ProcessId {
    /// The silo, if it is one.
    pub fn silo(&self) -> Option<&SiloId> {
        match self {
            Self::Silo(silo) => Some(silo),
            Self::Client(_) => None,
        }
    }
}

impl fmt::Display for ProcessId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silo(silo) => silo.fmt(f),
            Self::Client(client) => client.fmt(f),
        }
    }
}

impl fmt::Debug for ProcessId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One incoming link of this process, from its connection until its end; never used again within the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

impl LinkId {
    /// The way from a silo's own callers to its own actors.
    pub const LOCAL: Self = Self(0);
}

/// Names an ask among those of the process that sent it. 0 is no ask: a tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequestId(pub u64);

impl RequestId {
    /// No reply is wanted.
    pub const NONE: Self = Self(0);
}

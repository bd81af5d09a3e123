//! The membership table: a row for each silo.

use super::Unknown;
use crate::{ident::SiloId, schema::KindHashes};
use semver::Version;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Where a silo stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum SiloStatus {
    /// Has a row; takes no actors yet.
    Joining,
    /// Takes actors.
    Active,
    /// Keeps what it has until that has moved; takes no more.
    ShuttingDown,
    /// Gone for good, by its own word or its peers'.
    Dead,
    /// A status of a newer program; takes no actors as far as this one knows.
    #[serde(other)]
    Other,
}

/// What a silo can do: the kinds it hosts with their versions, and the protocol it speaks.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Manifest {
    /// The kinds it hosts.
    #[serde(default)]
    pub kinds: BTreeMap<String, KindManifest>,
    /// The lowest version of the wire protocol that it speaks.
    #[serde(default)]
    pub protocol_min: u16,
    /// The highest.
    #[serde(default)]
    pub protocol_max: u16,
    /// By namespace of streams, the kinds whose actors get the events of the stream of their key without subscribing.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub streams: BTreeMap<String, Vec<String>>,
    /// What a newer program says besides.
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// One kind in a manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KindManifest {
    /// The version of the actor type.
    pub version: Version,
    /// The wire names of its messages.
    #[serde(default)]
    pub messages: Vec<String>,
    /// What its messages and states look like; nothing of a program that does not say.
    #[serde(default, skip_serializing_if = "KindHashes::is_empty")]
    pub schemas: KindHashes,
    /// What a newer program says besides.
    #[serde(flatten)]
    pub unknown: Unknown,
}

impl KindManifest {
    /// That of a kind in a version, of which nothing else is known.
    pub fn new(version: Version) -> Self {
        Self {
            version,
            messages: Vec::new(),
            schemas: KindHashes::default(),
            unknown: Unknown::default(),
        }
    }
}

/// What the cluster knows of one silo.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberRow {
    /// Which silo.
    pub silo: SiloId,
    /// Where it listens, `host:port`.
    pub address: String,
    /// Where it stands.
    pub status: SiloStatus,
    /// Grows while the silo lives. Kept apart from the rest of the row: [`super::Store::heartbeat`] alone sets it.
    #[serde(default)]
    pub heartbeat: u64,
    /// What it can do.
    #[serde(default)]
    pub manifest: Manifest,
    /// Free text by the operator: zone, rack, shard.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// What a newer program says besides; kept when another writes the row.
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// The membership table at one view.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct MembershipTable {
    /// Grows with every change of a row but heartbeats; 0 is the empty table before the first change.
    pub view: u64,
    /// The rows, ordered by silo.
    pub rows: Vec<MemberRow>,
}

/// A change of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Puts the row (its heartbeat counts only if the row is new).
    Put(MemberRow),
    /// Takes the row away: the silo has left, or has been dead for long.
    Remove(SiloId),
}

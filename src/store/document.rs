//! What the cluster has once: documents by name.

use super::ETag;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// A document as it was put.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// Its number: 1 for the first, one more with each that is put in its place.
    pub etag: ETag,
    /// Named MessagePack.
    pub body: Bytes,
}

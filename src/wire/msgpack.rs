//! Named MessagePack with limits.

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

/// Why a value cannot be encoded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The value's own `Serialize` fails, or MessagePack cannot express it.
    #[error("the value cannot be serialized")]
    Serialize(#[source] rmp_serde::encode::Error),
}

/// Why bytes cannot be decoded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes are MessagePack, but not of the type.
    #[error("the bytes do not fit the type")]
    Mismatch(#[source] rmp_serde::decode::Error),
}

/// Encodes as named MessagePack.
///
/// # Errors
/// The value cannot be expressed.
pub fn encode<T: Serialize + ?Sized>(_value: &T) -> Result<Bytes, EncodeError> {
    todo!()
}

/// Decodes named MessagePack.
///
/// # Errors
/// The bytes are not what [`encode`] makes of a `T`.
pub fn decode<T: DeserializeOwned>(_bytes: &[u8]) -> Result<T, DecodeError> {
    todo!()
}

//! x
use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct EncodeError(String);
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct DecodeError(String);
pub fn encode<T: Serialize>(value: &T) -> Result<Bytes, EncodeError> {
    rmp_serde::to_vec_named(value)
        .map(Bytes::from)
        .map_err(|e| EncodeError(e.to_string()))
}
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    rmp_serde::from_slice(bytes).map_err(|e| DecodeError(e.to_string()))
}

//! The id of an effect that is to happen once.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use xxhash_rust::xxh3::xxh3_128;

/// Names what a message is to do, however often the message comes: an actor that has done it answers with what it answered then.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OnceId(u128);

impl OnceId {
    /// How many bytes it has.
    pub const BYTES: usize = 16;

    /// One that nobody else has.
    ///
    /// # Panics
    /// If the system has no random numbers.
    pub fn random() -> Self {
        let mut bytes = [0; Self::BYTES];
        crate::chance::fill(&mut bytes).expect("the system has random numbers");
        Self::from_bytes(bytes)
    }

    /// That of a text: what a user's own request is called, the idempotency key of an HTTP request.
    ///
    /// ```
    /// # use quark::ident::OnceId;
    /// assert_eq!(OnceId::of("payment-17"), OnceId::of("payment-17"));
    /// assert_ne!(OnceId::of("payment-17"), OnceId::of("payment-18"));
    /// ```
    pub fn of(text: &str) -> Self {
        Self(xxh3_128(text.as_bytes()))
    }

    /// From its bytes.
    pub fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        Self(u128::from_be_bytes(bytes))
    }

    /// As bytes.
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        self.0.to_be_bytes()
    }
}

impl fmt::Display for OnceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for OnceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OnceId({self})")
    }
}

impl Serialize for OnceId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.to_bytes())
    }
}

impl<'de> Deserialize<'de> for OnceId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = serde_bytes::ByteBuf::deserialize(deserializer)?;
        let bytes = <[u8; Self::BYTES]>::try_from(&bytes[..]);
        bytes
            .map(Self::from_bytes)
            .map_err(|_| de::Error::custom("an id of an effect has 16 bytes"))
    }
}

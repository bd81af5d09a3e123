//! Named MessagePack with limits: the encoding of messages, replies, states and the rarer heads of frames.
//!
//! Structs are maps by field name, so that a version with more or fewer fields reads them. What comes from a peer or the
//! store is checked as a whole before it is decoded: complete, nothing behind it, no length that the bytes do not bear
//! out, nested at most [`MAX_DEPTH`] deep.

use super::shape::{self, ShapeError};
use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};
use std::{cell::Cell, sync::Arc};

/// A document larger than this is not copied, in bytes.
const LARGE: usize = 8 * 1024;

/// How deep arrays, maps, structs and enums may be nested.
pub const MAX_DEPTH: usize = 64;

/// Why a value cannot be encoded.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The value's own `Serialize` fails, or MessagePack cannot express it.
    #[error("the value of type {type_name} cannot be serialized")]
    Serialize {
        /// The Rust type.
        type_name: &'static str,
        /// The cause.
        source: Arc<rmp_serde::encode::Error>,
    },
    /// The value could be written but not be read back.
    #[error("the value of type {type_name} could not be read back")]
    Shape {
        /// The Rust type.
        type_name: &'static str,
        /// The cause.
        source: ShapeError,
    },
}

/// Why bytes cannot be decoded.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes are not one MessagePack document within the limits.
    #[error("the bytes are not one MessagePack document")]
    Shape(#[from] ShapeError),
    /// The document is not of the type: a field is missing or of another type, or a variant is not known.
    #[error("the document does not fit the type {type_name}")]
    Mismatch {
        /// The Rust type.
        type_name: &'static str,
        /// The cause.
        source: Arc<rmp_serde::decode::Error>,
    },
}

/// Encodes as named MessagePack.
///
/// # Errors
/// The value cannot be expressed, or is nested too deeply to be read back.
///
/// ```
/// #[derive(serde::Serialize, serde::Deserialize, PartialEq, Debug)]
/// struct Add { sku: String, quantity: u32 }
///
/// let add = Add { sku: "tea".into(), quantity: 2 };
/// let bytes = quark::wire::encode(&add)?;
/// assert_eq!(quark::wire::decode::<Add>(&bytes)?, add);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Bytes, EncodeError> {
    let mut scratch = Scratch::take();
    encode_into(scratch.bytes(), value)?;
    Ok(scratch.into_bytes())
}

thread_local! {
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Where a document is written before its length is known: they are mostly small, and a block of the right size is one allocation,
/// or none, if it is copied to where it goes.
pub(crate) struct Scratch(Vec<u8>);

impl Scratch {
    /// That of this thread; another one while that is in use: a value may encode others within its own `Serialize`.
    pub(crate) fn take() -> Self {
        Self(SCRATCH.try_with(Cell::take).unwrap_or_default())
    }

    /// What was written.
    pub(crate) fn bytes(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }

    /// The same, to be kept.
    pub(crate) fn into_bytes(mut self) -> Bytes {
        if self.0.len() > LARGE {
            return std::mem::take(&mut self.0).into();
        }
        Bytes::copy_from_slice(&self.0)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.0);
        bytes.clear();
        bytes.shrink_to(LARGE);
        // None any more: the thread is ending.
        let _ended = SCRATCH.try_with(|scratch| scratch.set(bytes));
    }
}

/// Appends the encoding to `bytes`. After an error `bytes` ends with a part of it.
pub(crate) fn encode_into<T: Serialize + ?Sized>(bytes: &mut Vec<u8>, value: &T) -> Result<(), EncodeError> {
    let type_name = std::any::type_name::<T>();
    let start = bytes.len();
    value
        .serialize(&mut rmp_serde::Serializer::new(&mut *bytes).with_struct_map())
        .map_err(|source| EncodeError::Serialize {
            type_name,
            source: Arc::new(source),
        })?;
    shape::check(&bytes[start..]).map_err(|source| EncodeError::Shape { type_name, source })
}

/// The document of a struct with one field more; `None` if it is none, or one of 15 fields or more.
///
/// # Errors
/// As of [`encode`].
pub(crate) fn with_field<T: Serialize>(
    document: &[u8],
    name: &'static str,
    value: &T,
) -> Result<Option<Bytes>, EncodeError> {
    let Some((&fields @ 0x80..0x8f, rest)) = document.split_first() else {
        return Ok(None);
    };
    let mut bytes = Vec::with_capacity(document.len() + name.len() + 16);
    bytes.push(fields + 1);
    bytes.extend_from_slice(rest);
    encode_into(&mut bytes, name)?;
    encode_into(&mut bytes, value)?;
    Ok(Some(bytes.into()))
}

/// Decodes named MessagePack.
///
/// # Errors
/// The bytes are not one document within the limits, or not of the type.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    shape::check(bytes)?;
    let mut deserializer = rmp_serde::Deserializer::from_read_ref(bytes);
    deserializer.set_max_depth(MAX_DEPTH + 1);
    T::deserialize(&mut deserializer).map_err(|source| DecodeError::Mismatch {
        type_name: std::any::type_name::<T>(),
        source: Arc::new(source),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::{Deserialize, Deserializer, de};
    use std::fmt;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct V1 {
        name: String,
        count: u32,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct V2 {
        added: Vec<u8>,
        count: u32,
        #[serde(default)]
        later: Option<u8>,
        name: String,
    }

    #[test]
    fn a_field_is_added_to_the_document_of_a_struct() {
        let old = encode(&V1 {
            name: "a".into(),
            count: 7,
        })
        .expect("encodes");
        let new = with_field(&old, "added", &vec![1_u8])
            .expect("encodes")
            .expect("a struct");
        let read: V2 = decode(&new).expect("is read");
        assert_eq!((read.added, read.count, read.name), (vec![1], 7, "a".into()));
        assert_eq!(decode::<V1>(&new).expect("is read").count, 7);
        assert_eq!(with_field(&[0x93, 1, 2, 3], "added", &1).expect("encodes"), None);
        assert_eq!(with_field(&[], "added", &1).expect("encodes"), None);
    }

    #[test]
    fn fields_are_found_by_name_between_versions() {
        let new = V2 {
            added: vec![1],
            count: 7,
            later: Some(1),
            name: "a".into(),
        };
        let old: V1 = decode(&encode(&new).expect("encodes")).expect("the old type reads the new document");
        assert_eq!(
            old,
            V1 {
                name: "a".into(),
                count: 7
            }
        );
    }

    #[test]
    fn bytes_behind_the_document_are_refused() {
        let mut bytes = encode(&1_u8).expect("encodes").to_vec();
        bytes.push(0);
        assert!(matches!(
            decode::<u8>(&bytes),
            Err(DecodeError::Shape(ShapeError::Trailing { extra: 1 }))
        ));
    }

    #[test]
    fn a_document_of_another_type_is_refused_with_its_cause() {
        let error = decode::<V1>(&encode("text").expect("encodes")).expect_err("a string is no struct");
        assert!(error.to_string().contains("V1"), "{error}");
        assert!(std::error::Error::source(&error).is_some());
    }

    #[derive(Debug, Serialize, Deserialize)]
    enum Nested {
        Leaf,
        Not(Box<Nested>),
    }

    #[test]
    fn nested_enums_cannot_overflow_the_stack() {
        let mut bytes = [0x81, 0xa3, b'N', b'o', b't'].repeat(100_000);
        bytes.extend([0xa4, b'L', b'e', b'a', b'f']);
        assert!(matches!(
            decode::<Nested>(&bytes),
            Err(DecodeError::Shape(ShapeError::TooDeep))
        ));
    }

    #[test]
    fn what_could_not_be_read_back_is_not_written() {
        let deep = |levels| (0..levels).fold(Nested::Leaf, |inner, _| Nested::Not(Box::new(inner)));
        let bytes = encode(&deep(MAX_DEPTH)).expect("as deep as allowed");
        decode::<Nested>(&bytes).expect("reads back");
        assert!(matches!(
            encode(&deep(MAX_DEPTH + 1)),
            Err(EncodeError::Shape {
                source: ShapeError::TooDeep,
                ..
            })
        ));
    }

    /// A type that trusts the size hint, as some containers do.
    struct Trusting;

    impl<'de> Deserialize<'de> for Trusting {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Visitor;
            impl<'de> de::Visitor<'de> for Visitor {
                type Value = Trusting;
                fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str("a sequence")
                }
                fn visit_seq<A: de::SeqAccess<'de>>(self, seq: A) -> Result<Trusting, A::Error> {
                    panic!("asked to allocate {:?} elements", seq.size_hint());
                }
            }
            deserializer.deserialize_seq(Visitor)
        }
    }

    #[test]
    fn a_false_length_never_reaches_the_type() {
        assert!(decode::<Trusting>(&[0xdd, 0xff, 0xff, 0xff, 0xff]).is_err());
    }
}

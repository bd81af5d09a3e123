//! The shape of MessagePack: one pass over the markers, before anything is allocated.

use super::MAX_DEPTH;

/// What is wrong with the shape of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShapeError {
    /// The document ends within a value.
    #[error("the document is cut off: the value at byte {at} needs more than the {left} bytes that follow")]
    Truncated {
        /// Where the value begins.
        at: usize,
        /// Bytes after its marker.
        left: usize,
    },
    /// Bytes follow the document.
    #[error("{extra} bytes follow the document")]
    Trailing {
        /// How many.
        extra: usize,
    },
    /// Arrays and maps are nested too deeply.
    #[error("arrays and maps are nested more than {MAX_DEPTH} deep; keep deep structures in a flat list")]
    TooDeep,
    /// A marker that MessagePack does not use.
    #[error("the byte at {at} is no MessagePack")]
    NotMessagePack {
        /// Where.
        at: usize,
    },
}

/// Checks that the bytes are one complete document whose lengths are true and whose nesting is at most [`MAX_DEPTH`].
///
/// rmp-serde hands claimed lengths to the type as size hints, which some types allocate in full, and does not count the
/// nesting of enums, which can overflow the stack: so neither is left to it.
pub(super) fn check(bytes: &[u8]) -> Result<(), ShapeError> {
    let mut open = [0_u64; MAX_DEPTH];
    let mut depth = 0;
    let mut at = 0;
    loop {
        let start = at;
        let (content, values) = measure(bytes, &mut at)?;
        let left = bytes.len() - at;
        // A value is at least one byte.
        if content > left as u64 || values > left as u64 {
            return Err(ShapeError::Truncated { at: start, left });
        }
        at += usize::try_from(content).expect("invariant: content is not longer than the slice");
        if values > 0 {
            *open.get_mut(depth).ok_or(ShapeError::TooDeep)? = values;
            depth += 1;
            continue;
        }
        while depth > 0 {
            open[depth - 1] -= 1;
            if open[depth - 1] > 0 {
                break;
            }
            depth -= 1;
        }
        if depth == 0 {
            return match bytes.len() - at {
                0 => Ok(()),
                extra => Err(ShapeError::Trailing { extra }),
            };
        }
    }
}

/// Reads a marker and its length: how many bytes of content and how many values follow.
fn measure(bytes: &[u8], at: &mut usize) -> Result<(u64, u64), ShapeError> {
    let start = *at;
    let truncated = ShapeError::Truncated {
        at: start,
        left: bytes.len().saturating_sub(start + 1),
    };
    let marker = *bytes.get(start).ok_or(truncated)?;
    *at += 1;
    let mut length = |width: usize| {
        let field = bytes.get(*at..*at + width).ok_or(truncated)?;
        *at += width;
        Ok(field.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
    };
    Ok(match marker {
        0x00..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => (0, 0),
        0x80..=0x8f => (0, 2 * u64::from(marker & 0x0f)),
        0x90..=0x9f => (0, u64::from(marker & 0x0f)),
        0xa0..=0xbf => (u64::from(marker & 0x1f), 0),
        0xc1 => return Err(ShapeError::NotMessagePack { at: start }),
        0xc4 | 0xd9 => (length(1)?, 0),
        0xc5 | 0xda => (length(2)?, 0),
        0xc6 | 0xdb => (length(4)?, 0),
        0xc7 => (1 + length(1)?, 0),
        0xc8 => (1 + length(2)?, 0),
        0xc9 => (1 + length(4)?, 0),
        0xcc | 0xd0 => (1, 0),
        0xcd | 0xd1 => (2, 0),
        0xca | 0xce | 0xd2 => (4, 0),
        0xcb | 0xcf | 0xd3 => (8, 0),
        0xd4 => (2, 0),
        0xd5 => (3, 0),
        0xd6 => (5, 0),
        0xd7 => (9, 0),
        0xd8 => (17, 0),
        0xdc => (0, length(2)?),
        0xdd => (0, length(4)?),
        0xde => (0, 2 * length(2)?),
        0xdf => (0, 2 * length(4)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_length_that_the_bytes_do_not_bear_out_is_refused() {
        for claim in [
            &[0xdd, 0xff, 0xff, 0xff, 0xff, 0xc0][..],
            &[0xdf, 0x00, 0x00, 0x00, 0x02, 0xc0, 0xc0, 0xc0],
            &[0xc6, 0x7f, 0xff, 0xff, 0xff, 0x00],
            &[0xdb, 0x00, 0x00, 0x00, 0x02, b'a'],
            &[0xc9, 0xff, 0xff, 0xff, 0xff, 0x01],
            &[0x92, 0xc0],
            &[0xcf, 0x00],
            &[0xdc, 0x00],
            &[],
        ] {
            assert!(matches!(check(claim), Err(ShapeError::Truncated { .. })), "{claim:x?}");
        }
    }

    #[test]
    fn nesting_is_bounded_for_arrays_and_maps() {
        let mut arrays = vec![0x91; MAX_DEPTH];
        arrays.push(0xc0);
        assert_eq!(check(&arrays), Ok(()));
        arrays.insert(0, 0x91);
        assert_eq!(check(&arrays), Err(ShapeError::TooDeep));
        let mut maps = [0x81, 0xa1, b'a'].repeat(MAX_DEPTH + 1);
        maps.push(0xc0);
        assert_eq!(check(&maps), Err(ShapeError::TooDeep));
    }

    #[test]
    fn every_marker_is_measured_as_the_encoder_writes_it() {
        let mut document = vec![0xdc, 0x00, 0x00];
        let mut values = 0_u16;
        let mut put = |bytes: &[u8]| {
            document.extend_from_slice(bytes);
            values += 1;
        };
        for n in [
            0_i64,
            1,
            127,
            128,
            255,
            256,
            65535,
            65536,
            1 << 32,
            -1,
            -32,
            -33,
            -128,
            -129,
            -32769,
            i64::MIN,
        ] {
            put(&crate::wire::encode(&n).expect("encodes"));
        }
        for length in [0, 1, 31, 32, 255, 256, 65535, 65536] {
            put(&crate::wire::encode(&"x".repeat(length)).expect("encodes"));
            put(&crate::wire::encode(serde_bytes::Bytes::new(&vec![7; length])).expect("encodes"));
            put(&crate::wire::encode(&vec![true; length]).expect("encodes"));
        }
        for length in [15_u32, 16, 65536] {
            put(&crate::wire::encode(
                &(0..length)
                    .map(|n| (n, ()))
                    .collect::<std::collections::BTreeMap<_, _>>(),
            )
            .expect("encodes"));
        }
        put(&crate::wire::encode(&(1.5_f32, 2.5_f64, u64::MAX, u128::MAX)).expect("encodes"));
        for length in [1, 2, 4, 8, 16, 3, 300, 70_000] {
            let mut ext = Vec::new();
            rmp_serde::encode::write(&mut ext, &Ext(serde_bytes::ByteBuf::from(vec![1; length]))).expect("encodes");
            put(&ext);
        }
        document[1..3].copy_from_slice(&values.to_be_bytes());
        assert_eq!(check(&document), Ok(()));
        document.push(0);
        assert_eq!(check(&document), Err(ShapeError::Trailing { extra: 1 }));
        document.truncate(document.len() - 2);
        assert!(matches!(check(&document), Err(ShapeError::Truncated { .. })));
    }

    /// rmp-serde's spelling of an extension.
    struct Ext(serde_bytes::ByteBuf);

    impl serde::Serialize for Ext {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_newtype_struct(rmp_serde::MSGPACK_EXT_STRUCT_NAME, &(5_i8, &self.0))
        }
    }

    proptest! {
        #[test]
        fn random_bytes_are_checked_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = check(&bytes);
        }
    }
}

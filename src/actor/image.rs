//! The bytes in which an actor is saved and moves.
//!
//! ```text
//!   plain:   document                                  named MessagePack, if there is nothing else to say
//!   sealed:  c1 | layout | head's length, u32 | head | document
//! ```
//! No document begins with `c1`, which MessagePack never uses. The head, named MessagePack, says the schema and what the actor
//! remembers of effects that happen once.

use super::{Effects, StateError, Written, named::Carried};
use crate::wire::{self, EncodeError};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, collections::BTreeMap};

/// The first byte of what is sealed.
pub(super) const MARK: u8 = 0xc1;
/// The layout that this version writes and knows.
const LAYOUT: u8 = 1;
/// Bytes before the head.
const START: usize = 6;

#[derive(Serialize)]
struct Head<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    schema: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    effects: Option<&'a Effects>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    named: &'a BTreeMap<String, Carried>,
}

/// [`Head`] as it is read.
#[derive(Deserialize)]
struct OwnedHead {
    #[serde(default)]
    schema: Option<String>,
    #[serde(default)]
    effects: Option<Effects>,
    #[serde(default)]
    named: BTreeMap<String, Carried>,
}

/// What an actor was saved or packed as.
#[derive(Debug)]
pub(super) struct Image<'a> {
    pub(super) written: Written<'a>,
    pub(super) effects: Option<Effects>,
    /// Named states that were changed and not saved when it was packed.
    pub(super) named: BTreeMap<String, Carried>,
}

/// Puts together what an actor is saved or packed as.
pub(super) fn seal(
    schema: Option<&'static str>,
    effects: Option<&Effects>,
    document: Bytes,
) -> Result<Bytes, EncodeError> {
    pack(schema, effects, &BTreeMap::new(), document)
}

/// The same with what moves and is not saved with it.
pub(super) fn pack(
    schema: Option<&'static str>,
    effects: Option<&Effects>,
    named: &BTreeMap<String, Carried>,
    document: Bytes,
) -> Result<Bytes, EncodeError> {
    let effects = effects.filter(|effects| !effects.is_empty());
    if schema.is_none() && effects.is_none() && named.is_empty() {
        return Ok(document);
    }
    let head = Head { schema, effects, named };
    let head = wire::encode(&head)?;
    let length = u32::try_from(head.len()).expect("invariant: effects are bounded");
    let mut image = Vec::with_capacity(START + head.len() + document.len());
    image.extend_from_slice(&[MARK, LAYOUT]);
    image.extend_from_slice(&length.to_be_bytes());
    image.extend_from_slice(&head);
    image.extend_from_slice(&document);
    Ok(image.into())
}

/// Takes apart what an actor was saved or packed as.
pub(super) fn open(image: &[u8]) -> Result<Image<'_>, StateError> {
    let plain = |document| Image {
        written: Written { schema: None, document },
        effects: None,
        named: BTreeMap::new(),
    };
    if image.first() != Some(&MARK) {
        return Ok(plain(image));
    }
    let wrong = |why: String| StateError::Layout { why };
    match image.get(1) {
        Some(&LAYOUT) => {}
        Some(other) => {
            return Err(wrong(format!(
                "it has the layout {other}, and this version of Quark knows {LAYOUT}: a newer one wrote it"
            )));
        }
        None => return Err(wrong("it ends after its first byte".into())),
    }
    let rest = image
        .get(START..)
        .ok_or_else(|| wrong("it ends before its head".into()))?;
    let length = u32::from_be_bytes([image[2], image[3], image[4], image[5]]) as usize;
    let (head, document) = (rest.split_at_checked(length)).ok_or_else(|| wrong("it ends within its head".into()))?;
    let head: OwnedHead = wire::decode(head).map_err(|error| wrong(format!("its head cannot be read: {error}")))?;
    Ok(Image {
        written: Written {
            schema: head.schema.map(Cow::Owned),
            document,
        },
        effects: head.effects,
        named: head.named,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{actor::Effect, ident::OnceId};

    fn document() -> Bytes {
        wire::encode(&("a", 7)).expect("encodes")
    }

    fn effects() -> Effects {
        let mut effects = Effects::default();
        effects.done(&Effect::Request(OnceId::of("one")), 10, Bytes::from_static(b"\x07"));
        effects
    }

    #[test]
    fn what_has_nothing_else_to_say_is_the_document_alone() {
        let image = seal(None, Some(&Effects::default()), document()).expect("encodes");
        assert_eq!(image, document());
        let opened = open(&image).expect("is read");
        assert_eq!(
            (opened.written.schema, opened.written.document),
            (None, &document()[..])
        );
    }

    #[test]
    fn what_is_sealed_is_opened_again() {
        for (schema, effects) in [
            (Some("cart.2"), None),
            (None, Some(effects())),
            (Some("x"), Some(effects())),
        ] {
            let image = seal(schema, effects.as_ref(), document()).expect("encodes");
            let opened = open(&image).expect("is read");
            assert_eq!(opened.written.schema.as_deref(), schema);
            assert_eq!(opened.effects, effects);
            assert_eq!(opened.written.document, document());
        }
    }

    /// The layout is what clusters that run have stored.
    #[test]
    fn the_bytes_are_the_published_ones() {
        let image = seal(Some("cart.2"), None, Bytes::from_static(b"\x80")).expect("encodes");
        assert_eq!(&image[..], b"\xc1\x01\x00\x00\x00\x0f\x81\xa6schema\xa6cart.2\x80");
    }

    #[test]
    fn a_newer_layout_and_what_is_cut_are_refused() {
        let image = seal(Some("cart.2"), None, document()).expect("encodes");
        for end in 1..START + 15 {
            assert!(open(&image[..end]).is_err(), "{end}");
        }
        let mut newer = image.to_vec();
        newer[1] = 2;
        let why = open(&newer).expect_err("newer").to_string();
        assert!(why.contains("layout 2") && why.contains("left as it was"), "{why}");
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = open(&bytes);
            let mut marked = vec![MARK, LAYOUT, 0, 0, 0];
            marked.extend(bytes);
            let _ = open(&marked);
        }
    }
}

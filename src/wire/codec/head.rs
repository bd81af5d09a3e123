//! What frames carry in named MessagePack: the extensions of their heads.
//!
//! Enums travel as a word with optional fields beside it, so that a reader takes a word that it does not know, with
//! whatever fields, for "another".

use crate::{
    ident::Hint,
    store::ETag,
    wire::{BounceReason, Failure, FailureCode, Located, OfferItem, PackedTimer, Ran, Refusal, SiloAddress},
};
use semver::Version;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

#[derive(Serialize, Deserialize)]
pub(super) struct HintHead<'a> {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) hint: Option<Cow<'a, Hint>>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct BounceHead<'a> {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) hint: Option<Cow<'a, Hint>>,
    pub(super) why: BounceReason,
}

#[derive(Serialize, Deserialize)]
pub(super) struct QueryHead<'a> {
    pub(super) name: Cow<'a, str>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct FoundHead<'a> {
    pub(super) found: Cow<'a, Located>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct ViewHead<'a> {
    pub(super) silos: Cow<'a, [SiloAddress]>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct OfferHead<'a> {
    pub(super) items: Cow<'a, [OfferItem]>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct OfferAnswerHead<'a> {
    pub(super) refusals: Cow<'a, [Option<Refusal>]>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct RefusedHead<'a> {
    pub(super) why: Cow<'a, Refusal>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct PackageHead<'a> {
    pub(super) version: Cow<'a, Version>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) etag: Option<ETag>,
    pub(super) unsaved: bool,
    pub(super) frozen_at: u64,
    #[serde(default, skip_serializing_if = "<[_]>::is_empty")]
    pub(super) timers: Cow<'a, [PackedTimer]>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct PartHead {
    pub(super) total: u64,
}

/// [`Refusal`] as it travels.
#[derive(Serialize, Deserialize)]
pub(in crate::wire) struct RefusalHead {
    why: Cow<'static, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    source: Option<Version>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    target: Option<Version>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

impl From<Refusal> for RefusalHead {
    fn from(refusal: Refusal) -> Self {
        let (why, source, target, text) = match refusal {
            Refusal::NotActive => ("not-active", None, None, None),
            Refusal::NotHosted => ("not-hosted", None, None, None),
            Refusal::Version { source, target } => ("version", Some(source), Some(target), None),
            Refusal::Full => ("full", None, None, None),
            Refusal::Unreadable(text) => ("unreadable", None, None, Some(text)),
            Refusal::Busy => ("busy", None, None, None),
            Refusal::Other => ("other", None, None, None),
        };
        Self {
            why: why.into(),
            source,
            target,
            text,
        }
    }
}

impl From<RefusalHead> for Refusal {
    fn from(head: RefusalHead) -> Self {
        match (&*head.why, head.source, head.target) {
            ("not-active", ..) => Self::NotActive,
            ("not-hosted", ..) => Self::NotHosted,
            ("version", Some(source), Some(target)) => Self::Version { source, target },
            ("full", ..) => Self::Full,
            ("unreadable", ..) => Self::Unreadable(head.text.unwrap_or_default()),
            ("busy", ..) => Self::Busy,
            _ => Self::Other,
        }
    }
}

/// [`Located`] as it travels.
#[derive(Serialize, Deserialize)]
pub(in crate::wire) struct LocatedHead {
    found: Cow<'static, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hint: Option<Hint>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failure: Option<Failure>,
}

impl From<Located> for LocatedHead {
    fn from(located: Located) -> Self {
        let (found, hint, failure) = match located {
            Located::At(hint) => ("at", Some(hint), None),
            Located::Nowhere(failure) => ("nowhere", None, Some(failure)),
            Located::NotNow(failure) => ("not-now", None, Some(failure)),
        };
        Self {
            found: found.into(),
            hint,
            failure,
        }
    }
}

impl From<LocatedHead> for Located {
    fn from(head: LocatedHead) -> Self {
        match (&*head.found, head.hint, head.failure) {
            ("at", Some(hint), _) => Self::At(hint),
            ("nowhere", _, Some(failure)) => Self::Nowhere(failure),
            ("not-now", _, Some(failure)) => Self::NotNow(failure),
            // Asking again is always safe.
            (word, _, failure) => Self::NotNow(failure.unwrap_or_else(|| {
                let text = format!("a newer silo answers {word:?}, which this version does not know");
                Failure::new(FailureCode::Unknown, Ran::No, text)
            })),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{decode, encode};
    use std::collections::BTreeMap;

    #[test]
    fn a_refusal_of_a_newer_version_is_another_reason() {
        let newer = BTreeMap::from([("why", "on-holiday"), ("until", "tomorrow")]);
        let refusal: Refusal = decode(&encode(&newer).expect("encodes")).expect("is read");
        assert_eq!(refusal, Refusal::Other);
    }

    #[test]
    fn a_location_of_a_newer_version_is_asked_for_again() {
        let newer = BTreeMap::from([("found", "in-transit"), ("to", "b")]);
        let located: Located = decode(&encode(&newer).expect("encodes")).expect("is read");
        assert!(matches!(located, Located::NotNow(failure) if failure.text.contains("in-transit")));
    }
}

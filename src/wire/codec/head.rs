//! What frames carry in named MessagePack: the extensions of their heads.
//!
//! Enums travel as a word with optional fields beside it, so that a reader takes a word that it does not know, with
//! whatever fields, for "another".

use crate::{
    ident::{Hint, TraceContext},
    store::ETag,
    wire::{
        BounceReason, Failure, FailureCode, Located, OfferItem, PackedSubscription, PackedTimer, Ran, Refusal,
        SiloAddress,
    },
};
use semver::Version;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

#[derive(Serialize, Deserialize)]
pub(super) struct HintHead<'a> {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) hint: Option<Cow<'a, Hint>>,
}

/// What a call has besides its fixed part.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct CallHead {
    #[serde(default, with = "trace", skip_serializing_if = "Option::is_none")]
    pub(super) trace: Option<TraceContext>,
}

impl CallHead {
    /// What it has encoded, if there is a trace; without it is left out.
    pub(super) const BYTES: usize = 1 + 6 + 2 + TraceContext::BYTES;
}

/// A trace context as 25 bytes. One of another shape is none: a trace is nothing to lose a message for.
mod trace {
    use crate::ident::TraceContext;
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};
    use serde_bytes::{ByteBuf, Bytes};

    pub(super) fn serialize<S: Serializer>(trace: &Option<TraceContext>, serializer: S) -> Result<S::Ok, S::Error> {
        let bytes = trace.as_ref().map(TraceContext::to_bytes);
        bytes.as_ref().map(|bytes| Bytes::new(bytes)).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<TraceContext>, D::Error> {
        let bytes = Option::<ByteBuf>::deserialize(deserializer)?;
        Ok(bytes.and_then(|bytes| TraceContext::from_bytes(&bytes).ok()))
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct BounceHead<'a> {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) hint: Option<Cow<'a, Hint>>,
    pub(super) why: BounceReason,
    #[serde(default, with = "trace", skip_serializing_if = "Option::is_none")]
    pub(super) trace: Option<TraceContext>,
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
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) serves: bool,
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
    /// What it is subscribed to.
    #[serde(default, skip_serializing_if = "<[_]>::is_empty")]
    pub(super) streams: Cow<'a, [PackedSubscription]>,
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
    fn the_head_of_a_call_has_the_bytes_that_are_reckoned_with() {
        let trace = TraceContext::new([1; 16], [2; 8], 1).expect("valid");
        let head = encode(&CallHead { trace: Some(trace) }).expect("encodes");
        assert_eq!(head.len(), CallHead::BYTES);
        let read: CallHead = decode(&head).expect("is read");
        assert_eq!(read.trace, Some(trace));
    }

    #[test]
    fn a_trace_of_another_shape_is_none() {
        for bytes in [vec![1; 24], vec![1; 26], vec![0; 25]] {
            let head = BTreeMap::from([("trace", serde_bytes::ByteBuf::from(bytes))]);
            let read: CallHead = decode(&encode(&head).expect("encodes")).expect("is read");
            assert_eq!(read.trace, None);
        }
    }

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

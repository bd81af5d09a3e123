//! The messages of the handshake, and the proofs in them.
//!
//! ```text
//! dialler                                   listener
//!    ── Hello { who, cluster, protocol, nonce, .. } ──▶
//!    ◀── Challenge { the same of the listener } ───────
//!    ── Proof { HMAC "dialler" } ─────────────────────▶     knows the dialler
//!    ◀── Welcome { HMAC "listener" } ──────────────────     knows the listener; frames from here on, both ways
//! ```
//! Either side sends `Reject` in place of any answer. A message is 8 bytes of prefix, `QUARK`, kind u8 and length u16
//! (little endian), and a named MessagePack map of at most 4096 bytes; unknown keys are ignored. A proof is HMAC-SHA256
//! with the cluster's secret over a label by role and the exact bytes of Hello and Challenge, so over both nonces, both
//! identities, the cluster and the protocol ranges. The dialler proves itself first: a listener tells nothing that
//! guesses could be tried against to whoever connects.

use super::{DecodeError, ProtocolRange, decode, encode};
use crate::ident::ProcessId;
use ring::hmac;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_bytes::ByteArray;
use std::collections::BTreeSet;

const MAGIC: [u8; 5] = *b"QUARK";

/// Bytes before each message of the handshake.
pub(crate) const PREFIX_BYTES: usize = 8;

/// The longest message of the handshake, in bytes, without its prefix.
pub(crate) const MAX_MESSAGE_BYTES: usize = 4096;

/// Which message of the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Hello = 1,
    Challenge = 2,
    Proof = 3,
    Welcome = 4,
    Reject = 5,
}

/// What a prefix says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Prefix {
    /// A message of so many bytes follows; no step is one of a newer version.
    Message(Option<Step>, usize),
    /// Not this protocol.
    Foreign,
}

impl Prefix {
    pub(crate) fn from_bytes(bytes: [u8; PREFIX_BYTES]) -> Self {
        let [magic @ .., kind, low, high] = bytes;
        if magic != MAGIC {
            return Self::Foreign;
        }
        let step = [Step::Hello, Step::Challenge, Step::Proof, Step::Welcome, Step::Reject]
            .into_iter()
            .find(|step| *step as u8 == kind);
        Self::Message(step, u16::from_le_bytes([low, high]).into())
    }
}

/// How one side introduces itself: Hello and Challenge.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Introduction {
    pub(crate) process: ProcessId,
    pub(crate) cluster: String,
    pub(crate) protocol: ProtocolRange,
    /// Random, for this handshake alone.
    pub(crate) nonce: ByteArray<32>,
    /// Whether this side has a secret: proves that it knows it, and asks the other to.
    pub(crate) proves: bool,
    /// The dialler's number of the link; 0 from the listener.
    #[serde(default)]
    pub(crate) number: u64,
    /// What this side can do besides, in words. Those that the other does not know are ignored.
    #[serde(default)]
    pub(crate) capabilities: BTreeSet<String>,
}

/// The word of a side that takes large frames in pieces.
pub(crate) const PIECES: &str = "pieces";

/// Proof and Welcome.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Proven {
    /// `None` without a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) proof: Option<ByteArray<32>>,
}

/// Why one side ends the handshake. Words that the other side does not know are taken by their text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Reject {
    pub(crate) why: String,
    /// For people.
    #[serde(default)]
    pub(crate) text: String,
    /// The cluster of the side that rejects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cluster: Option<String>,
    /// The protocol versions of the side that rejects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) protocol: Option<ProtocolRange>,
}

impl Reject {
    /// Another cluster.
    pub(crate) const CLUSTER: &str = "cluster";
    /// No common protocol version.
    pub(crate) const PROTOCOL: &str = "protocol";
    /// The side that rejects has a secret, the other has none.
    pub(crate) const NO_SECRET: &str = "no-secret";
    /// The side that rejects has no secret, the other has one.
    pub(crate) const UNEXPECTED_SECRET: &str = "unexpected-secret";
    /// The proof is wrong.
    pub(crate) const WRONG_SECRET: &str = "wrong-secret";
    /// Not the process that was dialled.
    pub(crate) const PROCESS: &str = "process";
    /// TLS is spoken on this side, and the other has begun without.
    pub(crate) const TLS: &str = "tls";
    /// The other side has begun with TLS, and none is spoken on this side.
    pub(crate) const NO_TLS: &str = "no-tls";
    /// The other side's certificate is not that of a silo, which it says it is.
    pub(crate) const CERTIFICATE: &str = "certificate";
    /// A message that is too long, cannot be read or comes out of turn.
    pub(crate) const MALFORMED: &str = "malformed";

    /// A rejection; the text is cut to 512 characters.
    pub(crate) fn new(why: &str, text: &str) -> Self {
        Self {
            why: why.into(),
            text: text.chars().take(512).collect(),
            cluster: None,
            protocol: None,
        }
    }
}

/// Who proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Dialler,
    Listener,
}

/// What was said in the handshake, as bytes: what proofs are over.
#[derive(Clone, Debug, Default)]
pub(crate) struct Transcript {
    /// Without its prefix.
    pub(crate) hello: Vec<u8>,
    /// Without its prefix.
    pub(crate) challenge: Vec<u8>,
}

impl Transcript {
    fn bytes(&self, role: Role) -> Vec<u8> {
        let label: &[u8] = match role {
            Role::Dialler => b"quark handshake 1 dialler",
            Role::Listener => b"quark handshake 1 listener",
        };
        let mut bytes = Vec::new();
        for part in [label, &self.hello, &self.challenge] {
            bytes.extend((part.len() as u64).to_le_bytes());
            bytes.extend(part);
        }
        bytes
    }

    /// The proof that `role` knows the secret.
    pub(crate) fn prove(&self, secret: &[u8], role: Role) -> ByteArray<32> {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), &self.bytes(role));
        let mut proof = [0; 32];
        proof.copy_from_slice(tag.as_ref());
        ByteArray::new(proof)
    }

    /// Checks a proof in constant time.
    pub(crate) fn proves(&self, secret: &[u8], role: Role, proof: &[u8]) -> bool {
        hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, secret), &self.bytes(role), proof).is_ok()
    }
}

/// A message with its prefix. The names in it are at most [`crate::ident::ActorId::MAX_LEN`] bytes.
pub(crate) fn to_bytes<T: Serialize>(step: Step, message: &T) -> Vec<u8> {
    let message = encode(message).expect("invariant: the messages are plain values");
    assert!(
        message.len() <= MAX_MESSAGE_BYTES,
        "invariant: names were checked, texts were cut"
    );
    let mut bytes = Vec::with_capacity(PREFIX_BYTES + message.len());
    bytes.extend(MAGIC);
    bytes.push(step as u8);
    bytes.extend((message.len() as u16).to_le_bytes());
    bytes.extend(message);
    bytes
}

/// A message without its prefix.
pub(crate) fn from_bytes<T: DeserializeOwned>(message: &[u8]) -> Result<T, DecodeError> {
    decode(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"a secret of some length";

    fn transcript() -> Transcript {
        Transcript {
            hello: b"hello".to_vec(),
            challenge: b"challenge".to_vec(),
        }
    }

    #[test]
    fn a_proof_holds_for_its_role_secret_and_transcript_alone() {
        let proof = transcript().prove(SECRET, Role::Dialler);
        assert!(transcript().proves(SECRET, Role::Dialler, &*proof));
        assert!(!transcript().proves(SECRET, Role::Listener, &*proof), "reflected");
        assert!(!transcript().proves(b"another secret of some", Role::Dialler, &*proof));
        assert!(!transcript().proves(SECRET, Role::Dialler, &proof[..31]));
        let mut other = transcript();
        other.hello = b"hell".to_vec();
        other.challenge = b"ochallenge".to_vec();
        assert!(
            !other.proves(SECRET, Role::Dialler, &*proof),
            "the parts are told apart"
        );
    }

    #[test]
    fn the_longest_introduction_and_rejection_fit() {
        let name = "\u{10ffff}".repeat(256);
        let introduction = Introduction {
            process: ProcessId::Silo(crate::ident::SiloId::new(&*name, u64::MAX)),
            cluster: name.clone(),
            protocol: ProtocolRange::SUPPORTED,
            nonce: ByteArray::new([0xff; 32]),
            proves: true,
            number: u64::MAX,
            capabilities: [PIECES.to_owned()].into(),
        };
        let bytes = to_bytes(Step::Hello, &introduction);
        assert_eq!(
            from_bytes::<Introduction>(&bytes[PREFIX_BYTES..]).expect("reads back"),
            introduction
        );
        let reject = Reject {
            cluster: Some(name),
            protocol: Some(ProtocolRange { min: 1, max: u16::MAX }),
            ..Reject::new(Reject::CLUSTER, &"\u{10ffff}".repeat(4096))
        };
        to_bytes(Step::Reject, &reject);
    }

    #[test]
    fn a_prefix_tells_the_protocol_the_step_and_the_length() {
        let prefix = |bytes: &[u8]| Prefix::from_bytes(bytes.try_into().expect("eight bytes"));
        assert_eq!(prefix(b"QUARK\x01\x02\x01"), Prefix::Message(Some(Step::Hello), 258));
        assert_eq!(prefix(b"QUARK\x09\x00\x00"), Prefix::Message(None, 0));
        assert_eq!(prefix(b"GET / HT"), Prefix::Foreign);
    }
}

//! Why bytes are no frame, or a frame cannot become bytes.

use super::{DecodeError, EncodeError, codec::kind};
use crate::ident::InvalidName;

/// Why bytes are no frame, or a frame cannot become bytes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// Longer than a limit allows.
    #[error("{subject} has {value} {unit}, but the limit {limit} is {max}")]
    TooLong {
        /// What is too long; names the actor and the message of a frame to be sent.
        subject: String,
        /// How long it is.
        value: usize,
        /// Bytes or actors.
        unit: &'static str,
        /// Which limit, as it is called in [`super::Limits`].
        limit: &'static str,
        /// What it allows.
        max: usize,
    },
    /// A field is cut off or has a value that it cannot have.
    #[error("the {} frame is malformed: {field} {why}", kind::name(*.kind))]
    Malformed {
        /// The kind number.
        kind: u8,
        /// Which field.
        field: &'static str,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A name that cannot be used.
    #[error("the {} frame carries a bad name", kind::name(*.kind))]
    BadName {
        /// The kind number.
        kind: u8,
        /// Which and why.
        source: InvalidName,
    },
    /// A part in named MessagePack that does not fit.
    #[error("the {} frame carries a head or payload that cannot be decoded", kind::name(*.kind))]
    Undecodable {
        /// The kind number.
        kind: u8,
        /// The cause.
        source: DecodeError,
    },
    /// A part that cannot be encoded.
    #[error("a {} frame cannot be encoded", kind::name(*.kind))]
    Unencodable {
        /// The kind number.
        kind: u8,
        /// The cause.
        source: EncodeError,
    },
    /// A frame that was not understood when it came in cannot be sent on.
    #[error("a frame of the unknown kind {kind} cannot be sent")]
    Unrecognized {
        /// The kind number.
        kind: u8,
    },
}

//! Errors as they travel: a numeric code, a text, and whether the message ran.

use serde::{Deserialize, Serialize};

/// Whether a message that ended in an error had an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Ran {
    /// It did not start.
    No,
    /// It started (and may have done a part of its work).
    Yes,
    /// Not known.
    #[serde(other)]
    Unknown,
}

/// An error as it travels. Codes that a process does not know survive in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{text}")]
pub struct Failure {
    /// What kind of error; see [`FailureCode`].
    #[serde(rename = "c")]
    pub code: u16,
    /// Whether the message ran.
    #[serde(rename = "r")]
    pub ran: Ran,
    /// For people: cause and cure.
    #[serde(rename = "t")]
    pub text: String,
}

impl Failure {
    /// A failure.
    pub fn new(code: FailureCode, ran: Ran, text: impl Into<String>) -> Self {
        Self {
            code: code as u16,
            ran,
            text: text.into(),
        }
    }
}

/// The codes of this version. A number is never given a new meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u16)]
#[non_exhaustive]
pub enum FailureCode {
    /// The deadline passed before the message started.
    TimedOut = 1,
    /// The handler panicked.
    Panicked = 2,
    /// The actor could not be activated.
    ActivationFailed = 3,
    /// No silo hosts the kind in an allowed version.
    NotHosted = 4,
    /// The kind does not take the message.
    UnknownMessage = 5,
    /// The message cannot be decoded.
    Unreadable = 6,
    /// The ask waits for itself.
    Cycle = 7,
    /// Whether the message ran is not known.
    Unknown = 8,
    /// The silo is shutting down.
    ShuttingDown = 9,
    /// The store does not answer.
    StoreUnavailable = 10,
    /// The reply cannot be encoded or decoded.
    BadReply = 11,
    /// The silo does not know the query, or refuses it.
    BadQuery = 12,
    /// The mailbox stayed full until the deadline.
    Full = 13,
    /// The activation was discarded while the message ran or waited.
    Discarded = 14,
    /// The actor's kind or key cannot be used.
    BadName = 15,
    /// The message or the reply does not fit into a frame.
    TooLarge = 16,
}

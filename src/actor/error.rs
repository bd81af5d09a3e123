//! What callers and actors are told when something fails.

use crate::wire::{Failure, FailureCode, Ran};
use std::{error::Error, fmt};

/// Why a call did not end in a reply. [`CallError::ran`] says whether the message had an effect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The deadline passed.
    #[error("timed out: {0}")]
    TimedOut(Failure),
    /// The handler panicked; the activation was discarded and is rebuilt from its saved state by the next call.
    #[error("panicked: {0}")]
    Panicked(Failure),
    /// The actor could not be activated; the next call tries again.
    #[error("activation failed: {0}")]
    ActivationFailed(Failure),
    /// No silo hosts the kind in an allowed version.
    #[error("not hosted: {0}")]
    NotHosted(Failure),
    /// The actor, as it is hosted, does not know the message.
    #[error("unknown message: {0}")]
    UnknownMessage(Failure),
    /// The message or the reply cannot be encoded or decoded.
    #[error("unreadable: {0}")]
    Unreadable(Failure),
    /// The ask would wait for itself.
    #[error("call cycle: {0}")]
    Cycle(Failure),
    /// The message was sent and its silo was lost: it may have run or not.
    #[error("outcome unknown: {0}")]
    Unknown(Failure),
    /// The process shuts down.
    #[error("shutting down: {0}")]
    ShuttingDown(Failure),
    /// The store did not answer in time.
    #[error("store unavailable: {0}")]
    StoreUnavailable(Failure),
    /// The mailbox stayed full until the deadline.
    #[error("mailbox full: {0}")]
    Full(Failure),
    /// The message or the reply is larger than what a link carries.
    #[error("too large: {0}")]
    TooLarge(Failure),
    /// An error of a kind that this version does not know.
    #[error("error {code}: {0}", code = .0.code)]
    Other(Failure),
}

impl CallError {
    /// Whether the message had an effect. [`Ran::No`]: it is safe to send it again.
    pub fn ran(&self) -> Ran {
        self.failure().ran
    }

    /// The error as it travelled.
    pub fn failure(&self) -> &Failure {
        match self {
            Self::TimedOut(failure)
            | Self::Panicked(failure)
            | Self::ActivationFailed(failure)
            | Self::NotHosted(failure)
            | Self::UnknownMessage(failure)
            | Self::Unreadable(failure)
            | Self::Cycle(failure)
            | Self::Unknown(failure)
            | Self::ShuttingDown(failure)
            | Self::StoreUnavailable(failure)
            | Self::Full(failure)
            | Self::TooLarge(failure)
            | Self::Other(failure) => failure,
        }
    }
}

impl From<Failure> for CallError {
    fn from(failure: Failure) -> Self {
        use FailureCode as Code;
        let is = |code: Code| failure.code == code as u16;
        let make = if is(Code::TimedOut) {
            Self::TimedOut
        } else if is(Code::Panicked) {
            Self::Panicked
        } else if is(Code::ActivationFailed) {
            Self::ActivationFailed
        } else if is(Code::NotHosted) {
            Self::NotHosted
        } else if is(Code::UnknownMessage) {
            Self::UnknownMessage
        } else if is(Code::Unreadable) || is(Code::BadReply) {
            Self::Unreadable
        } else if is(Code::Cycle) {
            Self::Cycle
        } else if is(Code::Unknown) || is(Code::Discarded) {
            Self::Unknown
        } else if is(Code::ShuttingDown) {
            Self::ShuttingDown
        } else if is(Code::StoreUnavailable) {
            Self::StoreUnavailable
        } else if is(Code::Full) {
            Self::Full
        } else if is(Code::TooLarge) {
            Self::TooLarge
        } else {
            Self::Other
        };
        make(failure)
    }
}

/// Why a `try_` call was not made.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum TryError<M> {
    /// There is no room now; here is the message.
    #[error("the mailbox is full; send again later, or use the waiting form")]
    Full(M),
    /// It cannot be sent at all.
    #[error(transparent)]
    Failed(#[from] CallError),
}

impl<M> fmt::Debug for TryError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(_) => f.write_str("Full(..)"),
            Self::Failed(error) => f.debug_tuple("Failed").field(error).finish(),
        }
    }
}

/// Why an actor refuses to be activated. Made from any error by `?`.
pub struct ActivationError(Box<dyn Error + Send + Sync>);

impl ActivationError {
    /// With a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into().into())
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for ActivationError {
    fn from(error: E) -> Self {
        Self(Box::new(error))
    }
}

impl fmt::Display for ActivationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for ActivationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of codes in docs/wire-format.md.
    #[test]
    fn every_code_becomes_the_error_that_is_documented() {
        let page = include_str!("../../docs/wire-format.md");
        let rows = (page.lines())
            .skip_while(|line| !line.starts_with("| code | name |"))
            .skip(2)
            .take_while(|line| line.starts_with('|'));
        let mut codes = 0;
        for row in rows {
            let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
            let failure = Failure {
                code: cells[0].parse().expect("a number"),
                ran: Ran::No,
                text: String::new(),
            };
            let error = format!("{:?}", CallError::from(failure));
            assert!(error.starts_with(&format!("{}(", cells[2])), "{row}: {error}");
            codes += 1;
        }
        assert_eq!(codes, FailureCode::TooLarge as usize, "all of them");
    }
}

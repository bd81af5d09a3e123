//! How a store fails.

/// A store operation that did not answer as it should.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The URL names no backend.
    #[error("the store {url:?} cannot be used: {why}")]
    BadUrl {
        /// The URL, without its secrets.
        url: String,
        /// What is wrong and what would be right.
        why: String,
    },
    /// The store could not be opened or created.
    #[error("the store {place} cannot be opened: {why}")]
    CannotOpen {
        /// Where it was looked for.
        place: String,
        /// What the system said and what to do.
        why: String,
    },
    /// The store cannot be reached; a change that was asked for may or may not have been made.
    #[error("the store {place} did not answer: {why}; whether the change was made is not known")]
    Unavailable {
        /// Which store.
        place: String,
        /// What the system said.
        why: String,
    },
    /// The store did not take the operation; nothing was changed.
    #[error("the store {place} did not take the operation: {why}; nothing was changed")]
    Refused {
        /// Which store.
        place: String,
        /// What the system said and what to do.
        why: String,
    },
    /// What is stored cannot be understood.
    #[error("a record of the store {place} cannot be read: {what}: {why}; it was left as it is")]
    Corrupt {
        /// Which store.
        place: String,
        /// Which record.
        what: String,
        /// What is wrong with it.
        why: String,
    },
}

impl StoreError {
    /// Whether the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Refused { .. })
    }
}

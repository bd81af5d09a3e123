//! Why bytes are no frame, or a frame cannot become bytes.

/// Why bytes are no frame, or a frame cannot become bytes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// Longer than a limit allows.
    #[error("{subject} has {value} {unit}, the limit `{limit}` allows {max}")]
    TooLong {
        /// What is too long, with the actor and the message when a frame is to be sent.
        subject: String,
        /// How long it is.
        value: usize,
        /// Bytes or entries.
        unit: &'static str,
        /// Which limit.
        limit: &'static str,
        /// What it allows.
        max: usize,
    },
}

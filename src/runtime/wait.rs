//! A moment at which an activation is to be looked after.

use crate::{clock::Moment, mailbox::Mailbox};
use std::sync::Arc;

/// An activation whose turn or timers are to be looked after, ordered by when.
pub(super) struct Wait {
    pub(super) at: Moment,
    pub(super) mailbox: Arc<Mailbox>,
}

impl PartialEq for Wait {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Wait {}

impl PartialOrd for Wait {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Wait {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.at.cmp(&other.at)
    }
}

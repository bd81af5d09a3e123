//! The newest view that a store has told of by itself.

use tokio::sync::watch;

/// Tells those who watch of new views.
#[derive(Debug)]
pub(super) struct Views(watch::Sender<u64>);

impl Default for Views {
    fn default() -> Self {
        Self(watch::Sender::new(0))
    }
}

impl Views {
    /// Watches from now on.
    pub(super) fn subscribe(&self) -> watch::Receiver<u64> {
        self.0.subscribe()
    }

    /// The table has this view. An old one again, after the store lost changes, is news too.
    pub(super) fn heard(&self, view: u64) {
        self.0.send_if_modified(|known| std::mem::replace(known, view) != view);
    }
}

//! How a silo ends: by a wish, a signal or its fence; once, whoever asks.

use crate::wire::ShutdownReport;
use parking_lot::Mutex;
use tokio::sync::watch;

/// Why a silo ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// In order.
    Stop(String),
    /// At once: it has no right to serve any more.
    Fence(String),
}

/// How a silo ends.
pub(super) struct End {
    wish: watch::Sender<Option<Wish>>,
    left: watch::Sender<bool>,
    report: watch::Sender<Option<Result<ShutdownReport, Ended>>>,
    begun: Mutex<bool>,
}

/// A silo that has ended before its time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Ended {
    /// It has lost its right to serve; what it ran was stopped, what was sent to it is answered by nobody.
    #[error("the silo was fenced: {reason}")]
    Fenced {
        /// Why.
        reason: String,
        /// What was stopped.
        report: Box<ShutdownReport>,
    },
    /// Its thread ended.
    #[error("the silo's thread ended without a report; its log says why")]
    Crashed,
}

impl Default for End {
    fn default() -> Self {
        Self {
            wish: watch::Sender::new(None),
            left: watch::Sender::new(false),
            report: watch::Sender::new(None),
            begun: Mutex::new(false),
        }
    }
}

impl End {
    /// Asks the silo to stop. The first reason counts.
    pub(super) fn stop(&self, reason: &str) {
        self.wish.send_if_modified(|wish| {
            let first = wish.is_none();
            if first {
                *wish = Some(Wish::Stop(reason.to_owned()));
            }
            first
        });
    }

    /// The silo has lost its right to serve; overrides a stop in order.
    pub(super) fn fenced(&self, reason: &str) {
        self.wish.send_replace(Some(Wish::Fence(reason.to_owned())));
    }

    /// Whether the silo is fenced, and why.
    pub(super) fn fence(&self) -> Option<String> {
        match &*self.wish.borrow() {
            Some(Wish::Fence(reason)) => Some(reason.clone()),
            _ => None,
        }
    }

    /// Waits for a wish.
    pub(super) async fn wished(&self) -> Wish {
        let mut wishes = self.wish.subscribe();
        match wishes.wait_for(Option::is_some).await {
            Ok(wish) => wish.clone().expect("invariant: it was waited for"),
            Err(_) => Wish::Stop("the silo's handles are gone".into()),
        }
    }

    /// The row is removed.
    pub(super) fn left(&self) {
        self.left.send_replace(true);
    }

    /// Waits until the row is removed.
    pub(super) async fn has_left(&self) {
        let mut left = self.left.subscribe();
        // The sender is this value: it cannot end first.
        let _left = left.wait_for(|left| *left).await;
    }

    /// The silo has ended.
    pub(super) fn ended(&self, report: Result<ShutdownReport, Ended>) {
        let mut begun = self.begun.lock();
        if !std::mem::replace(&mut *begun, true) {
            self.report.send_replace(Some(report));
        }
    }

    /// Waits until the silo has ended.
    pub(super) async fn report(&self) -> Result<ShutdownReport, Ended> {
        let mut reports = self.report.subscribe();
        match reports.wait_for(Option::is_some).await {
            Ok(report) => report.clone().unwrap_or(Err(Ended::Crashed)),
            Err(_) => Err(Ended::Crashed),
        }
    }
}

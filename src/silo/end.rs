//! How a silo ends: by a wish, a signal or its fence; once, whoever asks.

use crate::wire::ShutdownReport;
use futures_util::future::{Either, select};
use parking_lot::Mutex;
use std::pin::pin;
use tokio::sync::{oneshot, watch};

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
    /// Who wants the end to be called off, and waits for the answer.
    uncordons: Mutex<Vec<oneshot::Sender<Result<(), CordonError>>>>,
    /// How often an end was called off.
    called_off: watch::Sender<u64>,
}

/// A silo that cannot be cordoned or un-cordoned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CordonError {
    /// It is told to leave; `uncordon` calls that off.
    #[error("the silo is leaving; un-cordon it first")]
    Leaving,
    /// Its peers count on its leaving: the barrier was begun.
    #[error("the silo is about to close its links and cannot stay any more; start it again")]
    TooLate,
    /// It has ended, or was fenced.
    #[error("the silo has ended")]
    Ended,
    /// The membership table does not show the change yet; it will when the store answers.
    #[error("the membership table does not show the change yet; it is tried again until the store answers")]
    NotPublished,
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
    /// The end was called off by [`uncordon`](super::SiloHandle::uncordon): the silo goes on.
    #[error("the end was called off; the silo goes on")]
    CalledOff,
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
            uncordons: Mutex::default(),
            called_off: watch::Sender::new(0),
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

    /// Whether the silo is to end, in order or not.
    pub(super) fn is_wished(&self) -> bool {
        self.wish.borrow().is_some()
    }

    /// Asks for the end to be called off.
    pub(super) fn ask_uncordon(&self, tell: oneshot::Sender<Result<(), CordonError>>) {
        self.uncordons.lock().push(tell);
    }

    /// Whether somebody asks for the end to be called off.
    pub(super) fn is_uncordon_asked(&self) -> bool {
        !self.uncordons.lock().is_empty()
    }

    /// Answers those who ask for the end to be called off.
    pub(super) fn answer_uncordons(&self, answer: Result<(), CordonError>) {
        for tell in std::mem::take(&mut *self.uncordons.lock()) {
            // Whoever asked may have gone.
            let _gone = tell.send(answer);
        }
    }

    /// A stop in order is called off: it may be wished again.
    pub(super) fn call_off(&self) {
        self.wish.send_if_modified(|wish| {
            let stops = matches!(wish, Some(Wish::Stop(_)));
            if stops {
                *wish = None;
            }
            stops
        });
        self.called_off.send_modify(|times| *times += 1);
    }

    /// Wishes a stop and waits for what becomes of it.
    pub(super) async fn stopped(&self, reason: &str) -> Result<ShutdownReport, Ended> {
        // Before the wish: what is called off after it is heard.
        let mut called_off = self.called_off.subscribe();
        self.stop(reason);
        match select(pin!(self.report()), pin!(called_off.changed())).await {
            Either::Left((report, _)) => report,
            Either::Right(_) => Err(Ended::CalledOff),
        }
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

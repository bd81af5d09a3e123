//! What is known of the silos now: written by the upgrade and by whoever asks the silos, read by the display.

use crate::silo_process::Ready;
use quark::wire::StatusReport;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The board.
#[derive(Debug, Default)]
pub(crate) struct Board(Mutex<View>);

/// What is on the board.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    /// What is being done.
    pub(crate) headline: String,
    /// What was done so far, in order.
    pub(crate) history: Vec<String>,
    /// The silos, in order of start.
    pub(crate) silos: Vec<SiloView>,
}

/// A silo on the board.
#[derive(Clone, Debug)]
pub(crate) struct SiloView {
    pub(crate) ready: Ready,
    pub(crate) standing: Standing,
    /// What it said last of itself.
    pub(crate) status: Option<StatusReport>,
}

/// Where a silo stands, as far as this program has brought it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It serves.
    Serving,
    /// It was told to stop.
    Draining,
    /// It is gone.
    Left,
}

impl SiloView {
    /// How many actors it has.
    pub(crate) fn actors(&self) -> usize {
        let status = self.status.as_ref().filter(|_| self.standing != Standing::Left);
        status.map_or(0, |status| status.activations.values().sum())
    }
}

impl Board {
    /// Something is done now.
    pub(crate) fn headline(&self, text: impl Into<String>) {
        let mut view = self.lock();
        view.headline = text.into();
        let text = view.headline.clone();
        view.history.push(text);
    }

    /// A silo is ready.
    pub(crate) fn add(&self, ready: Ready) {
        self.lock().silos.push(SiloView {
            ready,
            standing: Standing::Serving,
            status: None,
        });
    }

    /// A silo stands otherwise.
    pub(crate) fn set(&self, name: &str, standing: Standing) {
        if let Some(silo) = self.lock().silos.iter_mut().find(|silo| silo.ready.silo.name() == name) {
            silo.standing = standing;
        }
    }

    /// A silo has said how it does.
    pub(crate) fn heard(&self, status: StatusReport) {
        if let Some(silo) = self.lock().silos.iter_mut().find(|silo| silo.ready.silo == status.silo) {
            silo.status = Some(status);
        }
    }

    /// All of it, as it is now.
    pub(crate) fn view(&self) -> View {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, View> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

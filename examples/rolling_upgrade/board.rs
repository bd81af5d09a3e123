//! What is known of the silos now: written by the upgrade and by whoever asks the silos, read by the display.

use crate::silo_process::Ready;
use quark::wire::StatusReport;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::time::Instant;

/// The board.
#[derive(Debug, Default)]
pub(crate) struct Board(Mutex<View>);

/// What is on the board.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    /// What was begun or done so far, in order; the last is what goes on now.
    pub(crate) history: Vec<(Instant, String)>,
    /// The silos, in order of start.
    pub(crate) silos: Vec<SiloView>,
    /// Some of the actors that were seen moving last: their names, and from which silo.
    pub(crate) moving: (String, Vec<String>),
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
        self.lock().history.push((Instant::now(), text.into()));
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
        let mut view = self.lock();
        if !status.moving_now.is_empty() {
            let names = status.moving_now.iter().map(ToString::to_string);
            view.moving = (status.silo.name().to_owned(), names.collect());
        }
        if let Some(silo) = view.silos.iter_mut().find(|silo| silo.ready.silo == status.silo) {
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

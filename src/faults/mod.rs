//! Faults: where a test stops a process within a step of a protocol, and what it does to a frame that is being sent.
//!
//! Only with the feature `testkit`, which programs for users do not have: without it nothing of this is compiled. A test's program
//! hands in [`Faults`] once, before its silo starts. Imports `ident`.

use crate::ident::ActorId;
use std::sync::OnceLock;

/// What becomes of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fate {
    /// It is sent.
    Sent,
    /// It is lost, alone. A link does not do that; to the other end it is as if the sender had never come to it.
    Dropped,
    /// It is lost, and all behind it: the link ends where it stood.
    Cut,
    /// It is sent twice.
    Repeated,
    /// It is sent behind the next frame of its link.
    Overtaken,
}

/// What a test does to its process. Called with locks held: it may block and must not call into the silo.
pub trait Faults: Send + Sync + 'static {
    /// A seat is about to do what its [`crate::ident::ActorId`]'s protocol wants next, by the name of the command.
    fn reached(&self, step: &'static str, actor: &ActorId);

    /// A frame of this kind is about to be queued.
    fn fate(&self, frame: &'static str) -> Fate;
}

static FAULTS: OnceLock<Box<dyn Faults>> = OnceLock::new();

/// Hands in the faults of this process.
///
/// # Panics
/// If it was done before.
pub fn install(faults: impl Faults) {
    assert!(FAULTS.set(Box::new(faults)).is_ok(), "faults are installed once");
}

/// A step is reached; returns when the test lets it go on.
pub(crate) fn reached(step: &'static str, actor: &ActorId) {
    if let Some(faults) = FAULTS.get() {
        faults.reached(step, actor);
    }
}

/// What becomes of a frame that is to be queued.
pub(crate) fn fate(frame: &'static str) -> Fate {
    FAULTS.get().map_or(Fate::Sent, |faults| faults.fate(frame))
}

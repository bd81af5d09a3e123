//! Faults: where a test stops a process within a step of a protocol, what it does to a frame that is being sent, and which rule of
//! Quark it takes away to see whether that is noticed.
//!
//! Only with the feature `testkit`: without it nothing of this is compiled. A test's program hands in [`Faults`] once, before its
//! silo starts; a simulation hands them in for the thread on which it runs. Imports `ident`.

use crate::ident::ActorId;
use std::{cell::RefCell, rc::Rc, sync::OnceLock};

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
pub trait Faults: 'static {
    /// A seat is about to do what its [`crate::ident::ActorId`]'s protocol wants next, by the name of the command.
    fn reached(&self, step: &'static str, actor: &ActorId);

    /// A frame of this kind is about to be queued.
    fn fate(&self, frame: &'static str) -> Fate;

    /// A frame of this kind is sent, about this actor.
    fn sends(&self, frame: &'static str, actor: Option<&ActorId>) {
        let _unheard = (frame, actor);
    }

    /// The silo is about to take a step of membership or of leaving, by the name of the command.
    fn stepped(&self, step: &'static str) {
        let _unheard = step;
    }

    /// Whether this rule of Quark is broken on purpose, to see whether that is noticed.
    fn is_broken(&self, rule: &'static str) -> bool {
        let _none = rule;
        false
    }
}

static FAULTS: OnceLock<Box<dyn Faults + Send + Sync>> = OnceLock::new();

thread_local! {
    /// The faults of a simulation, on its thread.
    static SIMULATED: RefCell<Option<Rc<dyn Faults>>> = const { RefCell::new(None) };
}

/// Hands in the faults of this process.
///
/// # Panics
/// If it was done before.
pub fn install(faults: impl Faults + Send + Sync) {
    assert!(FAULTS.set(Box::new(faults)).is_ok(), "faults are installed once");
}

/// While it lives, the faults of this thread are a simulation's.
pub(crate) struct Simulated(Option<Rc<dyn Faults>>);

impl Simulated {
    /// From now on they are `faults`.
    pub(crate) fn begin(faults: Rc<dyn Faults>) -> Self {
        Self(SIMULATED.replace(Some(faults)))
    }
}

impl Drop for Simulated {
    fn drop(&mut self) {
        SIMULATED.set(self.0.take());
    }
}

fn with<T>(run: impl FnOnce(&dyn Faults) -> T) -> Option<T> {
    let simulated = SIMULATED.with_borrow(Clone::clone);
    match simulated {
        Some(faults) => Some(run(&*faults)),
        None => FAULTS.get().map(|faults| run(&**faults)),
    }
}

/// A step is reached; returns when the test lets it go on.
pub(crate) fn reached(step: &'static str, actor: &ActorId) {
    with(|faults| faults.reached(step, actor));
}

/// A step of membership or of leaving is reached.
pub(crate) fn stepped(step: &'static str) {
    with(|faults| faults.stepped(step));
}

/// What becomes of a frame that is to be queued.
pub(crate) fn fate(frame: &'static str) -> Fate {
    with(|faults| faults.fate(frame)).unwrap_or(Fate::Sent)
}

/// A frame is sent.
pub(crate) fn sends(frame: &'static str, actor: Option<&ActorId>) {
    with(|faults| faults.sends(frame, actor));
}

/// Whether a test has taken this rule away.
pub(crate) fn is_broken(rule: &'static str) -> bool {
    with(|faults| faults.is_broken(rule)).unwrap_or(false)
}

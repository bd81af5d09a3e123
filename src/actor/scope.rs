//! What a running turn passes on to the calls it makes.

use crate::{clock::Moment, ident::ActorId};
use std::{
    cell::RefCell,
    pin::Pin,
    task::{Context, Poll},
};

/// The turn in which code runs: whose it is, until when its caller waits, and who waits for it.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// The moment after which nobody waits for the turn.
    pub deadline: Option<Moment>,
    /// The actors whose turns wait, outermost first; the last is the one that runs.
    pub chain: Vec<ActorId>,
}

thread_local! {
    static CURRENT: RefCell<Option<Scope>> = const { RefCell::new(None) };
}

/// The scope of the turn that runs on this thread now, if one does.
pub fn current_scope() -> Option<Scope> {
    CURRENT.with_borrow(Clone::clone)
}

/// Runs a future within a scope.
pub struct Scoped<F> {
    scope: Option<Scope>,
    future: F,
}

impl<F: Future + Unpin> Scoped<F> {
    /// `future` within `scope`.
    pub fn new(scope: Scope, future: F) -> Self {
        Self {
            scope: Some(scope),
            future,
        }
    }
}

/// Puts the scope back where it came from, also when the future panics.
struct Restore<'a>(&'a mut Option<Scope>);

impl Drop for Restore<'_> {
    fn drop(&mut self) {
        CURRENT.with_borrow_mut(|current| std::mem::swap(current, self.0));
    }
}

impl<F: Future + Unpin> Future for Scoped<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        CURRENT.with_borrow_mut(|current| std::mem::swap(current, &mut this.scope));
        let _restore = Restore(&mut this.scope);
        Pin::new(&mut this.future).poll(cx)
    }
}

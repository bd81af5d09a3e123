//! Whose actor runs on this thread, and its timers.
//!
//! `unsafe` because the thread would need a count of the mailbox otherwise: two atomic operations for each visit of an actor, of a
//! hop between two actors a sixth (see `ping-pong` in benches/peers).

#![allow(unsafe_code, reason = "two atomic operations per visit otherwise; see above")]

use super::Timers;
use crate::mailbox::Mailbox;
use std::{cell::Cell, ptr::NonNull};

/// What is known of the actor that runs.
struct Running<'a> {
    mailbox: &'a Mailbox,
    /// Rarely there.
    timers: Cell<Option<Box<Timers>>>,
}

/// Until when it is good nobody but `run_as` knows.
type Erased = NonNull<Running<'static>>;

thread_local! {
    static CURRENT: Cell<Option<Erased>> = const { Cell::new(None) };
}

/// Puts back whose actor ran before, also if a panic passes.
struct Before(Option<Erased>);

impl Drop for Before {
    fn drop(&mut self) {
        CURRENT.set(self.0);
    }
}

/// Does something as the actor of `mailbox`, with its timers; they are lost if a panic passes.
#[inline(always)]
pub fn run_as<R>(mailbox: &Mailbox, timers: &mut Option<Box<Timers>>, act: impl FnOnce() -> R) -> R {
    let running = Running {
        mailbox,
        timers: Cell::new(timers.take()),
    };
    let before = Before(CURRENT.replace(Some(NonNull::from(&running).cast())));
    let result = act();
    drop(before);
    *timers = running.timers.into_inner();
    result
}

/// Looks at what is known of the actor that runs on this thread, if one does.
#[inline(always)]
fn with_running<R>(look: impl FnOnce(Option<&Running<'_>>) -> R) -> R {
    let current = CURRENT.get();
    // SAFETY: `run_as` has put it there, further out on this thread's stack, and borrows it until it has taken it out again.
    look(current.map(|running| unsafe { running.as_ref() }))
}

/// Looks at the mailbox of the actor that runs on this thread, if one does.
#[inline(always)]
pub(super) fn with<R>(look: impl FnOnce(Option<&Mailbox>) -> R) -> R {
    with_running(|running| look(running.map(|running| running.mailbox)))
}

/// Does something with the timers of the actor that runs on this thread; there must be one.
pub fn with_timers<T>(act: impl FnOnce(&mut Option<Box<Timers>>) -> T) -> T {
    with_running(|running| {
        let running = running.expect("invariant: timers are an actor's, which reaches them while it runs");
        let mut timers = running.timers.take();
        let result = act(&mut timers);
        running.timers.set(timers);
        result
    })
}

#[cfg(all(test, not(quark_loom)))]
mod tests {
    use super::*;
    use crate::{clock::Moment, ident::ActorId, mailbox::Nowhere};
    use std::{
        panic::{AssertUnwindSafe, catch_unwind},
        sync::Arc,
    };

    fn mailbox(key: &str) -> Mailbox {
        let actor = ActorId::new("k", key).expect("a name");
        Mailbox::new(actor, 1, Arc::new(Nowhere), Moment(0))
    }

    fn key() -> Option<String> {
        with(|mailbox| mailbox.map(|mailbox| mailbox.actor().key().to_owned()))
    }

    #[test]
    fn it_is_the_innermost_and_the_one_around_it_afterwards() {
        let (a, b) = (mailbox("a"), mailbox("b"));
        assert_eq!(key(), None);
        run_as(&a, &mut None, || {
            run_as(&b, &mut None, || assert_eq!(key().as_deref(), Some("b")));
            assert_eq!(key().as_deref(), Some("a"));
            let panics = || run_as(&b, &mut None, || panic!("as it is to"));
            assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());
            assert_eq!(key().as_deref(), Some("a"));
        });
        assert_eq!(key(), None);
    }

    #[test]
    fn each_actor_has_its_own_timers() {
        let (a, b) = (mailbox("a"), mailbox("b"));
        let (mut of_a, mut of_b) = (None, Some(Box::default()));
        run_as(&a, &mut of_a, || {
            run_as(&b, &mut of_b, || with_timers(|timers| assert!(timers.take().is_some())));
            with_timers(|timers| assert!(timers.replace(Box::default()).is_none()));
        });
        assert!(of_a.is_some() && of_b.is_none());
    }
}

//! Whose actor runs on this thread.
//!
//! `unsafe` because the thread would need a count of the mailbox otherwise: two atomic operations for each visit of an actor, of a
//! hop between two actors a sixth (see `ping-pong` in benches/peers).

#![allow(unsafe_code, reason = "two atomic operations per visit otherwise; see above")]

use crate::mailbox::Mailbox;
use std::{cell::Cell, ptr::NonNull};

thread_local! {
    static CURRENT: Cell<Option<NonNull<Mailbox>>> = const { Cell::new(None) };
}

/// Puts back whose actor ran before, also if a panic passes.
struct Before(Option<NonNull<Mailbox>>);

impl Drop for Before {
    fn drop(&mut self) {
        CURRENT.set(self.0);
    }
}

/// Does something as the actor of `mailbox`.
#[inline(always)]
pub(super) fn run_as<R>(mailbox: &Mailbox, act: impl FnOnce() -> R) -> R {
    let _before = Before(CURRENT.replace(Some(NonNull::from(mailbox))));
    act()
}

/// Looks at the mailbox of the actor that runs on this thread, if one does.
#[inline]
pub(super) fn with<R>(look: impl FnOnce(Option<&Mailbox>) -> R) -> R {
    let current = CURRENT.get();
    // SAFETY: `run_as` has put it there, further out on this thread's stack, and borrows it until it has taken it out again.
    look(current.map(|mailbox| unsafe { mailbox.as_ref() }))
}

#[cfg(all(test, not(quark_loom)))]
mod tests {
    use super::*;
    use crate::{
        clock::Moment,
        ident::ActorId,
        mailbox::{Host, NotHere},
    };
    use std::{
        any::{Any, TypeId},
        panic::{AssertUnwindSafe, catch_unwind},
        sync::Arc,
    };

    /// Runs nothing.
    struct Nowhere;

    impl Host for Nowhere {
        fn offers(&self) -> &dyn Any {
            &()
        }

        fn inject(&self, _: &Arc<Mailbox>) {}

        fn run_here(&self, _: &Arc<Mailbox>, _: TypeId, _: &mut dyn Any) -> Result<(), NotHere> {
            Err(NotHere)
        }
    }

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
        run_as(&a, || {
            run_as(&b, || assert_eq!(key().as_deref(), Some("b")));
            assert_eq!(key().as_deref(), Some("a"));
            let panics = || run_as(&b, || panic!("as it is to"));
            assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());
            assert_eq!(key().as_deref(), Some("a"));
        });
        assert_eq!(key(), None);
    }
}

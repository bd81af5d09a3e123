//! A turn under way, in memory that is used again.
//!
//! `unsafe` because a box per turn would be an allocation per message, of which a tell has none (see `allocations` in
//! benches/peers): the future of a turn is put into a block that the worker keeps, and stays there until it is dropped.

#![allow(unsafe_code, reason = "an allocation per message otherwise; see above")]

use super::{AnyActor, Rare};
use std::{
    mem::{self, MaybeUninit},
    pin::Pin,
    ptr::{self, NonNull},
    task::{Context, Poll},
};

/// The turn of one message.
pub trait Turn {
    /// Goes on. When it has ended: the actor, if that is all, else `rare` tells. Not to be called again after its end.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>, rare: &mut Rare) -> Poll<Option<Box<dyn AnyActor>>>;

    /// The wire name of its message.
    fn name(&self) -> &'static str;
}

const WORDS: usize = 128;

/// Memory for a turn: 1 KiB.
#[derive(Debug)]
pub struct Memory(Box<[MaybeUninit<u64>; WORDS]>);

impl Default for Memory {
    fn default() -> Self {
        Self(Box::new([const { MaybeUninit::uninit() }; WORDS]))
    }
}

/// A turn under way.
pub enum Frame {
    /// In memory that is used again.
    InPlace(InPlace),
    /// In memory of its own: it is too large.
    Boxed(Pin<Box<dyn Turn>>),
}

/// A turn in [`Memory`].
pub struct InPlace {
    /// Within `memory`, which it owns and which does not move.
    turn: NonNull<dyn Turn>,
    memory: Option<Memory>,
}

/// What the first poll of a turn came to.
pub enum Polled<O> {
    /// It waits.
    Waits,
    /// It has ended.
    Ended(O),
    /// It has ended, and nothing is left in it that is to be dropped: to look for that costs as much as a small turn's other work.
    Spent(O),
}

impl Frame {
    /// Puts a turn into `memory`, if it fits, and polls it once. The memory is back when the turn has ended; one that waits
    /// has it, or memory of its own.
    ///
    /// `turn` makes it once there is a place for it: nothing can fail between, and what would have to drop it then would have it
    /// made on the stack, from where it would be copied before its parts are written through.
    #[inline]
    pub fn start<T: Turn + 'static, O>(
        memory: &mut Option<Memory>,
        turn: impl FnOnce() -> T,
        poll: impl FnOnce(Pin<&mut T>) -> Polled<O>,
    ) -> Result<O, Self> {
        let fits = size_of::<T>() <= WORDS * size_of::<u64>() && align_of::<T>() <= align_of::<u64>();
        if !fits {
            let mut turn = Box::pin(turn());
            return match poll(turn.as_mut()) {
                Polled::Ended(output) | Polled::Spent(output) => Ok(output),
                Polled::Waits => Err(Self::Boxed(turn)),
            };
        }
        let block = memory.get_or_insert_default();
        let at = block.0.as_mut_ptr().cast::<T>();
        // SAFETY: the memory is large enough and aligned, and nobody else's.
        unsafe { at.write(turn()) };
        let begun = DropTurn(at);
        // SAFETY: the turn stays where it is until it is dropped: by `begun`, or by the frame that owns the memory then.
        match poll(unsafe { Pin::new_unchecked(&mut *at) }) {
            Polled::Spent(output) => {
                mem::forget(begun);
                Ok(output)
            }
            Polled::Ended(output) => {
                drop(begun);
                Ok(output)
            }
            Polled::Waits => {
                mem::forget(begun);
                let turn: NonNull<dyn Turn> = NonNull::new(at).expect("invariant: a box is not null");
                let memory = memory.take();
                Err(Self::InPlace(InPlace { turn, memory }))
            }
        }
    }

    fn turn(&mut self) -> Pin<&mut (dyn Turn + 'static)> {
        match self {
            Self::Boxed(turn) => turn.as_mut(),
            // SAFETY: `turn` was written by `new` and is dropped with `self` only; it never moves, as its memory is a box
            // that leaves `self` after it was dropped.
            Self::InPlace(InPlace { turn, .. }) => unsafe { Pin::new_unchecked(turn.as_mut()) },
        }
    }

    /// Goes on. When it has ended: the actor, if that is all, else `rare` tells. Not to be called again after its end.
    pub fn poll(&mut self, cx: &mut Context<'_>, rare: &mut Rare) -> Poll<Option<Box<dyn AnyActor>>> {
        self.turn().poll(cx, rare)
    }

    /// The wire name of its message.
    pub fn name(&mut self) -> &'static str {
        self.turn().name()
    }

    /// Drops the turn; its memory can be used again.
    pub fn into_memory(self) -> Option<Memory> {
        match self {
            Self::Boxed(_) => None,
            Self::InPlace(mut turn) => turn.clear(),
        }
    }
}

/// Drops a turn where it is, also if its poll panics.
struct DropTurn<T>(*mut T);

impl<T> Drop for DropTurn<T> {
    fn drop(&mut self) {
        // SAFETY: `start` wrote a turn there; whoever makes this forgets it or drops it, once.
        unsafe { ptr::drop_in_place(self.0) };
    }
}

impl InPlace {
    fn clear(&mut self) -> Option<Memory> {
        // First, so that a turn whose drop panics is not dropped again; its memory is then freed by the unwinding.
        let memory = self.memory.take()?;
        // SAFETY: the turn is in `memory`, and this is the one place that drops it, once: `memory` was there.
        unsafe { ptr::drop_in_place(self.turn.as_ptr()) };
        Some(memory)
    }
}

impl Drop for InPlace {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{cell::Cell, marker::PhantomPinned, rc::Rc};

    /// Tells where it is polled and dropped, and how often.
    struct Probe<const WORDS: usize> {
        ballast: [u64; WORDS],
        at: Cell<usize>,
        drops: Rc<Cell<u32>>,
        panics_in_drop: bool,
        _pinned: PhantomPinned,
    }

    impl<const WORDS: usize> Probe<WORDS> {
        fn new(drops: &Rc<Cell<u32>>) -> Self {
            Self {
                ballast: [7; WORDS],
                at: Cell::new(0),
                drops: drops.clone(),
                panics_in_drop: false,
                _pinned: PhantomPinned,
            }
        }

        fn look(&self) {
            let here = ptr::from_ref(self).addr();
            let before = self.at.replace(here);
            assert!(before == 0 || before == here, "it moved between two polls");
            assert!(self.ballast.iter().all(|word| *word == 7));
        }
    }

    impl<const WORDS: usize> Turn for Probe<WORDS> {
        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut Rare) -> Poll<Option<Box<dyn AnyActor>>> {
            self.look();
            Poll::Pending
        }

        fn name(&self) -> &'static str {
            "probe"
        }
    }

    impl<const WORDS: usize> Drop for Probe<WORDS> {
        fn drop(&mut self) {
            self.look();
            self.drops.set(self.drops.get() + 1);
            assert!(!self.panics_in_drop, "a drop that panics");
        }
    }

    /// A turn that waits.
    fn begun<const WORDS: usize>(memory: &mut Option<Memory>, probe: Probe<WORDS>) -> Frame {
        let cx = &mut Context::from_waker(std::task::Waker::noop());
        let poll = |turn: Pin<&mut Probe<WORDS>>| match turn.poll(cx, &mut Rare::Nothing) {
            Poll::Pending => Polled::Waits,
            Poll::Ready(idle) => Polled::Ended(idle),
        };
        match Frame::start(memory, || probe, poll) {
            Err(frame) => frame,
            Ok(_) => unreachable!("it never ends"),
        }
    }

    fn poll(frame: &mut Frame) {
        let cx = &mut Context::from_waker(std::task::Waker::noop());
        assert!(frame.poll(cx, &mut Rare::Nothing).is_pending());
    }

    /// The moved future of a turn that waits is the first thing that goes wrong with memory used again.
    #[test]
    fn a_polled_turn_does_not_move_and_is_dropped_once() {
        let drops = Rc::new(Cell::new(0));
        let mut memory = Some(Memory::default());
        let mut frame = begun(&mut memory, Probe::<10>::new(&drops));
        assert!(memory.is_none(), "the turn is in it");
        poll(&mut frame);
        let mut elsewhere = Box::new(frame);
        poll(&mut elsewhere);
        assert_eq!(elsewhere.name(), "probe");
        let memory = elsewhere.into_memory();
        assert_eq!((drops.get(), memory.is_some()), (1, true));
        // Used again.
        let mut frame = begun(&mut { memory }, Probe::<100>::new(&drops));
        poll(&mut frame);
        drop(frame);
        assert_eq!(drops.get(), 2);
    }

    #[test]
    fn a_turn_that_does_not_fit_has_memory_of_its_own() {
        let drops = Rc::new(Cell::new(0));
        let mut memory = Some(Memory::default());
        let mut frame = begun(&mut memory, Probe::<200>::new(&drops));
        assert!(memory.is_some(), "not used");
        poll(&mut frame);
        assert!(frame.into_memory().is_none());
        assert_eq!(drops.get(), 1);
    }

    #[test]
    fn a_turn_whose_drop_panics_is_not_dropped_again() {
        let drops = Rc::new(Cell::new(0));
        let mut probe = Probe::<10>::new(&drops);
        probe.panics_in_drop = true;
        let frame = begun(&mut None, probe);
        let dropped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| frame.into_memory()));
        assert!(dropped.is_err());
        assert_eq!(drops.get(), 1);
    }

    #[test]
    fn a_turn_that_has_ended_is_dropped_unless_it_is_spent() {
        let drops = Rc::new(Cell::new(0));
        let mut memory = None;
        let ended = Frame::start(&mut memory, || Probe::<10>::new(&drops), |_| Polled::Ended(1));
        assert_eq!((ended.ok(), drops.get()), (Some(1), 1));
        // Of what is spent, nothing would be left to be dropped.
        let probe = Probe::<10>::new(&drops);
        let kept = Rc::clone(&probe.drops);
        let spent = Frame::start(&mut memory, || probe, |_| Polled::Spent(2));
        assert_eq!((spent.ok(), drops.get(), memory.is_some()), (Some(2), 1, true));
        // The count that the probe of this test would have given back.
        assert_eq!(Rc::strong_count(&kept), 3);
        // SAFETY: it is the probe's, which is gone.
        unsafe { Rc::decrement_strong_count(Rc::as_ptr(&kept)) };
    }
}

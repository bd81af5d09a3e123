//! A turn under way, in memory that is used again.
//!
//! `unsafe` because a box per turn costs 8 ns and an allocation (see benches/peers): the future of a turn is put into a
//! block that the worker keeps, and stays there until it is dropped.

#![allow(unsafe_code, reason = "an allocation per message otherwise; see above")]

use super::TurnEnd;
use std::{
    any::Any,
    mem::MaybeUninit,
    pin::Pin,
    ptr::{self, NonNull},
    task::{Context, Poll},
};

/// The turn of one message.
pub trait Turn {
    /// Goes on. Not to be called again after its end.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<TurnEnd>;

    /// Where the reply goes, or is: a [`super::Reply`] of the message's reply type.
    fn reply(self: Pin<&mut Self>) -> &mut dyn Any;
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

impl Frame {
    /// Puts a turn into `memory`, if it fits. Takes the memory only then.
    pub fn new<T: Turn + 'static>(memory: &mut Option<Memory>, turn: T) -> Self {
        let fits = size_of::<T>() <= WORDS * size_of::<u64>() && align_of::<T>() <= align_of::<u64>();
        if !fits {
            return Self::Boxed(Box::pin(turn));
        }
        let mut memory = memory.take().unwrap_or_default();
        let at = memory.0.as_mut_ptr().cast::<T>();
        // SAFETY: the memory is large enough and aligned, and nobody else's.
        unsafe { at.write(turn) };
        let turn: NonNull<dyn Turn> = NonNull::new(at).expect("invariant: a box is not null");
        Self::InPlace(InPlace {
            turn,
            memory: Some(memory),
        })
    }

    fn turn(&mut self) -> Pin<&mut (dyn Turn + 'static)> {
        match self {
            Self::Boxed(turn) => turn.as_mut(),
            // SAFETY: `turn` was written by `new` and is dropped with `self` only; it never moves, as its memory is a box
            // that leaves `self` after it was dropped.
            Self::InPlace(InPlace { turn, .. }) => unsafe { Pin::new_unchecked(turn.as_mut()) },
        }
    }

    /// Goes on with the turn. Not to be called again after its end.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<TurnEnd> {
        self.turn().poll(cx)
    }

    /// Where the reply goes, or is: a [`super::Reply`] of the message's reply type.
    pub fn reply(&mut self) -> &mut dyn Any {
        self.turn().reply()
    }

    /// Drops the turn; its memory can be used again.
    pub fn into_memory(self) -> Option<Memory> {
        match self {
            Self::Boxed(_) => None,
            Self::InPlace(mut turn) => turn.clear(),
        }
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

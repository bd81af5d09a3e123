//! Payloads of any type, one behind the other in a buffer.
//!
//! `unsafe` because a box per message is the dearest part of a send (see benches/peers): the buffer holds each payload in
//! place, behind the word that tells its type.
//!
//! ```text
//! word  start                                   end
//!         | &PayloadType | payload, whole words | &PayloadType | payload | ...
//! ```

#![allow(unsafe_code, reason = "an allocation per message otherwise; see above")]

use super::{
    Form, Letter, Payload,
    buffers::{self, Buffer},
};
use std::{
    any::TypeId,
    fmt,
    marker::PhantomData,
    mem::{self, MaybeUninit},
    ptr,
};

/// What is known of a payload in a buffer.
pub struct PayloadType {
    payload: TypeId,
    message: TypeId,
    form: Form,
    words: u32,
    discard: unsafe fn(*mut u64),
    into_letter: unsafe fn(*mut u64) -> Letter,
}

impl PayloadType {
    const fn of<P: Payload>() -> Self {
        Self {
            payload: TypeId::of::<P>(),
            message: P::MESSAGE,
            form: P::FORM,
            words: size_of::<P>().div_ceil(size_of::<u64>()) as u32,
            // SAFETY: the caller promises a payload of this type, which is not used again.
            discard: |at| unsafe { ptr::drop_in_place(at.cast::<P>()) },
            // SAFETY: as above.
            into_letter: |at| unsafe { at.cast::<P>().read() }.into_letter(),
        }
    }
}

struct TypeOf<P>(PhantomData<P>);

impl<P: Payload> TypeOf<P> {
    const TYPE: &'static PayloadType = &PayloadType::of::<P>();
    /// Payloads that would need more than a word's alignment, or a large part of a buffer, go as letters.
    const IN_PLACE: bool = align_of::<P>() <= align_of::<u64>() && size_of::<P>() <= 1024;
}

/// Payloads of any type, in order. Empty, it has no memory after [`Records::shrink`].
#[derive(Default)]
pub struct Records {
    memory: Buffer,
    start: u32,
    end: u32,
    len: u32,
}

impl Records {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds one at the end.
    #[inline]
    pub fn push<P: Payload>(&mut self, payload: P) {
        if !TypeOf::<P>::IN_PLACE {
            return self.push(payload.into_letter());
        }
        let of = TypeOf::<P>::TYPE;
        let needed = 1 + of.words as usize;
        if self.memory.len() - (self.end as usize) < needed {
            self.make_room(needed);
        }
        let at = self.memory[self.end as usize..].as_mut_ptr();
        // SAFETY: `needed` words follow `at` within the buffer; a word is aligned for both, `IN_PLACE` says.
        unsafe {
            at.cast::<&'static PayloadType>().write(of);
            at.add(1).cast::<P>().write(payload);
        }
        self.end += needed as u32;
        self.len += 1;
    }

    #[inline(never)]
    fn make_room(&mut self, needed: usize) {
        if self.memory.is_empty() {
            self.memory = buffers::take(needed);
        } else {
            self.grow(needed);
        }
    }

    #[cold]
    fn grow(&mut self, needed: usize) {
        let used = (self.end - self.start) as usize;
        let mut larger = buffers::take((used * 2).max(used + needed));
        // Payloads may be moved bit by bit; the old buffer is given back as mere memory.
        larger[..used].copy_from_slice(&self.memory[self.start as usize..self.end as usize]);
        buffers::give_back(mem::replace(&mut self.memory, larger));
        (self.start, self.end) = (0, used as u32);
    }

    /// The first.
    #[inline]
    pub fn front(&mut self) -> Option<Front<'_>> {
        if self.len == 0 {
            return None;
        }
        // SAFETY: `len` > 0, so a record begins at `start`.
        let of = unsafe {
            *self.memory[self.start as usize..]
                .as_ptr()
                .cast::<&'static PayloadType>()
        };
        Some(Front { records: self, of })
    }

    /// Adds all of `other` at the end.
    pub fn append(&mut self, other: &mut Self) {
        if self.is_empty() {
            mem::swap(self, other);
            return;
        }
        self.copy(&other.memory[other.start as usize..other.end as usize]);
        self.len += mem::take(&mut other.len);
        (other.start, other.end) = (0, 0);
    }

    /// Adds the first of this at the end of `other`, if there is one.
    #[inline]
    pub fn move_first(&mut self, other: &mut Self) {
        let Some(front) = self.front() else { return };
        let words = front.of.words;
        let start = self.start as usize;
        other.copy(&self.memory[start..start + 1 + words as usize]);
        other.len += 1;
        self.remove(words);
    }

    /// Adds payloads with their types as mere memory, which their old owner does not count any more.
    #[inline]
    fn copy(&mut self, moved: &[MaybeUninit<u64>]) {
        if self.memory.len() - (self.end as usize) < moved.len() {
            self.make_room(moved.len());
        }
        let end = self.end as usize + moved.len();
        self.memory[self.end as usize..end].copy_from_slice(moved);
        self.end = end as u32;
    }

    /// All as letters, in order.
    pub fn into_letters(mut self) -> impl Iterator<Item = Letter> {
        std::iter::from_fn(move || self.front().map(Front::into_letter))
    }

    /// The same, if it is more than so many words.
    pub fn shrink_above(&mut self, words: usize) {
        if self.memory.len() > words {
            self.shrink();
        }
    }

    /// Gives the memory back, if none is left.
    pub fn shrink(&mut self) {
        if self.len == 0 && !self.memory.is_empty() {
            (self.start, self.end) = (0, 0);
            buffers::give_back(mem::take(&mut self.memory));
        }
    }

    /// The address of the first payload, which is no longer this list's. There must be one.
    #[inline]
    fn remove(&mut self, words: u32) -> *mut u64 {
        let at = self.start as usize + 1;
        self.len -= 1;
        if self.len == 0 {
            (self.start, self.end) = (0, 0);
        } else {
            self.start += 1 + words;
        }
        self.memory[at..].as_mut_ptr().cast()
    }
}

/// The first of [`Records`]; stays there unless it is taken.
pub struct Front<'a> {
    records: &'a mut Records,
    of: &'static PayloadType,
}

impl Front<'_> {
    /// What it is.
    #[inline]
    pub fn form(&self) -> Form {
        self.of.form
    }

    /// The type of its message; of a letter, that of the letter.
    #[inline]
    pub fn message(&self) -> TypeId {
        self.of.message
    }

    /// What it is, if that is a letter.
    #[inline]
    pub fn letter(&self) -> Option<&Letter> {
        if self.of.payload != TypeId::of::<Letter>() {
            return None;
        }
        let at = self.records.memory[self.records.start as usize + 1..].as_ptr();
        // SAFETY: `at` holds a payload of the type in `of`, which is a letter, as long as `records` is not changed.
        Some(unsafe { &*at.cast::<Letter>() })
    }

    /// Takes it out, if it is a `P`.
    #[inline]
    pub fn take<P: Payload>(self) -> Result<P, Self> {
        if !ptr::eq(self.of, TypeOf::<P>::TYPE) && self.of.payload != TypeId::of::<P>() {
            return Err(self);
        }
        let at = self.records.remove(self.of.words);
        // SAFETY: `at` holds a payload of the type in `of`, which is `P`, and nobody else reads it.
        Ok(unsafe { at.cast::<P>().read() })
    }

    /// Takes it out, as a letter.
    pub fn into_letter(self) -> Letter {
        let at = self.records.remove(self.of.words);
        // SAFETY: `at` holds a payload of the type in `of`, and nobody else reads it.
        unsafe { (self.of.into_letter)(at) }
    }

    /// Drops it.
    pub fn discard(self) {
        let at = self.records.remove(self.of.words);
        // SAFETY: `at` holds a payload of the type in `of`, and nobody else reads it.
        unsafe { (self.of.discard)(at) }
    }
}

/// Goes on behind a payload whose drop panicked.
struct DropAll<'a>(&'a mut Records);

impl Drop for DropAll<'_> {
    fn drop(&mut self) {
        while let Some(front) = self.0.front() {
            front.discard();
        }
    }
}

impl Drop for Records {
    fn drop(&mut self) {
        let all = DropAll(self);
        while let Some(front) = all.0.front() {
            front.discard();
        }
        drop(all);
        self.shrink();
    }
}

/// Values of any type that do what they are for where they are dropped, one behind the other in a buffer.
#[derive(Debug, Default)]
pub struct Deliveries(Records);

/// A value that is no message: nobody has a look at it before it is dropped.
struct Mere<T>(T);

impl<T: Send + 'static> Payload for Mere<T> {
    const FORM: Form = Form::Letter;
    const MESSAGE: TypeId = TypeId::of::<Self>();

    fn into_letter(self) -> Letter {
        unreachable!("invariant: what is in deliveries is only dropped")
    }
}

impl Deliveries {
    /// Memory for so many words is kept.
    const KEPT: usize = 4096;

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds one at the end.
    #[inline]
    pub fn push<T: Send + 'static>(&mut self, value: T) {
        if TypeOf::<Mere<T>>::IN_PLACE {
            self.0.push(Mere(value));
        } else {
            self.0.push(Mere(Box::new(value)));
        }
    }

    /// Adds all of `other` at the end.
    pub fn append(&mut self, other: &mut Self) {
        self.0.append(&mut other.0);
    }

    /// Drops all, in order.
    pub fn deliver(&mut self) {
        while let Some(front) = self.0.front() {
            front.discard();
        }
        self.0.shrink_above(Self::KEPT);
    }
}

impl fmt::Debug for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Records({})", self.len)
    }
}

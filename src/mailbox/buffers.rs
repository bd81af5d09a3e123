//! Buffers of records that are used again, per thread.

use std::{cell::RefCell, mem::MaybeUninit};

/// The memory of records, in words.
pub(super) type Buffer = Box<[MaybeUninit<u64>]>;

/// The smallest buffer, in words: 128 bytes.
const SMALLEST: usize = 16;

/// How many sizes are kept: 128 bytes to 64 KiB, doubling.
const SIZES: usize = 10;

/// How much of each size a thread keeps, in words: 1 MiB.
const KEPT: usize = (1 << 20) / size_of::<u64>();

thread_local! {
    static FREE: RefCell<[Vec<Buffer>; SIZES]> = const { RefCell::new([const { Vec::new() }; SIZES]) };
}

/// A buffer of at least so many words.
#[inline]
pub(super) fn take(words: usize) -> Buffer {
    if words <= SMALLEST {
        of_class(0)
    } else {
        of_class(class(words.next_power_of_two()))
    }
}

/// The class of a size that [`take`] gives.
fn class(size: usize) -> usize {
    (size / SMALLEST).trailing_zeros() as usize
}

fn of_class(class: usize) -> Buffer {
    // No pool any more: the thread is ending.
    let kept = FREE.try_with(|free| free.borrow_mut().get_mut(class).and_then(Vec::pop));
    match kept {
        Ok(Some(buffer)) => buffer,
        _ => Box::new_uninit_slice(SMALLEST << class),
    }
}

/// Takes back a buffer that [`take`] gave, on any thread.
pub(super) fn give_back(buffer: Buffer) {
    let size = buffer.len();
    if size < SMALLEST {
        return;
    }
    let class = if size == SMALLEST { 0 } else { class(size) };
    let _ = FREE.try_with(|free| {
        if let Some(free) = free.borrow_mut().get_mut(class)
            && free.len() * size < KEPT
        {
            free.push(buffer);
        }
    });
}

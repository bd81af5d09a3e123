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
pub(super) fn take(words: usize) -> Buffer {
    let size = words.next_power_of_two().max(SMALLEST);
    let class = (size / SMALLEST).trailing_zeros() as usize;
    // No pool any more: the thread is ending.
    let kept = FREE.try_with(|free| free.borrow_mut().get_mut(class).and_then(Vec::pop));
    kept.ok().flatten().unwrap_or_else(|| Box::new_uninit_slice(size))
}

/// Takes back a buffer that [`take`] gave, on any thread.
pub(super) fn give_back(buffer: Buffer) {
    let size = buffer.len();
    if size < SMALLEST {
        return;
    }
    let class = (size / SMALLEST).trailing_zeros() as usize;
    let _ = FREE.try_with(|free| {
        if let Some(free) = free.borrow_mut().get_mut(class)
            && free.len() * size < KEPT
        {
            free.push(buffer);
        }
    });
}

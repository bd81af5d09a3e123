//! The allocator: glibc's, counted while somebody asks for it.
//!
//! Counting is off in timed runs: what is left of it there is one load and a branch that is always predicted.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    time::Duration,
};

static ON: AtomicBool = AtomicBool::new(false);
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static LIVE_BYTES: AtomicI64 = AtomicI64::new(0);

/// What was counted since [`start`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counted {
    /// Calls that allocate or reallocate.
    pub(crate) allocations: u64,
    /// Bytes that are held, with what malloc adds to each block.
    pub(crate) live_bytes: i64,
}

/// Counts from zero.
pub(crate) fn start() {
    ALLOCATIONS.store(0, Ordering::SeqCst);
    LIVE_BYTES.store(0, Ordering::SeqCst);
    ON.store(true, Ordering::SeqCst);
}

/// Counts from zero, as soon as no other thread gives back what an earlier measurement has left.
pub(crate) async fn start_when_still() {
    const STILL_BYTES: u64 = 16 * 1024;
    loop {
        start();
        tokio::time::sleep(Duration::from_millis(300)).await;
        if read().live_bytes.unsigned_abs() < STILL_BYTES {
            return start();
        }
    }
}

/// What was counted up to now.
pub(crate) fn read() -> Counted {
    Counted {
        allocations: ALLOCATIONS.load(Ordering::SeqCst),
        live_bytes: LIVE_BYTES.load(Ordering::SeqCst),
    }
}

/// Ends counting.
pub(crate) fn stop() {
    ON.store(false, Ordering::SeqCst);
}

/// The system's allocator with counts.
pub(crate) struct Counting;

/// The bytes that a block takes of the heap: what can be used of it, and malloc's own word before it.
#[allow(unsafe_code, reason = "asks malloc about a block that it made")]
fn taken(block: *mut u8) -> i64 {
    // SAFETY: the callers pass a block that `System` has made and not freed.
    let usable = unsafe { libc::malloc_usable_size(block.cast()) };
    i64::try_from(usable + size_of::<usize>()).unwrap_or(0)
}

fn made(block: *mut u8) {
    if ON.load(Ordering::Relaxed) && !block.is_null() {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        LIVE_BYTES.fetch_add(taken(block), Ordering::Relaxed);
    }
}

fn unmade(block: *mut u8) {
    if ON.load(Ordering::Relaxed) {
        LIVE_BYTES.fetch_sub(taken(block), Ordering::Relaxed);
    }
}

#[allow(unsafe_code, reason = "an allocator that counts has to be one")]
// SAFETY: everything is handed to `System` as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        let block = unsafe { System.alloc(layout) };
        made(block);
        block
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        let block = unsafe { System.alloc_zeroed(layout) };
        made(block);
        block
    }

    unsafe fn realloc(&self, old: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        unmade(old);
        // SAFETY: the caller's promise.
        let block = unsafe { System.realloc(old, layout, size) };
        made(block);
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        unmade(block);
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(block, layout) };
    }
}

//! One alarm for all asks that wait for replies from elsewhere, instead of one for each.

use super::Switchboard;
use crate::clock::{Clock, Moment, Sleep};
use futures_util::task::{ArcWake, waker};
use parking_lot::Mutex;
use std::{
    pin::Pin,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    task::Context,
    time::Duration,
};

/// How often it looks, as long as asks wait.
const LOOK: Duration = Duration::from_secs(1);

/// Asks are woken so long before their deadlines, or at the next look: then they set alarms of their own.
const AHEAD: Duration = Duration::from_secs(2);

/// Wakes the asks that wait for replies from elsewhere, in time before their deadlines: nearly all are answered long before, and an
/// alarm costs as much as sending a message.
pub(super) struct Watch {
    clock: Clock,
    board: Weak<Switchboard>,
    /// Whether it will look again.
    looks: AtomicBool,
    /// Until the next look.
    sleep: Mutex<Option<Sleep>>,
}

impl Watch {
    pub(super) fn new(clock: Clock, board: Weak<Switchboard>) -> Arc<Self> {
        Arc::new(Self {
            clock,
            board,
            looks: AtomicBool::new(false),
            sleep: Mutex::default(),
        })
    }

    /// Whether an ask that is sent now can leave it to the watch to be woken.
    pub(super) fn takes(deadline: Moment, now: Moment) -> bool {
        deadline > now + AHEAD + LOOK
    }

    /// An ask has been registered that leaves it to the watch to be woken.
    pub(super) fn begin(self: &Arc<Self>) {
        if !self.looks.load(Ordering::SeqCst) && !self.looks.swap(true, Ordering::SeqCst) {
            self.look_again();
        }
    }

    fn look_again(self: &Arc<Self>) {
        let mut sleep = self.sleep.lock();
        let next = sleep.insert(self.clock.sleep(LOOK));
        let waker = waker(self.clone());
        let has_come = Pin::new(next).poll(&mut Context::from_waker(&waker)).is_ready();
        drop(sleep);
        if has_come {
            waker.wake();
        }
    }

    fn look(self: &Arc<Self>) {
        let Some(board) = self.board.upgrade() else { return };
        board.pending().wake_before(self.clock.now() + AHEAD);
        if board.pending().is_empty() {
            self.looks.store(false, Ordering::SeqCst);
            // One that was registered before it saw that nobody looks.
            if !board.pending().is_empty() {
                self.begin();
            }
            return;
        }
        self.look_again();
    }
}

impl ArcWake for Watch {
    /// By the clock.
    fn wake_by_ref(watch: &Arc<Self>) {
        watch.look();
    }
}

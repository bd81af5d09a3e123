//! The counters of one activation.

use super::Activity;
use crate::{
    clock::Moment,
    sync::{AtomicU16, AtomicU32, AtomicU64, Ordering},
};

/// In `takes`: a turn runs.
const RUNS: u16 = 1;

/// Records what the owner of a mailbox does with its messages. Any thread reads it, none waits for another.
///
/// Each counter has one writer, the thread that runs the actor, so that recording is a plain store. What waits in the
/// mailbox is counted there, under the mailbox's own lock ([`crate::mailbox`]); a snapshot takes both together.
///
/// A message on its way from the mailbox into a turn is at no instant unseen: its new counter goes up before the old one
/// goes down, a snapshot reads in the order of the way, and one that saw nothing looks again if messages were taken
/// meanwhile. It may see a message twice for that instant.
#[derive(Debug)]
pub struct ActivityCell {
    /// Messages taken out of the mailbox whose turns have not begun.
    taken: AtomicU32,
    streams: AtomicU16,
    /// Twice the number of times that messages were taken, and one more while a turn runs.
    takes: AtomicU16,
    last: AtomicU64,
}

impl ActivityCell {
    /// A cell in which nothing happened but that the activation began `now`.
    pub fn new(now: Moment) -> Self {
        Self {
            taken: AtomicU32::new(0),
            streams: AtomicU16::new(0),
            takes: AtomicU16::new(0),
            last: AtomicU64::new(now.0),
        }
    }

    /// So many messages left the mailbox and are to run one after the other. Before the mailbox counts them no more.
    pub fn taken(&self, messages: u32) {
        let takes = self.takes.load(Ordering::Relaxed);
        self.takes.store(takes.wrapping_add(2), Ordering::Release);
        self.taken.store(messages, Ordering::Release);
    }

    /// How many messages are taken and not begun.
    pub fn waiting(&self) -> u32 {
        self.taken.load(Ordering::Acquire)
    }

    /// Turns run from now on.
    pub fn turns_started(&self, now: Moment) {
        self.takes
            .store(self.takes.load(Ordering::Relaxed) | RUNS, Ordering::Release);
        self.last.store(now.0, Ordering::Relaxed);
    }

    /// When turns last began, or something else happened.
    pub fn last(&self) -> Moment {
        Moment(self.last.load(Ordering::Relaxed))
    }

    /// It is seen to be busy.
    pub fn seen_busy(&self, now: Moment) {
        self.last.store(now.0, Ordering::Relaxed);
    }

    /// So many of the messages taken are left.
    pub fn left(&self, messages: u32) {
        self.taken.store(messages, Ordering::Release);
    }

    /// No turn runs any more.
    pub fn turns_ended(&self) {
        self.takes
            .store(self.takes.load(Ordering::Relaxed) & !RUNS, Ordering::Release);
    }

    /// The actor is subscribed to so many streams now.
    pub fn streams_changed(&self, now: Moment, streams: usize) {
        let streams = u16::try_from(streams).unwrap_or(u16::MAX);
        if self.streams.swap(streams, Ordering::Relaxed) != streams {
            self.last.store(now.0, Ordering::Relaxed);
        }
    }

    /// What happens, and when something last did. `queued` reads how many messages are in the mailbox.
    pub fn snapshot(&self, queued: impl Fn() -> u32) -> Activity {
        loop {
            let takes = self.takes.load(Ordering::Acquire);
            let depth = queued() + self.waiting();
            let after = self.takes.load(Ordering::Acquire);
            let calls = u32::from(after & RUNS);
            let came = queued();
            let is_idle = depth == 0 && calls == 0 && came == 0;
            if !is_idle || self.takes.load(Ordering::Acquire) & !RUNS == takes & !RUNS {
                return Activity {
                    depth: depth.max(came),
                    calls,
                    streams: u32::from(self.streams.load(Ordering::Relaxed)),
                    last: Moment(self.last.load(Ordering::Relaxed)),
                };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(cell: &ActivityCell) -> (u32, u32, u32) {
        let now = cell.snapshot(|| 0);
        (now.depth, now.calls, now.streams)
    }

    /// R16
    #[test]
    fn every_event_updates_its_counter_and_the_time() {
        let cell = ActivityCell::new(Moment(5));
        assert_eq!((counts(&cell), cell.snapshot(|| 0).last), ((0, 0, 0), Moment(5)));
        cell.taken(3);
        assert_eq!(counts(&cell), (3, 0, 0));
        cell.turns_started(Moment(10));
        cell.left(2);
        assert_eq!((counts(&cell), cell.snapshot(|| 0).last), ((2, 1, 0), Moment(10)));
        cell.left(0);
        cell.turns_ended();
        assert_eq!(counts(&cell), (0, 0, 0));
        cell.streams_changed(Moment(11), 1);
        assert_eq!((counts(&cell), cell.snapshot(|| 0).last), ((0, 0, 1), Moment(11)));
        cell.streams_changed(Moment(12), 0);
        assert_eq!((counts(&cell), cell.snapshot(|| 4).depth), ((0, 0, 0), 4));
    }

    /// R22
    #[test]
    fn counts_never_go_below_zero() {
        let cell = ActivityCell::new(Moment(0));
        cell.streams_changed(Moment(1), 0);
        cell.turns_ended();
        assert_eq!(counts(&cell), (0, 0, 0));
    }

    #[test]
    fn a_cell_takes_16_bytes() {
        assert_eq!(size_of::<ActivityCell>(), 16);
    }
}

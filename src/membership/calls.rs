//! The operations of the store that are under way.

use super::MembershipConfig;
use crate::clock::Moment;
use std::collections::BTreeMap;

/// An operation that has not been answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    /// Its number; reads and writes share one sequence, so that a greater number was sent later.
    pub(super) id: u64,
    pub(super) sent: Moment,
}

/// What is under way: at most one read and one write, and a few heartbeats.
#[derive(Debug)]
pub(super) struct Calls {
    next: u64,
    pub(super) read: Option<Call>,
    pub(super) write: Option<Call>,
    heartbeats: BTreeMap<u64, Moment>,
    last_heartbeat: Option<Moment>,
    last_n: u64,
    last_read: Option<Moment>,
    last_read_failed: bool,
    /// A read is wanted that is sent from now on.
    read_wanted: bool,
    no_write_before: Moment,
    last_success: Option<Moment>,
    last_failed: bool,
}

impl Calls {
    pub(super) fn new() -> Self {
        Self {
            next: 1,
            read: None,
            write: None,
            heartbeats: BTreeMap::new(),
            last_heartbeat: None,
            last_n: 0,
            last_read: None,
            last_read_failed: false,
            read_wanted: true,
            no_write_before: Moment(0),
            last_success: None,
            last_failed: false,
        }
    }

    /// The number that the next read or write will have.
    pub(super) fn next_id(&self) -> u64 {
        self.next
    }

    fn begin(&mut self, now: Moment) -> Call {
        let call = Call {
            id: self.next,
            sent: now,
        };
        self.next += 1;
        call
    }

    /// Asks for a read that is sent from now on, before its time.
    pub(super) fn want_read(&mut self) {
        self.read_wanted = true;
    }

    pub(super) fn begin_read(&mut self, now: Moment) -> u64 {
        let call = self.begin(now);
        self.read = Some(call);
        self.last_read = Some(now);
        self.read_wanted = false;
        call.id
    }

    pub(super) fn begin_write(&mut self, now: Moment) -> u64 {
        let call = self.begin(now);
        self.write = Some(call);
        call.id
    }

    pub(super) fn begin_heartbeat(&mut self, now: Moment) -> u64 {
        self.last_n += 1;
        self.last_heartbeat = Some(now);
        self.heartbeats.insert(self.last_n, now);
        self.last_n
    }

    /// The newest heartbeat that was sent.
    pub(super) fn last_n(&self) -> u64 {
        self.last_n
    }

    /// Ends a read, if it is the one under way.
    pub(super) fn end_read(&mut self, id: u64) -> Option<Call> {
        self.read.take_if(|call| call.id == id)
    }

    /// Ends a write, if it is the one under way.
    pub(super) fn end_write(&mut self, id: u64) -> Option<Call> {
        self.write.take_if(|call| call.id == id)
    }

    /// Ends a heartbeat; when it was sent, if it is not forgotten.
    pub(super) fn end_heartbeat(&mut self, n: u64) -> Option<Moment> {
        self.heartbeats.remove(&n)
    }

    pub(super) fn succeeded(&mut self, now: Moment) {
        self.last_success = Some(now);
        self.last_failed = false;
    }

    pub(super) fn read_succeeded(&mut self, now: Moment) {
        self.last_read_failed = false;
        self.succeeded(now);
    }

    pub(super) fn failed(&mut self) {
        self.last_failed = true;
    }

    pub(super) fn read_failed(&mut self) {
        self.last_read_failed = true;
        self.failed();
    }

    /// What a write did is not known, or it is not to be repeated at once.
    pub(super) fn write_failed(&mut self, now: Moment, config: &MembershipConfig) {
        self.no_write_before = now + config.heartbeat_interval;
        self.want_read();
        self.failed();
    }

    /// Forgets heartbeats that are too late to count; whether there were any.
    pub(super) fn forget_heartbeats(&mut self, now: Moment, config: &MembershipConfig) -> bool {
        let before = self.heartbeats.len();
        self.heartbeats
            .retain(|_, sent| now.since(*sent) < config.store_timeout);
        self.heartbeats.len() < before
    }

    /// Whether the store seems out of reach.
    pub(super) fn store_is_silent(&self, now: Moment, config: &MembershipConfig) -> bool {
        self.last_failed
            || self
                .last_success
                .is_none_or(|last| now.since(last) >= config.heartbeat_interval * 3 / 2)
    }

    /// When the next read is due; `None` while one is under way. `silence` is when it could find a silence.
    pub(super) fn read_due(&self, config: &MembershipConfig, silence: Option<Moment>) -> Option<Moment> {
        if self.read.is_some() {
            return None;
        }
        let Some(last) = self.last_read else {
            return Some(Moment(0));
        };
        if self.last_read_failed {
            return Some(last + config.heartbeat_interval);
        }
        if self.read_wanted {
            return Some(last);
        }
        let regular = last + config.read_interval;
        Some(silence.map_or(regular, |silence| regular.min(silence)))
    }

    /// When the next write may begin; `None` while one is under way.
    pub(super) fn write_due(&self) -> Option<Moment> {
        if self.write.is_some() {
            None
        } else {
            Some(self.no_write_before)
        }
    }

    pub(super) fn heartbeat_due(&self, config: &MembershipConfig) -> Moment {
        self.last_heartbeat
            .map_or(Moment(0), |last| last + config.heartbeat_interval)
    }

    /// When the next of the operations under way counts as failed.
    pub(super) fn next_timeout(&self, config: &MembershipConfig) -> Option<Moment> {
        let calls = self.read.iter().chain(&self.write).map(|call| call.sent);
        calls
            .chain(self.heartbeats.values().copied())
            .min()
            .map(|sent| sent + config.store_timeout)
    }
}

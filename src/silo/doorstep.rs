//! Where peers stand that have dialled and not yet proved themselves.

use super::Node;
use crate::{
    clock::{Clock, Moment},
    transport::{Accepting, Listener, TransportError},
};
use futures_util::future::{AbortHandle, Abortable};
use parking_lot::Mutex;
use std::{
    collections::VecDeque,
    sync::{Arc, Weak},
    time::Duration,
};

/// How long to wait when the system refuses a connection.
const ACCEPT_WAIT: Duration = Duration::from_millis(50);

/// The most peers that shake hands at once. One that dials then takes the place of the one that has taken longest: honest
/// peers need milliseconds, and whoever holds places without a word loses them first.
const MAX_HANDSHAKES: usize = 256;

/// How many failed handshakes are logged within [`REPORT_TIME`]; of the others only the number.
const MAX_REPORTS: u32 = 10;
const REPORT_TIME: Duration = Duration::from_secs(10);

/// Takes the peers that dial, until the silo ends.
pub(super) async fn accept(node: Weak<Node>, mut listener: Box<dyn Listener>) {
    let doorstep = Arc::new(Doorstep::default());
    loop {
        let accepted = listener.accept().await;
        let Some(node) = node.upgrade() else { return };
        match accepted {
            Ok(accepting) => doorstep.enter(&node, accepting),
            Err(error) => {
                tracing::error!(%error, "no connection can be accepted now");
                let clock = node.clock.clone();
                drop(node);
                clock.sleep(ACCEPT_WAIT).await;
            }
        }
    }
}

#[derive(Default)]
struct Doorstep(Mutex<State>);

#[derive(Default)]
struct State {
    last: u64,
    /// Oldest first.
    shaking: VecDeque<(u64, AbortHandle)>,
    reports: Reports,
}

impl Doorstep {
    fn enter(self: &Arc<Self>, node: &Arc<Node>, accepting: Accepting) {
        let (abort, registration) = AbortHandle::new_pair();
        let number = self.0.lock().enter(abort);
        let (doorstep, taker) = (self.clone(), node.clone());
        node.spawn(async move {
            let from = accepting.from().to_owned();
            let shaken = Abortable::new(accepting, registration).await;
            doorstep.0.lock().leave(number);
            match shaken {
                Ok(Ok(connection)) => taker.link_accepted(connection),
                Ok(Err(error)) => doorstep.report(&taker.clock, &from, &error),
                Err(_aborted) => tracing::debug!(from, "a peer took too long, and others wait"),
            }
        });
    }

    fn report(&self, clock: &Clock, from: &str, error: &TransportError) {
        if let Some(unreported) = self.0.lock().reports.next(clock.now()) {
            tracing::warn!(from, %error, unreported, "a peer was turned away");
        }
    }
}

impl State {
    fn enter(&mut self, abort: AbortHandle) -> u64 {
        if self.shaking.len() >= MAX_HANDSHAKES
            && let Some((_, oldest)) = self.shaking.pop_front()
        {
            oldest.abort();
        }
        self.last += 1;
        self.shaking.push_back((self.last, abort));
        self.last
    }

    fn leave(&mut self, number: u64) {
        if let Ok(at) = self.shaking.binary_search_by_key(&number, |(number, _)| *number) {
            self.shaking.remove(at);
        }
    }
}

/// Which failures are logged: a flood of peers is no flood of lines.
#[derive(Default)]
struct Reports {
    since: Option<Moment>,
    count: u32,
    unreported: u64,
}

impl Reports {
    /// Whether to report one now, and how many were not reported before it.
    fn next(&mut self, now: Moment) -> Option<u64> {
        if self.since.is_none_or(|since| now.since(since) >= REPORT_TIME) {
            (self.since, self.count) = (Some(now), 0);
        }
        self.count += 1;
        if self.count > MAX_REPORTS {
            self.unreported += 1;
            return None;
        }
        Some(std::mem::take(&mut self.unreported))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peer_that_has_taken_longest_makes_room() {
        let mut state = State::default();
        let handles: Vec<_> = (0..MAX_HANDSHAKES).map(|_| AbortHandle::new_pair().0).collect();
        let numbers: Vec<_> = handles.iter().map(|handle| state.enter(handle.clone())).collect();
        state.leave(numbers[0]);
        state.enter(AbortHandle::new_pair().0);
        assert!(handles.iter().all(|handle| !handle.is_aborted()), "there was room");
        state.enter(AbortHandle::new_pair().0);
        let aborted: Vec<_> = (0..)
            .zip(&handles)
            .filter(|(_, handle)| handle.is_aborted())
            .map(|(n, _)| n)
            .collect();
        assert_eq!(aborted, [1], "the oldest that is still there");
        assert_eq!(state.shaking.len(), MAX_HANDSHAKES);
    }

    #[test]
    fn of_a_flood_of_peers_some_are_reported_and_the_others_counted() {
        let mut reports = Reports::default();
        let reported =
            |reports: &mut Reports, at| (0..1000).filter_map(|_| reports.next(Moment(at))).collect::<Vec<_>>();
        assert_eq!(reported(&mut reports, 0), [0; 10]);
        let later = u64::try_from(REPORT_TIME.as_nanos()).expect("fits");
        assert!(reported(&mut reports, later - 1).is_empty());
        let mut expected = [0; 10];
        expected[0] = 1990;
        assert_eq!(reported(&mut reports, later), expected);
    }
}

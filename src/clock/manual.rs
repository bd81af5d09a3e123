//! A clock for tests: it stands still until it is moved.

use super::{Alarms, Moment, Source};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// Moves a manual clock. Starts at moment 0.
#[derive(Clone, Default)]
pub struct ManualClock(Arc<Hands>);

#[derive(Default)]
struct Hands {
    now: AtomicU64,
    alarms: Alarms,
}

impl ManualClock {
    pub(super) fn new() -> Self {
        Self::default()
    }

    pub(super) fn source(&self) -> Arc<dyn Source> {
        self.0.clone()
    }

    /// Moves the clock forward and wakes those whose moment has come.
    pub fn advance(&self, by: Duration) {
        let nanos = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        let now = self.0.now.fetch_add(nanos, Ordering::SeqCst) + nanos;
        self.0.alarms.fire(Moment(now));
    }

    /// How many sleepers wait for their moment.
    #[cfg(test)]
    pub(crate) fn sleepers(&self) -> usize {
        self.0.alarms.len()
    }

    /// When the earliest sleeper wants to be woken.
    pub fn next_alarm(&self) -> Option<Moment> {
        self.0.alarms.next()
    }
}

impl Source for Hands {
    fn now(&self) -> Moment {
        Moment(self.now.load(Ordering::SeqCst))
    }

    fn wall_micros(&self) -> u64 {
        self.now.load(Ordering::SeqCst) / 1000
    }

    fn alarms(&self) -> &Alarms {
        &self.alarms
    }
}

#[cfg(test)]
mod tests {
    use crate::clock::Clock;
    use std::{
        pin::pin,
        task::{Context, Waker},
        time::Duration,
    };

    /// R28
    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let (clock, hands) = Clock::manual();
        let mut sleep = pin!(clock.sleep(Duration::from_secs(3)));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(sleep.as_mut().poll(&mut cx).is_pending());
        hands.advance(Duration::from_millis(2999));
        assert!(sleep.as_mut().poll(&mut cx).is_pending());
        hands.advance(Duration::from_millis(1));
        assert!(sleep.as_mut().poll(&mut cx).is_ready());
        assert_eq!(hands.next_alarm(), None);
    }

    /// Who is woken at a moment and looks whether it has come finds that it has.
    #[test]
    fn a_moment_has_come_when_a_sleep_until_it_is_over() {
        let (clock, hands) = Clock::manual();
        let at = clock.now() + Duration::from_millis(5);
        let mut sleep = pin!(clock.sleep_until(at));
        let mut cx = Context::from_waker(Waker::noop());
        let mut both = || (clock.has_come(at), sleep.as_mut().poll(&mut cx).is_ready());
        assert_eq!(both(), (false, false));
        hands.advance(Duration::from_nanos(4_999_999));
        assert_eq!(both(), (false, false));
        hands.advance(Duration::from_nanos(1));
        assert_eq!(both(), (true, true));
    }
}

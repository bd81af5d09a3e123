//! The machine's clock: one thread for all alarms of the process.

use super::{Alarms, Moment, Source};
use parking_lot::{Condvar, Mutex};
use std::{
    sync::{Arc, OnceLock},
    time::{Duration, Instant, SystemTime},
};

pub(super) struct System {
    start: Instant,
    /// `start` by the clock that [`coarse_nanos`] reads.
    #[cfg(target_os = "linux")]
    start_nanos: u64,
    alarms: Alarms,
    bell: Arc<Bell>,
}

#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    changed: Condvar,
}

/// The one system clock of the process; its thread starts with the first use.
pub(super) fn shared() -> &'static System {
    static SHARED: OnceLock<Arc<System>> = OnceLock::new();
    SHARED.get_or_init(|| {
        let bell = Arc::new(Bell::default());
        let ring = bell.clone();
        let system = Arc::new(System {
            start: now_instant(),
            #[cfg(target_os = "linux")]
            start_nanos: nanos(rustix::time::ClockId::Monotonic),
            alarms: Alarms::new(move || {
                *ring.rung.lock() = true;
                ring.changed.notify_one();
            }),
            bell,
        });
        let run = system.clone();
        std::thread::Builder::new()
            .name("quark-clock".into())
            .spawn(move || run.run())
            .expect("invariant: a thread for the clock can be started");
        system
    })
}

#[allow(clippy::disallowed_methods, reason = "this room owns the machine's clock")]
fn now_instant() -> Instant {
    Instant::now()
}

#[cfg(target_os = "linux")]
fn nanos(clock: rustix::time::ClockId) -> u64 {
    let time = rustix::time::clock_gettime(clock);
    // Neither is negative; a check of that would cost each message.
    time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
}

impl System {
    fn run(&self) {
        loop {
            self.alarms.fire(self.now());
            let mut rung = self.bell.rung.lock();
            // An alarm set after `fire` either is seen by `plan` or rings the bell.
            let wait = match self.alarms.plan() {
                Some(next) => next.since(self.now()),
                None => Duration::from_secs(3600),
            };
            if !*rung && !wait.is_zero() {
                self.bell.changed.wait_for(&mut rung, wait);
            }
            *rung = false;
        }
    }
}

impl Source for System {
    fn now(&self) -> Moment {
        Moment(u64::try_from(now_instant().duration_since(self.start).as_nanos()).unwrap_or(u64::MAX))
    }

    #[cfg(target_os = "linux")]
    fn recently(&self) -> Moment {
        Moment(nanos(rustix::time::ClockId::MonotonicCoarse).saturating_sub(self.start_nanos))
    }

    #[allow(clippy::disallowed_methods, reason = "this room owns the machine's clock")]
    fn wall_micros(&self) -> u64 {
        let since = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
    }

    fn alarms(&self) -> &Alarms {
        &self.alarms
    }
}

#[cfg(test)]
mod tests {
    use crate::clock::Clock;
    use std::time::Duration;

    #[test]
    fn the_coarse_time_is_never_ahead_and_little_behind() {
        let clock = Clock::system();
        for _ in 0..10_000 {
            let before = clock.now();
            let recently = clock.recently();
            assert!(recently <= clock.now(), "ahead");
            assert!(
                before.since(recently) <= Clock::COARSE,
                "{:?} behind",
                before.since(recently)
            );
        }
    }

    #[test]
    fn a_later_sleeper_does_not_hold_up_an_earlier_one() {
        let clock = Clock::system();
        let start = clock.now();
        let long = clock.sleep(Duration::from_secs(600));
        let short = clock.sleep(Duration::from_millis(5));
        let ended = futures_util::future::select(long, short);
        let first = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("runtime")
            .block_on(ended);
        assert!(matches!(first, futures_util::future::Either::Right(_)));
        assert!(clock.now().since(start) >= Duration::from_millis(5));
    }
}

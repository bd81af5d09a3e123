//! A clock of a simulation: a process's view of the one time that all processes of the simulation share, which may run fast or
//! slow, and whose wall time may be wrong.

use super::{Alarms, Clock, Make, Moment, Source};
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
};

/// The wall time at which simulations begin, in microseconds since the Unix epoch: 2026-01-01.
const BEGIN_MICROS: u64 = 1_767_225_600_000_000;

/// The time of a simulation, in nanoseconds since its begin. Clones are the same time.
#[derive(Clone, Debug, Default)]
pub(crate) struct WorldTime(Arc<AtomicU64>);

impl WorldTime {
    /// Now.
    pub(crate) fn now(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// It becomes `now`; never earlier than it was.
    pub(crate) fn set(&self, now: u64) {
        self.0.fetch_max(now, Ordering::Relaxed);
    }
}

/// Moves a process's clock of a simulation.
#[derive(Clone)]
pub(crate) struct Hands(Arc<View>);

struct View {
    world: WorldTime,
    /// When the rate last changed, by the world and by this clock.
    since: AtomicU64,
    then: AtomicU64,
    /// How many millionths the clock is faster than the world.
    ppm: AtomicI64,
    /// How wrong the wall time is, in microseconds.
    wrong: AtomicI64,
    alarms: Alarms,
    /// What is known of the next alarm is out of date.
    stale: Arc<AtomicBool>,
    /// When to look again, by this clock; `u64::MAX` if nobody sleeps.
    planned: AtomicU64,
}

impl Clock {
    /// A view of a simulation's time, and what moves it.
    pub(crate) fn simulated(world: &WorldTime) -> (Self, Hands) {
        let stale = Arc::new(AtomicBool::new(true));
        let tell = stale.clone();
        let view = Arc::new(View {
            world: world.clone(),
            since: AtomicU64::new(world.now()),
            then: AtomicU64::new(world.now()),
            ppm: AtomicI64::new(0),
            wrong: AtomicI64::new(0),
            alarms: Alarms::new(move || tell.store(true, Ordering::Relaxed)),
            stale,
            planned: AtomicU64::new(u64::MAX),
        });
        (Self(Make::Other(view.clone())), Hands(view))
    }
}

impl Hands {
    /// From now on the clock is so many millionths faster than the world (slower, if negative).
    pub(crate) fn drift(&self, ppm: i64) {
        let now = self.0.now().0;
        self.0.since.store(self.0.world.now(), Ordering::Relaxed);
        self.0.then.store(now, Ordering::Relaxed);
        self.0.ppm.store(ppm.clamp(-500_000, 500_000), Ordering::Relaxed);
    }

    /// The wall time jumps by so much.
    pub(crate) fn jump_wall(&self, micros: i64) {
        self.0.wrong.fetch_add(micros, Ordering::Relaxed);
    }

    /// Wakes those whose moment has come.
    pub(crate) fn fire(&self) {
        self.0.alarms.fire(self.0.now());
        self.0.stale.store(true, Ordering::Relaxed);
    }

    /// When to call [`Hands::fire`] again, by the world's time; `None` if nobody sleeps.
    pub(crate) fn next(&self) -> Option<u64> {
        if self.0.stale.swap(false, Ordering::Relaxed) {
            let planned = self.0.alarms.plan().map_or(u64::MAX, |at| at.0);
            self.0.planned.store(planned, Ordering::Relaxed);
        }
        let planned = Some(self.0.planned.load(Ordering::Relaxed)).filter(|at| *at != u64::MAX)?;
        let local = planned.saturating_sub(self.0.then.load(Ordering::Relaxed));
        let ppm = self.0.ppm.load(Ordering::Relaxed);
        let ahead = if ppm == 0 { local } else { unscaled(local, ppm) };
        Some(self.0.since.load(Ordering::Relaxed).saturating_add(ahead))
    }
}

/// `nanos` of the world by a clock that is `ppm` faster.
fn scaled(nanos: u64, ppm: i64) -> u64 {
    let scaled = i128::from(nanos) * i128::from(1_000_000 + ppm) / 1_000_000;
    u64::try_from(scaled).unwrap_or(u64::MAX)
}

/// After so many nanoseconds of the world a clock that is `ppm` faster shows `nanos`.
fn unscaled(nanos: u64, ppm: i64) -> u64 {
    let rate = i128::from(1_000_000 + ppm);
    let unscaled = (i128::from(nanos) * 1_000_000 + rate - 1) / rate;
    u64::try_from(unscaled).unwrap_or(u64::MAX)
}

impl Source for View {
    fn now(&self) -> Moment {
        let ppm = self.ppm.load(Ordering::Relaxed);
        let passed = self.world.now().saturating_sub(self.since.load(Ordering::Relaxed));
        let passed = if ppm == 0 { passed } else { scaled(passed, ppm) };
        Moment(self.then.load(Ordering::Relaxed).saturating_add(passed))
    }

    fn wall_micros(&self) -> u64 {
        let right = BEGIN_MICROS + self.world.now() / 1000;
        right.saturating_add_signed(self.wrong.load(Ordering::Relaxed))
    }

    fn alarms(&self) -> &Alarms {
        &self.alarms
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        pin::pin,
        task::{Context, Waker},
        time::Duration,
    };

    #[test]
    fn a_clock_that_runs_fast_wakes_early_and_never_before_its_own_moment() {
        let world = WorldTime::default();
        world.set(5_000);
        let (clock, hands) = Clock::simulated(&world);
        hands.drift(100_000);
        let start = clock.now();
        let mut sleep = pin!(clock.sleep(Duration::from_secs(11)));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(sleep.as_mut().poll(&mut cx).is_pending());
        while let Some(next) = hands.next().filter(|next| *next < 10_000_004_999) {
            world.set(next);
            hands.fire();
            assert!(sleep.as_mut().poll(&mut cx).is_pending());
        }
        world.set(10_000_005_000);
        assert_eq!(clock.now().since(start), Duration::from_secs(11));
        assert!(sleep.as_mut().poll(&mut cx).is_ready());
    }

    #[test]
    fn another_rate_makes_no_jump() {
        let world = WorldTime::default();
        let (clock, hands) = Clock::simulated(&world);
        world.set(1_000_000);
        hands.drift(-500_000);
        assert_eq!(clock.now(), Moment(1_000_000));
        world.set(3_000_000);
        assert_eq!(clock.now(), Moment(2_000_000));
        hands.drift(0);
        hands.jump_wall(-7);
        assert_eq!(clock.now(), Moment(2_000_000));
        assert_eq!(clock.wall_micros(), BEGIN_MICROS + 3_000 - 7);
    }
}

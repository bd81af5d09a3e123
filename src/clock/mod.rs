//! Time: the only room that asks the machine what time it is.
//!
//! Owns [`Clock`], which tells monotonic moments and wall time and wakes sleepers, in three makes: the system's, a
//! manual one for tests, and a process's view of a simulation's time. Sleeps work in any executor: they do not need a tokio timer. Imports nothing of the crate.

mod alarms;
mod manual;
#[cfg(feature = "testkit")]
mod simulated;
mod sleep;
mod system;

pub use manual::ManualClock;
#[cfg(feature = "testkit")]
pub(crate) use simulated::{Hands, WorldTime};
pub use sleep::Sleep;

use alarms::Alarms;
use serde::{Deserialize, Serialize};
use std::{ops, sync::Arc, task::Waker, time::Duration};
use system::System;

/// A moment of a process's monotonic clock, in nanoseconds since an arbitrary start. Means nothing in another process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Moment(pub u64);

impl Moment {
    /// The time from `earlier` to `self`, zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl ops::Add<Duration> for Moment {
    type Output = Self;

    fn add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// What a clock is made of.
trait Source: Send + Sync {
    fn now(&self) -> Moment;
    fn recently(&self) -> Moment {
        self.now()
    }
    fn wall_micros(&self) -> u64;
    fn alarms(&self) -> &Alarms;
}

/// Whose time it is.
#[derive(Clone)]
enum Make {
    /// The machine's, which is read for each message: without a count of who has it, and without a table of its functions.
    System(&'static System),
    /// A test's or a simulation's.
    Other(Arc<dyn Source>),
}

/// Tells the time and wakes sleepers. Cheap to clone.
#[derive(Clone)]
pub struct Clock(Make);

impl Clock {
    /// The resolution of [`Clock::recently`]: the longest tick of the kernels that Quark knows.
    pub const COARSE: Duration = Duration::from_millis(10);

    /// The machine's clock. Sleeps end within about 2 ms after their moment.
    pub fn system() -> Self {
        Self(Make::System(system::shared()))
    }

    /// A clock that only moves when told to.
    pub fn manual() -> (Self, ManualClock) {
        let manual = ManualClock::new();
        (Self(Make::Other(manual.source())), manual)
    }

    /// Now, monotonic.
    pub fn now(&self) -> Moment {
        match &self.0 {
            Make::System(system) => system.now(),
            Make::Other(source) => source.now(),
        }
    }

    /// A moment at most [`Clock::COARSE`] ago. A quarter of the price of [`Clock::now`], for what is done per message.
    #[inline]
    pub fn recently(&self) -> Moment {
        match &self.0 {
            Make::System(system) => system.recently(),
            Make::Other(source) => source.recently(),
        }
    }

    /// Whether a moment has come: from the moment itself on, as a sleep until then is over. Cheap as long as it is far off.
    pub fn has_come(&self, moment: Moment) -> bool {
        self.has_come_after(self.recently(), moment)
    }

    /// The same for who has just read [`Clock::recently`].
    pub fn has_come_after(&self, recent: Moment, moment: Moment) -> bool {
        recent + Self::COARSE >= moment && self.now() >= moment
    }

    /// Microseconds since the Unix epoch by the machine's wall clock.
    pub fn wall_micros(&self) -> u64 {
        match &self.0 {
            Make::System(system) => system.wall_micros(),
            Make::Other(source) => source.wall_micros(),
        }
    }

    fn alarms(&self) -> &Alarms {
        match &self.0 {
            Make::System(system) => system.alarms(),
            Make::Other(source) => source.alarms(),
        }
    }

    /// Waits until `at`.
    pub fn sleep_until(&self, at: Moment) -> Sleep {
        Sleep::new(self.clone(), at)
    }

    /// The same, polled with `waker` already. `recent` was just read; `at` is more than [`Clock::COARSE`] ahead of it.
    pub(crate) fn sleep_far(&self, recent: Moment, at: Moment, waker: &Waker) -> Sleep {
        Sleep::begun(self.clone(), recent, at, waker)
    }

    /// Waits for `time`.
    pub fn sleep(&self, time: Duration) -> Sleep {
        self.sleep_until(self.now() + time)
    }

    /// Runs `future` until `at` at the latest; `None` if it was not ready by then.
    pub async fn timeout_at<F: Future>(&self, at: Moment, future: F) -> Option<F::Output> {
        let future = std::pin::pin!(future);
        match futures_util::future::select(future, self.sleep_until(at)).await {
            futures_util::future::Either::Left((output, _)) => Some(output),
            futures_util::future::Either::Right(_) => None,
        }
    }

    /// Runs `future` for `time` at the longest; `None` if it was not ready by then.
    pub async fn timeout<F: Future>(&self, time: Duration, future: F) -> Option<F::Output> {
        self.timeout_at(self.now() + time, future).await
    }
}

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Clock({:?})", self.now())
    }
}

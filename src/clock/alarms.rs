//! Who sleeps until when.

use super::{Clock, Moment};
use parking_lot::Mutex;
use std::{
    collections::BTreeMap,
    pin::Pin,
    task::{Context, Poll, Waker},
};

/// The sleepers of one clock, by moment. Setting and dropping an alarm is O(log n).
#[derive(Default)]
pub(super) struct Alarms {
    state: Mutex<State>,
    /// Told when the earliest alarm moves forward.
    on_earlier: Option<Box<dyn Fn() + Send + Sync>>,
}

#[derive(Default)]
struct State {
    by_moment: BTreeMap<(Moment, u64), Waker>,
    last: u64,
    /// When who fires the alarms will look again by itself. Alarms that are dropped do not move it: one that is set and
    /// dropped again and again, as by asks, disturbs nobody.
    planned: Option<Moment>,
}

impl Alarms {
    pub(super) fn new(on_earlier: impl Fn() + Send + Sync + 'static) -> Self {
        Self {
            state: Mutex::default(),
            on_earlier: Some(Box::new(on_earlier)),
        }
    }

    fn set(&self, at: Moment, waker: Waker) -> u64 {
        let mut state = self.state.lock();
        state.last += 1;
        let number = state.last;
        let earlier = state.planned.is_none_or(|planned| at < planned);
        if earlier {
            state.planned = Some(at);
        }
        state.by_moment.insert((at, number), waker);
        drop(state);
        if let (true, Some(tell)) = (earlier, &self.on_earlier) {
            tell();
        }
        number
    }

    fn replace(&self, at: Moment, number: u64, waker: &Waker) -> bool {
        match self.state.lock().by_moment.get_mut(&(at, number)) {
            Some(old) => {
                old.clone_from(waker);
                true
            }
            None => false,
        }
    }

    fn remove(&self, at: Moment, number: u64) {
        self.state.lock().by_moment.remove(&(at, number));
    }

    /// Wakes all that are due; returns the moment of the next.
    pub(super) fn fire(&self, now: Moment) -> Option<Moment> {
        loop {
            let mut state = self.state.lock();
            match state.by_moment.first_entry() {
                None => return None,
                Some(first) if first.key().0 > now => return Some(first.key().0),
                Some(first) => {
                    let waker = first.remove();
                    drop(state);
                    waker.wake();
                }
            }
        }
    }

    pub(super) fn next(&self) -> Option<Moment> {
        self.state.lock().by_moment.first_key_value().map(|(key, _)| key.0)
    }

    /// The same, for who will look again then and not before, unless told.
    pub(super) fn plan(&self) -> Option<Moment> {
        let mut state = self.state.lock();
        state.planned = state.by_moment.first_key_value().map(|(key, _)| key.0);
        state.planned
    }
}

/// A future that is ready from its moment on. Dropping it costs nothing later.
pub struct Sleep {
    clock: Clock,
    at: Moment,
    alarm: Option<u64>,
}

impl Sleep {
    pub(super) fn new(clock: Clock, at: Moment) -> Self {
        Self { clock, at, alarm: None }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.clock.now() >= self.at {
            return Poll::Ready(());
        }
        let alarms = self.clock.0.alarms();
        if let Some(number) = self.alarm
            && alarms.replace(self.at, number, cx.waker())
        {
            return Poll::Pending;
        }
        let number = alarms.set(self.at, cx.waker().clone());
        self.alarm = Some(number);
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(number) = self.alarm {
            self.clock.0.alarms().remove(self.at, number);
        }
    }
}

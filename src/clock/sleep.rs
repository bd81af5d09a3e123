//! A future that waits for its moment.

use super::{Clock, Moment, alarms::Alarm};
use std::{
    pin::Pin,
    task::{Context, Poll, Waker},
};

/// A future that is ready from its moment on. Dropping it costs nothing later.
pub struct Sleep {
    clock: Clock,
    at: Moment,
    alarm: Option<Alarm>,
}

impl Sleep {
    pub(super) fn new(clock: Clock, at: Moment) -> Self {
        Self { clock, at, alarm: None }
    }

    /// Polled with `waker` already, when it was `now` or a little later.
    pub(super) fn begun(clock: Clock, now: Moment, at: Moment, waker: &Waker) -> Self {
        let alarm = Some(clock.alarms().set(now, at, waker.clone()));
        Self { clock, at, alarm }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.clock.has_come(self.at) {
            return Poll::Ready(());
        }
        let alarms = self.clock.alarms();
        if let Some(alarm) = self.alarm
            && alarms.replace(alarm, cx.waker())
        {
            return Poll::Pending;
        }
        let alarm = alarms.set(self.clock.recently(), self.at, cx.waker().clone());
        self.alarm = Some(alarm);
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(alarm) = self.alarm {
            self.clock.alarms().cancel(alarm);
        }
    }
}

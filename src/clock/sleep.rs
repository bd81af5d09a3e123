//! A future that waits for its moment.

use super::{Clock, Moment, alarms::Alarm};
use std::{
    pin::Pin,
    task::{Context, Poll},
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
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.clock.has_come(self.at) {
            return Poll::Ready(());
        }
        let alarms = self.clock.0.alarms();
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
            self.clock.0.alarms().cancel(alarm);
        }
    }
}

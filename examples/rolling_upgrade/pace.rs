//! When each flight is to be sent: a steady rate, with the end of the file kept for the time after the upgrade.

use crate::flights::Flights;
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::watch,
    time::{self, Instant, MissedTickBehavior},
};

/// A replay takes at least this long: silos must start and drain meanwhile, each in seconds.
pub(crate) const MIN_REPLAY: Duration = Duration::from_secs(12);
/// How often flights are released.
const TICK: Duration = Duration::from_millis(4);
/// The share of the messages that is kept until the upgrade is over.
const KEPT: f64 = 0.1;
/// What is kept is released slowly while the upgrade takes long, so that the load goes on: for at least this long.
const KEPT_LASTS: Duration = Duration::from_secs(60);

/// The rate at which the flights are replayed, in messages per second.
pub(crate) fn rate(flights: &Flights, wanted: u32) -> f64 {
    f64::from(wanted).min(flights.messages() as f64 / MIN_REPLAY.as_secs_f64())
}

/// Releases the flights in order: the value of `released` is how many may be sent.
///
/// Ends when all are released, or nobody waits for them.
pub(crate) async fn release(
    flights: Arc<Flights>,
    rate: f64,
    released: watch::Sender<usize>,
    upgraded: watch::Receiver<bool>,
) {
    let messages = flights.messages() as f64;
    let mut ticks = time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let (mut last, mut due, mut sent) = (Instant::now(), 0.0, 0.0);
    let mut next = 0;
    while next < flights.flights.len() {
        ticks.tick().await;
        let is_kept = due >= messages * (1.0 - KEPT) && !*upgraded.borrow();
        let rate = if is_kept {
            rate.min(messages * KEPT / KEPT_LASTS.as_secs_f64())
        } else {
            rate
        };
        due += rate * last.elapsed().as_secs_f64();
        last = Instant::now();
        while let Some(flight) = flights.flights.get(next)
            && sent + flight.messages() as f64 <= due
        {
            sent += flight.messages() as f64;
            next += 1;
        }
        if released.send(next).is_err() {
            return;
        }
    }
}

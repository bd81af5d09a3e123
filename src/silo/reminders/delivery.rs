//! How ticks are delivered: as messages that this silo asks its actors, wherever they are.

use crate::{
    actor::encode_tick,
    reminder::{Event, Ran},
    silo::Node,
    store::{Reminder, TickStep},
    wire,
};
use futures_util::{StreamExt, stream::FuturesUnordered};
use std::sync::{Arc, atomic::Ordering};

/// The most ends of deliveries that are told at once.
const TOLD: usize = 256;

impl Node {
    /// Delivers ticks and tells the engine how each ended.
    pub(super) async fn deliver_ticks(self: &Arc<Self>, ticks: Vec<(TickStep, Arc<Reminder>)>) {
        let deliveries: FuturesUnordered<_> = ticks
            .into_iter()
            .map(async |(step, reminder)| (step, self.deliver_tick(&reminder).await))
            .collect();
        let mut ended = deliveries.ready_chunks(TOLD);
        while let Some(ended) = ended.next().await {
            self.reminding.happened(Event::Delivered(ended));
        }
    }

    async fn deliver_tick(&self, reminder: &Reminder) -> Ran {
        // Another silo may have the bucket by now, and does once the lease is over.
        if !self.may_serve() {
            return Ran::NotSurely;
        }
        let actor = &reminder.id.actor;
        let bytes = match encode_tick(reminder) {
            Ok(bytes) => bytes,
            Err(error) => {
                tracing::error!(reminder = %reminder.id, %error, "a tick cannot be serialized");
                return Ran::NotSurely;
            }
        };
        let deadline = self.clock.now() + self.options.ask_timeout;
        let message = reminder.spec.message.as_str();
        let failure = match self.send_encoded(actor, message, bytes, Some(deadline)).await {
            Ok(wait) => match wait.await {
                Some(Ok(_)) => {
                    self.reminding.delivered.fetch_add(1, Ordering::Relaxed);
                    return Ran::Yes;
                }
                answer => answer.and_then(Result::err),
            },
            Err(failure) => Some(failure),
        };
        self.reminding.failed.fetch_add(1, Ordering::Relaxed);
        let ran = failure.as_ref().is_some_and(|failure| failure.ran == wire::Ran::Yes);
        let why = failure.map_or_else(|| "it was dropped unanswered".to_owned(), |failure| failure.text);
        if ran {
            tracing::warn!(reminder = %reminder.id, why, "a tick ran and failed");
            Ran::Yes
        } else {
            tracing::info!(reminder = %reminder.id, why, "a tick did not run, as far as is known; it is delivered again");
            Ran::NotSurely
        }
    }
}

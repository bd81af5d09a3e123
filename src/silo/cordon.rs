//! Cordoning a silo by hand, calling a drain off, and watching how a silo stands: health and the progress of its drain.

use super::{
    Gate, Node, SiloHandle,
    end::{CordonError, Ended},
    queries::millis,
};
use crate::{
    lifecycle::Drain,
    membership::Event,
    store::SiloStatus,
    wire::{DrainProgress, Health, ShutdownReport},
};
use std::{sync::Arc, time::Duration};
use tokio::sync::{oneshot, watch};

/// How long it is waited for the membership table to show a change.
const PUBLISH: Duration = Duration::from_secs(10);

impl SiloHandle {
    /// Cordons the silo: its peers see it as ShuttingDown and place nothing here any more, no actor comes up or moves here; what is
    /// here goes on. [`SiloHandle::stop`] begins with the same. Returns when the membership table shows it.
    ///
    /// # Errors
    /// [`CordonError`].
    pub async fn cordon(&self) -> Result<(), CordonError> {
        self.node.cordon().await
    }

    /// Takes a cordon back, or calls a [`SiloHandle::stop`] off that has not come to its barrier: actors come up here again;
    /// those that have moved stay where they are. Returns when the membership table shows it. Harmless if the silo is Active.
    ///
    /// # Errors
    /// [`CordonError`]; [`CordonError::TooLate`] if the peers count on the silo's leaving.
    pub async fn uncordon(&self) -> Result<(), CordonError> {
        self.node.uncordon().await
    }

    /// Leaves the cluster in order: actors move to other silos or are deactivated with their state saved, every caller is
    /// told, nothing is lost. Ends within the shutdown timeout and eight seconds, whatever hangs; what was stopped by force is
    /// listed then. May be called more than once, also at once; all calls answer the same.
    ///
    /// # Errors
    /// [`Ended`] if it did not end in order, or was called off.
    pub async fn stop(&self) -> Result<ShutdownReport, Ended> {
        self.node.end.stopped("it was asked to").await
    }

    /// Whether the silo can be given work: for readiness and liveness probes.
    pub fn health(&self) -> Health {
        self.node.health()
    }

    /// How far the drain is, while one goes on: told when it comes to its next phase, and four times a second.
    pub fn watch_drain(&self) -> watch::Receiver<Option<DrainProgress>> {
        self.node.drain_watch.subscribe()
    }
}

impl Node {
    pub(super) async fn cordon(&self) -> Result<(), CordonError> {
        if self.end.is_wished() {
            return Err(CordonError::Leaving);
        }
        if !self.turn_gate(Gate::Open, Gate::Cordoned) && self.gate() != Gate::Cordoned {
            return Err(CordonError::Ended);
        }
        self.publish(SiloStatus::ShuttingDown).await
    }

    pub(super) async fn uncordon(&self) -> Result<(), CordonError> {
        if self.end.is_wished() {
            let (tell, told) = oneshot::channel();
            self.end.ask_uncordon(tell);
            if !self.end.is_wished() {
                // Called off since by another, who was answered: what stays asked for would call the next end off.
                self.end.answer_uncordons(Ok(()));
            }
            if self.gate() == Gate::Shut {
                return Err(CordonError::Ended);
            }
            told.await.unwrap_or(Err(CordonError::Ended))?;
        } else if !self.turn_gate(Gate::Cordoned, Gate::Open) && self.gate() != Gate::Open {
            return Err(CordonError::Ended);
        }
        self.publish(SiloStatus::Active).await
    }

    /// Tells the membership service what the silo wants to be, and waits until the table shows it.
    async fn publish(&self, status: SiloStatus) -> Result<(), CordonError> {
        let mut views = self.views.subscribe();
        self.services.membership(Event::SetStatus(status));
        let shown = views.wait_for(|view| view.status(&self.me) == Some(status));
        match self.clock.timeout(PUBLISH, shown).await {
            Some(Ok(_)) => Ok(()),
            Some(Err(_)) => Err(CordonError::Ended),
            None => Err(CordonError::NotPublished),
        }
    }

    /// The drain is called off: the silo takes actors again.
    pub(super) fn stay(&self) {
        self.seats.watch(false);
        self.keep_activations();
        self.moves.forget_given_up();
        self.moves.finish_by(None);
        self.turn_gate(Gate::Cordoned, Gate::Open);
        self.services.membership(Event::SetStatus(SiloStatus::Active));
        *self.drain.lock() = None;
        self.drain_watch.send_replace(None);
        self.end.call_off();
        tracing::info!(silo = %self.me, "the silo was un-cordoned and stays");
    }

    fn health(&self) -> Health {
        match self.gate() {
            Gate::Joining => Health::Starting,
            Gate::Shut => Health::Unhealthy,
            Gate::Open if self.end.is_wished() => Health::Degraded,
            Gate::Open if self.may_serve() => Health::Ready,
            Gate::Open => Health::Degraded,
            Gate::Cordoned => {
                let deadline = self.drain.lock().as_ref().map(Drain::deadline);
                let late = deadline.is_some_and(|deadline| self.clock.now() > deadline);
                if late { Health::Unhealthy } else { Health::Degraded }
            }
        }
    }

    /// How far the drain is.
    pub(super) fn drain_progress(&self) -> Option<DrainProgress> {
        let drain = self.drain.lock().clone()?;
        let now = self.clock.now();
        let mut in_flight = 0;
        self.seats.select(|_, place| {
            let activation = place.activation.as_ref()?;
            in_flight += usize::from(activation.activity().calls > 0);
            None::<()>
        });
        let deactivated = self.history.lock().deactivated;
        Some(DrainProgress {
            phase: drain.phase().name().to_owned(),
            actors_left: self.seats.tally().activations,
            in_flight,
            moves_left: self.moves.len(),
            moved: self.moves.moved_count(),
            deactivated,
            elapsed_ms: millis(now.since(drain.begun())),
            remaining_ms: millis(drain.deadline().since(now)),
        })
    }

    /// Tells those who watch how far the drain is.
    pub(super) fn tell_drain(self: &Arc<Self>) {
        if self.drain_watch.receiver_count() > 0 {
            self.drain_watch.send_replace(self.drain_progress());
        }
    }
}

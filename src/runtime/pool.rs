//! The workers of a silo.

use super::{
    Activation, Outside,
    desk::Desk,
    worker::{Worker, WorkerHandle},
};
use crate::{
    actor::{KindEntry, Services},
    clock::{Clock, Moment},
    ident::ActorId,
    mailbox::Mailbox,
    telemetry::KindFigures,
};
use parking_lot::RwLock;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// How much a worker has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Its activations.
    pub activations: usize,
    /// The messages that it has taken out of mailboxes.
    pub turns: u64,
    /// The share of the last seconds that it was busy, per mille.
    pub busy_permille: u32,
}

/// What a worker has to do, to be compared: its activations by what the workers have on average, and its busy time. One that was
/// always busy counts as much as one that never was and has four times the average.
fn weigh(activations: usize, average: usize, busy_permille: u32) -> u64 {
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    count(activations).saturating_mul(1000) / (count(average) + 1) + 4 * u64::from(busy_permille)
}

/// A worker that is to be run, by the thread that it is to belong to.
pub struct WorkerTask(Worker);

impl WorkerTask {
    /// Runs the worker until it is stopped. It is the only one of its thread.
    pub async fn run(self) {
        self.0.run().await;
    }

    /// Runs the worker on a thread that others have too.
    #[cfg(feature = "testkit")]
    pub(crate) fn run_apart(self) -> impl Future<Output = ()> {
        super::apart::Apart::new(self.0.run())
    }
}

/// Where a worker runs: takes it to a thread and has it run there.
pub type WorkerPlace = Arc<dyn Fn(WorkerTask) + Send + Sync>;

/// The workers of a silo, each in a place of its own.
pub struct Pool {
    workers: Vec<WorkerHandle>,
    /// Of each worker, in the order in which they were needed.
    desks: RwLock<Vec<Arc<Desk>>>,
    services: Arc<dyn Services>,
    clock: Clock,
    mailbox_capacity: usize,
}

impl Pool {
    /// A worker in each of the places. `spin`: how long each looks for work before it parks. `idle_timeout`: how long an
    /// activation is idle before it wants to end; zero for ever.
    pub fn start(
        places: &[WorkerPlace],
        outside: &Arc<dyn Outside>,
        clock: Clock,
        mailbox_capacity: usize,
        spin: Duration,
        idle_timeout: Duration,
    ) -> Self {
        let start = |place: &WorkerPlace| {
            let handle = WorkerHandle::new(spin);
            let worker = Worker::new(handle.clone(), outside.clone(), clock.clone(), idle_timeout);
            place(WorkerTask(worker));
            handle
        };
        Self {
            workers: places.iter().map(start).collect(),
            desks: RwLock::default(),
            services: outside.services(),
            clock,
            mailbox_capacity,
        }
    }

    /// An activation. With the mailbox that this process has for the actor, if it has one; else with one on the worker that
    /// has the least to do. `open`: it takes messages already.
    pub fn activation(
        &self,
        actor: &ActorId,
        kind: &Arc<KindEntry>,
        open: bool,
        mailbox: Option<Arc<Mailbox>>,
    ) -> Activation {
        let has = |worker: &&WorkerHandle| mailbox.as_ref().is_some_and(|mailbox| worker.is_host_of(mailbox));
        let worker = (self.workers.iter().find(has))
            .or_else(|| self.least_loaded())
            .expect("invariant: a pool has a worker");
        worker.added();
        if let Some(mailbox) = mailbox.filter(|mailbox| worker.is_host_of(mailbox)) {
            mailbox.set_open(open);
            return Activation::new(mailbox);
        }
        let (capacity, now) = (self.mailbox_capacity, self.clock.recently());
        let desk = self.desk(worker, kind);
        Activation::last_of(Arc::new(Mailbox::with_first(actor.clone(), capacity, desk, now, open)))
    }

    /// Where a worker runs a kind.
    fn desk(&self, worker: &WorkerHandle, kind: &Arc<KindEntry>) -> Arc<Desk> {
        let is_it = |desk: &&Arc<Desk>| Arc::ptr_eq(&desk.kind, kind) && Arc::ptr_eq(&desk.worker.0, &worker.0);
        if let Some(desk) = self.desks.read().iter().find(is_it) {
            return desk.clone();
        }
        let mut desks = self.desks.write();
        if let Some(desk) = desks.iter().find(is_it) {
            return desk.clone();
        }
        let desk = Arc::new(Desk::new(worker.clone(), kind.clone(), self.services.clone()));
        desks.push(desk.clone());
        desk
    }

    /// What the actors of each kind did since the start.
    pub fn figures(&self) -> BTreeMap<String, KindFigures> {
        let mut figures: BTreeMap<String, KindFigures> = BTreeMap::new();
        for desk in &*self.desks.read() {
            let kind = figures.entry(desk.kind.kind().to_owned()).or_default();
            kind.add(&desk.meter.figures());
        }
        figures
    }

    /// How much each worker has to do.
    pub fn loads(&self) -> Vec<Load> {
        let load = |worker: &WorkerHandle| Load {
            activations: worker.load(),
            turns: worker.turns(),
            busy_permille: worker.shown().busy_permille(),
        };
        self.workers.iter().map(load).collect()
    }

    /// The worker that has the least to do.
    fn least_loaded(&self) -> Option<&WorkerHandle> {
        if let [only] = &*self.workers {
            return Some(only);
        }
        let all: usize = self.workers.iter().map(WorkerHandle::load).sum();
        let weight =
            |worker: &&WorkerHandle| weigh(worker.load(), all / self.workers.len(), worker.shown().busy_permille());
        self.workers.iter().min_by_key(weight)
    }

    pub(super) fn workers(&self) -> &[WorkerHandle] {
        &self.workers
    }

    /// How many messages were taken out of mailboxes.
    pub fn turns(&self) -> u64 {
        self.workers.iter().map(WorkerHandle::turns).sum()
    }

    /// Stops (or lets go on) all turns where they are.
    pub fn pause(&self, pause: bool) {
        for worker in &self.workers {
            worker.pause(pause);
        }
    }

    /// Lets turns go on until then, unless they are paused before or given longer.
    pub fn run_until(&self, until: Moment) {
        for worker in &self.workers {
            worker.run_until(until);
        }
    }

    /// Ends the workers; what runs is dropped.
    pub fn stop(&self) {
        for worker in &self.workers {
            worker.stop();
        }
        self.desks.write().clear();
    }
}

#[cfg(test)]
mod tests {
    use super::weigh;

    #[test]
    fn a_busy_worker_weighs_more_than_one_with_many_idle_activations() {
        assert!(
            weigh(1, 50, 1000) > weigh(100, 50, 0),
            "one hot actor against many idle ones"
        );
        assert!(weigh(300, 100, 0) < weigh(100, 100, 900));
        assert!(
            weigh(600, 100, 0) > weigh(100, 100, 900),
            "but not whatever their number"
        );
    }

    #[test]
    fn of_equally_busy_workers_the_one_with_fewer_activations_weighs_less() {
        assert!(weigh(0, 0, 0) < weigh(1, 0, 0));
        assert!(weigh(99, 100, 500) < weigh(101, 100, 500));
        // The share is measured: a little more of it is not the end of balance.
        assert!(weigh(80, 100, 20) < weigh(100, 100, 0));
    }
}

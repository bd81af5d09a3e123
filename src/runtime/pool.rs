//! The workers of a silo.

use super::{
    Activation, Outside,
    worker::{Worker, WorkerHandle},
};
use crate::{actor::KindEntry, clock::Clock, ident::ActorId};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// The workers of a silo, each on an arbiter of its own.
pub struct Pool {
    workers: Vec<WorkerHandle>,
    clock: Clock,
    mailbox_capacity: usize,
    numbers: AtomicU64,
}

impl Pool {
    /// A worker on each of the arbiters.
    pub fn start(
        arbiters: &[actix_rt::ArbiterHandle],
        outside: &Arc<dyn Outside>,
        clock: Clock,
        mailbox_capacity: usize,
    ) -> Self {
        let start = |arbiter: &actix_rt::ArbiterHandle| {
            let handle = WorkerHandle::new();
            let (own, outside) = (handle.clone(), outside.clone());
            arbiter.spawn_fn(move || {
                actix_rt::spawn(Worker::new(own, outside).run());
            });
            handle
        };
        Self {
            workers: arbiters.iter().map(start).collect(),
            clock,
            mailbox_capacity,
            numbers: AtomicU64::new(1),
        }
    }

    /// An activation on the worker with the fewest. `open`: its mailbox takes messages already.
    pub fn activation(&self, actor: ActorId, kind: Arc<KindEntry>, open: bool) -> Arc<Activation> {
        let worker = (self.workers.iter().min_by_key(|worker| worker.load())).expect("invariant: a pool has a worker");
        worker.added();
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        Arc::new(Activation::new(
            actor,
            kind,
            number,
            worker.clone(),
            self.clock.clone(),
            self.mailbox_capacity,
            open,
        ))
    }

    /// How many activations each worker has.
    pub fn loads(&self) -> Vec<usize> {
        self.workers.iter().map(WorkerHandle::load).collect()
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

    /// Ends the workers; what runs is dropped.
    pub fn stop(&self) {
        for worker in &self.workers {
            worker.stop();
        }
    }
}

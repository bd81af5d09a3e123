//! The workers of a silo.

use super::{
    Activation, Outside,
    worker::{Worker, WorkerHandle},
};
use crate::{actor::KindEntry, clock::Clock, ident::ActorId, mailbox::Mailbox};
use std::{sync::Arc, time::Duration};

/// The workers of a silo, each on an arbiter of its own.
pub struct Pool {
    workers: Vec<WorkerHandle>,
    clock: Clock,
    mailbox_capacity: usize,
}

impl Pool {
    /// A worker on each of the arbiters. `spin`: how long each looks for work before it parks. `idle_timeout`: how long an
    /// activation is idle before it wants to end; zero for ever.
    pub fn start(
        arbiters: &[actix_rt::ArbiterHandle],
        outside: &Arc<dyn Outside>,
        clock: Clock,
        mailbox_capacity: usize,
        spin: Duration,
        idle_timeout: Duration,
    ) -> Self {
        let start = |arbiter: &actix_rt::ArbiterHandle| {
            let handle = WorkerHandle::new();
            let worker = Worker::new(handle.clone(), outside.clone(), clock.clone(), spin, idle_timeout);
            arbiter.spawn_fn(move || {
                actix_rt::spawn(worker.run());
            });
            handle
        };
        Self {
            workers: arbiters.iter().map(start).collect(),
            clock,
            mailbox_capacity,
        }
    }

    /// An activation. With the mailbox that this process has for the actor, if it has one; else with one on the worker that
    /// has the fewest. `open`: it takes messages already.
    pub fn activation(
        &self,
        actor: &ActorId,
        kind: Arc<KindEntry>,
        open: bool,
        mailbox: Option<Arc<Mailbox>>,
    ) -> Arc<Activation> {
        let has = |worker: &&WorkerHandle| mailbox.as_ref().is_some_and(|mailbox| worker.is_host_of(mailbox));
        let worker = (self.workers.iter().find(has))
            .or_else(|| self.workers.iter().min_by_key(|worker| worker.load()))
            .expect("invariant: a pool has a worker");
        worker.added();
        let mailbox = mailbox.filter(|mailbox| worker.is_host_of(mailbox)).unwrap_or_else(|| {
            let (capacity, now) = (self.mailbox_capacity, self.clock.now());
            Arc::new(Mailbox::new(actor.clone(), capacity, worker.host(), now))
        });
        mailbox.set_open(open);
        Arc::new(Activation::new(mailbox, kind, worker.clone()))
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

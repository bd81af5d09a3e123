//! The store's threads: each takes all jobs that wait, runs them in one transaction, commits, and only then answers. A panic
//! costs the transaction it happens in, not the thread.

use super::{
    file::File,
    job::{Access, Job, Lane},
};
use crossbeam_channel::Receiver;
use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// No further job joins a transaction of this weight, in items: other processes wait for its end.
pub(super) const MAX_WEIGHT: usize = 8_192;

pub(super) struct Worker {
    pub(super) file: File,
    pub(super) jobs: Receiver<Box<dyn Job>>,
    pub(super) place: String,
    #[cfg(test)]
    pub(super) transactions: std::sync::Arc<std::sync::atomic::AtomicU64>,
}

/// Jobs that were received and are not run yet.
#[derive(Default)]
struct Waiting {
    first: VecDeque<Box<dyn Job>>,
    others: VecDeque<Box<dyn Job>>,
}

impl Waiting {
    fn push(&mut self, job: Box<dyn Job>) {
        match job.lane() {
            Lane::First => self.first.push_back(job),
            Lane::Bulk | Lane::Watch => self.others.push_back(job),
        }
    }

    fn pop(&mut self) -> Option<Box<dyn Job>> {
        self.first.pop_front().or_else(|| self.others.pop_front())
    }

    fn is_empty(&self) -> bool {
        self.first.is_empty() && self.others.is_empty()
    }
}

impl Worker {
    /// Runs until nobody can send jobs any more and the last one is answered.
    pub(super) fn run(self) {
        let mut waiting = Waiting::default();
        while let Some(batch) = self.next_batch(&mut waiting) {
            // The jobs are dropped by the unwinding, so their callers hear of it; what they have written is taken back
            // before the next transaction begins.
            if catch_unwind(AssertUnwindSafe(|| self.commit(batch))).is_err() {
                tracing::error!(
                    store = self.place,
                    "a transaction of the embedded store panicked; it is taken back"
                );
            }
        }
    }

    /// What the next transaction does; `None` when nobody can send jobs any more and all are done.
    fn next_batch(&self, waiting: &mut Waiting) -> Option<Vec<Box<dyn Job>>> {
        if waiting.is_empty() {
            waiting.push(self.jobs.recv().ok()?);
        }
        // Looked through to the end: one that goes first may be behind others. The places of the queue bound it.
        while let Ok(job) = self.jobs.try_recv() {
            waiting.push(job);
        }
        let (mut batch, mut weight) = (Vec::new(), 0);
        while weight < MAX_WEIGHT
            && let Some(job) = waiting.pop()
        {
            weight += job.weight();
            batch.push(job);
        }
        Some(batch)
    }

    fn commit(&self, mut batch: Vec<Box<dyn Job>>) {
        let writes = batch.iter().any(|job| job.access() == Access::Writes);
        #[cfg(test)]
        self.transactions.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let outcome = self
            .file
            .transaction(writes, || batch.iter_mut().try_for_each(|job| job.run(&self.file)));
        let lost = outcome.err().map(|failure| failure.at(&self.place));
        if let Some(error) = &lost {
            tracing::warn!(%error, jobs = batch.len(), "a transaction of the embedded store was lost");
        }
        for job in batch {
            job.answer(&self.place, lost.as_ref());
        }
    }
}

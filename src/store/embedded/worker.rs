//! The store's thread: takes all jobs that wait, runs them in one transaction, commits, and only then answers. A panic costs
//! the transaction it happens in, not the thread.

use super::{
    file::File,
    job::{Access, Job},
};
use crossbeam_channel::Receiver;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// No further job joins a transaction of this weight, in items: other processes wait for its end.
const MAX_WEIGHT: usize = 8_192;

pub(super) struct Worker {
    pub(super) file: File,
    pub(super) jobs: Receiver<Box<dyn Job>>,
    pub(super) place: String,
    #[cfg(test)]
    pub(super) transactions: std::sync::Arc<std::sync::atomic::AtomicU64>,
}

impl Worker {
    /// Runs until nobody can send jobs any more and the last one is answered.
    pub(super) fn run(self) {
        while let Ok(first) = self.jobs.recv() {
            let batch = self.all_that_waits(first);
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

    fn all_that_waits(&self, first: Box<dyn Job>) -> Vec<Box<dyn Job>> {
        let mut weight = first.weight();
        let mut batch = vec![first];
        while weight < MAX_WEIGHT
            && let Ok(job) = self.jobs.try_recv()
        {
            weight += job.weight();
            batch.push(job);
        }
        batch
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

//! One operation on its way through the store's thread: the work, its result, and who waits for it.

use super::{failure::Failure, file::File};
use crate::store::StoreError;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

/// Whether a job changes the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    Reads,
    Writes,
}

/// Whom a job waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    /// For all that came before it.
    Bulk,
    /// For the transaction that is under way, and others of this lane.
    First,
    /// For no writer: it has a thread of its own, and a transaction of its own there.
    Watch,
}

/// A job, whatever it answers.
pub(super) trait Job: Send {
    /// Whether it changes the file.
    fn access(&self) -> Access;

    /// Whom it waits for.
    fn lane(&self) -> Lane;

    /// About how much of a transaction it takes, in items.
    fn weight(&self) -> usize;

    /// Does the work and keeps the result. The error says that the whole transaction is lost.
    fn run(&mut self, file: &File) -> Result<(), Failure>;

    /// Answers: with the result if the transaction was committed, else with `lost`.
    fn answer(self: Box<Self>, place: &str, lost: Option<&StoreError>);
}

/// A job that answers a `T`.
pub(super) struct Task<T, W> {
    pub(super) access: Access,
    pub(super) lane: Lane,
    pub(super) weight: usize,
    pub(super) work: Option<W>,
    pub(super) result: Option<Result<T, Failure>>,
    pub(super) reply: oneshot::Sender<Result<T, StoreError>>,
    /// Its place in the queue, given back with the answer.
    pub(super) _place: OwnedSemaphorePermit,
}

impl<T, W> Job for Task<T, W>
where
    T: Send,
    W: FnOnce(&File) -> Result<T, Failure> + Send,
{
    fn access(&self) -> Access {
        self.access
    }

    fn lane(&self) -> Lane {
        self.lane
    }

    fn weight(&self) -> usize {
        self.weight
    }

    fn run(&mut self, file: &File) -> Result<(), Failure> {
        let work = self.work.take().expect("invariant: a job runs once");
        self.result = Some(file.savepoint(work)?);
        Ok(())
    }

    fn answer(self: Box<Self>, place: &str, lost: Option<&StoreError>) {
        let answer = match (self.result, lost) {
            (Some(Err(own)), _) => Err(own.at(place)),
            (_, Some(lost)) => Err(lost.clone()),
            (Some(Ok(answer)), None) => Ok(answer),
            (None, None) => unreachable!("invariant: a committed transaction ran all its jobs"),
        };
        // Whoever dropped the future does not want to know.
        drop(self.reply.send(answer));
    }
}

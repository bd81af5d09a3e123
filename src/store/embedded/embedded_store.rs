//! The store in a file: sends its operations to its threads and waits for the answers.

use super::{
    documents, entries,
    failure::Failure,
    file::{File, LOCK_ATTEMPTS},
    job::{Access, Job, Lane, Task},
    members, named, reminders, states, subscriptions,
    worker::{MAX_WEIGHT, Worker},
};
use crate::{
    ident::{ActorId, InvalidName, SiloId},
    store::{
        Bucket, BucketRead, BucketRow, Change, Document, ETag, Entry, EntryChange, EntryOutcome, MemberRow,
        MembershipTable, RegisterOutcome, Reminder, ReminderWrite, ReminderWritten, SaveOutcome, SaveRequest, Store,
        StoreError, StoreFuture, StoredState, SubscriptionId, SubscriptionSpec, SubscriptionWrite, SubscriptionWritten,
        TickOutcome, TickStep, Window, views::Views,
    },
};
use bytes::Bytes;
use crossbeam_channel::Sender;
use std::{
    fmt,
    path::Path,
    sync::Arc,
    thread::{self, JoinHandle},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};

/// How many operations of one open store may be under way; more wait for a place, in order.
const MAX_JOBS: usize = 1_024;

/// How many operations on the membership table may be under way beside those.
const MAX_MEMBER_JOBS: usize = 64;

/// How many bytes of state weigh as much as one item of a transaction.
const BYTES_PER_ITEM: usize = 1_024;

/// A store in a SQLite file; several processes of one machine may open it at a time.
///
/// Each open store has two threads of its own. What is answered is on the disk, but for heartbeats. Dropping the store waits until
/// the threads have finished what they accepted, a transaction or two.
pub struct EmbeddedStore {
    place: String,
    views: Views,
    /// Places in the queue: they bound it, and who waits for one does not block a thread.
    places: Arc<Semaphore>,
    member_places: Arc<Semaphore>,
    /// Without a bound of its own: crossbeam's bounded queue keeps what was sent when its receiver dies, and whoever
    /// waits for an answer would wait forever. This one drops it.
    jobs: Option<Sender<Box<dyn Job>>>,
    watches: Option<Sender<Box<dyn Job>>>,
    threads: Vec<JoinHandle<()>>,
    #[cfg(test)]
    pub(super) transactions: Arc<std::sync::atomic::AtomicU64>,
}

impl EmbeddedStore {
    /// Opens the file for `cluster`, or creates it (its folder must exist). Clusters with other names may share it and
    /// see nothing of each other. Reads and writes the disk.
    ///
    /// # Errors
    /// [`StoreError::CannotOpen`] with what to do: the folder is missing, the file cannot be written, is no database,
    /// belongs to another program, or has a schema of a newer one.
    pub fn open(path: &Path, cluster: &str) -> Result<Self, StoreError> {
        Self::open_and_try(path, cluster, LOCK_ATTEMPTS)
    }

    /// Opens the file; tries a locked one `attempts` times.
    pub(super) fn open_and_try(path: &Path, cluster: &str, attempts: i32) -> Result<Self, StoreError> {
        let cannot = |why: String| StoreError::CannotOpen {
            place: path.display().to_string(),
            why,
        };
        InvalidName::check("cluster name", cluster).map_err(|error| cannot(error.to_string()))?;
        let place = format!("embedded:{} (cluster {cluster})", path.display());
        #[cfg(test)]
        let transactions: Arc<std::sync::atomic::AtomicU64> = Arc::default();
        let start = |name: &str| {
            let (jobs, accepted) = crossbeam_channel::unbounded();
            let worker = Worker {
                file: File::open(path, cluster, attempts)?,
                jobs: accepted,
                place: place.clone(),
                #[cfg(test)]
                transactions: Arc::clone(&transactions),
            };
            let thread = thread::Builder::new().name(name.into()).spawn(move || worker.run());
            match thread {
                Ok(thread) => Ok((jobs, thread)),
                Err(error) => Err(cannot(format!("its thread cannot be started: {error}"))),
            }
        };
        let (jobs, writer) = start("quark-store")?;
        let (watches, watcher) = start("quark-members")?;
        Ok(Self {
            views: Views::default(),
            places: Arc::new(Semaphore::new(MAX_JOBS)),
            member_places: Arc::new(Semaphore::new(MAX_MEMBER_JOBS)),
            jobs: Some(jobs),
            watches: Some(watches),
            threads: vec![writer, watcher],
            #[cfg(test)]
            transactions,
            place,
        })
    }

    /// Has the writing thread do `work`, which counts as `weight` items.
    pub(super) fn submit<T, W>(&self, access: Access, weight: usize, work: W) -> StoreFuture<'_, T>
    where
        T: Send + 'static,
        W: FnOnce(&File) -> Result<T, Failure> + Send + 'static,
    {
        self.submit_to(Lane::Bulk, access, weight, work)
    }

    /// Has the thread that waits for no disk read what `read` does.
    fn watch<T, W>(&self, read: W) -> StoreFuture<'_, T>
    where
        T: Send + 'static,
        W: FnOnce(&File) -> Result<T, Failure> + Send + 'static,
    {
        // A transaction of its own: it sees all that was committed before it began.
        self.submit_to(Lane::Watch, Access::Reads, MAX_WEIGHT, read)
    }

    fn submit_to<T, W>(&self, lane: Lane, access: Access, weight: usize, work: W) -> StoreFuture<'_, T>
    where
        T: Send + 'static,
        W: FnOnce(&File) -> Result<T, Failure> + Send + 'static,
    {
        Box::pin(async move {
            let (places, jobs) = match lane {
                Lane::Bulk => (&self.places, &self.jobs),
                Lane::First => (&self.member_places, &self.jobs),
                Lane::Watch => (&self.member_places, &self.watches),
            };
            let place = self.place_in_queue(places).await?;
            let (reply, answer) = oneshot::channel();
            let job: Box<dyn Job> = Box::new(Task {
                access,
                lane,
                weight,
                work: Some(work),
                result: None,
                reply,
                _place: place,
            });
            let sent = jobs.as_ref().is_some_and(|jobs| jobs.send(job).is_ok());
            if !sent {
                return Err(self.ended());
            }
            answer.await.unwrap_or_else(|_| Err(self.panicked()))
        })
    }

    async fn place_in_queue(&self, places: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, StoreError> {
        // Waiting is charged to the budget of a tokio task even where it is not needed, and would send a caller of many
        // operations away after a hundred.
        if let Ok(place) = Arc::clone(places).try_acquire_owned() {
            return Ok(place);
        }
        let waiting = Arc::clone(places).acquire_owned();
        waiting.await.map_err(|_| self.ended())
    }

    fn panicked(&self) -> StoreError {
        StoreError::Unavailable {
            place: self.place.clone(),
            why: "its transaction panicked (the panic is in the log) and was taken back".into(),
        }
    }

    fn ended(&self) -> StoreError {
        StoreError::Unavailable {
            place: self.place.clone(),
            why: "its thread has ended (its panic is in the log): open the store again".into(),
        }
    }
}

impl Drop for EmbeddedStore {
    fn drop(&mut self) {
        drop((self.jobs.take(), self.watches.take()));
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!(store = self.place, "a thread of the embedded store had panicked");
            }
        }
    }
}

impl fmt::Debug for EmbeddedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EmbeddedStore({})", self.place)
    }
}

impl Store for EmbeddedStore {
    fn describe(&self) -> String {
        self.place.clone()
    }

    fn views(&self) -> watch::Receiver<u64> {
        self.views.subscribe()
    }

    fn members(&self) -> StoreFuture<'_, MembershipTable> {
        self.watch(members::table)
    }

    fn change_member(
        &self,
        expected_view: u64,
        change: Change,
    ) -> StoreFuture<'_, Result<MembershipTable, MembershipTable>> {
        let changing = self.submit_to(Lane::First, Access::Writes, 1, move |file| {
            members::change(file, expected_view, &change)
        });
        Box::pin(async move {
            let answer = changing.await;
            if let Ok(Ok(table)) = &answer {
                self.views.heard(table.view);
            }
            answer
        })
    }

    fn heartbeat(&self, silo: &SiloId, heartbeat: u64) -> StoreFuture<'_, Option<MemberRow>> {
        let silo = silo.clone();
        self.watch(move |file| members::heartbeat(file, &silo, heartbeat))
    }

    fn register(&self, owner: &SiloId, actors: Vec<ActorId>) -> StoreFuture<'_, Vec<RegisterOutcome>> {
        let owner = owner.clone();
        self.submit(Access::Writes, actors.len(), move |file| {
            entries::register(file, &owner, &actors)
        })
    }

    fn entries(&self, actors: Vec<ActorId>) -> StoreFuture<'_, Vec<Entry>> {
        self.submit(Access::Reads, actors.len(), move |file| entries::read(file, &actors))
    }

    fn change_entries(&self, changes: Vec<EntryChange>) -> StoreFuture<'_, Vec<EntryOutcome>> {
        self.submit(Access::Writes, changes.len(), move |file| {
            entries::change(file, &changes)
        })
    }

    fn owned_by(&self, owner: &SiloId) -> StoreFuture<'_, Vec<ActorId>> {
        let owner = owner.clone();
        self.submit(Access::Reads, 1, move |file| entries::owned_by(file, &owner))
    }

    fn load(&self, actors: Vec<ActorId>) -> StoreFuture<'_, Vec<Option<StoredState>>> {
        self.submit(Access::Reads, actors.len(), move |file| states::load(file, &actors))
    }

    fn load_owned(&self, actor: &ActorId) -> StoreFuture<'_, (Entry, Option<StoredState>)> {
        let actor = actor.clone();
        self.submit(Access::Reads, 1, move |file| states::load_owned(file, &actor))
    }

    fn save(&self, saves: Vec<SaveRequest>) -> StoreFuture<'_, Vec<SaveOutcome>> {
        let bytes: usize = (saves.iter().flat_map(|save| &save.body)).map(Bytes::len).sum();
        self.submit(Access::Writes, saves.len() + bytes / BYTES_PER_ITEM, move |file| {
            states::save(file, &saves)
        })
    }

    fn load_named(&self, actor: &ActorId, name: &str) -> StoreFuture<'_, Option<StoredState>> {
        let (actor, name) = (actor.clone(), name.to_owned());
        self.submit(Access::Reads, 1, move |file| named::load(file, &actor, &name))
    }

    fn posters(&self) -> StoreFuture<'_, Vec<ActorId>> {
        self.submit(Access::Reads, 1, states::posters)
    }

    fn document(&self, name: &str) -> StoreFuture<'_, Option<Document>> {
        let name = name.to_owned();
        self.submit(Access::Reads, 1, move |file| documents::read(file, &name))
    }

    fn put_document(
        &self,
        name: &str,
        expected: Option<ETag>,
        body: Bytes,
    ) -> StoreFuture<'_, Result<ETag, Option<Document>>> {
        let name = name.to_owned();
        self.submit(Access::Writes, 1 + body.len() / BYTES_PER_ITEM, move |file| {
            documents::put(file, &name, expected, &body)
        })
    }

    fn buckets(&self) -> StoreFuture<'_, Vec<BucketRow>> {
        self.watch(reminders::buckets)
    }

    fn change_bucket(&self, bucket: Bucket, expected: Entry, new: Entry) -> StoreFuture<'_, Result<(), Entry>> {
        self.submit(Access::Writes, 1, move |file| {
            reminders::change_bucket(file, bucket, &expected, &new)
        })
    }

    fn write_reminders(&self, writes: Vec<ReminderWrite>) -> StoreFuture<'_, Vec<ReminderWritten>> {
        let bytes = |write: &ReminderWrite| write.new.as_ref().map_or(0, |(_, spec)| spec.body.len());
        let bytes: usize = writes.iter().map(bytes).sum();
        self.submit(Access::Writes, writes.len() + bytes / BYTES_PER_ITEM, move |file| {
            reminders::write(file, &writes)
        })
    }

    fn reminders_of(&self, actor: &ActorId) -> StoreFuture<'_, Vec<Reminder>> {
        let actor = actor.clone();
        self.submit(Access::Reads, 1, move |file| reminders::of(file, &actor))
    }

    fn read_bucket(&self, bucket: Bucket, window: Window) -> StoreFuture<'_, BucketRead> {
        self.watch(move |file| reminders::read(file, bucket, window))
    }

    fn check_ticks(&self, owner: &SiloId, ticks: Vec<TickStep>) -> StoreFuture<'_, Vec<TickOutcome>> {
        let owner = owner.clone();
        self.watch(move |file| reminders::check(file, &owner, &ticks))
    }

    fn advance_ticks(&self, owner: &SiloId, ticks: Vec<TickStep>) -> StoreFuture<'_, Vec<TickOutcome>> {
        let owner = owner.clone();
        self.submit(Access::Writes, ticks.len(), move |file| {
            reminders::advance(file, &owner, &ticks)
        })
    }

    fn subscriptions(&self, stream: &ActorId) -> StoreFuture<'_, Vec<(SubscriptionId, SubscriptionSpec)>> {
        let stream = stream.clone();
        self.submit(Access::Reads, 1, move |file| subscriptions::of(file, &stream))
    }

    fn write_subscriptions(&self, writes: Vec<SubscriptionWrite>) -> StoreFuture<'_, Vec<SubscriptionWritten>> {
        self.submit(Access::Writes, writes.len(), move |file| {
            subscriptions::write(file, &writes)
        })
    }
}

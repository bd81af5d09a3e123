//! The store in Redis: has its thread do the operations, and waits for the answers.

use super::{
    address::Address,
    documents, entries,
    failure::Failure,
    members, push,
    reminders::{self, Step},
    server::Server,
    states, subscriptions, suitability,
};
use crate::{
    clock::Clock,
    ident::{ActorId, InvalidName, SiloId},
    store::{
        Bucket, BucketRead, BucketRow, Change, Document, ETag, Entry, EntryChange, EntryOutcome, MemberRow,
        MembershipTable, RegisterOutcome, Reminder, ReminderWrite, ReminderWritten, SaveOutcome, SaveRequest, Store,
        StoreError, StoreFuture, StoredState, SubscriptionId, SubscriptionSpec, SubscriptionWrite, SubscriptionWritten,
        TickOutcome, TickStep, Window, views::Views,
    },
};
use bytes::Bytes;
use std::{
    fmt, io,
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
    time::Duration,
};
use tokio::{
    runtime::{self, Handle},
    sync::{Semaphore, oneshot, watch},
};

/// How long an operation may wait for its turn.
const TURN_TIMEOUT: Duration = Duration::from_secs(5);

/// How long opening may take.
const OPEN_TIMEOUT: Duration = Duration::from_secs(5);

/// How many operations of one open store may be under way; more wait for their turn, in order.
const MAX_OPERATIONS: usize = 1_024;

/// A store in a Redis server.
///
/// Each open store has a thread of its own, on which its connections live: operations work in any executor. Dropping the
/// store ends them.
pub struct RedisStore {
    place: Arc<str>,
    clock: Clock,
    server: Arc<Server>,
    turns: Arc<Semaphore>,
    views: Arc<Views>,
    runtime: Handle,
    /// Ends the thread when it is dropped.
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What the thread has made before it serves.
struct Opened {
    server: Arc<Server>,
    runtime: Handle,
}

impl RedisStore {
    /// Opens the store at a `redis://` or `rediss://` URL for `cluster`. Clusters with other names may share the database
    /// and see nothing of each other. Connects, for a few seconds at the most.
    ///
    /// # Errors
    /// [`StoreError::BadUrl`], or [`StoreError::CannotOpen`] with what to do: the server cannot be reached, does not let
    /// the user in, is a replica, is a part of a Redis Cluster, evicts keys, or holds records of a newer layout.
    pub fn open(url: &str, cluster: &str) -> Result<Self, StoreError> {
        let address = Address::parse(url).map_err(|why| StoreError::BadUrl {
            url: crate::store::url::without_secrets(url),
            why,
        })?;
        let shown = address.shown.clone();
        let cannot = |why: String| StoreError::CannotOpen {
            place: shown.clone(),
            why,
        };
        InvalidName::check("cluster name", cluster).map_err(|error| cannot(error.to_string()))?;
        let place: Arc<str> = format!("{shown} (cluster {cluster})").into();
        let views = Arc::new(Views::default());
        let (end, ended) = oneshot::channel();
        let (tell, told) = mpsc::sync_channel(1);
        let thread = {
            let (place, views, cluster) = (place.clone(), views.clone(), cluster.to_owned());
            thread::Builder::new()
                .name("quark-redis".into())
                .spawn(move || serve(&address, &cluster, &place, views, &tell, ended))
                .map_err(|error| cannot(format!("its thread cannot be started: {error}")))?
        };
        let opened = told
            .recv()
            .unwrap_or_else(|_| Err(Failure::Refused("its thread ended: its panic is in the log".into())))
            .map_err(|failure| match failure {
                Failure::Refused(why) | Failure::Unknown(why) => cannot(why),
                Failure::Corrupt { what, why } => cannot(format!("{what}: {why}")),
            })?;
        Ok(Self {
            place,
            clock: Clock::system(),
            server: opened.server,
            turns: Arc::new(Semaphore::new(MAX_OPERATIONS)),
            views,
            runtime: opened.runtime,
            end: Some(end),
            thread: Some(thread),
        })
    }

    /// Has the thread do `work` in its turn.
    fn submit<T, F>(&self, work: impl FnOnce(Arc<Server>) -> F + Send + 'static) -> StoreFuture<'_, T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Failure>> + Send + 'static,
    {
        Box::pin(async move {
            let waiting = self.turns.clone().acquire_owned();
            let Some(Ok(turn)) = self.clock.timeout(TURN_TIMEOUT, waiting).await else {
                let why = format!("{MAX_OPERATIONS} operations have been under way for {TURN_TIMEOUT:?}");
                return Err(Failure::Refused(why).at(&self.place));
            };
            let server = self.server.clone();
            // A task: if the caller goes away, what was begun is ended all the same.
            let task = self.runtime.spawn(async move {
                let answer = work(server).await;
                drop(turn);
                answer
            });
            let answer = task.await.unwrap_or_else(|error| {
                Err(Failure::Unknown(if error.is_panic() {
                    "the operation panicked: see the log".into()
                } else {
                    "the store was closed".into()
                }))
            });
            answer.map_err(|failure| failure.at(&self.place))
        })
    }
}

/// The store's thread: connects, tells how that went, and carries out operations until it is told to end.
fn serve(
    address: &Address,
    cluster: &str,
    place: &str,
    views: Arc<Views>,
    tell: &mpsc::SyncSender<Result<Opened, Failure>>,
    ended: oneshot::Receiver<()>,
) {
    let cannot = |error: io::Error| Failure::Refused(format!("its thread cannot do I/O: {error}"));
    let runtime = match runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return drop(tell.send(Err(cannot(error)))),
    };
    runtime.block_on(async {
        let clock = Clock::system();
        let opening = async {
            let server = Server::connect(address, cluster).await?;
            suitability::check(&server, place).await?;
            Ok(Arc::new(server))
        };
        let late = || Err(Failure::Unknown(format!("it did not answer within {OPEN_TIMEOUT:?}")));
        let server = match clock.timeout(OPEN_TIMEOUT, opening).await.unwrap_or_else(late) {
            Ok(server) => server,
            Err(failure) => return drop(tell.send(Err(failure))),
        };
        let runtime = Handle::current();
        runtime.spawn(push::listen(server.clone(), clock, views));
        if tell.send(Ok(Opened { server, runtime })).is_ok() {
            // Dropped or sent, it is the end.
            drop(ended.await);
        }
    });
    // A look-up of the host's name may take longer than anybody wants to wait.
    runtime.shutdown_background();
}

impl Drop for RedisStore {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!(store = &*self.place, "the thread of the Redis store had panicked");
        }
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisStore({})", self.place)
    }
}

impl Store for RedisStore {
    fn describe(&self) -> String {
        self.place.to_string()
    }

    fn views(&self) -> watch::Receiver<u64> {
        self.views.subscribe()
    }

    fn members(&self) -> StoreFuture<'_, MembershipTable> {
        self.submit(|server| async move { members::table(&server).await })
    }

    fn change_member(
        &self,
        expected_view: u64,
        change: Change,
    ) -> StoreFuture<'_, Result<MembershipTable, MembershipTable>> {
        self.submit(move |server| async move { members::change(&server, expected_view, change).await })
    }

    fn heartbeat(&self, silo: &SiloId, heartbeat: u64) -> StoreFuture<'_, Option<MemberRow>> {
        let silo = silo.clone();
        self.submit(move |server| async move { members::heartbeat(&server, silo, heartbeat).await })
    }

    fn register(&self, owner: &SiloId, actors: Vec<ActorId>) -> StoreFuture<'_, Vec<RegisterOutcome>> {
        let owner = owner.clone();
        self.submit(move |server| async move { entries::register(&server, &owner, actors).await })
    }

    fn entries(&self, actors: Vec<ActorId>) -> StoreFuture<'_, Vec<Entry>> {
        self.submit(move |server| async move { entries::read(&server, &actors).await })
    }

    fn change_entries(&self, changes: Vec<EntryChange>) -> StoreFuture<'_, Vec<EntryOutcome>> {
        self.submit(move |server| async move { entries::change(&server, changes).await })
    }

    fn owned_by(&self, owner: &SiloId) -> StoreFuture<'_, Vec<ActorId>> {
        let owner = owner.clone();
        self.submit(move |server| async move { entries::owned_by(&server, &owner).await })
    }

    fn load(&self, actors: Vec<ActorId>) -> StoreFuture<'_, Vec<Option<StoredState>>> {
        self.submit(move |server| async move { states::load(&server, &actors).await })
    }

    fn save(&self, mut saves: Vec<SaveRequest>) -> StoreFuture<'_, Vec<SaveOutcome>> {
        if states::is_small(&saves)
            && let Some(save) = saves.pop()
        {
            let saved = states::save_one(&self.server, save);
            return Box::pin(async move {
                let outcome = saved.await.map_err(|failure| failure.at(&self.place))?;
                Ok(vec![outcome])
            });
        }
        self.submit(move |server| async move { states::save(&server, saves).await })
    }

    fn load_owned(&self, actor: &ActorId) -> StoreFuture<'_, (Entry, Option<StoredState>)> {
        let actor = actor.clone();
        self.submit(move |server| async move { states::load_owned(&server, &actor).await })
    }

    fn load_named(&self, actor: &ActorId, name: &str) -> StoreFuture<'_, Option<StoredState>> {
        let (actor, name) = (actor.clone(), name.to_owned());
        self.submit(move |server| async move { states::load_named(&server, &actor, &name).await })
    }

    fn posters(&self) -> StoreFuture<'_, Vec<ActorId>> {
        self.submit(|server| async move { states::posters(&server).await })
    }

    fn document(&self, name: &str) -> StoreFuture<'_, Option<Document>> {
        let name = name.to_owned();
        self.submit(move |server| async move { documents::read(&server, &name).await })
    }

    fn put_document(
        &self,
        name: &str,
        expected: Option<ETag>,
        body: Bytes,
    ) -> StoreFuture<'_, Result<ETag, Option<Document>>> {
        let name = name.to_owned();
        self.submit(move |server| async move { documents::put(&server, &name, expected, body).await })
    }

    fn buckets(&self) -> StoreFuture<'_, Vec<BucketRow>> {
        self.submit(|server| async move { reminders::buckets(&server).await })
    }

    fn change_bucket(&self, bucket: Bucket, expected: Entry, new: Entry) -> StoreFuture<'_, Result<(), Entry>> {
        self.submit(move |server| async move { reminders::change_bucket(&server, bucket, &expected, &new).await })
    }

    fn write_reminders(&self, writes: Vec<ReminderWrite>) -> StoreFuture<'_, Vec<ReminderWritten>> {
        self.submit(move |server| async move { reminders::write(&server, writes).await })
    }

    fn reminders_of(&self, actor: &ActorId) -> StoreFuture<'_, Vec<Reminder>> {
        let actor = actor.clone();
        self.submit(move |server| async move { reminders::of(&server, &actor).await })
    }

    fn read_bucket(&self, bucket: Bucket, window: Window) -> StoreFuture<'_, BucketRead> {
        self.submit(move |server| async move { reminders::read(&server, bucket, window).await })
    }

    fn check_ticks(&self, owner: &SiloId, ticks: Vec<TickStep>) -> StoreFuture<'_, Vec<TickOutcome>> {
        let owner = owner.clone();
        self.submit(move |server| async move { reminders::step(&server, &owner, ticks, Step::Check).await })
    }

    fn advance_ticks(&self, owner: &SiloId, ticks: Vec<TickStep>) -> StoreFuture<'_, Vec<TickOutcome>> {
        let owner = owner.clone();
        self.submit(move |server| async move { reminders::step(&server, &owner, ticks, Step::Advance).await })
    }

    fn subscriptions(&self, stream: &ActorId) -> StoreFuture<'_, Vec<(SubscriptionId, SubscriptionSpec)>> {
        let stream = stream.clone();
        self.submit(|server| async move { subscriptions::of(&server, &stream).await })
    }

    fn write_subscriptions(&self, writes: Vec<SubscriptionWrite>) -> StoreFuture<'_, Vec<SubscriptionWritten>> {
        self.submit(|server| async move { subscriptions::write(&server, writes).await })
    }
}

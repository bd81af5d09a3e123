//! What the embedded store adds to the laws of every store: a file, its other users, and one thread.

mod batches;
mod files;
mod plans;
mod processes;

use super::{EmbeddedStore, job::Access};
use crate::{
    ident::{ActorId, SiloId},
    store::{
        Bucket, BucketRead, BucketRow, Change, Document, ETag, Entry, EntryChange, EntryOutcome, MemberRow,
        MembershipTable, RegisterOutcome, Reminder, ReminderWrite, ReminderWritten, SaveOutcome, SaveRequest, Store,
        StoreFuture, StoredState, SubscriptionId, SubscriptionSpec, SubscriptionWrite, SubscriptionWritten,
        TickOutcome, TickStep, Window, views::Views,
    },
};
use bytes::Bytes;
use crossbeam_channel::Sender;
use futures_util::FutureExt;
use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use tempfile::TempDir;
use tokio::sync::watch;

mod one_handle {
    crate::store_conformance!(super::Handles::open(1));
}

mod two_handles_taking_turns {
    crate::store_conformance!(super::Handles::open(2));
}

/// A file in a folder of its own, which goes with it.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("cluster.db")
    }

    fn open(&self) -> EmbeddedStore {
        EmbeddedStore::open(&self.path(), "test").unwrap()
    }

    /// The file, past the store.
    fn sql(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.path()).unwrap()
    }
}

fn actor(key: &str) -> ActorId {
    ActorId::new("cart", key).unwrap()
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}

/// Holds the store's thread within a transaction: all that is sent before the release goes into the next one.
struct Gate<'s> {
    held: StoreFuture<'s, ()>,
    release: Sender<()>,
}

impl<'s> Gate<'s> {
    fn close(store: &'s EmbeddedStore) -> Self {
        let (inside, entered) = crossbeam_channel::bounded(1);
        let (release, released) = crossbeam_channel::bounded(1);
        let mut held = store.submit(Access::Reads, 1, move |_| {
            inside.send(()).unwrap();
            released.recv().unwrap();
            Ok(())
        });
        assert!(send(&mut held), "a free thread takes the job");
        entered.recv().unwrap();
        Self { held, release }
    }

    async fn open(self) {
        self.release.send(()).unwrap();
        self.held.await.unwrap();
    }
}

/// Sends an operation off without waiting for it. False if it is over already.
fn send<T>(operation: &mut StoreFuture<'_, T>) -> bool {
    operation.now_or_never().is_none()
}

/// Several handles on one file, which take turns; the file goes with them.
struct Handles {
    handles: Vec<EmbeddedStore>,
    turn: AtomicUsize,
    /// What the handles together have told of: each tells of its own changes alone.
    views: Views,
    _place: Place,
}

impl Handles {
    fn open(count: usize) -> Arc<Self> {
        let place = Place::new();
        Arc::new(Self {
            handles: (0..count).map(|_| place.open()).collect(),
            turn: AtomicUsize::new(0),
            views: Views::default(),
            _place: place,
        })
    }

    fn next(&self) -> &EmbeddedStore {
        &self.handles[self.turn.fetch_add(1, Ordering::Relaxed) % self.handles.len()]
    }
}

impl Store for Handles {
    fn describe(&self) -> String {
        self.next().describe()
    }

    fn views(&self) -> watch::Receiver<u64> {
        match &self.handles[..] {
            [only] => only.views(),
            _ => self.views.subscribe(),
        }
    }

    fn members(&self) -> StoreFuture<'_, MembershipTable> {
        self.next().members()
    }

    fn change_member(&self, view: u64, change: Change) -> StoreFuture<'_, Result<MembershipTable, MembershipTable>> {
        let handle = self.next();
        Box::pin(async move {
            let mut own = handle.views();
            let answer = handle.change_member(view, change).await;
            if own.has_changed().unwrap() {
                self.views.heard(*own.borrow_and_update());
            }
            answer
        })
    }

    fn heartbeat(&self, silo: &SiloId, heartbeat: u64) -> StoreFuture<'_, Option<MemberRow>> {
        self.next().heartbeat(silo, heartbeat)
    }

    fn register(&self, owner: &SiloId, actors: Vec<ActorId>) -> StoreFuture<'_, Vec<RegisterOutcome>> {
        self.next().register(owner, actors)
    }

    fn entries(&self, actors: Vec<ActorId>) -> StoreFuture<'_, Vec<Entry>> {
        self.next().entries(actors)
    }

    fn change_entries(&self, changes: Vec<EntryChange>) -> StoreFuture<'_, Vec<EntryOutcome>> {
        self.next().change_entries(changes)
    }

    fn owned_by(&self, owner: &SiloId) -> StoreFuture<'_, Vec<ActorId>> {
        self.next().owned_by(owner)
    }

    fn load(&self, actors: Vec<ActorId>) -> StoreFuture<'_, Vec<Option<StoredState>>> {
        self.next().load(actors)
    }

    fn load_owned(&self, actor: &ActorId) -> StoreFuture<'_, (Entry, Option<StoredState>)> {
        self.next().load_owned(actor)
    }

    fn save(&self, saves: Vec<SaveRequest>) -> StoreFuture<'_, Vec<SaveOutcome>> {
        self.next().save(saves)
    }

    fn load_named(&self, actor: &ActorId, name: &str) -> StoreFuture<'_, Option<StoredState>> {
        self.next().load_named(actor, name)
    }

    fn posters(&self) -> StoreFuture<'_, Vec<ActorId>> {
        self.next().posters()
    }

    fn document(&self, name: &str) -> StoreFuture<'_, Option<Document>> {
        self.next().document(name)
    }

    fn put_document(
        &self,
        name: &str,
        expected: Option<ETag>,
        body: Bytes,
    ) -> StoreFuture<'_, Result<ETag, Option<Document>>> {
        self.next().put_document(name, expected, body)
    }

    fn buckets(&self) -> StoreFuture<'_, Vec<BucketRow>> {
        self.next().buckets()
    }

    fn change_bucket(&self, bucket: Bucket, expected: Entry, new: Entry) -> StoreFuture<'_, Result<(), Entry>> {
        self.next().change_bucket(bucket, expected, new)
    }

    fn write_reminders(&self, writes: Vec<ReminderWrite>) -> StoreFuture<'_, Vec<ReminderWritten>> {
        self.next().write_reminders(writes)
    }

    fn reminders_of(&self, actor: &ActorId) -> StoreFuture<'_, Vec<Reminder>> {
        self.next().reminders_of(actor)
    }

    fn read_bucket(&self, bucket: Bucket, window: Window) -> StoreFuture<'_, BucketRead> {
        self.next().read_bucket(bucket, window)
    }

    fn check_ticks(&self, owner: &SiloId, ticks: Vec<TickStep>) -> StoreFuture<'_, Vec<TickOutcome>> {
        self.next().check_ticks(owner, ticks)
    }

    fn advance_ticks(&self, owner: &SiloId, ticks: Vec<TickStep>) -> StoreFuture<'_, Vec<TickOutcome>> {
        self.next().advance_ticks(owner, ticks)
    }

    fn subscriptions(&self, stream: &ActorId) -> StoreFuture<'_, Vec<(SubscriptionId, SubscriptionSpec)>> {
        self.next().subscriptions(stream)
    }

    fn write_subscriptions(&self, writes: Vec<SubscriptionWrite>) -> StoreFuture<'_, Vec<SubscriptionWritten>> {
        self.next().write_subscriptions(writes)
    }
}

//! The store in memory: its tables behind one lock, and the process's named stores.

use super::tables::Tables;
use crate::{
    ident::{ActorId, SiloId},
    store::{
        Bucket, BucketRead, BucketRow, Change, Document, ETag, Entry, EntryChange, EntryOutcome, MemberRow,
        MembershipTable, RegisterOutcome, Reminder, ReminderWrite, ReminderWritten, SaveOutcome, SaveRequest, Store,
        StoreError, StoreFuture, StoredState, SubscriptionId, SubscriptionSpec, SubscriptionWrite, SubscriptionWritten,
        TickOutcome, TickStep, Window, views::Views,
    },
};
use bytes::Bytes;
use parking_lot::Mutex;
use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Weak},
};
use tokio::sync::watch;

/// A store in memory. A clone is the same store.
#[derive(Clone)]
pub struct MemoryStore(Arc<Shared>);

/// What a store held at one time.
#[cfg(feature = "testkit")]
pub(crate) struct Snapshot(Tables);

struct Shared {
    name: String,
    tables: Mutex<Tables>,
    views: Views,
}

/// The named stores that somebody still holds.
static NAMED: Mutex<BTreeMap<(String, String), Weak<Shared>>> = Mutex::new(BTreeMap::new());

impl MemoryStore {
    /// An empty store of its own.
    pub fn new() -> Self {
        Self::fresh("memory:".into())
    }

    /// The store that this process shares under `name` for `cluster`; it begins empty and ends with its last holder.
    pub fn named(name: &str, cluster: &str) -> Self {
        let mut named = NAMED.lock();
        named.retain(|_, store| store.strong_count() > 0);
        let place = (name.to_owned(), cluster.to_owned());
        if let Some(shared) = named.get(&place).and_then(Weak::upgrade) {
            return Self(shared);
        }
        let store = Self::fresh(format!("memory:{name} (cluster {cluster})"));
        named.insert(place, Arc::downgrade(&store.0));
        store
    }

    fn fresh(name: String) -> Self {
        Self(Arc::new(Shared {
            name,
            tables: Mutex::default(),
            views: Views::default(),
        }))
    }

    /// What it holds now, for a simulation whose store loses what came later.
    #[cfg(feature = "testkit")]
    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot(self.0.tables.lock().clone())
    }

    /// It holds what it held then.
    #[cfg(feature = "testkit")]
    pub(crate) fn restore(&self, snapshot: Snapshot) {
        *self.0.tables.lock() = snapshot.0;
    }

    /// Sets an entry without a look at what it is, as no store may.
    #[cfg(feature = "testkit")]
    pub(crate) fn force_entry(&self, actor: &ActorId, change: impl FnOnce(&mut Entry)) {
        self.0.tables.lock().force_entry(actor, change);
    }

    /// An operation: runs under the lock when the future is first polled.
    fn run<'a, T: 'a>(
        &'a self,
        operation: impl FnOnce(&mut Tables) -> Result<T, StoreError> + Send + 'a,
    ) -> StoreFuture<'a, T> {
        Box::pin(async move { operation(&mut self.0.tables.lock()) })
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryStore({})", self.0.name)
    }
}

impl Store for MemoryStore {
    fn describe(&self) -> String {
        self.0.name.clone()
    }

    fn views(&self) -> watch::Receiver<u64> {
        self.0.views.subscribe()
    }

    fn members(&self) -> StoreFuture<'_, MembershipTable> {
        self.run(|tables| Ok(tables.members()))
    }

    fn change_member(
        &self,
        expected_view: u64,
        change: Change,
    ) -> StoreFuture<'_, Result<MembershipTable, MembershipTable>> {
        self.run(move |tables| {
            let outcome = tables.change_member(expected_view, change);
            // Under the lock, so that views are told in order.
            if let Ok(table) = &outcome {
                self.0.views.heard(table.view);
            }
            Ok(outcome)
        })
    }

    fn heartbeat(&self, silo: &SiloId, heartbeat: u64) -> StoreFuture<'_, Option<MemberRow>> {
        let silo = silo.clone();
        self.run(move |tables| Ok(tables.heartbeat(&silo, heartbeat)))
    }

    fn register(&self, owner: &SiloId, actors: Vec<ActorId>) -> StoreFuture<'_, Vec<RegisterOutcome>> {
        let owner = owner.clone();
        self.run(move |tables| Ok(actors.iter().map(|actor| tables.register(&owner, actor)).collect()))
    }

    fn register_at_once(&self, owner: &SiloId, actor: &ActorId) -> Option<RegisterOutcome> {
        Some(self.0.tables.lock().register(owner, actor))
    }

    fn entries(&self, actors: Vec<ActorId>) -> StoreFuture<'_, Vec<Entry>> {
        self.run(move |tables| Ok(actors.iter().map(|actor| tables.entry(actor)).collect()))
    }

    fn change_entries(&self, changes: Vec<EntryChange>) -> StoreFuture<'_, Vec<EntryOutcome>> {
        self.run(move |tables| Ok(changes.into_iter().map(|change| tables.change_entry(change)).collect()))
    }

    fn owned_by(&self, owner: &SiloId) -> StoreFuture<'_, Vec<ActorId>> {
        let owner = owner.clone();
        self.run(move |tables| Ok(tables.owned_by(&owner)))
    }

    fn load(&self, actors: Vec<ActorId>) -> StoreFuture<'_, Vec<Option<StoredState>>> {
        self.run(move |tables| Ok(actors.iter().map(|actor| tables.state(actor)).collect()))
    }

    fn load_owned(&self, actor: &ActorId) -> StoreFuture<'_, (Entry, Option<StoredState>)> {
        let actor = actor.clone();
        self.run(move |tables| Ok((tables.entry(&actor), tables.state(&actor))))
    }

    fn save(&self, saves: Vec<SaveRequest>) -> StoreFuture<'_, Vec<SaveOutcome>> {
        self.run(move |tables| Ok(saves.into_iter().map(|save| tables.save(save)).collect()))
    }

    fn load_named(&self, actor: &ActorId, name: &str) -> StoreFuture<'_, Option<StoredState>> {
        let (actor, name) = (actor.clone(), name.to_owned());
        self.run(move |tables| Ok(tables.named(&actor, &name)))
    }

    fn posters(&self) -> StoreFuture<'_, Vec<ActorId>> {
        self.run(|tables| Ok(tables.posters()))
    }

    fn document(&self, name: &str) -> StoreFuture<'_, Option<Document>> {
        let name = name.to_owned();
        self.run(move |tables| Ok(tables.document(&name)))
    }

    fn put_document(
        &self,
        name: &str,
        expected: Option<ETag>,
        body: Bytes,
    ) -> StoreFuture<'_, Result<ETag, Option<Document>>> {
        let name = name.to_owned();
        self.run(move |tables| Ok(tables.put_document(name, expected, body)))
    }

    fn buckets(&self) -> StoreFuture<'_, Vec<BucketRow>> {
        self.run(|tables| Ok(tables.reminders.buckets()))
    }

    fn change_bucket(&self, bucket: Bucket, expected: Entry, new: Entry) -> StoreFuture<'_, Result<(), Entry>> {
        self.run(move |tables| Ok(tables.reminders.change_bucket(bucket, &expected, new)))
    }

    fn write_reminders(&self, writes: Vec<ReminderWrite>) -> StoreFuture<'_, Vec<ReminderWritten>> {
        self.run(move |tables| Ok(writes.into_iter().map(|write| tables.write_reminder(write)).collect()))
    }

    fn reminders_of(&self, actor: &ActorId) -> StoreFuture<'_, Vec<Reminder>> {
        let actor = actor.clone();
        self.run(move |tables| Ok(tables.reminders.of(&actor)))
    }

    fn read_bucket(&self, bucket: Bucket, window: Window) -> StoreFuture<'_, BucketRead> {
        self.run(move |tables| Ok(tables.reminders.read(bucket, window)))
    }

    fn check_ticks(&self, owner: &SiloId, ticks: Vec<TickStep>) -> StoreFuture<'_, Vec<TickOutcome>> {
        let owner = owner.clone();
        self.run(move |tables| Ok(ticks.iter().map(|tick| tables.reminders.check(&owner, tick)).collect()))
    }

    fn advance_ticks(&self, owner: &SiloId, ticks: Vec<TickStep>) -> StoreFuture<'_, Vec<TickOutcome>> {
        let owner = owner.clone();
        self.run(move |tables| {
            Ok(ticks
                .iter()
                .map(|tick| tables.reminders.advance(&owner, tick))
                .collect())
        })
    }

    fn subscriptions(&self, stream: &ActorId) -> StoreFuture<'_, Vec<(SubscriptionId, SubscriptionSpec)>> {
        let stream = stream.clone();
        self.run(move |tables| Ok(tables.subscriptions.of(&stream)))
    }

    fn write_subscriptions(&self, writes: Vec<SubscriptionWrite>) -> StoreFuture<'_, Vec<SubscriptionWritten>> {
        self.run(move |tables| {
            Ok(writes
                .into_iter()
                .map(|write| tables.write_subscription(write))
                .collect())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    crate::store_conformance!(Arc::new(MemoryStore::new()));

    #[test]
    fn a_clone_is_the_same_store() {
        let store = MemoryStore::new();
        assert!(Arc::ptr_eq(&store.0, &store.clone().0));
    }

    #[test]
    fn a_named_store_is_shared_by_name_and_cluster() {
        let one = MemoryStore::named("shared-by-name", "blue");
        assert!(Arc::ptr_eq(&one.0, &MemoryStore::named("shared-by-name", "blue").0));
        assert!(!Arc::ptr_eq(&one.0, &MemoryStore::named("shared-by-name", "green").0));
        assert!(!Arc::ptr_eq(&one.0, &MemoryStore::named("another-name", "blue").0));
    }

    #[test]
    fn a_named_store_ends_with_its_last_holder() {
        let first = MemoryStore::named("ends-with-last-holder", "blue");
        let gone = Arc::downgrade(&first.0);
        drop(first);
        assert!(gone.upgrade().is_none());
        let _next = MemoryStore::named("ends-with-last-holder", "blue");
        assert!(NAMED.lock().values().all(|store| !store.ptr_eq(&gone)));
    }
}

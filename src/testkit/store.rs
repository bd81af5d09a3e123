//! The store of the simulation: the memory store as a process of its own, reached over the simulated network, that may be slow, away,
//! without an answer, or forget what it did last.

use super::{
    host::Host,
    ledger::{Changing, Ledger, OwnerChange, Saved},
    network::Network,
    trace::Trace,
};
use crate::{
    chance::Dice,
    faults,
    ident::{ActorId, SiloId},
    store::{
        Bucket, BucketRead, BucketRow, Change, Document, ETag, Entry, EntryChange, EntryOutcome, MemberRow,
        MembershipTable, MemoryStore, RegisterOutcome, Reminder, ReminderWrite, ReminderWritten, SaveOutcome,
        SaveRequest, Snapshot, Store, StoreError, StoreFuture, StoredState, SubscriptionId, SubscriptionSpec,
        SubscriptionWrite, SubscriptionWritten, TickOutcome, TickStep, Window,
    },
};
use bytes::Bytes;
use parking_lot::Mutex;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::sync::{oneshot, watch};

/// How a store does.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreOptions {
    /// How long an operation takes at the store, at the least.
    pub latency: Duration,
    /// By how much longer it may take.
    pub jitter: Duration,
    /// Of 1000 operations so many are lost before they are done.
    pub lost_permille: u64,
    /// Of 1000 operations so many are done, and their answer is lost.
    pub unanswered_permille: u64,
    /// Of 1000 operations so many are held up on their way and done late, as those that a network kept and sends again.
    pub late_permille: u64,
    /// Of 1000 answers so many are held up on their way back.
    pub late_answers_permille: u64,
    /// For how long at most something is held up.
    pub late_by: Duration,
    /// When a process gives an operation up, as backends do; it may still be done.
    pub patience: Duration,
    /// It takes nothing.
    pub is_away: bool,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            latency: Duration::from_micros(100),
            jitter: Duration::from_micros(400),
            lost_permille: 0,
            unanswered_permille: 0,
            late_permille: 0,
            late_answers_permille: 0,
            late_by: Duration::ZERO,
            patience: Duration::from_secs(2),
            is_away: false,
        }
    }
}

/// The store itself.
pub(super) struct Shared {
    host: Arc<Host>,
    network: Network,
    dice: Dice,
    trace: Arc<Trace>,
    tables: MemoryStore,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    options: StoreOptions,
    /// Who is told of new views.
    watchers: Vec<(Arc<Host>, watch::Sender<u64>)>,
    /// What it falls back to, and since when.
    snapshot: Option<(Snapshot, Duration)>,
    ledger: Ledger,
    /// What is held up until when, in nanoseconds: of whom, and whether requests or answers.
    held: BTreeMap<(Arc<str>, Way), u64>,
}

/// The two ways between a process and the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Way {
    There,
    Back,
}

/// What was held up comes within this time, in nanoseconds.
const RUSH: u64 = 20_000_000;

impl Shared {
    pub(super) fn new(host: &Arc<Host>, network: &Network, dice: Dice, trace: &Arc<Trace>) -> Arc<Self> {
        Arc::new(Self {
            host: host.clone(),
            network: network.clone(),
            dice,
            trace: trace.clone(),
            tables: MemoryStore::new(),
            state: Mutex::default(),
        })
    }

    pub(super) fn set(&self, options: StoreOptions) {
        self.state.lock().options = options;
    }

    /// Of what is done from now on the store will know nothing after the next [`Shared::fail_over`].
    pub(super) fn fall_behind(&self) {
        let now = self.now();
        let mut state = self.state.lock();
        // Behind is behind: what it lags by only grows until it takes the place.
        if state.snapshot.is_none() {
            state.snapshot = Some((self.tables.snapshot(), now));
        }
    }

    /// Another machine takes the store's place, which has fallen behind.
    pub(super) fn fail_over(&self) {
        let now = self.now();
        let mut state = self.state.lock();
        if let Some((snapshot, since)) = state.snapshot.take() {
            self.tables.restore(snapshot);
            state.ledger.lost.push((since, now));
        }
    }

    /// A failover loses nothing any more.
    pub(super) fn catch_up(&self) {
        self.state.lock().snapshot = None;
    }

    /// What a process asks, or is answered, is held up for so long from now on, and then comes all at once.
    pub(super) fn hold(&self, process: &Arc<str>, way: Way, time: Duration) {
        let until = self.network.now() + u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.state.lock().held.insert((process.clone(), way), until);
    }

    /// Nothing is held up any more but what is already.
    pub(super) fn let_go(&self) {
        self.state.lock().held.clear();
    }

    /// Waits as long as what goes this way is held up.
    async fn pass(&self, process: &Arc<str>, way: Way) {
        let until = {
            let state = self.state.lock();
            let held = (!state.held.is_empty()).then(|| state.held.get(&(process.clone(), way)).copied());
            held.flatten().filter(|until| *until > self.network.now())
        };
        if let Some(until) = until {
            self.network.sleep_until(until + self.dice.below(RUSH)).await;
        }
    }

    /// What it did.
    pub(super) fn ledger<T>(&self, look: impl FnOnce(&mut Ledger) -> T) -> T {
        look(&mut self.state.lock().ledger)
    }

    /// Tells of an entry that was changed in the trace.
    pub(super) fn trace_owner(&self, change: &OwnerChange) {
        let Entry { owner, epoch } = &change.after;
        let what = match owner {
            Some(owner) => format!("is {owner}'s from epoch {epoch} on"),
            None => format!("is free from epoch {epoch} on"),
        };
        self.trace.add(&self.host.name, Some(&change.actor), &what, &change.by);
    }

    /// The time, since the simulation's begin.
    pub(super) fn now(&self) -> Duration {
        Duration::from_nanos(self.network.now())
    }

    /// Draws only where something can happen: what does not happen changes nothing in other seeds.
    fn happens(&self, permille: u64) -> bool {
        permille > 0 && self.dice.happens(permille)
    }

    /// What the store holds, looked at from outside the simulation.
    pub(super) fn tables(&self) -> &MemoryStore {
        &self.tables
    }

    /// The store as a process reaches it.
    pub(super) fn of(self: &Arc<Self>, host: &Arc<Host>) -> Arc<dyn Store> {
        let views = watch::Sender::new(0);
        let mut state = self.state.lock();
        state.watchers.retain(|(host, _)| !host.is_severed());
        state.watchers.push((host.clone(), views.clone()));
        Arc::new(Reached {
            store: self.clone(),
            host: host.clone(),
            of: format!("of {}", host.name).into(),
            views,
        })
    }

    /// Tells everybody of a view.
    fn tell(self: &Arc<Self>, view: u64) {
        for (host, views) in self.state.lock().watchers.clone() {
            if host.is_severed() || self.network.is_parted(&self.host, &host) {
                continue;
            }
            let (network, latency) = (self.network.clone(), self.network.latency());
            self.host.spawn(async move {
                network.sleep_until(network.now() + latency).await;
                views.send_if_modified(|known| {
                    let is_new = *known < view;
                    *known = (*known).max(view);
                    is_new
                });
            });
        }
    }
}

/// What becomes of an operation.
enum Fate {
    Done,
    Lost,
    Unanswered,
}

/// The store as a process reaches it.
struct Reached {
    store: Arc<Shared>,
    host: Arc<Host>,
    /// Whose operations these are, for the trace.
    of: Arc<str>,
    views: watch::Sender<u64>,
}

impl Reached {
    /// Has an operation done at the store. Once it is on its way it may be done whatever becomes of who asked.
    fn ask<T: Send + 'static>(
        &self,
        name: &'static str,
        operation: impl FnOnce(MemoryStore) -> StoreFuture<'static, T> + Send + 'static,
    ) -> StoreFuture<'static, T> {
        let (store, host, of) = (self.store.clone(), self.host.clone(), self.of.clone());
        Box::pin(async move {
            if host.is_severed() {
                return std::future::pending().await;
            }
            let begun = host.clock.now();
            let (tell, told) = oneshot::channel();
            let (at, asker) = (store.clone(), host.clone());
            store.host.spawn(async move {
                // Silence, if it is dropped.
                if let Some(answer) = carry_out(&at, &asker, name, &of, operation).await {
                    let _gone = tell.send(answer);
                }
            });
            let place = || "sim:store".to_owned();
            let patience = store.state.lock().options.patience;
            match host.clock.timeout_at(begun + patience, told).await {
                Some(Ok(answer)) => answer,
                lost => {
                    if lost.is_some() {
                        host.clock.sleep_until(begun + patience).await;
                    }
                    let why = format!("no answer for {patience:?}");
                    Err(StoreError::Unavailable { place: place(), why })
                }
            }
        })
    }
}

impl Reached {
    fn changing(&self) -> Changing {
        let patience = self.store.state.lock().options.patience;
        Changing {
            store: self.store.clone(),
            by: self.host.name.clone(),
            given_up: self.store.now() + patience,
        }
    }
}

async fn carry_out<T>(
    store: &Arc<Shared>,
    asker: &Arc<Host>,
    name: &'static str,
    of: &str,
    operation: impl FnOnce(MemoryStore) -> StoreFuture<'static, T>,
) -> Option<Result<T, StoreError>> {
    let wait = |nanos| store.network.sleep_until(store.network.now() + nanos);
    if store.network.is_parted(asker, &store.host) {
        return None;
    }
    let options = store.state.lock().options.clone();
    let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let at_store = nanos(options.latency) + store.dice.below(nanos(options.jitter) + 1);
    wait(store.network.latency() + at_store).await;
    store.pass(&asker.name, Way::There).await;
    let held_up = nanos(options.late_by);
    if store.happens(options.late_permille) {
        wait(store.dice.below(held_up)).await;
    }
    // As it is when the operation comes there.
    let options = store.state.lock().options.clone();
    if options.is_away {
        wait(store.network.latency()).await;
        let (place, why) = ("sim:store".to_owned(), "it is away".to_owned());
        return Some(Err(StoreError::Refused { place, why }));
    }
    let fate = match store.dice.below(1000) {
        at if at < options.lost_permille => Fate::Lost,
        at if at < options.lost_permille + options.unanswered_permille => Fate::Unanswered,
        _ => Fate::Done,
    };
    if let Fate::Lost = fate {
        store.trace.add(&store.host.name, None, name, &format!("{of} is lost"));
        return None;
    }
    let answer = operation(store.tables.clone()).await;
    store.trace.add(&store.host.name, None, name, of);
    if let Fate::Unanswered = fate {
        store
            .trace
            .add(&store.host.name, None, name, &format!("{of} is not answered"));
        return None;
    }
    if store.happens(options.late_answers_permille) {
        wait(store.dice.below(held_up)).await;
    }
    store.pass(&asker.name, Way::Back).await;
    wait(store.network.latency()).await;
    (!store.network.is_parted(&store.host, asker)).then_some(answer)
}

impl Store for Reached {
    fn describe(&self) -> String {
        "sim:store".into()
    }

    fn views(&self) -> watch::Receiver<u64> {
        self.views.subscribe()
    }

    fn members(&self) -> StoreFuture<'_, MembershipTable> {
        self.ask("members", |tables| Box::pin(async move { tables.members().await }))
    }

    fn change_member(
        &self,
        expected_view: u64,
        change: Change,
    ) -> StoreFuture<'_, Result<MembershipTable, MembershipTable>> {
        let store = self.store.clone();
        self.ask("change_member", move |tables| {
            Box::pin(async move {
                let expected = if faults::is_broken("write the table blindly") {
                    tables.members().await?.view
                } else {
                    expected_view
                };
                let outcome = tables.change_member(expected, change).await?;
                if let Ok(table) = &outcome {
                    let changed = (store.now(), table.clone());
                    store.ledger(|ledger| ledger.tables.push(changed));
                    store.tell(table.view);
                }
                Ok(outcome)
            })
        })
    }

    fn heartbeat(&self, silo: &SiloId, heartbeat: u64) -> StoreFuture<'_, Option<MemberRow>> {
        let silo = silo.clone();
        self.ask("heartbeat", move |tables| {
            Box::pin(async move { tables.heartbeat(&silo, heartbeat).await })
        })
    }

    fn register(&self, owner: &SiloId, actors: Vec<ActorId>) -> StoreFuture<'_, Vec<RegisterOutcome>> {
        let (owner, change) = (owner.clone(), self.changing());
        self.ask("register", move |tables| {
            Box::pin(async move {
                let before = tables.entries(actors.clone()).await?;
                for actor in &actors {
                    tables.force_entry(actor, |entry| {
                        if faults::is_broken("register what another owns") {
                            entry.owner = None;
                        }
                        if faults::is_broken("use an epoch again") && entry.owner.is_none() && entry.epoch.0 > 1 {
                            entry.epoch.0 -= 2;
                        }
                    });
                }
                let outcomes = tables.register(&owner, actors.clone()).await?;
                change.note(&tables, actors, before).await?;
                Ok(outcomes)
            })
        })
    }

    fn entries(&self, actors: Vec<ActorId>) -> StoreFuture<'_, Vec<Entry>> {
        self.ask("entries", move |tables| {
            Box::pin(async move { tables.entries(actors).await })
        })
    }

    fn change_entries(&self, changes: Vec<EntryChange>) -> StoreFuture<'_, Vec<EntryOutcome>> {
        let change = self.changing();
        self.ask("change_entries", move |tables| {
            Box::pin(async move {
                if faults::is_broken("keep what is given up") && changes.iter().all(|change| change.new.owner.is_none())
                {
                    return Ok(changes.iter().map(|_| EntryOutcome::Changed).collect());
                }
                let actors: Vec<ActorId> = changes.iter().map(|change| change.actor.clone()).collect();
                let before = tables.entries(actors.clone()).await?;
                let outcomes = if faults::is_broken("write entries blindly") {
                    let blindly = |change: EntryChange| {
                        tables.force_entry(&change.actor, |entry| *entry = change.new);
                        EntryOutcome::Changed
                    };
                    changes.into_iter().map(blindly).collect()
                } else {
                    tables.change_entries(changes).await?
                };
                change.note(&tables, actors, before).await?;
                Ok(outcomes)
            })
        })
    }

    fn owned_by(&self, owner: &SiloId) -> StoreFuture<'_, Vec<ActorId>> {
        let owner = owner.clone();
        self.ask("owned_by", move |tables| {
            Box::pin(async move { tables.owned_by(&owner).await })
        })
    }

    fn load(&self, actors: Vec<ActorId>) -> StoreFuture<'_, Vec<Option<StoredState>>> {
        self.ask("load", move |tables| Box::pin(async move { tables.load(actors).await }))
    }

    fn load_owned(&self, actor: &ActorId) -> StoreFuture<'_, (Entry, Option<StoredState>)> {
        let actor = actor.clone();
        self.ask("load_owned", move |tables| {
            Box::pin(async move { tables.load_owned(&actor).await })
        })
    }

    fn load_named(&self, actor: &ActorId, name: &str) -> StoreFuture<'_, Option<StoredState>> {
        let (actor, name) = (actor.clone(), name.to_owned());
        self.ask("load_named", move |tables| {
            Box::pin(async move { tables.load_named(&actor, &name).await })
        })
    }

    fn save(&self, saves: Vec<SaveRequest>) -> StoreFuture<'_, Vec<SaveOutcome>> {
        let store = self.store.clone();
        self.ask("save", move |tables| {
            Box::pin(async move {
                let mut saves = saves;
                let by: Vec<_> = (saves.iter())
                    .map(|save| (save.actor.clone(), save.owner.clone()))
                    .collect();
                let actors = by.iter().map(|(actor, _)| actor.clone()).collect();
                let entries = tables.entries(actors).await?;
                if faults::is_broken("save without looking at the owner") {
                    overwrite(&tables, &mut saves).await?;
                }
                if faults::is_broken("acknowledge what is not saved") && saves.len() == 1 {
                    let next = saves[0].expected.map_or(1, |last| last.0 + 1);
                    return Ok(vec![SaveOutcome::Saved(ETag(next))]);
                }
                let outcomes = tables.save(saves).await?;
                let at = store.now();
                let saved = (by.into_iter().zip(entries).zip(&outcomes))
                    .filter(|(_, outcome)| matches!(outcome, SaveOutcome::Saved(_) | SaveOutcome::Cleared))
                    .map(|(((actor, by), entry), _)| Saved { at, actor, by, entry });
                store.ledger(|ledger| ledger.saves.extend(saved));
                Ok(outcomes)
            })
        })
    }

    fn posters(&self) -> StoreFuture<'_, Vec<ActorId>> {
        self.ask("posters", |tables| Box::pin(async move { tables.posters().await }))
    }

    fn document(&self, name: &str) -> StoreFuture<'_, Option<Document>> {
        let name = name.to_owned();
        self.ask("document", move |tables| {
            Box::pin(async move { tables.document(&name).await })
        })
    }

    fn buckets(&self) -> StoreFuture<'_, Vec<BucketRow>> {
        self.ask("buckets", |tables| Box::pin(async move { tables.buckets().await }))
    }

    fn change_bucket(&self, bucket: Bucket, expected: Entry, new: Entry) -> StoreFuture<'_, Result<(), Entry>> {
        self.ask("change_bucket", move |tables| {
            Box::pin(async move { tables.change_bucket(bucket, expected, new).await })
        })
    }

    fn write_reminders(&self, writes: Vec<ReminderWrite>) -> StoreFuture<'_, Vec<ReminderWritten>> {
        self.ask("write_reminders", move |tables| {
            Box::pin(async move { tables.write_reminders(writes).await })
        })
    }

    fn reminders_of(&self, actor: &ActorId) -> StoreFuture<'_, Vec<Reminder>> {
        let actor = actor.clone();
        self.ask("reminders_of", move |tables| {
            Box::pin(async move { tables.reminders_of(&actor).await })
        })
    }

    fn read_bucket(&self, bucket: Bucket, window: Window) -> StoreFuture<'_, BucketRead> {
        self.ask("read_bucket", move |tables| {
            Box::pin(async move { tables.read_bucket(bucket, window).await })
        })
    }

    fn check_ticks(&self, owner: &SiloId, ticks: Vec<TickStep>) -> StoreFuture<'_, Vec<TickOutcome>> {
        let owner = owner.clone();
        self.ask("check_ticks", move |tables| {
            Box::pin(async move { tables.check_ticks(&owner, ticks).await })
        })
    }

    fn advance_ticks(&self, owner: &SiloId, ticks: Vec<TickStep>) -> StoreFuture<'_, Vec<TickOutcome>> {
        let owner = owner.clone();
        self.ask("advance_ticks", move |tables| {
            Box::pin(async move { tables.advance_ticks(&owner, ticks).await })
        })
    }

    fn subscriptions(&self, stream: &ActorId) -> StoreFuture<'_, Vec<(SubscriptionId, SubscriptionSpec)>> {
        let stream = stream.clone();
        self.ask("subscriptions", move |tables| {
            Box::pin(async move { tables.subscriptions(&stream).await })
        })
    }

    fn write_subscriptions(&self, writes: Vec<SubscriptionWrite>) -> StoreFuture<'_, Vec<SubscriptionWritten>> {
        self.ask("write_subscriptions", move |tables| {
            Box::pin(async move { tables.write_subscriptions(writes).await })
        })
    }

    fn put_document(
        &self,
        name: &str,
        expected: Option<ETag>,
        body: Bytes,
    ) -> StoreFuture<'_, Result<ETag, Option<Document>>> {
        let name = name.to_owned();
        self.ask("put_document", move |tables| {
            Box::pin(async move { tables.put_document(&name, expected, body).await })
        })
    }
}

/// Makes saves pass whoever owns the actors, as a store would that does not check.
async fn overwrite(tables: &MemoryStore, saves: &mut [SaveRequest]) -> Result<(), StoreError> {
    for save in saves {
        let actors = vec![save.actor.clone()];
        if let Some(Entry {
            owner: Some(silo),
            epoch,
        }) = tables.entries(actors.clone()).await?.pop()
        {
            save.owner.silo = silo;
            save.owner.epoch = epoch;
        }
        save.expected = tables.load(actors).await?.pop().flatten().map(|state| state.etag);
    }
    Ok(())
}

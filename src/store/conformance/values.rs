//! Short forms of what the laws speak of.

use crate::{
    ident::{ActorId, Epoch, SiloId},
    store::{
        Change, ETag, Entry, EntryChange, EntryOutcome, Manifest, MemberRow, MembershipTable, Owner, RegisterOutcome,
        Registered, SaveOutcome, SaveRequest, SiloStatus, Store, StoredState, Unknown,
    },
};
use std::collections::BTreeMap;

pub(super) fn actor(kind: &str, key: &str) -> ActorId {
    ActorId::new(kind, key).expect("a valid name")
}

/// Carts with the keys `0000` and on, in order.
pub(super) fn carts(count: usize) -> Vec<ActorId> {
    (0..count).map(|key| actor("cart", &format!("{key:04}"))).collect()
}

pub(super) fn silo(name: &str) -> SiloId {
    SiloId::new(name, 1)
}

/// A row of an Active silo of which nothing else is known, for further tests of a store.
pub fn row(silo: &SiloId) -> MemberRow {
    MemberRow {
        silo: silo.clone(),
        address: "127.0.0.1:7000".into(),
        status: SiloStatus::Active,
        heartbeat: 0,
        manifest: Manifest::default(),
        labels: BTreeMap::new(),
        unknown: Unknown::default(),
    }
}

pub(super) fn owned(silo: &SiloId, epoch: u64) -> Entry {
    Entry::owned(silo.clone(), Epoch(epoch))
}

pub(super) fn free(epoch: u64) -> Entry {
    Entry::free(Epoch(epoch))
}

pub(super) fn registered(epoch: u64, state: Option<StoredState>) -> RegisterOutcome {
    RegisterOutcome::Registered(Registered {
        epoch: Epoch(epoch),
        state,
    })
}

pub(super) fn state(etag: u64, body: &str) -> StoredState {
    StoredState {
        etag: ETag(etag),
        version: "1.0.0".into(),
        body: body.to_owned().into(),
    }
}

/// A save by `owner` at `epoch` of a state in place of the one numbered `expected`.
pub(super) fn request(actor: &ActorId, owner: &SiloId, epoch: u64, expected: Option<u64>, body: &str) -> SaveRequest {
    SaveRequest {
        actor: actor.clone(),
        owner: Owner {
            silo: owner.clone(),
            epoch: Epoch(epoch),
        },
        expected: expected.map(ETag),
        version: "1.0.0".into(),
        body: Some(body.to_owned().into()),
        has_posts: false,
        named: Vec::new(),
    }
}

pub(super) async fn posters(store: &dyn Store) -> Vec<ActorId> {
    store.posters().await.expect("posters answers")
}

pub(super) async fn table(store: &dyn Store) -> MembershipTable {
    store.members().await.expect("members answers")
}

/// Makes a change that must be accepted.
pub(super) async fn change_view(store: &dyn Store, view: u64, change: Change) -> MembershipTable {
    let answer = store.change_member(view, change).await.expect("change_member answers");
    answer.expect("the view is as expected, so the change is accepted")
}

pub(super) async fn entry(store: &dyn Store, actor: &ActorId) -> Entry {
    let entries = store.entries(vec![actor.clone()]).await.expect("entries answers");
    let [entry] = <[Entry; 1]>::try_from(entries).expect("an entry for an actor");
    entry
}

pub(super) async fn register(store: &dyn Store, owner: &SiloId, actor: &ActorId) -> RegisterOutcome {
    let outcomes = store
        .register(owner, vec![actor.clone()])
        .await
        .expect("register answers");
    let [outcome] = <[RegisterOutcome; 1]>::try_from(outcomes).expect("an outcome for an actor");
    outcome
}

pub(super) async fn change(store: &dyn Store, actor: &ActorId, expected: Entry, new: Entry) -> EntryOutcome {
    let change = EntryChange {
        actor: actor.clone(),
        expected,
        new,
    };
    let outcomes = store
        .change_entries(vec![change])
        .await
        .expect("change_entries answers");
    let [outcome] = <[EntryOutcome; 1]>::try_from(outcomes).expect("an outcome for a change");
    outcome
}

pub(super) async fn save(store: &dyn Store, request: SaveRequest) -> SaveOutcome {
    let outcomes = store.save(vec![request]).await.expect("save answers");
    let [outcome] = <[SaveOutcome; 1]>::try_from(outcomes).expect("an outcome for a save");
    outcome
}

pub(super) async fn load(store: &dyn Store, actor: &ActorId) -> Option<StoredState> {
    let states = store.load(vec![actor.clone()]).await.expect("load answers");
    let [state] = <[Option<StoredState>; 1]>::try_from(states).expect("an answer for an actor");
    state
}

pub(super) async fn load_owned(store: &dyn Store, actor: &ActorId) -> (Entry, Option<StoredState>) {
    store.load_owned(actor).await.expect("load_owned answers")
}

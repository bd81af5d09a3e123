//! The tables of a memory store and the exact meaning of every operation on them.

use super::{reminders::Reminders, rows::Rows, subscriptions::Subscriptions};
use crate::{
    ident::{ActorId, SiloId},
    store::{
        Change, Document, ETag, Entry, EntryChange, EntryOutcome, MemberRow, MembershipTable, NewState,
        RegisterOutcome, Registered, ReminderWrite, ReminderWritten, SaveOutcome, SaveRequest, StoredState,
        SubscriptionWrite, SubscriptionWritten,
    },
};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, btree_map};

#[derive(Clone, Default)]
pub(super) struct Tables {
    view: u64,
    members: BTreeMap<SiloId, MemberRow>,
    rows: Rows,
    posters: BTreeSet<ActorId>,
    named: BTreeMap<(ActorId, String), StoredState>,
    documents: BTreeMap<String, Document>,
    pub(super) reminders: Reminders,
    pub(super) subscriptions: Subscriptions,
}

impl Tables {
    pub(super) fn members(&self) -> MembershipTable {
        MembershipTable {
            view: self.view,
            rows: self.members.values().cloned().collect(),
        }
    }

    pub(super) fn change_member(
        &mut self,
        expected_view: u64,
        change: Change,
    ) -> Result<MembershipTable, MembershipTable> {
        if self.view != expected_view {
            return Err(self.members());
        }
        match change {
            Change::Put(row) => match self.members.entry(row.silo.clone()) {
                btree_map::Entry::Vacant(place) => {
                    place.insert(row);
                }
                btree_map::Entry::Occupied(mut place) => {
                    let heartbeat = place.get().heartbeat;
                    place.insert(MemberRow { heartbeat, ..row });
                }
            },
            Change::Remove(silo) => {
                self.members.remove(&silo);
            }
        }
        self.view += 1;
        Ok(self.members())
    }

    pub(super) fn heartbeat(&mut self, silo: &SiloId, heartbeat: u64) -> Option<MemberRow> {
        let row = self.members.get_mut(silo)?;
        row.heartbeat = heartbeat;
        Some(row.clone())
    }

    pub(super) fn document(&self, name: &str) -> Option<Document> {
        self.documents.get(name).cloned()
    }

    pub(super) fn put_document(
        &mut self,
        name: String,
        expected: Option<ETag>,
        body: Bytes,
    ) -> Result<ETag, Option<Document>> {
        let found = self.document(&name);
        if found.as_ref().map(|document| document.etag) != expected {
            return Err(found);
        }
        let etag = ETag(expected.map_or(0, |last| last.0) + 1);
        self.documents.insert(name, Document { etag, body });
        Ok(etag)
    }

    pub(super) fn entry(&self, actor: &ActorId) -> Entry {
        self.rows.entry(actor)
    }

    pub(super) fn state(&self, actor: &ActorId) -> Option<StoredState> {
        self.rows.state(actor)
    }

    pub(super) fn register(&mut self, owner: &SiloId, actor: &ActorId) -> RegisterOutcome {
        match self.rows.take(owner, actor) {
            Ok((epoch, state)) => RegisterOutcome::Registered(Registered { epoch, state }),
            Err(entry) => RegisterOutcome::Owned(entry),
        }
    }

    pub(super) fn change_entry(&mut self, change: EntryChange) -> EntryOutcome {
        let actual = self.entry(&change.actor);
        if !change.applies_to(&actual) {
            return EntryOutcome::Conflict(actual);
        }
        self.rows.set_entry(&change.actor, &change.new);
        EntryOutcome::Changed
    }

    pub(super) fn write_reminder(&mut self, write: ReminderWrite) -> ReminderWritten {
        let entry = self.entry(&write.id.actor);
        self.reminders.write(write, entry)
    }

    pub(super) fn write_subscription(&mut self, write: SubscriptionWrite) -> SubscriptionWritten {
        let entry = self.entry(&write.id.stream);
        self.subscriptions.write(write, entry)
    }

    #[cfg(feature = "testkit")]
    pub(super) fn force_entry(&mut self, actor: &ActorId, change: impl FnOnce(&mut Entry)) {
        let mut entry = self.entry(actor);
        change(&mut entry);
        self.rows.set_entry(actor, &entry);
    }

    pub(super) fn owned_by(&self, owner: &SiloId) -> Vec<ActorId> {
        let mut owned: Vec<ActorId> = self.rows.owned_by(owner).cloned().collect();
        owned.sort_unstable();
        owned
    }

    pub(super) fn named(&self, actor: &ActorId, name: &str) -> Option<StoredState> {
        if self.named.is_empty() {
            return None;
        }
        self.named.get(&(actor.clone(), name.to_owned())).cloned()
    }

    pub(super) fn posters(&self) -> Vec<ActorId> {
        self.posters.iter().cloned().collect()
    }

    pub(super) fn save(&mut self, save: SaveRequest) -> SaveOutcome {
        let entry = self.entry(&save.actor);
        if !entry.is_owned_by(&save.owner) {
            return SaveOutcome::NotOwner(entry);
        }
        let actual = self.rows.etag(&save.actor);
        if actual != save.expected {
            return SaveOutcome::Conflict {
                expected: save.expected,
                actual,
            };
        }
        for change in &save.named {
            let actual = self.named(&save.actor, &change.name).map(|state| state.etag);
            if actual != change.expected {
                return SaveOutcome::NamedConflict {
                    name: change.name.clone(),
                    expected: change.expected,
                    actual,
                };
            }
        }
        for change in save.named {
            let etag = change.after();
            let place = (save.actor.clone(), change.name);
            match change.new {
                Some(NewState { version, body }) => _ = self.named.insert(place, StoredState { etag, version, body }),
                None => _ = self.named.remove(&place),
            }
        }
        let outcome = match save.body {
            Some(body) => {
                let etag = ETag(actual.map_or(1, |last| last.0 + 1));
                let version = save.version;
                self.rows.set_state(&save.actor, &StoredState { etag, version, body });
                SaveOutcome::Saved(etag)
            }
            None => {
                self.rows.clear_state(&save.actor);
                SaveOutcome::Cleared
            }
        };
        if save.has_posts {
            self.posters.insert(save.actor);
        } else if !self.posters.is_empty() {
            self.posters.remove(&save.actor);
        }
        outcome
    }
}

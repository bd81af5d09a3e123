//! The rows of a memory store: what it holds of each actor, in little memory.
//!
//! Nothing of an actor is ever forgotten (a free entry keeps its epoch), so rows stand one behind the other in blocks, and an
//! index of their numbers finds them. It is cut into shards, each of which grows by itself.

use crate::{
    ident::{ActorId, Epoch, SHARDS, SiloId, shard_of},
    store::{ETag, Entry, StoredState},
};
use hashbrown::HashTable;
use std::collections::BTreeMap;

/// What stands in blocks, one behind the other, and never moves.
#[derive(Clone)]
struct Blocks<T>(Vec<Vec<T>>);

/// How many of them are in a block.
const BLOCK: usize = 1024;

impl<T> Default for Blocks<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Blocks<T> {
    fn get(&self, number: u32) -> &T {
        let number = number as usize;
        &self.0[number / BLOCK][number % BLOCK]
    }

    fn get_mut(&mut self, number: u32) -> &mut T {
        let number = number as usize;
        &mut self.0[number / BLOCK][number % BLOCK]
    }

    fn push(&mut self, new: T) -> u32 {
        if self.0.last().is_none_or(|block| block.len() == BLOCK) {
            self.0.push(Vec::with_capacity(BLOCK));
        }
        let full = (self.0.len() - 1) * BLOCK;
        let block = self.0.last_mut().expect("invariant: it was just made");
        block.push(new);
        u32::try_from(full + block.len() - 1).expect("invariant: fewer than 2^32 actors")
    }

    fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().flatten()
    }
}

/// Names that many rows say, each kept once.
#[derive(Clone)]
struct Names<T> {
    numbers: BTreeMap<T, u32>,
    names: Vec<T>,
    /// Likely asked for again.
    last: u32,
}

impl<T> Default for Names<T> {
    fn default() -> Self {
        Self {
            numbers: BTreeMap::new(),
            names: Vec::new(),
            last: 0,
        }
    }
}

impl<T: Ord + Clone> Names<T> {
    fn number_of(&mut self, name: &T) -> u32 {
        if self.names.get(self.last as usize) == Some(name) {
            return self.last;
        }
        if let Some(number) = self.numbers.get(name) {
            self.last = *number;
            return *number;
        }
        let number = u32::try_from(self.names.len()).expect("invariant: fewer than 2^32 names");
        self.names.push(name.clone());
        self.numbers.insert(name.clone(), number);
        number
    }

    fn name_of(&self, number: u32) -> &T {
        &self.names[number as usize]
    }
}

const NONE: u32 = u32::MAX;

#[derive(Clone)]
struct Row {
    actor: ActorId,
    epoch: Epoch,
    /// By its number; `NONE` of a free entry.
    owner: u32,
    /// By its number; `NONE` if nothing is saved.
    state: u32,
}

#[derive(Clone)]
struct State {
    etag: ETag,
    body: Box<[u8]>,
    version: u32,
}

/// The rows of all actors.
#[derive(Clone)]
pub(super) struct Rows {
    rows: Blocks<Row>,
    index: [HashTable<u32>; SHARDS],
    states: Blocks<State>,
    /// The numbers of states that were taken away.
    free: Vec<u32>,
    owners: Names<SiloId>,
    versions: Names<String>,
}

impl Default for Rows {
    fn default() -> Self {
        Self {
            rows: Blocks::default(),
            index: [const { HashTable::new() }; SHARDS],
            states: Blocks::default(),
            free: Vec::new(),
            owners: Names::default(),
            versions: Names::default(),
        }
    }
}

impl Rows {
    fn find(&self, actor: &ActorId) -> Option<u32> {
        let is_it = |number: &u32| self.rows.get(*number).actor == *actor;
        self.index[shard_of(actor)].find(actor.quick_hash(), is_it).copied()
    }

    fn find_or_add(&mut self, actor: &ActorId) -> u32 {
        if let Some(number) = self.find(actor) {
            return number;
        }
        let number = self.rows.push(Row {
            actor: actor.clone(),
            epoch: Epoch::ZERO,
            owner: NONE,
            state: NONE,
        });
        let hash_of = |number: &u32| self.rows.get(*number).actor.quick_hash();
        self.index[shard_of(actor)].insert_unique(actor.quick_hash(), number, hash_of);
        number
    }

    fn entry_of(&self, row: &Row) -> Entry {
        Entry {
            owner: (row.owner != NONE).then(|| self.owners.name_of(row.owner).clone()),
            epoch: row.epoch,
        }
    }

    /// The entry of an actor.
    pub(super) fn entry(&self, actor: &ActorId) -> Entry {
        self.find(actor)
            .map_or_else(Entry::default, |number| self.entry_of(self.rows.get(number)))
    }

    /// Sets the entry of an actor.
    pub(super) fn set_entry(&mut self, actor: &ActorId, entry: &Entry) {
        let number = self.find_or_add(actor);
        let owner = entry.owner.as_ref().map_or(NONE, |owner| self.owners.number_of(owner));
        let row = self.rows.get_mut(number);
        (row.owner, row.epoch) = (owner, entry.epoch);
    }

    /// Takes a free entry at its next epoch, which is answered with what is saved; an owned one is answered and stays.
    pub(super) fn take(&mut self, owner: &SiloId, actor: &ActorId) -> Result<(Epoch, Option<StoredState>), Entry> {
        let number = self.find_or_add(actor);
        let row = self.rows.get(number);
        if row.owner != NONE {
            return Err(self.entry_of(row));
        }
        let state = self.state_of(row);
        let owner = self.owners.number_of(owner);
        let row = self.rows.get_mut(number);
        (row.owner, row.epoch) = (owner, row.epoch.next());
        Ok((row.epoch, state))
    }

    fn state_of(&self, row: &Row) -> Option<StoredState> {
        (row.state != NONE).then(|| {
            let state = self.states.get(row.state);
            StoredState {
                etag: state.etag,
                version: self.versions.name_of(state.version).clone(),
                body: state.body.to_vec().into(),
            }
        })
    }

    /// What is saved of an actor.
    pub(super) fn state(&self, actor: &ActorId) -> Option<StoredState> {
        self.state_of(self.rows.get(self.find(actor)?))
    }

    /// The number of what is saved of an actor.
    pub(super) fn etag(&self, actor: &ActorId) -> Option<ETag> {
        let row = self.rows.get(self.find(actor)?);
        (row.state != NONE).then(|| self.states.get(row.state).etag)
    }

    /// Sets what is saved of an actor.
    pub(super) fn set_state(&mut self, actor: &ActorId, state: &StoredState) {
        let number = self.find_or_add(actor);
        let new = State {
            etag: state.etag,
            body: state.body.as_ref().into(),
            version: self.versions.number_of(&state.version),
        };
        let state = match (self.rows.get(number).state, self.free.last()) {
            (NONE, None) => self.states.push(new),
            (NONE, Some(_)) => {
                let free = self.free.pop().expect("invariant: it was just seen");
                *self.states.get_mut(free) = new;
                free
            }
            (old, _) => {
                *self.states.get_mut(old) = new;
                old
            }
        };
        self.rows.get_mut(number).state = state;
    }

    /// Takes away what is saved of an actor.
    pub(super) fn clear_state(&mut self, actor: &ActorId) {
        let Some(number) = self.find(actor) else { return };
        let state = std::mem::replace(&mut self.rows.get_mut(number).state, NONE);
        if state != NONE {
            self.states.get_mut(state).body = Box::default();
            self.free.push(state);
        }
    }

    /// The actors whose entries name `owner`, in no order.
    pub(super) fn owned_by(&self, owner: &SiloId) -> impl Iterator<Item = &ActorId> {
        let number = self.owners.numbers.get(owner).copied();
        (self.rows.iter())
            .filter(move |row| Some(row.owner) == number)
            .map(|row| &row.actor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_a_state_that_was_taken_away_is_used_again() {
        let mut rows = Rows::default();
        let actor = |key: u32| ActorId::new("k", key.to_string()).expect("valid");
        let state = StoredState {
            etag: ETag(1),
            version: "1.0.0".into(),
            body: "body".into(),
        };
        for key in 0..100 {
            rows.set_state(&actor(key), &state);
            rows.clear_state(&actor(key));
            rows.clear_state(&actor(key));
            assert_eq!(rows.state(&actor(key)), None);
        }
        assert_eq!(rows.states.iter().count(), 1);
        rows.set_state(&actor(1), &state);
        rows.set_state(
            &actor(2),
            &StoredState {
                etag: ETag(2),
                ..state.clone()
            },
        );
        assert_eq!(rows.state(&actor(1)), Some(state));
        assert_eq!(rows.etag(&actor(2)), Some(ETag(2)));
    }

    #[test]
    fn a_row_takes_24_bytes_and_a_state_32_beside_its_body() {
        assert_eq!((size_of::<Row>(), size_of::<State>()), (24, 32));
    }
}

//! Tables of what belongs to actors, found by the id that each entry holds itself.

use super::ActorId;
use hashbrown::hash_table::{Entry, HashTable};

/// Belongs to one actor.
pub(crate) trait OfActor {
    /// Which.
    fn actor(&self) -> &ActorId;
}

impl<T: OfActor> OfActor for std::sync::Arc<T> {
    fn actor(&self) -> &ActorId {
        T::actor(self)
    }
}

impl<T: OfActor> OfActor for Box<T> {
    fn actor(&self) -> &ActorId {
        T::actor(self)
    }
}

/// Entries by actor: no key beside them, the hash is read from the id.
pub(crate) struct ActorTable<T>(HashTable<T>);

/// Below this many entries a table keeps the memory it has.
const SMALL: usize = 64;

impl<T> Default for ActorTable<T> {
    fn default() -> Self {
        Self(HashTable::new())
    }
}

impl<T: OfActor> ActorTable<T> {
    pub(crate) fn get(&self, actor: &ActorId) -> Option<&T> {
        self.0.find(actor.quick_hash(), |entry| entry.actor() == actor)
    }

    pub(crate) fn get_mut(&mut self, actor: &ActorId) -> Option<&mut T> {
        self.0.find_mut(actor.quick_hash(), |entry| entry.actor() == actor)
    }

    /// Puts an entry in; answers the one of that actor that was there.
    pub(crate) fn insert(&mut self, new: T) -> Option<T> {
        let (hash, hash_of) = (new.actor().quick_hash(), |entry: &T| entry.actor().quick_hash());
        match self.0.entry(hash, |entry| entry.actor() == new.actor(), hash_of) {
            Entry::Occupied(mut old) => Some(std::mem::replace(old.get_mut(), new)),
            Entry::Vacant(place) => {
                place.insert(new);
                None
            }
        }
    }

    pub(crate) fn remove(&mut self, actor: &ActorId) -> Option<T> {
        let found = self.0.find_entry(actor.quick_hash(), |entry| entry.actor() == actor);
        let (entry, _) = found.ok()?.remove();
        // Many have gone: halved at most as often as that many have come.
        if self.0.capacity() > SMALL && self.0.len() < self.0.capacity() / 4 {
            let room = self.0.len() * 2;
            self.0.shrink_to(room, |entry| entry.actor().quick_hash());
        }
        Some(entry)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter()
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    #[cfg(test)]
    pub(crate) fn capacity(&self) -> usize {
        self.0.capacity()
    }
}

/// How many shards tables are cut into.
pub(crate) const SHARDS: usize = 64;

/// The shard of an actor, less than [`SHARDS`].
///
/// Shards are of different sizes, each larger than the one before by the 64th root of two: so they grow one after the other,
/// not all at once, and what is kept free in them is the same share of all, however many entries there are.
pub(crate) fn shard_of(actor: &ActorId) -> usize {
    // Other bits than those by which the tables themselves find their places.
    let step = usize::try_from(actor.quick_hash() >> 36).unwrap_or(0) % STEPS;
    usize::from(SHARD_AT[step])
}

const STEPS: usize = 4096;

static SHARD_AT: [u8; STEPS] = {
    // 2^(1/64) in 32 bits after the point.
    const ROOT: u64 = 4_341_736_423;
    let mut shards = [0; STEPS];
    let (mut shard, mut at) = (0, 0);
    // Where shard n ends: 2^(n/64) - 1 of all.
    let mut power: u64 = ROOT;
    while at < STEPS {
        if at as u64 * (1 << 32) >= (power - (1 << 32)) * STEPS as u64 && shard + 1 < SHARDS {
            shard += 1;
            power = ((power as u128 * ROOT as u128) >> 32) as u64;
        } else {
            shards[at] = shard as u8;
            at += 1;
        }
    }
    shards
};

#[cfg(test)]
mod tests {
    use super::*;

    struct Of(ActorId, u32);

    impl OfActor for Of {
        fn actor(&self) -> &ActorId {
            &self.0
        }
    }

    fn id(n: u32) -> ActorId {
        ActorId::new("k", n.to_string()).expect("valid")
    }

    #[test]
    fn an_entry_is_found_by_the_id_that_it_holds_and_its_memory_given_back() {
        let mut table = ActorTable::default();
        for n in 0..1000 {
            assert!(table.insert(Of(id(n), n)).is_none());
        }
        assert_eq!(table.insert(Of(id(7), 8)).map(|old| old.1), Some(7));
        assert_eq!((table.get(&id(7)).map(|of| of.1), table.len()), (Some(8), 1000));
        for n in 0..1000 {
            assert!(table.remove(&id(n)).is_some() && table.get(&id(n)).is_none());
        }
        assert!(table.remove(&id(0)).is_none());
        assert!(table.capacity() <= SMALL, "room for {} is kept", table.capacity());
    }

    #[test]
    fn shards_do_not_grow_at_the_same_time() {
        let mut sizes = [0_usize; SHARDS];
        for n in 0..200_000 {
            sizes[shard_of(&id(n))] += 1;
        }
        assert!(sizes.iter().all(|size| (1_800..6_500).contains(size)), "{sizes:?}");
        let rooms: Vec<_> = sizes
            .iter()
            .map(|size| size * 8 / 7)
            .map(usize::next_power_of_two)
            .collect();
        let large = rooms.iter().filter(|room| **room == rooms[SHARDS - 1]).count();
        assert!((1..SHARDS).contains(&large), "of {SHARDS} shards {large} have grown");
    }
}

//! What the last frames of a link named, by the bytes that named it: the next mostly name the same.

use crate::ident::{ActorId, ProcessId};

/// Things by their bytes, one for each place. Bounded, so that a peer that sends ever new ones costs no memory.
#[derive(Debug)]
struct Places<T, const N: usize>([Option<(Box<[u8]>, T)>; N]);

impl<T, const N: usize> Default for Places<T, N> {
    fn default() -> Self {
        Self(std::array::from_fn(|_| None))
    }
}

impl<T: Clone, const N: usize> Places<T, N> {
    /// Longer ones are not kept.
    const MAX_BYTES: usize = 128;

    /// By the end of the bytes: what differs most among names.
    fn place(bytes: &[u8]) -> usize {
        let end = bytes.last_chunk().map_or(0, |end| u64::from_le_bytes(*end));
        // The upper half is the better mixed one.
        usize::try_from(end.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32).unwrap_or(0) % N
    }

    fn get(&self, bytes: &[u8]) -> Option<&T> {
        match &self.0[Self::place(bytes)] {
            Some((known, thing)) if **known == *bytes => Some(thing),
            _ => None,
        }
    }

    fn keep(&mut self, bytes: &[u8], thing: &T) {
        if bytes.len() <= Self::MAX_BYTES {
            self.0[Self::place(bytes)] = Some((bytes.into(), thing.clone()));
        }
    }
}

/// What the last frames of a link named.
#[derive(Debug, Default)]
pub(super) struct Recent {
    actors: Box<Places<ActorId, 64>>,
    processes: Places<ProcessId, 1>,
}

impl Recent {
    pub(super) fn actor(&self, bytes: &[u8]) -> Option<&ActorId> {
        self.actors.get(bytes)
    }

    pub(super) fn keep_actor(&mut self, bytes: &[u8], actor: &ActorId) {
        self.actors.keep(bytes, actor);
    }

    pub(super) fn process(&self, bytes: &[u8]) -> Option<&ProcessId> {
        self.processes.get(bytes)
    }

    pub(super) fn keep_process(&mut self, bytes: &[u8], process: &ProcessId) {
        self.processes.keep(bytes, process);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_actor_is_found_by_all_of_its_bytes_only() {
        let mut recent = Recent::default();
        let ids: Vec<_> = (0..1000)
            .map(|n| ActorId::new("cart", n.to_string()).expect("valid"))
            .collect();
        for (n, id) in ids.iter().enumerate() {
            let bytes = format!("..cart..{n}");
            assert_eq!(recent.actor(bytes.as_bytes()), None);
            recent.keep_actor(bytes.as_bytes(), id);
            assert_eq!(recent.actor(bytes.as_bytes()), Some(id));
            // Of the same place.
            assert_eq!(recent.actor(format!("xxcart..{n}").as_bytes()), None);
        }
    }

    #[test]
    fn long_names_are_not_kept() {
        let mut recent = Recent::default();
        let bytes = [b'x'; 129];
        recent.keep_actor(&bytes, &ActorId::new("cart", "a").expect("valid"));
        assert_eq!(recent.actor(&bytes), None);
    }
}

//! Names that come in again and again share one allocation.

use foldhash::fast::RandomState;
use std::{collections::HashSet, sync::Arc};

/// The names of one link: kinds, messages, silos. Bounded, so that a peer that sends ever new ones costs no memory.
#[derive(Debug, Default)]
pub(super) struct Interner {
    names: HashSet<Arc<str>, RandomState>,
}

impl Interner {
    const MAX_NAMES: usize = 1024;
    const MAX_BYTES: usize = 128;

    pub(super) fn get(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.names.get(name) {
            return known.clone();
        }
        let new: Arc<str> = name.into();
        if name.len() <= Self::MAX_BYTES {
            if self.names.len() >= Self::MAX_NAMES {
                // The names that are in use come back at once.
                self.names.clear();
            }
            self.names.insert(new.clone());
        }
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_name_is_not_allocated_again() {
        let mut interner = Interner::default();
        let first = interner.get("cart");
        assert!(Arc::ptr_eq(&first, &interner.get("cart")));
    }

    #[test]
    fn ever_new_names_do_not_pile_up() {
        let mut interner = Interner::default();
        for n in 0..10 * Interner::MAX_NAMES {
            assert_eq!(&*interner.get(&n.to_string()), n.to_string());
            assert!(interner.names.len() <= Interner::MAX_NAMES);
        }
        let long = "x".repeat(Interner::MAX_BYTES + 1);
        interner.get(&long);
        assert!(!interner.names.contains(&*long));
    }
}

//! Names that come in again and again share one allocation.

use super::recent::Recent;
use crate::ident::InvalidName;
use foldhash::fast::RandomState;
use std::{collections::HashSet, sync::Arc};

/// The names of one link: kinds, messages, silos. Bounded, so that a peer that sends ever new ones costs no memory.
#[derive(Debug, Default)]
pub(super) struct Interner {
    names: HashSet<Arc<str>, RandomState>,
    /// The name of the last message.
    message: Option<Arc<str>>,
    pub(super) recent: Recent,
}

impl Interner {
    const MAX_NAMES: usize = 1024;
    const MAX_BYTES: usize = 128;

    /// The name of a message, if the last one had the same.
    pub(super) fn same_message(&self, name: &[u8]) -> Option<&Arc<str>> {
        self.message.as_ref().filter(|last| last.as_bytes() == name)
    }

    /// The name of a message, which the next one may have too.
    pub(super) fn message(&mut self, name: &str) -> Result<Arc<str>, InvalidName> {
        let name = self.get("message name", name)?;
        self.message = Some(name.clone());
        Ok(name)
    }

    /// The name, which is checked when it is new.
    pub(super) fn get(&mut self, what: &'static str, name: &str) -> Result<Arc<str>, InvalidName> {
        if let Some(known) = self.names.get(name) {
            return Ok(known.clone());
        }
        InvalidName::check(what, name)?;
        let new: Arc<str> = name.into();
        if name.len() <= Self::MAX_BYTES {
            if self.names.len() >= Self::MAX_NAMES {
                // The names that are in use come back at once.
                self.names.clear();
            }
            self.names.insert(new.clone());
        }
        Ok(new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_name_is_not_allocated_again() {
        let mut interner = Interner::default();
        let mut get = || interner.get("kind", "cart").expect("valid");
        assert!(Arc::ptr_eq(&get(), &get()));
    }

    #[test]
    fn ever_new_names_do_not_pile_up() {
        let mut interner = Interner::default();
        for n in 0..10 * Interner::MAX_NAMES {
            assert_eq!(&*interner.get("kind", &n.to_string()).expect("valid"), n.to_string());
            assert!(interner.names.len() <= Interner::MAX_NAMES);
        }
        let long = "x".repeat(Interner::MAX_BYTES + 1);
        interner.get("kind", &long).expect("valid");
        assert!(!interner.names.contains(&*long));
    }

    #[test]
    fn a_name_that_cannot_be_used_is_not_kept() {
        let mut interner = Interner::default();
        for _ in 0..2 {
            assert_eq!(
                interner.get("message name", "a\0").expect_err("control").what,
                "message name"
            );
        }
    }
}

//! The kinds that a program was linked with.

use super::{Actor, KindEntry, OWN_MESSAGES};
use crate::{ident::InvalidName, schema::Lock, version};
use semver::Version;
use std::{collections::BTreeMap, sync::Arc};

/// Every `#[actor]` of the program adds itself here when the program is linked.
#[allow(unsafe_code, reason = "linkme places the slice in a section of its own")]
#[linkme::distributed_slice]
pub static LINKED: [fn() -> KindEntry];

/// Kinds that a silo hosts, by wire name.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    kinds: BTreeMap<&'static str, RegisteredKind>,
}

/// A kind with its version parsed.
#[derive(Clone, Debug)]
pub struct RegisteredKind {
    /// How to make and run it.
    pub entry: Arc<KindEntry>,
    /// Its version.
    pub version: Version,
}

impl Registry {
    /// A registry without kinds.
    pub fn empty() -> Self {
        Self::default()
    }

    /// All kinds that the program was linked with.
    ///
    /// # Errors
    /// If two types share a kind, or one has a name, a version or a message that cannot be used.
    pub fn linked() -> Result<Self, RegistryError> {
        let mut registry = Self::empty();
        for entry in LINKED {
            registry.add(entry())?;
        }
        Ok(registry)
    }

    /// Adds an actor type. Adding the same type again changes nothing.
    ///
    /// # Errors
    /// If another type has its kind, or its name, its version or one of its messages cannot be used.
    pub fn register<A: Actor>(&mut self) -> Result<(), RegistryError> {
        self.add(KindEntry::of::<A>())
    }

    fn add(&mut self, entry: KindEntry) -> Result<(), RegistryError> {
        InvalidName::check("kind", entry.kind())?;
        let version = version::parse(entry.version()).map_err(|source| RegistryError::Version {
            kind: entry.kind(),
            type_name: entry.type_name(),
            source,
        })?;
        if let Some(message) = (entry.messages().iter()).find(|message| message.name().starts_with(OWN_MESSAGES)) {
            return Err(RegistryError::ReservedMessage {
                kind: entry.kind(),
                type_name: entry.type_name(),
                message: message.name(),
            });
        }
        if let Some(old) = self.kinds.get(entry.kind()) {
            if old.entry.type_id() == entry.type_id() {
                return Ok(());
            }
            return Err(RegistryError::Duplicate {
                kind: entry.kind(),
                first: format!("{} {}", old.entry.type_name(), old.version),
                second: format!("{} {version}", entry.type_name()),
            });
        }
        let entry = Arc::new(entry);
        self.kinds.insert(entry.kind(), RegisteredKind { entry, version });
        Ok(())
    }

    /// Keeps the kinds of these names only.
    ///
    /// # Errors
    /// If one of them is not there.
    pub fn select(&mut self, kinds: &[String]) -> Result<(), RegistryError> {
        if let Some(missing) = kinds.iter().find(|kind| !self.kinds.contains_key(kind.as_str())) {
            return Err(RegistryError::Missing {
                kind: missing.clone(),
                known: self.kinds.keys().copied().collect::<Vec<_>>().join(", "),
            });
        }
        self.kinds.retain(|kind, _| kinds.iter().any(|wanted| wanted == kind));
        Ok(())
    }

    /// Tells whose handlers panic are dead letters from now on.
    pub fn keep_panicked(&mut self) {
        for kind in self.kinds.values_mut() {
            Arc::make_mut(&mut kind.entry).keep_panicked();
        }
    }

    /// What the kinds look like.
    pub fn lock(&self) -> Lock {
        let mut lock = Lock::default();
        for kind in self.kinds() {
            lock.add(kind.entry.kind(), kind.version.clone(), kind.entry.schemas());
        }
        lock
    }

    /// Takes a kind out: the silo does not host it.
    pub fn mask(&mut self, kind: &str) {
        self.kinds.remove(kind);
    }

    /// The kind of a wire name.
    pub fn kind(&self, kind: &str) -> Option<&RegisteredKind> {
        self.kinds.get(kind)
    }

    /// All kinds, ordered by name.
    pub fn kinds(&self) -> impl Iterator<Item = &RegisteredKind> {
        self.kinds.values()
    }

    /// By namespace of streams, the kinds whose actors get the events of the stream of their key without subscribing.
    pub fn streams(&self) -> BTreeMap<String, Vec<String>> {
        let mut streams: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, kind) in &self.kinds {
            for namespace in kind.entry.streams() {
                let kinds = streams.entry((*namespace).to_owned()).or_default();
                kinds.push((*name).to_owned());
            }
        }
        streams
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }
}

/// Why a set of kinds cannot be hosted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// Two types with one kind.
    #[error("the kind {kind:?} is declared by {first} and by {second}; give one of them another kind")]
    Duplicate {
        /// The kind.
        kind: &'static str,
        /// One type, with its version.
        first: String,
        /// The other, with its version.
        second: String,
    },
    /// A kind that cannot be used.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// A version that is not semver.
    #[error("the version of {kind:?} ({type_name}) cannot be used: {source}")]
    Version {
        /// The kind.
        kind: &'static str,
        /// Its type.
        type_name: &'static str,
        /// Why.
        source: version::InvalidVersion,
    },
    /// A message that no handler would ever get: its name is one of Quark's own.
    #[error(
        "the message {message:?} of {kind:?} ({type_name}) cannot be used: names that begin with {OWN_MESSAGES:?} are those of \
         Quark's own messages, which come to no handler; give it a name that begins otherwise"
    )]
    ReservedMessage {
        /// The kind.
        kind: &'static str,
        /// Its type.
        type_name: &'static str,
        /// The name of the message.
        message: &'static str,
    },
    /// A kind that was asked for by name.
    #[error(
        "the kind {kind:?} is not linked into this program (it has: {known}); name its crate in a `use my_actors as _;`"
    )]
    Missing {
        /// The kind.
        kind: String,
        /// What there is.
        known: String,
    },
}

//! Named states: what an actor keeps beside itself, read when it is first asked for and saved with the actor in one step.

use super::{
    Context, Forms, Hosted, State, StateError, image,
    state::{self, ToWrite},
};
use crate::{
    ident::{ActorId, InvalidName},
    store::{ETag, Entry as DirectoryEntry, NamedChange, NewState, StoreError, StoredState},
    wire::{EncodeError, Kept},
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::{
    any::Any,
    collections::BTreeMap,
    ops::{Deref, DerefMut},
};

/// Why a state cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// Its name cannot be used.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// The store failed.
    #[error("the state {name:?} of {actor} cannot be read: {source}")]
    Store {
        /// Whose.
        actor: ActorId,
        /// Which; empty is the actor itself.
        name: String,
        /// Why.
        source: StoreError,
    },
    /// What is saved cannot be read by this version.
    #[error("the state {name:?} of {actor} cannot be read: {source}")]
    State {
        /// Whose.
        actor: ActorId,
        /// Which; empty is the actor itself.
        name: String,
        /// Why.
        source: StateError,
    },
    /// Another activation has saved meanwhile; this one is discarded when its turn ends. Or the store has lost a save: then the
    /// number went back, and the next save writes the state again.
    #[error("the saved state of {actor} is number {actual:?}, not {expected:?} as this activation has it")]
    Conflict {
        /// Whose.
        actor: ActorId,
        /// The number that this activation builds on.
        expected: Option<ETag>,
        /// The number that is saved.
        actual: Option<ETag>,
    },
    /// The silo does not own the actor any more; this activation is discarded when its turn ends.
    #[error("{actor} is owned by {entry:?} by now; this activation is discarded")]
    NotOwner {
        /// Whose.
        actor: ActorId,
        /// The directory entry.
        entry: DirectoryEntry,
    },
    /// This activation has it as another type.
    #[error("the state {name:?} of {actor} was asked for as another type before; a name stands for one type")]
    OtherType {
        /// Whose.
        actor: ActorId,
        /// Which.
        name: String,
    },
}

/// A named state. Changes made through it are saved with the actor, by its next save, and move with it until then.
#[derive(Debug)]
pub struct Named<'a, T> {
    live: &'a mut Live<T>,
    change: &'a mut Change,
    etag: Option<ETag>,
}

impl<T> Named<'_, T> {
    /// The number of what is saved; `None` if nothing is.
    pub fn etag(&self) -> Option<ETag> {
        self.etag
    }
}

impl<T> Deref for Named<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.live.value
    }
}

impl<T> DerefMut for Named<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        *self.change = Change::Written;
        &mut self.live.value
    }
}

/// A state of a known type.
#[derive(Debug)]
struct Live<T> {
    value: T,
    kept: Kept,
    schema: &'static str,
}

/// A state, whatever its type.
trait AnyState: Any {
    fn to_write(&self, back: bool) -> Result<ToWrite, EncodeError>;
}

impl<T: State> AnyState for Live<T> {
    fn to_write(&self, back: bool) -> Result<ToWrite, EncodeError> {
        state::write(
            &Forms::<T>::of_state(),
            &self.value,
            back,
            Some((self.schema, &self.kept)),
        )
    }
}

enum Value {
    /// As it was saved or came with a move.
    Bytes(Bytes),
    Live(Box<dyn AnyState>),
    /// There is none.
    Nothing,
}

/// What is to be done with a state by the next save.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    None,
    Written,
    Cleared,
}

struct Entry {
    value: Value,
    etag: Option<ETag>,
    change: Change,
}

/// The named states that an activation knows.
#[derive(Default)]
pub(super) struct NamedStates(BTreeMap<String, Entry>);

/// A changed state as it moves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Carried {
    #[serde(default, rename = "e", skip_serializing_if = "Option::is_none")]
    etag: Option<ETag>,
    /// `None`: it is to be taken away.
    #[serde(default, rename = "b", skip_serializing_if = "Option::is_none")]
    body: Option<Bytes>,
}

impl NamedStates {
    pub(super) fn is_changed(&self) -> bool {
        self.0.values().any(|entry| entry.change != Change::None)
    }

    /// States as they came with a move.
    pub(super) fn arrived(carried: BTreeMap<String, Carried>) -> Self {
        let entry = |(name, carried): (String, Carried)| {
            let change = match &carried.body {
                Some(_) => Change::Written,
                None => Change::Cleared,
            };
            let entry = Entry {
                value: carried.body.map_or(Value::Nothing, Value::Bytes),
                etag: carried.etag,
                change,
            };
            (name, entry)
        };
        Self(carried.into_iter().map(entry).collect())
    }

    /// The changed states as they move.
    pub(super) fn carried(&self, back: bool) -> Result<BTreeMap<String, Carried>, EncodeError> {
        let changed = self.0.iter().filter(|(_, entry)| entry.change != Change::None);
        let carry = |(name, entry): (&String, &Entry)| {
            let carried = Carried {
                etag: entry.etag,
                body: entry.body(back)?,
            };
            Ok((name.clone(), carried))
        };
        changed.map(carry).collect()
    }

    /// What is to be saved of them.
    pub(super) fn changes(&self, version: &str, back: bool) -> Result<Vec<NamedChange>, EncodeError> {
        let changed = self.0.iter().filter(|(_, entry)| entry.change != Change::None);
        let change = |(name, entry): (&String, &Entry)| {
            let new = entry.body(back)?.map(|body| NewState {
                version: version.to_owned(),
                body,
            });
            Ok(NamedChange {
                name: name.clone(),
                expected: entry.etag,
                new,
            })
        };
        changed.map(change).collect()
    }

    /// They were saved.
    pub(super) fn saved(&mut self, changes: &[NamedChange]) {
        for change in changes {
            if let Some(entry) = self.0.get_mut(&change.name) {
                entry.change = Change::None;
                entry.etag = change.new.is_some().then(|| change.after());
            }
        }
    }
}

impl Entry {
    fn body(&self, back: bool) -> Result<Option<Bytes>, EncodeError> {
        if self.change == Change::Cleared {
            return Ok(None);
        }
        Ok(match &self.value {
            Value::Nothing => None,
            Value::Bytes(bytes) => Some(bytes.clone()),
            Value::Live(state) => {
                let written = state.to_write(back)?;
                Some(image::seal(written.schema, None, written.document)?)
            }
        })
    }

    /// The state as a `T`; `None`: it is another type.
    fn live<T: State + Default>(&mut self) -> Result<Option<Named<'_, T>>, StateError> {
        match &self.value {
            Value::Live(_) => {}
            Value::Nothing => {
                self.value = Value::Live(Box::new(Live {
                    value: T::default(),
                    kept: Kept::default(),
                    schema: T::SCHEMA,
                }));
            }
            Value::Bytes(bytes) => {
                let image = image::open(bytes)?;
                let read = state::read(&Forms::<T>::of_state(), &image.written)?;
                self.value = Value::Live(Box::new(Live {
                    value: read.value,
                    kept: read.kept,
                    schema: read.schema,
                }));
            }
        }
        let Value::Live(state) = &mut self.value else {
            unreachable!("invariant: it was just made so");
        };
        let live = (&mut **state as &mut dyn Any).downcast_mut();
        let (change, etag) = (&mut self.change, self.etag);
        Ok(live.map(|live| Named { live, change, etag }))
    }
}

impl<A: Serialize + Hosted> Context<A> {
    /// A state that the actor keeps beside itself under `name`: read from the store when this activation first asks for it, `Default`
    /// if nothing is saved. What is changed in it is saved with the actor, in one step, by its next save (at its deactivation at the
    /// latest), and moves with it until then. For what is large and seldom needed: an actor comes up without it, and a save writes what
    /// has changed alone.
    ///
    /// # Errors
    /// [`LoadError`]; what is saved is left as it is.
    pub async fn state<T: State + Default>(&mut self, name: &str) -> Result<Named<'_, T>, LoadError> {
        InvalidName::check("name of a state", name)?;
        let actor = self.id().clone();
        if !self.side().named.0.contains_key(name) {
            let loaded = match A::VOLATILE {
                true => Ok(None),
                false => self.services().load(actor.clone(), name.to_owned()).await,
            };
            let loaded: Option<StoredState> = loaded.map_err(|source| LoadError::Store {
                actor: actor.clone(),
                name: name.to_owned(),
                source,
            })?;
            let entry = Entry {
                etag: loaded.as_ref().map(|state| state.etag),
                value: loaded.map_or(Value::Nothing, |state| Value::Bytes(state.body)),
                change: Change::None,
            };
            self.side().named.0.insert(name.to_owned(), entry);
        }
        let entry = self.side().named.0.get_mut(name);
        let entry = entry.expect("invariant: it was just put there");
        match entry.live() {
            Ok(Some(named)) => Ok(named),
            Ok(None) => Err(LoadError::OtherType {
                actor,
                name: name.to_owned(),
            }),
            Err(source) => Err(LoadError::State {
                actor,
                name: name.to_owned(),
                source,
            }),
        }
    }

    /// Takes a named state away, by the next save of the actor; until then it moves as taken away. It is `Default` when it is asked for.
    ///
    /// # Errors
    /// [`LoadError`].
    pub async fn clear_state<T: State + Default>(&mut self, name: &str) -> Result<(), LoadError> {
        self.state::<T>(name).await?;
        if let Some(entry) = self.side().named.0.get_mut(name) {
            entry.value = Value::Nothing;
            entry.change = match entry.etag {
                Some(_) => Change::Cleared,
                None => Change::None,
            };
        }
        Ok(())
    }
}

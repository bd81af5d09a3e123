//! What is saved of an actor itself, read and taken away from within a turn.

use super::{Actor, Context, Grant, LoadError, SaveError, save};
use crate::store::Entry;

impl<A: Actor> Context<A> {
    /// The actor as it is saved, `Default` if nothing is: `*self = ctx.load().await?` takes back what was changed and not saved.
    /// Checked, in one step of the store, against who owns the actor and the number of the state that this activation knows.
    /// Named states and timers, and what the actor remembers of effects and has posted, stay as they are.
    ///
    /// # Errors
    /// [`LoadError`]; after a conflict or a loss of ownership this activation is discarded at the end of its turn.
    pub async fn load(&mut self) -> Result<A, LoadError> {
        if A::VOLATILE {
            return Ok(A::default());
        }
        let actor = self.id().clone();
        let grant = Grant {
            epoch: self.epoch(),
            etag: self.etag(),
        };
        let loaded = match self.is_overtaken() {
            // The epoch is another activation's; this one was told to end while its turn ran.
            true => Err(LoadError::NotOwner {
                actor: actor.clone(),
                entry: Entry::free(grant.epoch),
            }),
            false => self.services().load_own(actor.clone(), grant).await,
        };
        let loaded = match loaded {
            Ok(loaded) => loaded,
            Err(error) => {
                let overtaken = match &error {
                    LoadError::Conflict { expected, actual, .. } => actual > expected,
                    LoadError::NotOwner { .. } => true,
                    _ => false,
                };
                if overtaken {
                    self.discard();
                }
                return Err(error);
            }
        };
        let Some(state) = loaded else { return Ok(A::default()) };
        match save::read::<A>(&state.body) {
            Ok((value, _as_this_activation_knows_it)) => {
                self.saved(Some(state.etag), Some(xxhash_rust::xxh3::xxh3_64(&state.body)));
                Ok(value)
            }
            Err(source) => Err(LoadError::State {
                actor,
                name: String::new(),
                source,
            }),
        }
    }

    /// Takes away what is saved of the actor, which is `Default` then; as a save, in one step with the changes of its named states.
    /// Checked, in that step, against who owns the actor and the number of the state that this activation knows. What the actor
    /// remembers of effects and has posted outlives it: one that has any of that is saved as `Default`.
    ///
    /// # Errors
    /// [`SaveError`], and `actor` is as it was; after a conflict or a loss of ownership this activation is discarded at the end of its
    /// turn.
    pub async fn clear(&mut self, actor: &mut A) -> Result<(), SaveError> {
        let new = A::default();
        if !A::VOLATILE {
            self.begun();
            let kept = self.take_kept();
            let cleared = match self.remembers() {
                true => self.save(&new).await.map(drop),
                false => self.save_image(self.id().clone(), A::VERSION, None).await.map(drop),
            };
            if let Err(error) = cleared {
                self.put_kept(kept);
                return Err(error);
            }
        }
        *actor = new;
        Ok(())
    }
}

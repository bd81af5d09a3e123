//! How an actor is saved: the right to write, what can go wrong, what is written, and the end of a turn whose effects are to be kept
//! before it is answered.

use super::{
    Actor, Context, Effect, Effects, Hosted, Message, StateError,
    effects::Known,
    hearing::Hearing,
    image,
    named::{Carried, NamedStates},
    outbox::{Outbox, ToForget},
    state,
};
use crate::{
    ident::{ActorId, Epoch},
    store::{ETag, Entry, NamedChange, StoreError},
    wire::{self, EncodeError, Failure, FailureCode, Kept, Ran},
};
use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use serde::Serialize;
use std::{any::TypeId, collections::BTreeMap};

/// By what right an activation writes: the epoch it owns the actor by and the state it builds on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The epoch of the directory entry.
    pub epoch: Epoch,
    /// The number of the state that is saved; `None` if none is.
    pub etag: Option<ETag>,
}

/// What is saved of an actor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saving {
    /// By what right.
    pub grant: Grant,
    /// The version of the actor type.
    pub version: &'static str,
    /// Its state, and what else is saved with it; `None` takes it away.
    pub body: Option<Bytes>,
    /// Whether it has posted messages that were not taken yet.
    pub has_posts: bool,
    /// What is saved of its named states, in the same step.
    pub named: Vec<NamedChange>,
}

/// Why a state was not saved.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SaveError {
    /// Another activation has saved meanwhile; this one is discarded when its turn ends.
    #[error(
        "the saved state {name:?} of {actor} is number {actual:?}, not {expected:?}: another activation has saved it; this one is discarded"
    )]
    Conflict {
        /// Whose.
        actor: ActorId,
        /// Which of its named states; empty is the actor itself.
        name: String,
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
        entry: Entry,
    },
    /// The state cannot be serialized.
    #[error("the state of {actor} cannot be serialized: {source}")]
    Unwritable {
        /// Whose.
        actor: ActorId,
        /// Why.
        source: EncodeError,
    },
    /// The state is larger than a silo saves.
    #[error(
        "the state of {actor} has {bytes} bytes, and {max} at the most are saved; keep a part of it in actors of its own, or raise \
         max_state_bytes"
    )]
    TooLarge {
        /// Whose.
        actor: ActorId,
        /// Its size.
        bytes: usize,
        /// The option.
        max: usize,
    },
    /// The store failed; whether the state was saved may not be known.
    #[error("the state of {actor} could not be saved: {source}")]
    Store {
        /// Whose.
        actor: ActorId,
        /// Why.
        source: StoreError,
    },
}

impl SaveError {
    /// What the caller of a turn hears whose effects could not be saved.
    fn to_failure(&self, message: &str) -> Failure {
        // What the next activation has of it may be nothing or all; of what cannot be saved, this one has all.
        let (code, ran) = match self {
            Self::Conflict { .. } | Self::NotOwner { .. } => (FailureCode::Discarded, Ran::Unknown),
            Self::Store { .. } => (FailureCode::StoreUnavailable, Ran::Unknown),
            Self::Unwritable { .. } => (FailureCode::Unreadable, Ran::Yes),
            Self::TooLarge { .. } => (FailureCode::TooLarge, Ran::Yes),
        };
        Failure::new(
            code,
            ran,
            format!("{message} ran, but its effects are not known to be saved: {self}"),
        )
    }
}

/// What is to be known of few contexts.
#[derive(Default)]
pub(super) struct Rest {
    pub(super) etag: Option<ETag>,
    /// The hash of the saved state's bytes, as far as this activation knows them.
    pub(super) saved_hash: Option<u64>,
    pub(super) discard: bool,
    pub(super) deactivate: bool,
    /// What the actor is subscribed to and hears, as far as this activation knows, and the ones before it that moved here.
    pub(super) hearing: Hearing,
    pub(super) side: Option<Box<Side>>,
}

/// What is to be known of fewer still: those whose effects are to happen once, or whose state has more in it than they know.
#[derive(Default)]
pub(super) struct Side {
    /// It is to be saved before its next turn.
    pub(super) save_now: bool,
    /// What stood in the state and is not known, and the schema it was read as.
    kept: Option<(&'static str, Kept)>,
    pub(super) effects: Effects,
    pub(super) named: NamedStates,
    /// Whether the effects differ from those that are saved.
    is_unsaved: bool,
    /// Whether the turn that runs has posted something that is not saved.
    pub(super) has_posted: bool,
    /// The number of the last post that the silo was given to send.
    handed: u64,
    /// Receivers of posts that were taken.
    pub(super) to_forget: ToForget,
    /// The effect of the turn that runs, and its reply if it was done before.
    once: Option<Once>,
    /// What the caller of the turn is to hear instead of the reply.
    failed: Option<Failure>,
}

impl Rest {
    /// Whether the activation wants something after a turn.
    pub(super) fn wants(&self) -> bool {
        let side_wants = |side: &Side| side.save_now || side.failed.is_some();
        self.discard || self.deactivate || self.side.as_deref().is_some_and(side_wants)
    }
}

struct Once {
    effect: Effect,
    /// That of the first time, if it was done before.
    reply: Option<Bytes>,
}

impl<A> Context<A> {
    pub(super) fn side(&mut self) -> &mut Side {
        self.rest().side.get_or_insert_default()
    }

    #[inline]
    fn seen_side(&self) -> Option<&Side> {
        self.rest.as_ref()?.side.as_deref()
    }

    fn outbox(&self) -> Option<&Outbox> {
        self.seen_side()?.effects.outbox.as_ref()
    }

    /// What an actor comes up with besides its state.
    pub(super) fn came_with(&mut self, side: Side) {
        if side.kept.is_some() || !side.effects.is_empty() || side.named.is_changed() {
            *self.side() = side;
        }
    }

    /// Whether a named state was changed and not saved.
    pub(super) fn has_unsaved_states(&self) -> bool {
        self.seen_side().is_some_and(|side| side.named.is_changed())
    }

    /// Has the caller of the turn hear that it may have had no effect, if the activation has lost its right to be.
    pub(super) fn fail_if_lost<M: Message>(&mut self) {
        if !self.is_stale() && !self.is_overtaken() {
            return;
        }
        let text = format!(
            "{} ran in an activation of {} that had been overtaken: its effects may be lost",
            M::NAME,
            self.mailbox().actor()
        );
        let failure = Failure::new(FailureCode::Discarded, Ran::Unknown, text);
        self.side().failed.get_or_insert(failure);
    }

    pub(super) fn take_failure(&mut self) -> Option<Failure> {
        self.rest.as_mut()?.side.as_mut()?.failed.take()
    }

    /// A turn begins that is to have this effect. Answers what its caller is to hear, if it is not to run at all.
    #[cold]
    pub(super) fn begin_once<M: Message>(&mut self, effect: Effect) -> Option<Failure> {
        let side = self.side();
        let refused = |code, ran, text: String| Some(Failure::new(code, ran, text));
        let reply = match side.effects.known(&effect) {
            None => None,
            Some(Known::Replied(reply)) => match wire::decode::<M::Reply>(&reply) {
                Ok(_) => Some(reply),
                Err(error) => {
                    let text = format!("{} has run, but what it answered cannot be read: {error}", M::NAME);
                    return refused(FailureCode::BadReply, Ran::Yes, text);
                }
            },
            // There is but one reply of this type.
            Some(Known::Begun) if TypeId::of::<M::Reply>() == TypeId::of::<()>() => Some(Bytes::from_static(&[0xc0])),
            Some(Known::Begun) => {
                let text = format!(
                    "{} has run and saved, but its silo was lost before it answered; leave the save to the end of the turn, and the \
                     answer is saved too",
                    M::NAME
                );
                return refused(FailureCode::Unknown, Ran::Yes, text);
            }
            Some(Known::Taken) if side.is_unsaved => {
                side.save_now = true;
                let text = format!("{} was taken before, and is not saved yet", M::NAME);
                return refused(FailureCode::StoreUnavailable, Ran::Unknown, text);
            }
            Some(Known::Taken) => {
                let text = format!("{} was taken before", M::NAME);
                return refused(FailureCode::Discarded, Ran::Yes, text);
            }
        };
        side.once = Some(Once { effect, reply });
        None
    }

    /// The reply of a turn whose effect was done before.
    #[inline]
    pub(super) fn known_reply<M: Message>(&self) -> Option<M::Reply> {
        self.seen_side()?.known_reply::<M>()
    }

    fn seconds(&self) -> u64 {
        self.services().clock().wall_micros() / 1_000_000
    }
}

impl Side {
    #[cold]
    fn known_reply<M: Message>(&self) -> Option<M::Reply> {
        let reply = self.once.as_ref()?.reply.as_ref()?;
        Some(wire::decode(reply).expect("invariant: it was decoded when its turn began"))
    }

    /// What the turn has done until now is about to be saved, and is not to be done again.
    fn begun(&mut self, now: u64) {
        if let Some(once) = self.once.as_ref().filter(|once| once.reply.is_none())
            && self.effects.known(&once.effect).is_none()
        {
            self.effects.begun(&once.effect, now);
        }
    }
}

impl<A: Serialize + Hosted> Context<A> {
    /// The actor as it is saved and moves.
    pub(super) fn image(&self, actor: &A) -> Result<Bytes, EncodeError> {
        self.image_with(actor, &BTreeMap::new())
    }

    /// The actor as it moves, with what is changed and not saved.
    pub(super) fn package(&self, actor: &A) -> Result<Bytes, EncodeError> {
        let named = self.seen_side().map(|side| side.named.carried(self.writes_back()));
        self.image_with(actor, &named.transpose()?.unwrap_or_default())
    }

    /// Whether what has an older form is written in it.
    fn writes_back(&self) -> bool {
        self.services().writes_older(A::KIND)
    }

    fn image_with(&self, actor: &A, named: &BTreeMap<String, Carried>) -> Result<Bytes, EncodeError> {
        let forms = &A::FORMS;
        let back = forms.has_back() && self.writes_back();
        let side = self.seen_side();
        let kept = side.and_then(|side| side.kept.as_ref());
        let written = state::write(forms, actor, back, kept.map(|(schema, kept)| (*schema, kept)))?;
        image::pack(written.schema, side.map(|side| &side.effects), named, written.document)
    }

    /// Saves the actor as it is now; when this returns, the state survives a crash.
    ///
    /// Without it the state is saved when the actor is deactivated, and moves along when it migrates. A turn of an idempotent message
    /// is saved at its end by itself.
    ///
    /// # Errors
    /// [`SaveError`]; after a conflict or a loss of ownership this activation is discarded at the end of its turn.
    pub async fn save(&mut self, actor: &A) -> Result<ETag, SaveError> {
        self.begun();
        let id = self.id().clone();
        let body = match self.image(actor) {
            Ok(body) => body,
            Err(source) => return Err(SaveError::Unwritable { actor: id, source }),
        };
        let etag = self.save_image(id, A::VERSION, Some(body)).await?;
        Ok(etag.expect("invariant: what is saved has a number"))
    }

    /// What the turn that runs has done so far is about to be saved.
    pub(super) fn begun(&mut self) {
        if self.seen_side().is_some_and(|side| side.once.is_some()) {
            let now = self.seconds();
            self.side().begun(now);
        }
    }

    /// Whether something is saved beside the state that is to outlive it.
    pub(super) fn remembers(&self) -> bool {
        self.seen_side().is_some_and(|side| !side.effects.is_empty())
    }

    /// Takes out what stood in the saved state and is not known.
    pub(super) fn take_kept(&mut self) -> Option<(&'static str, Kept)> {
        self.rest.as_mut()?.side.as_mut()?.kept.take()
    }

    /// Puts it back.
    pub(super) fn put_kept(&mut self, kept: Option<(&'static str, Kept)>) {
        if kept.is_some() {
            self.side().kept = kept;
        }
    }

    /// Has the silo send the posts up to `last`, which are saved, and tells receivers what they need not remember any more.
    #[cold]
    pub(super) fn send_posts(&mut self, last: u64) {
        let side = self.side();
        let handed = std::mem::replace(&mut side.handed, last);
        let Some(outbox) = &side.effects.outbox else { return };
        let id = outbox.id();
        let posts: Vec<_> = outbox.between(handed, last).cloned().collect();
        let forget = side.to_forget.take(outbox);
        if !posts.is_empty() || !forget.is_empty() {
            let mailbox = self.mailbox().clone();
            self.services().send_posts(mailbox, id, posts, forget);
        }
    }

    /// Has the silo send what an earlier activation posted.
    pub(super) fn resume_posts(&mut self) {
        let waiting = self.outbox().filter(|outbox| !outbox.is_empty());
        if let Some(last) = waiting.map(Outbox::last) {
            self.send_posts(last);
        }
    }

    /// Saves what the actor is to be saved as, or takes away what is saved of it.
    pub(super) async fn save_image(
        &mut self,
        id: ActorId,
        version: &'static str,
        body: Option<Bytes>,
    ) -> Result<Option<ETag>, SaveError> {
        let hash = body.as_ref().map(|body| xxhash_rust::xxh3::xxh3_64(body));
        let grant = Grant {
            epoch: self.epoch(),
            etag: self.etag(),
        };
        if self.is_overtaken() {
            // The epoch is another activation's; this one was told to end while its turn ran.
            self.rest().discard = true;
            let entry = Entry::free(grant.epoch);
            return Err(SaveError::NotOwner { actor: id, entry });
        }
        let outbox = self.outbox();
        let named = match self.seen_side().filter(|side| side.named.is_changed()) {
            Some(side) => side.named.changes(version, self.writes_back()),
            None => Ok(Vec::new()),
        };
        let named = match named {
            Ok(named) => named,
            Err(source) => return Err(SaveError::Unwritable { actor: id, source }),
        };
        let (has_posts, last) = outbox.map_or((false, 0), |outbox| (!outbox.is_empty(), outbox.last()));
        let saving = Saving {
            grant,
            version,
            body,
            has_posts,
            named,
        };
        let named = saving.named.clone();
        match self.services().save(id, saving).await {
            Ok(etag) => {
                self.saved(etag, hash);
                if let Some(side) = &mut self.rest().side {
                    (side.is_unsaved, side.has_posted) = (false, false);
                    side.named.saved(&named);
                }
                if last > 0 {
                    self.send_posts(last);
                }
                Ok(etag)
            }
            Err(error) => {
                if matches!(error, SaveError::Conflict { .. } | SaveError::NotOwner { .. }) {
                    self.rest().discard = true;
                }
                Err(error)
            }
        }
    }

    /// What is to be done at the end of a turn before it is answered: to save what is to happen once.
    #[inline]
    pub(super) fn finish<M: Message>(&mut self, actor: &A, reply: &M::Reply) -> Option<LocalBoxFuture<'_, ()>> {
        let has_effects = |side: &&Side| side.once.is_some() || side.has_posted;
        self.seen_side().filter(has_effects)?;
        self.finish_once::<M>(actor, reply)
    }

    #[cold]
    fn finish_once<M: Message>(&mut self, actor: &A, reply: &M::Reply) -> Option<LocalBoxFuture<'_, ()>> {
        let now = self.seconds();
        let side = self.side();
        side.is_unsaved |= std::mem::take(&mut side.has_posted);
        if let Some(once) = side.once.take()
            && once.reply.is_none()
        {
            side.is_unsaved = true;
            match wire::encode(reply) {
                Ok(reply) => side.effects.done(&once.effect, now, reply),
                Err(source) => {
                    side.effects.begun(&once.effect, now);
                    // It is answered with this, and would be again.
                    let text = format!("the reply to {} cannot be serialized: {source}", M::NAME);
                    side.failed = Some(Failure::new(FailureCode::BadReply, Ran::Yes, text));
                }
            }
        }
        if A::VOLATILE || !side.is_unsaved {
            return None;
        }
        let id = self.id().clone();
        let image = self.image(actor);
        Some(Box::pin(async move {
            let saved = match image {
                Ok(body) => self.save_image(id, A::VERSION, Some(body)).await,
                Err(source) => Err(SaveError::Unwritable { actor: id, source }),
            };
            if let Err(error) = saved {
                self.save_again();
                self.side().failed = Some(error.to_failure(M::NAME));
            }
        }))
    }
}

/// An actor read from what it was saved or packed as, with what else its context is to know.
pub(super) fn read<A: Actor>(memory: &[u8]) -> Result<(A, Side), StateError> {
    let image = image::open(memory)?;
    let read = state::read(&A::FORMS, &image.written)?;
    let side = Side {
        kept: (!read.kept.is_empty()).then_some((read.schema, read.kept)),
        effects: image.effects.unwrap_or_default(),
        named: NamedStates::arrived(image.named),
        ..Side::default()
    };
    Ok((read.value, side))
}

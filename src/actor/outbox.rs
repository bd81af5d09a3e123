//! The outbox: messages to other actors that leave when the actor that posts them is saved, in the same step.
//!
//! ```text
//!   turn: change, ctx.post(..) --one save--> store: state and posts --> silo sends each, again and again, in order per receiver
//!                                                                        |    the receiver takes it once: number <= last taken
//!   "quark.settled" <----------------------------------------------------'
//!   removed with the next save --> "quark.forget" to the receiver
//! ```
//! After a crash the next activation sends again what the store still has; the cluster brings up those of which nobody asks.

use super::{Accepts, ActorRef, Context, Effect, Heard, Hosted, Message};
use crate::{
    ident::{ActorId, Epoch, OnceId},
    wire::{self, EncodeError},
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::{collections::VecDeque, time::Duration};

/// What every actor takes of its silo, beside the messages of its kind; begins the names of all such messages.
pub const OWN_MESSAGES: &str = "quark.";

/// Tells an actor which of its posts were taken; [`Settled`].
pub const SETTLED: &str = "quark.settled";

/// Tells an actor that an outbox will not send again what was taken out of it; [`Forget`].
pub const FORGET: &str = "quark.forget";

/// Has an actor come up that has posted something, if it has not.
pub const WAKE: &str = "quark.wake";

/// Tells an actor of which activation of a stream the events are that it is given next; [`Heard`](super::Heard).
pub const HEARD: &str = "quark.heard";

/// Tells an actor that the directory gave it to another silo: an activation by this [`Epoch`](crate::ident::Epoch) ends.
pub const DISOWNED: &str = "quark.disowned";

/// Has an actor saved between two turns.
pub(super) const SAVE: &str = "quark.save";

/// How long after a post was taken that is saved, if no other save comes first.
const SETTLE: Duration = Duration::from_secs(1);

/// A message that was posted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Posted {
    /// One more for each message of the outbox; the first is 1.
    #[serde(rename = "n")]
    pub number: u64,
    /// To whom.
    #[serde(rename = "t")]
    pub to: ActorId,
    /// The wire name of the message.
    #[serde(rename = "m")]
    pub message: String,
    /// The message, named MessagePack.
    #[serde(rename = "b")]
    pub body: Bytes,
}

/// An outbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Outbox {
    /// Which; its receivers know it by this.
    id: OnceId,
    /// The number of the last message that was posted.
    last: u64,
    #[serde(default, skip_serializing_if = "VecDeque::is_empty")]
    posts: VecDeque<Posted>,
}

/// The body of [`SETTLED`].
#[derive(Debug, Serialize, Deserialize)]
pub struct Settled {
    /// Which outbox.
    pub outbox: OnceId,
    /// The message that was taken.
    pub number: u64,
}

/// The body of [`FORGET`].
#[derive(Debug, Serialize, Deserialize)]
pub struct Forget {
    /// Which outbox.
    pub outbox: OnceId,
    /// The last message out of it to this actor.
    pub number: u64,
}

/// Why a message was not posted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PostError {
    /// It cannot be serialized.
    #[error("the message {message} cannot be posted: {source}")]
    Unwritable {
        /// Its wire name.
        message: &'static str,
        /// Why.
        source: EncodeError,
    },
    /// The actor is never saved, so nothing can be saved with it.
    #[error("the kind is declared `volatile`: it has no outbox, as it is never saved; use tell, or save the actor")]
    Volatile,
    /// Too many wait.
    #[error("{max} posted messages wait to be taken already; wait until receivers take some")]
    Full {
        /// How many may wait.
        max: usize,
    },
}

impl Outbox {
    /// The most messages that wait in an outbox.
    const MAX: usize = 1000;

    fn new() -> Self {
        Self {
            id: OnceId::random(),
            last: 0,
            posts: VecDeque::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.posts.is_empty()
    }

    /// The messages after a number, up to another.
    pub(super) fn between(&self, after: u64, last: u64) -> impl Iterator<Item = &Posted> {
        let is_between = move |post: &&Posted| post.number > after && post.number <= last;
        self.posts.iter().filter(is_between)
    }

    /// Which.
    pub(super) fn id(&self) -> OnceId {
        self.id
    }

    /// The number of the last message.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// A message was taken. Answers it, if it was not known before.
    fn settle(&mut self, number: u64) -> Option<Posted> {
        let at = self.posts.iter().position(|post| post.number == number)?;
        self.posts.remove(at)
    }

    fn waits_for(&self, to: &ActorId) -> bool {
        self.posts.iter().any(|post| post.to == *to)
    }
}

/// What an outbox has to tell its receivers after a save.
#[derive(Debug, Default)]
pub(super) struct ToForget(Vec<(ActorId, u64)>);

impl ToForget {
    fn settled(&mut self, post: Posted) {
        self.0.retain(|(to, _)| *to != post.to);
        self.0.push((post.to, post.number));
    }

    /// The receivers for whom nothing waits any more.
    pub(super) fn take(&mut self, outbox: &Outbox) -> Vec<(ActorId, u64)> {
        let (keep, take) = std::mem::take(&mut self.0)
            .into_iter()
            .partition(|(to, _)| outbox.waits_for(to));
        self.0 = keep;
        take
    }
}

impl<A: Serialize + Hosted> Context<A> {
    /// Posts a message: it leaves when the actor is saved, at the end of this turn at the latest, before the turn is answered. Change
    /// and message are saved in one step, so neither is without the other, whatever crashes. It is sent until it was taken, and
    /// taken once; those to one actor in the order posted. What its handler answers is dropped. A handler that panics again and again
    /// makes it a dead letter.
    ///
    /// # Errors
    /// [`PostError`]: it cannot be serialized, too many wait, or the actor is `volatile`.
    pub fn post<K: super::Kind + Accepts<M>, M: Message>(
        &mut self,
        to: &ActorRef<K>,
        message: &M,
    ) -> Result<(), PostError> {
        if A::VOLATILE {
            return Err(PostError::Volatile);
        }
        let body = wire::encode(message).map_err(|source| PostError::Unwritable {
            message: M::NAME,
            source,
        })?;
        let outbox = self.side().effects.outbox.get_or_insert_with(Outbox::new);
        if outbox.posts.len() >= Outbox::MAX {
            return Err(PostError::Full { max: Outbox::MAX });
        }
        outbox.last += 1;
        outbox.posts.push_back(Posted {
            number: outbox.last,
            to: to.id().clone(),
            message: M::NAME.to_owned(),
            body,
        });
        self.side().has_posted = true;
        Ok(())
    }
}

impl<A> Context<A> {
    /// A message of the actor's silo to it; one that cannot be read is passed over.
    #[cold]
    pub(super) fn told_by_silo(&mut self, message: &str, body: &[u8]) {
        match message {
            SETTLED => {
                if let Ok(settled) = wire::decode::<Settled>(body) {
                    self.settled(&settled);
                }
            }
            FORGET => {
                if let Ok(forget) = wire::decode::<Forget>(body) {
                    let now = self.services().clock().wall_micros() / 1_000_000;
                    self.side().effects.forget(forget.outbox, forget.number, now);
                }
            }
            HEARD => {
                if let Ok(heard) = wire::decode::<Heard>(body) {
                    self.heard(&heard);
                }
            }
            DISOWNED => {
                let disowned = wire::decode::<Epoch>(body).ok();
                if disowned == Some(self.mailbox().epoch()) {
                    self.discard();
                }
            }
            SAVE => self.side().save_now = true,
            _ => {}
        }
    }

    fn settled(&mut self, settled: &Settled) {
        let side = self.side();
        let outbox = side.effects.outbox.as_mut();
        let outbox = outbox.filter(|outbox| outbox.id == settled.outbox);
        if let Some(post) = outbox.and_then(|outbox| outbox.settle(settled.number)) {
            side.to_forget.settled(post);
            // Until then its receiver remembers it, and the cluster wakes this actor if it is lost.
            self.set_save(SETTLE);
        }
    }
}

impl Posted {
    /// The effect that the message is to have, out of this outbox.
    pub fn effect(&self, outbox: OnceId) -> Effect {
        Effect::Posted {
            outbox,
            number: self.number,
        }
    }
}

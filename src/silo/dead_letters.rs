//! Tells that were not delivered: where they go, and how they are sent again.

use super::{Node, SiloHandle};
use crate::{
    actor::OWN_MESSAGES,
    ident::ActorId,
    mailbox::Letter,
    runtime::{DeadLetter, NotClaimed},
    wire::{Failure, FailureCode, Ran},
};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use tokio::sync::oneshot;

/// To how many actors letters are replayed at once.
const ACTORS_AT_ONCE: usize = 64;

/// What became of a dead letter that was to be replayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// Its number.
    pub number: u64,
    /// `Ok`: it has run, and is no dead letter any more.
    pub result: Result<(), ReplayError>,
}

/// Why a dead letter was not replayed. It is kept, unless it was not there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// There is no letter of that number.
    #[error("there is no dead letter of that number (any more)")]
    NotThere,
    /// Somebody else replays it.
    #[error("the dead letter is being replayed already")]
    AlreadyReplaying,
    /// Its message could not be serialized when it was kept.
    #[error("the message of the dead letter could not be serialized; it can only be removed")]
    Unreadable,
    /// It failed again.
    #[error("the message failed again: {0}")]
    Failed(Failure),
    /// It would have overtaken an earlier one.
    #[error("an earlier dead letter to the same actor failed again; this one waits for it")]
    AfterFailed,
    /// The silo has ended.
    #[error("the silo has ended; what became of the dead letter is not known")]
    Ended,
}

impl From<NotClaimed> for ReplayError {
    fn from(why: NotClaimed) -> Self {
        match why {
            NotClaimed::NotThere => Self::NotThere,
            NotClaimed::Claimed => Self::AlreadyReplaying,
            NotClaimed::Unreadable => Self::Unreadable,
        }
    }
}

/// Dead letters.
impl SiloHandle {
    /// The tells that this silo could not deliver, oldest first; with [`super::SiloOptions::dead_letters_of_panics`] also those
    /// whose handlers panicked here.
    pub fn dead_letters(&self) -> Vec<DeadLetter> {
        self.node.dead_letters.list()
    }

    /// Those to one actor, oldest first.
    pub fn dead_letters_of(&self, actor: &ActorId) -> Vec<DeadLetter> {
        self.node.dead_letters.list_of(actor)
    }

    /// Takes a dead letter out; `None` if it is not there (any more).
    pub fn remove_dead_letter(&self, number: u64) -> Option<DeadLetter> {
        self.node.dead_letters.remove(number)
    }

    /// Forgets all dead letters; answers how many there were.
    pub fn clear_dead_letters(&self) -> usize {
        self.node.dead_letters.clear()
    }

    /// Sends a dead letter again, and waits until it has run.
    ///
    /// A letter whose [`Failure::ran`] is not [`Ran::No`] may have run already, and runs again. Dropping the future does not stop
    /// the replay.
    ///
    /// # Errors
    /// [`ReplayError`]; the letter is kept with the new reason.
    pub async fn replay_dead_letter(&self, number: u64) -> Result<(), ReplayError> {
        let replayed = self.replay_dead_letters([number]).await;
        replayed.into_iter().next().map_or(Ok(()), |replayed| replayed.result)
    }

    /// Sends dead letters again as [`SiloHandle::replay_dead_letter`] does: those to one actor in their original order, each when
    /// the one before has run. After one that did not run, those behind it to the same actor are not tried. Answers in
    /// the original order.
    pub async fn replay_dead_letters(&self, numbers: impl IntoIterator<Item = u64>) -> Vec<Replayed> {
        let numbers: BTreeSet<u64> = numbers.into_iter().collect();
        let (tell, told) = oneshot::channel();
        let (node, wanted) = (self.node.clone(), numbers.clone());
        self.node.spawn(async move {
            // Nobody hears it if nobody waits.
            let _gone = tell.send(node.replay(wanted).await);
        });
        let ended = |number| Replayed {
            number,
            result: Err(ReplayError::Ended),
        };
        (told.await).unwrap_or_else(|_| numbers.into_iter().map(ended).collect())
    }

    /// Sends all dead letters to an actor again, as [`SiloHandle::replay_dead_letters`] does.
    pub async fn replay_dead_letters_of(&self, actor: &ActorId) -> Vec<Replayed> {
        let letters = self.dead_letters_of(actor);
        self.replay_dead_letters(letters.into_iter().map(|letter| letter.number))
            .await
    }
}

impl Node {
    /// A tell was not delivered, or its handler panicked.
    pub(super) fn undelivered(self: &Arc<Self>, actor: &ActorId, letter: &Letter, why: &Failure) {
        if letter.body.name().starts_with(OWN_MESSAGES) {
            // Nobody misses it: it is said again, or need not be.
            return tracing::debug!(%actor, message = letter.body.name(), %why, "a message of a silo's own was not delivered");
        }
        let body = letter.body.encode().unwrap_or_default();
        self.retry_or_keep(actor, letter.body.name().to_owned(), body, why.clone());
    }

    pub(super) fn keep_dead_letter(&self, actor: ActorId, message: String, body: Bytes, why: Failure) {
        tracing::debug!(%actor, message, %why, "a dead letter");
        self.dead_letters.push(DeadLetter {
            number: 0,
            actor,
            message,
            body,
            why,
            at_micros: self.clock.wall_micros(),
        });
    }

    pub(super) async fn replay(self: &Arc<Self>, numbers: BTreeSet<u64>) -> Vec<Replayed> {
        let mut results: BTreeMap<u64, Result<(), ReplayError>> = BTreeMap::new();
        let mut by_actor: BTreeMap<ActorId, Vec<DeadLetter>> = BTreeMap::new();
        for number in numbers {
            match self.dead_letters.claim(number) {
                Ok(letter) => by_actor.entry(letter.actor.clone()).or_default().push(letter),
                Err(why) => _ = results.insert(number, Err(why.into())),
            }
        }
        let replays = by_actor.into_values().map(|letters| self.replay_in_order(letters));
        let mut replays = stream::iter(replays).buffer_unordered(ACTORS_AT_ONCE);
        while let Some(replayed) = replays.next().await {
            results.extend(replayed);
        }
        let replayed = results.into_iter();
        replayed.map(|(number, result)| Replayed { number, result }).collect()
    }

    /// Letters to one actor.
    async fn replay_in_order(self: &Arc<Self>, letters: Vec<DeadLetter>) -> Vec<(u64, Result<(), ReplayError>)> {
        let mut results = Vec::with_capacity(letters.len());
        let mut stopped = false;
        for letter in letters {
            let number = letter.number;
            if stopped {
                self.dead_letters.replayed(number, Err(letter.why));
                results.push((number, Err(ReplayError::AfterFailed)));
                continue;
            }
            let result = self.send_again(&letter.actor, &letter.message, &letter.body).await;
            self.dead_letters.replayed(number, result.clone());
            stopped = result.as_ref().is_err_and(|failure| failure.ran == Ran::No);
            results.push((number, result.map_err(ReplayError::Failed)));
        }
        results
    }

    /// Sends a message that nobody waits for, and waits until it has run.
    pub(super) async fn send_again(&self, actor: &ActorId, message: &str, body: &Bytes) -> Result<(), Failure> {
        match self.send_encoded(actor, message, body.clone(), None).await?.await {
            Some(Ok(_)) => Ok(()),
            Some(Err(failure)) if failure.ran == Ran::Yes && failure.code != FailureCode::Panicked as u16 => Ok(()),
            Some(Err(failure)) => Err(failure),
            None => {
                let text = format!("{message} to {actor} was dropped unanswered; it may have run");
                Err(Failure::new(FailureCode::Discarded, Ran::Unknown, text))
            }
        }
    }
}

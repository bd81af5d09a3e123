//! Tells that did not run and are tried again: a queue per actor, in order, each with one task that empties it.
//!
//! ```text
//!   undelivered --> queue of the actor --pause--> first letter sent --ran--> next letter
//!                        ^                               | did not run: one more failure for all that wait
//!                        +-------------------------------+ too many: dead letters, in order
//! ```

use super::Node;
use crate::{
    ident::ActorId,
    runtime::RetryPolicy,
    wire::{Failure, FailureCode, Ran},
};
use bytes::Bytes;
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

/// A tell that is tried again.
#[derive(Debug)]
pub(super) struct Retried {
    pub(super) message: String,
    pub(super) body: Bytes,
    pub(super) why: Failure,
    /// How many retries have failed.
    failed: u32,
    /// Whether it is on its way.
    sent: bool,
}

/// The tells that are tried again.
#[derive(Default)]
pub(super) struct Retries {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    queues: BTreeMap<ActorId, VecDeque<Retried>>,
    count: usize,
    closed: bool,
}

impl State {
    fn take_queue(&mut self, actor: &ActorId) -> VecDeque<Retried> {
        let queue = self.queues.remove(actor).unwrap_or_default();
        self.count -= queue.len();
        queue
    }
}

/// What became of a letter that was to be tried again.
enum Taken {
    /// Somebody empties its queue already.
    Queued,
    /// It is the first of its queue.
    First,
    /// There are too many.
    Full(Retried),
}

impl Retries {
    fn add(&self, actor: &ActorId, letter: Retried, capacity: usize) -> Taken {
        let mut state = self.state.lock();
        if state.closed || state.count >= capacity {
            return Taken::Full(letter);
        }
        state.count += 1;
        match state.queues.get_mut(actor) {
            Some(queue) => {
                queue.push_back(letter);
                Taken::Queued
            }
            None => {
                state.queues.insert(actor.clone(), VecDeque::from([letter]));
                Taken::First
            }
        }
    }

    /// The message that is sent next.
    fn send_first(&self, actor: &ActorId) -> Option<(String, Bytes)> {
        let mut state = self.state.lock();
        let first = state.queues.get_mut(actor)?.front_mut()?;
        first.sent = true;
        Some((first.message.clone(), first.body.clone()))
    }

    /// How many retries of the first have failed.
    fn failures(&self, actor: &ActorId) -> Option<u32> {
        self.state.lock().queues.get(actor)?.front().map(|first| first.failed)
    }

    /// The first has run, or ended so that it is not tried again. `None`: it is not here any more.
    fn take_first(&self, actor: &ActorId) -> Option<Retried> {
        let mut state = self.state.lock();
        let queue = state.queues.get_mut(actor)?;
        let first = queue.pop_front()?;
        if queue.is_empty() {
            state.queues.remove(actor);
        }
        state.count -= 1;
        Some(first)
    }

    /// The first did not run, and no other would have. Answers those that have failed too often, in order.
    fn failed(&self, actor: &ActorId, why: &Failure, max_retries: u32) -> VecDeque<Retried> {
        let mut state = self.state.lock();
        let Some(queue) = state.queues.get_mut(actor) else {
            return VecDeque::new();
        };
        for letter in queue.iter_mut() {
            letter.failed += 1;
            letter.sent = false;
            letter.why = why.clone();
        }
        // An earlier one has failed at least as often as a later one.
        let over = queue.iter().take_while(|letter| letter.failed >= max_retries).count();
        let over: VecDeque<Retried> = queue.drain(..over).collect();
        if queue.is_empty() {
            state.queues.remove(actor);
        }
        state.count -= over.len();
        over
    }

    /// How many letters wait.
    pub(super) fn len(&self) -> usize {
        self.state.lock().count
    }

    /// No more retries; answers what waits.
    fn close(&self) -> Vec<(ActorId, Retried)> {
        let mut state = self.state.lock();
        state.closed = true;
        let actors: Vec<ActorId> = state.queues.keys().cloned().collect();
        let take = |actor: ActorId| {
            let queue = state.take_queue(&actor);
            let named = queue.into_iter().map(move |mut letter| {
                if letter.sent {
                    let text = format!("{} to {actor} was on its way when its silo ended", letter.message);
                    letter.why = Failure::new(FailureCode::Unknown, Ran::Unknown, text);
                }
                (actor.clone(), letter)
            });
            named.collect::<Vec<_>>()
        };
        actors.into_iter().flat_map(take).collect()
    }
}

impl Node {
    /// Tries a tell again, if it may run later and there is room; else it is a dead letter.
    pub(super) fn retry_or_keep(self: &Arc<Self>, actor: &ActorId, message: String, body: Bytes, why: Failure) {
        let worth_it = RetryPolicy::is_worth_it(&why) && !body.is_empty();
        let Some(policy) = self
            .options
            .tell_retry
            .as_ref()
            .filter(|policy| worth_it && policy.max_retries > 0)
        else {
            return self.keep_dead_letter(actor.clone(), message, body, why);
        };
        let letter = Retried {
            message,
            body,
            why,
            failed: 0,
            sent: false,
        };
        match self.retries.add(actor, letter, self.options.dead_letter_capacity) {
            Taken::Queued => {}
            Taken::Full(letter) => self.keep_retried(actor.clone(), letter),
            Taken::First => {
                let (node, actor, policy) = (Arc::downgrade(self), actor.clone(), policy.clone());
                let clock = self.clock.clone();
                self.spawn(async move {
                    let mut wait = policy.wait(&actor, 1);
                    loop {
                        clock.sleep(wait).await;
                        let Some(node) = node.upgrade() else { return };
                        match node.retry_first(&actor, &policy).await {
                            Some(next) => wait = next,
                            None => return,
                        }
                    }
                });
            }
        }
    }

    /// Sends the letters of an actor until one does not run. Answers how long to pause then; `None`: none is left.
    async fn retry_first(self: &Arc<Self>, actor: &ActorId, policy: &RetryPolicy) -> Option<std::time::Duration> {
        loop {
            let (message, body) = self.retries.send_first(actor)?;
            let Err(why) = self.send_again(actor, &message, &body).await else {
                self.retries.take_first(actor);
                continue;
            };
            if RetryPolicy::is_worth_it(&why) {
                for letter in self.retries.failed(actor, &why, policy.max_retries) {
                    self.keep_retried(actor.clone(), letter);
                }
                return Some(policy.wait(actor, self.retries.failures(actor)? + 1));
            }
            let Some(mut letter) = self.retries.take_first(actor) else {
                continue;
            };
            let panicked = why.code == FailureCode::Panicked as u16;
            letter.why = why;
            if !panicked || self.options.dead_letters_of_panics {
                self.keep_retried(actor.clone(), letter);
            }
        }
    }

    fn keep_retried(&self, actor: ActorId, letter: Retried) {
        self.keep_dead_letter(actor, letter.message, letter.body, letter.why);
    }

    /// The silo ends: what waits for a retry is a dead letter.
    pub(super) fn end_retries(&self) {
        let waiting = self.retries.close();
        if !waiting.is_empty() {
            let letters = waiting.len();
            tracing::warn!(silo = %self.me, letters, "tells were waiting to be tried again when the silo ended");
        }
        for (actor, letter) in waiting {
            self.keep_retried(actor, letter);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn actor() -> ActorId {
        ActorId::new("k", "a").expect("valid")
    }

    fn failure() -> Failure {
        Failure::new(FailureCode::ActivationFailed, Ran::No, "closed")
    }

    fn letter(name: &str) -> Retried {
        Retried {
            message: name.into(),
            body: Bytes::from_static(b"\xc0"),
            why: failure(),
            failed: 0,
            sent: false,
        }
    }

    fn names(letters: impl IntoIterator<Item = Retried>) -> Vec<String> {
        letters.into_iter().map(|letter| letter.message).collect()
    }

    /// R108
    #[test]
    fn a_failed_retry_counts_for_all_that_wait_and_the_first_are_given_up_first() {
        let retries = Retries::default();
        assert!(matches!(retries.add(&actor(), letter("1"), 10), Taken::First));
        assert!(matches!(retries.add(&actor(), letter("2"), 10), Taken::Queued));
        assert!(retries.failed(&actor(), &failure(), 2).is_empty());
        assert!(matches!(retries.add(&actor(), letter("3"), 10), Taken::Queued));
        assert_eq!(names(retries.failed(&actor(), &failure(), 2)), ["1", "2"]);
        assert_eq!(retries.len(), 1);
        assert_eq!(names(retries.failed(&actor(), &failure(), 2)), ["3"]);
        assert_eq!((retries.len(), retries.send_first(&actor()).is_none()), (0, true));
        assert!(
            matches!(retries.add(&actor(), letter("4"), 10), Taken::First),
            "a task of its own again"
        );
    }

    #[test]
    fn what_is_tried_again_is_bounded_and_ends_with_the_silo() {
        let retries = Retries::default();
        assert!(matches!(retries.add(&actor(), letter("1"), 2), Taken::First));
        assert!(matches!(retries.add(&actor(), letter("2"), 2), Taken::Queued));
        assert!(matches!(retries.add(&actor(), letter("3"), 2), Taken::Full(_)));
        assert_eq!(names(retries.take_first(&actor())), ["1"]);
        assert!(matches!(retries.add(&actor(), letter("3"), 2), Taken::Queued));
        assert!(retries.send_first(&actor()).is_some());
        let left = retries.close();
        let ran: Vec<_> = left.iter().map(|(_, letter)| letter.why.ran).collect();
        assert_eq!(ran, [Ran::Unknown, Ran::No], "the first was on its way");
        assert_eq!(names(left.into_iter().map(|(_, letter)| letter)), ["2", "3"]);
        assert!(retries.take_first(&actor()).is_none());
        assert!(matches!(retries.add(&actor(), letter("4"), 2), Taken::Full(_)));
    }
}

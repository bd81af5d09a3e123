//! Tells that could not be delivered.

use crate::{
    ident::ActorId,
    wire::{Failure, Ran},
};
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::VecDeque;

/// A tell that did not run.
#[derive(Clone, Debug, PartialEq)]
pub struct DeadLetter {
    /// To whom.
    pub actor: ActorId,
    /// The wire name of the message.
    pub message: String,
    /// The message, named MessagePack; empty if it cannot be serialized.
    pub body: Bytes,
    /// Why it did not run.
    pub why: Failure,
    /// When, in microseconds of the wall clock since the Unix epoch.
    pub at_micros: u64,
}

/// The last tells that could not be delivered; the oldest make room.
#[derive(Debug)]
pub struct DeadLetters {
    capacity: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    letters: VecDeque<DeadLetter>,
    dropped: u64,
}

impl DeadLetters {
    /// At most `capacity` letters are kept.
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity,
            state: Mutex::default(),
        }
    }

    /// Keeps a letter.
    pub fn push(&self, letter: DeadLetter) {
        debug_assert_ne!(letter.why.ran, Ran::Yes, "what ran is no dead letter");
        let mut state = self.state.lock();
        if state.letters.len() >= self.capacity {
            state.letters.pop_front();
            state.dropped += 1;
        }
        if self.capacity > 0 {
            state.letters.push_back(letter);
        }
    }

    /// The letters, oldest first.
    pub fn list(&self) -> Vec<DeadLetter> {
        self.state.lock().letters.iter().cloned().collect()
    }

    /// How many letters are kept.
    pub fn len(&self) -> usize {
        self.state.lock().letters.len()
    }

    /// Whether none is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many had to make room since the start.
    pub fn dropped(&self) -> u64 {
        self.state.lock().dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::FailureCode;

    /// R103
    #[test]
    fn the_oldest_dead_letter_makes_room() {
        let letters = DeadLetters::new(2);
        for key in ["a", "b", "c"] {
            letters.push(DeadLetter {
                actor: ActorId::new("k", key).expect("valid"),
                message: "m".into(),
                body: Bytes::new(),
                why: Failure::new(FailureCode::NotHosted, Ran::No, "nobody"),
                at_micros: 0,
            });
        }
        let keys: Vec<_> = letters.list().iter().map(|l| l.actor.key().to_owned()).collect();
        assert_eq!(keys, ["b", "c"]);
        assert_eq!(letters.dropped(), 1);
    }
}

//! Tells that could not be delivered.

use crate::{ident::ActorId, wire::Failure};
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::BTreeMap;

/// A tell that was not delivered, or whose handler panicked.
#[derive(Clone, Debug, PartialEq)]
pub struct DeadLetter {
    /// Which letter, among those of its silo: a later one has a higher number. Given by [`DeadLetters::push`].
    pub number: u64,
    /// To whom.
    pub actor: ActorId,
    /// The wire name of the message.
    pub message: String,
    /// The message, named MessagePack; empty if it cannot be serialized.
    pub body: Bytes,
    /// What became of it at the last attempt. [`Failure::ran`] says whether it ran.
    pub why: Failure,
    /// When, in microseconds of the wall clock since the Unix epoch.
    pub at_micros: u64,
}

/// The last tells that could not be delivered; the oldest make room.
///
/// A letter that is being replayed is claimed: it stays in its place until it is known to have run, and cannot be replayed
/// by somebody else meanwhile.
#[derive(Debug)]
pub struct DeadLetters {
    capacity: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    letters: BTreeMap<u64, Kept>,
    last: u64,
    dropped: u64,
}

#[derive(Debug)]
struct Kept {
    letter: DeadLetter,
    claimed: bool,
}

impl DeadLetters {
    /// At most `capacity` letters are kept.
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity,
            state: Mutex::default(),
        }
    }

    /// Keeps a letter, and gives it its number.
    pub fn push(&self, mut letter: DeadLetter) {
        let mut state = self.state.lock();
        if self.capacity == 0 {
            state.dropped += 1;
            return;
        }
        if state.letters.len() >= self.capacity {
            state.letters.pop_first();
            state.dropped += 1;
        }
        state.last += 1;
        let number = state.last;
        letter.number = number;
        let claimed = false;
        state.letters.insert(number, Kept { letter, claimed });
    }

    /// The letters, oldest first.
    pub fn list(&self) -> Vec<DeadLetter> {
        self.select(|_| true)
    }

    /// The letters to an actor, oldest first.
    pub fn list_of(&self, actor: &ActorId) -> Vec<DeadLetter> {
        self.select(|letter| letter.actor == *actor)
    }

    fn select(&self, wanted: impl Fn(&DeadLetter) -> bool) -> Vec<DeadLetter> {
        let state = self.state.lock();
        let letters = state.letters.values().map(|kept| &kept.letter);
        letters.filter(|letter| wanted(letter)).cloned().collect()
    }

    /// Takes a letter out, if it is there.
    pub fn remove(&self, number: u64) -> Option<DeadLetter> {
        self.state.lock().letters.remove(&number).map(|kept| kept.letter)
    }

    /// Forgets all letters; answers how many there were.
    pub fn clear(&self) -> usize {
        std::mem::take(&mut self.state.lock().letters).len()
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

    /// Claims a letter, to replay it.
    ///
    /// # Errors
    /// [`NotClaimed`]; nothing has changed.
    pub fn claim(&self, number: u64) -> Result<DeadLetter, NotClaimed> {
        let mut state = self.state.lock();
        let kept = state.letters.get_mut(&number).ok_or(NotClaimed::NotThere)?;
        if kept.claimed {
            return Err(NotClaimed::Claimed);
        }
        if kept.letter.body.is_empty() {
            return Err(NotClaimed::Unreadable);
        }
        kept.claimed = true;
        Ok(kept.letter.clone())
    }

    /// A letter that was claimed has run, and goes; or not, and is kept in its place with the new reason.
    pub fn replayed(&self, number: u64, result: Result<(), Failure>) {
        let mut state = self.state.lock();
        match (result, state.letters.get_mut(&number)) {
            (Ok(()), _) => _ = state.letters.remove(&number),
            (Err(why), Some(kept)) => {
                kept.letter.why = why;
                kept.claimed = false;
            }
            // It was removed, or had to make room, meanwhile.
            (Err(_), None) => {}
        }
    }
}

/// Why a letter cannot be replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotClaimed {
    /// It was removed, or had to make room.
    NotThere,
    /// It is being replayed already.
    Claimed,
    /// Its message could not be serialized.
    Unreadable,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{FailureCode, Ran};

    fn letter(key: &str) -> DeadLetter {
        DeadLetter {
            number: 0,
            actor: ActorId::new("k", key).expect("valid"),
            message: "m".into(),
            body: Bytes::from_static(b"\xc0"),
            why: Failure::new(FailureCode::NotHosted, Ran::No, "nobody"),
            at_micros: 0,
        }
    }

    fn keys(letters: &[DeadLetter]) -> Vec<&str> {
        letters.iter().map(|letter| letter.actor.key()).collect()
    }

    /// R103
    #[test]
    fn the_oldest_dead_letter_makes_room() {
        let letters = DeadLetters::new(2);
        for key in ["a", "b", "c"] {
            letters.push(letter(key));
        }
        assert_eq!(keys(&letters.list()), ["b", "c"]);
        assert_eq!((letters.len(), letters.dropped()), (2, 1));
        let none = DeadLetters::new(0);
        none.push(letter("a"));
        assert_eq!((none.is_empty(), none.dropped()), (true, 1));
    }

    /// R103
    #[test]
    fn letters_are_listed_by_actor_removed_by_number_and_cleared() {
        let letters = DeadLetters::new(10);
        for key in ["a", "b", "a", "c"] {
            letters.push(letter(key));
        }
        let of_a = letters.list_of(&letter("a").actor);
        assert_eq!(of_a.iter().map(|letter| letter.number).collect::<Vec<_>>(), [1, 3]);
        assert_eq!(letters.remove(1).map(|letter| letter.number), Some(1));
        assert_eq!(letters.remove(1), None);
        assert_eq!(keys(&letters.list()), ["b", "a", "c"]);
        assert_eq!(letters.clear(), 3);
        assert!(letters.is_empty());
        letters.push(letter("d"));
        assert_eq!(letters.list()[0].number, 5, "a number is never given twice");
        assert_eq!(letters.dropped(), 0, "what is removed did not have to make room");
    }

    /// R103
    #[test]
    fn a_claimed_letter_stays_in_its_place_until_it_has_run() {
        let letters = DeadLetters::new(10);
        for key in ["a", "b", "c"] {
            letters.push(letter(key));
        }
        assert_eq!(letters.claim(2).expect("there").actor.key(), "b");
        assert_eq!(letters.claim(2), Err(NotClaimed::Claimed));
        assert_eq!(letters.claim(9), Err(NotClaimed::NotThere));
        let again = Failure::new(FailureCode::ActivationFailed, Ran::No, "again");
        letters.replayed(2, Err(again.clone()));
        assert_eq!(keys(&letters.list()), ["a", "b", "c"]);
        assert_eq!(letters.list()[1].why, again);
        assert!(letters.claim(2).is_ok());
        letters.replayed(2, Ok(()));
        assert_eq!(keys(&letters.list()), ["a", "c"]);
        letters.replayed(2, Err(again));
        assert_eq!(letters.len(), 2, "what was removed meanwhile does not come back");
    }

    #[test]
    fn a_letter_without_its_message_is_not_replayed() {
        let letters = DeadLetters::new(10);
        letters.push(DeadLetter {
            body: Bytes::new(),
            ..letter("a")
        });
        assert_eq!(letters.claim(1), Err(NotClaimed::Unreadable));
    }
}

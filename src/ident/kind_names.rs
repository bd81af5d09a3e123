//! The names of kinds, each kept once for as long as the process runs: an actor id names its kind by a number.
//!
//! A process knows few kinds, and its actors are many. Names come from other processes too, so their number and length are
//! bounded; an id whose kind has no number carries the name itself.

use parking_lot::Mutex;
use std::sync::OnceLock;

/// Places for names, a power of two.
const PLACES: usize = 1024;

/// At most so many are taken, so that a search ends soon.
const MAX_NAMES: usize = 512;

/// The longest name that is kept, in bytes.
const MAX_BYTES: usize = 64;

static NAMES: [OnceLock<Box<str>>; PLACES] = [const { OnceLock::new() }; PLACES];
/// How many there are. Names are added under its lock, so that one that found no room never gets a number later.
static COUNT: Mutex<usize> = Mutex::new(0);

/// The number of a name, from now on; `None` if it has none and never will.
pub(super) fn number_of(name: &str) -> Option<u16> {
    if name.len() > MAX_BYTES {
        return None;
    }
    let mut place = find(name);
    if NAMES[place].get().is_none() {
        let mut count = COUNT.lock();
        // Another may have taken it, for this name or its own.
        place = find(name);
        if NAMES[place].get().is_none() {
            if *count >= MAX_NAMES {
                return None;
            }
            *count += 1;
            NAMES[place].get_or_init(|| name.into());
        }
    }
    u16::try_from(place).ok()
}

/// The number of a name that has one: it was checked before.
pub(super) fn known(name: &str) -> Option<u16> {
    let place = find(name);
    NAMES[place].get().and_then(|_| u16::try_from(place).ok())
}

/// The place of a name, or the empty one that it would get.
fn find(name: &str) -> usize {
    let mut place = place_of(name);
    while NAMES[place].get().is_some_and(|known| **known != *name) {
        place = (place + 1) % PLACES;
    }
    place
}

/// The name of a number that [`number_of`] gave.
pub(super) fn name_of(number: u16) -> &'static str {
    (NAMES.get(usize::from(number)).and_then(OnceLock::get)).expect("invariant: a number is given with its name")
}

fn place_of(name: &str) -> usize {
    let hash = xxhash_rust::xxh3::xxh3_64(name.as_bytes());
    usize::try_from(hash % PLACES as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_number_whoever_asks_first() {
        let numbers: Vec<_> = std::thread::scope(|scope| {
            let ask = || scope.spawn(|| ["kept-once", "kept-beside"].map(number_of));
            let asked: Vec<_> = (0..4).map(|_| ask()).collect();
            asked.into_iter().map(|thread| thread.join().expect("ends")).collect()
        });
        let [one, other] = numbers[0].map(|number| number.expect("few names are known"));
        assert!(numbers.iter().all(|seen| *seen == [Some(one), Some(other)]));
        assert_eq!((name_of(one), name_of(other)), ("kept-once", "kept-beside"));
    }

    #[test]
    fn a_long_name_gets_no_number() {
        assert_eq!(number_of(&"x".repeat(MAX_BYTES + 1)), None);
    }
}

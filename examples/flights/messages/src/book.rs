//! The book that each actor keeps of the messages it has run: part of its state, so it moves with it.

use quark::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// Says which message of which sender to one actor this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Shape)]
pub struct Stamp {
    /// The sender.
    pub sender: u16,
    /// Counts the sender's messages to this actor, from 1.
    pub number: u64,
}

/// What an actor has run, by sender.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Shape)]
pub struct Book {
    lines: BTreeMap<u16, Line>,
}

/// What an actor has run of one sender.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Shape)]
pub struct Line {
    /// The highest number that ran.
    pub last: u64,
    /// The numbers below it that did not.
    pub missing: BTreeSet<u64>,
    /// Messages that ran after a later one.
    pub late: u64,
    /// Messages that had run before.
    pub repeated: u64,
}

impl Line {
    /// How many different messages ran.
    pub fn ran(&self) -> u64 {
        self.last - self.missing.len() as u64
    }

    /// Whether the message of this number ran.
    pub fn has(&self, number: u64) -> bool {
        (1..=self.last).contains(&number) && !self.missing.contains(&number)
    }
}

impl Book {
    /// Enters a message that runs now.
    pub fn enter(&mut self, stamp: Stamp) {
        let line = self.lines.entry(stamp.sender).or_default();
        if stamp.number > line.last {
            line.missing.extend(line.last + 1..stamp.number);
            line.last = stamp.number;
        } else if line.missing.remove(&stamp.number) {
            line.late += 1;
        } else {
            line.repeated += 1;
        }
    }

    /// The line of a sender.
    pub fn line(&self, sender: u16) -> Option<&Line> {
        self.lines.get(&sender)
    }

    /// All lines, by sender.
    pub fn lines(&self) -> impl Iterator<Item = (u16, &Line)> {
        self.lines.iter().map(|(sender, line)| (*sender, line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entered(numbers: &[u64]) -> Line {
        let mut book = Book::default();
        for &number in numbers {
            book.enter(Stamp { sender: 7, number });
        }
        book.line(7).cloned().unwrap_or_default()
    }

    #[test]
    fn messages_in_order_leave_nothing_to_note() {
        let line = entered(&[1, 2, 3]);
        assert_eq!((line.ran(), line.late, line.repeated, line.missing.len()), (3, 0, 0, 0));
    }

    #[test]
    fn a_message_that_never_came_is_missing() {
        let line = entered(&[1, 4]);
        assert_eq!((line.ran(), line.late, line.repeated), (2, 0, 0));
        assert_eq!(line.missing, BTreeSet::from([2, 3]));
        assert!(line.has(4) && !line.has(3) && !line.has(5) && !line.has(0));
    }

    #[test]
    fn a_message_overtaken_by_a_later_one_is_late_and_not_missing() {
        let line = entered(&[2, 1, 3]);
        assert_eq!((line.ran(), line.late, line.repeated, line.missing.len()), (3, 1, 0, 0));
    }

    #[test]
    fn a_message_that_runs_twice_is_repeated() {
        let line = entered(&[1, 2, 2, 1]);
        assert_eq!((line.ran(), line.late, line.repeated), (2, 0, 2));
    }
}

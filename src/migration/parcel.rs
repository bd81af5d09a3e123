//! A large package on its way: in parts, with credit, so that a link carries other frames between them and neither side
//! holds more than a few parts that nobody has taken.

use std::ops::Range;

/// What a source has sent of a large package, and what it may send.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sending {
    total: usize,
    part: usize,
    credit: usize,
    sent: usize,
    taken: usize,
}

impl Sending {
    /// Bytes of a part. A package that is not larger travels whole.
    pub const PART_BYTES: usize = 256 * 1024;

    /// Bytes that may be on their way.
    pub const CREDIT_BYTES: usize = 4 * Self::PART_BYTES;

    /// Nothing is sent of a package of `total` bytes, which goes in parts of `part` bytes, of which `credit` at most are on
    /// their way.
    pub fn new(total: usize, part: usize, credit: usize) -> Self {
        assert!(
            part > 0 && credit >= part,
            "invariant: a part has bytes and fits the credit"
        );
        Self {
            total,
            part,
            credit,
            sent: 0,
            taken: 0,
        }
    }

    /// The part that may be sent now; it counts as sent then.
    pub fn next_part(&mut self) -> Option<Range<usize>> {
        let end = self.total.min(self.sent + self.part);
        if self.sent == self.total || end - self.taken > self.credit {
            return None;
        }
        let part = self.sent..end;
        self.sent = end;
        Some(part)
    }

    /// The target has taken all up to `upto`. What was not sent cannot have been taken: a word of another attempt.
    pub fn taken(&mut self, upto: usize) {
        if upto <= self.sent {
            self.taken = self.taken.max(upto);
        }
    }
}

/// What a target has of a large package.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Receiving {
    total: usize,
    received: usize,
}

/// What became of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// It is the next one; more are to come.
    Next,
    /// It is the last one.
    Last,
    /// It does not fit: of another attempt, or seen before. To be ignored.
    Stray,
}

impl Receiving {
    /// Nothing has come of a package of `total` bytes.
    pub fn new(total: usize) -> Self {
        Self { total, received: 0 }
    }

    /// A part of `bytes` from `offset` on, of a package of `total`.
    pub fn part(&mut self, offset: usize, bytes: usize, total: usize) -> Part {
        let fits = offset == self.received && bytes > 0 && bytes <= self.total - self.received;
        if total != self.total || !fits {
            return Part::Stray;
        }
        self.received += bytes;
        if self.received == self.total {
            Part::Last
        } else {
            Part::Next
        }
    }

    /// Bytes that have come.
    pub fn received(&self) -> usize {
        self.received
    }

    /// Bytes of the whole.
    pub fn total(&self) -> usize {
        self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn no_more_is_on_its_way_than_there_is_credit_for() {
        let mut sending = Sending::new(10, 2, 4);
        assert_eq!((sending.next_part(), sending.next_part()), (Some(0..2), Some(2..4)));
        assert_eq!(sending.next_part(), None, "the credit is used up");
        sending.taken(2);
        assert_eq!((sending.next_part(), sending.next_part()), (Some(4..6), None));
        sending.taken(2);
        assert_eq!(sending.next_part(), None, "the same word gives nothing twice");
        sending.taken(9);
        assert_eq!(sending.next_part(), None, "what was not sent cannot have been taken");
        sending.taken(6);
        assert_eq!((sending.next_part(), sending.next_part()), (Some(6..8), Some(8..10)));
        sending.taken(10);
        assert_eq!(sending.next_part(), None, "all is sent");
    }

    #[test]
    fn parts_of_another_attempt_are_strays() {
        let mut receiving = Receiving::new(10);
        assert_eq!(receiving.part(2, 2, 10), Part::Stray, "one is missing before it");
        assert_eq!(receiving.part(0, 4, 10), Part::Next);
        assert_eq!(receiving.part(0, 4, 10), Part::Stray, "seen before");
        assert_eq!(receiving.part(4, 4, 12), Part::Stray, "of another whole");
        assert_eq!(receiving.part(4, 7, 10), Part::Stray, "more than the whole");
        assert_eq!(receiving.part(4, 0, 10), Part::Stray, "nothing");
        assert_eq!(receiving.part(4, 6, 10), Part::Last);
        assert_eq!(receiving.part(10, 1, 10), Part::Stray, "behind the end");
    }

    proptest! {
        #[test]
        fn every_package_arrives_whole(total in 1_usize..5000, part in 1_usize..600, parts in 1_usize..9) {
            let credit = part * parts;
            let (mut sending, mut receiving) = (Sending::new(total, part, credit), Receiving::new(total));
            let mut last = Part::Next;
            while last != Part::Last {
                let mut came = 0;
                while let Some(part) = sending.next_part() {
                    last = receiving.part(part.start, part.len(), total);
                    prop_assert_ne!(last, Part::Stray);
                    came += part.len();
                }
                prop_assert!(came > 0 && came <= credit, "it goes on, within the credit");
                sending.taken(receiving.received());
            }
            prop_assert_eq!(receiving.received(), total);
        }
    }
}

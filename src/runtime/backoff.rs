//! How long an actor that panics again and again waits before it is rebuilt.

use crate::{clock::Moment, wire::PackedSubscription};
use std::time::Duration;

/// The pause after the second panic in a row; doubled by each that follows. After the first there is none.
const FIRST_PAUSE: Duration = Duration::from_millis(10);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// After so long without a panic, a turn that ends well clears the record.
const CALM: Duration = Duration::from_secs(60);

/// The panics of one actor, as long as they count.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Panics {
    /// In a row.
    count: u32,
    last: Moment,
    /// What the actor is subscribed to, until it is rebuilt.
    pub(super) streams: Vec<PackedSubscription>,
}

impl Panics {
    /// None so far.
    pub(super) fn none() -> Self {
        Self {
            count: 0,
            last: Moment::default(),
            streams: Vec::new(),
        }
    }

    /// One more. Answers how long to wait before the actor is rebuilt.
    pub(super) fn add(&mut self, now: Moment) -> Duration {
        let doublings = self.count.checked_sub(1);
        self.count = self.count.saturating_add(1);
        self.last = now;
        doublings.map_or(Duration::ZERO, |doublings| {
            FIRST_PAUSE
                .saturating_mul(1_u32.checked_shl(doublings).unwrap_or(u32::MAX))
                .min(LONGEST_PAUSE)
        })
    }

    /// Whether they count no more, if a turn that began at `turn` has ended well since.
    pub(super) fn are_over(&self, turn: Moment) -> bool {
        turn >= self.last + CALM
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guarantee 11
    #[test]
    fn the_first_panic_costs_no_pause_and_each_later_one_twice_the_last_up_to_ten_seconds() {
        let mut panics = Panics::none();
        let pauses: Vec<_> = (0..40).map(|n| panics.add(Moment(n)).as_millis()).collect();
        assert_eq!(pauses[..6], [0, 10, 20, 40, 80, 160]);
        assert_eq!(pauses[10..14], [5120, 10_000, 10_000, 10_000]);
        assert!(pauses[14..].iter().all(|pause| *pause == 10_000));
    }

    #[test]
    fn panics_count_until_a_turn_a_minute_later_has_ended_well() {
        let mut panics = Panics::none();
        let at = Moment::default() + Duration::from_secs(5);
        panics.add(at);
        assert!(!panics.are_over(at + Duration::from_millis(59_999)));
        assert!(panics.are_over(at + CALM));
    }
}

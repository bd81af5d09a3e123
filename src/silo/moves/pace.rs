//! How fast moves may begin beside work for others.
//!
//! What moves takes processor time at its source and at its target: as fast as it can, it keeps every thread of both busy, and a
//! message to another actor waits for its share. So while a silo, or one that moves go to, runs messages of others, moves begin at
//! a bounded rate, by a token bucket; where nobody else is served there is nobody to wait, and no bound. A silo that leaves has a
//! time by which all should have begun: the rate is never so low that they could not.

use crate::clock::Moment;
use std::time::Duration;

/// How much time's worth of moves may begin at once.
const AT_ONCE: Duration = Duration::from_millis(2);

/// Moves in a second that are as good as no bound.
const MOST: f64 = 1e9;

/// For how long it counts that others were served: more than a steady client's time between two messages.
const REMEMBERED: Duration = Duration::from_millis(200);

/// How fast moves may begin.
pub(super) struct Pace {
    /// Moves in a second, beside work for others.
    rate: f64,
    /// Others are served until then, as far as is known; `None`: nobody has said yet, and they may be.
    until: Option<Moment>,
    /// How many moves may begin now, and when they were counted.
    tokens: f64,
    counted: Moment,
    /// How many turns this silo had run when it was last looked at.
    turns: u64,
    /// By when all should have begun.
    by: Option<Moment>,
}

impl Pace {
    pub(super) fn new(per_second: u32) -> Self {
        let rate = f64::from(per_second);
        Self {
            rate,
            until: None,
            tokens: most(rate),
            counted: Moment::default(),
            turns: 0,
            by: None,
        }
    }

    /// All should have begun by then, or in their own time.
    pub(super) fn finish_by(&mut self, by: Option<Moment>) {
        self.by = by;
    }

    /// This silo has run so many turns. Answers whether it has served others of late.
    pub(super) fn ran(&mut self, turns: u64, now: Moment) -> bool {
        if std::mem::replace(&mut self.turns, turns) != turns {
            self.until = Some(now + REMEMBERED);
        }
        self.until.is_some_and(|until| now < until)
    }

    /// A target has said whether it serves others.
    pub(super) fn told(&mut self, serves: bool, now: Moment) {
        if serves {
            self.until = Some(now + REMEMBERED);
        } else {
            self.until.get_or_insert(now);
        }
    }

    /// Whether one more may begin, of `all`, with `under_way` beside it.
    pub(super) fn allows(&mut self, all: usize, under_way: usize, now: Moment) -> bool {
        if under_way == 0 && !self.is_limited(now) {
            // Who served nobody then may do so now.
            self.until = None;
        }
        // Without end when the time is over.
        let needed = |by: Moment| (all - under_way) as f64 / by.since(now).as_secs_f64();
        let rate = self.by.map_or(0.0, needed).max(self.rate).min(MOST);
        let since = now.since(std::mem::replace(&mut self.counted, now));
        self.tokens = (self.tokens + rate * since.as_secs_f64()).min(most(rate));
        !self.is_limited(now) || self.tokens >= 1.0
    }

    /// One has begun.
    pub(super) fn began(&mut self) {
        self.tokens = (self.tokens - 1.0).max(0.0);
    }

    fn is_limited(&self, now: Moment) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

/// How many moves may begin at once, at this rate.
fn most(rate: f64) -> f64 {
    (rate * AT_ONCE.as_secs_f64()).max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: Duration = Duration::from_millis(1);

    /// How many begin now.
    fn begin(pace: &mut Pace, under_way: usize, now: Moment) -> usize {
        let began = (0..10_000).take_while(|_| {
            let allowed = pace.allows(100_000, under_way, now);
            if allowed {
                pace.began();
            }
            allowed
        });
        began.count()
    }

    #[test]
    fn beside_work_for_others_moves_begin_at_their_rate() {
        let mut pace = Pace::new(20_000);
        let (mut now, mut began) = (Moment::default(), 0);
        for _ in 0..1_000 {
            now = now + MILLI;
            pace.told(true, now);
            let some = begin(&mut pace, 1, now);
            assert!(some <= 40, "not all of a second at once: {some}");
            began += some;
        }
        assert!((20_000..=20_040).contains(&began), "{began}");
        let mut slow = Pace::new(1);
        assert_eq!(begin(&mut slow, 1, now), 1);
        assert_eq!(begin(&mut slow, 1, now + 999 * MILLI), 0);
        assert_eq!(begin(&mut slow, 1, now + 1_001 * MILLI), 1);
    }

    #[test]
    fn all_have_begun_by_the_time_that_they_have() {
        let mut pace = Pace::new(1_000);
        let (mut now, mut left) = (Moment::default(), 50_000);
        let by = now + 1_000 * MILLI;
        pace.finish_by(Some(by));
        while left > 0 {
            now = now + MILLI;
            pace.told(true, now);
            while left > 0 && pace.allows(left, 0, now) {
                pace.began();
                left -= 1;
            }
            assert!(now <= by, "{left} are left");
        }
        assert!(now + 20 * MILLI > by, "no sooner than they have to");
        pace.finish_by(None);
        assert_eq!(begin(&mut pace, 1, by + MILLI), 2);
    }

    #[test]
    fn nothing_is_held_back_where_nobody_else_is_served() {
        let mut pace = Pace::new(1_000);
        let now = Moment::default() + MILLI;
        assert!(!pace.ran(0, now), "it has never run anything");
        assert_eq!(begin(&mut pace, 1, now), 2, "nobody has said");
        pace.told(false, now);
        assert_eq!(begin(&mut pace, 1, now), 10_000);
        assert!(pace.ran(1, now), "it has run a turn");
        assert_eq!(begin(&mut pace, 1, now), 0);
        let later = now + REMEMBERED;
        assert!(!pace.ran(1, later), "no turn since");
        assert_eq!(begin(&mut pace, 1, later), 10_000);
        pace.told(true, later);
        let later = later + MILLI;
        assert_eq!(begin(&mut pace, 1, later), 1);
        let later = later + REMEMBERED;
        assert_eq!(begin(&mut pace, 1, later), 10_000);
        assert_eq!(begin(&mut pace, 0, later + MILLI), 1, "anew");
    }
}

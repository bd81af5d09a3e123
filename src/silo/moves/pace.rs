//! How many moves may be under way beside work for others.
//!
//! What is under way waits at the workers of the source and of the target, in front of messages to other actors. More of it makes
//! moves faster only until everybody has something to do; what comes on top makes all wait. So, as TCP Vegas does with packets
//! (Brakmo, O'Malley, Peterson: "TCP Vegas", SIGCOMM 1994), what a move takes is compared with the least that one took of late:
//! the difference is spent in queues, and is kept short. Where nobody else is served there is nobody to wait, and no such limit.

use crate::clock::Moment;
use std::{collections::VecDeque, time::Duration};

/// How many moves may be under way at first, and at least.
const FIRST: f64 = 64.0;
const LEAST: f64 = 16.0;

/// How long a move may wait in queues. A message to another actor then waits about as long.
const QUEUED: Duration = Duration::from_micros(250);

/// By how many the moves under way become more or fewer while as many of them end.
const STEP: f64 = 8.0;

/// For how long it counts that others were served: more than a steady client's time between two messages.
const REMEMBERED: Duration = Duration::from_millis(200);

/// How long a least time counts, at least: what moves take changes with the network and with the store.
const PERIOD: Duration = Duration::from_secs(5);

/// How many moves may be under way beside work for others.
pub(super) struct Pace {
    /// Others are served until then, as far as is known; `None`: nobody has said yet, and they may be.
    until: Option<Moment>,
    /// How many moves may be under way as long as they are.
    window: f64,
    /// When periods began, the last two, and the least that a move took in each.
    least: VecDeque<(Moment, Duration)>,
    /// How many turns this silo had run when it was last looked at.
    turns: u64,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            until: None,
            window: FIRST,
            least: VecDeque::new(),
            turns: 0,
        }
    }
}

impl Pace {
    /// This silo has run so many turns. Answers whether it has served others of late.
    pub(super) fn ran(&mut self, turns: u64, now: Moment) -> bool {
        if std::mem::replace(&mut self.turns, turns) != turns {
            self.others_are_served(now);
        }
        self.until.is_some_and(|until| now < until)
    }

    /// A target has said whether it serves others.
    pub(super) fn told(&mut self, serves: bool, now: Moment) {
        if serves {
            self.others_are_served(now);
        } else {
            self.until.get_or_insert(now);
        }
    }

    fn others_are_served(&mut self, now: Moment) {
        if !self.is_limited(now) {
            self.window = FIRST;
        }
        self.until = Some(now + REMEMBERED);
    }

    /// Whether one more may begin.
    pub(super) fn has_room(&mut self, under_way: usize, now: Moment) -> bool {
        if under_way == 0 && !self.is_limited(now) {
            // Who served nobody then may do so now.
            self.until = None;
            self.window = FIRST;
        }
        !self.is_limited(now) || (under_way as f64) < self.window
    }

    /// A move has ended, after so long.
    pub(super) fn took(&mut self, time: Duration, now: Moment) {
        match self.least.back_mut() {
            Some((since, least)) if now.since(*since) < PERIOD => *least = time.min(*least),
            _ => self.least.push_back((now, time)),
        }
        if self.least.len() > 2 {
            self.least.pop_front();
        }
        let least = self.least.iter().map(|(_, least)| *least).min().unwrap_or(time);
        if self.is_limited(now) {
            let step = STEP / self.window;
            let is_queued = time > least + QUEUED;
            self.window = (self.window + if is_queued { -step } else { step }).max(LEAST);
        }
    }

    fn is_limited(&self, now: Moment) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: Duration = Duration::from_millis(1);

    /// Moves that take `least` and one after the other 10 us more: the most under way, after `count` of them, and what they took then.
    fn run(pace: &mut Pace, least: Duration, count: usize) -> (usize, Duration) {
        let (mut now, mut under_way) = (Moment::default(), VecDeque::new());
        let each = Duration::from_micros(10);
        let mut free = now;
        let (mut most, mut longest) = (0, Duration::ZERO);
        for n in 0..count {
            pace.others_are_served(now);
            while pace.has_room(under_way.len(), now) && under_way.len() < 1_000 {
                // Waits for what is before it.
                free = free.max(now) + each;
                under_way.push_back((now, free + least));
            }
            let (begun, ends) = under_way.pop_front().expect("some are under way");
            now = ends;
            pace.took(now.since(begun), now);
            if n > count / 2 {
                most = most.max(under_way.len() + 1);
                longest = longest.max(now.since(begun));
            }
        }
        (most, longest)
    }

    /// As many are under way as keep who works on them busy, and few wait there.
    #[test]
    fn so_many_are_under_way_as_have_something_to_do() {
        let (most, longest) = run(&mut Pace::default(), MILLI, 20_000);
        assert!(
            (100..=220).contains(&most),
            "a hundred are on their way at once: {most}"
        );
        assert!(longest < 3 * MILLI, "{longest:?}");
        // A store that is farther away: more of them, which wait no longer.
        let (most, longest) = run(&mut Pace::default(), 5 * MILLI, 50_000);
        assert!((500..=620).contains(&most), "{most}");
        assert!(longest < 7 * MILLI, "{longest:?}");
    }

    #[test]
    fn what_takes_longer_from_now_on_is_not_taken_for_a_queue_for_ever() {
        let mut pace = Pace::default();
        let (few, _) = run(&mut pace, MILLI / 10, 10_000);
        let later = Moment::default() + 10 * PERIOD;
        for n in 0..10_000_u32 {
            let now = later + n * MILLI;
            pace.others_are_served(now);
            pace.took(4 * MILLI, now);
        }
        let now = later + 10_000 * MILLI;
        assert!(pace.has_room(2 * few, now), "it grows again");
    }

    #[test]
    fn nothing_is_held_back_where_nobody_else_is_served() {
        let mut pace = Pace::default();
        let now = Moment::default() + MILLI;
        assert!(!pace.ran(0, now), "it has never run anything");
        let few = |pace: &mut Pace, now| pace.has_room(FIRST as usize - 1, now) && !pace.has_room(FIRST as usize, now);
        assert!(few(&mut pace, now), "nobody has said");
        pace.told(false, now);
        assert!(pace.has_room(100_000, now));
        assert!(pace.ran(1, now), "it has run a turn");
        assert!(few(&mut pace, now));
        let later = now + REMEMBERED;
        assert!(!pace.ran(1, later), "no turn since");
        assert!(pace.has_room(100_000, later));
        pace.told(true, later);
        assert!(few(&mut pace, later));
        let later = later + REMEMBERED;
        assert!(pace.has_room(100_000, later));
        assert!(pace.has_room(0, later) && few(&mut pace, later), "anew");
    }

    #[test]
    fn some_are_always_under_way() {
        let mut pace = Pace::default();
        let now = Moment::default();
        pace.took(MILLI, now);
        for _ in 0..10_000 {
            pace.others_are_served(now);
            pace.took(100 * MILLI, now);
        }
        assert!(pace.has_room(LEAST as usize - 1, now) && !pace.has_room(LEAST as usize, now));
    }
}

//! The order in which a drain takes actors.

use super::{Activity, Heat, HotPolicy};
use crate::{clock::Moment, ident::ActorId};
use std::cmp::Ordering;

/// An actor's place in a drain: sort ascending and take from the front.
///
/// Cold before hot, then by score, depth, calls and id, so that the order is the same whoever sorts.
#[derive(Clone, Debug)]
pub struct Rank {
    /// Hot or cold.
    pub heat: Heat,
    /// From 0 to 1.
    pub score: f64,
    /// Messages in the mailbox.
    pub depth: u32,
    /// Calls and turns that run.
    pub calls: u32,
    /// Which actor.
    pub actor: ActorId,
}

impl Rank {
    /// The rank `now` of an actor that was `previous` at the last look.
    pub fn new(policy: &HotPolicy, actor: ActorId, previous: Heat, activity: &Activity, now: Moment) -> Self {
        Self {
            heat: policy.is_hot(previous, activity, now),
            score: policy.scale.score(activity, now),
            depth: activity.depth,
            calls: activity.calls,
            actor,
        }
    }
}

impl Ord for Rank {
    fn cmp(&self, other: &Self) -> Ordering {
        self.heat
            .cmp(&other.heat)
            .then(self.score.total_cmp(&other.score))
            .then(self.depth.cmp(&other.depth))
            .then(self.calls.cmp(&other.calls))
            .then_with(|| self.actor.cmp(&other.actor))
    }
}

impl PartialOrd for Rank {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Rank {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Rank {}

#[cfg(test)]
mod tests {
    use super::*;

    fn rank(heat: Heat, score: f64, depth: u32, calls: u32, key: &str) -> Rank {
        Rank {
            heat,
            score,
            depth,
            calls,
            actor: ActorId::new("cart", key).expect("valid"),
        }
    }

    /// R20
    #[test]
    fn the_coldest_come_first_and_the_hot_last() {
        let sorted = [
            rank(Heat::Cold, 0.0, 9, 9, "z"),
            rank(Heat::Cold, 0.1, 0, 9, "z"),
            rank(Heat::Cold, 0.1, 1, 0, "z"),
            rank(Heat::Cold, 0.1, 1, 1, "a"),
            rank(Heat::Cold, 0.1, 1, 1, "b"),
            rank(Heat::Hot, 0.0, 0, 0, "a"),
            rank(Heat::Hot, 0.9, 0, 0, "a"),
        ];
        let mut shuffled: Vec<_> = [4, 0, 6, 2, 5, 1, 3].map(|i| sorted[i].clone()).into();
        shuffled.sort();
        assert_eq!(shuffled, sorted);
    }

    /// R20, R24
    #[test]
    fn equal_keys_of_two_kinds_have_two_ranks() {
        let mut other = rank(Heat::Cold, 0.1, 0, 0, "a");
        other.actor = ActorId::new("user", "a").expect("valid");
        assert_ne!(rank(Heat::Cold, 0.1, 0, 0, "a"), other);
    }

    #[test]
    fn a_rank_is_taken_from_the_policy_and_the_activity() {
        let activity = Activity {
            depth: 5,
            calls: 1,
            streams: 0,
            last: Moment(0),
        };
        let actor = ActorId::new("cart", "a").expect("valid");
        let rank = Rank::new(
            &HotPolicy::default(),
            actor,
            Heat::Cold,
            &activity,
            Moment(60_000_000_000),
        );
        assert_eq!((rank.heat, rank.depth, rank.calls), (Heat::Hot, 5, 1));
        assert!((rank.score - 0.26).abs() < 1e-9);
    }
}

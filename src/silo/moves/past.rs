//! The moves of a silo that have ended: how many, which actors went, and how each of the last ones ended.

use crate::{
    clock::Moment,
    ident::ActorId,
    wire::{MoveCounts, MoveState, MoveStatus, MovedActor},
};
use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

/// How long it is kept how a move ended, and of how many.
const KEPT_FOR: Duration = Duration::from_secs(600);
const KEPT: usize = 10_000;

/// The most actors that are listed as moved.
const LISTED: usize = 1_000_000;

/// The moves of a silo that have ended.
#[derive(Default)]
pub(super) struct PastMoves {
    counts: MoveCounts,
    moved: VecDeque<MovedActor>,
    /// How the last move of an actor ended, and when.
    last: HashMap<ActorId, (Moment, MoveStatus), crate::chance::Hashing>,
    /// The same by time. What has a newer end is passed over.
    order: VecDeque<(Moment, ActorId)>,
}

impl PastMoves {
    /// A move has ended at `now`.
    pub(super) fn ended(&mut self, now: Moment, status: MoveStatus) {
        match status.state {
            MoveState::Completed => {
                self.counts.completed += 1;
                if self.moved.len() == LISTED {
                    self.moved.pop_front();
                }
                self.moved.push_back(MovedActor {
                    actor: status.actor.clone(),
                    bytes: status.bytes,
                });
            }
            MoveState::Cancelled => self.counts.cancelled += 1,
            _ => self.counts.failed += 1,
        }
        self.order.push_back((now, status.actor.clone()));
        self.last.insert(status.actor.clone(), (now, status));
        self.forget(now);
    }

    fn forget(&mut self, now: Moment) {
        while let Some((at, actor)) = self.order.front()
            && (self.order.len() > KEPT || now.since(*at) > KEPT_FOR)
        {
            if self.last.get(actor).is_some_and(|(last, _)| last == at) {
                self.last.remove(actor);
            }
            self.order.pop_front();
        }
    }

    /// How the last move of an actor ended, as long as that is kept.
    pub(super) fn of(&mut self, now: Moment, actor: &ActorId) -> Option<MoveStatus> {
        self.forget(now);
        self.last.get(actor).map(|(_, status)| status.clone())
    }

    /// How all of the last moves ended, the oldest first.
    pub(super) fn all(&mut self, now: Moment) -> Vec<MoveStatus> {
        self.forget(now);
        let newest = |(at, actor): &(Moment, ActorId)| {
            let (last, status) = self.last.get(actor)?;
            (last == at).then(|| status.clone())
        };
        self.order.iter().filter_map(newest).collect()
    }

    /// The actors that moved away, the last of them if they are many.
    pub(super) fn moved(&self) -> Vec<MovedActor> {
        self.moved.iter().cloned().collect()
    }

    /// How many have ended how.
    pub(super) fn counts(&self) -> MoveCounts {
        self.counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ident::SiloId;

    fn status(key: usize, state: MoveState) -> MoveStatus {
        MoveStatus {
            actor: ActorId::new("k", key.to_string()).expect("valid"),
            source: SiloId::new("s", 1),
            target: None,
            state,
            attempts: 1,
            error: None,
            bytes: 5,
            wanted_at_us: 1,
            ended_at_us: Some(2),
        }
    }

    /// R32
    #[test]
    fn how_a_move_ended_is_kept_for_a_bounded_time() {
        let mut past = PastMoves::default();
        let (first, second) = (status(1, MoveState::Failed), status(1, MoveState::Completed));
        past.ended(Moment::default(), first);
        let later = Moment::default() + KEPT_FOR;
        past.ended(later, second.clone());
        let after = later + Duration::from_secs(1);
        assert_eq!(
            past.all(after),
            std::slice::from_ref(&second),
            "the older end of the same actor is forgotten"
        );
        assert_eq!(past.of(after, &second.actor), Some(second.clone()));
        let end = later + KEPT_FOR + Duration::from_secs(1);
        assert_eq!(past.of(end, &second.actor), None);
        let counts = past.counts();
        assert_eq!(
            (counts.completed, counts.failed, counts.cancelled),
            (1, 1, 0),
            "counted for ever"
        );
        assert_eq!(past.moved().len(), 1);
    }

    #[test]
    fn how_moves_ended_takes_bounded_memory() {
        let mut past = PastMoves::default();
        for key in 0..KEPT + 10 {
            past.ended(Moment::default(), status(key, MoveState::Cancelled));
        }
        assert_eq!((past.last.len(), past.order.len()), (KEPT, KEPT));
        assert_eq!(past.of(Moment::default(), &status(9, MoveState::Cancelled).actor), None);
    }
}

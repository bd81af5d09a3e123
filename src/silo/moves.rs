//! The moves of a silo's actors to other silos: wanted, offered, under way, ended. They belong to the silo; the supervisor
//! that drives them may be restarted at any time.

use crate::{
    clock::{Clock, Moment},
    ident::{ActorId, SiloId},
    wire::{MovedActor, Refusal},
};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};
use tokio::sync::{Notify, oneshot};

/// How often a move is tried before it is given up.
const MAX_ATTEMPTS: u32 = 6;

/// How long a failed move waits for the next attempt, doubled each time.
const FIRST_WAIT: Duration = Duration::from_millis(20);

/// Why a move came to nothing. The actor is where it was, with everything it had, unless said otherwise.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MoveFailure {
    /// It has no activation at this silo.
    #[error("the actor is not active on this silo")]
    NotHere,
    /// It is moving already.
    #[error("the actor is already being migrated")]
    AlreadyMoving,
    /// The target is this silo.
    #[error("the actor is on the target already")]
    SameSilo,
    /// No other silo may take it.
    #[error("no other active silo hosts the kind in a version that the policy allows")]
    NoTarget,
    /// The target did not take it.
    #[error("the target refused: {0:?}")]
    Refused(Refusal),
    /// The target did not answer the offer.
    #[error("the target did not answer the offer")]
    NoAnswer,
    /// It was frozen, but the move came to nothing: its turn or the target took too long, or the target refused.
    #[error("the move was called off before its commit; the actor goes on where it was")]
    CalledOff,
    /// The target was lost after it had committed, and may have run what waited: those messages ended unknown.
    #[error("the target was lost in the middle of the move")]
    TargetLost,
    /// The silo shuts down, or does not want to move it any more.
    #[error("the move was cancelled")]
    Cancelled,
}

/// A move that has ended well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// Where the actor is now.
    pub to: SiloId,
    /// The size of its memory, in bytes.
    pub bytes: usize,
    /// How often it was tried.
    pub attempts: u32,
}

/// Who waits for a move.
type Waiter = oneshot::Sender<Result<Moved, MoveFailure>>;

/// A move that is wanted.
pub(super) struct Wanted {
    pub(super) actor: ActorId,
    /// `None`: whichever silo suits.
    pub(super) to: Option<SiloId>,
    pub(super) attempt: u32,
    pub(super) waiter: Option<Waiter>,
}

/// A batch that was offered.
pub(super) struct Offered {
    pub(super) to: SiloId,
    pub(super) since: Moment,
    pub(super) wanted: Vec<Wanted>,
}

/// A move under way.
struct Moving {
    batch: u64,
    to: SiloId,
    since: Moment,
    wanted: Wanted,
}

/// The moves of a silo.
pub(super) struct Moves {
    clock: Clock,
    state: Mutex<State>,
    /// Told when the supervisor has something to do.
    pub(super) changed: Notify,
}

#[derive(Default)]
struct State {
    known: BTreeSet<ActorId>,
    /// That may begin now, in the order in which they were wanted.
    ready: VecDeque<Wanted>,
    /// That may begin later; by the time, then by the order in which they came.
    later: BTreeMap<(Moment, u64), Wanted>,
    last_later: u64,
    offered: BTreeMap<u64, Offered>,
    moving: BTreeMap<ActorId, Moving>,
    /// How many of each batch are under way.
    batches: BTreeMap<u64, usize>,
    /// Actors whose moves nobody waits for and that are not tried again, and why.
    given_up: BTreeMap<ActorId, MoveFailure>,
    moved: Vec<MovedActor>,
    last_batch: u64,
}

impl State {
    fn take_moving(&mut self, actor: &ActorId) -> Option<Moving> {
        let moving = self.moving.remove(actor)?;
        if let Some(left) = self.batches.get_mut(&moving.batch) {
            *left -= 1;
            if *left == 0 {
                self.batches.remove(&moving.batch);
            }
        }
        Some(moving)
    }
}

impl Moves {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            clock,
            state: Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// Wants a move. With a waiter it is reported there.
    pub(super) fn want(&self, actor: ActorId, to: Option<SiloId>, waiter: Option<Waiter>) {
        let mut state = self.state.lock();
        if !state.known.insert(actor.clone()) {
            report(waiter, Err(MoveFailure::AlreadyMoving));
            return;
        }
        state.given_up.remove(&actor);
        state.ready.push_back(Wanted {
            actor,
            to,
            attempt: 1,
            waiter,
        });
        drop(state);
        self.changed.notify_one();
    }

    /// Whether a move of the actor is wanted or under way.
    pub(super) fn knows(&self, actor: &ActorId) -> bool {
        self.state.lock().known.contains(actor)
    }

    /// Why moves of the actor were given up, if they were.
    pub(super) fn given_up(&self, actor: &ActorId) -> Option<MoveFailure> {
        self.state.lock().given_up.get(actor).cloned()
    }

    /// Whether moves of the actor were given up.
    pub(super) fn has_given_up(&self, actor: &ActorId) -> bool {
        self.state.lock().given_up.contains_key(actor)
    }

    /// No move of the actor will be tried.
    pub(super) fn give_up(&self, actor: ActorId, why: MoveFailure) {
        self.state.lock().given_up.insert(actor, why);
    }

    /// How many moves are wanted or under way.
    pub(super) fn len(&self) -> usize {
        self.state.lock().known.len()
    }

    /// How many moves are under way, and some of their actors.
    pub(super) fn under_way(&self, names: usize) -> (usize, Vec<ActorId>) {
        let state = self.state.lock();
        (state.moving.len(), state.moving.keys().take(names).cloned().collect())
    }

    /// The actors that moved away since the start.
    pub(super) fn moved(&self) -> Vec<MovedActor> {
        self.state.lock().moved.clone()
    }

    /// How many actors moved away since the start.
    pub(super) fn moved_count(&self) -> usize {
        self.state.lock().moved.len()
    }

    /// Cancels the moves that are wanted and not offered.
    pub(super) fn cancel_waiting(&self) {
        let mut state = self.state.lock();
        let (ready, later) = (std::mem::take(&mut state.ready), std::mem::take(&mut state.later));
        for wanted in ready.into_iter().chain(later.into_values()) {
            state.known.remove(&wanted.actor);
            report(wanted.waiter, Err(MoveFailure::Cancelled));
        }
    }

    /// How many more batches may begin, of at most `max`.
    pub(super) fn free_batches(&self, max: usize) -> usize {
        let state = self.state.lock();
        max.saturating_sub(state.batches.len() + state.offered.len())
    }

    /// Takes at most `max` moves that may begin now: those first that were tried before.
    pub(super) fn take_due(&self, max: usize) -> Vec<Wanted> {
        let now = self.clock.now();
        let mut state = self.state.lock();
        let mut due = Vec::new();
        while due.len() < max
            && let Some(first) = state.later.first_entry()
            && first.key().0 <= now
        {
            due.push(first.remove());
        }
        let ready = state.ready.len().min(max - due.len());
        due.extend(state.ready.drain(..ready));
        due
    }

    /// A batch is offered; answers its number.
    pub(super) fn offer(&self, to: SiloId, wanted: Vec<Wanted>) -> u64 {
        let mut state = self.state.lock();
        state.last_batch += 1;
        let number = state.last_batch;
        let since = self.clock.now();
        state.offered.insert(number, Offered { to, since, wanted });
        number
    }

    /// An offer was answered by `from`.
    pub(super) fn answered(&self, from: &SiloId, batch: u64) -> Option<Offered> {
        let mut state = self.state.lock();
        if state.offered.get(&batch).is_none_or(|offered| offered.to != *from) {
            return None;
        }
        state.offered.remove(&batch)
    }

    /// Offers that nobody has answered for longer than `timeout`, or that went to a silo which `is_gone`.
    pub(super) fn overdue_offers(&self, timeout: Duration, is_gone: impl Fn(&SiloId) -> bool) -> Vec<Offered> {
        let now = self.clock.now();
        let mut state = self.state.lock();
        let over = (state.offered).extract_if(.., |_, offered| {
            now.since(offered.since) > timeout || is_gone(&offered.to)
        });
        over.map(|(_, offered)| offered).collect()
    }

    /// A move of a batch begins.
    pub(super) fn begin(&self, batch: u64, to: SiloId, wanted: Wanted) {
        let moving = Moving {
            batch,
            to,
            since: self.clock.now(),
            wanted,
        };
        let mut state = self.state.lock();
        *state.batches.entry(batch).or_default() += 1;
        state.moving.insert(moving.wanted.actor.clone(), moving);
    }

    /// The moves that are under way for longer than `timeout`.
    pub(super) fn slower_than(&self, timeout: Duration) -> Vec<ActorId> {
        let now = self.clock.now();
        let state = self.state.lock();
        let slow = state.moving.values().filter(|moving| now.since(moving.since) > timeout);
        slow.map(|moving| moving.wanted.actor.clone()).collect()
    }

    /// A move under way has ended: the actor's bytes, or why it did not move. Called with the actor's seat locked.
    pub(super) fn ended(&self, actor: &ActorId, result: Result<usize, MoveFailure>) {
        let Some(moving) = self.state.lock().take_moving(actor) else {
            return;
        };
        match result {
            Ok(bytes) => {
                let mut state = self.state.lock();
                state.known.remove(actor);
                state.moved.push(MovedActor {
                    actor: actor.clone(),
                    bytes,
                });
                let moved = Moved {
                    to: moving.to,
                    bytes,
                    attempts: moving.wanted.attempt,
                };
                drop(state);
                report(moving.wanted.waiter, Ok(moved));
            }
            Err(why) => self.failed(moving.wanted, why),
        }
        self.changed.notify_one();
    }

    /// A move has failed: it is tried again later, or given up.
    pub(super) fn failed(&self, mut wanted: Wanted, why: MoveFailure) {
        let again = match &why {
            MoveFailure::NotHere | MoveFailure::NoTarget | MoveFailure::SameSilo | MoveFailure::TargetLost => false,
            MoveFailure::Refused(Refusal::NotHosted | Refusal::Version { .. } | Refusal::Unreadable(_)) => false,
            _ => wanted.attempt < MAX_ATTEMPTS,
        };
        let mut state = self.state.lock();
        if again {
            let not_before = self.clock.now() + FIRST_WAIT * 2u32.pow(wanted.attempt - 1);
            wanted.attempt += 1;
            state.last_later += 1;
            let place = (not_before, state.last_later);
            state.later.insert(place, wanted);
        } else {
            tracing::info!(actor = %wanted.actor, %why, attempts = wanted.attempt, "an actor does not move");
            state.known.remove(&wanted.actor);
            if wanted.waiter.is_none() {
                // Who waits for a move decides whether to want it again.
                state.given_up.insert(wanted.actor.clone(), why.clone());
            }
            drop(state);
            report(wanted.waiter, Err(why));
        }
    }
}

fn report(waiter: Option<Waiter>, result: Result<Moved, MoveFailure>) {
    if let Some(waiter) = waiter {
        // Whoever asked may have gone; the move stands.
        let _gone = waiter.send(result);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_wanted_move_is_lost_between_batches() {
        let (clock, _) = Clock::manual();
        let moves = Moves::new(clock);
        for key in 0..10 {
            moves.want(ActorId::new("k", key.to_string()).expect("valid"), None, None);
        }
        let batches: Vec<usize> = std::iter::repeat_with(|| moves.take_due(4).len()).take(4).collect();
        assert_eq!(batches, [4, 4, 2, 0]);
    }

    /// Each move is touched when it is wanted and when it is taken, not for every batch between: the test would take minutes.
    #[test]
    fn moves_are_taken_without_looking_at_those_behind() {
        let (clock, hands) = Clock::manual();
        let moves = Moves::new(clock);
        let count = 100_000;
        for key in 0..count {
            moves.want(ActorId::new("k", key.to_string()).expect("valid"), None, None);
        }
        let mut taken = Vec::new();
        while let Some(wanted) = moves.take_due(1).pop() {
            taken.push(wanted.actor.key().to_owned());
            if wanted.attempt == 1 {
                moves.failed(wanted, MoveFailure::NoAnswer);
            }
        }
        assert!(
            taken
                .iter()
                .map(|key| key.parse::<u32>().expect("a number"))
                .eq(0..count)
        );
        hands.advance(FIRST_WAIT);
        let again = std::iter::from_fn(|| moves.take_due(1).pop()).map(|wanted| wanted.actor.key().to_owned());
        assert!(again.eq(taken), "the second attempts, in the same order");
    }

    #[test]
    fn what_was_tried_before_comes_first_when_its_time_has_come() {
        let (clock, hands) = Clock::manual();
        let moves = Moves::new(clock);
        let want = |key: &str| moves.want(ActorId::new("k", key).expect("valid"), None, None);
        want("tried");
        moves.failed(moves.take_due(1).pop().expect("due"), MoveFailure::NoAnswer);
        want("new");
        let due = |max| -> Vec<_> { (moves.take_due(max).iter()).map(|w| w.actor.key().to_owned()).collect() };
        hands.advance(FIRST_WAIT);
        assert_eq!(due(2), ["tried", "new"]);
    }

    #[test]
    fn a_batch_is_free_again_when_its_last_move_has_ended() {
        let (clock, _) = Clock::manual();
        let moves = Moves::new(clock);
        let to = SiloId::new("t", 1);
        for key in ["a", "b"] {
            moves.want(ActorId::new("k", key).expect("valid"), None, None);
        }
        let batch = moves.offer(to.clone(), moves.take_due(2));
        assert_eq!(moves.free_batches(1), 0, "offered");
        let wanted = moves.answered(&to, batch).expect("offered").wanted;
        let actors: Vec<_> = wanted.iter().map(|wanted| wanted.actor.clone()).collect();
        for wanted in wanted {
            moves.begin(batch, to.clone(), wanted);
        }
        assert_eq!(moves.free_batches(1), 0, "under way");
        moves.ended(&actors[0], Ok(1));
        assert_eq!(moves.free_batches(1), 0, "one is under way");
        moves.ended(&actors[1], Ok(1));
        assert_eq!(moves.free_batches(1), 1);
    }

    /// R31
    #[tokio::test]
    async fn a_second_move_of_an_actor_is_refused_while_the_first_goes_on() {
        let (clock, _) = Clock::manual();
        let moves = Moves::new(clock);
        let actor = ActorId::new("k", "a").expect("valid");
        moves.want(actor.clone(), None, None);
        let (tell, told) = oneshot::channel();
        moves.want(actor, None, Some(tell));
        assert_eq!(told.await.expect("answered"), Err(MoveFailure::AlreadyMoving));
        assert_eq!(moves.len(), 1);
    }

    /// R50
    #[test]
    fn a_failed_move_is_tried_again_later_and_given_up_at_last() {
        let (clock, hands) = Clock::manual();
        let moves = Moves::new(clock);
        let actor = ActorId::new("k", "a").expect("valid");
        moves.want(actor.clone(), None, None);
        for _ in 0..MAX_ATTEMPTS {
            let wanted = moves.take_due(1).pop().expect("due");
            moves.failed(wanted, MoveFailure::NoAnswer);
            assert!(moves.take_due(1).is_empty(), "not at once");
            hands.advance(Duration::from_secs(2));
        }
        assert!(moves.has_given_up(&actor));
        assert_eq!(moves.len(), 0);
    }
}

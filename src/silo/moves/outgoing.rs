//! The moves that go out from a silo, as they are asked for, cancelled and looked at.

use super::{
    pace::Pace,
    state::{Move, Stage, State},
};
use crate::{
    clock::Clock,
    ident::{ActorId, SiloId},
    wire::{MoveCounts, MoveFailure, MoveState, MoveStatus, Moved, MovedActor},
};
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot, watch};

/// The most moves that are wanted at once.
const MAX_WANTED: usize = 1_000_000;

/// The most actors that are kept as given up; of more, one is tried again.
const MAX_GIVEN_UP: usize = 100_000;

/// Who waits for a move.
pub(super) type Waiter = oneshot::Sender<Result<Moved, MoveFailure>>;

/// How many moves there may be.
#[derive(Clone, Copy, Debug)]
pub(in crate::silo) struct Limits {
    /// How often a move is tried before it is given up.
    pub(in crate::silo) attempts: u32,
    /// Bytes of packages under way, all together.
    pub(in crate::silo) window: usize,
    /// That begin in a second beside work for others.
    pub(in crate::silo) busy_rate: u32,
}

/// What is to be done for a move to be cancelled.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::silo) enum Cancel {
    /// Nothing: there is none.
    NotMoving,
    /// Nothing: it has ended.
    Done,
    /// It is under way and has to be called off.
    CallOff,
}

/// The moves of a silo.
pub(in crate::silo) struct Moves {
    pub(super) me: SiloId,
    pub(super) clock: Clock,
    pub(super) limits: Limits,
    pub(super) state: Mutex<State>,
    /// Told when the supervisor has something to do.
    pub(in crate::silo) changed: Notify,
    pub(super) counts: watch::Sender<MoveCounts>,
}

impl Moves {
    pub(in crate::silo) fn new(me: SiloId, clock: Clock, limits: Limits) -> Self {
        Self {
            me,
            clock,
            limits,
            state: Mutex::new(State::new(Pace::new(limits.busy_rate))),
            changed: Notify::new(),
            counts: watch::Sender::new(MoveCounts::default()),
        }
    }

    /// Wants a move. With a waiter its end is told there.
    pub(in crate::silo) fn want(
        &self,
        actor: ActorId,
        to: Option<SiloId>,
        waiter: Option<oneshot::Sender<Result<Moved, MoveFailure>>>,
    ) -> Result<(), MoveFailure> {
        let mut state = self.state.lock();
        if state.all.contains_key(&actor) {
            return Err(MoveFailure::AlreadyMoving);
        }
        if state.all.len() >= MAX_WANTED {
            return Err(MoveFailure::TooMany);
        }
        state.given_up.remove(&actor);
        let one = Move {
            stage: Stage::Ready,
            to: to.clone(),
            wanted_to: to,
            attempt: 1,
            waiters: waiter.into_iter().collect(),
            wanted_at_us: self.clock.wall_micros(),
            weight: 0,
            why: None,
            last_error: None,
            cancelled: false,
        };
        state.all.insert(actor.clone(), one);
        state.ready.push_back(actor);
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    /// Whether a move of the actor is wanted or under way.
    pub(in crate::silo) fn knows(&self, actor: &ActorId) -> bool {
        self.state.lock().all.contains_key(actor)
    }

    /// Why moves of the actor were given up, if they were.
    pub(in crate::silo) fn given_up(&self, actor: &ActorId) -> Option<MoveFailure> {
        self.state.lock().given_up.get(actor).cloned()
    }

    /// Whether moves of the actor were given up.
    pub(in crate::silo) fn has_given_up(&self, actor: &ActorId) -> bool {
        self.state.lock().given_up.contains_key(actor)
    }

    /// No move of the actor will be tried.
    pub(in crate::silo) fn give_up(&self, actor: ActorId, why: MoveFailure) {
        let given_up = &mut self.state.lock().given_up;
        if given_up.len() >= MAX_GIVEN_UP
            && let Some(one) = given_up.keys().next().cloned()
        {
            given_up.remove(&one);
        }
        given_up.insert(actor, why);
    }

    /// What was given up may be tried again.
    pub(in crate::silo) fn forget_given_up(&self) {
        self.state.lock().given_up.clear();
    }

    /// How many moves are wanted or under way.
    pub(in crate::silo) fn len(&self) -> usize {
        self.state.lock().all.len()
    }

    /// How many moves are under way, and some of their actors.
    pub(in crate::silo) fn under_way(&self, names: usize) -> (usize, Vec<ActorId>) {
        let state = self.state.lock();
        let some = state.under_way.iter().take(names).cloned().collect();
        (state.under_way.len(), some)
    }

    /// The actors that moved away, the last of them.
    pub(in crate::silo) fn moved(&self) -> Vec<MovedActor> {
        self.state.lock().past.moved()
    }

    /// How many actors moved away since the start.
    pub(in crate::silo) fn moved_count(&self) -> usize {
        usize::try_from(self.state.lock().past.counts().completed).unwrap_or(usize::MAX)
    }

    /// Cancels a move. `waiter` is told its end, unless there is nothing to wait for.
    pub(in crate::silo) fn cancel(
        &self,
        actor: &ActorId,
        waiter: oneshot::Sender<Result<Moved, MoveFailure>>,
    ) -> Cancel {
        let mut state = self.state.lock();
        let Some(one) = state.all.get_mut(actor) else {
            return Cancel::NotMoving;
        };
        one.waiters.push(waiter);
        one.cancelled = true;
        if matches!(one.stage, Stage::Freezing { .. } | Stage::Frozen { .. }) {
            one.why = Some(MoveFailure::Cancelled);
            return Cancel::CallOff;
        }
        self.over(&mut state, actor, Err(MoveFailure::Cancelled));
        drop(state);
        self.changed.notify_one();
        Cancel::Done
    }

    /// Cancels the moves that have not begun.
    pub(in crate::silo) fn cancel_waiting(&self) {
        let mut state = self.state.lock();
        let begun = |stage| matches!(stage, Stage::Freezing { .. } | Stage::Frozen { .. });
        let waiting = state.all.iter().filter(|(_, one)| !begun(one.stage));
        let waiting: Vec<_> = waiting.map(|(actor, _)| actor.clone()).collect();
        for actor in waiting {
            self.over(&mut state, &actor, Err(MoveFailure::Cancelled));
        }
        state.ready.clear();
        state.accepted.clear();
    }

    /// The move of an actor, if it is wanted or under way; else how its last one ended, as long as that is kept.
    pub(in crate::silo) fn status(&self, actor: &ActorId) -> Option<MoveStatus> {
        let mut state = self.state.lock();
        match state.all.get(actor) {
            Some(one) => Some(self.describe(actor, one)),
            None => state.past.of(self.clock.now(), actor),
        }
    }

    /// All moves that are wanted or under way, and the last that have ended.
    pub(in crate::silo) fn statuses(&self) -> Vec<MoveStatus> {
        let mut state = self.state.lock();
        let mut all: Vec<_> = (state.all.iter())
            .map(|(actor, one)| self.describe(actor, one))
            .collect();
        all.extend(state.past.all(self.clock.now()));
        all
    }

    /// How many moves stand where.
    pub(in crate::silo) fn counts(&self) -> MoveCounts {
        self.state.lock().counts()
    }

    /// Tells those who watch how many moves stand where, if that has changed.
    pub(in crate::silo) fn tell_counts(&self) {
        let counts = self.counts();
        self.counts
            .send_if_modified(|told| std::mem::replace(told, counts) != counts);
    }

    pub(in crate::silo) fn watch_counts(&self) -> watch::Receiver<MoveCounts> {
        self.counts.subscribe()
    }

    pub(super) fn describe(&self, actor: &ActorId, one: &Move) -> MoveStatus {
        let state = match one.stage {
            Stage::Ready | Stage::Later(..) | Stage::Choosing => MoveState::NotStarted,
            _ => MoveState::InProgress,
        };
        let bytes = match one.stage {
            Stage::Frozen { .. } => one.weight,
            _ => 0,
        };
        MoveStatus {
            actor: actor.clone(),
            source: self.me.clone(),
            target: one.to.clone(),
            state,
            attempts: one.attempt,
            error: one.why.clone().or_else(|| one.last_error.clone()),
            bytes,
            wanted_at_us: one.wanted_at_us,
            ended_at_us: None,
        }
    }
}

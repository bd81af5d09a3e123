//! The course of the moves that go out from a silo, as the migration supervisor drives them.

use super::{
    Moves,
    state::{Move, Offered, Stage, State},
};
use crate::{
    clock::Moment,
    ident::{ActorId, SiloId},
    wire::{MoveFailure, MoveState, Moved},
};
use std::time::Duration;

/// How long a failed move waits for the next attempt, doubled each time, and how long at most.
const FIRST_WAIT: Duration = Duration::from_millis(20);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// How long a batch is held up by turns that have not ended.
const PATIENCE: Duration = Duration::from_millis(50);

/// A move that may begin.
pub(in crate::silo) struct Due {
    pub(in crate::silo) actor: ActorId,
    /// `None`: whichever silo suits.
    pub(in crate::silo) to: Option<SiloId>,
}

impl Moves {
    /// A supervisor begins: what its predecessor had in its hands is to be chosen anew.
    pub(in crate::silo) fn recover(&self) {
        let mut state = self.state.lock();
        let State { all, ready, .. } = &mut *state;
        for (actor, one) in all.iter_mut().filter(|(_, one)| one.stage == Stage::Choosing) {
            one.stage = Stage::Ready;
            ready.push_front(actor.clone());
        }
    }

    /// How many more batches may begin, of at most `max`.
    pub(in crate::silo) fn free_batches(&self, max: usize) -> usize {
        let state = self.state.lock();
        max.saturating_sub(state.batches.len() + state.offered.len())
    }

    /// Takes at most `max` moves that may begin now: those first that were tried before.
    pub(in crate::silo) fn take_due(&self, max: usize) -> Vec<Due> {
        let now = self.clock.now();
        let mut state = self.state.lock();
        let state = &mut *state;
        let mut due = Vec::new();
        while due.len() < max {
            let next = match state.later.first_entry() {
                Some(first) if first.key().0 <= now => Some(first.remove()),
                _ => state.ready.pop_front(),
            };
            let Some(actor) = next else { break };
            let Some(one) = state.all.get_mut(&actor) else { continue };
            if matches!(one.stage, Stage::Ready | Stage::Later(..)) {
                one.stage = Stage::Choosing;
                let to = one.wanted_to.clone();
                due.push(Due { actor, to });
            }
        }
        due
    }

    /// A batch is offered; answers its number.
    pub(in crate::silo) fn offer(&self, to: &SiloId, actors: Vec<ActorId>) -> u64 {
        let mut state = self.state.lock();
        state.last_batch += 1;
        let (number, since) = (state.last_batch, self.clock.now());
        for actor in &actors {
            if let Some(one) = state.all.get_mut(actor)
                && one.stage == Stage::Choosing
            {
                one.stage = Stage::Offered(number);
                one.to = Some(to.clone());
            }
        }
        let to = to.clone();
        state.offered.insert(
            number,
            Offered {
                batch: number,
                to,
                since,
                actors,
            },
        );
        number
    }

    /// An offer was answered by `from`. Its moves that were not cancelled are to be accepted or to fail.
    pub(in crate::silo) fn answered(&self, from: &SiloId, batch: u64) -> Option<Offered> {
        let mut state = self.state.lock();
        if state.offered.get(&batch).is_none_or(|offered| offered.to != *from) {
            return None;
        }
        state.offered.remove(&batch)
    }

    /// Offers that nobody has answered for longer than `timeout`, or that went to a silo which `is_gone`.
    pub(in crate::silo) fn overdue_offers(&self, timeout: Duration, is_gone: impl Fn(&SiloId) -> bool) -> Vec<Offered> {
        let now = self.clock.now();
        let mut state = self.state.lock();
        let over = (state.offered).extract_if(.., |_, offered| {
            now.since(offered.since) > timeout || is_gone(&offered.to)
        });
        over.map(|(_, offered)| offered).collect()
    }

    /// The target takes an actor of a batch.
    pub(in crate::silo) fn accepted(&self, batch: u64, actor: ActorId) {
        let mut state = self.state.lock();
        if let Some(one) = state.all.get_mut(&actor)
            && one.stage == Stage::Offered(batch)
        {
            one.stage = Stage::Accepted(batch);
            *state.batches.entry(batch).or_default() += 1;
            state.accepted.push_back(actor);
        }
    }

    /// This silo has run so many turns. Answers whether it has served others of late.
    pub(in crate::silo) fn ran(&self, turns: u64) -> bool {
        let now = self.clock.now();
        self.state.lock().pace.ran(turns, now)
    }

    /// A target has said whether it serves others beside what moves there.
    pub(in crate::silo) fn told(&self, serves: bool) {
        let now = self.clock.now();
        self.state.lock().pace.told(serves, now);
    }

    /// All moves should have begun by then, or in their own time.
    pub(in crate::silo) fn finish_by(&self, by: Option<Moment>) {
        self.state.lock().pace.finish_by(by);
    }

    /// Whether moves wait for their time to begin.
    pub(in crate::silo) fn is_held_back(&self) -> bool {
        let now = self.clock.now();
        let mut state = self.state.lock();
        let (all, under_way) = (state.all.len(), state.under_way.len());
        !state.accepted.is_empty() && !state.pace.allows(all, under_way, now)
    }

    /// The next actor that is to be frozen, and where it goes: as long as it is time for it, and what is under way has room for
    /// what it is taken to weigh.
    pub(in crate::silo) fn begin_next(&self) -> Option<(ActorId, SiloId)> {
        let since = self.clock.now();
        let mut state = self.state.lock();
        let (all, under_way) = (state.all.len(), state.under_way.len());
        if !state.pace.allows(all, under_way, since) {
            return None;
        }
        loop {
            let actor = state.accepted.front()?;
            let Some(one) = state.all.get(actor) else {
                state.accepted.pop_front();
                continue;
            };
            let (Stage::Accepted(batch), Some(to)) = (one.stage, one.to.clone()) else {
                state.accepted.pop_front();
                continue;
            };
            let weight = state.expected_weight(actor);
            if state.weight > 0 && state.weight + weight > self.limits.window {
                return None;
            }
            let actor = state.accepted.pop_front()?;
            state.weight += weight;
            state.pace.began();
            state.under_way.insert(actor.clone());
            if let Some(one) = state.all.get_mut(&actor) {
                one.weight = weight;
                let slow = false;
                one.stage = Stage::Freezing { batch, since, slow };
            }
            return Some((actor, to));
        }
    }

    /// An actor is packed, with so many bytes.
    pub(in crate::silo) fn frozen(&self, actor: &ActorId, weight: usize) {
        let mut state = self.state.lock();
        state.weighed(actor.kind(), weight);
        let Some(one) = state.all.get_mut(actor) else { return };
        if let Stage::Freezing { batch, since, slow } = one.stage {
            let reserved = if slow { 0 } else { one.weight };
            one.weight = weight;
            let batch = (!slow).then_some(batch);
            one.stage = Stage::Frozen { batch, since };
            state.weight = state.weight - reserved + weight;
        }
    }

    /// Batches wait no more for actors whose turns have not ended for longer than their patience.
    pub(in crate::silo) fn set_slow_aside(&self) {
        let now = self.clock.now();
        let mut state = self.state.lock();
        let state = &mut *state;
        let mut left = Vec::new();
        for actor in &state.under_way {
            let Some(one) = state.all.get_mut(actor) else { continue };
            if let Stage::Freezing { batch, since, slow } = &mut one.stage
                && !*slow
                && now.since(*since) > PATIENCE
            {
                *slow = true;
                state.weight -= one.weight;
                left.push(*batch);
            }
        }
        for batch in left {
            state.leave_batch(batch);
        }
    }

    /// Moves whose turn has not ended for longer than `timeout`.
    pub(in crate::silo) fn freezing_longer_than(&self, timeout: Duration) -> Vec<ActorId> {
        self.at_stage_longer_than(timeout, |stage| match stage {
            Stage::Freezing { since, .. } => Some(since),
            _ => None,
        })
    }

    /// Moves that are under way for longer than `timeout`, their packages sent.
    pub(in crate::silo) fn frozen_longer_than(&self, timeout: Duration) -> Vec<ActorId> {
        self.at_stage_longer_than(timeout, |stage| match stage {
            Stage::Frozen { since, .. } => Some(since),
            _ => None,
        })
    }

    fn at_stage_longer_than(&self, timeout: Duration, since: impl Fn(Stage) -> Option<Moment>) -> Vec<ActorId> {
        let now = self.clock.now();
        let state = self.state.lock();
        let slow = state.under_way.iter().filter(|actor| {
            let since = state.all.get(*actor).and_then(|one| since(one.stage));
            since.is_some_and(|since| now.since(since) > timeout)
        });
        slow.cloned().collect()
    }

    /// Why the attempt that is under way comes to nothing, if it does. The first reason counts.
    pub(in crate::silo) fn blame(&self, actor: &ActorId, why: MoveFailure) {
        if let Some(one) = self.state.lock().all.get_mut(actor)
            && matches!(one.stage, Stage::Freezing { .. } | Stage::Frozen { .. })
        {
            one.why.get_or_insert(why);
        }
    }

    /// A move under way has ended: the actor's bytes, or why it did not move unless something else is to blame. Called with
    /// the actor's seat locked.
    pub(in crate::silo) fn ended(&self, actor: &ActorId, result: Result<usize, MoveFailure>) {
        let mut state = self.state.lock();
        let Some(one) = state.all.get_mut(actor) else { return };
        if !matches!(one.stage, Stage::Freezing { .. } | Stage::Frozen { .. }) {
            return;
        }
        let why = one.why.take();
        match result {
            Ok(bytes) => self.over(&mut state, actor, Ok(bytes)),
            Err(MoveFailure::CalledOff) => {
                let why = why.unwrap_or(MoveFailure::CalledOff);
                self.attempt_failed(&mut state, actor, why);
            }
            Err(why) => self.attempt_failed(&mut state, actor, why),
        }
        drop(state);
        self.changed.notify_one();
    }

    /// A move has failed before it was under way: it is tried again later, or given up.
    pub(in crate::silo) fn failed(&self, actor: &ActorId, why: MoveFailure) {
        self.attempt_failed(&mut self.state.lock(), actor, why);
    }

    /// As [`Moves::failed`], of a batch that was offered.
    pub(in crate::silo) fn offer_failed(&self, batch: u64, actor: &ActorId, why: MoveFailure) {
        let mut state = self.state.lock();
        if state
            .all
            .get(actor)
            .is_some_and(|one| one.stage == Stage::Offered(batch))
        {
            self.attempt_failed(&mut state, actor, why);
        }
    }

    fn attempt_failed(&self, state: &mut State, actor: &ActorId, why: MoveFailure) {
        let Some(mut one) = state.all.remove(actor) else { return };
        state.unstage(actor, &one);
        if one.cancelled || !why.is_passing() || one.attempt >= self.limits.attempts {
            let why = if one.cancelled { MoveFailure::Cancelled } else { why };
            state.all.insert(
                actor.clone(),
                Move {
                    stage: Stage::Ready,
                    ..one
                },
            );
            return self.over(state, actor, Err(why));
        }
        tracing::debug!(%actor, %why, attempt = one.attempt, "an actor did not move and is tried again");
        let wait = FIRST_WAIT * 2u32.saturating_pow((one.attempt - 1).min(16));
        let not_before = self.clock.now() + wait.min(LONGEST_WAIT);
        one.attempt += 1;
        one.why = None;
        one.last_error = Some(why);
        one.to = one.wanted_to.clone();
        state.last_later += 1;
        let place = state.last_later;
        one.stage = Stage::Later(not_before, place);
        state.later.insert((not_before, place), actor.clone());
        state.all.insert(actor.clone(), one);
    }

    pub(super) fn over(&self, state: &mut State, actor: &ActorId, result: Result<usize, MoveFailure>) {
        let Some(one) = state.all.remove(actor) else { return };
        state.unstage(actor, &one);
        let mut status = self.describe(actor, &one);
        status.ended_at_us = Some(self.clock.wall_micros());
        status.state = match &result {
            Ok(bytes) => {
                status.bytes = *bytes;
                MoveState::Completed
            }
            Err(MoveFailure::Cancelled) => MoveState::Cancelled,
            Err(why) => {
                tracing::info!(%actor, %why, attempts = one.attempt, "an actor does not move");
                MoveState::Failed
            }
        };
        status.error = result.as_ref().err().cloned();
        if let (Err(why), true) = (&result, one.waiters.is_empty()) {
            // Who waits for a move decides whether to want it again.
            state.given_up.insert(actor.clone(), why.clone());
        }
        let told = result.map(|bytes| Moved {
            to: one.to.clone().unwrap_or_else(|| self.me.clone()),
            bytes,
            attempts: one.attempt,
        });
        state.past.ended(self.clock.now(), status);
        for waiter in one.waiters {
            // Whoever asked may have gone; the move stands.
            let _gone = waiter.send(told.clone());
        }
    }
}

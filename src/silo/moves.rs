//! The moves of a silo's actors to other silos: wanted, offered, under way, ended. They belong to the silo; the supervisor
//! that drives them may be restarted at any time.
//!
//! ```text
//!   want -> Ready -take_due-> Choosing -offer-> Offered -accepted-> Accepted -begin_next-> Freezing -frozen-> Frozen -> ended
//!             ^                                                                               |                |
//!             +----------- Later <------------------------ failed, to be tried again ---------+----------------+
//! ```
//! A batch counts towards the most at once until all of it has ended or waits for nothing but turns that are slow.

use super::past_moves::PastMoves;
use crate::{
    clock::{Clock, Moment},
    ident::{ActorId, SiloId},
    wire::{MoveCounts, MoveFailure, MoveState, MoveStatus, Moved, MovedActor},
};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    time::Duration,
};
use tokio::sync::{Notify, oneshot, watch};

/// How long a failed move waits for the next attempt, doubled each time, and how long at most.
const FIRST_WAIT: Duration = Duration::from_millis(20);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// The most moves that are wanted at once.
const MAX_WANTED: usize = 1_000_000;

/// What an actor of a kind is taken to weigh before one was packed, in bytes.
const UNKNOWN_WEIGHT: usize = 64 * 1024;

/// How long a batch is held up by turns that have not ended.
const PATIENCE: Duration = Duration::from_millis(50);

/// Who waits for a move.
pub(super) type Waiter = oneshot::Sender<Result<Moved, MoveFailure>>;

/// How many moves there may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// How often a move is tried before it is given up.
    pub(super) attempts: u32,
    /// Bytes of packages under way, all together.
    pub(super) window: usize,
}

/// Where a move stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Ready,
    Later(Moment, u64),
    /// In the supervisor's hands, which looks for a target.
    Choosing,
    Offered(u64),
    Accepted(u64),
    /// `slow`: its batch waits for it no more, and it takes no room.
    Freezing {
        batch: u64,
        since: Moment,
        slow: bool,
    },
    /// The package is on its way. The batch, unless it was slow.
    Frozen {
        batch: Option<u64>,
        since: Moment,
    },
}

struct Move {
    stage: Stage,
    /// As it was wanted; `None`: whichever silo suits.
    wanted_to: Option<SiloId>,
    to: Option<SiloId>,
    attempt: u32,
    waiters: Vec<Waiter>,
    wanted_at_us: u64,
    /// Bytes that are reserved for it, and later its own.
    weight: usize,
    /// Why this attempt comes to nothing, if it does.
    why: Option<MoveFailure>,
    /// Why the last attempt did.
    last_error: Option<MoveFailure>,
    cancelled: bool,
}

/// A move that may begin.
pub(super) struct Due {
    pub(super) actor: ActorId,
    /// `None`: whichever silo suits.
    pub(super) to: Option<SiloId>,
}

/// A batch that was offered.
pub(super) struct Offered {
    pub(super) batch: u64,
    pub(super) to: SiloId,
    since: Moment,
    pub(super) actors: Vec<ActorId>,
}

/// What is to be done for a move to be cancelled.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Cancel {
    /// Nothing: there is none.
    NotMoving,
    /// Nothing: it has ended.
    Done,
    /// It is under way and has to be called off.
    CallOff,
}

/// The moves of a silo.
pub(super) struct Moves {
    me: SiloId,
    clock: Clock,
    limits: Limits,
    state: Mutex<State>,
    /// Told when the supervisor has something to do.
    pub(super) changed: Notify,
    counts: watch::Sender<MoveCounts>,
}

#[derive(Default)]
struct State {
    all: HashMap<ActorId, Move, foldhash::fast::RandomState>,
    /// That may begin now, in the order in which they were wanted. An actor whose move is at another stage is passed over.
    ready: VecDeque<ActorId>,
    /// That may begin later; by the time, then by the order in which they came.
    later: BTreeMap<(Moment, u64), ActorId>,
    last_later: u64,
    offered: BTreeMap<u64, Offered>,
    /// That wait for room; likewise.
    accepted: VecDeque<ActorId>,
    under_way: HashSet<ActorId, foldhash::fast::RandomState>,
    /// Bytes of what is under way.
    weight: usize,
    /// What actors weigh, by kind: the most of late.
    weights: HashMap<String, usize>,
    /// How many of each batch hold it up.
    batches: HashMap<u64, usize>,
    last_batch: u64,
    /// Actors whose moves nobody waits for and that are not tried again, and why.
    given_up: HashMap<ActorId, MoveFailure, foldhash::fast::RandomState>,
    past: PastMoves,
}

impl State {
    fn expected_weight(&self, actor: &ActorId) -> usize {
        self.weights.get(actor.kind()).copied().unwrap_or(UNKNOWN_WEIGHT)
    }

    /// It weighs as much as those of its kind do; the most of late, forgotten by and by.
    fn weighed(&mut self, kind: &str, weight: usize) {
        match self.weights.get_mut(kind) {
            Some(most) => *most = weight.max(*most - *most / 8),
            None => _ = self.weights.insert(kind.to_owned(), weight),
        }
    }

    fn leave_batch(&mut self, batch: u64) {
        if let Some(left) = self.batches.get_mut(&batch) {
            *left -= 1;
            if *left == 0 {
                self.batches.remove(&batch);
            }
        }
    }

    /// Takes a move out of whatever its stage keeps.
    fn unstage(&mut self, actor: &ActorId, one: &Move) {
        match one.stage {
            Stage::Later(at, place) => _ = self.later.remove(&(at, place)),
            Stage::Accepted(batch) => self.leave_batch(batch),
            Stage::Freezing { batch, slow, .. } => {
                self.under_way.remove(actor);
                if !slow {
                    self.weight -= one.weight;
                    self.leave_batch(batch);
                }
            }
            Stage::Frozen { batch, .. } => {
                self.under_way.remove(actor);
                self.weight -= one.weight;
                if let Some(batch) = batch {
                    self.leave_batch(batch);
                }
            }
            Stage::Ready | Stage::Choosing | Stage::Offered(_) => {}
        }
    }

    fn counts(&self) -> MoveCounts {
        let begun = self.under_way.len() + self.batches_accepted() + self.offered_actors();
        MoveCounts {
            not_started: self.all.len() - begun,
            in_progress: begun,
            ..self.past.counts()
        }
    }

    fn batches_accepted(&self) -> usize {
        let waits =
            |actor: &&ActorId| (self.all.get(*actor)).is_some_and(|one| matches!(one.stage, Stage::Accepted(_)));
        self.accepted.iter().filter(waits).count()
    }

    fn offered_actors(&self) -> usize {
        let offered = self.offered.values().flat_map(|offered| &offered.actors);
        offered
            .filter(|actor| (self.all.get(*actor)).is_some_and(|one| matches!(one.stage, Stage::Offered(_))))
            .count()
    }
}

impl Moves {
    pub(super) fn new(me: SiloId, clock: Clock, limits: Limits) -> Self {
        Self {
            me,
            clock,
            limits,
            state: Mutex::default(),
            changed: Notify::new(),
            counts: watch::Sender::new(MoveCounts::default()),
        }
    }

    /// Wants a move. With a waiter its end is told there.
    pub(super) fn want(&self, actor: ActorId, to: Option<SiloId>, waiter: Option<Waiter>) -> Result<(), MoveFailure> {
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
    pub(super) fn knows(&self, actor: &ActorId) -> bool {
        self.state.lock().all.contains_key(actor)
    }

    /// Whether moves of the actor were given up.
    pub(super) fn has_given_up(&self, actor: &ActorId) -> bool {
        self.state.lock().given_up.contains_key(actor)
    }

    /// No move of the actor will be tried.
    pub(super) fn give_up(&self, actor: ActorId, why: MoveFailure) {
        self.state.lock().given_up.insert(actor, why);
    }

    /// What was given up may be tried again.
    pub(super) fn forget_given_up(&self) {
        self.state.lock().given_up.clear();
    }

    /// How many moves are wanted or under way.
    pub(super) fn len(&self) -> usize {
        self.state.lock().all.len()
    }

    /// How many moves are under way, and some of their actors.
    pub(super) fn under_way(&self, names: usize) -> (usize, Vec<ActorId>) {
        let state = self.state.lock();
        let some = state.under_way.iter().take(names).cloned().collect();
        (state.under_way.len(), some)
    }

    /// The actors that moved away, the last of them.
    pub(super) fn moved(&self) -> Vec<MovedActor> {
        self.state.lock().past.moved()
    }

    /// How many actors moved away since the start.
    pub(super) fn moved_count(&self) -> usize {
        usize::try_from(self.state.lock().past.counts().completed).unwrap_or(usize::MAX)
    }

    // Driven by the supervisor.

    /// A supervisor begins: what its predecessor had in its hands is to be chosen anew.
    pub(super) fn recover(&self) {
        let mut state = self.state.lock();
        let State { all, ready, .. } = &mut *state;
        for (actor, one) in all.iter_mut().filter(|(_, one)| one.stage == Stage::Choosing) {
            one.stage = Stage::Ready;
            ready.push_front(actor.clone());
        }
    }

    /// How many more batches may begin, of at most `max`.
    pub(super) fn free_batches(&self, max: usize) -> usize {
        let state = self.state.lock();
        max.saturating_sub(state.batches.len() + state.offered.len())
    }

    /// Takes at most `max` moves that may begin now: those first that were tried before.
    pub(super) fn take_due(&self, max: usize) -> Vec<Due> {
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
    pub(super) fn offer(&self, to: &SiloId, actors: Vec<ActorId>) -> u64 {
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

    /// The target takes an actor of a batch.
    pub(super) fn accepted(&self, batch: u64, actor: ActorId) {
        let mut state = self.state.lock();
        if let Some(one) = state.all.get_mut(&actor)
            && one.stage == Stage::Offered(batch)
        {
            one.stage = Stage::Accepted(batch);
            *state.batches.entry(batch).or_default() += 1;
            state.accepted.push_back(actor);
        }
    }

    /// The next actor that is to be frozen, and where it goes: as long as what is under way has room for what it is taken
    /// to weigh.
    pub(super) fn begin_next(&self) -> Option<(ActorId, SiloId)> {
        let since = self.clock.now();
        let mut state = self.state.lock();
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
    pub(super) fn frozen(&self, actor: &ActorId, weight: usize) {
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
    pub(super) fn set_slow_aside(&self) {
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
    pub(super) fn freezing_longer_than(&self, timeout: Duration) -> Vec<ActorId> {
        self.at_stage_longer_than(timeout, |stage| match stage {
            Stage::Freezing { since, .. } => Some(since),
            _ => None,
        })
    }

    /// Moves that are under way for longer than `timeout`, their packages sent.
    pub(super) fn frozen_longer_than(&self, timeout: Duration) -> Vec<ActorId> {
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
    pub(super) fn blame(&self, actor: &ActorId, why: MoveFailure) {
        if let Some(one) = self.state.lock().all.get_mut(actor)
            && matches!(one.stage, Stage::Freezing { .. } | Stage::Frozen { .. })
        {
            one.why.get_or_insert(why);
        }
    }

    /// A move under way has ended: the actor's bytes, or why it did not move unless something else is to blame. Called with
    /// the actor's seat locked.
    pub(super) fn ended(&self, actor: &ActorId, result: Result<usize, MoveFailure>) {
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
    pub(super) fn failed(&self, actor: &ActorId, why: MoveFailure) {
        self.attempt_failed(&mut self.state.lock(), actor, why);
    }

    /// As [`Moves::failed`], of a batch that was offered.
    pub(super) fn offer_failed(&self, batch: u64, actor: &ActorId, why: MoveFailure) {
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

    fn over(&self, state: &mut State, actor: &ActorId, result: Result<usize, MoveFailure>) {
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

    // Asked and cancelled from outside.

    /// Cancels a move. `waiter` is told its end, unless there is nothing to wait for.
    pub(super) fn cancel(&self, actor: &ActorId, waiter: Waiter) -> Cancel {
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
    pub(super) fn cancel_waiting(&self) {
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
    pub(super) fn status(&self, actor: &ActorId) -> Option<MoveStatus> {
        let mut state = self.state.lock();
        match state.all.get(actor) {
            Some(one) => Some(self.describe(actor, one)),
            None => state.past.of(self.clock.now(), actor),
        }
    }

    /// All moves that are wanted or under way, and the last that have ended.
    pub(super) fn statuses(&self) -> Vec<MoveStatus> {
        let mut state = self.state.lock();
        let mut all: Vec<_> = (state.all.iter())
            .map(|(actor, one)| self.describe(actor, one))
            .collect();
        all.extend(state.past.all(self.clock.now()));
        all
    }

    /// How many moves stand where.
    pub(super) fn counts(&self) -> MoveCounts {
        self.state.lock().counts()
    }

    /// Tells those who watch how many moves stand where, if that has changed.
    pub(super) fn tell_counts(&self) {
        let counts = self.counts();
        self.counts
            .send_if_modified(|told| std::mem::replace(told, counts) != counts);
    }

    pub(super) fn watch_counts(&self) -> watch::Receiver<MoveCounts> {
        self.counts.subscribe()
    }

    fn describe(&self, actor: &ActorId, one: &Move) -> MoveStatus {
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

//! What is known of each move that is wanted or under way.

use super::{outgoing::Waiter, pace::Pace, past::PastMoves};
use crate::{
    clock::Moment,
    ident::{ActorId, SiloId},
    wire::{MoveCounts, MoveFailure},
};
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

/// What an actor of a kind is taken to weigh before one was packed, in bytes.
const UNKNOWN_WEIGHT: usize = 64 * 1024;

/// Where a move stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
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

pub(super) struct Move {
    pub(super) stage: Stage,
    /// As it was wanted; `None`: whichever silo suits.
    pub(super) wanted_to: Option<SiloId>,
    pub(super) to: Option<SiloId>,
    pub(super) attempt: u32,
    pub(super) waiters: Vec<Waiter>,
    pub(super) wanted_at_us: u64,
    /// Bytes that are reserved for it, and later its own.
    pub(super) weight: usize,
    /// Why this attempt comes to nothing, if it does.
    pub(super) why: Option<MoveFailure>,
    /// Why the last attempt did.
    pub(super) last_error: Option<MoveFailure>,
    pub(super) cancelled: bool,
}

/// A batch that was offered.
pub(in crate::silo) struct Offered {
    pub(in crate::silo) batch: u64,
    pub(super) to: SiloId,
    pub(super) since: Moment,
    pub(in crate::silo) actors: Vec<ActorId>,
}

pub(super) struct State {
    pub(super) all: HashMap<ActorId, Move, crate::chance::Hashing>,
    /// That may begin now, in the order in which they were wanted. An actor whose move is at another stage is passed over.
    pub(super) ready: VecDeque<ActorId>,
    /// That may begin later; by the time, then by the order in which they came.
    pub(super) later: BTreeMap<(Moment, u64), ActorId>,
    pub(super) last_later: u64,
    pub(super) offered: BTreeMap<u64, Offered>,
    /// That wait for room; likewise.
    pub(super) accepted: VecDeque<ActorId>,
    pub(super) under_way: HashSet<ActorId, crate::chance::Hashing>,
    /// Bytes of what is under way.
    pub(super) weight: usize,
    /// What actors weigh, by kind: the most of late.
    pub(super) weights: HashMap<String, usize>,
    /// How many of each batch hold it up.
    pub(super) batches: HashMap<u64, usize>,
    pub(super) last_batch: u64,
    /// Actors whose moves nobody waits for and that are not tried again, and why.
    pub(super) given_up: HashMap<ActorId, MoveFailure, crate::chance::Hashing>,
    pub(super) past: PastMoves,
    pub(super) pace: Pace,
}

impl State {
    pub(super) fn new(pace: Pace) -> Self {
        Self {
            all: HashMap::default(),
            ready: VecDeque::new(),
            later: BTreeMap::new(),
            last_later: 0,
            offered: BTreeMap::new(),
            accepted: VecDeque::new(),
            under_way: HashSet::default(),
            weight: 0,
            weights: HashMap::new(),
            batches: HashMap::new(),
            last_batch: 0,
            given_up: HashMap::default(),
            past: PastMoves::default(),
            pace,
        }
    }

    pub(super) fn expected_weight(&self, actor: &ActorId) -> usize {
        self.weights.get(actor.kind()).copied().unwrap_or(UNKNOWN_WEIGHT)
    }

    /// It weighs as much as those of its kind do; the most of late, forgotten by and by.
    pub(super) fn weighed(&mut self, kind: &str, weight: usize) {
        match self.weights.get_mut(kind) {
            Some(most) => *most = weight.max(*most - *most / 8),
            None => _ = self.weights.insert(kind.to_owned(), weight),
        }
    }

    pub(super) fn leave_batch(&mut self, batch: u64) {
        if let Some(left) = self.batches.get_mut(&batch) {
            *left -= 1;
            if *left == 0 {
                self.batches.remove(&batch);
            }
        }
    }

    /// Takes a move out of whatever its stage keeps.
    pub(super) fn unstage(&mut self, actor: &ActorId, one: &Move) {
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

    pub(super) fn counts(&self) -> MoveCounts {
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

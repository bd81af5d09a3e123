//! The node: what all services of a silo share. It outlives each of them.

use super::{
    SiloOptions,
    accepted::Accepted,
    balancing::Balancing,
    callers::LocalAnswer,
    cluster::ClusterChange,
    directory::Directory,
    end::End,
    moves::{Limits, Moves},
    outboxes::Outboxes,
    parcels::Parcels,
    reminders::Reminding,
    retries::Retries,
    rollouts::Rollouts,
    rules::RuleBook,
    seats::Seats,
    shapes::{self, Shapes},
    watching::Stuck,
};
use crate::{
    actor::{Audience, registry::Registry},
    caller::{LinkEvents, Switchboard},
    clock::{Clock, Moment},
    ident::{ActorId, Hint, ProcessId, SiloId},
    lifecycle::Drain,
    membership::{Membership, View},
    placement::{Placement, PlacementError},
    runtime::{BlockingPool, DeadLetters, Pool, Watcher},
    store::{SiloStatus, Store, StoreError, StoreFuture},
    telemetry::ArrivalFigures,
    version::{NoMatch, Preference},
    wire::{ArrivedActor, DrainProgress, Failure, FailureCode, Located, Ran},
};
use parking_lot::{Mutex, RwLock};
use std::{
    collections::{BTreeSet, VecDeque},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::{mpsc, watch};

/// What new activations may do at this silo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Gate {
    /// Not yet: the silo joins.
    Joining = 0,
    /// Yes.
    Open = 1,
    /// No more: the silo leaves.
    Cordoned = 2,
    /// Nothing at all: the silo has lost its right to serve, or has ended.
    Shut = 3,
}

/// The most actors that are listed as arrived.
const LISTED: usize = 1_000_000;

/// The most actors that are listed as not saved.
const LISTED_UNSAVED: usize = 100_000;

/// What happened since the start, for reports.
#[derive(Default)]
pub(super) struct History {
    /// The last of them.
    arrived: VecDeque<ArrivedActor>,
    pub(super) moved_in: usize,
    pub(super) arrivals: ArrivalFigures,
    pub(super) deactivated: usize,
    /// The last of them, and why.
    unsaved: VecDeque<(ActorId, String)>,
}

impl History {
    /// An actor came by a move, with so many bytes of memory.
    pub(super) fn arrived(&mut self, actor: ArrivedActor, bytes: usize) {
        self.moved_in += 1;
        self.arrivals.actors += 1;
        self.arrivals.bytes += u64::try_from(bytes).unwrap_or(u64::MAX);
        self.arrivals.pauses.record(Duration::from_micros(actor.pause_us));
        if self.arrived.len() == LISTED {
            self.arrived.pop_front();
        }
        self.arrived.push_back(actor);
    }

    /// The state of an actor could not be saved at its end.
    pub(super) fn not_saved(&mut self, actor: ActorId, why: String) {
        if self.unsaved.len() == LISTED_UNSAVED {
            self.unsaved.pop_front();
        }
        self.unsaved.push_back((actor, why));
    }

    /// The actors whose states could not be saved at their ends, the last of them if they are many, and why.
    pub(super) fn all_unsaved(&self) -> Vec<(ActorId, String)> {
        self.unsaved.iter().cloned().collect()
    }

    /// The actors that came by moves, the last of them if they are many.
    pub(super) fn all_arrived(&self) -> Vec<ArrivedActor> {
        self.arrived.iter().cloned().collect()
    }
}

/// What all services of a silo share.
pub(super) struct Node {
    pub(super) me: SiloId,
    pub(super) process: ProcessId,
    pub(super) options: SiloOptions,
    pub(super) clock: Clock,
    pub(super) store: Arc<dyn Store>,
    pub(super) registry: Registry,
    pub(super) seats: Seats,
    pub(super) accepted: Accepted,
    pub(super) directory: Directory,
    pub(super) moves: Moves,
    pub(super) balancing: Balancing,
    pub(super) parcels: Parcels,
    pub(super) dead_letters: DeadLetters,
    pub(super) retries: Retries,
    pub(super) rollouts: Rollouts,
    pub(super) outboxes: Outboxes,
    pub(super) reminding: Reminding,
    /// The kinds that are declared for namespaces of streams, by the view.
    pub(super) audience: RwLock<Arc<Audience>>,
    pub(super) rule_book: RuleBook,
    pub(super) shapes: Shapes,
    /// How often no silo, or no target of a move, had a version that the policy allows.
    pub(super) version_mismatches: AtomicU64,
    pub(super) blocking: BlockingPool,
    pub(super) watcher: Mutex<Watcher>,
    pub(super) stuck: Mutex<Vec<Stuck>>,
    pub(super) history: Mutex<History>,
    pub(super) view: RwLock<View>,
    pub(super) placement: RwLock<Placement>,
    pub(super) spawn: crate::caller::Spawner,
    pub(super) local: mpsc::UnboundedSender<LocalAnswer>,
    gate: AtomicU8,
    /// Until when the lease holds; by its nanoseconds.
    lease_until: AtomicU64,
    leaves: AtomicBool,
    pub(super) drain_watch: watch::Sender<Option<DrainProgress>>,
    board: OnceLock<Arc<Switchboard>>,
    pool: OnceLock<Pool>,
    pub(super) services: super::ServiceAddresses,
    /// Silos that leave and wait for this one's acknowledgement.
    pub(super) leaving_peers: Mutex<BTreeSet<SiloId>>,
    pub(super) membership: Mutex<Membership>,
    pub(super) changes: mpsc::UnboundedSender<ClusterChange>,
    pub(super) views: watch::Sender<View>,
    pub(super) drain: Mutex<Option<Drain>>,
    pub(super) end: End,
    /// Held here for the links, which know it weakly.
    pub(super) link_events: OnceLock<Arc<dyn LinkEvents>>,
}

/// What a node is made of.
pub(super) struct Parts {
    pub(super) me: SiloId,
    pub(super) blocking: BlockingPool,
    pub(super) options: SiloOptions,
    pub(super) clock: Clock,
    pub(super) store: Arc<dyn Store>,
    pub(super) registry: Registry,
    pub(super) shapes: Shapes,
    pub(super) directory: Directory,
    pub(super) local: mpsc::UnboundedSender<LocalAnswer>,
    pub(super) changes: mpsc::UnboundedSender<ClusterChange>,
    pub(super) membership: Membership,
    pub(super) spawn: crate::caller::Spawner,
}

impl Node {
    pub(super) fn new(parts: Parts) -> Arc<Self> {
        Arc::new(Self {
            process: ProcessId::Silo(parts.me.clone()),
            seats: Seats::new(parts.me.clone()),
            accepted: Accepted::default(),
            directory: parts.directory,
            moves: Moves::new(
                parts.me.clone(),
                parts.clock.clone(),
                Limits {
                    attempts: parts.options.migration_attempts,
                    window: parts.options.migration_bytes,
                    busy_rate: parts.options.busy_migration_rate,
                },
            ),
            balancing: Balancing::new(parts.options.rebalance.unwrap_or_default()),
            parcels: Parcels::default(),
            dead_letters: DeadLetters::new(parts.options.dead_letter_capacity),
            retries: Retries::default(),
            rollouts: Rollouts::default(),
            outboxes: Outboxes::default(),
            reminding: Reminding::new(parts.me.clone()),
            audience: RwLock::default(),
            rule_book: RuleBook::default(),
            shapes: parts.shapes,
            version_mismatches: AtomicU64::new(0),
            watcher: Mutex::new(Watcher::new(parts.options.stuck_turn)),
            stuck: Mutex::default(),
            blocking: parts.blocking,
            history: Mutex::default(),
            view: RwLock::new(View::empty()),
            placement: RwLock::new(shapes::placement(&parts.options)),
            spawn: parts.spawn,
            local: parts.local,
            gate: AtomicU8::new(Gate::Joining as u8),
            lease_until: AtomicU64::new(0),
            leaves: AtomicBool::new(false),
            drain_watch: watch::Sender::new(None),
            board: OnceLock::new(),
            pool: OnceLock::new(),
            services: super::ServiceAddresses::default(),
            leaving_peers: Mutex::default(),
            membership: Mutex::new(parts.membership),
            changes: parts.changes,
            views: watch::Sender::new(View::empty()),
            drain: Mutex::new(None),
            end: End::default(),
            link_events: OnceLock::new(),
            me: parts.me,
            options: parts.options,
            clock: parts.clock,
            store: parts.store,
            registry: parts.registry,
        })
    }

    /// An operation on the store, given up when it takes too long.
    pub(super) async fn in_time<T>(&self, operation: StoreFuture<'_, T>) -> Result<T, StoreError> {
        let timeout = self.options.membership.store_timeout;
        let late = || {
            Err(StoreError::Unavailable {
                place: self.store.describe(),
                why: format!("it took longer than {timeout:?}"),
            })
        };
        self.clock.timeout(timeout, operation).await.unwrap_or_else(late)
    }

    /// Gives the node what needs the node to be made.
    pub(super) fn complete(&self, board: Arc<Switchboard>, pool: Pool) {
        let set = self.board.set(board).is_ok() && self.pool.set(pool).is_ok();
        assert!(set, "invariant: a node is completed once");
    }

    pub(super) fn board(&self) -> &Arc<Switchboard> {
        self.board
            .get()
            .expect("invariant: the node is complete before it is used")
    }

    pub(super) fn pool(&self) -> &Pool {
        self.pool
            .get()
            .expect("invariant: the node is complete before it is used")
    }

    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        (self.spawn)(Box::pin(task));
    }

    pub(super) fn gate(&self) -> Gate {
        match self.gate.load(Ordering::Acquire) {
            0 => Gate::Joining,
            1 => Gate::Open,
            2 => Gate::Cordoned,
            _ => Gate::Shut,
        }
    }

    /// Turns the gate from one to another. Answers whether it was as given.
    pub(super) fn turn_gate(&self, from: Gate, to: Gate) -> bool {
        let (from, to) = (from as u8, to as u8);
        (self
            .gate
            .compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire))
        .is_ok()
    }

    /// Sets the gate; what is shut stays shut.
    pub(super) fn set_gate(&self, gate: Gate) {
        let _ = (self.gate).fetch_update(Ordering::AcqRel, Ordering::Acquire, |old| {
            (old != Gate::Shut as u8).then_some(gate as u8)
        });
    }

    /// The lease holds until then.
    pub(super) fn serve_until(&self, until: Moment) {
        self.lease_until.store(until.0, Ordering::Release);
    }

    /// Whether the lease holds: what ran here counts.
    pub(super) fn may_serve(&self) -> bool {
        !self.clock.has_come(Moment(self.lease_until.load(Ordering::Acquire)))
    }

    /// Whether this silo may take an actor that nobody has.
    pub(super) fn may_register(&self, actor: &ActorId) -> bool {
        self.gate() == Gate::Open && self.registry.kind(actor.kind()).is_some()
    }

    /// From now on activations end because the silo does.
    pub(super) fn end_activations(&self) {
        self.leaves.store(true, Ordering::Release);
    }

    /// The silo stays: activations end for reasons of their own again.
    pub(super) fn keep_activations(&self) {
        self.leaves.store(false, Ordering::Release);
    }

    pub(super) fn deactivate_reason(&self) -> crate::actor::DeactivateReason {
        if self.leaves.load(Ordering::Acquire) {
            crate::actor::DeactivateReason::ShuttingDown
        } else {
            crate::actor::DeactivateReason::Idle
        }
    }

    pub(super) fn is_gone(&self, silo: &SiloId) -> bool {
        self.view.read().is_gone(silo)
    }

    /// The silo that should take an actor that nobody has.
    pub(super) fn place(&self, actor: &ActorId) -> Result<SiloId, PlacementError> {
        let placement = self.placement.read();
        if placement.is_only_host(&self.me, actor.kind()) {
            return Ok(self.me.clone());
        }
        let own = self.registry.kind(actor.kind()).map(|kind| &kind.version);
        match placement.place(actor, own) {
            // This silo's own version is a wish and no condition, unless the policy says so.
            Err(PlacementError::VersionMismatch { .. })
                if placement.policy(actor.kind()).preference == Preference::Prefer =>
            {
                placement.place(actor, None)
            }
            placed => placed,
        }
    }

    /// Why what this silo itself sends to an actor may not go to the silo that has it: its version is outside the policy, and the policy
    /// is a condition.
    pub(super) fn not_admitted(&self, actor: &ActorId, owner: &SiloId) -> Option<PlacementError> {
        let kind = actor.kind();
        let policy = *self.placement.read().policy(kind);
        if policy.preference != Preference::Require {
            return None;
        }
        let own = &self.registry.kind(kind)?.version;
        let theirs = self.view.read().get(owner)?.manifest.kinds.get(kind)?.version.clone();
        (!policy.allows(own, &theirs)).then(|| PlacementError::VersionMismatch {
            kind: kind.to_owned(),
            wanted: own.clone(),
            hosted: vec![theirs],
            policy: policy.to_string(),
            on_no_match: policy.on_no_match,
        })
    }

    /// A hint for what this silo itself sends to an actor, unless the policy forbids to go there: then the directory is asked, which says
    /// so.
    pub(super) fn admitted(&self, actor: &ActorId, hint: Option<Hint>) -> Option<Hint> {
        hint.filter(|hint| self.not_admitted(actor, &hint.silo).is_none())
    }

    /// What becomes of a look for an actor that may go nowhere.
    pub(super) fn not_placed(&self, error: &PlacementError) -> Located {
        let failure = Failure::new(FailureCode::NotHosted, Ran::No, error.to_string());
        match error {
            PlacementError::VersionMismatch { on_no_match, .. } => {
                self.version_mismatches.fetch_add(1, Ordering::Relaxed);
                match on_no_match {
                    NoMatch::Wait => Located::NotNow(failure),
                    NoMatch::Fail => Located::Nowhere(failure),
                }
            }
            _ => Located::Nowhere(failure),
        }
    }

    /// Where this silo stands, for others.
    pub(super) fn status(&self) -> SiloStatus {
        match self.gate() {
            Gate::Joining => SiloStatus::Joining,
            Gate::Open => SiloStatus::Active,
            Gate::Cordoned => SiloStatus::ShuttingDown,
            Gate::Shut => SiloStatus::Dead,
        }
    }
}

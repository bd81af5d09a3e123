//! The node: what all services of a silo share. It outlives each of them.

use super::{
    Moves, SiloOptions, accepted::Accepted, cluster::ClusterChange, directory::Directory, end::End, seats::Seats,
    short_cut::ShortCut,
};
use crate::{
    actor::{Grant, Letter, Port, SaveError, Services, registry::Registry},
    caller::{Delivered, LinkEvents, Switchboard, Uplink, from_call},
    clock::Clock,
    ident::{ActorId, Hint, LinkId, ProcessId, RequestId, SiloId},
    lifecycle::Drain,
    membership::{Membership, View},
    placement::{Placement, PlacementError},
    runtime::{Activation, DeadLetter, DeadLetters, Event, Outside, Pool, PushError, fail},
    store::{ETag, Owner, SaveOutcome, SaveRequest, SiloStatus, Store, StoreError, StoredState},
    wire::{ArrivedActor, BounceReason, Call, EncodeError, Failure, FailureCode, Frame, Outcome, Package, Ran},
};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use parking_lot::{Mutex, RwLock};
use std::{
    collections::BTreeSet,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
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

/// An answer of this silo's seats to its own callers.
pub(super) enum LocalAnswer {
    Frame(Frame),
    Bounced {
        actor: ActorId,
        letter: Letter,
        hint: Option<Hint>,
        why: BounceReason,
    },
}

/// What happened since the start, for reports.
#[derive(Default)]
pub(super) struct History {
    pub(super) arrived: Vec<ArrivedActor>,
    pub(super) deactivated: usize,
    pub(super) unsaved: Vec<(ActorId, String)>,
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
    pub(super) dead_letters: DeadLetters,
    pub(super) history: Mutex<History>,
    pub(super) view: RwLock<View>,
    pub(super) placement: RwLock<Placement>,
    pub(super) spawn: crate::caller::Spawner,
    pub(super) local: mpsc::UnboundedSender<LocalAnswer>,
    gate: AtomicU8,
    leaves: AtomicBool,
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
    pub(super) options: SiloOptions,
    pub(super) clock: Clock,
    pub(super) store: Arc<dyn Store>,
    pub(super) registry: Registry,
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
            me: parts.me,
            seats: Seats::default(),
            accepted: Accepted::default(),
            directory: parts.directory,
            moves: Moves::new(parts.clock.clone()),
            dead_letters: DeadLetters::new(parts.options.dead_letter_capacity),
            history: Mutex::default(),
            view: RwLock::new(View::empty()),
            placement: RwLock::new(Placement::new(parts.options.version_policy)),
            spawn: parts.spawn,
            local: parts.local,
            gate: AtomicU8::new(Gate::Joining as u8),
            leaves: AtomicBool::new(false),
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
            options: parts.options,
            clock: parts.clock,
            store: parts.store,
            registry: parts.registry,
        })
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

    /// Sets the gate; what is shut stays shut.
    pub(super) fn set_gate(&self, gate: Gate) {
        self.gate.fetch_max(0, Ordering::AcqRel);
        let _ = (self.gate).fetch_update(Ordering::AcqRel, Ordering::Acquire, |old| {
            (old != Gate::Shut as u8).then_some(gate as u8)
        });
    }

    /// Whether this silo may take an actor that nobody has.
    pub(super) fn may_register(&self, actor: &ActorId) -> bool {
        self.gate() == Gate::Open && self.registry.kind(actor.kind()).is_some()
    }

    /// From now on activations end because the silo does.
    pub(super) fn end_activations(&self) {
        self.leaves.store(true, Ordering::Release);
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
    pub(super) fn place(&self, actor: &ActorId) -> Result<SiloId, Failure> {
        let own = self.registry.kind(actor.kind()).map(|kind| &kind.version);
        let placement = self.placement.read();
        let place = match placement.place(actor, own) {
            // This silo's own version is a wish, not a condition: another version that fits will do.
            Err(PlacementError::VersionMismatch { .. }) => placement.place(actor, None),
            placed => placed,
        };
        place.map_err(|error| Failure::new(FailureCode::NotHosted, Ran::No, error.to_string()))
    }

    // Answers to callers.

    pub(super) fn bounce(
        &self,
        link: LinkId,
        actor: &ActorId,
        mut letter: Letter,
        hint: Option<Hint>,
        why: BounceReason,
    ) {
        if link == LinkId::LOCAL {
            self.answer_here(LocalAnswer::Bounced {
                actor: actor.clone(),
                letter,
                hint,
                why,
            });
            return;
        }
        match self.board().to_call(actor, &mut letter) {
            Ok(call) => self.accepted.send(link, Frame::Bounce { call, hint, why }),
            Err(error) => tracing::error!(%actor, %error, "a message cannot be given back: it cannot be serialized"),
        }
    }

    pub(super) fn answer(&self, link: LinkId, frame: Frame) {
        if link == LinkId::LOCAL {
            self.answer_here(LocalAnswer::Frame(frame));
        } else {
            self.accepted.send(link, frame);
        }
    }

    fn answer_here(&self, answer: LocalAnswer) {
        if self.local.send(answer).is_err() {
            tracing::debug!("an answer to this silo's own callers came after its end");
        }
    }

    /// Carries an answer of this silo's seats to its own callers.
    pub(super) fn answered_here(&self, answer: LocalAnswer) {
        let (board, me) = (self.board(), &self.me);
        match answer {
            LocalAnswer::Bounced {
                actor,
                letter,
                hint,
                why,
            } => board.letter_bounced(me, &actor, letter, hint, why),
            LocalAnswer::Frame(Frame::Fenced { actor, k, hint, lost }) => board.fenced(me, &actor, k, hint, lost),
            LocalAnswer::Frame(Frame::NotHere { actor, k }) => board.not_here(me, &actor, k),
            LocalAnswer::Frame(Frame::Moved { actor, hint }) => board.moved(&actor, hint),
            LocalAnswer::Frame(frame) => unreachable!("invariant: seats do not answer callers by {frame:?}"),
        }
    }

    /// Sends the answer to an ask of any process.
    pub(super) fn send_reply(&self, process: &ProcessId, request: RequestId, outcome: Outcome) {
        if *process == self.process {
            return self.board().replied(request, outcome);
        }
        let Some(frame) = self.accepted.send_to(process, Frame::Reply { request, outcome }) else {
            return;
        };
        match process {
            ProcessId::Silo(silo) => self.board().links().send(silo, frame),
            ProcessId::Client(client) => self.accepted.park(*client, frame, self.clock.now()),
        }
    }

    // Activations.

    /// The directory names this silo; the actor comes up from what was saved.
    pub(super) fn activate(self: &Arc<Self>, actor: &ActorId, epoch: crate::ident::Epoch, state: Option<StoredState>) {
        let Some(kind) = self.registry.kind(actor.kind()) else {
            unreachable!("invariant: only hosted kinds are registered");
        };
        self.at(actor, |place| {
            if !matches!(place.seat.phase(), Some((crate::migration::Phase::Registering, _))) {
                return;
            }
            let activation = self.pool().activation(actor.clone(), kind.entry.clone(), true);
            activation.control(crate::runtime::Control::Activate(crate::runtime::Memory::saved(
                epoch, state,
            )));
            place.activation = Some(activation);
            place.seat.registered(epoch);
        });
    }

    /// A package has come from a source.
    pub(super) fn package_arrived(self: &Arc<Self>, from: &SiloId, package: Package) {
        let actor = package.actor.clone();
        let refusal = self.refusal(actor.kind(), &package.version);
        self.at(&actor, |place| {
            if !place.seat.package(from, package.epoch) {
                return;
            }
            if let Some(why) = refusal {
                return place.seat.refuse(package.epoch, why);
            }
            let kind = (self.registry.kind(actor.kind())).expect("invariant: a kind that is not refused is hosted");
            let activation = self.pool().activation(actor.clone(), kind.entry.clone(), false);
            let now = self.clock.now();
            for call in package.waiting {
                activation.push(from_call(call, now));
            }
            activation.control(crate::runtime::Control::Prepare(crate::runtime::Memory {
                epoch: package.epoch.next(),
                body: Some(package.memory),
                etag: package.etag,
                unsaved: package.unsaved,
            }));
            place.activation = Some(activation);
            place.arriving = Some(super::seats::Arriving {
                from: from.clone(),
                epoch: package.epoch,
                frozen_at_micros: package.frozen_at_micros,
                since: now,
            });
        });
    }

    /// Why this silo would not take an actor of a kind from a source that hosts it in `version`.
    pub(super) fn refusal(&self, kind: &str, version: &semver::Version) -> Option<crate::wire::Refusal> {
        use crate::wire::Refusal;
        if self.gate() != Gate::Open {
            return Some(Refusal::NotActive);
        }
        let Some(own) = self.registry.kind(kind) else {
            return Some(Refusal::NotHosted);
        };
        let allowed = self.placement.read().policy(kind).allows(version, &own.version);
        (!allowed).then(|| Refusal::Version {
            source: version.clone(),
            target: own.version.clone(),
        })
    }

    fn happened(self: &Arc<Self>, activation: &Arc<Activation>, event: Event) {
        let actor = activation.actor();
        self.at(actor, |place| {
            if !place
                .activation
                .as_ref()
                .is_some_and(|own| Arc::ptr_eq(own, activation))
            {
                return;
            }
            match event {
                Event::ActivationFailed => {
                    place.activation = None;
                    place.seat.activation_failed();
                }
                Event::WantsToEnd => {
                    // Not while it moves; it says so again after its next turn.
                    place.seat.deactivate();
                }
                Event::OwnershipLost => {
                    place.activation = None;
                    place.seat.ownership_lost(None);
                }
                Event::Packed(packed) => {
                    if let Some((_, epoch)) = place.seat.phase() {
                        let version = (self.registry.kind(actor.kind())).map(|kind| kind.version.clone());
                        place.package = Some(Package {
                            actor: actor.clone(),
                            epoch,
                            version: version.expect("invariant: what runs here is hosted here"),
                            memory: packed.actor.memory,
                            etag: packed.actor.etag,
                            unsaved: packed.actor.unsaved,
                            waiting: packed.waiting,
                            frozen_at_micros: packed.frozen_at_micros,
                        });
                        place.seat.packed();
                    }
                }
                Event::FreezeFailed(error) => {
                    tracing::info!(%actor, %error, "an actor could not be frozen and goes on");
                    place.seat.freeze_failed();
                }
                Event::Ended(result) => {
                    place.activation = None;
                    let mut history = self.history.lock();
                    match result {
                        Ok(()) => history.deactivated += 1,
                        Err(error) => {
                            tracing::error!(%actor, %error, "the state of an actor could not be saved at its end");
                            history.unsaved.push((actor.clone(), error.to_string()));
                        }
                    }
                    drop(history);
                    place.seat.deactivated();
                }
                Event::Prepared => {
                    if let Some(arriving) = &place.arriving {
                        place.seat.prepared(arriving.epoch);
                    }
                }
                Event::PrepareFailed(why) => {
                    place.activation = None;
                    if let Some(arriving) = place.arriving.take() {
                        tracing::warn!(%actor, from = %arriving.from, why, "an actor cannot be taken over");
                        place.seat.refuse(arriving.epoch, crate::wire::Refusal::Unreadable(why));
                    }
                }
                Event::Started => {
                    if let Some(arriving) = place.arriving.take() {
                        self.history.lock().arrived.push(ArrivedActor {
                            actor: actor.clone(),
                            from: arriving.from,
                            pause_us: self.clock.wall_micros().saturating_sub(arriving.frozen_at_micros),
                        });
                    }
                }
            }
        });
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

impl Services for Arc<Node> {
    fn save(
        &self,
        actor: ActorId,
        grant: Grant,
        version: &'static str,
        body: Bytes,
    ) -> BoxFuture<'static, Result<ETag, SaveError>> {
        let (store, me, expected) = (self.store.clone(), self.me.clone(), grant.etag);
        Box::pin(async move {
            let request = SaveRequest {
                actor: actor.clone(),
                owner: Owner {
                    silo: me,
                    epoch: grant.epoch,
                },
                expected,
                version: version.to_owned(),
                body,
            };
            let outcome = store.save(vec![request]).await.map(|mut outcomes| outcomes.pop());
            match outcome {
                Ok(Some(SaveOutcome::Saved(etag))) => Ok(etag),
                Ok(Some(SaveOutcome::Conflict { expected, actual })) => Err(SaveError::Conflict {
                    actor,
                    expected,
                    actual,
                }),
                Ok(Some(SaveOutcome::NotOwner(entry))) => Err(SaveError::NotOwner { actor, entry }),
                Ok(None) => unreachable!("invariant: a store answers every save"),
                Err(source) => Err(SaveError::Store { actor, source }),
            }
        })
    }

    fn port(&self, actor: ActorId) -> Arc<dyn Port> {
        self.board().port(actor)
    }

    fn clock(&self) -> &Clock {
        &self.clock
    }
}

/// The runtime's surroundings. The trait is for the node behind its `Arc`, so that services can be handed out.
pub(super) struct Surroundings(pub(super) Arc<Node>);

impl Outside for Surroundings {
    fn services(&self) -> Arc<dyn Services> {
        Arc::new(self.0.clone())
    }

    fn load(&self, actor: ActorId) -> BoxFuture<'static, Result<Option<StoredState>, StoreError>> {
        let store = self.0.store.clone();
        Box::pin(async move {
            let states = store.load(vec![actor]).await?;
            Ok(states.into_iter().next().flatten())
        })
    }

    fn reply(&self, process: ProcessId, request: RequestId, outcome: Outcome) {
        self.0.send_reply(&process, request, outcome);
    }

    fn to_call(&self, actor: &ActorId, letter: &mut Letter) -> Result<Call, EncodeError> {
        self.0.board().to_call(actor, letter)
    }

    fn dead_letter(&self, actor: &ActorId, letter: Letter, why: &Failure) {
        self.0.keep_dead_letter(actor, &letter, why);
    }

    fn report(&self, activation: &Arc<Activation>, event: Event) {
        self.0.happened(activation, event);
    }
}

impl Node {
    pub(super) fn keep_dead_letter(&self, actor: &ActorId, letter: &Letter, why: &Failure) {
        self.dead_letters.push(DeadLetter {
            actor: actor.clone(),
            message: letter.body.name().to_owned(),
            body: letter.body.encode().unwrap_or_default(),
            why: why.clone(),
            at_micros: self.clock.wall_micros(),
        });
    }

    /// Ends a letter of anybody with a failure.
    pub(super) fn fail(self: &Arc<Self>, actor: &ActorId, letter: Letter, failure: Failure) {
        fail(&Surroundings(self.clone()), actor, letter, failure);
    }
}

/// What the switchboard needs of the node; weak, as the node holds the switchboard.
pub(super) struct NodeUplink(pub(super) std::sync::Weak<Node>);

impl Uplink for NodeUplink {
    fn deliver_here(&self, actor: &ActorId, letter: Letter, fresh: bool) -> Delivered {
        let Some(node) = self.0.upgrade() else {
            drop(letter);
            return Delivered::Done;
        };
        let may_register = node.may_register(actor);
        node.at(actor, |place| {
            let letter = match &place.activation {
                Some(activation) if place.seat.is_open_to(LinkId::LOCAL) => {
                    let direct = Arc::new(ShortCut(activation.clone()));
                    match activation.try_push(letter) {
                        Ok(()) => return Delivered::Direct(direct),
                        Err(PushError::Full(letter)) if fresh => return Delivered::Full(letter, direct),
                        Err(PushError::Full(letter)) => {
                            // It waited for its way longer than there was room; its sender is gone.
                            activation.push(letter);
                            return Delivered::Direct(direct);
                        }
                        Err(PushError::Closed(letter)) => letter,
                    }
                }
                _ => letter,
            };
            place.seat.arrive(LinkId::LOCAL, letter, true, may_register);
            Delivered::Done
        })
    }

    fn fence_here(&self, actor: &ActorId, k: u64) {
        if let Some(node) = self.0.upgrade() {
            node.at(actor, |place| place.seat.fence(LinkId::LOCAL, k));
        }
    }

    fn enter_here(&self, actor: &ActorId, k: u64) {
        if let Some(node) = self.0.upgrade() {
            let may_register = node.may_register(actor);
            node.at(actor, |place| place.seat.enter(LinkId::LOCAL, k, may_register));
        }
    }

    fn is_gone(&self, silo: &SiloId) -> bool {
        self.0.upgrade().is_some_and(|node| node.is_gone(silo))
    }

    fn locate(&self, actor: &ActorId, attempt: u32, first: bool) -> Option<Hint> {
        let node = self.0.upgrade()?;
        node.locate(actor, attempt, first)
    }

    fn dead_letter(&self, actor: &ActorId, letter: Letter, why: &Failure) {
        if let Some(node) = self.0.upgrade() {
            node.keep_dead_letter(actor, &letter, why);
        }
    }
}

//! This silo's actors: how they come up, what the runtime reports of them, and what it and they need of the silo.

use super::{Gate, Node, parcels::Parcel, place::Arriving};
use crate::{
    actor::{
        Asker, Audience, Grant, Job, LoadError, Port, Posted, ReminderAnswer, ReminderAsk, ReminderError, SaveError,
        Saving, Services,
    },
    caller::from_call,
    clock::Clock,
    ident::{ActorId, Epoch, OnceId, ProcessId, RequestId, SiloId},
    mailbox::{Letter, Mailbox},
    migration::Phase,
    runtime::{Activation, Control, Event, FreezeError, Memory, Outside, fail},
    store::{
        ETag, Owner, RegisterOutcome, Registered, SaveOutcome, SaveRequest, Store, StoreError, StoredState,
        SubscriptionId, SubscriptionSpec, SubscriptionWrite, SubscriptionWritten,
    },
    wire::{ArrivedActor, Call, EncodeError, Failure, FailureCode, MoveFailure, Outcome, Package, Ran, Refusal},
};
use futures_util::future::BoxFuture;
use std::sync::{Arc, Weak, atomic::Ordering};

impl Node {
    /// The directory names this silo; the actor comes up from what was saved.
    pub(super) fn activate(self: &Arc<Self>, actor: &ActorId, epoch: Epoch, state: Option<StoredState>) {
        let Some(kind) = self.registry.kind(actor.kind()) else {
            unreachable!("invariant: only hosted kinds are registered");
        };
        let mailbox = self.board().mailbox_of(actor);
        self.at(actor, |place| {
            if !matches!(place.seat.phase(), Some((Phase::Registering, _))) {
                return;
            }
            let activation = self.pool().activation(actor, &kind.entry, true, mailbox);
            activation.control(Control::Activate(Memory::saved(epoch, state)));
            place.activation = Some(activation);
            place.seat.registered(epoch);
        });
    }

    /// Puts a letter into the mailbox of an actor that runs here, if that is all there is to it; or lets one of which nothing is
    /// known here run at once, if the store answers at once that it is this silo's now. Answers that mailbox, or gives the letter
    /// back: then its seat has to say. `mailbox`: the actor's, if this process has one.
    pub(super) fn rest_or_begin<T>(
        self: &Arc<Self>,
        actor: &ActorId,
        letter: Letter,
        mailbox: impl FnOnce() -> Option<Arc<Mailbox>>,
        pushed: impl FnOnce(&Arc<Mailbox>) -> T,
    ) -> Result<T, Letter> {
        (self.seats).push_at_rest_or(actor, letter, || self.begin(actor, mailbox), pushed)
    }

    /// Registers an actor of which nothing is known here and makes its activation, if the store answers at once. With its seat
    /// locked.
    pub(super) fn begin(
        &self,
        actor: &ActorId,
        mailbox: impl FnOnce() -> Option<Arc<Mailbox>>,
    ) -> Option<Arc<Mailbox>> {
        let kind = self.registry.kind(actor.kind()).filter(|_| self.gate() == Gate::Open)?;
        let mailbox = mailbox();
        match self.store.register_at_once(&self.me, actor)? {
            RegisterOutcome::Registered(Registered { epoch, state }) => {
                let activation = self.pool().activation(actor, &kind.entry, true, mailbox);
                let mailbox = activation.mailbox().clone();
                activation.take_control(Control::Activate(Memory::saved(epoch, state)));
                Some(mailbox)
            }
            // Whose it is, and whether it can be taken over, is found out off the path of messages.
            RegisterOutcome::Owned(_) => None,
        }
    }

    /// A package has come from a source.
    pub(super) fn package_arrived(self: &Arc<Self>, from: &SiloId, package: Package) {
        let actor = package.actor.clone();
        let refusal = self.refusal(actor.kind(), &package.version);
        let mailbox = self.board().mailbox_of(&actor);
        self.at(&actor, |place| {
            if !place.seat.package(from, package.epoch) {
                return;
            }
            if let Some(why) = refusal {
                return place.seat.refuse(package.epoch, why);
            }
            let kind = (self.registry.kind(actor.kind())).expect("invariant: a kind that is not refused is hosted");
            let activation = self.pool().activation(&actor, &kind.entry, false, mailbox);
            let (now, bytes) = (self.clock.now(), package.memory.len());
            for call in package.waiting {
                activation.push(from_call(call, now).1);
            }
            activation.control(Control::Prepare(Memory {
                epoch: package.epoch.next(),
                body: Some(package.memory),
                etag: package.etag,
                unsaved: package.unsaved,
                timers: package.timers,
                streams: package.streams,
            }));
            place.activation = Some(activation);
            place.arriving = Some(Arriving {
                from: from.clone(),
                epoch: package.epoch,
                frozen_at_micros: package.frozen_at_micros,
                since: now,
                bytes,
            });
        });
    }

    /// Why this silo would not take an actor of a kind from a source that hosts it in `version`.
    pub(super) fn refusal(&self, kind: &str, version: &semver::Version) -> Option<Refusal> {
        if self.gate() != Gate::Open {
            return Some(Refusal::NotActive);
        }
        let Some(own) = self.registry.kind(kind) else {
            return Some(Refusal::NotHosted);
        };
        let allowed = self.placement.read().policy(kind).allows(version, &own.version);
        (!allowed).then(|| {
            self.version_mismatches.fetch_add(1, Ordering::Relaxed);
            Refusal::Version {
                source: version.clone(),
                target: own.version.clone(),
            }
        })
    }

    fn happened(self: &Arc<Self>, activation: &Activation, event: Event) {
        let actor = activation.actor();
        self.at(actor, |place| {
            if place.activation.as_ref() != Some(activation) {
                return;
            }
            match event {
                Event::ActivationFailed(failure) => {
                    self.fail_waiting(activation, &failure);
                    place.activation = None;
                    place.seat.activation_failed();
                }
                Event::WantsToEnd => place.seat.deactivate_when_settled(),
                Event::Idle => {
                    // Not while a move settles; it is said again.
                    place.seat.deactivate();
                }
                Event::OwnershipLost(failure) => {
                    self.fail_waiting(activation, &failure);
                    place.activation = None;
                    place.seat.ownership_lost(None);
                }
                Event::Packed(packed) => {
                    #[cfg(feature = "testkit")]
                    let packed = super::broken::packed(packed);
                    if let Some((_, epoch)) = place.seat.phase() {
                        let version = (self.registry.kind(actor.kind())).map(|kind| kind.version.clone());
                        place.package = Some(Parcel::new(Package {
                            actor: actor.clone(),
                            epoch,
                            version: version.expect("invariant: what runs here is hosted here"),
                            memory: packed.actor.memory,
                            etag: packed.actor.etag,
                            unsaved: packed.actor.unsaved,
                            waiting: packed.waiting,
                            timers: packed.timers,
                            streams: packed.actor.streams,
                            frozen_at_micros: packed.frozen_at_micros,
                        }));
                        place.seat.packed();
                    }
                }
                Event::FreezeFailed(error) => {
                    tracing::info!(%actor, %error, "an actor could not be frozen and goes on");
                    self.moves.blame(actor, failure_of(&error));
                    place.seat.freeze_failed();
                }
                Event::Ended(result) => {
                    place.activation = None;
                    let mut history = self.history.lock();
                    match result {
                        Ok(()) => history.deactivated += 1,
                        Err(error) => {
                            tracing::error!(%actor, %error, "the state of an actor could not be saved at its end");
                            history.not_saved(actor.clone(), error.to_string());
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
                        place.seat.refuse(arriving.epoch, Refusal::Unreadable(why));
                    }
                }
                Event::Stuck { message, began } => {
                    self.stuck(activation.mailbox().clone(), message.to_owned(), began, None);
                }
                Event::Started => {
                    if let Some(arriving) = place.arriving.take() {
                        if self.options.rebalance.is_some() {
                            self.balancing.came(actor, self.clock.now());
                        }
                        let arrived = ArrivedActor {
                            actor: actor.clone(),
                            from: arriving.from,
                            pause_us: self.clock.wall_micros().saturating_sub(arriving.frozen_at_micros),
                        };
                        self.history.lock().arrived(arrived, arriving.bytes);
                    }
                }
            }
        });
    }
}

fn failure_of(error: &FreezeError) -> MoveFailure {
    match error {
        FreezeError::TimedOut => MoveFailure::TurnTooLong,
        FreezeError::Unwritable(error) => MoveFailure::CannotPack(error.to_string()),
        _ => MoveFailure::CalledOff,
    }
}

/// What actors can call. Weak, as mailboxes hold it, and whoever has a reference to an actor holds its mailbox.
struct NodeServices {
    node: Weak<Node>,
    clock: Clock,
}

impl NodeServices {
    fn node(&self) -> Arc<Node> {
        (self.node.upgrade()).expect("invariant: a silo's actors end before it does")
    }
}

impl Services for NodeServices {
    fn save(&self, actor: ActorId, saving: Saving) -> BoxFuture<'static, Result<Option<ETag>, SaveError>> {
        let node = self.node();
        let named = saving.named.iter().filter_map(|change| change.new.as_ref());
        let bodies = named.map(|new| &new.body).chain(&saving.body);
        let largest = bodies.map(|body| body.len()).max();
        let (bytes, max) = (largest.unwrap_or(0), node.options.max_state_bytes);
        if bytes > max {
            return Box::pin(std::future::ready(Err(SaveError::TooLarge { actor, bytes, max })));
        }
        let request = SaveRequest {
            actor: actor.clone(),
            owner: Owner {
                silo: node.me.clone(),
                epoch: saving.grant.epoch,
            },
            expected: saving.grant.etag,
            version: saving.version.to_owned(),
            body: saving.body,
            has_posts: saving.has_posts,
            named: saving.named,
        };
        Box::pin(async move {
            match save(&*node.store, request).await {
                Ok(Some(SaveOutcome::Saved(etag))) => Ok(Some(etag)),
                Ok(Some(SaveOutcome::Cleared)) => Ok(None),
                Ok(Some(SaveOutcome::NamedConflict { name, expected, actual })) => Err(SaveError::Conflict {
                    actor,
                    name,
                    expected,
                    actual,
                }),
                Ok(Some(SaveOutcome::Conflict { expected, actual })) => Err(SaveError::Conflict {
                    actor,
                    name: String::new(),
                    expected,
                    actual,
                }),
                Ok(Some(SaveOutcome::NotOwner(entry))) => Err(SaveError::NotOwner { actor, entry }),
                Ok(None) => unreachable!("invariant: a store answers every save"),
                Err(source) => Err(SaveError::Store { actor, source }),
            }
        })
    }

    fn load_own(&self, actor: ActorId, grant: Grant) -> BoxFuture<'static, Result<Option<StoredState>, LoadError>> {
        let node = self.node();
        let owner = Owner {
            silo: node.me.clone(),
            epoch: grant.epoch,
        };
        Box::pin(async move {
            let (entry, state) = match node.store.load_owned(&actor).await {
                Ok(found) => found,
                Err(source) => {
                    let name = String::new();
                    return Err(LoadError::Store { actor, name, source });
                }
            };
            if !entry.is_owned_by(&owner) {
                return Err(LoadError::NotOwner { actor, entry });
            }
            let (expected, actual) = (grant.etag, state.as_ref().map(|state| state.etag));
            if actual != expected {
                return Err(LoadError::Conflict {
                    actor,
                    expected,
                    actual,
                });
            }
            Ok(state)
        })
    }

    fn load(&self, actor: ActorId, name: String) -> BoxFuture<'static, Result<Option<StoredState>, StoreError>> {
        let node = self.node();
        Box::pin(async move { node.store.load_named(&actor, &name).await })
    }

    fn send_posts(&self, from: Arc<Mailbox>, outbox: OnceId, posts: Vec<Posted>, forget: Vec<(ActorId, u64)>) {
        self.node().send_posts(from, outbox, posts, forget);
    }

    fn writes_older(&self, kind: &str) -> bool {
        self.node().writes_older(kind)
    }

    fn port(&self, actor: ActorId) -> Arc<dyn Port> {
        self.node().board().port(actor)
    }

    fn clock(&self) -> &Clock {
        &self.clock
    }

    fn blocking(&self, job: Job) -> BoxFuture<'static, bool> {
        self.node().blocking.run(job)
    }

    fn remind(&self, asker: Asker, ask: ReminderAsk) -> BoxFuture<'static, Result<ReminderAnswer, ReminderError>> {
        let node = self.node();
        Box::pin(async move { node.remind(asker, ask).await })
    }

    fn audience(&self) -> Arc<Audience> {
        self.node().audience.read().clone()
    }

    fn subscriptions(
        &self,
        stream: ActorId,
    ) -> BoxFuture<'static, Result<Vec<(SubscriptionId, SubscriptionSpec)>, StoreError>> {
        let node = self.node();
        Box::pin(async move { node.store.subscriptions(&stream).await })
    }

    fn write_subscription(
        &self,
        id: SubscriptionId,
        epoch: Epoch,
        new: Option<SubscriptionSpec>,
    ) -> BoxFuture<'static, Result<SubscriptionWritten, StoreError>> {
        let node = self.node();
        Box::pin(async move {
            let silo = node.me.clone();
            let owner = Owner { silo, epoch };
            let written = node
                .store
                .write_subscriptions(vec![SubscriptionWrite { id, owner, new }])
                .await?;
            Ok(written
                .into_iter()
                .next()
                .expect("invariant: a store answers every write"))
        })
    }
}

/// Saves a state. The owner alone saves, so a number that went back tells of a store that has lost writes: the state at hand is
/// newer than what it has, and takes its place.
async fn save(store: &dyn Store, mut request: SaveRequest) -> Result<Option<SaveOutcome>, StoreError> {
    // Each of its states may have gone back, once.
    let mut left = 1 + request.named.len();
    loop {
        let outcome = store.save(vec![request.clone()]).await?.pop();
        let (name, expected, actual) = match &outcome {
            Some(SaveOutcome::Conflict { expected, actual }) => ("", *expected, *actual),
            Some(SaveOutcome::NamedConflict { name, expected, actual }) => (&**name, *expected, *actual),
            _ => return Ok(outcome),
        };
        if left == 0 || actual >= expected {
            return Ok(outcome);
        }
        left -= 1;
        tracing::warn!(actor = %request.actor, name, ?expected, ?actual, "the store had lost a saved state; it is written again");
        match request.named.iter_mut().find(|change| change.name == name) {
            Some(change) => change.expected = actual,
            None => request.expected = actual,
        }
    }
}

/// The runtime's surroundings. The trait is for the node behind its `Arc`, so that services can be handed out.
pub(super) struct Surroundings(pub(super) Arc<Node>);

impl Outside for Surroundings {
    fn services(&self) -> Arc<dyn Services> {
        Arc::new(NodeServices {
            node: Arc::downgrade(&self.0),
            clock: self.0.clock.clone(),
        })
    }

    fn load(&self, actor: ActorId) -> BoxFuture<'static, Result<Option<StoredState>, StoreError>> {
        let store = self.0.store.clone();
        Box::pin(async move {
            let states = store.load(vec![actor]).await?;
            Ok(states.into_iter().next().flatten())
        })
    }

    fn reply(&self, process: ProcessId, request: RequestId, outcome: Outcome) {
        let outcome = match outcome {
            // The process stood still between the turn and its reply: another silo may have the actor by now.
            Outcome::Reply(_) if !self.0.may_serve() => {
                let text = format!(
                    "{} has lost its lease; the message ran, and may have had no effect",
                    self.0.me
                );
                Outcome::Failure(Failure::new(FailureCode::Unknown, Ran::Unknown, text))
            }
            outcome => outcome,
        };
        self.0.send_reply(&process, request, outcome);
    }

    fn to_call(&self, actor: &ActorId, letter: &mut Letter) -> Result<Call, EncodeError> {
        self.0.board().to_call(actor, letter)
    }

    fn dead_letter(&self, actor: &ActorId, letter: Letter, why: &Failure) {
        self.0.undelivered(actor, &letter, why);
    }

    fn report(&self, activation: &Activation, event: Event) {
        self.0.happened(activation, event);
    }
}

impl Node {
    /// Ends what waits for an activation that is gone. With its seat locked: nothing more can come to rest in it.
    pub(super) fn fail_waiting(self: &Arc<Self>, activation: &Activation, failure: &Failure) {
        for letter in activation.close() {
            self.fail(activation.actor(), letter, failure.clone());
        }
    }

    /// Ends a letter of anybody with a failure.
    pub(super) fn fail(self: &Arc<Self>, actor: &ActorId, letter: Letter, failure: Failure) {
        fail(&Surroundings(self.clone()), actor, letter, failure);
    }
}

//! An activation as its worker holds it: the actor, the turn under way, and what it was told to do.

use super::{
    Activation, Control, Event, FreezeError, Memory, Outside, Packed,
    turn::{answer, fail, open, panic_text},
};
use crate::{
    actor::{
        ActivationError, AnyActor, DeactivateReason, Hydrate, Letter, MessageEntry, ReplyTo, ReplyValue, SaveError,
        Scope, Scoped, TurnEnd,
    },
    ident::{ActorId, Epoch},
    store::{StoreError, StoredState},
    wire::{Failure, FailureCode, Ran},
};
use futures_util::future::LocalBoxFuture;
use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    task::{Context, Poll, Waker},
};

/// What a finished step left behind.
enum Step {
    Turn(TurnEnd),
    Activated(Box<dyn AnyActor>, Result<(), ActivationError>),
    Deactivated(Box<dyn AnyActor>),
    Saved(Result<(), SaveError>),
    Loaded(Result<Option<StoredState>, StoreError>),
}

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doing {
    Turn,
    Activating,
    /// After a move that was called off.
    Reactivating,
    HookBeforeFreeze,
    HookBeforeEnd,
    Saving,
    Loading,
}

enum State {
    /// No actor yet.
    Empty,
    Idle(Box<dyn AnyActor>),
    /// Waits for `Start`.
    Prepared(Box<dyn AnyActor>),
    /// Waits for `Resume`, `Drop` or `Abandon`. `hook_ran`: `on_deactivate` has run.
    Stopped {
        actor: Box<dyn AnyActor>,
        hook_ran: bool,
    },
    /// `wakers` poll: a future owns the actor.
    Busy {
        doing: Doing,
        step: LocalBoxFuture<'static, Step>,
    },
    Gone,
}

/// The letter whose turn runs.
struct Current {
    reply: ReplyTo,
    name: Box<str>,
}

/// An activation as its worker holds it.
pub(super) struct Slot {
    pub(super) activation: Arc<Activation>,
    outside: Arc<dyn Outside>,
    state: State,
    current: Option<Current>,
    epoch: Epoch,
    freezing: bool,
    ending: Option<DeactivateReason>,
    /// Whether a move brought it: `Started` is reported when it runs.
    moved_here: bool,
    /// When it took no more turns because of a freeze, by the wall clock.
    frozen_at_micros: u64,
}

/// What one visit came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Visit {
    /// Nothing more to do now.
    Rests,
    /// The budget is used up.
    HasMore,
    /// The activation is over.
    Over,
}

impl Slot {
    pub(super) fn new(activation: Arc<Activation>, outside: Arc<dyn Outside>) -> Self {
        Self {
            activation,
            outside,
            state: State::Empty,
            current: None,
            epoch: Epoch::ZERO,
            freezing: false,
            ending: None,
            moved_here: false,
            frozen_at_micros: 0,
        }
    }

    fn actor_id(&self) -> &ActorId {
        self.activation.actor()
    }

    /// Whether another visit would do something, after one that came to rest.
    pub(super) fn can_go_on(&self, has_letters: bool, has_control: bool, woken: bool) -> bool {
        match self.state {
            State::Busy { .. } => woken || has_control,
            State::Idle(_) => has_letters || has_control,
            State::Gone => false,
            _ => has_control,
        }
    }

    /// Goes on with the activation: the step under way, what it was told, then at most `budget` messages. Lowers `budget`.
    pub(super) fn visit(&mut self, waker: &Waker, woken: bool, budget: &mut u32) -> Visit {
        let mut woken = woken;
        loop {
            if let State::Busy { .. } = self.state {
                self.take_urgent_controls();
                if !woken || !self.poll_step(waker) {
                    return if matches!(self.state, State::Gone) {
                        Visit::Over
                    } else {
                        Visit::Rests
                    };
                }
                continue;
            }
            if let Some(control) = self.activation.with_mailbox(|mailbox| mailbox.pop_control()) {
                self.obey(control);
                woken = true;
                continue;
            }
            match std::mem::replace(&mut self.state, State::Gone) {
                State::Gone => return Visit::Over,
                State::Idle(actor) => {
                    if *budget == 0 {
                        self.state = State::Idle(actor);
                        return Visit::HasMore;
                    }
                    if !self.next_turn(actor) {
                        return Visit::Rests;
                    }
                    *budget -= 1;
                    woken = true;
                }
                waits => {
                    self.state = waits;
                    return Visit::Rests;
                }
            }
        }
    }

    /// Takes the next letter, or goes to rest (`false`).
    fn next_turn(&mut self, actor: Box<dyn AnyActor>) -> bool {
        if actor.is_stale() {
            self.lost(actor);
            return true;
        }
        if self.freezing {
            self.freezing = false;
            self.frozen_at_micros = self.activation.clock.wall_micros();
            self.begin(Doing::HookBeforeFreeze, async move {
                Step::Deactivated(actor.deactivate(DeactivateReason::Migrating).await)
            });
            return true;
        }
        let Some(letter) = self.activation.with_mailbox(|mailbox| mailbox.pop()) else {
            if let Some(reason) = self.ending {
                self.begin(Doing::HookBeforeEnd, async move {
                    Step::Deactivated(actor.deactivate(reason).await)
                });
                return true;
            }
            self.state = State::Idle(actor);
            return false;
        };
        let now = self.activation.clock.now();
        match open(&self.activation, &*self.outside, letter, now) {
            Some((letter, message)) => {
                self.activation.activity().turn_started(now);
                self.run_turn(actor, letter, message);
            }
            None => {
                self.activation.activity().dequeued(now);
                self.state = State::Idle(actor);
            }
        }
        true
    }

    fn run_turn(&mut self, actor: Box<dyn AnyActor>, letter: Letter, message: Box<dyn Any + Send>) {
        let entry: &MessageEntry =
            (self.activation.kind().message(letter.body.name())).expect("invariant: a readable letter has an entry");
        let encoded = matches!(letter.reply, ReplyTo::Process { .. });
        let mut chain = letter.chain;
        chain.push(self.actor_id().clone());
        let scope = Scope {
            deadline: letter.deadline,
            chain,
        };
        let turn = Scoped::new(scope, entry.run(actor, message, encoded));
        self.current = Some(Current {
            reply: letter.reply,
            name: letter.body.name().into(),
        });
        self.begin(Doing::Turn, async move { Step::Turn(turn.await) });
    }

    fn begin(&mut self, doing: Doing, step: impl Future<Output = Step> + 'static) {
        self.state = State::Busy {
            doing,
            step: Box::pin(step),
        };
    }

    /// Polls the step under way. `true`: it has ended and its end was dealt with.
    fn poll_step(&mut self, waker: &Waker) -> bool {
        let State::Busy { doing, step } = &mut self.state else {
            return true;
        };
        let doing = *doing;
        let polled = catch_unwind(AssertUnwindSafe(|| step.as_mut().poll(&mut Context::from_waker(waker))));
        match polled {
            Ok(Poll::Pending) => false,
            Ok(Poll::Ready(end)) => {
                self.state = State::Empty;
                self.ended(doing, end);
                true
            }
            Err(panic) => {
                let state = std::mem::replace(&mut self.state, State::Empty);
                // The future still owns the actor; what its drop does is fenced as well.
                let _ = catch_unwind(AssertUnwindSafe(|| drop(state)));
                self.panicked(doing, &panic_text(&*panic));
                true
            }
        }
    }

    fn ended(&mut self, doing: Doing, end: Step) {
        match (doing, end) {
            (Doing::Turn, Step::Turn(end)) => {
                self.end_turn(end.reply);
                if end.actor.wants_to_end() {
                    self.outside.report(&self.activation, Event::WantsToEnd);
                }
                self.state = State::Idle(end.actor);
            }
            (Doing::Activating, Step::Activated(actor, Ok(()))) => {
                if std::mem::take(&mut self.moved_here) {
                    self.outside.report(&self.activation, Event::Started);
                }
                self.state = State::Idle(actor);
            }
            (Doing::Activating, Step::Activated(_, Err(error))) => {
                self.activation_failed(&format!("on_activate failed: {error}"));
            }
            (Doing::Reactivating, Step::Activated(actor, result)) => {
                if let Err(error) = result {
                    tracing::warn!(actor = %self.actor_id(), %error, "on_activate failed after a move that was called off");
                }
                self.state = State::Idle(actor);
            }
            (Doing::HookBeforeFreeze, Step::Deactivated(actor)) => self.pack(actor),
            (Doing::HookBeforeEnd, Step::Deactivated(actor)) => {
                self.begin(Doing::Saving, async move {
                    let (_actor, result) = actor.save_if_changed().await;
                    Step::Saved(result)
                });
            }
            (Doing::Saving, Step::Saved(result)) => {
                self.state = State::Gone;
                self.outside.report(&self.activation, Event::Ended(result));
            }
            (Doing::Loading, Step::Loaded(Ok(state))) => self.activate(Memory::saved(self.epoch, state)),
            (Doing::Loading, Step::Loaded(Err(error))) => {
                self.activation_failed(&format!("its state cannot be read after a panic: {error}"));
            }
            (doing, _) => unreachable!("invariant: {doing:?} ends in its own step"),
        }
    }

    fn end_turn(&mut self, reply: Result<ReplyValue, Failure>) {
        self.activation.activity().call_ended(self.activation.clock.now());
        if let Some(current) = self.current.take() {
            answer(&*self.outside, current.reply, reply);
        }
    }

    fn panicked(&mut self, doing: Doing, text: &str) {
        let actor = self.actor_id().clone();
        tracing::error!(%actor, ?doing, panic = text, "an actor panicked; its activation is rebuilt");
        match doing {
            Doing::Turn => {
                let name = self.current.as_ref().map_or("", |current| &current.name).to_owned();
                let text =
                    format!("{name} panicked in {actor}: {text}; the activation is rebuilt from its saved state");
                self.end_turn(Err(Failure::new(FailureCode::Panicked, Ran::Yes, text)));
                self.reload();
            }
            Doing::Activating | Doing::Loading => self.activation_failed(&format!("on_activate panicked: {text}")),
            Doing::Reactivating => self.reload(),
            Doing::HookBeforeFreeze => {
                // The memory is gone with the panic; what is saved is what there is.
                self.outside
                    .report(&self.activation, Event::FreezeFailed(FreezeError::NotRunning));
                self.reload();
            }
            Doing::HookBeforeEnd | Doing::Saving => {
                self.state = State::Gone;
                self.outside.report(&self.activation, Event::Ended(Ok(())));
            }
        }
    }

    fn reload(&mut self) {
        let load = self.outside.load(self.actor_id().clone());
        self.begin(Doing::Loading, async move { Step::Loaded(load.await) });
    }

    fn hydrate(&mut self, memory: Memory) -> Result<Box<dyn AnyActor>, String> {
        self.epoch = memory.epoch;
        let from = Hydrate {
            id: self.actor_id().clone(),
            epoch: memory.epoch,
            services: self.outside.services(),
            memory: memory.body,
            etag: memory.etag,
            unsaved: memory.unsaved,
        };
        let kind = self.activation.kind();
        match catch_unwind(AssertUnwindSafe(|| kind.hydrate(from))) {
            Ok(Ok(actor)) => Ok(actor),
            Ok(Err(error)) => Err(format!(
                "its state cannot be read by {} {}: {error}",
                kind.kind(),
                kind.version()
            )),
            Err(panic) => Err(format!("reading its state panicked: {}", panic_text(&*panic))),
        }
    }

    fn activate(&mut self, memory: Memory) {
        match self.hydrate(memory) {
            Ok(actor) => self.run_hook(Doing::Activating, actor),
            Err(why) => self.activation_failed(&why),
        }
    }

    fn run_hook(&mut self, doing: Doing, actor: Box<dyn AnyActor>) {
        self.begin(doing, async move {
            let (actor, result) = actor.activate().await;
            Step::Activated(actor, result)
        });
    }

    fn activation_failed(&mut self, why: &str) {
        let actor = self.actor_id();
        tracing::warn!(%actor, why, "an actor could not be activated");
        let text = format!("{actor} could not be activated: {why}");
        let failure = Failure::new(FailureCode::ActivationFailed, Ran::No, text);
        self.state = State::Gone;
        self.outside.report(&self.activation, Event::ActivationFailed(failure));
    }

    fn lost(&mut self, actor: Box<dyn AnyActor>) {
        let _ = catch_unwind(AssertUnwindSafe(|| drop(actor)));
        let id = self.actor_id();
        let text = format!("{id} was taken over by another activation while this message waited; it did not run");
        let failure = Failure::new(FailureCode::Discarded, Ran::No, text);
        self.state = State::Gone;
        self.outside.report(&self.activation, Event::OwnershipLost(failure));
    }

    fn fail_all(&mut self, failure: &Failure) {
        for letter in self.activation.close() {
            fail(&*self.outside, self.activation.actor(), letter, failure.clone());
        }
    }

    fn pack(&mut self, actor: Box<dyn AnyActor>) {
        let mut letters = self.activation.with_mailbox(|mailbox| mailbox.take_all());
        let id = self.activation.actor();
        let packed = catch_unwind(AssertUnwindSafe(|| {
            let memory = actor.dehydrate()?;
            let calls = letters.iter_mut().map(|letter| self.outside.to_call(id, letter));
            Ok::<_, FreezeError>((memory, calls.collect::<Result<Vec<_>, _>>()?))
        }));
        self.activation.with_mailbox(|mailbox| mailbox.put_back(letters));
        let event = match packed {
            Ok(Ok((memory, waiting))) => Event::Packed(Box::new(Packed {
                actor: memory,
                waiting,
                frozen_at_micros: self.frozen_at_micros,
            })),
            Ok(Err(error)) => Event::FreezeFailed(error),
            Err(panic) => {
                tracing::error!(actor = %id, panic = panic_text(&*panic), "serializing an actor panicked");
                Event::FreezeFailed(FreezeError::NotRunning)
            }
        };
        self.state = State::Stopped { actor, hook_ran: true };
        self.outside.report(&self.activation, event);
    }

    /// What cannot wait for the end of the running step.
    fn take_urgent_controls(&mut self) {
        let controls = self.activation.with_mailbox(|mailbox| {
            let mut controls = Vec::new();
            while let Some(control) = mailbox.pop_control() {
                controls.push(control);
            }
            controls
        });
        for control in controls {
            match control {
                Control::Freeze => self.freezing = true,
                Control::CancelFreeze => self.cancel_freeze(),
                Control::End(reason) => self.ending = Some(reason),
                control => self.obey(control),
            }
        }
    }

    fn cancel_freeze(&mut self) {
        if std::mem::take(&mut self.freezing) {
            self.outside
                .report(&self.activation, Event::FreezeFailed(FreezeError::TimedOut));
        }
    }

    fn obey(&mut self, control: Control) {
        match (control, std::mem::replace(&mut self.state, State::Empty)) {
            (Control::Activate(memory), State::Empty) => self.activate(memory),
            (Control::Prepare(memory), State::Empty) => match self.hydrate(memory) {
                Ok(actor) => {
                    self.state = State::Prepared(actor);
                    self.outside.report(&self.activation, Event::Prepared);
                }
                Err(why) => {
                    self.state = State::Gone;
                    self.outside.report(&self.activation, Event::PrepareFailed(why));
                }
            },
            (Control::Start { epoch }, State::Prepared(mut actor)) => {
                self.epoch = epoch;
                actor.set_epoch(epoch);
                self.moved_here = true;
                self.run_hook(Doing::Activating, actor);
            }
            (Control::Resume { epoch }, State::Stopped { mut actor, hook_ran }) => {
                self.epoch = epoch;
                actor.set_epoch(epoch);
                if hook_ran {
                    self.run_hook(Doing::Reactivating, actor);
                } else {
                    self.state = State::Idle(actor);
                }
            }
            (Control::Resume { epoch }, state) => {
                self.epoch = epoch;
                self.state = state;
            }
            (Control::Freeze, State::Idle(actor)) => {
                self.freezing = true;
                self.state = State::Idle(actor);
            }
            (Control::Freeze, state) => {
                self.state = state;
                self.outside
                    .report(&self.activation, Event::FreezeFailed(FreezeError::NotRunning));
            }
            (Control::CancelFreeze, state) => {
                self.state = state;
                self.cancel_freeze();
            }
            (Control::End(reason), state) => {
                self.ending = Some(reason);
                self.state = state;
            }
            (Control::Drop, state) => {
                drop_fenced(state);
                self.activation.with_mailbox(|mailbox| mailbox.take_all());
                self.state = State::Gone;
            }
            (Control::Abandon, state) => {
                drop_fenced(state);
                let text = format!(
                    "{} was moving and its new silo was lost; the message may have run",
                    self.actor_id()
                );
                self.fail_all(&Failure::new(FailureCode::Unknown, Ran::Unknown, text));
                self.state = State::Gone;
            }
            (control, state) => {
                tracing::debug!(actor = %self.actor_id(), ?control, "an activation was told what it cannot do now");
                self.state = state;
            }
        }
    }
}

fn drop_fenced(state: State) {
    let _ = catch_unwind(AssertUnwindSafe(|| drop(state)));
}

//! An activation as its worker holds it: the actor, the turn under way, and what it was told to do.

use super::{
    Activation, Control, Event, FreezeError, Memory, Outside, Packed,
    answer::{fail, send},
    local::Local,
};
use crate::{
    actor::{
        ActivationError, AnyActor, Begin, Begun, DeactivateReason, Frame, Hydrate, Memory as FrameMemory, SaveError, Scope,
        TurnEnd, TurnScope, panic_text, set_turn,
    },
    clock::Moment,
    ident::{ActorId, Epoch},
    mailbox::{Form, Front, Letter, Mailbox, NotHere, Records},
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
    Activated(Box<dyn AnyActor>, Result<(), ActivationError>),
    Deactivated(Box<dyn AnyActor>),
    Saved(Result<(), SaveError>),
    Loaded(Result<Option<StoredState>, StoreError>),
}

/// What is being done besides turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doing {
    Activating,
    /// After a move that was called off.
    Reactivating,
    HookBeforeFreeze,
    HookBeforeEnd,
    Saving,
    Loading,
}

/// A future that owns the actor and is polled when it is woken.
enum Work {
    Turn(Frame),
    Step(Doing, LocalBoxFuture<'static, Step>),
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
    Busy(Work),
    Gone,
}

/// An activation as its worker holds it.
pub(super) struct Slot {
    pub(super) activation: Arc<Activation>,
    state: State,
    /// Messages taken out of the mailbox, to be run in order.
    taken: Records,
    /// Lent to the scope while it is visited.
    mailbox: Option<Arc<Mailbox>>,
    /// Of the turn under way.
    turn: TurnScope,
    /// The worker looks after the turn under way at that moment.
    awaited: Option<Moment>,
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
    /// Nothing more to do now. `busy`: a message changes nothing about that.
    Rests { busy: bool },
    /// The budget is used up.
    HasMore,
    /// The activation is over.
    Over,
}

/// Whether a turn is to be woken because its moment has come.
pub(super) enum Due {
    /// It has ended.
    No,
    /// It is.
    Now,
    /// Later.
    At(Moment),
}

impl Slot {
    pub(super) fn new(activation: Arc<Activation>) -> Self {
        Self {
            mailbox: Some(activation.mailbox().clone()),
            activation,
            state: State::Empty,
            taken: Records::new(),
            turn: TurnScope::default(),
            awaited: None,
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

    /// The scope of what it runs.
    pub(super) fn enter(&mut self) -> Scope {
        let mut turn = std::mem::take(&mut self.turn);
        turn.wake_by = None;
        Scope {
            mailbox: self.mailbox.take(),
            turn,
        }
    }

    /// Takes its scope back. Answers when the worker is to look after it, if it does not know yet.
    pub(super) fn leave(&mut self, scope: Scope) -> Option<Moment> {
        self.mailbox = scope.mailbox;
        if !matches!(self.state, State::Busy(_)) {
            return None;
        }
        self.turn = scope.turn;
        let at = self.turn.wake_by.filter(|at| self.awaited.is_none_or(|awaited| *at < awaited))?;
        self.awaited = Some(at);
        Some(at)
    }

    /// The worker looks after the turn under way, as it wanted to at `at`.
    pub(super) fn is_due(&mut self, at: Moment, now: Moment) -> Due {
        if self.awaited != Some(at) {
            return Due::No;
        }
        self.awaited = None;
        match (&self.state, self.turn.wake_by) {
            (State::Busy(_), Some(by)) if by <= now => Due::Now,
            (State::Busy(_), Some(by)) => {
                self.awaited = Some(by);
                Due::At(by)
            }
            _ => Due::No,
        }
    }

    /// Whether it could run a message now.
    pub(super) fn is_free(&self) -> bool {
        matches!(self.state, State::Idle(_)) && !self.freezing && self.ending.is_none() && self.taken.is_empty()
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.state, State::Gone)
    }

    /// Whether it has a step that was not polled yet.
    pub(super) fn has_step(&self) -> bool {
        matches!(self.state, State::Busy(Work::Step(..)))
    }

    /// Drops what runs; what was taken goes back to the mailbox.
    pub(super) fn stop(&mut self) {
        drop_fenced(std::mem::replace(&mut self.state, State::Gone));
        self.put_back();
    }

    /// Goes on with the activation: the step under way, then at most `budget` messages. Lowers `budget`.
    pub(super) fn visit(&mut self, local: &Local, waker: &Waker, forced: bool, budget: &mut u32) -> Visit {
        let mut woken = forced;
        if matches!(self.state, State::Busy(_)) {
            woken |= self.activation.mailbox().take_woken();
        }
        let mut memory = None;
        let mut started = false;
        let visit = loop {
            match &self.state {
                State::Busy(_) => {
                    if !woken || !self.poll_work(local, waker) {
                        break Visit::Rests { busy: true };
                    }
                }
                State::Idle(_) if self.freezing => {
                    self.freezing = false;
                    self.frozen_at_micros = local.clock.wall_micros();
                    self.run_deactivate(Doing::HookBeforeFreeze, DeactivateReason::Migrating);
                    woken = true;
                }
                State::Idle(_) => {
                    if self.taken.is_empty() && !self.activation.mailbox().take(&mut self.taken) {
                        match self.ending {
                            None => break Visit::Rests { busy: false },
                            Some(reason) => {
                                self.run_deactivate(Doing::HookBeforeEnd, reason);
                                woken = true;
                                continue;
                            }
                        }
                    }
                    if *budget == 0 {
                        break Visit::HasMore;
                    }
                    if !started {
                        started = true;
                        self.activation.mailbox().cell().turns_started(local.clock.recently());
                        memory = local.take_memory();
                    }
                    *budget -= 1;
                    local.refill();
                    self.next_turn(local, waker, &mut memory);
                    // What a turn left to be done was not polled yet.
                    woken = self.has_step();
                }
                State::Gone => break Visit::Over,
                _ => break Visit::Rests { busy: true },
            }
        };
        local.keep_memory(memory);
        self.came_to(visit);
        visit
    }

    /// The dequeue hooks: what is left, and whether a turn runs.
    fn came_to(&mut self, visit: Visit) {
        let mailbox = self.activation.mailbox();
        mailbox.cell().left(u32::try_from(self.taken.len()).unwrap_or(u32::MAX));
        match visit {
            Visit::HasMore => mailbox.ran(),
            Visit::Rests { busy: true } if matches!(self.state, State::Busy(_)) => mailbox.ran(),
            _ => {
                self.taken.shrink();
                mailbox.cell().turns_ended();
            }
        }
    }

    /// Begins the turn of the first message taken, and polls it. There is one, and the actor is idle.
    fn next_turn(&mut self, local: &Local, waker: &Waker, memory: &mut Option<FrameMemory>) {
        let State::Idle(actor) = std::mem::replace(&mut self.state, State::Gone) else {
            unreachable!("invariant: only an idle actor begins a turn");
        };
        let front = self.taken.front().expect("invariant: there is a message");
        let kind = self.activation.kind();
        let entry = match front.form() {
            Form::Letter => None,
            Form::Told | Form::Asked => kind.message_of(front.message()),
        };
        let begun = match entry {
            Some(entry) => entry.begin(Begin {
                actor,
                message: front,
                kind,
                clock: &local.clock,
                memory,
            }),
            None => self.begin_letter(actor, local, memory),
        };
        let left = self.taken.len();
        // A store per message costs senders on other threads dearly while many wait.
        if left < 32 || left.is_multiple_of(32) {
            self.activation.mailbox().cell().left(u32::try_from(left).unwrap_or(u32::MAX));
        }
        match begun {
            Begun::Turn {
                mut frame,
                deadline,
                callers,
            } => {
                set_turn(deadline, callers);
                match frame.poll(&mut Context::from_waker(waker)) {
                    Poll::Pending => self.state = State::Busy(Work::Turn(frame)),
                    Poll::Ready(end) => {
                        *memory = leave(frame, &end);
                        self.end_turn(local, end);
                    }
                }
            }
            Begun::Refused { actor, refused } => {
                self.state = State::Idle(actor);
                let (letter, failure) = *refused;
                fail(&*local.outside, self.actor_id(), letter, failure);
            }
        }
    }

    /// A message that is found by its name: it came by the wire, or by another type of that name.
    #[cold]
    fn begin_letter(&mut self, actor: Box<dyn AnyActor>, local: &Local, memory: &mut Option<FrameMemory>) -> Begun {
        let front = self.taken.front().expect("invariant: there is a message");
        let letter = front.into_letter();
        let kind = self.activation.kind();
        let Some(entry) = kind.message(letter.body.name()) else {
            let text = format!(
                "{} {} does not know the message {:?}",
                kind.kind(),
                kind.version(),
                letter.body.name()
            );
            let failure = Failure::new(FailureCode::UnknownMessage, Ran::No, text);
            return Begun::Refused {
                actor,
                refused: Box::new((letter, failure)),
            };
        };
        let mut one = Records::new();
        one.push(letter);
        entry.begin(Begin {
            actor,
            message: one.front().expect("invariant: it was put there"),
            kind,
            clock: &local.clock,
            memory,
        })
    }

    /// Runs a message of a caller on this thread. The actor is idle.
    pub(super) fn run_here(
        &mut self,
        local: &Local,
        waker: &Waker,
        message: Front<'_>,
        reply: &mut dyn FnMut(&mut dyn Any),
    ) -> Result<(), NotHere> {
        let kind = self.activation.kind();
        let Some(entry) = kind.message_of(message.message()) else {
            return Err(NotHere::Busy);
        };
        let State::Idle(actor) = std::mem::replace(&mut self.state, State::Gone) else {
            unreachable!("invariant: only an idle actor begins a turn");
        };
        let mut memory = local.take_memory();
        let begun = entry.begin(Begin {
            actor,
            message,
            kind,
            clock: &local.clock,
            memory: &mut memory,
        });
        let (mut frame, deadline, callers) = match begun {
            Begun::Turn {
                frame,
                deadline,
                callers,
            } => (frame, deadline, callers),
            Begun::Refused { actor, refused } => {
                self.state = State::Idle(actor);
                local.keep_memory(memory);
                return Err(NotHere::Failed(refused.1));
            }
        };
        let mailbox = self.activation.mailbox();
        mailbox.cell().turns_started(local.clock.recently());
        set_turn(deadline, callers);
        match frame.poll(&mut Context::from_waker(waker)) {
            Poll::Pending => {
                reply(frame.reply());
                self.state = State::Busy(Work::Turn(frame));
            }
            Poll::Ready(end) => {
                reply(frame.reply());
                local.keep_memory(leave(frame, &end));
                mailbox.cell().turns_ended();
                self.end_turn(local, end);
            }
        }
        Ok(())
    }

    fn begin(&mut self, doing: Doing, step: impl Future<Output = Step> + 'static) {
        self.state = State::Busy(Work::Step(doing, Box::pin(step)));
    }

    /// Polls what is under way. `true`: it has ended and its end was dealt with.
    fn poll_work(&mut self, local: &Local, waker: &Waker) -> bool {
        let cx = &mut Context::from_waker(waker);
        match &mut self.state {
            State::Busy(Work::Turn(frame)) => {
                let Poll::Ready(end) = frame.poll(cx) else { return false };
                if let State::Busy(Work::Turn(frame)) = std::mem::replace(&mut self.state, State::Gone) {
                    local.keep_memory(leave(frame, &end));
                }
                self.end_turn(local, end);
            }
            State::Busy(Work::Step(doing, step)) => {
                let doing = *doing;
                match catch_unwind(AssertUnwindSafe(|| step.as_mut().poll(cx))) {
                    Ok(Poll::Pending) => return false,
                    Ok(Poll::Ready(end)) => {
                        self.state = State::Empty;
                        self.ended(local, doing, end);
                    }
                    Err(panic) => {
                        // The future still owns the actor; what its drop does is fenced as well.
                        drop_fenced(std::mem::replace(&mut self.state, State::Empty));
                        self.panicked(local, doing, &panic_text(&*panic));
                    }
                }
            }
            _ => {}
        }
        true
    }

    fn end_turn(&mut self, local: &Local, end: TurnEnd) {
        match end {
            TurnEnd::Done { actor, wants, remote } => {
                if remote.is_some() {
                    send(&*local.outside, remote);
                }
                if wants {
                    return self.wants(local, actor);
                }
                self.state = State::Idle(actor);
            }
            TurnEnd::Panicked { text, remote } => {
                send(&*local.outside, remote);
                let actor = self.actor_id();
                tracing::error!(%actor, panic = text, "an actor panicked; its activation is rebuilt");
                self.reload(local);
            }
        }
    }

    /// What an actor wants after a turn or hook.
    fn wants(&mut self, local: &Local, actor: Box<dyn AnyActor>) {
        if actor.is_stale() {
            return self.lost(local, actor);
        }
        if actor.wants_to_end() {
            local.outside.report(&self.activation, Event::WantsToEnd);
        }
        self.state = State::Idle(actor);
    }

    fn ended(&mut self, local: &Local, doing: Doing, end: Step) {
        match (doing, end) {
            (Doing::Activating, Step::Activated(actor, Ok(()))) => {
                if std::mem::take(&mut self.moved_here) {
                    local.outside.report(&self.activation, Event::Started);
                }
                self.wants(local, actor);
            }
            (Doing::Activating, Step::Activated(_, Err(error))) => {
                self.activation_failed(local, &format!("on_activate failed: {error}"));
            }
            (Doing::Reactivating, Step::Activated(actor, result)) => {
                if let Err(error) = result {
                    tracing::warn!(actor = %self.actor_id(), %error, "on_activate failed after a move that was called off");
                }
                self.wants(local, actor);
            }
            (Doing::HookBeforeFreeze, Step::Deactivated(actor)) => self.pack(local, actor),
            (Doing::HookBeforeEnd, Step::Deactivated(actor)) => {
                self.begin(Doing::Saving, async move {
                    let (_actor, result) = actor.save_if_changed().await;
                    Step::Saved(result)
                });
            }
            (Doing::Saving, Step::Saved(result)) => {
                self.state = State::Gone;
                local.outside.report(&self.activation, Event::Ended(result));
            }
            (Doing::Loading, Step::Loaded(Ok(state))) => self.activate(local, Memory::saved(self.epoch, state)),
            (Doing::Loading, Step::Loaded(Err(error))) => {
                self.activation_failed(local, &format!("its state cannot be read after a panic: {error}"));
            }
            (doing, _) => unreachable!("invariant: {doing:?} ends in its own step"),
        }
    }

    fn panicked(&mut self, local: &Local, doing: Doing, text: &str) {
        let actor = self.actor_id().clone();
        tracing::error!(%actor, ?doing, panic = text, "an actor panicked; its activation is rebuilt");
        match doing {
            Doing::Activating | Doing::Loading => {
                self.activation_failed(local, &format!("on_activate panicked: {text}"));
            }
            Doing::Reactivating => self.reload(local),
            Doing::HookBeforeFreeze => {
                // The memory is gone with the panic; what is saved is what there is.
                let event = Event::FreezeFailed(FreezeError::NotRunning);
                local.outside.report(&self.activation, event);
                self.reload(local);
            }
            Doing::HookBeforeEnd | Doing::Saving => {
                self.state = State::Gone;
                local.outside.report(&self.activation, Event::Ended(Ok(())));
            }
        }
    }

    fn reload(&mut self, local: &Local) {
        let load = local.outside.load(self.actor_id().clone());
        self.begin(Doing::Loading, async move { Step::Loaded(load.await) });
    }

    fn hydrate(&mut self, local: &Local, memory: Memory) -> Result<Box<dyn AnyActor>, String> {
        self.epoch = memory.epoch;
        let from = Hydrate {
            id: self.actor_id().clone(),
            epoch: memory.epoch,
            services: local.outside.services(),
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

    fn activate(&mut self, local: &Local, memory: Memory) {
        match self.hydrate(local, memory) {
            Ok(actor) => self.run_activate(Doing::Activating, actor),
            Err(why) => self.activation_failed(local, &why),
        }
    }

    fn run_activate(&mut self, doing: Doing, actor: Box<dyn AnyActor>) {
        self.begin(doing, async move {
            let (actor, result) = actor.activate().await;
            Step::Activated(actor, result)
        });
    }

    /// Of an idle actor.
    fn run_deactivate(&mut self, doing: Doing, reason: DeactivateReason) {
        if let State::Idle(actor) = std::mem::replace(&mut self.state, State::Gone) {
            self.begin(doing, async move { Step::Deactivated(actor.deactivate(reason).await) });
        }
    }

    fn activation_failed(&mut self, local: &Local, why: &str) {
        let actor = self.actor_id();
        tracing::warn!(%actor, why, "an actor could not be activated");
        let text = format!("{actor} could not be activated: {why}");
        let failure = Failure::new(FailureCode::ActivationFailed, Ran::No, text);
        self.over(local, Event::ActivationFailed(failure));
    }

    fn lost(&mut self, local: &Local, actor: Box<dyn AnyActor>) {
        let _ = catch_unwind(AssertUnwindSafe(|| drop(actor)));
        let id = self.actor_id();
        let text = format!("{id} was taken over by another activation while this message waited; it did not run");
        let failure = Failure::new(FailureCode::Discarded, Ran::No, text);
        self.over(local, Event::OwnershipLost(failure));
    }

    /// Ends with messages in the mailbox, which the silo deals with.
    fn over(&mut self, local: &Local, event: Event) {
        self.state = State::Gone;
        self.put_back();
        local.outside.report(&self.activation, event);
    }

    fn put_back(&mut self) {
        self.activation.mailbox().put_back(&mut self.taken);
    }

    fn pack(&mut self, local: &Local, actor: Box<dyn AnyActor>) {
        self.put_back();
        self.activation.mailbox().take(&mut self.taken);
        let mut letters: Vec<Letter> = std::mem::take(&mut self.taken).into_letters().collect();
        let id = self.activation.actor();
        let packed = catch_unwind(AssertUnwindSafe(|| {
            let memory = actor.dehydrate()?;
            let calls = letters.iter_mut().map(|letter| local.outside.to_call(id, letter));
            Ok::<_, FreezeError>((memory, calls.collect::<Result<Vec<_>, _>>()?))
        }));
        for letter in letters {
            self.taken.push(letter);
        }
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
        local.outside.report(&self.activation, event);
    }

    fn cancel_freeze(&mut self, outside: &dyn Outside) {
        if std::mem::take(&mut self.freezing) {
            outside.report(&self.activation, Event::FreezeFailed(FreezeError::TimedOut));
        }
    }

    /// Does what it was told. `queued` was taken out of the mailbox with it.
    pub(super) fn obey(&mut self, local: &Local, control: Control, queued: Records) {
        let outside = &*local.outside;
        match (control, std::mem::replace(&mut self.state, State::Empty)) {
            (Control::Activate(memory), State::Empty) => self.activate(local, memory),
            (Control::Prepare(memory), State::Empty) => match self.hydrate(local, memory) {
                Ok(actor) => {
                    self.state = State::Prepared(actor);
                    outside.report(&self.activation, Event::Prepared);
                }
                Err(why) => {
                    self.state = State::Gone;
                    outside.report(&self.activation, Event::PrepareFailed(why));
                }
            },
            (Control::Start { epoch }, State::Prepared(mut actor)) => {
                self.epoch = epoch;
                actor.set_epoch(epoch);
                self.moved_here = true;
                self.run_activate(Doing::Activating, actor);
            }
            (Control::Resume { epoch }, State::Stopped { mut actor, hook_ran }) => {
                self.epoch = epoch;
                actor.set_epoch(epoch);
                if hook_ran {
                    self.run_activate(Doing::Reactivating, actor);
                } else {
                    self.state = State::Idle(actor);
                }
            }
            (Control::Resume { epoch }, state) => {
                self.epoch = epoch;
                self.state = state;
            }
            (Control::Freeze, state @ (State::Idle(_) | State::Busy(_))) => {
                self.freezing = true;
                self.state = state;
            }
            (Control::Freeze, state) => {
                self.state = state;
                outside.report(&self.activation, Event::FreezeFailed(FreezeError::NotRunning));
            }
            (Control::CancelFreeze, state) => {
                self.state = state;
                self.cancel_freeze(outside);
            }
            (Control::End(reason), state) => {
                self.ending = Some(reason);
                self.state = state;
            }
            (Control::Drop, state) => {
                drop_fenced(state);
                self.taken = Records::new();
                self.state = State::Gone;
            }
            (Control::Abandon, state) => {
                drop_fenced(state);
                let text = format!(
                    "{} was moving and its new silo was lost; the message may have run",
                    self.actor_id()
                );
                let failure = Failure::new(FailureCode::Unknown, Ran::Unknown, text);
                for records in [std::mem::take(&mut self.taken), queued] {
                    for letter in records.into_letters() {
                        fail(outside, self.activation.actor(), letter, failure.clone());
                    }
                }
                self.state = State::Gone;
            }
            (control, state) => {
                tracing::debug!(actor = %self.actor_id(), ?control, "an activation was told what it cannot do now");
                self.state = state;
            }
        }
    }
}

/// Drops a turn that has ended.
fn leave(frame: Frame, end: &TurnEnd) -> Option<FrameMemory> {
    match end {
        TurnEnd::Done { .. } => frame.into_memory(),
        // What is left of the handler is dropped within the fence.
        TurnEnd::Panicked { .. } => catch_unwind(AssertUnwindSafe(|| frame.into_memory())).ok().flatten(),
    }
}

fn drop_fenced(state: State) {
    let _ = catch_unwind(AssertUnwindSafe(|| drop(state)));
}

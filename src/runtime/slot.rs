//! An activation as its worker holds it: the actor, the turn under way, and what it was told to do.

use super::{
    Activation, Event,
    answer::{fail, send},
    backoff::Panics,
    desk::Desk,
    local::Local,
    meter::Meter,
    places::{Kept, Place},
    round::Round,
    watch::NO_MESSAGE,
};
use crate::{
    actor::{
        ActivationError, AnyActor, Begin, DeactivateReason, Frame, Memory as FrameMemory, Rare, SaveError, Source,
        Timers, TurnScope, panic_text, run_as, swap_turn,
    },
    clock::Moment,
    ident::ActorId,
    mailbox::{Mailbox, NotHere, Records},
    store::{StoreError, StoredState},
    wire::FailureCode,
};
use futures_util::{future::LocalBoxFuture, task::waker_ref};
use std::{
    any::{Any, TypeId},
    ops::Deref,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    task::{Context, Poll},
};

/// What a finished step left behind.
pub(super) enum Step {
    Activated(Box<dyn AnyActor>, Result<(), ActivationError>),
    Deactivated(Box<dyn AnyActor>),
    /// And when it took no more turns because of a freeze, in microseconds of the wall clock.
    Freezes(Box<dyn AnyActor>, u64),
    Paused,
    Saved(Result<(), SaveError>),
    SavedBehind(Box<dyn AnyActor>, Result<(), SaveError>),
    Loaded(Result<Option<StoredState>, StoreError>),
}

/// What is being done besides turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doing {
    Activating,
    /// After a move that was called off.
    Reactivating,
    HookBeforeFreeze,
    HookBeforeEnd,
    Saving,
    /// Between two turns.
    SavingBehind,
    /// After one panic too many.
    Pausing,
    Loading,
}

/// `on_activate`.
type Activating = LocalBoxFuture<'static, (Box<dyn AnyActor>, Result<(), ActivationError>)>;

/// A future that owns the actor and is polled when it is woken.
pub(super) enum Work {
    Turn(Frame),
    Step(Doing, LocalBoxFuture<'static, Step>),
    /// `on_activate`: a step without a box around it.
    Up(Doing, Activating),
}

#[derive(Default)]
pub(super) enum State {
    /// No actor yet.
    #[default]
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

/// The activation of a slot that is in use.
#[derive(Default)]
pub(super) struct Of(Option<Activation>);

impl Deref for Of {
    type Target = Activation;

    #[inline]
    fn deref(&self) -> &Activation {
        self.0.as_ref().expect("invariant: a slot in use is of an activation")
    }
}

/// An activation as its worker holds it while it does something. Slots are used again: one is as new when its activation comes
/// to rest, see [`Slot::keep`].
#[derive(Default)]
pub(super) struct Slot {
    pub(super) activation: Of,
    pub(super) state: State,
    /// Messages taken out of the mailbox, to be run in order.
    pub(super) taken: Records,
    /// Which of the kind's messages came last: likely the next.
    last_message: u32,
    /// Of its place, where it is not while it is visited. Lent to the scope then.
    mailbox: Option<Arc<Mailbox>>,
    /// Lent to the scope while it is visited.
    pub(super) timers: Option<Box<Timers>>,
    /// Of the turn under way.
    turn: TurnScope,
    /// The worker looks after the turn under way and the timers at that moment.
    pub(super) awaited: Option<Moment>,
    pub(super) freezing: bool,
    /// The freeze was called off while its hook ran.
    pub(super) thaws: bool,
    pub(super) ending: Option<DeactivateReason>,
    /// Whether a move brought it: `Started` is reported when it runs.
    pub(super) moved_here: bool,
    /// The message of the turn that waits, by its number, and the round of the watcher that knows of it.
    pub(super) message: u16,
    pub(super) listed: u32,
    /// If it has panicked lately.
    pub(super) panics: Option<Box<Panics>>,
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
    /// Begins to be of an activation. It was as new until now.
    pub(super) fn begin_for(&mut self, activation: Activation, mailbox: Arc<Mailbox>, state: State) {
        self.activation = Of(Some(activation));
        self.mailbox = Some(mailbox);
        self.message = NO_MESSAGE;
        self.state = state;
    }

    /// Whether an idle actor is all there is to it.
    fn is_at_rest(&self) -> bool {
        matches!(self.state, State::Idle(_))
            && self.taken.is_empty()
            && self.timers.is_none()
            && self.awaited.is_none()
            && !self.freezing
            && !self.thaws
            && self.ending.is_none()
            && !self.moved_here
            && self.panics.is_none()
    }

    /// If the activation is at rest: what is kept of it, and its mailbox; the slot is as new then.
    pub(super) fn rest(&mut self) -> Option<(Place, Arc<Mailbox>)> {
        if !self.is_at_rest() {
            return None;
        }
        let State::Idle(actor) = std::mem::take(&mut self.state) else {
            unreachable!("invariant: it was just seen");
        };
        self.taken.shrink();
        self.turn = TurnScope::default();
        (self.last_message, self.listed) = (0, 0);
        let mailbox = self.mailbox.take();
        let activation = self
            .activation
            .0
            .take()
            .expect("invariant: a slot in use is of an activation");
        let kept = Kept::Idle(actor);
        Some((Place { mailbox, kept }, activation.into_mailbox()))
    }

    /// What is counted of its kind.
    pub(super) fn meter(&self) -> &Meter {
        &Desk::of(self.activation.mailbox()).meter
    }

    pub(super) fn actor_id(&self) -> &ActorId {
        self.activation.actor()
    }

    /// The turn under way is in scope on this thread, until [`Slot::leave`].
    pub(super) fn enter(&mut self) {
        if matches!(self.state, State::Busy(_)) {
            self.turn.woken();
            swap_turn(&mut self.turn);
        }
    }

    /// Does something as its actor.
    pub(super) fn within<R>(&mut self, act: impl FnOnce(&mut Self) -> R) -> R {
        let mailbox = self.mailbox.take().expect("invariant: a slot in use has its place's");
        let mut timers = self.timers.take();
        let result = run_as(&mailbox, &mut timers, || act(self));
        (self.mailbox, self.timers) = (Some(mailbox), timers);
        result
    }

    /// Takes the turn's scope back. Answers when the worker is to look after it, if it does not know yet.
    pub(super) fn leave(&mut self) -> Option<Moment> {
        let is_busy = matches!(self.state, State::Busy(_));
        if self.timers.is_none() && !is_busy {
            return None;
        }
        self.timers = self.timers.take().filter(|timers| !timers.is_empty());
        let mut wake_by = self.timers.as_ref().and_then(|timers| timers.next());
        if is_busy {
            swap_turn(&mut self.turn);
            wake_by = earlier(wake_by, self.turn.wake_by());
        }
        let at = wake_by.filter(|at| self.awaited.is_none_or(|awaited| *at < awaited))?;
        self.awaited = Some(at);
        Some(at)
    }

    /// The worker looks after the turn under way and the timers, as it wanted to at `at`.
    pub(super) fn is_due(&mut self, at: Moment, now: Moment) -> Due {
        if self.awaited != Some(at) {
            return Due::No;
        }
        self.awaited = None;
        let mut next = None;
        if let Some(timers) = &mut self.timers {
            // A tick that is not taken is tried again after the next visit: of who makes room, or lets it run on. The first gets in
            // however full the mailbox is, so all do, one after the other.
            let mailbox = self.activation.mailbox();
            timers.send_due(now, |tick, is_first| match is_first {
                true => mailbox.push_ahead(tick).is_ok(),
                false => mailbox.push(tick).is_ok(),
            });
            next = timers.next_after(now);
        }
        if let (State::Busy(_), Some(by)) = (&self.state, self.turn.wake_by()) {
            if by <= now {
                return Due::Now;
            }
            next = earlier(next, Some(by));
        }
        self.awaited = next;
        next.map_or(Due::No, Due::At)
    }

    /// Whether it could run a message now.
    pub(super) fn is_free(&self) -> bool {
        matches!(self.state, State::Idle(_)) && !self.freezing && self.ending.is_none() && self.taken.is_empty()
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.state, State::Gone)
    }

    /// Whether a turn waits.
    pub(super) fn has_turn(&self) -> bool {
        matches!(self.state, State::Busy(Work::Turn(_)))
    }

    /// The message of the turn that waits.
    pub(super) fn turn_name(&mut self) -> Option<&'static str> {
        match &mut self.state {
            State::Busy(Work::Turn(frame)) => Some(frame.name()),
            _ => None,
        }
    }

    /// Whether it has a step that was not polled yet.
    pub(super) fn has_step(&self) -> bool {
        matches!(self.state, State::Busy(Work::Step(..) | Work::Up(..)))
    }

    /// Drops what runs; what was taken goes back to the mailbox.
    pub(super) fn stop(&mut self) {
        drop_fenced(std::mem::replace(&mut self.state, State::Gone));
        self.put_back();
    }

    /// Goes on with the activation: the step under way, then at most `budget` messages. Lowers `budget`.
    pub(super) fn visit(&mut self, local: &Local, forced: bool, budget: &mut u32) -> Visit {
        let mut woken = forced;
        if matches!(self.state, State::Busy(_)) {
            woken |= self.activation.mailbox().take_woken();
        }
        let mut memory = None;
        let mut started = false;
        let visit = loop {
            match &self.state {
                State::Busy(_) => {
                    if !woken || !self.poll_work(local) {
                        break Visit::Rests { busy: true };
                    }
                }
                State::Idle(_) if self.freezing => {
                    self.freezing = false;
                    self.run_freeze_hook(local.clock.wall_micros());
                    woken = true;
                }
                State::Idle(_) => {
                    // After a round of messages the look for more is the one that comes to rest.
                    let looked = started && self.ending.is_none();
                    if self.taken.is_empty() && (looked || !self.activation.mailbox().take(&mut self.taken)) {
                        match self.ending {
                            None => break Visit::Rests { busy: false },
                            Some(reason) => {
                                self.run_deactivate(reason);
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
                    self.run_taken(local, &mut memory, budget);
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
        self.forgive();
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

    /// Runs what was taken, until it is all run, the budget is used up, or the actor is not idle any more. It is now.
    fn run_taken(&mut self, local: &Local, memory: &mut Option<FrameMemory>, budget: &mut u32) {
        let State::Idle(actor) = std::mem::replace(&mut self.state, State::Gone) else {
            unreachable!("invariant: only an idle actor runs messages");
        };
        let round = Round {
            mailbox: self.activation.mailbox(),
            taken: &mut self.taken,
            last_message: &mut self.last_message,
        };
        match round.run(local, actor, memory, budget) {
            Ok(actor) => self.state = State::Idle(actor),
            Err(rare) => self.after(local, rare),
        }
    }

    pub(super) fn after(&mut self, local: &Local, rare: Rare) {
        match rare {
            Rare::Nothing => unreachable!("invariant: an entry answers the actor or tells why not"),
            Rare::Waits(frame) => self.state = State::Busy(Work::Turn(frame)),
            Rare::Ended { actor, wants, remote } => {
                send(&*local.outside, remote);
                if wants {
                    self.wants(local, actor);
                } else {
                    self.state = State::Idle(actor);
                }
            }
            Rare::Panicked { text, remote, told } => {
                send(&*local.outside, remote);
                if let Some(told) = told {
                    local.outside.dead_letter(self.actor_id(), told.0, &told.1);
                }
                let actor = self.actor_id();
                tracing::error!(%actor, panic = text, "an actor panicked; its activation is rebuilt");
                self.meter().panicked();
                self.reload(local);
            }
            Rare::Refused { actor, refused } => {
                self.state = State::Idle(actor);
                let (letter, failure) = *refused;
                let codes = [FailureCode::Unreadable, FailureCode::UnknownMessage];
                if codes.iter().any(|code| *code as u16 == failure.code) {
                    self.meter().undecodable();
                }
                fail(&*local.outside, self.actor_id(), letter, failure);
            }
        }
    }

    /// Runs a message of a caller on this thread. The actor is idle.
    pub(super) fn run_here(
        &mut self,
        local: &Local,
        now: Moment,
        message: TypeId,
        call: &mut dyn Any,
    ) -> Result<(), NotHere> {
        let kind = self.activation.kind();
        let entry = kind.message_of(message, &mut self.last_message).ok_or(NotHere)?;
        let State::Idle(actor) = std::mem::replace(&mut self.state, State::Gone) else {
            unreachable!("invariant: only an idle actor runs messages");
        };
        let cell = self.activation.mailbox().cell();
        cell.turns_started(now);
        local.shared.shown.turn(entry.number());
        let mut memory = local.take_memory();
        let begin = Begin {
            actor,
            source: Source::Here(call),
            kind,
            clock: &local.clock,
            memory: &mut memory,
        };
        let mut rare = Rare::Nothing;
        let waker = waker_ref(self.activation.mailbox());
        let idle = entry.run(begin, &mut Context::from_waker(&waker), &mut rare);
        local.keep_memory(memory);
        if !matches!(rare, Rare::Waits(_)) {
            cell.turns_ended();
        }
        match idle {
            Some(actor) => self.state = State::Idle(actor),
            None => self.after(local, rare),
        }
        self.forgive();
        Ok(())
    }

    /// Polls what is under way. `true`: it has ended and its end was dealt with.
    fn poll_work(&mut self, local: &Local) -> bool {
        let waker = waker_ref(self.activation.mailbox());
        let cx = &mut Context::from_waker(&waker);
        match &mut self.state {
            State::Busy(Work::Turn(frame)) => {
                let mut rare = Rare::Nothing;
                let Poll::Ready(idle) = frame.poll(cx, &mut rare) else {
                    return false;
                };
                if let State::Busy(Work::Turn(frame)) = std::mem::replace(&mut self.state, State::Gone) {
                    // What is left of a handler that panicked is dropped within the fence.
                    let memory = catch_unwind(AssertUnwindSafe(|| frame.into_memory()));
                    local.keep_memory(memory.ok().flatten());
                }
                let began = self.activation.mailbox().cell().last();
                self.meter().took(local.clock.now().since(began));
                match idle {
                    Some(actor) => self.state = State::Idle(actor),
                    None => self.after(local, rare),
                }
            }
            State::Busy(Work::Step(doing, step)) => {
                let doing = *doing;
                let polled = catch_unwind(AssertUnwindSafe(|| step.as_mut().poll(cx)));
                return self.stepped(local, doing, polled);
            }
            State::Busy(Work::Up(doing, step)) => {
                let doing = *doing;
                let polled = catch_unwind(AssertUnwindSafe(|| step.as_mut().poll(cx)));
                let polled = polled.map(|poll| poll.map(|(actor, result)| Step::Activated(actor, result)));
                return self.stepped(local, doing, polled);
            }
            _ => {}
        }
        true
    }

    /// A step was polled. `true`: it has ended and its end was dealt with.
    fn stepped(&mut self, local: &Local, doing: Doing, polled: Result<Poll<Step>, Box<dyn Any + Send>>) -> bool {
        match polled {
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
        true
    }

    /// What an actor wants after a turn or hook.
    pub(super) fn wants(&mut self, local: &Local, mut actor: Box<dyn AnyActor>) {
        if actor.is_stale() {
            return self.lost(local, actor);
        }
        if actor.takes_save() {
            return self.begin(Doing::SavingBehind, async move {
                let (actor, result) = actor.save_if_changed().await;
                Step::SavedBehind(actor, result)
            });
        }
        if actor.wants_to_end() {
            local.outside.report(&self.activation, Event::WantsToEnd);
        }
        self.state = State::Idle(actor);
    }
}

pub(super) fn earlier(one: Option<Moment>, other: Option<Moment>) -> Option<Moment> {
    one.into_iter().chain(other).min()
}

pub(super) fn drop_fenced(state: State) {
    let _ = catch_unwind(AssertUnwindSafe(|| drop(state)));
}

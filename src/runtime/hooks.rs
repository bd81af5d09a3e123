//! What an activation does besides turns: coming up, its hooks, packing, saving, coming to its end.

use super::{
    Event, FreezeError, Memory, Packed,
    backoff::Panics,
    local::Local,
    slot::{Doing, Slot, State, Step, Work},
};
use crate::{
    actor::{AnyActor, DeactivateReason, Hydrate, clear_turn, panic_text, take_lost, take_outliving, with_timers},
    mailbox::{Letter, ReplyTo},
    wire::{Failure, FailureCode, Ran},
};
use std::panic::{AssertUnwindSafe, catch_unwind};

impl Slot {
    pub(super) fn begin(&mut self, doing: Doing, step: impl Future<Output = Step> + 'static) {
        clear_turn();
        self.state = State::Busy(Work::Step(doing, Box::pin(step)));
    }

    pub(super) fn ended(&mut self, local: &Local, doing: Doing, end: Step) {
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
            (Doing::HookBeforeFreeze, Step::Freezes(actor, _)) if std::mem::take(&mut self.thaws) => {
                self.run_activate(Doing::Reactivating, actor);
            }
            (Doing::HookBeforeFreeze, Step::Freezes(actor, at_micros)) => self.pack(local, actor, at_micros),
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
            (Doing::SavingBehind, Step::SavedBehind(mut actor, result)) => {
                if let Err(error) = result
                    && !actor.is_stale()
                {
                    tracing::warn!(actor = %self.actor_id(), %error, "an actor could not be saved; it is tried again");
                    actor.save_again();
                }
                self.wants(local, actor);
            }
            (Doing::Pausing, Step::Paused) => self.load(local),
            (Doing::Loading, Step::Loaded(Ok(state))) => {
                let epoch = self.activation.mailbox().epoch();
                let streams = self.panics.as_mut().map(|panics| std::mem::take(&mut panics.streams));
                self.activate(
                    local,
                    Memory {
                        streams: streams.unwrap_or_default(),
                        ..Memory::saved(epoch, state)
                    },
                );
            }
            (Doing::Loading, Step::Loaded(Err(error))) => {
                self.activation_failed(local, &format!("its state cannot be read after a panic: {error}"));
            }
            (doing, _) => unreachable!("invariant: {doing:?} ends in its own step"),
        }
    }

    pub(super) fn panicked(&mut self, local: &Local, doing: Doing, text: &str) {
        let actor = self.actor_id().clone();
        tracing::error!(%actor, ?doing, panic = text, "an actor panicked; its activation is rebuilt");
        self.meter().panicked();
        match doing {
            Doing::Activating | Doing::Pausing | Doing::Loading => {
                self.activation_failed(local, &format!("on_activate panicked: {text}"));
            }
            Doing::Reactivating | Doing::SavingBehind => self.reload(local),
            Doing::HookBeforeFreeze => {
                // The memory is gone with the panic; what is saved is what there is.
                if !std::mem::take(&mut self.thaws) {
                    let event = Event::FreezeFailed(FreezeError::NotRunning);
                    local.outside.report(&self.activation, event);
                }
                self.reload(local);
            }
            Doing::HookBeforeEnd | Doing::Saving => {
                self.state = State::Gone;
                local.outside.report(&self.activation, Event::Ended(Ok(())));
            }
        }
    }

    /// After a panic: from what is saved, and not at once if it was not the first.
    pub(super) fn reload(&mut self, local: &Local) {
        let streams = take_outliving(self.activation.actor());
        if take_lost(self.activation.actor()) {
            // Rebuilt, it would have the same epoch, and panic at its next save.
            return self.overtaken(local);
        }
        let panics = self.panics.get_or_insert_with(|| Box::new(Panics::none()));
        panics.streams = streams;
        let pause = panics.add(local.clock.now());
        if pause.is_zero() {
            return self.load(local);
        }
        tracing::warn!(actor = %self.actor_id(), ?pause, "an actor panics again and again; it is rebuilt after a pause");
        let sleep = local.clock.sleep(pause);
        self.begin(Doing::Pausing, async move {
            sleep.await;
            Step::Paused
        });
    }

    /// Whether it waits to be rebuilt.
    pub(super) fn is_pausing(&self) -> bool {
        matches!(self.state, State::Busy(Work::Step(Doing::Pausing, _)))
    }

    /// Its panics count no more, if they are long past and turns end well.
    pub(super) fn forgive(&mut self) {
        if let Some(panics) = &self.panics
            && matches!(self.state, State::Idle(_))
            && panics.are_over(self.activation.mailbox().cell().last())
        {
            self.panics = None;
        }
    }

    pub(super) fn load(&mut self, local: &Local) {
        let load = local.outside.load(self.actor_id().clone());
        self.begin(Doing::Loading, async move { Step::Loaded(load.await) });
    }

    pub(super) fn hydrate(&mut self, memory: Memory) -> Result<Box<dyn AnyActor>, String> {
        let from = Hydrate {
            mailbox: self.activation.mailbox().clone(),
            memory: memory.body,
            etag: memory.etag,
            unsaved: memory.unsaved,
            streams: memory.streams,
        };
        let kind = self.activation.kind();
        match catch_unwind(AssertUnwindSafe(|| kind.hydrate(from))) {
            Ok(Ok(actor)) => Ok(actor),
            Ok(Err(error)) => {
                self.meter().undecodable();
                Err(format!(
                    "its state cannot be read by {} {}: {error}",
                    kind.kind(),
                    kind.version()
                ))
            }
            Err(panic) => Err(format!("reading its state panicked: {}", panic_text(&*panic))),
        }
    }

    pub(super) fn activate(&mut self, local: &Local, memory: Memory) {
        match self.hydrate(memory) {
            Ok(actor) => self.run_activate(Doing::Activating, actor),
            Err(why) => self.activation_failed(local, &why),
        }
    }

    pub(super) fn run_activate(&mut self, doing: Doing, actor: Box<dyn AnyActor>) {
        clear_turn();
        self.state = State::Busy(Work::Up(doing, actor.activate()));
    }

    /// Of an idle actor.
    pub(super) fn run_deactivate(&mut self, reason: DeactivateReason) {
        if let State::Idle(actor) = std::mem::replace(&mut self.state, State::Gone) {
            self.begin(Doing::HookBeforeEnd, async move {
                Step::Deactivated(actor.deactivate(reason).await)
            });
        }
    }

    /// Of an idle actor that is to be packed. `at_micros`: when it took no more turns, by the wall clock.
    pub(super) fn run_freeze_hook(&mut self, at_micros: u64) {
        if let State::Idle(actor) = std::mem::replace(&mut self.state, State::Gone) {
            self.begin(Doing::HookBeforeFreeze, async move {
                Step::Freezes(actor.deactivate(DeactivateReason::Migrating).await, at_micros)
            });
        }
    }

    pub(super) fn activation_failed(&mut self, local: &Local, why: &str) {
        let actor = self.actor_id();
        tracing::warn!(%actor, why, "an actor could not be activated");
        self.meter().activation_failed();
        let text = format!("{actor} could not be activated: {why}");
        let failure = Failure::new(FailureCode::ActivationFailed, Ran::No, text);
        self.over(local, Event::ActivationFailed(failure));
    }

    pub(super) fn lost(&mut self, local: &Local, actor: Box<dyn AnyActor>) {
        let _ = catch_unwind(AssertUnwindSafe(|| drop(actor)));
        self.overtaken(local);
    }

    fn overtaken(&mut self, local: &Local) {
        self.meter().conflicted();
        let id = self.actor_id();
        let text = format!("{id} was taken over by another activation while this message waited; it did not run");
        let failure = Failure::new(FailureCode::Discarded, Ran::No, text);
        self.over(local, Event::OwnershipLost(failure));
    }

    /// Ends with messages in the mailbox, which the silo deals with.
    pub(super) fn over(&mut self, local: &Local, event: Event) {
        self.state = State::Gone;
        self.put_back();
        local.outside.report(&self.activation, event);
    }

    pub(super) fn put_back(&mut self) {
        self.activation.mailbox().put_back(&mut self.taken);
    }

    pub(super) fn pack(&mut self, local: &Local, actor: Box<dyn AnyActor>, at_micros: u64) {
        self.put_back();
        self.activation.mailbox().take(&mut self.taken);
        let mut letters: Vec<Letter> = std::mem::take(&mut self.taken).into_letters().collect();
        let id = self.activation.actor();
        let packed = catch_unwind(AssertUnwindSafe(|| {
            let memory = actor.dehydrate()?;
            let now = local.clock.now();
            let timers = with_timers(|timers| timers.as_ref().map_or(Ok(Vec::new()), |timers| timers.pack(now)))?;
            // Ticks travel with their timers.
            let own = letters
                .iter_mut()
                .filter(|letter| !matches!(letter.reply, ReplyTo::Timer(_)));
            let calls = own.map(|letter| local.outside.to_call(id, letter));
            Ok::<_, FreezeError>((memory, calls.collect::<Result<Vec<_>, _>>()?, timers))
        }));
        for letter in letters {
            self.taken.push(letter);
        }
        let event = match packed {
            Ok(Ok((memory, waiting, timers))) => Event::Packed(Box::new(Packed {
                actor: memory,
                waiting,
                timers,
                frozen_at_micros: at_micros,
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
}

//! Rounds: the messages that an idle actor has waiting, run one after the other.
//!
//! Most visits are a round of an actor that is idle before and after it. Those need no slot: the actor is taken out of its place and
//! put back, and all else that a visit needs is the worker's.

use super::{
    answer::send,
    desk::Desk,
    letters::run_letter,
    local::{BUDGET, Local},
    slot::State,
    watch::NO_MESSAGE,
};
use crate::{
    actor::{AnyActor, Begin, Memory, Rare, Source, Timers, run_as},
    mailbox::{Form, Mailbox, Records, Taken},
};
use futures_util::task::waker_ref;
use std::{
    mem::{self, ManuallyDrop},
    sync::Arc,
    task::Context,
};

/// The actor of a round, idle again, or what became of it.
type RoundEnd = Result<Box<dyn AnyActor>, Rare>;

/// The messages of one actor that are run now.
pub(super) struct Round<'a> {
    pub(super) mailbox: &'a Arc<Mailbox>,
    pub(super) taken: &'a mut Records,
    /// Which of the kind's messages came last: likely the next.
    pub(super) last_message: &'a mut u32,
}

impl Round<'_> {
    /// Runs what was taken, until it is all run, the budget is used up, or the actor is not idle any more. Lowers `budget`.
    ///
    /// # Errors
    /// What became of the actor, if it is not simply idle.
    pub(super) fn run(
        self,
        local: &Local,
        mut actor: Box<dyn AnyActor>,
        memory: &mut Option<Memory>,
        budget: &mut u32,
    ) -> RoundEnd {
        let Self {
            mailbox,
            taken,
            last_message,
        } = self;
        let waker = waker_ref(mailbox);
        let cx = &mut Context::from_waker(&waker);
        let cell = mailbox.cell();
        let kind = &*Desk::of(mailbox).kind;
        // Nothing unless it is answered: to look for that once more would cost each round.
        let mut rare = ManuallyDrop::new(Rare::Nothing);
        loop {
            let left = taken.len();
            let Some(front) = taken.front().filter(|_| *budget > 0) else {
                return Ok(actor);
            };
            *budget -= 1;
            // What runs waits no more. A store per message costs senders on other threads dearly while many wait.
            let left = left - 1;
            if left < 32 || left.is_multiple_of(32) {
                cell.left(u32::try_from(left).unwrap_or(u32::MAX));
            }
            if local.depth.get() == 0 {
                local.refill();
            }
            let entry = match front.form() {
                Form::Letter => None,
                Form::Told | Form::Asked => kind.message_of(front.message(), last_message),
            };
            let begin = Begin {
                actor,
                source: Source::Queue(front),
                kind,
                clock: &local.clock,
                memory,
            };
            let idle = match entry {
                Some(entry) => {
                    local.shared.shown.turn(entry.number());
                    entry.run(begin, cx, &mut rare)
                }
                None => run_letter(local, begin, cx, &mut rare),
            };
            match idle {
                Some(back) => actor = back,
                None => match mem::take(&mut *rare) {
                    // Of an ask from another process: all else is as it was.
                    Rare::Ended {
                        actor: back,
                        wants: false,
                        remote,
                    } => {
                        send(&*local.outside, remote);
                        actor = back;
                    }
                    rare => return Err(rare),
                },
            }
        }
    }
}

impl Local {
    /// Visits an actor that is idle and nothing else. Answers how many messages were run.
    pub(super) fn visit_idle(&self, number: u32, mailbox: Arc<Mailbox>, actor: Box<dyn AnyActor>, quota: u32) -> u32 {
        let most = BUDGET.min(quota);
        let few = mailbox.take_few(most);
        // Else it comes to rest after its round.
        let rests = few.is_some();
        let Some(mut taken) = few.or_else(|| Self::take_all(&mailbox)) else {
            self.keep_idle(number, actor);
            self.look_again(mailbox);
            return 0;
        };
        self.shared.shown.enter(number, NO_MESSAGE);
        self.gathered.begin();
        let ended = self.run_round(number, &mailbox, actor, (&mut taken, rests), most);
        self.gathered.hand_over(&self.clock);
        drop(taken);
        match ended {
            Ok((turns, actor)) => {
                self.keep_idle(number, actor);
                self.shared.shown.leave();
                if !rests {
                    self.look_again(mailbox);
                }
                self.ran(turns)
            }
            Err(ran) => ran,
        }
    }

    /// Runs what was taken for an idle actor, at most so many messages. `rests`: the mailbox has come to rest with that. Answers how
    /// many were run, and the actor, if it is idle again and that is all.
    ///
    /// # Errors
    /// How many were run by a visit that needed a slot.
    #[inline]
    pub(super) fn run_round(
        &self,
        number: u32,
        mailbox: &Arc<Mailbox>,
        actor: Box<dyn AnyActor>,
        (taken, rests): (&mut Records, bool),
        most: u32,
    ) -> Result<(u32, Box<dyn AnyActor>), u32> {
        let mut timers = None;
        let mut budget = most;
        let timed = self.is_timed().then(|| self.clock.now());
        mailbox.cell().turns_started(self.recent.get());
        let mut memory = self.take_memory();
        let mut likely = self.likely.get();
        let round = Round {
            mailbox,
            taken: &mut *taken,
            last_message: &mut likely,
        };
        let ended = run_as(mailbox, &mut timers, || {
            round.run(self, actor, &mut memory, &mut budget)
        });
        self.likely.set(likely);
        self.keep_memory(memory);
        let turns = most - budget;
        let waits = matches!(ended, Err(Rare::Waits(_)));
        self.count(&Desk::of(mailbox).meter, turns, timed.filter(|_| !waits));
        match ended {
            Ok(actor) if taken.is_empty() && timers.is_none() => {
                mailbox.cell().turns_ended();
                Ok((turns, actor))
            }
            ended => Err(self.go_on_as_slot(number, mailbox, (ended, timers), (taken, rests), (most, budget))),
        }
    }

    /// There is more to the actor of a round than to be idle again: goes on with it as a visit of a slot. Answers how many messages were
    /// run, with those of the round.
    #[cold]
    fn go_on_as_slot(
        &self,
        number: u32,
        mailbox: &Arc<Mailbox>,
        (ended, timers): (RoundEnd, Option<Box<Timers>>),
        (taken, rests): (&mut Records, bool),
        (most, mut budget): (u32, u32),
    ) -> u32 {
        let due = rests && !mailbox.stay();
        let mut slot = self.slot_of(number, mailbox.clone(), State::Gone);
        slot.timers = timers;
        slot.taken = mem::take(taken);
        let so_far = budget;
        let visit = slot.within(|slot| {
            match ended {
                Ok(actor) => slot.state = State::Idle(actor),
                Err(rare) => slot.after(self, rare),
            }
            // What a turn left to be done was not polled yet.
            let forced = slot.has_step();
            slot.visit(self, forced, &mut budget)
        });
        if so_far > budget {
            self.count(slot.meter(), so_far - budget, None);
        }
        self.visited(number, slot, Some(mailbox.clone()), (visit, due), most - budget)
    }

    #[cold]
    fn take_all(mailbox: &Mailbox) -> Option<Taken> {
        let mut taken = Taken::default();
        mailbox.take(&mut taken).then_some(taken)
    }

    /// Puts back an actor that is idle and nothing else.
    #[inline(always)]
    pub(super) fn keep_idle(&self, number: u32, actor: Box<dyn AnyActor>) {
        if let Some(place) = self.places.borrow_mut().get(number) {
            place.keep_idle(actor);
        }
    }

    /// Comes to rest, unless a message has come meanwhile.
    #[cold]
    fn look_again(&self, mailbox: Arc<Mailbox>) {
        if !mailbox.rest(false) {
            self.waiting.ready.borrow_mut().push_back(mailbox);
        }
    }
}

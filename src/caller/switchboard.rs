//! The switchboard: all lines of a process.

mod out;
mod upkeep;

use super::{
    Line, Links, Pending, Unsent,
    convert::{from_call, near, own_request, time_left},
    line::Exchange,
    watch::Watch,
};
use crate::{
    actor::Port,
    clock::{Clock, Moment},
    directory::{Step, Way},
    ident::{ActorId, ActorTable, Hint, ProcessId, RequestId, SHARDS, SiloId, shard_of},
    mailbox::{Letter, Mailbox, ReplyTo, reply_pair},
    wire::{BounceReason, Call, EncodeError, Failure, FailureCode, Frame, Outcome, Ran},
};
use parking_lot::{Mutex, RwLock};
use std::{
    collections::{BTreeSet, HashSet, VecDeque},
    sync::{Arc, OnceLock},
    task::Waker,
    time::Duration,
};

/// What a process does for its switchboard.
pub trait Uplink: Send + Sync + 'static {
    /// The letter's way leads to this process itself. `fresh`: the sender is there to be told that there is no room. `mailbox`:
    /// the actor's, if it was seen in this process.
    fn deliver_here(&self, actor: &ActorId, letter: Letter, fresh: bool, mailbox: Option<&Arc<Mailbox>>) -> Delivered;

    /// A fence of this process's own callers on the way to itself.
    fn fence_here(&self, actor: &ActorId, k: u64);

    /// This process's own callers enter itself.
    fn enter_here(&self, actor: &ActorId, k: u64);

    /// The silo that should have an actor of which this process knows nothing, if placement's word will do.
    fn placed(&self, actor: &ActorId) -> Option<Hint> {
        let _unknown = actor;
        None
    }

    /// The mailbox of an actor of which the process's callers know nothing, if placement says that it should be here, and it runs
    /// and does nothing else or can run at once; with placement's word. `mailbox`: the actor's, if it was seen in this process.
    fn open_here(&self, actor: &ActorId, mailbox: Option<&Arc<Mailbox>>) -> Option<(Hint, Arc<Mailbox>)> {
        let _unknown = (actor, mailbox);
        None
    }

    /// Finds out who owns the actor or who should: at once, or by [`Switchboard::located`], [`Switchboard::not_located`] or
    /// [`Switchboard::locate_again`] later. `first`: placement's word will do, nobody has asked before.
    fn locate(&self, actor: &ActorId, attempt: u32, first: bool) -> Option<Hint>;

    /// Whether a silo is known to be gone.
    fn is_gone(&self, silo: &SiloId) -> bool;

    /// A tell that will not run, and why.
    fn dead_letter(&self, actor: &ActorId, letter: Letter, why: &Failure);
}

/// What became of a letter.
pub enum Delivered {
    /// It is on its way.
    Done,
    /// It is in a mailbox of this process; the next may go there by the short way.
    Direct(Arc<Mailbox>),
    /// That mailbox is full.
    Full(Letter, Arc<Mailbox>),
}

/// What followed from a step at once.
pub(super) enum Followed {
    Nothing,
    Direct(Arc<Mailbox>),
    Located(Hint),
}

#[derive(Default)]
struct Shard {
    lines: ActorTable<Arc<Line>>,
    /// The same lines, in the order in which sweeps look at them.
    round: VecDeque<Arc<Line>>,
    /// How many lines were made since the last sweep.
    made: usize,
}

/// All lines of a process.
pub struct Switchboard {
    process: ProcessId,
    clock: Clock,
    exchange: Arc<Exchange>,
    lines: [Mutex<Shard>; SHARDS],
    /// The actors to which messages may wait for a way.
    unsettled: [Mutex<HashSet<ActorId, crate::chance::Hashing>>; SHARDS],
    pending: Pending,
    watch: Arc<Watch>,
    links: Arc<Links>,
    uplink: Arc<dyn Uplink>,
    /// Silos that leave: chosen for no way.
    leaving: RwLock<BTreeSet<SiloId>>,
    closed: OnceLock<Failure>,
}

impl Switchboard {
    /// A switchboard without lines.
    pub fn new(
        process: ProcessId,
        clock: Clock,
        ask_timeout: Duration,
        links: Arc<Links>,
        uplink: Arc<dyn Uplink>,
    ) -> Arc<Self> {
        Arc::new_cyclic(|board| Self {
            process,
            watch: Watch::new(clock.clone(), board.clone()),
            exchange: Arc::new(Exchange {
                clock: clock.clone(),
                ask_timeout,
                board: board.clone(),
            }),
            clock,
            lines: std::array::from_fn(|_| Mutex::default()),
            unsettled: std::array::from_fn(|_| Mutex::default()),
            pending: Pending::default(),
            links,
            uplink,
            leaving: RwLock::default(),
            closed: OnceLock::new(),
        })
    }

    /// The port of an actor.
    pub fn port(self: &Arc<Self>, actor: ActorId) -> Arc<dyn Port> {
        self.line_or_new(&actor)
    }

    fn line_or_new(&self, actor: &ActorId) -> Arc<Line> {
        let mut shard = self.lines[shard_of(actor)].lock();
        if let Some(line) = shard.lines.get(actor) {
            line.seen_held(true, Moment(0));
            return line.clone();
        }
        let line = Arc::new(Line::new(actor.clone(), self.exchange.clone()));
        shard.lines.insert(line.clone());
        shard.round.push_back(line.clone());
        shard.made += 1;
        line
    }

    /// The mailbox that this process's callers know the actor by, if they have seen it run here.
    pub fn mailbox_of(&self, actor: &ActorId) -> Option<Arc<Mailbox>> {
        self.line(actor)?.mailbox().cloned()
    }

    /// The asks that wait for replies from elsewhere.
    pub fn pending(&self) -> &Pending {
        &self.pending
    }

    /// The links that this process dials.
    pub fn links(&self) -> &Arc<Links> {
        &self.links
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    fn line(&self, actor: &ActorId) -> Option<Arc<Line>> {
        self.lines[shard_of(actor)].lock().lines.get(actor).cloned()
    }

    fn all_lines(&self) -> Vec<Arc<Line>> {
        (self.lines.iter())
            .flat_map(|shard| shard.lock().round.iter().cloned().collect::<Vec<_>>())
            .collect()
    }

    /// Messages may wait for the actor's way from now on.
    fn unsettled(&self, actor: &ActorId) {
        self.unsettled[shard_of(actor)].lock().insert(actor.clone());
    }

    pub(super) fn is_far(&self, silo: &SiloId) -> bool {
        self.process.silo() != Some(silo)
    }

    pub(super) fn is_congested(&self, silo: &SiloId) -> bool {
        self.is_far(silo) && self.links.is_congested(silo)
    }

    pub(super) fn is_writable(&self, silo: &SiloId, waker: &Waker) -> bool {
        !self.is_far(silo) || self.links.is_writable(silo, waker)
    }

    pub(super) fn closed(&self) -> Option<&Failure> {
        self.closed.get()
    }

    pub(super) fn gone() -> Failure {
        let text = "the silo or client of this reference has been stopped; the message did not run";
        Failure::new(FailureCode::ShuttingDown, Ran::No, text)
    }

    // Sending.

    /// Where an actor should be of which nothing is known.
    pub(super) fn placed(&self, actor: &ActorId) -> Option<Hint> {
        let hint = self.uplink.placed(actor)?;
        if self.process.silo() == Some(&hint.silo) {
            // It takes actors, placement says, and is not gone while it asks.
            return Some(hint);
        }
        self.usable(Some(hint))
    }

    /// [`Uplink::open_here`].
    pub(super) fn open_here(&self, actor: &ActorId, mailbox: Option<&Arc<Mailbox>>) -> Option<(Hint, Arc<Mailbox>)> {
        self.uplink.open_here(actor, mailbox)
    }

    pub(super) fn deliver(
        &self,
        actor: &ActorId,
        to: &SiloId,
        letter: Letter,
        mailbox: Option<&Arc<Mailbox>>,
    ) -> Delivered {
        if self.process.silo() == Some(to) {
            return self.uplink.deliver_here(actor, letter, true, mailbox);
        }
        self.send(actor, to, letter);
        Delivered::Done
    }

    pub(super) fn carry_out(
        &self,
        actor: &ActorId,
        step: Step<Letter>,
        first: bool,
        mailbox: Option<&Arc<Mailbox>>,
    ) -> Followed {
        let is_here = |to: &SiloId| self.process.silo() == Some(to);
        match step {
            Step::Send { to, message } if is_here(&to) => {
                match self.uplink.deliver_here(actor, message, false, mailbox) {
                    Delivered::Direct(direct) => return Followed::Direct(direct),
                    Delivered::Done => {}
                    Delivered::Full(..) => unreachable!("invariant: only fresh letters are told that there is no room"),
                }
            }
            Step::Send { to, message } => self.send(actor, &to, message),
            Step::Fence { to, k } if is_here(&to) => self.uplink.fence_here(actor, k),
            Step::Fence { to, k } => self.links.send(
                &to,
                Frame::Fence {
                    actor: actor.clone(),
                    k,
                },
            ),
            Step::Mark { to, k } => self.links.send(
                &to,
                Frame::Mark {
                    actor: actor.clone(),
                    k,
                },
            ),
            Step::Enter { to, k } if is_here(&to) => self.uplink.enter_here(actor, k),
            Step::Enter { to, k } => self.links.send(
                &to,
                Frame::Enter {
                    actor: actor.clone(),
                    k,
                },
            ),
            Step::Locate { attempt } => {
                if let Some(hint) = self.uplink.locate(actor, attempt, first) {
                    if let Some(hint) = self.usable(Some(hint)) {
                        return Followed::Located(hint);
                    }
                    // Placement does not know yet that the silo leaves. Nobody looks for the actor: somebody has to.
                    let _asked = self.uplink.locate(actor, attempt + 1, false);
                }
                self.unsettled(actor);
            }
        }
        Followed::Nothing
    }

    fn send(&self, actor: &ActorId, to: &SiloId, mut letter: Letter) {
        let now = near(letter.deadline, &self.clock);
        if letter.deadline.is_some_and(|deadline| deadline < now) {
            let text = format!(
                "{} to {actor} waited past its deadline; it did not run",
                letter.body.name()
            );
            return self.fail(actor, letter, Failure::new(FailureCode::TimedOut, Ran::No, text));
        }
        let registered = matches!(letter.reply, ReplyTo::Here(_));
        match self.to_call_on(actor, &mut letter, now, Some(to)) {
            Ok(call) => {
                if registered || call.request == RequestId::NONE || self.pending.sent(call.request, to) {
                    self.links.send(to, Frame::Call(call));
                }
            }
            Err(error) => {
                let text = format!("{} cannot be serialized: {error}", letter.body.name());
                self.fail(actor, letter, Failure::new(FailureCode::Unreadable, Ran::No, text));
            }
        }
    }

    /// Makes a letter ready to travel; it stays as good as it was.
    ///
    /// # Errors
    /// If the message cannot be serialized; the letter is unchanged.
    pub fn to_call(&self, actor: &ActorId, letter: &mut Letter) -> Result<Call, EncodeError> {
        self.to_call_on(actor, letter, self.clock.now(), None)
    }

    /// The same; an ask that is not known here yet goes out over the link to `on`.
    fn to_call_on(
        &self,
        actor: &ActorId,
        letter: &mut Letter,
        now: Moment,
        on: Option<&SiloId>,
    ) -> Result<Call, EncodeError> {
        let body = letter.body.encode()?;
        let (process, request) = match std::mem::replace(&mut letter.reply, ReplyTo::Nobody) {
            ReplyTo::Nobody | ReplyTo::Timer(_) => (self.process.clone(), RequestId::NONE),
            ReplyTo::Process { process, request } => (process, request),
            ReplyTo::Here(slot) => {
                let request = self.pending.register(slot, actor.clone(), letter.deadline, on.cloned());
                (self.process.clone(), request)
            }
        };
        if request != RequestId::NONE {
            letter.reply = ReplyTo::Process {
                process: process.clone(),
                request,
            };
        }
        Ok(Call {
            actor: actor.clone(),
            message: letter.body.shared_name(),
            request,
            from: process,
            time_left: time_left(letter.deadline, now),
            chain: letter.chain.to_vec(),
            trace: letter.chain.trace(),
            body,
        })
    }

    /// Ends a letter of this process with a failure.
    pub fn fail(&self, actor: &ActorId, letter: Letter, failure: Failure) {
        match letter.reply {
            ReplyTo::Nobody | ReplyTo::Timer(_) => self.uplink.dead_letter(actor, letter, &failure),
            ReplyTo::Here(slot) => {
                slot.answer(Err(failure));
            }
            ReplyTo::Process { request, .. } => {
                self.pending.answer(request, Outcome::Failure(failure));
            }
        }
    }

    // What comes back.

    /// A message came back unrun.
    pub fn bounced(self: &Arc<Self>, from: &SiloId, call: Call, hint: Option<Hint>, why: BounceReason) {
        let (actor, letter) = from_call(call, self.clock.now());
        self.letter_bounced(from, &actor, letter, hint, why);
    }

    /// A letter came back unrun.
    pub fn letter_bounced(
        self: &Arc<Self>,
        from: &SiloId,
        actor: &ActorId,
        mut letter: Letter,
        hint: Option<Hint>,
        why: BounceReason,
    ) {
        if let Some(request) = own_request(&letter, &self.process) {
            match self.pending.came_back(request) {
                Some(deadline) => letter.deadline = deadline,
                // Its ask has ended; the way still has to be switched. It is nobody's dead letter: who asked knows.
                None => {
                    letter.reply = ReplyTo::Here(reply_pair::<()>().0.into());
                    letter.deadline = Some(Moment(0));
                }
            }
        }
        let wait = why != BounceReason::NotOwner;
        let hint = self.usable(hint);
        // Even if nobody holds the line any more: what came back is not to be lost.
        self.change(&self.line_or_new(actor), |way, steps| {
            way.bounced(from, letter, hint, wait, steps);
        });
    }

    /// A frame for a silo was not sent.
    pub fn unsent(self: &Arc<Self>, silo: &SiloId, frame: Frame, why: Unsent) {
        match (frame, why) {
            (Frame::Call(call), Unsent::TooLarge(why)) => {
                let (actor, letter) = from_call(call, self.clock.now());
                let text = format!("{} to {actor} was not sent: {why}", letter.body.name());
                self.fail(&actor, letter, Failure::new(FailureCode::TooLarge, Ran::No, text));
            }
            (Frame::Call(call), why) => {
                if why == Unsent::Gone {
                    self.event(&call.actor.clone(), |way, steps| way.silo_died(silo, steps));
                }
                self.bounced(silo, call, None, BounceReason::NotNow);
            }
            (Frame::Fence { actor, .. } | Frame::Enter { actor, .. }, Unsent::Gone) => {
                self.event(&actor, |way, steps| way.silo_died(silo, steps));
            }
            (Frame::Query { request, name, .. }, why) => {
                let text = format!("the query {name:?} did not reach {silo}: {why:?}");
                let failure = Failure::new(FailureCode::NotHosted, Ran::No, text);
                self.pending.answer(request, Outcome::Failure(failure));
            }
            // The other end of a move finds out by itself.
            (frame, why) => tracing::debug!(%silo, ?why, ?frame, "a frame was not sent"),
        }
    }

    /// A fence was answered.
    pub fn fenced(&self, from: &SiloId, actor: &ActorId, k: u64, hint: Option<Hint>, lost: bool) {
        let hint = self.usable(hint);
        self.event(actor, |way, steps| way.fenced(from, k, hint, lost, steps));
    }

    /// A mark was answered.
    pub fn handled(&self, from: &SiloId, actor: &ActorId, k: u64) {
        self.event(actor, |way, steps| way.handled(from, k, steps));
    }

    /// An entry was refused.
    pub fn not_here(&self, from: &SiloId, actor: &ActorId, k: u64) {
        self.event(actor, |way, steps| way.not_here(from, k, steps));
    }

    /// The actor has moved.
    pub fn moved(&self, actor: &ActorId, hint: Hint) {
        if let Some(hint) = self.usable(Some(hint)) {
            self.event(actor, |way, steps| way.moved(hint, steps));
        }
    }

    /// The directory's or placement's word. One that names a leaving silo counts for nothing.
    pub fn located(&self, actor: &ActorId, hint: Hint) {
        match self.usable(Some(hint)) {
            Some(hint) => self.event(actor, |way, steps| way.located(hint, steps)),
            None => self.locate_again(actor),
        }
    }

    /// Nobody may have the actor: what waits for it fails.
    pub fn not_located(&self, actor: &ActorId, failure: &Failure) {
        let Some(line) = self.line(actor) else { return };
        for letter in line.change(self, |way, _| way.not_located()) {
            self.fail(actor, letter, failure.clone());
        }
    }

    /// The directory could not be asked; it is asked again, later.
    pub fn locate_again(&self, actor: &ActorId) {
        self.drop_overdue(actor);
        self.event(actor, Way::locate_again);
    }

    /// A reply has come.
    pub fn replied(&self, request: RequestId, outcome: Outcome) {
        self.pending.answer(request, outcome);
    }

    fn usable(&self, hint: Option<Hint>) -> Option<Hint> {
        hint.filter(|hint| !self.leaving.read().contains(&hint.silo) && !self.uplink.is_gone(&hint.silo))
    }

    fn event(&self, actor: &ActorId, event: impl FnOnce(&mut Way<Letter>, &mut Vec<Step<Letter>>)) {
        if let Some(line) = self.line(actor) {
            self.change(&line, event);
        }
    }

    fn change(&self, line: &Line, event: impl FnOnce(&mut Way<Letter>, &mut Vec<Step<Letter>>)) {
        let unsettled = line.change(self, |way, steps| {
            event(way, steps);
            way.is_unsettled()
        });
        if unsettled {
            self.unsettled(line.actor());
        }
    }

    // Silos that come and go.

    /// A silo leaves: what is for it is held until it is flushed, and it is chosen for no way. When this returns, nothing
    /// more is sent to it.
    pub fn leaving(&self, silo: &SiloId) {
        self.leaving.write().insert(silo.clone());
        for line in self.all_lines() {
            self.change(&line, |way, _| way.leaving(silo));
        }
    }

    /// All that was sent to a leaving silo has come to rest elsewhere.
    pub fn flushed(&self, silo: &SiloId) {
        self.pending.flushed(silo);
        for line in self.all_lines() {
            self.change(&line, |way, steps| way.flushed(silo, steps));
        }
    }

    /// The link to a silo was lost.
    pub fn link_lost(&self, silo: &SiloId) {
        self.pending.link_lost(silo);
        for line in self.all_lines() {
            self.change(&line, |way, steps| way.link_lost(silo, steps));
        }
    }

    /// There is a link to a silo again.
    pub fn link_renewed(&self, silo: &SiloId) {
        for line in self.all_lines() {
            self.change(&line, |way, steps| way.link_renewed(silo, steps));
        }
    }

    /// A silo is gone, and its links are closed.
    pub fn silo_died(&self, silo: &SiloId) {
        self.pending.link_lost(silo);
        for line in self.all_lines() {
            self.change(&line, |way, steps| way.silo_died(silo, steps));
        }
        self.leaving.write().remove(silo);
    }

    /// Ends everything that waits; from now on nothing is sent.
    pub fn close(&self, failure: &Failure) {
        // What the first said stays said.
        let _again = self.closed.set(failure.clone());
        for line in self.all_lines() {
            for letter in line.close() {
                self.fail(line.actor(), letter, failure.clone());
            }
        }
    }

    /// Ends the asks that were sent and not answered, as no answers come any more; `why` is the begin of a sentence.
    pub fn end_asks(&self, why: &str) {
        self.pending.end(why);
    }
}

#[cfg(test)]
#[path = "switchboard_tests.rs"]
mod tests;

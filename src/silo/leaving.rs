//! Leaving: carries out the drain, from the wish to stop to the removed row.

use super::{
    Gate, Node,
    end::{CordonError, Ended, Wish},
    queries::millis,
};
use crate::{
    activity::{Heat, Rank},
    ident::ActorId,
    lifecycle::{Command, Drain, Event, Phase, Snapshot},
    membership, migration,
    runtime::Control,
    store::SiloStatus,
    wire::{BounceReason, Failure, FailureCode, Frame, MoveFailure, Ran, ShutdownReport},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

/// After how many actors others on the supervisor's thread have their turn.
const AT_ONCE: usize = 500;

/// How often a drain looks at the silo.
const LOOK: Duration = Duration::from_millis(5);

/// How long the last words may take to be written, and the row to be removed.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// How long the store may take to say what the silo is still named for.
const LAST_LOOK: Duration = Duration::from_millis(500);

/// How often it is told how far a drain is.
const TELL: Duration = Duration::from_millis(250);

/// What a drain has still to tell: all at first, then what comes up.
#[derive(Default)]
struct ToTell {
    /// Whether all actors were told to move, to end.
    moved: bool,
    ended: bool,
    /// Active since, and not known to move.
    to_move: BTreeSet<ActorId>,
    /// Settled since.
    to_end: BTreeSet<ActorId>,
}

impl Node {
    /// Ends the silo as it was wished, unless that is called off.
    pub(super) async fn leave(self: &Arc<Self>, wish: Wish) -> Result<ShutdownReport, Ended> {
        let begun = self.clock.now();
        let reason = match wish {
            Wish::Fence(reason) => return Err(self.fence(begun, reason)),
            Wish::Stop(reason) => reason,
        };
        tracing::info!(silo = %self.me, reason, "the silo leaves");
        let mut forced = Vec::new();
        let mut flushed = false;
        let mut to_tell = ToTell::default();
        let drain = Drain::new(begun, self.options.shutdown_timeout, self.options.live_migration);
        *self.drain.lock() = Some(drain);
        let mut event = Event::Begin;
        let mut told = (Phase::Done, begun);
        loop {
            let uncordons = event == Event::Uncordon;
            let commands = self.drain_on(event);
            if uncordons && commands.is_empty() {
                self.end.answer_uncordons(Err(CordonError::TooLate));
            }
            for command in commands {
                #[cfg(feature = "testkit")]
                crate::faults::stepped(command.name());
                match command {
                    Command::SendFlushed { complete } => {
                        flushed = complete;
                        self.send_flushed(complete);
                    }
                    Command::Force => forced = self.stop_by_force(),
                    command => self.carry_out_drain(command, &mut to_tell).await,
                }
            }
            if let Some(reason) = self.end.fence() {
                return Err(self.fence(begun, reason));
            }
            let (phase, now) = (self.drain_phase(), self.clock.now());
            if phase != told.0 || now.since(told.1) >= TELL {
                told = (phase, now);
                self.tell_drain();
            }
            event = match phase {
                Phase::Done => break,
                Phase::CalledOff => {
                    self.stay();
                    self.end.answer_uncordons(Ok(()));
                    return Err(Ended::CalledOff);
                }
                _ if self.end.is_uncordon_asked() => Event::Uncordon,
                Phase::Close => Event::Closed,
                Phase::Leave => Event::Left,
                Phase::Cordon if self.is_cordon_published() => Event::Published,
                _ => {
                    self.clock.sleep(LOOK).await;
                    Event::Looked(self.look(&mut to_tell))
                }
            };
        }
        let report = self.report(begun, reason, forced, flushed);
        tracing::info!(
            silo = %self.me,
            moved = report.moved.len(),
            deactivated = report.deactivated,
            forced = report.forced.len(),
            took_ms = report.took_ms,
            "the silo has left"
        );
        Ok(report)
    }

    fn drain_on(&self, event: Event) -> Vec<Command> {
        let now = self.clock.now();
        let mut drain = self.drain.lock();
        drain.as_mut().map(|drain| drain.on(now, event)).unwrap_or_default()
    }

    fn drain_phase(&self) -> Phase {
        self.drain.lock().as_ref().map_or(Phase::Done, Drain::phase)
    }

    fn is_cordon_published(&self) -> bool {
        self.view.read().status(&self.me) != Some(SiloStatus::Active)
    }

    async fn carry_out_drain(self: &Arc<Self>, command: Command, to_tell: &mut ToTell) {
        match command {
            Command::Cordon => {
                self.set_gate(Gate::Cordoned);
                self.seats.watch(true);
                self.moves.forget_given_up();
                self.services
                    .membership(membership::Event::SetStatus(SiloStatus::ShuttingDown));
            }
            Command::Migrate => {
                if !to_tell.moved {
                    let by = self.drain.lock().as_ref().map(Drain::all_moving_by);
                    self.moves.finish_by(by);
                    self.spawn(self.clone().free_leftovers());
                }
                self.want_away(to_tell).await;
            }
            Command::StopMigrating => self.moves.cancel_waiting(),
            Command::Deactivate => {
                self.end_activations();
                let actors = if std::mem::replace(&mut to_tell.ended, true) {
                    Vec::new()
                } else {
                    (self.seats).select(|actor, place| place.seat.is_settled().then(|| actor.clone()))
                };
                for actor in actors.iter().chain(&std::mem::take(&mut to_tell.to_end)) {
                    self.at(actor, |place| place.seat.deactivate());
                }
            }
            Command::SendLeaving => {
                // What was asked before the cordon may have been done since.
                let _whoever_wants_them_takes_them_over =
                    self.clock.timeout(LAST_LOOK, self.clone().free_leftovers()).await;
                self.accepted.refuse(true);
                for link in self.accepted.all() {
                    self.accepted.send(link.link, Frame::Leaving);
                }
            }
            Command::Close => self.close_links().await,
            Command::Leave => {
                self.services.membership(membership::Event::Leave);
                if self.clock.timeout(LAST_WORDS, self.end.has_left()).await.is_none() {
                    tracing::warn!(silo = %self.me, "the row could not be removed in time; the others will find the silo dead");
                }
            }
            // Done when those who asked are answered.
            Command::Uncordon => {}
            Command::Force | Command::SendFlushed { .. } => unreachable!("invariant: the caller does these"),
        }
    }

    /// Wants every actor that can move to move, the coldest first.
    async fn want_away(&self, to_tell: &mut ToTell) {
        let now = self.clock.now();
        let actors = if std::mem::replace(&mut to_tell.moved, true) {
            std::mem::take(&mut to_tell.to_move).into_iter().collect()
        } else {
            self.seats
                .select(|actor, place| place.activation.is_some().then(|| actor.clone()))
        };
        let mut ranks: Vec<Rank> = Vec::with_capacity(actors.len());
        for (n, actor) in actors.into_iter().enumerate() {
            if n % AT_ONCE == AT_ONCE - 1 {
                tokio::task::yield_now().await;
            }
            let rank = self.seats.peek(&actor, |place| {
                let is_active = matches!(place.seat.phase(), Some((migration::Phase::Active, _)));
                let activation = place.activation.as_ref().filter(|_| is_active)?;
                let activity = activation.activity();
                let policy = &self.options.hot_policy;
                Some(Rank::new(policy, actor.clone(), Heat::Cold, &activity, now))
            });
            ranks.extend(rank.flatten().filter(|rank| self.may_be_wanted(&rank.actor)));
        }
        ranks.sort_unstable();
        // Of each kind, why its actors stay, if they do, and how many.
        let mut kinds: BTreeMap<String, (Option<MoveFailure>, usize)> = BTreeMap::new();
        for (n, rank) in ranks.into_iter().enumerate() {
            if n % AT_ONCE == AT_ONCE - 1 {
                tokio::task::yield_now().await;
            }
            let kind = rank.actor.kind();
            if !kinds.contains_key(kind) {
                kinds.insert(kind.to_owned(), (self.why_kind_stays(kind), 0));
            }
            let known = kinds.get_mut(kind).map(|(why, stay)| (why.clone(), stay));
            match known {
                Some((Some(why), stay)) => {
                    *stay += 1;
                    self.moves.give_up(rank.actor, why);
                }
                // It moves already, or comes again with the next look.
                _ => _ = self.moves.want(rank.actor, None, None),
            }
        }
        for (kind, (why, stay)) in kinds {
            if let Some(why) = why {
                tracing::info!(kind, actors = stay, %why, "actors do not move");
            }
        }
    }

    /// Why actors of a kind cannot move, if they cannot.
    fn why_kind_stays(&self, kind: &str) -> Option<MoveFailure> {
        let movable = (self.registry.kind(kind)).is_some_and(|kind| kind.entry.is_movable());
        if !movable {
            return Some(MoveFailure::Immovable);
        }
        self.targets(kind, None).is_empty().then_some(MoveFailure::NoTarget)
    }

    fn may_be_wanted(&self, actor: &ActorId) -> bool {
        !self.moves.knows(actor) && !self.moves.has_given_up(actor)
    }

    fn look(self: &Arc<Self>, to_tell: &mut ToTell) -> Snapshot {
        let flushing = self.drain_phase() >= Phase::Flush;
        if flushing {
            self.at_busy(
                |seat| seat.forwarding().is_some(),
                |seat| {
                    seat.forget_forwarding();
                },
            );
        }
        for actor in self.seats.take_news() {
            let (active, settled) = (self.seats)
                .peek(&actor, |place| {
                    let active = matches!(place.seat.phase(), Some((migration::Phase::Active, _)));
                    (active, place.seat.is_settled())
                })
                .unwrap_or_default();
            if active && self.may_be_wanted(&actor) {
                to_tell.to_move.insert(actor.clone());
            }
            if settled {
                to_tell.to_end.insert(actor);
            }
        }
        let tally = self.seats.tally();
        #[cfg(feature = "testkit")]
        if flushing && crate::faults::is_broken("leave without waiting for anybody") {
            return Snapshot::default();
        }
        Snapshot {
            // What delivers ticks ends with the actors: nobody else has to hear of the silo's end before.
            actors: tally.tenants + self.reminding.unfinished(),
            to_move: to_tell.to_move.len(),
            // What is on its way here moves on as soon as it is here.
            moving: self.moves.len() + tally.arriving,
            running: tally.settled,
            passing_on: tally.passing_on,
            unacknowledged: if flushing { self.accepted.unacknowledged() } else { 0 },
        }
    }

    fn stop_by_force(self: &Arc<Self>) -> Vec<ActorId> {
        // What waits for the store's answer has not begun: it goes back unrun.
        let registering = self.seats.select(|actor, place| {
            let registers = matches!(place.seat.phase(), Some((migration::Phase::Registering, _)));
            registers.then(|| actor.clone())
        });
        for actor in &registering {
            self.at(actor, |place| place.seat.register_failed(None, BounceReason::NotNow));
        }
        let mut forced = self
            .seats
            .select(|actor, place| place.activation.is_some().then(|| actor.clone()));
        forced.retain(|actor| {
            let (activation, is_here) = self.at(actor, |place| {
                // Of what is packed the other silo answers what waits.
                let phase = place.seat.phase().map(|(phase, _)| phase);
                let is_packed = matches!(
                    phase,
                    Some(migration::Phase::Frozen { .. } | migration::Phase::Committed { .. })
                );
                (
                    place.activation.take(),
                    phase.is_some_and(migration::Phase::is_named) && !is_packed,
                )
            });
            let Some(activation) = activation else { return false };
            if is_here {
                let text = format!("{actor} was stopped with its silo before its turn ended; the message did not run");
                self.fail_waiting(&activation, &Failure::new(FailureCode::ShuttingDown, Ran::No, text));
            }
            activation.control(if is_here { Control::Abandon } else { Control::Drop });
            true
        });
        for actor in &forced {
            tracing::error!(%actor, "an actor was stopped by force: the shutdown timeout has passed");
        }
        forced
    }

    fn send_flushed(&self, complete: bool) {
        if !complete {
            tracing::warn!(silo = %self.me, "not every process was flushed in time");
            return;
        }
        for link in self.accepted.all() {
            self.accepted.send(link.link, Frame::Flushed);
        }
    }

    async fn close_links(&self) {
        self.end_retries();
        let text = format!("{} has left the cluster; the message did not run", self.me);
        self.board()
            .close(&Failure::new(FailureCode::ShuttingDown, Ran::No, text));
        let links = self.accepted.all();
        let written = async {
            for link in &links {
                // A link that has ended has nothing to be written.
                let _ended = link.sender.flushed().await;
            }
        };
        if self.clock.timeout(LAST_WORDS, written).await.is_none() {
            tracing::warn!(silo = %self.me, "the last answers could not be written in time");
        }
        for link in &links {
            link.sender.close();
        }
        self.board().links().close();
        // The peers read to the end and hang up; hanging up before them could take the last words back.
        let end = self.clock.now() + LAST_WORDS;
        while self.clock.now() < end && !self.accepted.all().is_empty() {
            self.clock.sleep(LOOK).await;
        }
    }

    fn fence(self: &Arc<Self>, begun: crate::clock::Moment, reason: String) -> Ended {
        tracing::error!(silo = %self.me, reason, "the silo is fenced and ends at once");
        self.set_gate(Gate::Shut);
        self.end_retries();
        self.pool().stop();
        let text = format!("{} was fenced: {reason}; the message did not run", self.me);
        self.board()
            .close(&Failure::new(FailureCode::ShuttingDown, Ran::No, text));
        let forced = self
            .seats
            .select(|actor, place| place.activation.as_ref().map(|_| actor.clone()));
        for link in self.accepted.all() {
            link.sender.abort();
        }
        self.board().links().close();
        self.board().end_asks(&format!("{} was fenced", self.me));
        let report = Box::new(self.report(begun, reason.clone(), forced, false));
        Ended::Fenced { reason, report }
    }

    /// Waits for blocking work, no longer than the shutdown may take.
    pub(super) async fn end_blocking(&self) {
        let deadline = self.drain.lock().as_ref().map(Drain::deadline);
        let left = self.blocking.end(&self.clock, deadline.unwrap_or_default()).await;
        if left > 0 {
            tracing::warn!(silo = %self.me, left, "blocking work was not done when the shutdown timeout had passed");
        }
    }

    fn report(
        &self,
        begun: crate::clock::Moment,
        reason: String,
        forced: Vec<ActorId>,
        flushed: bool,
    ) -> ShutdownReport {
        let history = self.history.lock();
        ShutdownReport {
            silo: self.me.clone(),
            reason,
            took_ms: millis(self.clock.now().since(begun)),
            moved: self.moves.moved(),
            arrived: history.all_arrived(),
            deactivated: history.deactivated,
            unsaved: history.all_unsaved(),
            forced,
            flushed,
        }
    }
}

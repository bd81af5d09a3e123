//! The migration supervisor: offers actors to the supervisors of other silos, answers their offers, and sees to it that no move
//! stands still. What it decides on belongs to the node, so that a restarted one goes on.

use super::{
    Node,
    intervals::{after, every},
    moves::Due,
    place::Place,
    services::Running,
};
use crate::{
    ident::{ActorId, LinkId, SiloId},
    migration::Phase,
    placement::{Bound, Host, spread},
    runtime::Control,
    wire::{Frame, MoveFailure, OfferItem, Refusal},
};
use actix::{Actor, AsyncContext, Context, Handler, Message};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// How often moves are looked after, as long as there are any, even if nobody says that there is something to do.
const INTERVAL: Duration = Duration::from_millis(20);

/// How often it is looked whether moves that are held back may begin.
const PACE: Duration = Duration::from_millis(1);

/// How long an offer may stay unanswered.
const OFFER_TIMEOUT: Duration = Duration::from_secs(5);

/// How often it is looked whether `Go` is late.
const LATE: Duration = Duration::from_millis(250);

/// How long a target waits for `Go` before it starts without the source.
const GO_TIMEOUT: Duration = Duration::from_secs(3);

/// After how many batches that came to nothing other messages of the supervisor have their turn.
const ROUNDS: usize = 16;

/// The migration supervisor of a silo.
pub(super) struct MigrationSupervisor {
    node: Arc<Node>,
    /// Whether moves are looked after: not where there are none.
    ticks: bool,
    /// Whether those that are held back are looked after.
    paces: bool,
    _running: Running,
}

impl MigrationSupervisor {
    pub(super) fn new(node: Arc<Node>) -> Self {
        Self {
            _running: node.services.running(),
            node,
            ticks: false,
            paces: false,
        }
    }
}

impl Actor for MigrationSupervisor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let clock = self.node.clock.clone();
        self.tick(ctx);
        every(ctx, &clock, LATE, |supervisor, _| supervisor.start_late_arrivals());
        self.node.moves.recover();
        let node = self.node.clone();
        let address = ctx.address();
        // Ends with the supervisor: its address is then disconnected.
        actix_rt::spawn(async move {
            while address.connected() {
                node.moves.changed.notified().await;
                address.do_send(Changed);
            }
        });
    }
}

/// There may be something to do.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Changed;

/// A source offers actors.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Offered {
    pub(super) link: LinkId,
    pub(super) batch: u64,
    pub(super) items: Vec<OfferItem>,
}

/// A target has answered an offer.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct OfferAnswered {
    pub(super) from: SiloId,
    pub(super) batch: u64,
    pub(super) refusals: Vec<Option<Refusal>>,
    pub(super) serves: bool,
}

impl Handler<Changed> for MigrationSupervisor {
    type Result = ();

    fn handle(&mut self, _: Changed, ctx: &mut Self::Context) {
        self.go_on(ctx);
        if !self.ticks {
            self.tick(ctx);
        }
    }
}

impl Handler<Offered> for MigrationSupervisor {
    type Result = ();

    fn handle(&mut self, offered: Offered, _: &mut Self::Context) {
        let node = &self.node;
        let answer = |item: &OfferItem| {
            let busy = node.seats.peek(&item.actor, |place| {
                (place.seat.phase()).is_some_and(|(phase, _)| *phase != Phase::Registering)
            });
            match node.refusal(item.actor.kind(), &item.version) {
                None if busy == Some(true) => Some(Refusal::Busy),
                refusal => refusal,
            }
        };
        let answer = Frame::OfferAnswer {
            batch: offered.batch,
            refusals: offered.items.iter().map(answer).collect(),
            serves: node.moves.ran(node.pool().turns()),
        };
        node.accepted.send(offered.link, answer);
    }
}

impl Handler<OfferAnswered> for MigrationSupervisor {
    type Result = ();

    fn handle(&mut self, answered: OfferAnswered, ctx: &mut Self::Context) {
        let moves = &self.node.moves;
        let Some(offered) = moves.answered(&answered.from, answered.batch) else {
            return;
        };
        moves.told(answered.serves);
        let mut refusals = answered.refusals.into_iter();
        for actor in offered.actors {
            match refusals.next() {
                Some(None) => moves.accepted(offered.batch, actor),
                Some(Some(refusal)) => moves.offer_failed(offered.batch, &actor, MoveFailure::Refused(refusal)),
                None => moves.offer_failed(offered.batch, &actor, MoveFailure::NoAnswer),
            }
        }
        self.go_on(ctx);
    }
}

impl MigrationSupervisor {
    /// Looks after the moves, again and again as long as there are any.
    fn tick(&mut self, ctx: &mut Context<Self>) {
        // Before: what comes up meanwhile says so.
        self.ticks = self.node.moves.len() > 0;
        self.look_after();
        self.go_on(ctx);
        if self.ticks {
            let clock = self.node.clock.clone();
            after(ctx, &clock, INTERVAL, Self::tick);
        }
    }

    /// Freezes what was accepted and offers what is wanted, as far as there is room.
    fn go_on(&mut self, ctx: &mut Context<Self>) {
        self.node.moves.ran(self.node.pool().turns());
        while let Some((actor, to)) = self.node.moves.begin_next() {
            self.freeze(&actor, &to);
        }
        self.begin_moves();
        if !self.paces && self.node.moves.is_held_back() {
            self.paces = true;
            let clock = self.node.clock.clone();
            after(ctx, &clock, PACE, |supervisor: &mut Self, ctx| {
                supervisor.paces = false;
                supervisor.go_on(ctx);
            });
        }
    }

    fn freeze(&self, actor: &ActorId, to: &SiloId) {
        let (frozen, is_here) = self.node.at(actor, |place| {
            let is_here = place.seat.phase().is_some();
            // What an earlier move left is over, unless messages are still on their way.
            place.seat.forget_forwarding();
            (place.seat.freeze(to.clone()), is_here)
        });
        if !frozen {
            let why = if is_here {
                MoveFailure::CalledOff
            } else {
                MoveFailure::NotHere
            };
            self.node.moves.ended(actor, Err(why));
        }
    }

    /// Offers what is wanted, as far as there may be more batches.
    fn begin_moves(&self) {
        let node = &self.node;
        let options = &node.options;
        let mut free = node.moves.free_batches(options.max_concurrent_migrations);
        for round in 0.. {
            if free == 0 {
                return;
            }
            if round == ROUNDS {
                return node.moves.changed.notify_one();
            }
            let due = node.moves.take_due(options.migration_batch);
            if due.is_empty() {
                return;
            }
            for (to, actors) in self.by_target(due) {
                let (mut items, mut offered) = (Vec::with_capacity(actors.len()), Vec::with_capacity(actors.len()));
                for actor in actors {
                    match self.item(&actor) {
                        Some(item) => {
                            items.push(item);
                            offered.push(actor);
                        }
                        None => node.moves.failed(&actor, MoveFailure::NotHere),
                    }
                }
                if !items.is_empty() {
                    let batch = node.moves.offer(&to, offered);
                    node.board().links().send(&to, Frame::Offer { batch, items });
                    free = free.saturating_sub(1);
                }
            }
        }
    }

    fn item(&self, actor: &ActorId) -> Option<OfferItem> {
        let epoch = self
            .node
            .seats
            .peek(actor, |place| place.seat.phase().map(|(_, epoch)| epoch))??;
        let version = self.node.registry.kind(actor.kind())?.version.clone();
        Some(OfferItem {
            actor: actor.clone(),
            epoch,
            version,
        })
    }

    /// Sorts moves by the silo they go to: the wanted one, or those with the newest version that may take the actors, evenly.
    fn by_target(&self, due: Vec<Due>) -> BTreeMap<SiloId, Vec<ActorId>> {
        let node = &self.node;
        let mut by_target: BTreeMap<SiloId, Vec<ActorId>> = BTreeMap::new();
        let mut anywhere: BTreeMap<(String, Option<Bound>), Vec<ActorId>> = BTreeMap::new();
        for Due { actor, to } in due {
            match to {
                Some(to) if to == node.me => node.moves.failed(&actor, MoveFailure::SameSilo),
                Some(to) => by_target.entry(to).or_default().push(actor),
                None => {
                    let bound = node.placement.read().bound(&actor);
                    let alike = anywhere.entry((actor.kind().to_owned(), bound)).or_default();
                    alike.push(actor);
                }
            }
        }
        for ((kind, bound), actors) in anywhere {
            let targets = node.targets(&kind, bound.as_ref());
            if targets.is_empty() {
                (actors.iter()).for_each(|actor| node.moves.failed(actor, MoveFailure::NoTarget));
            }
            for (actor, to) in spread(actors, &targets) {
                by_target.entry(to).or_default().push(actor);
            }
        }
        by_target
    }

    /// Sees to it that no move stands still.
    fn look_after(&self) {
        let node = &self.node;
        for offered in node.moves.overdue_offers(OFFER_TIMEOUT, |silo| node.is_gone(silo)) {
            for actor in &offered.actors {
                node.moves.offer_failed(offered.batch, actor, MoveFailure::NoAnswer);
            }
        }
        node.moves.set_slow_aside();
        for actor in node.moves.freezing_longer_than(node.options.freeze_timeout) {
            node.at(&actor, cancel_freeze);
        }
        for actor in node.moves.frozen_longer_than(node.options.migration_timeout) {
            node.moves.blame(&actor, MoveFailure::TimedOut);
            node.at(&actor, |place| place.seat.resolve());
        }
        node.moves.tell_counts();
    }

    /// Starts what has waited too long for its source's word.
    fn start_late_arrivals(&self) {
        let node = &self.node;
        if node.seats.tally().arriving == 0 {
            return;
        }
        let now = node.clock.now();
        let late = node.seats.select_busy(|actor, place| {
            let late = place
                .arriving
                .as_ref()
                .is_some_and(|arriving| now.since(arriving.since) > GO_TIMEOUT);
            let committed = matches!(place.seat.phase(), Some((Phase::Committed { .. }, _)));
            (late && committed).then(|| actor.clone())
        });
        for actor in late {
            node.at(&actor, |place| place.seat.start_without_source());
        }
    }
}

fn cancel_freeze(place: &mut Place) {
    let is_freezing = matches!(place.seat.phase(), Some((Phase::Freezing { .. }, _)));
    if let (true, Some(activation)) = (is_freezing, &place.activation) {
        activation.control(Control::CancelFreeze);
    }
}

impl Node {
    /// Calls a move off that is under way: whether it comes to an end all the same is the directory's to say.
    pub(super) fn call_off(self: &Arc<Self>, actor: &ActorId) {
        self.at(actor, |place| {
            cancel_freeze(place);
            place.seat.call_off();
        });
    }

    /// The silos with the newest version that may take actors of a kind from this one; of those that are bound to versions the silos
    /// with one of them.
    pub(super) fn targets(&self, kind: &str, bound: Option<&Bound>) -> Vec<Host> {
        let Some(own) = self.registry.kind(kind) else {
            return Vec::new();
        };
        let mut targets = self.placement.read().targets(kind, &own.version, &self.me, bound);
        let leaving = self.leaving_peers.lock();
        targets.retain(|target| !leaving.contains(target.silo()));
        if let Some(newest) = targets.first().map(|target| target.version.clone()) {
            targets.retain(|target| target.version == newest);
        }
        targets
    }
}

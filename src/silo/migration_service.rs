//! The migration supervisor: offers actors to the supervisors of other silos, answers their offers, and sees to it that no move
//! stands still. What it decides on belongs to the node, so that a restarted one goes on.

use super::{
    Node,
    moves::{MoveFailure, Wanted},
};
use crate::{
    ident::{ActorId, LinkId, SiloId},
    migration::Phase,
    placement::{Host, Side, spread},
    runtime::Control,
    wire::{Frame, OfferItem, Refusal},
};
use actix::{Actor, AsyncContext, Context, Handler, Message};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// How often moves are looked after even if nobody says that there is something to do.
const INTERVAL: Duration = Duration::from_millis(20);

/// How long an offer may stay unanswered.
const OFFER_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a target waits for `Go` before it starts without the source.
const GO_TIMEOUT: Duration = Duration::from_secs(3);

/// After how many batches that came to nothing other messages of the supervisor have their turn.
const ROUNDS: usize = 16;

/// The migration supervisor of a silo.
pub(super) struct MigrationSupervisor {
    node: Arc<Node>,
}

impl MigrationSupervisor {
    pub(super) fn new(node: Arc<Node>) -> Self {
        Self { node }
    }
}

impl Actor for MigrationSupervisor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(INTERVAL, |supervisor, _| {
            supervisor.look_after();
            supervisor.begin_moves();
        });
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
}

impl Handler<Changed> for MigrationSupervisor {
    type Result = ();

    fn handle(&mut self, _: Changed, _: &mut Self::Context) {
        self.begin_moves();
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
        let refusals = offered.items.iter().map(answer).collect();
        let batch = offered.batch;
        node.accepted.send(offered.link, Frame::OfferAnswer { batch, refusals });
    }
}

impl Handler<OfferAnswered> for MigrationSupervisor {
    type Result = ();

    fn handle(&mut self, answered: OfferAnswered, _: &mut Self::Context) {
        let Some(offered) = self.node.moves.answered(&answered.from, answered.batch) else {
            return;
        };
        let mut refusals = answered.refusals.into_iter();
        for wanted in offered.wanted {
            match refusals.next() {
                Some(None) => self.freeze(answered.batch, &offered.to, wanted),
                Some(Some(refusal)) => self.node.moves.failed(wanted, MoveFailure::Refused(refusal)),
                None => self.node.moves.failed(wanted, MoveFailure::NoAnswer),
            }
        }
        self.begin_moves();
    }
}

impl MigrationSupervisor {
    fn freeze(&self, batch: u64, to: &SiloId, wanted: Wanted) {
        let actor = wanted.actor.clone();
        // Before the freeze, whose end may come at once.
        self.node.moves.begin(batch, to.clone(), wanted);
        let (frozen, is_here) = self.node.at(&actor, |place| {
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
            self.node.moves.ended(&actor, Err(why));
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
            for (to, wanted) in self.by_target(due) {
                let items = wanted
                    .iter()
                    .filter_map(|wanted| self.item(&wanted.actor))
                    .collect::<Vec<_>>();
                if items.len() != wanted.len() {
                    // One has gone meanwhile; the others are offered without it.
                    for wanted in wanted {
                        if self.item(&wanted.actor).is_none() {
                            node.moves.failed(wanted, MoveFailure::NotHere);
                        } else {
                            self.offer(&to, vec![wanted]);
                        }
                    }
                } else {
                    self.offer(&to, wanted);
                }
                free = free.saturating_sub(1);
            }
        }
    }

    fn offer(&self, to: &SiloId, wanted: Vec<Wanted>) {
        let items = wanted.iter().filter_map(|wanted| self.item(&wanted.actor)).collect();
        let batch = self.node.moves.offer(to.clone(), wanted);
        self.node.board().links().send(to, Frame::Offer { batch, items });
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

    /// Sorts moves by the silo they go to: the wanted one, or one with the newest version that may take the actor.
    fn by_target(&self, due: Vec<Wanted>) -> BTreeMap<SiloId, Vec<Wanted>> {
        let node = &self.node;
        let mut by_target: BTreeMap<SiloId, Vec<Wanted>> = BTreeMap::new();
        let mut targets: BTreeMap<(String, Option<Side>), Vec<Host>> = BTreeMap::new();
        for wanted in due {
            let target = match &wanted.to {
                Some(to) if *to == node.me => Err(MoveFailure::SameSilo),
                Some(to) => Ok(to.clone()),
                None => {
                    let (kind, side) = (wanted.actor.kind(), node.placement.read().side(&wanted.actor));
                    let targets = targets
                        .entry((kind.to_owned(), side))
                        .or_insert_with(|| node.targets(kind, side));
                    let spread = spread([wanted.actor.clone()], targets);
                    (spread.into_iter().next()).map_or(Err(MoveFailure::NoTarget), |(_, silo)| Ok(silo))
                }
            };
            match target {
                Ok(to) => by_target.entry(to).or_default().push(wanted),
                Err(why) => node.moves.failed(wanted, why),
            }
        }
        by_target
    }

    /// Sees to it that no move stands still.
    fn look_after(&self) {
        let node = &self.node;
        for offered in node.moves.overdue_offers(OFFER_TIMEOUT, |silo| node.is_gone(silo)) {
            for wanted in offered.wanted {
                node.moves.failed(wanted, MoveFailure::NoAnswer);
            }
        }
        for actor in node.moves.slower_than(node.options.freeze_timeout) {
            node.at(&actor, |place| {
                let is_freezing = matches!(place.seat.phase(), Some((Phase::Freezing { .. }, _)));
                if let (true, Some(activation)) = (is_freezing, &place.activation) {
                    activation.control(Control::CancelFreeze);
                }
            });
        }
        for actor in node.moves.slower_than(node.options.migration_timeout) {
            node.at(&actor, |place| place.seat.resolve());
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

impl Node {
    /// The silos with the newest version that may take actors of a kind from this one; of a kind that is rolled out those on
    /// their side.
    pub(super) fn targets(&self, kind: &str, side: Option<Side>) -> Vec<Host> {
        let Some(own) = self.registry.kind(kind) else {
            return Vec::new();
        };
        let mut targets = self.placement.read().targets(kind, &own.version, &self.me, side);
        let leaving = self.leaving_peers.lock();
        targets.retain(|target| !leaving.contains(target.silo()));
        if let Some(newest) = targets.first().map(|target| target.version.clone()) {
            targets.retain(|target| target.version == newest);
        }
        targets
    }
}

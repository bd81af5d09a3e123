//! Rebalancing carried out: silos tell their loads to those that rebalance, and one that has more than its share wants some of its
//! actors to move, by the same coordinator as all other moves.

use super::{Gate, Node, queries::News};
use crate::{
    activity::{Heat, Rank},
    clock::Moment,
    ident::{ActorId, SiloId},
    migration::Phase,
    placement::{Balance, BalanceOptions, Placement, Relief, SiloLoad},
    store::SiloStatus,
};
use parking_lot::Mutex;
use std::{
    cmp::Ordering,
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

/// How often a silo tells its load to those that want to know.
pub(super) const TELL_LOAD: Duration = Duration::from_secs(1);

/// For so long a silo that wanted to know goes on to be told, if it says so no more.
const WANTED_FOR: Duration = Duration::from_secs(5);

/// The load of a silo, as it said.
#[derive(Clone, Copy, Debug)]
struct Said {
    at: Moment,
    actors: usize,
    busy: f64,
    /// Whether it wants to know the loads of others.
    wants: bool,
}

/// What a silo needs to rebalance.
pub(super) struct Balancing {
    engine: Mutex<Balance>,
    said: Mutex<BTreeMap<SiloId, Said>>,
    /// Actors that came by a move of late, and when.
    came: Mutex<HashMap<ActorId, Moment, crate::chance::Hashing>>,
    /// When the last relief's moves were seen to have ended, or the cluster changed.
    settled: Mutex<Moment>,
}

impl Balancing {
    pub(super) fn new(options: BalanceOptions) -> Self {
        Self {
            engine: Mutex::new(Balance::new(options)),
            said: Mutex::default(),
            came: Mutex::default(),
            settled: Mutex::default(),
        }
    }

    /// A silo says its load, and whether it wants to know those of others.
    pub(super) fn said(&self, silo: &SiloId, actors: usize, busy: f64, wants: bool, at: Moment) {
        let busy = if busy.is_finite() { busy.clamp(0.0, 1.0) } else { 0.0 };
        let said = Said {
            at,
            actors,
            busy,
            wants,
        };
        self.said.lock().insert(silo.clone(), said);
    }

    /// Whether a silo has said of late that it wants to know.
    fn wants(&self, silo: &SiloId, now: Moment) -> bool {
        let wants = |said: &Said| said.wants && now.since(said.at) < WANTED_FOR;
        self.said.lock().get(silo).is_some_and(wants)
    }

    /// An actor came by a move: it stays for a while.
    pub(super) fn came(&self, actor: &ActorId, now: Moment) {
        self.came.lock().insert(actor.clone(), now);
    }

    /// The cluster has changed: loads said before tell nothing.
    pub(super) fn unsettle(&self, now: Moment) {
        *self.settled.lock() = now;
    }

    fn forget(&self, now: Moment, cooldown: Duration) {
        self.came.lock().retain(|_, at| now.since(*at) < cooldown);
    }
}

impl Node {
    /// Tells the silos that rebalance how much there is to do here; all of them, if this one does.
    pub(super) fn tell_load(&self) {
        let (wants, now) = (self.options.rebalance.is_some(), self.clock.now());
        let others: Vec<_> = (self.view.read().active())
            .filter(|row| row.silo != self.me && (wants || self.balancing.wants(&row.silo, now)))
            .map(|row| row.silo.clone())
            .collect();
        if others.is_empty() {
            return;
        }
        let (actors, busy) = self.own_load();
        let actors = u64::try_from(actors).unwrap_or(u64::MAX);
        for silo in others {
            self.notify(&silo, News::Load { actors, busy, wants });
        }
    }

    /// The actors that are here to stay, and how busy the workers are.
    fn own_load(&self) -> (usize, f64) {
        let loads = self.pool().loads();
        let busy: u32 = loads.iter().map(|load| load.busy_permille).sum();
        let busy = f64::from(busy) / 1000.0 / loads.len().max(1) as f64;
        let actors = self.seats.tally().activations.saturating_sub(self.moves.len());
        (actors, busy)
    }

    /// Compares the loads and wants some actors to move if this silo has too much. Once an interval.
    pub(super) fn rebalance(self: &Arc<Self>) {
        let now = self.clock.now();
        let balancing = &self.balancing;
        let options = *balancing.engine.lock().options();
        balancing.forget(now, options.cooldown);
        if self.gate() != Gate::Open || !self.may_serve() || self.end.is_wished() {
            return;
        }
        if self.moves.len() > 0 {
            return balancing.unsettle(now);
        }
        let Some((own, others)) = self.loads(now, options.interval) else {
            return;
        };
        let relief = balancing.engine.lock().compare(now, &own, &others);
        match relief {
            Some(Relief::Cold(parts)) => {
                let mut ranks = self.ranks(now);
                ranks.retain(|rank| rank.heat == Heat::Cold);
                for (to, part) in parts {
                    self.give(&mut ranks, &to, part);
                }
            }
            Some(Relief::Hot { to, part }) => {
                let mut ranks = self.ranks(now);
                ranks.retain(|rank| rank.heat == Heat::Hot);
                let part = (ranks.len() as f64 * part).floor() as usize;
                self.give(&mut ranks, &to, part.min(options.max_moves));
            }
            None => return,
        }
        balancing.unsettle(now);
    }

    /// The loads, if all of the cluster is Active, has settled, and has said its load since.
    fn loads(&self, now: Moment, interval: Duration) -> Option<(SiloLoad, Vec<SiloLoad>)> {
        // Before the view is looked at: seats are locked before it.
        let (actors, busy) = self.own_load();
        let since = *self.balancing.settled.lock();
        let said = self.balancing.said.lock();
        let view = self.view.read();
        let mut own = None;
        let mut others = Vec::new();
        for row in view.living() {
            if row.status != SiloStatus::Active {
                // Who joins or leaves changes all shares, and a drain moves what it has by itself.
                return None;
            }
            let load = |actors, busy| SiloLoad {
                silo: row.silo.clone(),
                capacity: Placement::capacity(row),
                actors,
                busy,
            };
            if row.silo == self.me {
                own = Some(load(actors, busy));
            } else {
                let said = said.get(&row.silo)?;
                let is_fresh = said.at > since && now.since(said.at) < interval.max(TELL_LOAD) * 3;
                if !is_fresh {
                    return None;
                }
                others.push(load(said.actors, said.busy));
            }
        }
        Some((own?, others))
    }

    /// The actors that may be given away, the coldest first.
    fn ranks(&self, now: Moment) -> Vec<Rank> {
        let came = self.balancing.came.lock().clone();
        let policy = &self.options.hot_policy;
        let mut ranks = self.seats.select(|actor, place| {
            let is_active = matches!(place.seat.phase(), Some((Phase::Active, _)));
            let activation = place.activation.as_ref().filter(|_| is_active)?;
            let stays = came.contains_key(actor) || !activation.kind().is_movable();
            let rank = || Rank::new(policy, actor.clone(), Heat::Cold, &activation.activity(), now);
            (!stays).then(rank)
        });
        ranks.sort_unstable();
        ranks
    }

    /// Wants `part` of the actors to move to a silo, of those that it hosts in the same version: another one is a rollout's to
    /// choose. Those first that placement would put there.
    fn give(self: &Arc<Self>, ranks: &mut Vec<Rank>, to: &SiloId, part: usize) {
        let mut hosted: BTreeMap<String, bool> = BTreeMap::new();
        let mut hosts = |kind: &str| {
            if let Some(known) = hosted.get(kind) {
                return *known;
            }
            let own = self.registry.kind(kind).map(|kind| kind.version.clone());
            let same = self.targets(kind, None).into_iter().any(|host| {
                let is_same = |own: &semver::Version| host.version.cmp_precedence(own) == Ordering::Equal;
                host.silo() == to && own.as_ref().is_some_and(is_same)
            });
            hosted.insert(kind.to_owned(), same);
            same
        };
        let mut chosen = Vec::new();
        for at_home in [true, false] {
            ranks.retain(|rank| {
                let wanted = chosen.len() < part
                    && hosts(rank.actor.kind())
                    && (!at_home || self.place(&rank.actor).is_ok_and(|silo| silo == *to));
                if wanted {
                    chosen.push(rank.actor.clone());
                }
                !wanted
            });
        }
        tracing::info!(silo = %self.me, %to, actors = chosen.len(), "actors move: this silo has more than its share");
        for actor in chosen {
            // Nobody else moves it: no move was wanted a moment ago, and what is wanted since comes first.
            let _moves_already = self.moves.want(actor, Some(to.clone()), None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_rebalances_is_told_loads_for_as_long_as_it_says_so() {
        let balancing = Balancing::new(BalanceOptions::default());
        let (one, other) = (SiloId::new("one", 1), SiloId::new("other", 1));
        let at = Moment(1);
        balancing.said(&one, 3, 0.5, true, at);
        balancing.said(&other, 3, 0.5, false, at);
        assert!(balancing.wants(&one, at + TELL_LOAD));
        assert!(!balancing.wants(&one, at + WANTED_FOR));
        assert!(!balancing.wants(&other, at));
        assert!(!balancing.wants(&SiloId::new("a third", 1), at));
    }
}

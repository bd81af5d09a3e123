//! The right to serve, on this silo's own clock.

use super::MembershipConfig;
use crate::{clock::Moment, ident::SiloId};
use std::collections::BTreeMap;

/// The lease of this silo.
#[derive(Debug, Default)]
pub(super) struct Lease {
    standing: Standing,
    /// When the newest heartbeat that succeeded was sent.
    heartbeat: Option<Moment>,
    /// Open rounds of questions to peers, by when they were asked.
    rounds: BTreeMap<u64, Moment>,
    last_round: u64,
    /// When the newest question was asked that a peer confirmed.
    confirmed: BTreeMap<SiloId, Moment>,
}

/// Where the lease stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Standing {
    /// There is none: not yet, or it has run out. The next heartbeat that succeeds leads to [`Standing::Renewing`].
    #[default]
    Vacant,
    /// Only a change of the own row is missing.
    Renewing,
    /// Given, if the last heartbeat is still young enough.
    Given,
    Held {
        until: Moment,
    },
    /// The incarnation has ended.
    Over,
}

/// What became of the lease.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Held { until: Moment },
    Lost,
}

impl Lease {
    /// A heartbeat that was sent at `sent` was written.
    pub(super) fn heartbeat_written(&mut self, sent: Moment) {
        self.heartbeat = self.heartbeat.max(Some(sent));
        if self.standing == Standing::Vacant {
            self.standing = Standing::Renewing;
        }
    }

    /// Whether a change of the own row is all that is missing.
    pub(super) fn wants_renewal(&self) -> bool {
        self.standing == Standing::Renewing
    }

    /// The own row was changed by a write that began while [`Lease::wants_renewal`].
    pub(super) fn renewed(&mut self) {
        if self.standing == Standing::Renewing {
            self.standing = Standing::Given;
        }
    }

    /// Begins a round of questions to the peers.
    pub(super) fn ask(&mut self, now: Moment, config: &MembershipConfig) -> u64 {
        self.rounds.retain(|_, asked| now.since(*asked) < config.lease);
        self.confirmed.retain(|_, asked| now.since(*asked) < config.lease);
        self.last_round += 1;
        self.rounds.insert(self.last_round, now);
        self.last_round
    }

    /// When the newest round of questions began.
    pub(super) fn last_asked(&self) -> Option<Moment> {
        self.rounds.values().next_back().copied()
    }

    /// A peer cannot reach the store either.
    pub(super) fn confirmed(&mut self, peer: SiloId, round: u64) {
        if let Some(asked) = self.rounds.get(&round) {
            let newest = self.confirmed.entry(peer).or_insert(*asked);
            *newest = (*newest).max(*asked);
        }
    }

    /// Since when no heartbeat succeeded.
    pub(super) fn last_heartbeat(&self) -> Option<Moment> {
        self.heartbeat
    }

    /// Brings the lease up to date; to be called before anything is noted that may extend it, since what comes after the
    /// end is too late: the peers' counts and promises go by an unbroken lease. `others` are all silos that could declare a death, `None` if they are not all known.
    pub(super) fn turn<'a>(
        &mut self,
        config: &MembershipConfig,
        now: Moment,
        others: Option<impl Iterator<Item = &'a SiloId>>,
    ) -> Option<Turn> {
        let by_heartbeat = self.heartbeat.map(|sent| sent + config.lease);
        let by_peers = others
            .and_then(|others| self.oldest_confirmation(others))
            .map(|asked| asked + config.lease);
        match self.standing {
            Standing::Given => {
                let until = by_heartbeat.filter(|until| now < *until);
                self.standing = until.map_or(Standing::Vacant, |until| Standing::Held { until });
                until.map(|until| Turn::Held { until })
            }
            Standing::Held { until: old } => {
                let until = by_heartbeat.max(by_peers).filter(|until| now < *until);
                match until {
                    Some(until) if until == old => None,
                    Some(until) => {
                        self.standing = Standing::Held { until };
                        Some(Turn::Held { until })
                    }
                    None => {
                        self.standing = Standing::Vacant;
                        Some(Turn::Lost)
                    }
                }
            }
            Standing::Vacant | Standing::Renewing | Standing::Over => None,
        }
    }

    /// When the last of `others` that confirmed was asked; `None` if one of them has not, or there are none.
    fn oldest_confirmation<'a>(&self, others: impl Iterator<Item = &'a SiloId>) -> Option<Moment> {
        let mut oldest: Option<Moment> = None;
        for other in others {
            let asked = *self.confirmed.get(other)?;
            oldest = Some(oldest.map_or(asked, |oldest| oldest.min(asked)));
        }
        oldest
    }

    /// Ends the lease for good; whether it was held.
    pub(super) fn end(&mut self) -> bool {
        let held = matches!(self.standing, Standing::Held { .. });
        self.standing = Standing::Over;
        held
    }

    /// Until when the silo may serve.
    pub(super) fn until(&self) -> Option<Moment> {
        match self.standing {
            Standing::Held { until } => Some(until),
            _ => None,
        }
    }
}

//! What an observer holds of its peers' heartbeats.

use super::{MembershipConfig, View};
use crate::{
    clock::Moment,
    ident::SiloId,
    store::{MemberRow, SiloStatus},
};
use std::collections::BTreeMap;

/// What is held of one peer.
#[derive(Debug)]
struct Watch {
    heartbeat: u64,
    /// When `heartbeat` was first seen in reads that went on without interruption since; `None` after an interruption.
    since: Option<Moment>,
    /// Set by an answered probe: no new one before then.
    trusted_until: Option<Moment>,
    stage: Stage,
}

#[derive(Debug, PartialEq, Eq)]
enum Stage {
    /// Nothing is held against it.
    Trusted,
    /// A direct probe is on its way.
    Probed { until: Moment },
    /// A second opinion is.
    Asked { until: Moment },
    /// Neither helped: dead if this read, or a later one, still shows the same heartbeat.
    Convicted { read: u64 },
    /// To be declared Dead.
    Condemned,
}

/// What is to be done about a peer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Doubt {
    /// Probe it.
    Probe(SiloId),
    /// Ask another peer about it.
    Ask { peer: SiloId, about: SiloId },
    /// Read the table once more.
    Read,
}

/// The peers of one observer.
#[derive(Debug, Default)]
pub(super) struct Watches {
    peers: BTreeMap<SiloId, Watch>,
    /// When the last good read was sent.
    last_read: Option<Moment>,
}

impl Watches {
    /// Forgets all silence: the reads were interrupted, or a peer was promised so.
    pub(super) fn interrupt(&mut self) {
        self.last_read = None;
        for watch in self.peers.values_mut() {
            watch.since = None;
            watch.stage = Stage::Trusted;
            watch.trusted_until = None;
        }
    }

    /// A table was seen that proves life, if a heartbeat changed, but no silence.
    pub(super) fn table_seen(&mut self, now: Moment, me: &SiloId, rows: &[MemberRow]) {
        self.peers.retain(|silo, _| {
            rows.iter()
                .any(|row| row.silo == *silo && row.status != SiloStatus::Dead)
        });
        for row in rows {
            if row.silo == *me || row.status == SiloStatus::Dead {
                continue;
            }
            let changed = self
                .peers
                .get(&row.silo)
                .is_none_or(|watch| watch.heartbeat != row.heartbeat);
            if changed {
                let watch = Watch {
                    heartbeat: row.heartbeat,
                    since: Some(now),
                    trusted_until: None,
                    stage: Stage::Trusted,
                };
                self.peers.insert(row.silo.clone(), watch);
            }
        }
    }

    /// A read that was sent at `sent` was answered now. Answers what is to be done about those that are silent.
    pub(super) fn table_read(
        &mut self,
        config: &MembershipConfig,
        (read, sent): (u64, Moment),
        now: Moment,
        me: &SiloId,
        rows: &[MemberRow],
    ) -> Vec<Doubt> {
        // An observer that was itself stopped has not watched anybody.
        let longest_gap = config.read_interval * 2 + config.store_timeout;
        if self.last_read.is_some_and(|last| sent.since(last) > longest_gap) {
            self.interrupt();
        }
        self.last_read = Some(sent);
        self.table_seen(now, me, rows);
        let mut doubts = Vec::new();
        for (silo, watch) in &mut self.peers {
            let silence = sent.since(*watch.since.get_or_insert(now));
            match watch.stage {
                Stage::Trusted if silence < config.failure_timeout => {}
                Stage::Trusted if watch.trusted_until.is_some() && silence >= config.mute_timeout => {
                    watch.stage = Stage::Condemned;
                }
                Stage::Trusted if watch.trusted_until.is_none_or(|until| until <= now) => {
                    let until = now + config.probe_timeout;
                    watch.stage = Stage::Probed { until };
                    doubts.push(Doubt::Probe(silo.clone()));
                }
                Stage::Convicted { read: after } if read >= after => watch.stage = Stage::Condemned,
                _ => {}
            }
        }
        doubts
    }

    /// The peer answered somebody.
    pub(super) fn answered(&mut self, config: &MembershipConfig, now: Moment, silo: &SiloId) {
        if let Some(watch) = self.peers.get_mut(silo)
            && watch.stage != Stage::Trusted
        {
            watch.stage = Stage::Trusted;
            watch.trusted_until = Some(now + config.failure_timeout);
        }
    }

    /// The direct probe failed.
    pub(super) fn probe_failed(
        &mut self,
        config: &MembershipConfig,
        now: Moment,
        silo: &SiloId,
        view: &View,
        next_read: u64,
    ) -> Option<Doubt> {
        let peer = self.second(silo, view);
        let watch = self.peers.get_mut(silo)?;
        if !matches!(watch.stage, Stage::Probed { .. }) {
            return None;
        }
        Some(match peer {
            Some(peer) => {
                let until = now + config.probe_timeout * 2;
                watch.stage = Stage::Asked { until };
                Doubt::Ask {
                    peer,
                    about: silo.clone(),
                }
            }
            None => {
                watch.stage = Stage::Convicted { read: next_read };
                Doubt::Read
            }
        })
    }

    /// The second opinion was "not there", or there was none.
    pub(super) fn opinion_failed(&mut self, silo: &SiloId, next_read: u64) -> Option<Doubt> {
        let watch = self.peers.get_mut(silo)?;
        if !matches!(watch.stage, Stage::Asked { .. }) {
            return None;
        }
        watch.stage = Stage::Convicted { read: next_read };
        Some(Doubt::Read)
    }

    /// Those whose time to answer is over.
    pub(super) fn overdue(
        &mut self,
        config: &MembershipConfig,
        now: Moment,
        view: &View,
        next_read: u64,
    ) -> Vec<Doubt> {
        let late = |watch: &Watch| match watch.stage {
            Stage::Probed { until } | Stage::Asked { until } => until <= now,
            _ => false,
        };
        let silos: Vec<_> = self
            .peers
            .iter()
            .filter(|(_, w)| late(w))
            .map(|(silo, _)| silo.clone())
            .collect();
        let failed = |silo: &SiloId| {
            // Whichever of the two it waits for; the other does nothing.
            let opinion = self.opinion_failed(silo, next_read);
            opinion.or_else(|| self.probe_failed(config, now, silo, view, next_read))
        };
        silos.iter().filter_map(failed).collect()
    }

    /// The peer to ask about `silo`: the next Active one after it, in a circle, that is not in doubt itself.
    fn second(&self, silo: &SiloId, view: &View) -> Option<SiloId> {
        let able = |row: &&MemberRow| {
            row.silo != *silo
                && self
                    .peers
                    .get(&row.silo)
                    .is_some_and(|watch| watch.stage == Stage::Trusted)
        };
        let mut able = view.active().filter(able).map(|row| &row.silo).peekable();
        let first = able.peek().copied();
        able.find(|peer| *peer > silo).or(first).cloned()
    }

    /// Those to be declared Dead.
    pub(super) fn condemned(&self) -> impl Iterator<Item = &SiloId> {
        self.peers
            .iter()
            .filter(|(_, watch)| watch.stage == Stage::Condemned)
            .map(|(silo, _)| silo)
    }

    /// When a time to answer ends next.
    pub(super) fn next_deadline(&self) -> Option<Moment> {
        let until = |watch: &Watch| match watch.stage {
            Stage::Probed { until } | Stage::Asked { until } => Some(until),
            _ => None,
        };
        self.peers.values().filter_map(until).min()
    }

    /// When a read would find the next silence long enough, if it goes on.
    pub(super) fn next_silence(&self, config: &MembershipConfig) -> Option<Moment> {
        let silent = |watch: &Watch| match (&watch.stage, watch.trusted_until) {
            (Stage::Trusted, None) => watch.since.map(|since| since + config.failure_timeout),
            (Stage::Trusted, until) => until,
            _ => None,
        };
        self.peers.values().filter_map(silent).min()
    }
}

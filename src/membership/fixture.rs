//! For the tests of this room: a table in memory, and an engine whose store answers at once.

use super::{Command, Event, Membership, MembershipConfig, View};
use crate::{
    clock::Moment,
    ident::SiloId,
    store::{Change, KindManifest, Manifest, MemberRow, MembershipTable, SiloStatus, StoreError},
};
use semver::Version;
use std::{collections::BTreeMap, time::Duration};

pub(super) fn silo(name: &str) -> SiloId {
    SiloId::new(name, 1)
}

pub(super) fn row(silo: SiloId, status: SiloStatus) -> MemberRow {
    let kind = KindManifest {
        messages: vec!["cart.add".into()],
        ..KindManifest::new(Version::new(1, 2, 3))
    };
    MemberRow {
        address: format!("{}:7000", silo.name()),
        status,
        heartbeat: 0,
        manifest: Manifest {
            kinds: BTreeMap::from([("cart".into(), kind)]),
            protocol_min: 1,
            protocol_max: 2,
            streams: BTreeMap::new(),
            unknown: Default::default(),
        },
        labels: BTreeMap::from([("zone".into(), silo.name().into())]),
        unknown: Default::default(),
        silo,
    }
}

pub(super) fn unavailable() -> StoreError {
    StoreError::Unavailable {
        place: "memory".into(),
        why: "cut off by the test".into(),
    }
}

pub(super) fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// The membership part of the store's contract.
#[derive(Clone, Debug, Default)]
pub(super) struct Table(pub(super) MembershipTable);

impl Table {
    pub(super) fn find(&mut self, silo: &SiloId) -> Option<&mut MemberRow> {
        self.0.rows.iter_mut().find(|row| row.silo == *silo)
    }

    pub(super) fn change(&mut self, expected: u64, change: Change) -> Result<MembershipTable, MembershipTable> {
        if self.0.view != expected {
            return Err(self.0.clone());
        }
        self.0.view += 1;
        match change {
            Change::Put(mut row) => match self.find(&row.silo) {
                Some(old) => {
                    row.heartbeat = old.heartbeat;
                    *old = row;
                }
                None => {
                    self.0.rows.push(row);
                    self.0.rows.sort_by(|a, b| a.silo.cmp(&b.silo));
                }
            },
            Change::Remove(silo) => self.0.rows.retain(|row| row.silo != silo),
        }
        Ok(self.0.clone())
    }

    pub(super) fn heartbeat(&mut self, silo: &SiloId, n: u64) -> Option<MemberRow> {
        let row = self.find(silo)?;
        row.heartbeat = n;
        Some(row.clone())
    }

    /// A change from outside the engine under test.
    pub(super) fn put(&mut self, row: MemberRow) {
        self.change(self.0.view, Change::Put(row)).expect("the view is right");
    }

    pub(super) fn status(&mut self, silo: &SiloId) -> Option<SiloStatus> {
        self.find(silo).map(|row| row.status)
    }
}

/// One engine, its time, and a store that answers in the same moment or not at all.
pub(super) struct Rig {
    pub(super) engine: Membership,
    pub(super) now: Moment,
    pub(super) table: Table,
    /// Whether the store answers reads, changes of rows, and heartbeats.
    pub(super) readable: bool,
    pub(super) writable: bool,
    pub(super) beatable: bool,
    /// Peers that heartbeat every time the engine reads.
    pub(super) lively: Vec<SiloId>,
    /// Whether extensions of the lease are worth telling.
    pub(super) tells_extensions: bool,
    /// All commands but those to the store, `WakeAt`, and extensions.
    pub(super) told: Vec<Command>,
    wake_at: Option<Moment>,
}

impl Rig {
    /// Silo `m` that has not started, and these Active peers.
    pub(super) fn new(peers: &[&str]) -> Self {
        let mut table = Table::default();
        for peer in peers {
            table.put(row(silo(peer), SiloStatus::Active));
        }
        Self {
            engine: Membership::new(MembershipConfig::default(), row(silo("m"), SiloStatus::Joining)),
            now: Moment(1_000_000_000),
            table,
            readable: true,
            writable: true,
            beatable: true,
            lively: peers.iter().map(|peer| silo(peer)).collect(),
            tells_extensions: false,
            told: Vec::new(),
            wake_at: None,
        }
    }

    /// Silo `m`, Active, with these Active and lively peers.
    pub(super) fn active(peers: &[&str]) -> Self {
        let mut rig = Self::new(peers);
        rig.on(Event::Started);
        rig.on(Event::SetStatus(SiloStatus::Active));
        assert_eq!(rig.table.status(&silo("m")), Some(SiloStatus::Active));
        rig.told.clear();
        rig
    }

    /// Gives the engine an event, and the answers of the store to what it commands, until it is quiet.
    pub(super) fn on(&mut self, event: Event) -> Vec<Command> {
        let mut told = Vec::new();
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            let held = self.engine.lease_holds(self.now);
            for command in self.engine.on(self.now, event) {
                match command {
                    Command::WakeAt(at) => {
                        assert!(at > self.now, "a wake-up in the past");
                        self.wake_at = Some(at);
                    }
                    Command::LeaseHeld { .. } if held && !self.tells_extensions => {}
                    command => match self.answer(&command) {
                        Some(answer) => events.insert(0, answer),
                        None => told.push(command),
                    },
                }
            }
        }
        self.told.extend(told.clone());
        told
    }

    fn answer(&mut self, command: &Command) -> Option<Event> {
        Some(match command.clone() {
            Command::ReadTable { read } => {
                for silo in self.lively.clone() {
                    if let Some(row) = self.table.find(&silo) {
                        row.heartbeat += 1;
                    }
                }
                let answer = if self.readable {
                    Ok(self.table.0.clone())
                } else {
                    Err(unavailable())
                };
                Event::TableRead { read, answer }
            }
            Command::WriteRow {
                write,
                expected_view,
                change,
            } => {
                let answer = if self.writable {
                    Ok(self.table.change(expected_view, change))
                } else {
                    Err(unavailable())
                };
                Event::RowWritten { write, answer }
            }
            Command::Heartbeat { n } => {
                let me = self.engine.silo().clone();
                let answer = if self.beatable {
                    Ok(self.table.heartbeat(&me, n))
                } else {
                    Err(unavailable())
                };
                Event::HeartbeatWritten { n, answer }
            }
            _ => return None,
        })
    }

    /// Lets time pass; the engine is woken when it wants to be. Answers what it told meanwhile.
    pub(super) fn pass(&mut self, time: Duration) -> Vec<Command> {
        let end = self.now + time;
        let mut told = Vec::new();
        while let Some(at) = self.wake_at.filter(|at| *at <= end) {
            self.wake_at = None;
            self.now = self.now.max(at);
            told.extend(self.on(Event::Tick));
        }
        self.now = end;
        told
    }

    /// Lets time pass until the engine tells something that `wanted` likes.
    pub(super) fn pass_until(&mut self, limit: Duration, wanted: impl Fn(&Command) -> bool) -> Vec<Command> {
        let end = self.now + limit;
        while let Some(at) = self.wake_at.filter(|at| *at <= end) {
            self.wake_at = None;
            self.now = self.now.max(at);
            let told = self.on(Event::Tick);
            if told.iter().any(&wanted) {
                return told;
            }
        }
        panic!("not told within {limit:?}; told: {:?}", self.told);
    }

    pub(super) fn store_up(&mut self, up: bool) {
        (self.readable, self.writable, self.beatable) = (up, up, up);
    }

    pub(super) fn view(&self) -> &View {
        self.engine.view()
    }
}

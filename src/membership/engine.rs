//! The membership of one silo: what it hears and concludes.

use super::{
    Command, Event, FenceReason, MembershipConfig, View,
    calls::{Call, Calls},
    lease::{Lease, Turn},
    watch::{Doubt, Watches},
};
use crate::{
    clock::Moment,
    ident::SiloId,
    store::{MemberRow, MembershipTable, SiloStatus, StoreError},
};
use std::collections::BTreeMap;

/// Decides for one silo. Pure: no I/O, no clock, no randomness.
///
/// Every call of [`Membership::on`] answers what is to be done, in order. The last command is a [`Command::WakeAt`] if
/// the moment changed. After [`Command::Fenced`] or [`Command::Left`] nothing is answered any more.
#[derive(Debug)]
pub struct Membership {
    pub(super) config: MembershipConfig,
    /// The own row as it is wanted.
    pub(super) me: MemberRow,
    pub(super) stage: Stage,
    pub(super) leaving: bool,
    pub(super) view: View,
    /// Whether the store has ever answered a table.
    pub(super) table_known: bool,
    /// Calls from this number on were sent when `view` was known.
    pub(super) view_known_from: u64,
    /// The newest view that a peer knows.
    pub(super) hinted_view: u64,
    pub(super) calls: Calls,
    /// What the last write did is not known; a read from this number on tells.
    pub(super) undecided: Option<u64>,
    pub(super) watches: Watches,
    pub(super) lease: Lease,
    /// The write under way was begun to renew the lease.
    pub(super) renewing: bool,
    /// Dead silos with a row, by when that was first seen.
    pub(super) dead_since: BTreeMap<SiloId, Moment>,
    /// Owners that somebody asks about, with the first read that can tell.
    unknown: BTreeMap<SiloId, u64>,
    pub(super) wake_at: Option<Moment>,
}

/// Where the engine stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Before [`Event::Started`].
    New,
    /// No row yet. Whether one was asked for.
    Joining { asked: bool },
    /// The row exists.
    Member,
    /// Fenced or left.
    Over,
}

impl Membership {
    /// An engine for the silo of this row. Status and heartbeat of the row are set by the engine.
    pub fn new(config: MembershipConfig, mut me: MemberRow) -> Self {
        me.status = SiloStatus::Joining;
        me.heartbeat = 0;
        Self {
            config,
            me,
            stage: Stage::New,
            leaving: false,
            view: View::empty(),
            table_known: false,
            view_known_from: 0,
            hinted_view: 0,
            calls: Calls::new(),
            undecided: None,
            watches: Watches::default(),
            lease: Lease::default(),
            renewing: false,
            dead_since: BTreeMap::new(),
            unknown: BTreeMap::new(),
            wake_at: None,
        }
    }

    /// This silo.
    pub fn silo(&self) -> &SiloId {
        &self.me.silo
    }

    /// The newest view.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// The number of the newest view that this silo knows to exist. Goes with everything it says to a peer's membership,
    /// which hears it as [`Event::PeerSaysViewChanged`].
    pub fn known_view(&self) -> u64 {
        self.view.number().max(self.hinted_view)
    }

    /// Whether the silo may serve `now`.
    pub fn lease_holds(&self, now: Moment) -> bool {
        self.lease.until().is_some_and(|until| now < until)
    }

    /// Until when the silo may serve; `None` if it may not.
    pub fn lease_until(&self) -> Option<Moment> {
        self.lease.until()
    }

    /// Whether the store seems out of reach for this silo.
    pub fn store_is_silent(&self, now: Moment) -> bool {
        self.calls.store_is_silent(now, &self.config)
    }

    /// Takes an event and answers what is to be done. `now` never goes back.
    pub fn on(&mut self, now: Moment, event: Event) -> Vec<Command> {
        let mut out = Vec::new();
        if self.stage == Stage::Over {
            return out;
        }
        // A lease that has run out is lost even if this very event would have extended it.
        self.turn_lease(now, &mut out);
        self.conclude(now, event, &mut out);
        if self.stage != Stage::Over && (self.stage != Stage::New || self.leaving) {
            self.pursue(now, &mut out);
        }
        out
    }

    fn conclude(&mut self, now: Moment, event: Event, out: &mut Vec<Command>) {
        match event {
            Event::Started => {
                if self.stage == Stage::New {
                    self.stage = Stage::Joining { asked: false };
                }
            }
            Event::Tick => {}
            Event::TableRead { read, answer } => self.table_read(now, read, answer, out),
            Event::RowWritten { write, answer } => self.row_written(now, write, answer, out),
            Event::HeartbeatWritten { n, answer } => self.heartbeat_written(now, n, answer, out),
            Event::ProbeAnswered { silo } => self.watches.answered(&self.config, now, &silo),
            Event::ProbeFailed { silo } => {
                let next = self.calls.next_id();
                let doubt = self.watches.probe_failed(&self.config, now, &silo, &self.view, next);
                self.act_on(doubt, out);
            }
            Event::OpinionGiven { about, alive, from: _ } => {
                if alive {
                    self.watches.answered(&self.config, now, &about);
                } else {
                    let doubt = self.watches.opinion_failed(&about, self.calls.next_id());
                    self.act_on(doubt, out);
                }
            }
            Event::PeerSaysViewChanged { view } => {
                if view > self.known_view() {
                    self.hinted_view = view;
                    self.calls.want_read();
                }
            }
            Event::StoreReachAsked { peer, round } => {
                let unreachable = self.store_is_silent(now);
                if unreachable {
                    self.watches.interrupt();
                }
                out.push(Command::AnswerStoreReach {
                    peer,
                    round,
                    unreachable,
                });
            }
            Event::StoreUnreachableConfirmed { peer, round } => self.lease.confirmed(peer, round),
            Event::OwnerUnknown { silo } => {
                if !self.view.knows(&silo) {
                    self.unknown.insert(silo, self.calls.next_id());
                    self.calls.want_read();
                }
            }
            Event::SetStatus(status) => {
                // `Joining` is where every silo begins, `Dead` is the peers' word.
                if matches!(status, SiloStatus::Active | SiloStatus::ShuttingDown) {
                    self.me.status = status;
                }
            }
            Event::Leave => {
                self.leaving = true;
                // Once the row is gone others may take what this silo had.
                if self.lease.end() {
                    out.push(Command::LeaseLost);
                }
            }
        }
    }

    pub(super) fn act_on(&mut self, doubts: impl IntoIterator<Item = Doubt>, out: &mut Vec<Command>) {
        let address = |silo: &SiloId| self.view.get(silo).map(|row| row.address.clone());
        for doubt in doubts {
            match doubt {
                Doubt::Probe(silo) => {
                    if let Some(address) = address(&silo) {
                        out.push(Command::Probe { silo, address });
                    }
                }
                Doubt::Ask { peer, about } => {
                    if let Some(address) = address(&peer) {
                        out.push(Command::AskSecondOpinion { peer, address, about });
                    }
                }
                Doubt::Read => self.calls.want_read(),
            }
        }
    }

    fn table_read(
        &mut self,
        now: Moment,
        read: u64,
        answer: Result<MembershipTable, StoreError>,
        out: &mut Vec<Command>,
    ) {
        let call = self.calls.end_read(read);
        match (call, answer) {
            (Some(call), Ok(table)) => {
                self.calls.read_succeeded(now);
                let sent = (call.id, call.sent);
                let doubts = self
                    .watches
                    .table_read(&self.config, sent, now, &self.me.silo, &table.rows);
                self.adopt(now, Some(call), table, out);
                self.act_on(doubts, out);
            }
            (Some(_), Err(_)) => self.read_failed(),
            (None, Ok(table)) => self.adopt(now, None, table, out),
            (None, Err(_)) => {}
        }
    }

    pub(super) fn read_failed(&mut self) {
        self.calls.read_failed();
        self.watches.interrupt();
    }

    fn row_written(
        &mut self,
        now: Moment,
        write: u64,
        answer: Result<Result<MembershipTable, MembershipTable>, StoreError>,
        out: &mut Vec<Command>,
    ) {
        let call = self.calls.end_write(write);
        let took = matches!(answer, Ok(Ok(_)));
        let (Ok(Ok(table)) | Ok(Err(table))) = answer else {
            if call.is_some() {
                self.write_failed(now);
            }
            return;
        };
        if took {
            out.push(Command::PushView { view: table.view });
        }
        if call.is_some() {
            self.calls.succeeded(now);
            if took && self.renewing {
                self.lease.renewed();
            }
            self.renewing = false;
        }
        self.watches.table_seen(now, &self.me.silo, &table.rows);
        self.adopt(now, call, table, out);
    }

    pub(super) fn write_failed(&mut self, now: Moment) {
        self.calls.write_failed(now, &self.config);
        self.undecided = Some(self.calls.next_id());
        self.renewing = false;
    }

    fn heartbeat_written(
        &mut self,
        now: Moment,
        n: u64,
        answer: Result<Option<MemberRow>, StoreError>,
        out: &mut Vec<Command>,
    ) {
        let sent = self.calls.end_heartbeat(n);
        match answer {
            Ok(Some(row)) if row.status == SiloStatus::Dead => {
                self.calls.succeeded(now);
                self.end(Command::Fenced(FenceReason::DeclaredDead), out);
            }
            Ok(Some(_)) => {
                self.calls.succeeded(now);
                if let Some(sent) = sent {
                    self.lease.heartbeat_written(sent);
                }
            }
            // Removed, or lost by the store: the table tells.
            Ok(None) => {
                self.calls.succeeded(now);
                self.calls.want_read();
            }
            Err(_) => self.calls.failed(),
        }
    }

    /// Takes a table that the store answered; `call` is what it answered, unless that was given up.
    fn adopt(&mut self, now: Moment, call: Option<Call>, table: MembershipTable, out: &mut Vec<Command>) {
        let known = self.view.number();
        let is_newest = call.is_some_and(|call| call.id >= self.view_known_from);
        let went_back = table.view < known;
        #[cfg(feature = "testkit")]
        let is_newest = is_newest || crate::faults::is_broken("trust a stale view");
        if went_back && !is_newest {
            return;
        }
        self.table_known = true;
        if let (Some(call), Some(first)) = (call, self.undecided)
            && call.id >= first
        {
            self.undecided = None;
        }
        if went_back {
            out.push(Command::StoreWentBack {
                known,
                found: table.view,
            });
            self.hinted_view = table.view;
        }
        if !self.view.agrees_with(&table) {
            let old = self.view.clone();
            self.view = old.followed_by(table, went_back);
            self.see_renewal(&old);
            self.view_known_from = self.calls.next_id();
            out.push(Command::ViewChanged(self.view.clone()));
            self.tell_departures(&old, out);
            self.note_dead(now);
        }
        if let Some(call) = call {
            self.answer_unknown(call, out);
        }
        self.find_myself(went_back, out);
    }

    /// The table shows what this silo's write under way was to bring, so it was done, whatever keeps its answer. Others see that the
    /// silo is active, too, and send to it: it has to have its lease.
    fn see_renewal(&mut self, old: &View) {
        let me = &self.me;
        let is_wanted = |view: &View| view.status(&me.silo) == Some(me.status);
        if self.renewing && !is_wanted(old) && is_wanted(&self.view) {
            self.lease.renewed();
        }
    }

    fn tell_departures(&self, old: &View, out: &mut Vec<Command>) {
        for row in self.view.rows() {
            if row.status == SiloStatus::Dead && !old.remembers(&row.silo) && row.silo != self.me.silo {
                out.push(Command::SiloDied(row.silo.clone()));
            }
        }
        for row in old.living() {
            let left = self.view.get(&row.silo).is_none() && self.view.remembers(&row.silo);
            if left && !old.remembers(&row.silo) && row.silo != self.me.silo {
                out.push(Command::SiloLeft(row.silo.clone()));
            }
        }
    }

    fn note_dead(&mut self, now: Moment) {
        let dead = self.view.rows().filter(|row| row.status == SiloStatus::Dead);
        self.dead_since = dead
            .map(|row| {
                let since = self.dead_since.get(&row.silo).copied().unwrap_or(now);
                (row.silo.clone(), since)
            })
            .collect();
    }

    fn answer_unknown(&mut self, call: Call, out: &mut Vec<Command>) {
        let told: Vec<_> = self
            .unknown
            .iter()
            .filter(|(_, first)| call.id >= **first)
            .map(|(s, _)| s.clone())
            .collect();
        for silo in told {
            self.unknown.remove(&silo);
            if !self.view.knows(&silo) {
                self.view = self.view.without(silo);
                out.push(Command::ViewChanged(self.view.clone()));
            }
        }
    }

    /// What the view says of this silo.
    fn find_myself(&mut self, went_back: bool, out: &mut Vec<Command>) {
        if let Some(by) = self.view.successor(&self.me.silo) {
            let by = by.clone();
            return self.end(Command::Fenced(FenceReason::Succeeded { by }), out);
        }
        match (self.view.status(&self.me.silo), self.stage) {
            (Some(SiloStatus::Dead), _) => self.end(Command::Fenced(FenceReason::DeclaredDead), out),
            (Some(_), Stage::Joining { asked: true }) => self.stage = Stage::Member,
            (Some(_), Stage::Joining { asked: false }) => self.end(Command::Fenced(FenceReason::Taken), out),
            (None, Stage::Member) if self.leaving => self.end(Command::Left, out),
            (None, Stage::Member) if went_back => {}
            (None, Stage::Member) if !self.view.is_gone(&self.me.silo) => {}
            (None, Stage::Member) => self.end(Command::Fenced(FenceReason::RowRemoved), out),
            _ => {}
        }
    }

    pub(super) fn end(&mut self, how: Command, out: &mut Vec<Command>) {
        if self.lease.end() {
            out.push(Command::LeaseLost);
        }
        out.push(how);
        self.stage = Stage::Over;
    }

    pub(super) fn turn_lease(&mut self, now: Moment, out: &mut Vec<Command>) {
        // Who knows a newer view has reached the store, and may know silos that this view does not.
        let all_known = self.hinted_view <= self.view.number();
        let me = &self.me.silo;
        let others = self.view.living().map(|row| &row.silo).filter(|silo| *silo != me);
        match self.lease.turn(&self.config, now, all_known.then_some(others)) {
            Some(Turn::Held { until }) => out.push(Command::LeaseHeld { until }),
            Some(Turn::Lost) => out.push(Command::LeaseLost),
            None => {}
        }
    }
}

//! The membership of one silo: what it does about what it knows.

use super::{Command, Membership, engine::Stage};
use crate::{
    clock::Moment,
    store::{Change, MemberRow, SiloStatus},
};

impl Membership {
    /// Does all that is due.
    pub(super) fn pursue(&mut self, now: Moment, out: &mut Vec<Command>) {
        self.give_up_late_calls(now);
        let late = self
            .watches
            .overdue(&self.config, now, &self.view, self.calls.next_id());
        self.act_on(late, out);
        self.turn_lease(now, out);
        self.leave_without_a_row(out);
        if self.stage == Stage::Over {
            return;
        }
        self.write(now, out);
        if self.stage == Stage::Member && self.calls.heartbeat_due(&self.config) <= now {
            let n = self.calls.begin_heartbeat(now);
            out.push(Command::Heartbeat { n });
        }
        self.ask_peers_about_the_store(now, out);
        if self.read_due().is_some_and(|due| due <= now) {
            let read = self.calls.begin_read(now);
            out.push(Command::ReadTable { read });
        }
        self.wake(now, out);
    }

    fn give_up_late_calls(&mut self, now: Moment) {
        let timeout = self.config.store_timeout;
        if self
            .calls
            .read
            .take_if(|call| now.since(call.sent) >= timeout)
            .is_some()
        {
            self.read_failed();
        }
        if self
            .calls
            .write
            .take_if(|call| now.since(call.sent) >= timeout)
            .is_some()
        {
            self.write_failed(now);
        }
        if self.calls.forget_heartbeats(now, &self.config) {
            self.calls.failed();
        }
    }

    /// A silo that has no row, and none under way, has none to remove.
    fn leave_without_a_row(&mut self, out: &mut Vec<Command>) {
        let has_none = match self.stage {
            Stage::New | Stage::Joining { asked: false } => true,
            Stage::Joining { asked: true } => self.calls.write.is_none() && self.undecided.is_none(),
            Stage::Member | Stage::Over => false,
        };
        if self.leaving && has_none {
            self.end(Command::Left, out);
        }
    }

    fn write(&mut self, now: Moment, out: &mut Vec<Command>) {
        if !self.table_known || self.undecided.is_some() || self.calls.write_due().is_none_or(|due| now < due) {
            return;
        }
        let Some(change) = self.next_change(now) else {
            return;
        };
        if matches!(&change, Change::Put(row) if row.silo == self.me.silo) {
            self.renewing = self.lease.wants_renewal();
            if self.stage == (Stage::Joining { asked: false }) {
                self.stage = Stage::Joining { asked: true };
            }
        }
        let write = self.calls.begin_write(now);
        out.push(Command::WriteRow {
            write,
            expected_view: self.view.number(),
            change,
        });
    }

    /// The change of the table that matters most.
    fn next_change(&self, now: Moment) -> Option<Change> {
        self.change_of_own_row()
            .or_else(|| self.death())
            .or_else(|| self.burial(now))
    }

    fn change_of_own_row(&self) -> Option<Change> {
        let mine = self.view.get(&self.me.silo);
        if self.leaving {
            return mine.map(|_| Change::Remove(self.me.silo.clone()));
        }
        let predecessor = self
            .view
            .living()
            .find(|row| row.silo.name() == self.me.silo.name() && row.silo.incarnation() < self.me.silo.incarnation());
        if let Some(row) = predecessor {
            return Some(dead(row));
        }
        let Some(mine) = mine else {
            let status = SiloStatus::Joining;
            return Some(Change::Put(MemberRow {
                status,
                heartbeat: self.calls.last_n(),
                ..self.me.clone()
            }));
        };
        // Nobody is sent here before the silo may serve, which it may with the answer of a renewal.
        let may = self.me.status != SiloStatus::Active || self.lease.until().is_some();
        if (mine.status != self.me.status && may) || self.lease.wants_renewal() {
            return Some(Change::Put(MemberRow {
                status: self.me.status,
                ..mine.clone()
            }));
        }
        None
    }

    /// A silo that cannot prove its own life declares nobody else's death.
    fn death(&self) -> Option<Change> {
        self.lease.until()?;
        let revived = self.view.living().find(|row| self.view.is_gone(&row.silo));
        let condemned = || self.watches.condemned().find_map(|silo| self.view.get(silo));
        revived.or_else(condemned).map(dead)
    }

    /// The first Active silo removes the rows of those that have been Dead for long.
    fn burial(&self, now: Moment) -> Option<Change> {
        let long = |since: &Moment| now.since(*since) >= self.config.dead_retention;
        let (silo, _) = self.dead_since.iter().find(|(_, since)| long(since))?;
        self.buries().then(|| Change::Remove(silo.clone()))
    }

    fn buries(&self) -> bool {
        self.view.active().next().is_some_and(|row| row.silo == self.me.silo)
    }

    fn ask_peers_about_the_store(&mut self, now: Moment, out: &mut Vec<Command>) {
        if self.asking_due().is_none_or(|due| now < due) {
            return;
        }
        let round = self.lease.ask(now, &self.config);
        for row in self.view.living().filter(|row| row.silo != self.me.silo) {
            out.push(Command::AskStoreReach {
                peer: row.silo.clone(),
                address: row.address.clone(),
                round,
            });
        }
    }

    /// When the peers are to be asked next: first a heartbeat and a half after the last success, then twice a heartbeat, so
    /// that a peer that notices the outage a little later still confirms within the lease.
    fn asking_due(&self) -> Option<Moment> {
        self.lease.until()?;
        self.view.living().find(|row| row.silo != self.me.silo)?;
        let first = self.lease.last_heartbeat()? + self.config.heartbeat_interval * 3 / 2;
        let next = self
            .lease
            .last_asked()
            .map(|last| last + self.config.heartbeat_interval / 2);
        Some(next.map_or(first, |next| next.max(first)))
    }

    fn read_due(&self) -> Option<Moment> {
        self.calls
            .read_due(&self.config, self.watches.next_silence(&self.config))
    }

    fn wake(&mut self, now: Moment, out: &mut Vec<Command>) {
        let heartbeat = (self.stage == Stage::Member).then(|| self.calls.heartbeat_due(&self.config));
        let burial = self.dead_since.values().min().filter(|_| self.buries());
        let wake_at = [
            self.read_due(),
            heartbeat,
            self.calls.write_due(),
            self.asking_due(),
            self.lease.until(),
            self.calls.next_timeout(&self.config),
            self.watches.next_deadline(),
            burial.map(|since| *since + self.config.dead_retention),
        ]
        .into_iter()
        .flatten()
        // What is due already waits for an answer, and so for a time-out that is in the list too.
        .filter(|at| *at > now)
        .min();
        if wake_at != self.wake_at
            && let Some(at) = wake_at
        {
            out.push(Command::WakeAt(at));
        }
        self.wake_at = wake_at;
    }
}

fn dead(row: &MemberRow) -> Change {
    Change::Put(MemberRow {
        status: SiloStatus::Dead,
        ..row.clone()
    })
}

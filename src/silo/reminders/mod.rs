//! Reminders at one silo: carries out what the engine wants, delivers ticks as ordinary messages of this silo, and writes what actors set.

mod delivery;
mod face;
mod intake;
mod service;

pub use face::ReminderStatus;
pub(super) use service::ReminderSupervisor;

use super::Node;
use crate::{
    ident::{ActorId, SiloId},
    placement::{self, Candidate},
    reminder::{Event, Reminders},
    store::{Bucket, SiloStatus},
};
use actix::Addr;
use intake::Intake;
use parking_lot::{Mutex, RwLock};
use std::{collections::BTreeSet, sync::atomic::AtomicU64};
use tokio::sync::Semaphore;

/// How many reads of buckets are under way at a time: others want the store too, and ticks that are due wait behind them.
const READS: usize = 2;

/// What the silo knows of reminders.
pub(super) struct Reminding {
    engine: Mutex<Reminders>,
    address: Mutex<Option<Addr<ReminderSupervisor>>>,
    intake: Mutex<Intake>,
    /// Who should look after each bucket, by the view.
    homes: RwLock<Vec<Option<SiloId>>>,
    reads: Semaphore,
    delivered: AtomicU64,
    failed: AtomicU64,
}

impl Reminding {
    pub(super) fn new(me: SiloId) -> Self {
        Self {
            engine: Mutex::new(Reminders::new(me)),
            address: Mutex::default(),
            intake: Mutex::default(),
            homes: RwLock::default(),
            reads: Semaphore::new(READS),
            delivered: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        }
    }

    pub(super) fn set_address(&self, address: Addr<ReminderSupervisor>) {
        *self.address.lock() = Some(address);
    }

    /// Gives the engine an event.
    pub(super) fn happened(&self, event: Event) {
        if let Some(address) = &*self.address.lock() {
            address.do_send(service::Happened(event));
        }
    }

    /// What a silo that leaves still has to end or to hand over. What could not be handed over is found by its next owner.
    pub(super) fn unfinished(&self) -> usize {
        let engine = self.engine.lock();
        engine.at_work() + engine.to_hand_over()
    }

    fn home(&self, bucket: Bucket) -> Option<SiloId> {
        let homes = self.homes.read();
        homes.get(usize::from(bucket.number())).cloned().flatten()
    }
}

impl Node {
    /// Who should look after each bucket, by the view.
    fn bucket_homes(&self) -> Vec<Option<SiloId>> {
        let view = self.view.read().clone();
        let candidate = |silo: &SiloId| Candidate::new(silo.clone(), Candidate::DEFAULT_CAPACITY);
        let active: Vec<_> = view.active().map(|row| candidate(&row.silo)).collect();
        let home = |bucket: Bucket| {
            let named = ActorId::new("quark.reminders", bucket.to_string()).ok()?;
            placement::place(&named, &active).cloned()
        };
        Bucket::all().map(home).collect()
    }

    /// The buckets that this silo should look after; none unless it is Active.
    fn own_buckets(&self) -> BTreeSet<Bucket> {
        let homes = self.bucket_homes();
        let is_active = self.view.read().status(&self.me) == Some(SiloStatus::Active);
        let own = Bucket::all()
            .zip(&homes)
            .filter(|(_, home)| home.as_ref() == Some(&self.me));
        let own = own.map(|(bucket, _)| bucket).filter(|_| is_active).collect();
        *self.reminding.homes.write() = homes;
        own
    }
}

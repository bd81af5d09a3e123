//! How the rest of the silo reaches its services, whichever instance of them runs.

use super::{
    Node,
    membership_service::{self, MembershipSupervisor},
    migration_service::{self, MigrationSupervisor, OfferAnswered},
    queries::News,
};
use crate::{
    ident::{LinkId, SiloId},
    membership,
    wire::OfferItem,
};
use actix::Addr;
use parking_lot::Mutex;
use std::{collections::BTreeMap, sync::Arc, task::Waker};
use tokio::sync::Notify;

/// The services' addresses; a restarted service has a new one.
#[derive(Default)]
pub(super) struct ServiceAddresses {
    membership: Mutex<Option<Addr<MembershipSupervisor>>>,
    migration: Mutex<Option<Addr<MigrationSupervisor>>>,
    probes: Mutex<Probes>,
    /// Told when a service ends.
    pub(super) ended: Arc<Notify>,
}

/// Held by a service: tells when it ends, however that comes.
pub(super) struct Running(Arc<Notify>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

#[derive(Default)]
struct Probes {
    last: u64,
    waiting: BTreeMap<u64, Option<Waker>>,
}

impl ServiceAddresses {
    /// For a service to hold.
    pub(super) fn running(&self) -> Running {
        Running(self.ended.clone())
    }

    pub(super) fn set_membership(&self, address: Addr<MembershipSupervisor>) {
        *self.membership.lock() = Some(address);
    }

    pub(super) fn set_migration(&self, address: Addr<MigrationSupervisor>) {
        *self.migration.lock() = Some(address);
    }

    /// Gives the membership engine an event.
    pub(super) fn membership(&self, event: membership::Event) {
        if let Some(address) = &*self.membership.lock() {
            address.do_send(membership_service::Happened(event));
        }
    }

    /// The directory names an owner; if the view does not know it, the table is read.
    pub(super) fn owner_seen(&self, node: &Node, owner: &SiloId) {
        if !node.view.read().knows(owner) {
            self.membership(membership::Event::OwnerUnknown { silo: owner.clone() });
        }
    }

    /// A source offers actors.
    pub(super) fn offered(&self, link: LinkId, batch: u64, items: Vec<OfferItem>) {
        if let Some(address) = &*self.migration.lock() {
            address.do_send(migration_service::Offered { link, batch, items });
        }
    }

    /// A target has answered an offer.
    pub(super) fn offer_answered(&self, answer: OfferAnswered) {
        if let Some(address) = &*self.migration.lock() {
            address.do_send(answer);
        }
    }

    /// Asks a silo whether it is there.
    pub(super) fn probe(&self, node: &Arc<Node>, silo: &SiloId) -> Probe {
        let mut probes = self.probes.lock();
        probes.last += 1;
        let n = probes.last;
        probes.waiting.insert(n, None);
        drop(probes);
        node.notify(silo, News::Probe { n });
        Probe { node: node.clone(), n }
    }

    /// A silo has answered a probe.
    pub(super) fn probe_answered(&self, n: u64) {
        if let Some(Some(waker)) = self.probes.lock().waiting.remove(&n) {
            waker.wake();
        }
    }
}

/// Ready when the answer has come.
pub(super) struct Probe {
    node: Arc<Node>,
    n: u64,
}

impl Future for Probe {
    type Output = ();

    fn poll(self: std::pin::Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> std::task::Poll<()> {
        match self.node.services.probes.lock().waiting.get_mut(&self.n) {
            Some(waiting) => {
                *waiting = Some(cx.waker().clone());
                std::task::Poll::Pending
            }
            None => std::task::Poll::Ready(()),
        }
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.node.services.probes.lock().waiting.remove(&self.n);
    }
}

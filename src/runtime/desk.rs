//! A desk: where the actors of one kind are run by one worker.

use super::{meter::Meter, worker::WorkerHandle};
use crate::{
    actor::{KindEntry, Services},
    mailbox::{Home, Host, Mailbox, NotHere, Records},
};
use std::{
    any::{Any, TypeId},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

/// What the actors of one kind on one worker have in common, so that none of them keeps it.
pub(super) struct Desk {
    pub(super) worker: WorkerHandle,
    pub(super) kind: Arc<KindEntry>,
    pub(super) meter: Meter,
    /// Among those that its worker knows; set by that.
    number: AtomicU32,
    services: Arc<dyn Services>,
}

impl Desk {
    /// The number of one that its worker does not know yet.
    pub(super) const UNKNOWN: u32 = u32::MAX;

    pub(super) fn new(worker: WorkerHandle, kind: Arc<KindEntry>, services: Arc<dyn Services>) -> Self {
        Self {
            number: AtomicU32::new(Self::UNKNOWN),
            worker,
            kind,
            meter: Meter::default(),
            services,
        }
    }

    /// The desk that a mailbox was made for.
    #[inline]
    pub(super) fn of(mailbox: &Mailbox) -> &Self {
        let host: &dyn Any = mailbox.host();
        host.downcast_ref()
            .expect("invariant: activations have mailboxes of desks")
    }

    /// The same, to be kept.
    pub(super) fn shared(mailbox: &Mailbox) -> Arc<Self> {
        let host: Arc<dyn Any + Send + Sync> = mailbox.shared_host();
        host.downcast().expect("invariant: activations have mailboxes of desks")
    }

    /// Its number among those that its worker knows.
    #[inline]
    pub(super) fn number(&self) -> u32 {
        self.number.load(Ordering::Relaxed)
    }

    /// Sets [`Desk::number`]. For its worker only.
    pub(super) fn set_number(&self, number: u32) {
        self.number.store(number, Ordering::Relaxed);
    }
}

impl Host for Desk {
    fn offers(&self) -> &dyn Any {
        &self.services
    }

    fn inject(&self, mailbox: &Arc<Mailbox>) {
        self.worker.0.inject(mailbox);
    }

    fn take_single(&self, mailbox: &Arc<Mailbox>, put: &mut dyn FnMut(&mut Records)) -> bool {
        self.worker.0.take_single(self, mailbox, put)
    }

    fn run_here(&self, mailbox: &Arc<Mailbox>, message: TypeId, call: &mut dyn Any) -> Result<(), NotHere> {
        self.worker.0.run_here(self, mailbox, message, call)
    }

    fn other_home(&self) -> Option<Arc<dyn Home>> {
        self.worker.0.other_home()
    }

    fn is_here(&self) -> bool {
        self.worker.0.is_here()
    }

    fn spin(&self) -> Duration {
        self.worker.0.spin()
    }
}

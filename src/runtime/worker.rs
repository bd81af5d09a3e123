//! A worker: one future per arbiter that runs the activations assigned to it.

use super::{
    Outside,
    desk::Desk,
    far::FarAsks,
    inbox::Inbox,
    local::{HERE, Local, Told},
    watch::Shown,
};
use crate::{
    clock::{Clock, Moment, Sleep},
    mailbox::{Deliveries, Home, Mailbox, NotHere, Records, Watched},
    sync::{AtomicBool, Ordering},
};
use std::{
    any::{Any, TypeId},
    collections::VecDeque,
    future::poll_fn,
    mem,
    pin::Pin,
    ptr,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize},
    },
    task::{Context, Poll},
    time::Duration,
};

/// How many messages a worker runs, and of how much it is told, before it lets timers and I/O of its arbiter go on.
const QUOTA: u32 = 1024;

/// How much of what activations are told is done before others run their messages: a drain freezes thousands at once.
const CONTROLS: u32 = 16;

/// Hands activations to a worker. Cheap to clone.
#[derive(Clone)]
pub(super) struct WorkerHandle(pub(super) Arc<Shared>);

/// What other threads have of a worker.
pub(super) struct Shared {
    inbox: Inbox<Handed>,
    activations: AtomicUsize,
    paused: AtomicBool,
    /// Turns run until this moment; by its nanoseconds.
    until: AtomicU64,
    stopping: AtomicBool,
    /// Nobody looks into the inbox any more.
    ended: AtomicBool,
    /// How long the worker looks for work before it parks.
    spin: Duration,
    pub(super) shown: Shown,
}

/// What other threads hand to a worker.
#[derive(Default)]
pub(super) struct Handed {
    ready: Vec<Arc<Mailbox>>,
    controls: VecDeque<Told>,
    /// Turns that the watcher asks about, by when they began.
    asked: Vec<(Arc<Mailbox>, Moment)>,
    /// For those who wait on the worker's thread for what happens on others.
    deliveries: Deliveries,
}

impl WorkerHandle {
    /// `spin`: how long the worker looks for work before it parks; zero for not at all.
    pub(super) fn new(spin: Duration) -> Self {
        Self(Arc::new(Shared {
            inbox: Inbox::default(),
            activations: AtomicUsize::new(0),
            paused: AtomicBool::new(false),
            until: AtomicU64::new(u64::MAX),
            stopping: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            spin,
            shown: Shown::default(),
        }))
    }

    /// Tells an activation what to do, by its own worker.
    pub(super) fn control(told: Told) {
        let mut told = Some(told);
        let idle = HERE.try_with(|here| {
            let here = here.borrow();
            let is_its = |told: &Told, local: &Local| Self::of(told).is(&local.shared);
            let local = here
                .as_ref()
                .filter(|local| told.as_ref().is_some_and(|told| is_its(told, local)))?;
            let mut queue = local.told.borrow_mut();
            if local.shared.inbox.has_some() {
                // What other threads have said before stays before.
                local.shared.inbox.with(|handed| queue.append(&mut handed.controls));
            }
            queue.extend(told.take());
            Some((local.idle.replace(false)).then(|| local.shared.clone()))
        });
        if let Some(idle) = idle.ok().flatten() {
            if let Some(shared) = idle {
                shared.wake();
            }
        } else if let Some(told) = told {
            let worker = Self::of(&told).clone();
            worker.0.inbox.put(|handed| handed.controls.push_back(told));
        }
    }

    fn of(told: &Told) -> &Self {
        &Desk::of(told.activation.mailbox()).worker
    }

    fn is(&self, shared: &Arc<Shared>) -> bool {
        Arc::ptr_eq(&self.0, shared)
    }

    pub(super) fn is_host_of(&self, mailbox: &Mailbox) -> bool {
        Arc::ptr_eq(&Desk::of(mailbox).worker.0, &self.0)
    }

    /// How many activations the worker has.
    pub(super) fn load(&self) -> usize {
        self.0.activations.load(Ordering::Relaxed)
    }

    pub(super) fn added(&self) {
        self.0.activations.fetch_add(1, Ordering::Relaxed);
    }

    /// What it shows of itself.
    pub(super) fn shown(&self) -> &Shown {
        &self.0.shown
    }

    /// Whether it sleeps: nothing is there for it.
    pub(super) fn is_parked(&self) -> bool {
        self.0.inbox.is_parked()
    }

    /// Has the worker tell of a turn that waits since `began`.
    pub(super) fn ask_about(&self, mailbox: Arc<Mailbox>, began: Moment) {
        if !self.0.stopping.load(Ordering::Acquire) {
            self.0.inbox.put(|handed| handed.asked.push((mailbox, began)));
        }
    }

    /// How many messages the worker has taken out of mailboxes.
    pub(super) fn turns(&self) -> u64 {
        self.0.shown.turns()
    }

    /// Stops (or lets go on) all turns where they are.
    pub(super) fn pause(&self, pause: bool) {
        self.0.paused.store(pause, Ordering::Release);
        self.0.wake();
    }

    /// Turns run until then, and no longer: also if the process stands still and does not hear that its time is over.
    pub(super) fn run_until(&self, until: Moment) {
        self.0.until.store(until.0, Ordering::Release);
        self.pause(false);
    }

    /// Ends the worker: its activations are dropped where they are.
    pub(super) fn stop(&self) {
        self.0.stopping.store(true, Ordering::Release);
        self.0.wake();
    }
}

impl Shared {
    pub(super) fn wake(&self) {
        self.inbox.wake();
    }

    /// Whether another thread has handed something over.
    #[inline]
    pub(super) fn inbox_has_some(&self) -> bool {
        self.inbox.has_some()
    }

    /// Does something with the worker, if this is its thread.
    #[inline]
    fn here<T>(&self, run: impl FnOnce(&Rc<Local>) -> T) -> Option<T> {
        let here = HERE.try_with(|here| {
            let here = here.borrow();
            let local = here.as_ref().filter(|local| ptr::eq(&*local.shared, self))?;
            Some(run(local))
        });
        here.ok().flatten()
    }

    /// The worker has ended: forgets whom the watcher asks about, and drops what it was to drop.
    pub(super) fn forget(&self) {
        self.inbox.with(|handed| handed.asked.clear());
        self.shown.forget();
        self.ended.store(true, Ordering::SeqCst);
        self.deliver_handed();
    }

    /// Drops what was handed over for that, and takes nothing else.
    fn deliver_handed(&self) {
        drop(self.inbox.with(|handed| mem::take(&mut handed.deliveries)));
    }

    pub(super) fn is_here(&self) -> bool {
        self.here(|_| ()).is_some()
    }

    pub(super) fn spin(&self) -> Duration {
        self.spin
    }

    /// The worker of this thread, if that is another.
    pub(super) fn other_home(&self) -> Option<Arc<dyn Home>> {
        let home = HERE.try_with(|here| {
            let here = here.borrow();
            let other = here.as_ref().filter(|local| !ptr::eq(&*local.shared, self))?;
            Some(other.shared.clone() as Arc<dyn Home>)
        });
        home.ok().flatten()
    }

    pub(super) fn removed(&self) {
        self.activations.fetch_sub(1, Ordering::Relaxed);
    }

    /// Counts turns; for the worker's thread only.
    pub(super) fn ran(&self, turns: u32) {
        self.shown.ran(turns);
    }

    /// `recent`: by the coarse clock.
    pub(super) fn is_held(&self, clock: &Clock, recent: Moment) -> bool {
        self.is_paused(clock, recent) || self.stopping.load(Ordering::Relaxed)
    }

    fn is_paused(&self, clock: &Clock, recent: Moment) -> bool {
        let until = Moment(self.until.load(Ordering::Acquire));
        self.paused.load(Ordering::Acquire) || clock.has_come_after(recent, until)
    }
}

impl Shared {
    pub(super) fn inject(&self, mailbox: &Arc<Mailbox>) {
        if mailbox.slot().is_none() {
            // Nothing runs here yet: what will be told to run looks for messages, and comes to rest under the mailbox's lock
            // only after it has its number.
            return;
        }
        let idle = self.here(|local| {
            local.waiting.ready.borrow_mut().push_back(mailbox.clone());
            local.idle.replace(false)
        });
        match idle {
            Some(true) => self.wake(),
            Some(false) => {}
            None => self.inbox.put(|handed| handed.ready.push(mailbox.clone())),
        }
    }

    /// [`Local::take_single`], if this is the worker's thread.
    pub(super) fn take_single(&self, desk: &Desk, mailbox: &Mailbox, put: &mut dyn FnMut(&mut Records)) -> bool {
        let idle = self.here(|local| local.take_single(desk, mailbox, put).then(|| local.idle.replace(false)));
        match idle.flatten() {
            Some(true) => self.wake(),
            Some(false) => {}
            None => return false,
        }
        true
    }

    pub(super) fn run_here(
        &self,
        desk: &Desk,
        mailbox: &Arc<Mailbox>,
        message: TypeId,
        call: &mut dyn Any,
    ) -> Result<(), NotHere> {
        // Not within the borrow: the turn may do anything.
        let local = self.here(|local| local.may_run_here().then(|| local.clone()));
        local.flatten().ok_or(NotHere)?.run_here(desk, mailbox, message, call)
    }
}

impl Home for Shared {
    fn deliver(self: Arc<Self>, put: &mut dyn FnMut(&mut Deliveries, Arc<dyn Home>)) {
        let local = HERE.try_with(|here| here.borrow().clone()).ok().flatten();
        match local {
            Some(local) if !Arc::ptr_eq(&local.shared, &self) => local.gathered.deliver(self, put, &local.clock),
            // Here, or by who is on a thread of no worker: at once.
            _ => put(&mut Deliveries::default(), self),
        }
    }

    fn deliver_all(&self, deliveries: &mut Deliveries) {
        self.inbox.put(|handed| handed.deliveries.append(deliveries));
        // Nobody would take them any more; if the worker ends after this, it does.
        if self.ended.load(Ordering::SeqCst) {
            self.deliver_handed();
        }
    }

    fn sleeps(&self) -> bool {
        self.inbox.is_parked()
    }

    fn watch(&self, deadline: Moment, now: Moment, wait: &dyn Fn() -> Watched) -> bool {
        let added = self.here(|local| {
            let takes = FarAsks::takes(deadline, now) && !self.is_held(&local.clock, now);
            takes.then(|| local.far.add(deadline, wait(), now) && local.idle.replace(false))
        });
        match added.flatten() {
            Some(true) => self.wake(),
            Some(false) => {}
            None => return false,
        }
        true
    }
}

/// Runs activations on the thread it is spawned on.
pub(super) struct Worker {
    handle: WorkerHandle,
    outside: Arc<dyn Outside>,
    clock: Clock,
    idle_timeout: Duration,
}

/// Takes the worker off its thread.
struct Here;

impl Drop for Here {
    fn drop(&mut self) {
        let local = HERE.try_with(|here| here.borrow_mut().take());
        if let Ok(Some(local)) = local {
            local.end();
        }
    }
}

impl Worker {
    /// `idle_timeout`: how long an activation is idle before it wants to end; zero for ever.
    pub(super) fn new(handle: WorkerHandle, outside: Arc<dyn Outside>, clock: Clock, idle_timeout: Duration) -> Self {
        Self {
            handle,
            outside,
            clock,
            idle_timeout,
        }
    }

    /// Runs until it is stopped.
    pub(super) async fn run(self) {
        let shared = &*self.handle.0;
        let local = Local::new(
            self.handle.0.clone(),
            self.outside.clone(),
            self.clock.clone(),
            self.idle_timeout,
        );
        HERE.with(|here| *here.borrow_mut() = Some(local.clone()));
        let _here = Here;
        let mut alarm = None;
        let mut spun = false;
        while poll_fn(|cx| self.poll_work(&local, &mut alarm, &mut spun, cx)).await {
            let mut quota = QUOTA;
            loop {
                if let Some(ran) = local.go_on(quota) {
                    quota = quota.saturating_sub(ran);
                    spun |= ran > 0;
                } else if local.told.borrow().is_empty() || local.is_held() {
                    break;
                }
                if shared.inbox.has_some() || !local.told.borrow().is_empty() {
                    quota = quota.saturating_sub(self.take_handed(shared, &local));
                }
                if quota == 0 {
                    // A self-wake would be polled again before the arbiter's timers and I/O; this one is not.
                    tokio::task::yield_now().await;
                    quota = QUOTA;
                    local.fire_due();
                }
            }
        }
    }

    /// Takes over what other threads have handed to this one, and does what is to be done ahead of messages; not all of it, if that
    /// is much and others wait. Answers how much.
    fn take_handed(&self, shared: &Shared, local: &Local) -> u32 {
        if shared.inbox.has_some() {
            let mut handed = local.handed.take();
            shared.inbox.take(&mut handed);
            local.waiting.ready.borrow_mut().extend(handed.ready.drain(..));
            handed.deliveries.deliver();
            for (mailbox, began) in handed.asked.drain(..) {
                local.look_at(&mailbox, began);
            }
            local.told.borrow_mut().append(&mut handed.controls);
            // Its memory is used again.
            local.handed.set(handed);
        }
        let mut done = 0;
        while done < QUOTA {
            let others_wait = || !local.waiting.is_empty() || shared.inbox.has_some();
            if done > 0 && done.is_multiple_of(CONTROLS) && others_wait() {
                break;
            }
            let told = local.told.borrow_mut().pop_front();
            let Some(told) = told else { break };
            local.obey(told);
            done += 1;
        }
        done
    }

    /// Ready with whether to go on, once there is work.
    fn poll_work(
        &self,
        local: &Rc<Local>,
        alarm: &mut Option<(Moment, Sleep)>,
        spun: &mut bool,
        cx: &mut Context<'_>,
    ) -> Poll<bool> {
        let shared = &*self.handle.0;
        loop {
            if shared.stopping.load(Ordering::Acquire) {
                return Poll::Ready(false);
            }
            if mem::take(spun) && !shared.spin.is_zero() {
                self.spin(shared, local);
            }
            let held = shared.is_paused(&self.clock, self.clock.recently());
            if held {
                // Turns stand still; what else waits on this thread does not.
                shared.deliver_handed();
                local.far.wake_all();
            } else {
                self.take_handed(shared, local);
                local.fire_due();
                // Whatever of this has made an activation ready: it is looked for after all of it.
                if !local.is_empty() {
                    return Poll::Ready(true);
                }
            }
            let may_park = |has_some: bool| {
                // Again: whoever changed one of these meanwhile has found nobody parked to wake.
                let is_same = shared.is_paused(&self.clock, self.clock.recently()) == held
                    && !shared.stopping.load(Ordering::Relaxed);
                is_same && (held || (!has_some && local.is_empty()))
            };
            if !shared.inbox.park(cx.waker(), may_park) {
                continue;
            }
            local.idle.set(true);
            let next = local.next_wake();
            if alarm.as_ref().map(|(at, _)| *at) != next {
                *alarm = next.map(|at| (at, self.clock.sleep_until(at)));
            }
            let rung = !held
                && alarm
                    .as_mut()
                    .is_some_and(|(_, sleep)| Pin::new(sleep).poll(cx).is_ready());
            if !rung {
                return Poll::Pending;
            }
            *alarm = None;
        }
    }

    fn spin(&self, shared: &Shared, local: &Local) {
        let end = self.clock.now() + shared.spin;
        while !shared.inbox.has_some() && local.is_empty() {
            for _ in 0..32 {
                std::hint::spin_loop();
            }
            if self.clock.now() >= end {
                return;
            }
        }
    }
}

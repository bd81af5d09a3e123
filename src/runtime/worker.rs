//! A worker: one future per arbiter that runs the activations assigned to it.

use super::{
    Activation, Outside,
    slot::{Slot, Visit},
};
use parking_lot::Mutex;
use std::{
    collections::{HashMap, VecDeque},
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    task::{Poll, Waker},
};

/// How many messages an activation runs before the next one's turn.
pub(super) const BUDGET: u32 = 32;

/// How many messages a worker runs before it lets timers and I/O of its arbiter go on.
const QUOTA: u32 = 1024;

/// Hands activations to a worker. Cheap to clone.
#[derive(Clone)]
pub(super) struct WorkerHandle(Arc<Shared>);

struct Shared {
    injected: Mutex<Injected>,
    activations: AtomicUsize,
    turns: AtomicU64,
    paused: AtomicBool,
    stopping: AtomicBool,
}

#[derive(Default)]
struct Injected {
    ready: VecDeque<Arc<Activation>>,
    parked: Option<Waker>,
}

impl WorkerHandle {
    pub(super) fn new() -> Self {
        Self(Arc::new(Shared {
            injected: Mutex::default(),
            activations: AtomicUsize::new(0),
            turns: AtomicU64::new(0),
            paused: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
        }))
    }

    pub(super) fn inject(&self, activation: Arc<Activation>) {
        let parked = {
            let mut injected = self.0.injected.lock();
            injected.ready.push_back(activation);
            injected.parked.take()
        };
        if let Some(worker) = parked {
            worker.wake();
        }
    }

    /// How many activations the worker has.
    pub(super) fn load(&self) -> usize {
        self.0.activations.load(Ordering::Relaxed)
    }

    pub(super) fn added(&self) {
        self.0.activations.fetch_add(1, Ordering::Relaxed);
    }

    /// How many messages the worker has taken out of mailboxes.
    pub(super) fn turns(&self) -> u64 {
        self.0.turns.load(Ordering::Relaxed)
    }

    /// Stops (or lets go on) all turns where they are.
    pub(super) fn pause(&self, pause: bool) {
        self.0.paused.store(pause, Ordering::Release);
        self.wake();
    }

    fn wake(&self) {
        if let Some(worker) = self.0.injected.lock().parked.take() {
            worker.wake();
        }
    }

    /// Ends the worker: its activations are dropped where they are.
    pub(super) fn stop(&self) {
        self.0.stopping.store(true, Ordering::Release);
        self.wake();
    }
}

/// Runs activations on the thread it is spawned on.
pub(super) struct Worker {
    handle: WorkerHandle,
    outside: Arc<dyn Outside>,
    slots: HashMap<u64, Slot, foldhash::fast::RandomState>,
    ready: VecDeque<Arc<Activation>>,
}

impl Worker {
    pub(super) fn new(handle: WorkerHandle, outside: Arc<dyn Outside>) -> Self {
        Self {
            handle,
            outside,
            slots: HashMap::default(),
            ready: VecDeque::new(),
        }
    }

    /// Runs until it is stopped.
    pub(super) async fn run(mut self) {
        while self.wait_for_work().await {
            let mut quota = QUOTA;
            while let Some(activation) = self.next_ready() {
                self.visit(activation, &mut quota);
                if quota == 0 {
                    // A self-wake would be polled again before the arbiter's timers and I/O; this one is not.
                    tokio::task::yield_now().await;
                    quota = QUOTA;
                }
                self.take_injected();
            }
        }
    }

    fn next_ready(&mut self) -> Option<Arc<Activation>> {
        let held = self.handle.0.paused.load(Ordering::Acquire) || self.handle.0.stopping.load(Ordering::Acquire);
        if held { None } else { self.ready.pop_front() }
    }

    fn take_injected(&mut self) {
        let mut injected = self.handle.0.injected.lock();
        if self.ready.is_empty() {
            std::mem::swap(&mut self.ready, &mut injected.ready);
        } else {
            self.ready.append(&mut injected.ready);
        }
    }

    async fn wait_for_work(&mut self) -> bool {
        poll_fn(|cx| {
            if self.handle.0.stopping.load(Ordering::Acquire) {
                return Poll::Ready(false);
            }
            let mut injected = self.handle.0.injected.lock();
            let idle = injected.ready.is_empty() && self.ready.is_empty();
            if idle || self.handle.0.paused.load(Ordering::Acquire) {
                // Under the lock that `inject` takes: no activation can come in unseen.
                injected.parked = Some(cx.waker().clone());
                return Poll::Pending;
            }
            self.ready.append(&mut injected.ready);
            Poll::Ready(true)
        })
        .await
    }

    fn visit(&mut self, activation: Arc<Activation>, quota: &mut u32) {
        let number = activation.number;
        let woken = activation.with_mailbox(|mailbox| std::mem::take(&mut mailbox.woken));
        let slot = (self.slots.entry(number)).or_insert_with(|| Slot::new(activation.clone(), self.outside.clone()));
        let granted = BUDGET.min(*quota);
        let mut budget = granted;
        let waker = Waker::from(activation.clone());
        let visit = slot.visit(&waker, woken, &mut budget);
        *quota -= granted - budget;
        (self.handle.0.turns).fetch_add(u64::from(granted - budget), Ordering::Relaxed);
        match visit {
            Visit::Over => {
                self.slots.remove(&number);
                self.handle.0.activations.fetch_sub(1, Ordering::Relaxed);
                // `scheduled` stays set: whatever is pushed by mistake is never run.
            }
            Visit::HasMore => self.ready.push_back(activation),
            Visit::Rests => {
                let again = activation.with_mailbox(|mailbox| {
                    let runs = slot.can_go_on(mailbox.len() > 0, mailbox.has_control(), mailbox.woken);
                    mailbox.scheduled = runs;
                    runs
                });
                if again {
                    self.ready.push_back(activation);
                }
            }
        }
    }
}

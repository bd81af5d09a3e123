//! A process of the simulation, as everybody may know it: its name, its clock, its tasks that are still to begin, and whether it
//! lives.

use crate::{
    chance::Dice,
    clock::{Clock, Hands, WorldTime},
};
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use std::{
    collections::{BTreeSet, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Wake,
};

/// The processes that have something to do.
#[derive(Clone, Default)]
pub(super) struct Runnable(Arc<Mutex<BTreeSet<usize>>>);

impl Runnable {
    pub(super) fn add(&self, host: usize) {
        self.0.lock().insert(host);
    }

    /// Takes one out: which, the dice say.
    pub(super) fn take(&self, dice: &Dice) -> Option<usize> {
        let mut hosts = self.0.lock();
        let at = match hosts.len() {
            0 | 1 => 0,
            len => usize::try_from(dice.below(len as u64)).unwrap_or(0),
        };
        let host = hosts.iter().nth(at).copied()?;
        hosts.remove(&host);
        Some(host)
    }
}

/// A process of the simulation.
pub(super) struct Host {
    pub(super) name: Arc<str>,
    pub(super) number: usize,
    pub(super) clock: Clock,
    pub(super) hands: Hands,
    runnable: Runnable,
    /// Tasks that are to begin.
    wanted: Mutex<VecDeque<BoxFuture<'static, ()>>>,
    paused: AtomicBool,
    severed: AtomicBool,
}

impl Host {
    pub(super) fn new(name: &str, number: usize, time: &WorldTime, runnable: &Runnable) -> Arc<Self> {
        let (clock, hands) = Clock::simulated(time);
        Arc::new(Self {
            name: name.into(),
            number,
            clock,
            hands,
            runnable: runnable.clone(),
            wanted: Mutex::default(),
            paused: AtomicBool::new(false),
            severed: AtomicBool::new(false),
        })
    }

    /// Has the process run a task.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.spawn_boxed(Box::pin(task));
    }

    pub(super) fn spawn_boxed(&self, task: BoxFuture<'static, ()>) {
        self.wanted.lock().push_back(task);
        self.runnable.add(self.number);
    }

    pub(super) fn take_wanted(&self) -> VecDeque<BoxFuture<'static, ()>> {
        std::mem::take(&mut *self.wanted.lock())
    }

    pub(super) fn pause(&self, pause: bool) {
        self.paused.store(pause, Ordering::Relaxed);
        self.runnable.add(self.number);
    }

    pub(super) fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Relaxed)
    }

    /// From now on nothing that the process does reaches anybody: it is dead, and only has not been taken away yet.
    pub(super) fn sever(&self) {
        self.severed.store(true, Ordering::Relaxed);
        self.runnable.add(self.number);
    }

    pub(super) fn is_severed(&self) -> bool {
        self.severed.load(Ordering::Relaxed)
    }
}

impl Wake for Host {
    fn wake(self: Arc<Self>) {
        self.runnable.add(self.number);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.runnable.add(self.number);
    }
}

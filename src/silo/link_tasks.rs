//! The tasks of links, on the thread of the silo's only worker: what comes in or goes out crosses no thread.
//!
//! They run one at a time, in the order in which they were woken, as on a thread of their own. A turn that blocks the worker's
//! thread must not block them: a keeper on another thread looks now and then whether they could run, and if they could not it takes
//! them over, for a time that grows with each such turn. Sockets go along (`transport/roaming.rs`): every task is polled once after
//! it has changed threads.
//!
//! ```text
//!   worker's thread:  worker | runner (Home)  <- wakes go to the one that is in charge
//!   thread beside it: keeper | runner (Aside)
//! ```

use crate::clock::Clock;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, VecDeque},
    future::poll_fn,
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};
use tokio::runtime::Handle;

/// How often the keeper looks. A worker that has not let tasks run for one to two of it is taken to be blocked.
const LOOK: Duration = Duration::from_millis(100);

/// For how many looks tasks stay aside the first time, and at most: doubled each time.
const FIRST_STAY: u32 = 10;
const LONGEST_STAY: u32 = 64 * FIRST_STAY;

/// On which thread tasks run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// The worker's.
    Home = 0,
    /// Another.
    Aside = 1,
}

/// Tasks that run on one of two threads. Cheap to clone.
#[derive(Clone)]
pub(super) struct LinkTasks(Arc<Shared>);

struct Shared {
    woken: Mutex<Woken>,
    /// Held by whoever runs tasks; memory for those of a round.
    round: Mutex<VecDeque<Arc<Task>>>,
    /// Rounds that the worker's thread began.
    rounds: AtomicU64,
    all: Mutex<BTreeMap<u64, Arc<Task>>>,
    last: AtomicU64,
    ended: AtomicBool,
    /// The runtime of the worker's thread.
    home: OnceLock<Handle>,
}

struct Woken {
    tasks: VecDeque<Arc<Task>>,
    in_charge: Side,
    /// Of the sides, while they have nothing to do.
    runners: [Option<Waker>; 2],
}

struct Task {
    number: u64,
    future: Mutex<Option<BoxFuture<'static, ()>>>,
    /// Among those that are woken.
    is_woken: AtomicBool,
    shared: Arc<Shared>,
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        if !self.is_woken.swap(true, Ordering::AcqRel) {
            let shared = self.shared.clone();
            shared.wake([self]);
        }
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.clone().wake();
    }
}

impl Task {
    /// Polls it once. Answers whether it has ended.
    fn run(self: &Arc<Self>) -> bool {
        // Before it is polled: what happens meanwhile wakes it again.
        self.is_woken.store(false, Ordering::Release);
        let waker = Waker::from(self.clone());
        let mut future = self.future.lock();
        let Some(running) = future.as_mut() else { return false };
        let poll = || running.as_mut().poll(&mut Context::from_waker(&waker));
        match catch_unwind(AssertUnwindSafe(poll)) {
            Ok(Poll::Pending) => return false,
            Ok(Poll::Ready(())) => {}
            Err(_) => tracing::error!("a task of the silo's links panicked"),
        }
        *future = None;
        true
    }
}

impl Shared {
    fn wake(&self, tasks: impl IntoIterator<Item = Arc<Task>>) {
        let mut woken = self.woken.lock();
        // Nobody would take it out again, and it holds all this: reactors wake what waits for sockets when they end.
        if self.has_ended() {
            return drop(woken);
        }
        woken.tasks.extend(tasks);
        let runner = woken.runner();
        drop(woken);
        if let Some(runner) = runner {
            runner.wake();
        }
    }

    /// Runs what is woken, once each.
    fn run(&self, side: Side, cx: &mut Context<'_>) -> Poll<()> {
        if side == Side::Home {
            self.rounds.fetch_add(1, Ordering::Relaxed);
        }
        {
            let mut woken = self.woken.lock();
            if self.has_ended() {
                return Poll::Ready(());
            }
            // Before a look at who is in charge: whoever changes that wakes the runners afterwards.
            woken.runners[side as usize] = Some(cx.waker().clone());
            if woken.in_charge != side {
                return Poll::Pending;
            }
        }
        // The worker's thread waits for nobody. Its runner is woken by who has the tasks now.
        let round = match side {
            Side::Home => self.round.try_lock(),
            Side::Aside => Some(self.round.lock()),
        };
        let Some(mut round) = round else { return Poll::Pending };
        {
            let mut woken = self.woken.lock();
            // Under the lock: who ends all tasks says so first, and then clears what is woken.
            if self.has_ended() {
                return Poll::Ready(());
            }
            if woken.in_charge != side || woken.tasks.is_empty() {
                return Poll::Pending;
            }
            woken.runners[side as usize] = None;
            mem::swap(&mut woken.tasks, &mut round);
        }
        for task in round.drain(..) {
            // Again: who ends all tasks leaves one that runs to its thread.
            if self.has_ended() || task.run() || self.has_ended() {
                task.future.lock().take();
                self.all.lock().remove(&task.number);
            }
        }
        drop(round);
        let mut woken = self.woken.lock();
        woken.runners[side as usize] = Some(cx.waker().clone());
        if !woken.tasks.is_empty() {
            drop(woken);
            // Others of the thread have their turn first.
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// Puts a side in charge, unless a task runs: it would go on on the other one. Answers whether it is.
    fn put_in_charge(&self, side: Side) -> bool {
        let Some(round) = self.round.try_lock() else {
            return false;
        };
        // Each finds itself on another thread, and its sockets go over to that one's reactor.
        let all: Vec<_> = self.all.lock().values().cloned().collect();
        let mut woken = self.woken.lock();
        if self.has_ended() {
            drop(woken);
            return false;
        }
        woken.in_charge = side;
        let asleep = all
            .into_iter()
            .filter(|task| !task.is_woken.swap(true, Ordering::AcqRel));
        woken.tasks.extend(asleep);
        drop((round, woken));
        self.wake([]);
        true
    }

    fn has_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    /// Has the worker's thread show that it is there.
    fn ask_home(&self) {
        let home = self.woken.lock().runners[Side::Home as usize].take();
        if let Some(home) = home {
            home.wake();
        }
    }
}

impl Woken {
    /// The runner that is to be woken, if it does not run.
    fn runner(&mut self) -> Option<Waker> {
        self.runners[self.in_charge as usize].take()
    }
}

impl LinkTasks {
    /// No tasks yet.
    pub(super) fn new() -> Self {
        Self(Arc::new(Shared {
            woken: Mutex::new(Woken {
                tasks: VecDeque::new(),
                in_charge: Side::Home,
                runners: [None, None],
            }),
            round: Mutex::default(),
            rounds: AtomicU64::new(0),
            all: Mutex::default(),
            last: AtomicU64::new(0),
            ended: AtomicBool::new(false),
            home: OnceLock::new(),
        }))
    }

    /// Runs a task. After [`LinkTasks::end`] it is dropped.
    pub(super) fn spawn(&self, future: BoxFuture<'static, ()>) {
        let number = self.0.last.fetch_add(1, Ordering::Relaxed);
        let task = Arc::new(Task {
            number,
            future: Mutex::new(Some(future)),
            is_woken: AtomicBool::new(true),
            shared: self.0.clone(),
        });
        self.0.all.lock().insert(number, task.clone());
        self.0.wake([task]);
        if self.0.has_ended() {
            self.drop_all();
        }
    }

    /// The runner of a side, for a thread of it.
    pub(super) async fn run(self, side: Side) {
        if side == Side::Home {
            self.0.home.get_or_init(Handle::current);
        }
        poll_fn(|cx| self.0.run(side, cx)).await;
    }

    /// Looks after the tasks, from the thread aside.
    pub(super) async fn keep(self, clock: Clock) {
        let mut keeper = Keeper::new(self);
        while !keeper.tasks.0.has_ended() {
            clock.sleep(LOOK).await;
            let Some(home) = keeper.tasks.0.home.get() else {
                continue;
            };
            // Odd while the thread is parked.
            let parked = !home.metrics().worker_park_unpark_count(0).is_multiple_of(2);
            keeper.look(parked);
        }
    }

    /// Ends all tasks where they are.
    pub(super) fn end(&self) {
        self.0.ended.store(true, Ordering::SeqCst);
        let runners = mem::take(&mut self.0.woken.lock().runners);
        runners.into_iter().flatten().for_each(Waker::wake);
        self.drop_all();
    }

    fn drop_all(&self) {
        let all = mem::take(&mut *self.0.all.lock());
        self.0.woken.lock().tasks.clear();
        for task in all.into_values() {
            // One that runs is dropped by its thread.
            let future = task.future.try_lock().and_then(|mut future| future.take());
            drop(future);
        }
    }
}

/// Finds out when tasks have to go aside, and when they may go back.
struct Keeper {
    tasks: LinkTasks,
    /// Of the last look.
    rounds: u64,
    /// The worker's thread was asked to show that it is there, and has not yet.
    asked: bool,
    /// For how many looks the tasks still stay aside; then until the worker's thread is there.
    stays: Option<u32>,
    next_stay: u32,
    /// For how many looks they have been at home.
    at_home: u32,
}

impl Keeper {
    fn new(tasks: LinkTasks) -> Self {
        Self {
            tasks,
            rounds: 0,
            asked: false,
            stays: None,
            next_stay: FIRST_STAY,
            at_home: 0,
        }
    }

    fn look(&mut self, parked: bool) {
        let rounds = self.tasks.0.rounds.load(Ordering::Relaxed);
        let is_there = parked || mem::replace(&mut self.rounds, rounds) != rounds;
        let was_asked = mem::replace(&mut self.asked, !is_there);
        match self.stays {
            None if is_there => {
                self.at_home = self.at_home.saturating_add(1);
                if self.at_home > LONGEST_STAY {
                    self.next_stay = FIRST_STAY;
                }
            }
            None if was_asked => {
                if self.tasks.0.put_in_charge(Side::Aside) {
                    tracing::debug!("the worker's thread is blocked: links go to another");
                    self.stays = Some(self.next_stay);
                    self.next_stay = (2 * self.next_stay).min(LONGEST_STAY);
                }
            }
            None => self.tasks.0.ask_home(),
            Some(0) if is_there => {
                if self.tasks.0.put_in_charge(Side::Home) {
                    self.stays = None;
                    self.at_home = 0;
                }
            }
            Some(0) => self.tasks.0.ask_home(),
            Some(left) => self.stays = Some(left - 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{sync::mpsc, thread};
    use tokio::sync::{mpsc as channel, oneshot};

    /// A thread with a runtime that runs what it is given.
    fn runtime() -> (Handle, oneshot::Sender<()>) {
        let (tell, told) = mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.expect("a runtime");
            tell.send(runtime.handle().clone()).expect("awaited");
            let _ended = runtime.block_on(stopped);
        });
        (told.recv().expect("it runs"), stop)
    }

    struct Case {
        tasks: LinkTasks,
        home: Handle,
        /// Looks when the test says so.
        keeper: Keeper,
        /// What is sent here comes back, with the thread that answered.
        ask: channel::UnboundedSender<mpsc::Sender<thread::ThreadId>>,
        _stop: [oneshot::Sender<()>; 2],
    }

    impl Case {
        fn new() -> Self {
            let ((home, stop_home), (aside, stop_aside)) = (runtime(), runtime());
            let tasks = LinkTasks::new();
            home.spawn(tasks.clone().run(Side::Home));
            aside.spawn(tasks.clone().run(Side::Aside));
            let (ask, mut asked) = channel::unbounded_channel::<mpsc::Sender<_>>();
            tasks.spawn(Box::pin(async move {
                while let Some(answer) = asked.recv().await {
                    answer.send(thread::current().id()).expect("awaited");
                }
            }));
            Self {
                keeper: Keeper::new(tasks.clone()),
                tasks,
                home,
                ask,
                _stop: [stop_home, stop_aside],
            }
        }

        fn thread(&self) -> Option<thread::ThreadId> {
            let (answer, answered) = mpsc::channel();
            self.ask.send(answer).ok()?;
            answered.recv_timeout(Duration::from_secs(10)).ok()
        }

        /// Blocks the thread of the worker until what is answered is dropped.
        fn block(&self) -> mpsc::Sender<()> {
            let (release, released) = mpsc::channel();
            let (tell, told) = mpsc::channel();
            self.home.spawn(async move {
                tell.send(()).expect("awaited");
                let _released = released.recv();
            });
            told.recv().expect("it runs");
            release
        }
    }

    /// Found by a leak check: a silo's reactor ended after its links, and woke one of them.
    #[test]
    fn a_task_that_is_woken_after_the_end_is_not_kept() {
        let tasks = LinkTasks::new();
        let (tell, told) = mpsc::channel();
        tasks.spawn(Box::pin(poll_fn(move |cx| {
            tell.send(cx.waker().clone()).expect("it is heard");
            Poll::Pending
        })));
        assert!(
            tasks
                .0
                .run(Side::Home, &mut Context::from_waker(Waker::noop()))
                .is_pending()
        );
        let waker = told.recv().expect("it has run");
        tasks.end();
        waker.wake();
        assert!(tasks.0.woken.lock().tasks.is_empty());
        assert_eq!(Arc::strong_count(&tasks.0), 1);
    }

    #[test]
    fn tasks_run_beside_a_blocked_thread_and_come_back_to_it() {
        let mut case = Case::new();
        let home = case.thread().expect("it runs");
        let blocked = case.block();
        // Asked whether it is there, and not heard of; once more if it ran until a moment ago.
        for _ in 0..3 {
            case.keeper.look(false);
        }
        let aside = case.thread().expect("it runs though the thread is blocked");
        assert_ne!(aside, home);
        assert_eq!(case.thread(), Some(aside), "it stays there for now");
        drop(blocked);
        for _ in 0..FIRST_STAY {
            assert_ne!(case.thread(), Some(home), "not before its time");
            case.keeper.look(true);
        }
        // Not while a task runs.
        let mut looks = 0..1_000;
        while case.thread() != Some(home) {
            assert!(looks.next().is_some(), "it does not come back");
            case.keeper.look(true);
        }
    }

    #[test]
    fn a_task_that_panics_ends_no_other() {
        let case = Case::new();
        case.tasks.spawn(Box::pin(async { panic!("as it is to") }));
        assert!(case.thread().is_some());
    }

    #[test]
    fn after_the_end_nothing_runs_and_all_tasks_are_dropped() {
        let case = Case::new();
        assert!(case.thread().is_some());
        case.tasks.end();
        // The poll that answered may not have returned yet.
        let answers = (0..1_000).take_while(|_| case.thread().is_some()).count();
        assert!(answers < 1_000, "it runs on");
        let held = Arc::new(());
        let also = held.clone();
        case.tasks.spawn(Box::pin(async move { drop(also) }));
        assert_eq!(Arc::strong_count(&held), 1);
    }
}

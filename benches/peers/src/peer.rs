//! What a framework has to be able to do to be measured, and the threads it is measured on.

use futures_util::future::BoxFuture;
use std::{
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};
use tokio::sync::{Notify, oneshot};

/// The bound of every mailbox that can be bounded.
pub(crate) const MAILBOX: usize = 1000;

/// What runs beside the actors: gets the peer's world, answers what was measured.
pub(crate) type Job<W, T> = Box<dyn FnOnce(W) -> BoxFuture<'static, T> + Send>;

/// What runs on another thread than the actors: gets the world and what was set up beside the actors.
pub(crate) type FarJob<W, S, T> = Box<dyn FnOnce(W, S) -> BoxFuture<'static, T> + Send>;

/// A job of a closure that answers a future.
pub(crate) fn job<W, T, F>(run: impl FnOnce(W) -> F + Send + 'static) -> Job<W, T>
where
    F: Future<Output = T> + Send + 'static,
{
    Box::new(move |world| Box::pin(run(world)))
}

/// A far job of a closure that answers a future.
pub(crate) fn far_job<W, S, T, F>(run: impl FnOnce(W, S) -> F + Send + 'static) -> FarJob<W, S, T>
where
    F: Future<Output = T> + Send + 'static,
{
    Box::new(move |world, setup| Box::pin(run(world, setup)))
}

/// Where code runs that is on the actors' thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A future of the thread that belongs to no actor.
    Main,
    /// A turn of an actor.
    Turn,
}

/// Where code runs that is not on the actors' thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Far {
    /// A thread of the program.
    Outside,
    /// Another thread that runs actors, if the peer knows such.
    Arbiter,
}

/// A framework that is measured. Its counter counts all it handles.
pub(crate) trait Peer: 'static {
    /// How it is called in the table.
    const NAME: &'static str;

    /// Whether its mailboxes are bounded ([`MAILBOX`]); if not, producers give way every [`MAILBOX`] messages.
    const BOUNDED: bool = true;

    /// Whether an idle actor comes up by its first message, and stays up when nobody refers to it.
    const VIRTUAL: bool = false;

    /// How long after its last work it has given back all memory that it gives back.
    const SETTLES_IN: Duration = Duration::from_millis(100);

    /// Whether messages of one sender are handled in their order.
    const IN_ORDER: bool = true;

    /// Where the producer of one-thread tells runs.
    const PRODUCER: Place = Place::Main;

    /// Whoever makes actors.
    type World: Clone + Send + Sync + 'static;

    /// A reference to a counter.
    type Counter: Clone + Send + Sync + 'static;

    /// A reference to an idle actor: 8 bytes of state and a key of 16.
    type Idle: Clone + Send + Sync + 'static;

    /// Runs `job` on the one thread that runs the actors.
    fn alone<T: Send + 'static>(place: Place, job: Job<Self::World, T>) -> T;

    /// [`Peer::alone`] in a world of its own, which ends with it.
    fn afresh<T: Send + 'static>(place: Place, job: Job<Self::World, T>) -> T {
        Self::alone(place, job)
    }

    /// Runs `setup` on the actors' thread, then each of `jobs` on a thread of its own. The actors' thread is on one core, all
    /// the others are on another.
    fn apart<S, T>(far: Far, setup: Job<Self::World, S>, jobs: Vec<FarJob<Self::World, S, T>>) -> Vec<T>
    where
        S: Clone + Send + 'static,
        T: Send + 'static;

    /// Runs beside what awaits it, on the same thread.
    fn spawn(task: impl Future<Output = ()> + Send + 'static);

    /// The counter of a name; a new one where the peer knows no names.
    fn counter(world: &Self::World, name: &str) -> impl Future<Output = Self::Counter> + Send;

    /// Counts one; waits for room if the mailbox is bounded.
    fn tell(counter: &Self::Counter, value: u64) -> impl Future<Output = ()> + Send;

    /// Counts one, answers the count.
    fn ask(counter: &Self::Counter) -> impl Future<Output = u64> + Send;

    /// Counts one and is busy for a microsecond; `false` if there is no room now.
    fn try_flood(counter: &Self::Counter) -> bool;

    /// Makes two counters know each other.
    fn meet(one: &Self::Counter, other: &Self::Counter) -> impl Future<Output = ()> + Send;

    /// Counts one and sends the ball back, `left` times; then [`RALLY_OVER`].
    fn serve(counter: &Self::Counter, left: u64) -> impl Future<Output = ()> + Send;

    /// An idle actor that has started.
    fn idle(world: &Self::World, key: u64) -> impl Future<Output = Self::Idle> + Send;

    /// A message to an idle actor, which tells [`TOUCHED`].
    fn touch(idle: &Self::Idle) -> impl Future<Output = ()> + Send;
}

/// Asks until the counter has counted `count` and the asks; answers how many these were. One, where messages are handled in
/// their order.
pub(crate) async fn handled<P: Peer>(counter: &P::Counter, count: u64) -> u64 {
    let mut asks = 0;
    loop {
        asks += 1;
        let counted = P::ask(counter).await;
        assert!(counted <= count + asks, "no message was handled twice");
        if counted == count + asks {
            return asks;
        }
        assert!(!P::IN_ORDER, "every message was handled: {counted} of {}", count + asks);
    }
}

/// Wakes whoever waits for the end of a rally.
pub(crate) static RALLY_OVER: Notify = Notify::const_new();

/// Counts what happens in many actors, and wakes whoever waits for a number of it.
pub(crate) struct Tally {
    count: AtomicU64,
    goal: AtomicU64,
    reached: Notify,
}

/// Messages that idle actors have handled.
pub(crate) static TOUCHED: Tally = Tally::new();
/// Idle actors that have started.
pub(crate) static STARTED: Tally = Tally::new();

impl Tally {
    const fn new() -> Self {
        Self {
            count: AtomicU64::new(0),
            goal: AtomicU64::new(u64::MAX),
            reached: Notify::const_new(),
        }
    }

    /// Begins at zero; [`Tally::reached`] is ready at `goal`.
    pub(crate) fn expect(&self, goal: u64) {
        self.count.store(0, Ordering::SeqCst);
        self.goal.store(goal, Ordering::SeqCst);
    }

    /// One more.
    pub(crate) fn up(&self) {
        if self.count.fetch_add(1, Ordering::AcqRel) + 1 == self.goal.load(Ordering::Relaxed) {
            self.reached.notify_one();
        }
    }

    /// Waits for the goal, and checks that it is not surpassed.
    pub(crate) async fn reached(&self) {
        let goal = self.goal.load(Ordering::SeqCst);
        // A wake may be left of an earlier goal that nobody waited for.
        while self.count.load(Ordering::SeqCst) < goal {
            self.reached.notified().await;
        }
        assert_eq!(self.count.load(Ordering::SeqCst), goal, "each was handled once");
    }
}

/// Holds the processor for a microsecond.
pub(crate) fn busy() {
    let start = Instant::now();
    while start.elapsed().as_nanos() < 1000 {
        std::hint::spin_loop();
    }
}

static CORES: LazyLock<Vec<core_affinity::CoreId>> =
    LazyLock::new(|| core_affinity::get_core_ids().unwrap_or_default());

/// The core of the actors' thread, where there are two.
pub(crate) const ACTORS_CORE: usize = 1;
/// The core of all other threads.
pub(crate) const OTHERS_CORE: usize = 0;

/// Pins the thread that calls it. `false`: this machine has one core, or does not let threads be pinned.
pub(crate) fn pin(core: usize) -> bool {
    CORES.len() > 1 && core_affinity::set_for_current(CORES[core])
}

/// A tokio runtime of one thread.
pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime can be made")
}

/// Runs a future to its end on the thread that calls it.
pub(crate) type BlockOn = fn(BoxFuture<'static, ()>);

/// Runs a future on a thread of its own.
pub(crate) fn on_thread<T: Send + 'static>(
    block_on: BlockOn,
    core: Option<usize>,
    future: impl Future<Output = T> + Send + 'static,
) -> thread::JoinHandle<T> {
    thread::spawn(move || {
        if let Some(core) = core {
            pin(core);
        }
        let (tell, told) = mpsc::channel();
        block_on(Box::pin(async move {
            let _gone = tell.send(future.await);
        }));
        told.recv().expect("the future has ended")
    })
}

/// [`Peer::alone`] for a peer that needs no more than a thread's runtime.
pub(crate) fn alone<T: Send + 'static>(block_on: BlockOn, job: Job<(), T>) -> T {
    joined(on_thread(block_on, None, async move { job(()).await }))
}

/// [`Peer::apart`] for a peer that needs no more than a thread's runtime.
pub(crate) fn apart<S, T>(block_on: BlockOn, setup: Job<(), S>, jobs: Vec<FarJob<(), S, T>>) -> Vec<T>
where
    S: Clone + Send + 'static,
    T: Send + 'static,
{
    let (tell, told) = mpsc::channel();
    let (end, ended) = oneshot::channel::<()>();
    let actors = on_thread(block_on, Some(ACTORS_CORE), async move {
        let _gone = tell.send(setup(()).await);
        let _ended = ended.await;
    });
    let setup = told.recv().expect("the actors are set up");
    let results = outside(block_on, &(), &setup, jobs);
    drop(end);
    joined(actors);
    results
}

/// Runs each job on a thread of its own, all on the others' core.
pub(crate) fn outside<W, S, T>(block_on: BlockOn, world: &W, setup: &S, jobs: Vec<FarJob<W, S, T>>) -> Vec<T>
where
    W: Clone + Send + 'static,
    S: Clone + Send + 'static,
    T: Send + 'static,
{
    let start = |job: FarJob<W, S, T>| {
        let (world, setup) = (world.clone(), setup.clone());
        on_thread(block_on, Some(OTHERS_CORE), async move { job(world, setup).await })
    };
    let threads: Vec<_> = jobs.into_iter().map(start).collect();
    threads.into_iter().map(joined).collect()
}

fn joined<T>(thread: thread::JoinHandle<T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

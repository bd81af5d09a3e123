//! Quark through its public API: silos on memory stores with the default mailbox (1000) and activity tracking, messages and
//! actors with derives, `async fn` handlers.
//!
//! Code that is to run on the thread of actors is carried there by a driver actor: in its turn, or in a task of the arbiter
//! that the turn starts. Threads are pinned by turns, which is the only way to reach them.

use crate::peer::{self, Far, FarJob, Job, MAILBOX, Peer, Place, RALLY_OVER, STARTED, TOUCHED};
use ::quark::{
    prelude::*,
    silo::{Silo, SiloHandle, SiloOptions},
};
use futures_util::future::BoxFuture;
use std::{
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

/// Quark, whose workers look for work for so many microseconds before they park.
pub(crate) struct Spinning<const MICROS: u64>;

/// Quark with its defaults.
pub(crate) type Quark = Spinning<0>;

#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Counter {
    count: u64,
    #[serde(skip)]
    other: Option<ActorRef<Self>>,
}

#[actor(kind = "counter", messages(Tell, Ask, Flood, Meet, Ball, Where))]
impl Actor for Counter {}

#[derive(Message, Serialize, Deserialize)]
#[message(name = "counter.tell")]
struct Tell(u64);

impl Handler<Tell> for Counter {
    async fn handle(&mut self, Tell(value): Tell, _: &mut Context<Self>) {
        self.count += 1;
        std::hint::black_box(value);
    }
}

#[derive(Message, Serialize, Deserialize)]
#[message(name = "counter.ask", reply = u64)]
struct Ask;

impl Handler<Ask> for Counter {
    async fn handle(&mut self, _: Ask, _: &mut Context<Self>) -> u64 {
        self.count += 1;
        self.count
    }
}

#[derive(Message, Serialize, Deserialize)]
#[message(name = "counter.flood")]
struct Flood;

impl Handler<Flood> for Counter {
    async fn handle(&mut self, _: Flood, _: &mut Context<Self>) {
        self.count += 1;
        peer::busy();
    }
}

/// The key of the other.
#[derive(Message, Serialize, Deserialize)]
#[message(name = "counter.meet", reply = ())]
struct Meet(String);

impl Handler<Meet> for Counter {
    async fn handle(&mut self, Meet(other): Meet, ctx: &mut Context<Self>) {
        self.other = Some(ctx.actor(&other));
    }
}

#[derive(Message, Serialize, Deserialize)]
#[message(name = "counter.ball")]
struct Ball(u64);

impl Handler<Ball> for Counter {
    async fn handle(&mut self, Ball(left): Ball, _: &mut Context<Self>) {
        self.count += 1;
        match (left, &self.other) {
            (0, _) => RALLY_OVER.notify_one(),
            (_, other) => {
                let other = other.as_ref().expect("they have met");
                other.tell(Ball(left - 1)).await.expect("it is delivered");
            }
        }
    }
}

/// On which thread it runs.
#[derive(Message, Serialize, Deserialize)]
#[message(name = "counter.where", reply = String)]
struct Where;

impl Handler<Where> for Counter {
    async fn handle(&mut self, _: Where, _: &mut Context<Self>) -> String {
        format!("{:?}", thread::current().id())
    }
}

/// Carries code to its arbiter.
#[derive(Default, Serialize, Deserialize)]
struct Driver;

#[actor(kind = "driver", messages(Run))]
impl Actor for Driver {}

#[derive(Message, Serialize, Deserialize)]
#[message(name = "driver.run")]
struct Run {
    /// Does not travel: the driver is in this process.
    #[serde(skip)]
    job: Option<BoxFuture<'static, ()>>,
    in_turn: bool,
}

impl Handler<Run> for Driver {
    async fn handle(&mut self, run: Run, _: &mut Context<Self>) {
        let job = run.job.expect("the driver is in this process");
        if run.in_turn {
            job.await;
        } else {
            actix_rt::spawn(job);
        }
    }
}

#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Idle {
    count: u64,
}

#[actor(kind = "idle", messages(Touch))]
impl Actor for Idle {
    async fn on_activate(&mut self, _: &mut Context<Self>) -> Result<(), ActivationError> {
        STARTED.up();
        Ok(())
    }
}

#[derive(Message, Serialize, Deserialize)]
#[message(name = "idle.touch")]
struct Touch;

impl Handler<Touch> for Idle {
    async fn handle(&mut self, _: Touch, _: &mut Context<Self>) {
        self.count += 1;
        TOUCHED.up();
    }
}

/// A silo, and a driver on the worker that is meant.
#[derive(Clone)]
pub(crate) struct World {
    silo: SiloHandle,
    driver: ActorRef<Driver>,
    /// The thread whose counters are wanted; any, if there is one worker.
    thread: Option<String>,
}

/// A counter and its key.
#[derive(Clone)]
pub(crate) struct Counting {
    actor: ActorRef<Counter>,
    key: String,
}

fn runs_on() -> String {
    format!("{:?}", thread::current().id())
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    peer::runtime().block_on(future)
}

fn start(workers: usize, spin: Duration) -> SiloHandle {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let name = format!("bench-{}", LAST.fetch_add(1, Ordering::Relaxed));
    let options = SiloOptions {
        store: format!("memory:{name}"),
        cluster: name.clone(),
        name,
        workers,
        spin,
        mailbox_capacity: MAILBOX,
        handle_signals: false,
        ..SiloOptions::default()
    };
    block_on(Silo::builder().options(options).start()).expect("the silo starts")
}

impl World {
    fn new(silo: &SiloHandle, driver: &str) -> Self {
        Self {
            silo: silo.clone(),
            driver: silo.actor(driver),
            thread: None,
        }
    }

    /// Runs a future on the driver's thread and waits for its end.
    fn run<T: Send + 'static>(&self, place: Place, future: impl Future<Output = T> + Send + 'static) -> T {
        let (tell, told) = mpsc::channel();
        let job = async move {
            let _gone = tell.send(future.await);
        };
        let run = Run {
            job: Some(Box::pin(job)),
            in_turn: place == Place::Turn,
        };
        block_on(self.driver.tell(run)).expect("the driver runs");
        told.recv().expect("the job has ended")
    }

    fn job<T: Send + 'static>(&self, place: Place, job: Job<Self, T>) -> T {
        self.run(place, job(self.clone()))
    }

    /// This world with its thread pinned; its counters are of that thread.
    fn pinned(mut self, core: usize) -> Self {
        let pin = async move {
            peer::pin(core);
            runs_on()
        };
        self.thread = Some(self.run(Place::Turn, pin));
        self
    }
}

/// One worker.
fn one() -> &'static World {
    static ONE: OnceLock<World> = OnceLock::new();
    ONE.get_or_init(|| World::new(&start(1, Duration::ZERO), "driver"))
}

/// One worker, pinned.
fn one_pinned() -> &'static World {
    static ONE: OnceLock<World> = OnceLock::new();
    ONE.get_or_init(|| World::new(&start(1, Duration::ZERO), "driver").pinned(peer::ACTORS_CORE))
}

/// Two workers, pinned: that of the actors, and the other.
fn two_pinned(spin: Duration) -> &'static (World, World) {
    static TWO: OnceLock<(World, World)> = OnceLock::new();
    static TWO_SPINNING: OnceLock<(World, World)> = OnceLock::new();
    let two = if spin.is_zero() { &TWO } else { &TWO_SPINNING };
    two.get_or_init(|| {
        let silo = start(2, spin);
        let actors = World::new(&silo, "driver-0").pinned(peer::ACTORS_CORE);
        let mut others = (1..100).map(|number| World::new(&silo, &format!("driver-{number}")));
        let is_other = |world: &World| Some(world.run(Place::Turn, async { runs_on() })) != actors.thread;
        let other = others.find(is_other).expect("two workers have drivers");
        (actors, other.pinned(peer::OTHERS_CORE))
    })
}

impl<const MICROS: u64> Peer for Spinning<MICROS> {
    const NAME: &'static str = if MICROS == 0 { "quark" } else { "quark, spin" };
    const VIRTUAL: bool = true;
    const PRODUCER: Place = Place::Turn;
    const SETTLES_IN: Duration = Duration::from_millis(2500); // its lines are swept every second

    type World = World;
    type Counter = Counting;
    type Idle = ActorRef<Idle>;

    fn alone<T: Send + 'static>(place: Place, job: Job<World, T>) -> T {
        one().job(place, job)
    }

    fn afresh<T: Send + 'static>(place: Place, job: Job<World, T>) -> T {
        let silo = start(1, Duration::ZERO);
        let result = World::new(&silo, "driver").job(place, job);
        // A crowd may take longer than the shutdown timeout, and is stopped by force then.
        let _in_order = block_on(silo.stop());
        result
    }

    fn apart<S, T>(far: Far, setup: Job<World, S>, mut jobs: Vec<FarJob<World, S, T>>) -> Vec<T>
    where
        S: Clone + Send + 'static,
        T: Send + 'static,
    {
        match far {
            Far::Outside => {
                let world = one_pinned();
                let setup = world.job(Place::Main, setup);
                peer::outside(|job| peer::runtime().block_on(job), world, &setup, jobs)
            }
            Far::Arbiter => {
                let (actors, others) = two_pinned(Duration::from_micros(MICROS));
                let setup = actors.job(Place::Main, setup);
                let job = jobs.pop().expect("a job");
                assert!(jobs.is_empty(), "the other arbiter runs one job");
                vec![others.run(Place::Main, job(others.clone(), setup))]
            }
        }
    }

    fn spawn(task: impl Future<Output = ()> + Send + 'static) {
        actix_rt::spawn(task);
    }

    async fn counter(world: &World, name: &str) -> Counting {
        for number in 0..100 {
            let key = format!("{name}-{number}");
            let actor = world.silo.actor(&key);
            let thread = actor.ask(Where).await.expect("it is answered");
            if world.thread.as_ref().is_none_or(|wanted| *wanted == thread) {
                return Counting { actor, key };
            }
        }
        panic!("no counter comes up on the wanted thread");
    }

    async fn tell(counter: &Counting, value: u64) {
        counter.actor.tell(Tell(value)).await.expect("it is delivered");
    }

    async fn ask(counter: &Counting) -> u64 {
        counter.actor.ask(Ask).await.expect("it is answered")
    }

    fn try_flood(counter: &Counting) -> bool {
        counter.actor.try_tell(Flood).is_ok()
    }

    async fn meet(one: &Counting, other: &Counting) {
        for (one, other) in [(one, other), (other, one)] {
            let met = one.actor.ask(Meet(other.key.clone())).await;
            met.expect("it is answered");
        }
    }

    async fn serve(counter: &Counting, left: u64) {
        counter.actor.tell(Ball(left)).await.expect("it is delivered");
    }

    async fn idle(world: &World, key: u64) -> Self::Idle {
        let mut digits = [b'0'; 16];
        let mut rest = key;
        for digit in digits.iter_mut().rev() {
            *digit = b"0123456789abcdef"[(rest % 16) as usize];
            rest /= 16;
        }
        world.silo.actor(std::str::from_utf8(&digits).expect("digits are text"))
    }

    async fn touch(idle: &Self::Idle) {
        idle.tell(Touch).await.expect("it is delivered");
    }
}

//! The simulation: owns the processes, and runs one after the other on this thread until none has anything to do; then it is later.

use super::{
    host::Host,
    world::{Departure, Order, Program, World, address},
};
use crate::{
    chance::Seeded,
    faults::{self, Fate, Faults},
    ident::ActorId,
    runtime::{BlockingPool, WorkerPlace},
    silo::{Ground, SiloBuilder, SiloOptions, serve},
    store::Store as _,
    transport::CarriedTransport,
};
use futures_util::FutureExt;
use std::{
    cell::RefCell,
    collections::BTreeMap,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Waker},
    time::Duration,
};
use tokio::{sync::oneshot, task::LocalSet};

/// So often processes may run without time passing: more is a loop that never ends.
const MAX_POLLS: u64 = 5_000_000;

thread_local! {
    /// The world of this thread and the process that runs now.
    static HERE: RefCell<Option<(World, Arc<Host>)>> = const { RefCell::new(None) };
}

/// The process of the simulation that runs now; `None` outside of one.
pub fn here() -> Option<String> {
    HERE.with_borrow(|here| here.as_ref().map(|(_, host)| host.name.to_string()))
}

/// Writes something into the trace of the simulation, as the process that runs now. Nothing outside of one.
pub fn note(what: &str) {
    with_living(|world, host| world.event(&host.name, what, ""));
}

/// Writes something about an actor into the trace of the simulation, as the process that runs now.
pub fn note_of(actor: &ActorId, what: &str) {
    with_living(|world, host| world.0.trace.add(&host.name, Some(actor), what, ""));
}

/// The world, if this thread simulates and the process that runs now lives: what a process does within the step in which it crashes
/// has no effect.
pub fn living() -> Option<World> {
    with_living(|world, _| world.clone())
}

fn with_living<T>(run: impl FnOnce(&World, &Arc<Host>) -> T) -> Option<T> {
    HERE.with_borrow(|here| {
        let (world, host) = here.as_ref().filter(|(_, host)| !host.is_severed())?;
        Some(run(world, host))
    })
}

/// A simulation of a cluster: all of its processes, on this thread, as its seed decides.
pub struct Sim {
    world: World,
    processes: BTreeMap<usize, Process>,
}

/// A scenario that did not come to its end in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the scenario has not ended after {limit:?} of simulated time")]
#[non_exhaustive]
pub struct TimeUp {
    /// The time that it had.
    pub limit: Duration,
}

struct Process {
    host: Arc<Host>,
    waker: Waker,
    tasks: LocalSet,
}

/// What the simulation does where Quark's own code asks.
struct Hooks {
    world: World,
}

impl Hooks {
    fn step(&self, step: &'static str) {
        let Some(host) = with_living(|_, host| host.clone()) else {
            return;
        };
        self.world.0.trace.step(step);
        let faults = self.world.0.state.lock().step_faults.clone();
        if let Some(faults) = faults {
            faults.at(&self.world, step, &host.name);
        }
    }
}

impl Faults for Hooks {
    fn reached(&self, step: &'static str, actor: &ActorId) {
        with_living(|world, host| world.0.trace.add(&host.name, Some(actor), step, ""));
        self.step(step);
    }

    fn fate(&self, frame: &'static str) -> Fate {
        let state = self.world.0.state.lock();
        let broken = |rule| state.broken.contains(rule);
        match frame {
            "forward" if broken("drop a forward") && self.world.happens(300) => Fate::Dropped,
            "call" if broken("send a call twice") && self.world.happens(100) => Fate::Repeated,
            "call" if broken("let a call be overtaken") && self.world.happens(300) => Fate::Overtaken,
            "forward" if broken("let a forward be overtaken") && self.world.happens(500) => Fate::Overtaken,
            "reply" if broken("drop a reply") && self.world.happens(50) => Fate::Dropped,
            "bounce" if broken("drop a bounce") && self.world.happens(300) => Fate::Dropped,
            "fenced" if broken("drop a fenced") && self.world.happens(300) => Fate::Dropped,
            _ => Fate::Sent,
        }
    }

    fn sends(&self, frame: &'static str, actor: Option<&ActorId>) {
        with_living(|world, host| {
            let actor = actor.map(|actor| actor as &dyn std::fmt::Display);
            world.0.trace.add(&host.name, actor, "sends", frame);
        });
    }

    fn stepped(&self, step: &'static str) {
        with_living(|world, host| world.event(&host.name, step, ""));
        self.step(step);
    }

    fn is_broken(&self, rule: &'static str) -> bool {
        self.world.0.state.lock().broken.contains(rule)
    }
}

impl Sim {
    /// An empty world: a network, a store, and nobody in it.
    pub fn new(seed: u64) -> Self {
        let mut sim = Self {
            world: World::new(seed),
            processes: BTreeMap::new(),
        };
        sim.obey();
        sim
    }

    /// The world.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// Names a program that silos can run. What it says of name, cluster, store, network and threads is the simulation's to say.
    pub fn program(&mut self, name: &str, program: impl Fn() -> SiloBuilder + Send + Sync + 'static) {
        self.world.program(name, program);
    }

    /// Runs a scenario, and all processes with it, until it has ended.
    ///
    /// # Errors
    /// [`TimeUp`]: it has not ended within `limit` of simulated time.
    ///
    /// # Panics
    /// If the scenario does, or the processes never come to rest.
    pub fn run<T: 'static>(
        &mut self,
        limit: Duration,
        scenario: impl AsyncFnOnce(World) -> T + 'static,
    ) -> Result<T, TimeUp> {
        let ended: Rc<RefCell<Option<std::thread::Result<T>>>> = Rc::default();
        let tell = ended.clone();
        let world = self.world.clone();
        let sim = self
            .processes
            .get(&0)
            .expect("invariant: the world's own process is there");
        sim.tasks.spawn_local(async move {
            let run = std::panic::AssertUnwindSafe(scenario(world)).catch_unwind().await;
            *tell.borrow_mut() = Some(run);
        });
        self.world.0.runnable.add(0);
        let end = self.world.now() + limit;
        self.turn_until(end, || ended.borrow().is_some());
        let ran = ended.borrow_mut().take();
        match ran {
            Some(Ok(value)) => Ok(value),
            Some(Err(panic)) => std::panic::resume_unwind(panic),
            None => Err(TimeUp { limit }),
        }
    }

    /// Lets the world go on for so long.
    pub fn pass(&mut self, time: Duration) {
        let end = self.world.now() + time;
        self.turn_until(end, || false);
    }

    fn turn_until(&mut self, end: Duration, is_over: impl Fn() -> bool) {
        let _seeded = Seeded::begin(&self.world.0.dice);
        let hooks = Hooks {
            world: self.world.clone(),
        };
        let _faults = faults::Simulated::begin(Rc::new(hooks));
        let end = u64::try_from(end.as_nanos()).unwrap_or(u64::MAX);
        loop {
            self.settle();
            if is_over() {
                return;
            }
            let living = |process: &&Process| !process.host.is_paused();
            let next = self
                .processes
                .values()
                .filter(living)
                .filter_map(|process| process.host.hands.next());
            match next.min().filter(|next| *next <= end) {
                Some(next) => self.world.0.time.set(next),
                None => return self.world.0.time.set(end),
            }
            let now = self.world.0.time.now();
            for process in self.processes.values().filter(living) {
                if process.host.hands.next().is_some_and(|next| next <= now) {
                    process.host.hands.fire();
                }
            }
        }
    }

    /// Runs what can run now.
    fn settle(&mut self) {
        let mut polls = 0;
        while let Some(number) = self.world.0.runnable.take(&self.world.0.dice) {
            self.poll(number);
            self.obey();
            polls += 1;
            assert!(
                polls < MAX_POLLS,
                "process {number} never comes to rest at {:?}",
                self.world.now()
            );
        }
    }

    fn poll(&mut self, number: usize) {
        let Some(process) = self.processes.get_mut(&number) else {
            return;
        };
        if process.host.is_paused() || process.host.is_severed() {
            return;
        }
        let _here = Here::set(&self.world, &process.host);
        for task in process.host.take_wanted() {
            process.tasks.spawn_local(task);
        }
        let _ended = Pin::new(&mut process.tasks).poll(&mut Context::from_waker(&process.waker));
    }

    fn obey(&mut self) {
        loop {
            let order = self.world.0.orders.lock().pop_front();
            match order {
                None => return,
                Some(Order::Add(host)) => self.add(host),
                Some(Order::Start { host, program }) => {
                    self.add(host.clone());
                    self.start(&host, &program);
                }
                Some(Order::Remove(number)) => {
                    if let Some(process) = self.processes.remove(&number) {
                        let _here = Here::set(&self.world, &process.host);
                        drop(process.host.take_wanted());
                        drop(process.tasks);
                    }
                }
            }
        }
    }

    fn add(&mut self, host: Arc<Host>) {
        let process = Process {
            waker: host.clone().into(),
            tasks: LocalSet::new(),
            host,
        };
        self.processes.insert(process.host.number, process);
    }

    fn start(&mut self, host: &Arc<Host>, program: &Program) {
        let (world, host) = (self.world.clone(), host.clone());
        let ready = program().ready();
        let process = self.processes.get(&host.number).expect("invariant: it was just added");
        self.world.0.runnable.add(host.number);
        process.tasks.spawn_local(async move {
            let ended = match ready {
                Ok((options, registry)) => {
                    let (tell, told) = oneshot::channel();
                    let options = SiloOptions {
                        name: host.name.to_string(),
                        cluster: "quark".into(),
                        listen: address(&host.name),
                        advertise: None,
                        handle_signals: false,
                        spin: Duration::ZERO,
                        ..options
                    };
                    let ground = ground(&world, &host, options.workers);
                    let serves = serve(options, registry, Ok(ground), async {}, tell);
                    let knows = async {
                        let handle = match told.await {
                            Ok(Ok(handle)) => handle,
                            Ok(Err(error)) => return format!("did not start: {error}"),
                            Err(_) => return "did not start".to_owned(),
                        };
                        world.event(&host.name, "is active", "");
                        if let Some(running) = world.0.state.lock().silos.get_mut(&host.name) {
                            running.handle = Some(handle.clone());
                        }
                        match handle.run_until_shutdown().await {
                            Ok(report) => {
                                let left = format!("has left in {} ms", report.took_ms);
                                // The memory store answers at once.
                                let owned = world.tables().owned_by(&report.silo).now_or_never();
                                let owned = owned.and_then(Result::ok).unwrap_or_default();
                                let departure = Departure { report, owned };
                                world.0.state.lock().departed.push(departure);
                                left
                            }
                            Err(error) => format!("ended: {error}"),
                        }
                    };
                    futures_util::future::join(serves, knows).await.1
                }
                Err(error) => format!("did not start: {error}"),
            };
            world.event(&host.name, &ended, "");
            let known = world.0.state.lock().hosts.get(&host.name).map(|known| known.number);
            if known == Some(host.number) {
                drop(world.forget(&host.name));
                host.sever();
                world.0.network.forget(&host, false);
                world.0.orders.lock().push_back(Order::Remove(host.number));
            }
        });
    }
}

/// A silo's ground in the world.
fn ground(world: &World, host: &Arc<Host>, workers: usize) -> Ground {
    let spawner = host.clone();
    let place: WorkerPlace = Arc::new(|worker| {
        // On the thread of the simulation, as a task of the silo's process: a silo starts its workers itself.
        tokio::task::spawn_local(worker.run_apart());
    });
    let (network, at, clock) = (world.0.network.clone(), host.clone(), host.clock.clone());
    Ground {
        clock: host.clock.clone(),
        store: world.0.store.of(host),
        spawn: Arc::new(move |task| spawner.spawn_boxed(task)),
        workers: (0..workers).map(|_| place.clone()).collect(),
        blocking: BlockingPool::at_once(),
        transport: Box::new(move |end| {
            let transport = CarriedTransport::new(network.carrier(&at), end, clock);
            async move { Ok(Arc::new(transport) as Arc<_>) }.boxed()
        }),
    }
}

/// While it lives, this process runs.
struct Here(Option<(World, Arc<Host>)>);

impl Here {
    fn set(world: &World, host: &Arc<Host>) -> Self {
        Self(HERE.replace(Some((world.clone(), host.clone()))))
    }
}

impl Drop for Here {
    fn drop(&mut self) {
        HERE.set(self.0.take());
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        // What its processes still do when they are dropped happens in no world.
        for process in self.processes.values() {
            process.host.sever();
        }
        let _seeded = Seeded::begin(&self.world.0.dice);
        self.processes.clear();
        let mut state = self.world.0.state.lock();
        let silos = std::mem::take(&mut state.silos);
        let hosts = std::mem::take(&mut state.hosts);
        let faults = state.step_faults.take();
        drop(state);
        drop((silos, hosts, faults));
        self.world.0.orders.lock().clear();
    }
}

impl std::fmt::Debug for Sim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sim")
            .field("world", &self.world)
            .finish_non_exhaustive()
    }
}

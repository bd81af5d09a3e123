//! The world as a scenario and its faults see it: what there is, and what can be done to it.

use super::{
    Event, FaultPlan, Fleet, NetworkOptions, OwnerChange, Saved, StoreOptions,
    host::{Host, Runnable},
    network::Network,
    plan::StepFaults,
    store::{self, Way},
    trace::Trace,
};
use crate::{
    chance::Dice,
    client::{Client, ClientBuilder, ConnectError},
    clock::{Clock, Sleep, WorldTime},
    ident::ActorId,
    silo::{SiloBuilder, SiloHandle},
    transport::CarriedTransport,
    wire::ShutdownReport,
};
use futures_util::FutureExt;
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt,
    sync::Arc,
    time::Duration,
};
use tokio::sync::oneshot;

/// Makes the builder of a silo: the program that it runs.
pub(super) type Program = Arc<dyn Fn() -> SiloBuilder + Send + Sync>;

/// What the owner of the processes is to do, as nobody else can.
pub(super) enum Order {
    /// Make a silo's process and start it.
    Start { host: Arc<Host>, program: Program },
    /// Make a process that runs tasks alone.
    Add(Arc<Host>),
    /// Take a process away.
    Remove(usize),
}

/// The world of a simulation. Cheap to clone; clones are the same world.
#[derive(Clone)]
pub struct World(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) time: WorldTime,
    pub(super) runnable: Runnable,
    pub(super) dice: Dice,
    pub(super) network: Network,
    pub(super) store: Arc<store::Shared>,
    pub(super) trace: Arc<Trace>,
    /// The world's own process: what is right by its clock is.
    pub(super) sim: Arc<Host>,
    pub(super) orders: Mutex<VecDeque<Order>>,
    pub(super) state: Mutex<State>,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) programs: BTreeMap<String, Program>,
    /// The processes that there are, by name.
    pub(super) hosts: BTreeMap<Arc<str>, Arc<Host>>,
    pub(super) silos: BTreeMap<Arc<str>, Running>,
    pub(super) next: usize,
    pub(super) departed: Vec<Departure>,
    pub(super) ends: Vec<(Arc<str>, Duration)>,
    /// What hits silos within steps.
    pub(super) step_faults: Option<Arc<StepFaults>>,
    /// The rules that are broken on purpose.
    pub(super) broken: BTreeSet<&'static str>,
}

/// A silo of the simulation.
#[derive(Clone)]
pub(super) struct Running {
    pub(super) program: String,
    /// Once it is Active.
    pub(super) handle: Option<SiloHandle>,
    pub(super) leaves: bool,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let (time, runnable, dice) = (WorldTime::default(), Runnable::default(), Dice::new(seed));
        let sim = Host::new("sim", 0, &time, &runnable);
        let store_host = Host::new("store", 1, &time, &runnable);
        let trace = Arc::new(Trace::new(&time));
        let network = Network::new(&time, &sim.clock, dice.split());
        let store = store::Shared::new(&store_host, &network, dice.split(), &trace);
        Self(Arc::new(Inner {
            time,
            runnable,
            network,
            store,
            trace,
            sim: sim.clone(),
            orders: Mutex::new([Order::Add(sim), Order::Add(store_host)].into()),
            state: Mutex::new(State {
                next: 2,
                ..State::default()
            }),
            dice,
        }))
    }

    /// How long the simulation has run, by its own time.
    pub fn now(&self) -> Duration {
        Duration::from_nanos(self.0.time.now())
    }

    /// Waits, by the time of the world.
    pub fn sleep(&self, time: Duration) -> Sleep {
        self.clock().sleep(time)
    }

    /// The clock that is right.
    pub fn clock(&self) -> &Clock {
        &self.0.sim.clock
    }

    /// A number below `end` that the seed decides.
    pub fn below(&self, end: u64) -> u64 {
        self.0.dice.below(end)
    }

    /// The processes that have ended, in whatever way, in that order, and when.
    pub fn ends(&self) -> Vec<(Arc<str>, Duration)> {
        self.0.state.lock().ends.clone()
    }

    /// The silos that have left in order, in that order.
    pub fn departures(&self) -> Vec<Departure> {
        self.0.state.lock().departed.clone()
    }

    /// What a silo that is Active still holds.
    pub fn leftovers(&self, silo: &str) -> Option<Leftovers> {
        let (actors, passing_on, asks) = self.silo(silo)?.leftovers();
        Some(Leftovers {
            actors,
            passing_on,
            asks,
        })
    }

    /// Whether something happens that does so in `permille` of 1000 cases.
    pub fn happens(&self, permille: u64) -> bool {
        self.0.dice.happens(permille)
    }

    /// Names a program that silos can run.
    pub(super) fn program(&self, name: &str, program: impl Fn() -> SiloBuilder + Send + Sync + 'static) {
        self.0.state.lock().programs.insert(name.to_owned(), Arc::new(program));
    }

    fn host(&self, name: &str) -> Arc<Host> {
        let mut state = self.0.state.lock();
        let number = state.next;
        state.next += 1;
        let host = Host::new(name, number, &self.0.time, &self.0.runnable);
        state.hosts.insert(host.name.clone(), host.clone());
        host
    }

    /// Starts a silo of this name that runs this program. Its name must be free.
    ///
    /// # Panics
    /// If it is not, or there is no such program.
    pub fn start(&self, silo: &str, program: &str) {
        let made = self.0.state.lock().programs.get(program).cloned();
        let made = made.unwrap_or_else(|| panic!("there is no program {program:?}"));
        assert!(
            !self.0.state.lock().hosts.contains_key(silo),
            "there is a process {silo:?}"
        );
        let host = self.host(silo);
        let running = Running {
            program: program.to_owned(),
            handle: None,
            leaves: false,
        };
        self.0.state.lock().silos.insert(host.name.clone(), running);
        self.event(&host.name, "starts as", program);
        self.0.orders.lock().push_back(Order::Start { host, program: made });
    }

    /// The silos that there are, also those that have not joined yet or stand still.
    pub fn silos(&self) -> Vec<String> {
        self.0.state.lock().silos.keys().map(ToString::to_string).collect()
    }

    /// The program that a silo runs.
    pub fn program_of(&self, silo: &str) -> Option<String> {
        Some(self.0.state.lock().silos.get(silo)?.program.clone())
    }

    /// The handle of a silo that is Active. Whatever is called on it is called from outside: see [`World::on`].
    pub fn silo(&self, silo: &str) -> Option<SiloHandle> {
        self.0.state.lock().silos.get(silo)?.handle.clone()
    }

    /// Has a silo's process run something, if the silo is Active and is not told to leave. `false`: it is not.
    pub fn on<F>(&self, silo: &str, run: impl FnOnce(SiloHandle) -> F) -> bool
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let found = {
            let state = self.0.state.lock();
            let running = state.silos.get(silo).filter(|running| !running.leaves);
            running
                .and_then(|running| running.handle.clone())
                .zip(state.hosts.get(silo).cloned())
        };
        match found {
            Some((handle, host)) => {
                host.spawn(run(handle));
                true
            }
            None => false,
        }
    }

    /// A process that is a client, and what connects it.
    pub fn client(&self, name: &str) -> ClientProcess {
        let host = self.host(name);
        self.0.orders.lock().push_back(Order::Add(host.clone()));
        ClientProcess {
            world: self.clone(),
            host,
        }
    }

    /// The process ends at once, within whatever it does: nothing that it does from now on reaches anybody. Its machine works on,
    /// and tells those it was connected with.
    pub fn crash(&self, process: &str) {
        self.end(process, "crashes", false);
    }

    /// The machine of a process ends at once: those it was connected with find out after a minute.
    pub fn unplug(&self, process: &str) {
        self.end(process, "loses its machine", true);
    }

    fn end(&self, process: &str, what: &str, silently: bool) {
        let (host, _silo) = self.forget(process);
        if let Some(host) = host {
            self.event(&host.name, what, "");
            host.sever();
            self.0.network.forget(&host, silently);
            self.0.orders.lock().push_back(Order::Remove(host.number));
        }
    }

    /// There is no process of this name any more. What is answered is not to be dropped under a lock.
    pub(super) fn forget(&self, process: &str) -> (Option<Arc<Host>>, Option<Running>) {
        let now = self.now();
        let mut state = self.0.state.lock();
        let host = state.hosts.remove(process);
        state.ends.extend(host.iter().map(|host| (host.name.clone(), now)));
        (host, state.silos.remove(process))
    }

    /// The process stands still, while time goes on.
    pub fn pause(&self, process: &str) {
        if let Some(host) = self.known(process) {
            self.event(&host.name, "stands still", "");
            host.pause(true);
        }
    }

    /// The process goes on.
    pub fn resume(&self, process: &str) {
        if let Some(host) = self.known(process)
            && host.is_paused()
        {
            self.event(&host.name, "goes on", "");
            host.pause(false);
        }
    }

    /// Whether the process stands still.
    pub fn is_paused(&self, process: &str) -> bool {
        self.known(process).is_some_and(|host| host.is_paused())
    }

    fn known(&self, process: &str) -> Option<Arc<Host>> {
        self.0.state.lock().hosts.get(process).cloned()
    }

    /// A silo is told to leave, as by SIGTERM. `false`: it is not Active, or was told before.
    pub fn leave(&self, silo: &str) -> bool {
        let told = self.on(silo, |handle| async move {
            // It is told of where all ends of silos are.
            let _report = handle.stop().await;
        });
        if told && let Some(running) = self.0.state.lock().silos.get_mut(silo) {
            running.leaves = true;
        }
        told
    }

    /// A process's clock runs so many millionths faster than the world.
    pub fn drift(&self, process: &str, ppm: i64) {
        if let Some(host) = self.known(process) {
            self.event(&host.name, "its clock drifts by", &format!("{ppm} ppm"));
            host.hands.drift(ppm);
        }
    }

    /// A process's wall time jumps; its monotonic time does not.
    pub fn jump_wall(&self, process: &str, micros: i64) {
        if let Some(host) = self.known(process) {
            self.event(&host.name, "its wall clock jumps by", &format!("{micros} us"));
            host.hands.jump_wall(micros);
        }
    }

    /// How the network does from now on.
    pub fn network(&self, options: NetworkOptions) {
        self.0.network.set(options);
    }

    /// How the store does from now on. As a process it is called `store`.
    pub fn store(&self, options: StoreOptions) {
        if options.is_away {
            self.event(&self.0.sim.name, "the store is away", "");
        }
        self.0.store.set(options);
    }

    /// From now on the store will know nothing of what is done after the next [`World::fail_over`].
    pub fn fall_behind(&self) {
        self.0.store.fall_behind();
    }

    /// The store forgets what was done since [`World::fall_behind`].
    pub fn fail_over(&self) {
        self.event(&self.0.sim.name, "the store fails over", "");
        self.0.store.fail_over();
    }

    /// The store's copies know all that it does: nothing of it is lost any more.
    pub fn catch_up(&self) {
        self.0.store.catch_up();
    }

    /// From when until when what the store did is forgotten, by its failovers.
    pub fn lost_writes(&self) -> Vec<(Duration, Duration)> {
        self.0.store.ledger(|ledger| ledger.lost.clone())
    }

    /// The membership tables that there were, one for each change, in order, and from when on.
    pub fn membership(&self) -> Vec<(Duration, crate::store::MembershipTable)> {
        self.0.store.ledger(|ledger| ledger.tables.clone())
    }

    /// The changes of owners that the store has made, in order.
    pub fn owner_changes(&self) -> Vec<OwnerChange> {
        self.0.store.ledger(|ledger| ledger.owners.clone())
    }

    /// The states that the store has saved, in order.
    pub fn saves(&self) -> Vec<Saved> {
        self.0.store.ledger(|ledger| ledger.saves.clone())
    }

    /// What a process asks of the store from now on is held up for `time` and done then, all at once, as by a network that sends
    /// again what was lost. What the process gave up meanwhile is done too.
    pub fn hold_requests(&self, process: &str, time: Duration) {
        self.event(&self.0.sim.name, "held up are requests of", process);
        self.0.store.hold(&process.into(), Way::There, time);
    }

    /// What the store answers a process from now on is held up for `time`.
    pub fn hold_answers(&self, process: &str, time: Duration) {
        self.event(&self.0.sim.name, "held up are answers to", process);
        self.0.store.hold(&process.into(), Way::Back, time);
    }

    /// What the store holds, looked at without a word on the network.
    pub fn tables(&self) -> &crate::store::MemoryStore {
        self.0.store.tables()
    }

    /// Nothing goes from one process to another any more.
    pub fn part(&self, from: &str, to: &str) {
        self.event(&self.0.sim.name, "nothing goes from", &format!("{from} to {to}"));
        self.0.network.part(from, to);
    }

    /// Everything goes everywhere again.
    pub fn heal(&self) {
        self.event(&self.0.sim.name, "the network is whole", "");
        self.0.network.heal();
        self.0.store.let_go();
    }

    /// The processes that there are: silos and clients.
    pub fn processes(&self) -> Vec<String> {
        self.0.state.lock().hosts.keys().map(ToString::to_string).collect()
    }

    /// All streams between two processes break.
    pub fn cut(&self, one: &str, other: &str) {
        self.event(&self.0.sim.name, "streams break between", &format!("{one} and {other}"));
        self.0.network.cut(one, other);
    }

    /// From now on silos of the fleet are hit within steps of moves, membership and leaving, as the plan says.
    pub fn hit_steps(&self, plan: &FaultPlan, fleet: &Fleet) {
        self.0.state.lock().step_faults = Some(Arc::new(StepFaults::new(plan, fleet)));
    }

    /// No step is hit any more.
    pub fn spare_steps(&self) {
        let spared = self.0.state.lock().step_faults.take();
        drop(spared);
    }

    /// Breaks a rule of Quark, to see whether that is noticed. For tests of Quark itself.
    #[doc(hidden)]
    pub fn break_rule(&self, rule: &'static str) {
        self.0.state.lock().broken.insert(rule);
    }

    /// Writes something into the trace.
    pub fn note(&self, what: &str) {
        super::note(what);
    }

    pub(super) fn event(&self, process: &Arc<str>, what: &str, detail: &str) {
        self.0.trace.add(process, None, what, detail);
    }

    /// Whether events are kept for [`World::trace`], or only hashed. Default yes; without, a simulation is faster.
    pub fn keep_trace(&self, keep: bool) {
        self.0.trace.keep(keep);
    }

    /// What has happened, the last 100,000 events of it.
    pub fn trace(&self) -> Vec<Event> {
        self.0.trace.events()
    }

    /// A hash of all that has happened: the same for the same seed.
    pub fn trace_hash(&self) -> u64 {
        self.0.trace.hash()
    }

    /// How many events there were.
    pub fn events(&self) -> u64 {
        self.0.trace.count()
    }

    /// How often each step of moves, membership and leaving was taken.
    pub fn steps(&self) -> BTreeMap<&'static str, u64> {
        self.0.trace.steps()
    }

    /// How often each fault hit each step.
    pub fn hits(&self) -> BTreeMap<(&'static str, &'static str), u64> {
        self.0.trace.hits()
    }
}

/// A silo that has left in order.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Departure {
    /// What it reported.
    pub report: ShutdownReport,
    /// The actors that were its own by the store when it had left.
    pub owned: Vec<ActorId>,
}

/// What a silo holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Leftovers {
    /// Actors, in whatever phase.
    pub actors: usize,
    /// Actors that are on their way here, or whose messages are passed on.
    pub passing_on: usize,
    /// Asks that wait for an answer.
    pub asks: usize,
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World")
            .field("now", &self.now())
            .finish_non_exhaustive()
    }
}

/// The process of a client.
pub struct ClientProcess {
    world: World,
    host: Arc<Host>,
}

impl ClientProcess {
    /// Connects to the cluster by whichever of the silos answers. In the process; the answer may be awaited anywhere.
    ///
    /// # Errors
    /// As [`ClientBuilder::connect`].
    pub async fn connect(&self, builder: ClientBuilder) -> Result<Client, ConnectError> {
        let seeds: Vec<String> = self.world.silos().iter().map(|silo| address(silo)).collect();
        let (network, host) = (self.world.0.network.clone(), self.host.clone());
        let (tell, told) = oneshot::channel();
        self.host.spawn(async move {
            let spawner = host.clone();
            let spawn = Arc::new(move |task| spawner.spawn_boxed(task));
            // Nothing runs in a process that is gone, so nothing is to be stopped.
            let (stop, _stopped) = oneshot::channel();
            let clock = host.clock.clone();
            let transport = {
                let clock = clock.clone();
                move |end| Arc::new(CarriedTransport::new(network.carrier(&host), end, clock)) as Arc<_>
            };
            let connected = builder
                .seeds(seeds)
                .connect_on(clock, spawn, stop, transport)
                .boxed()
                .await;
            let _gone = tell.send(connected);
        });
        told.await.unwrap_or_else(|_| {
            Err(ConnectError::NoneAnswered {
                seconds: 0,
                tried: " the client's process ended".into(),
            })
        })
    }

    /// Has the process run something.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.host.spawn(task);
    }

    /// Its clock.
    pub fn clock(&self) -> &Clock {
        &self.host.clock
    }
}

/// Where a silo of the simulation listens.
pub(super) fn address(silo: &str) -> String {
    format!("sim:{silo}")
}

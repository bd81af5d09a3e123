//! A rolling upgrade of your own actors, with faults, from one seed after the other.

use super::{ClientProcess, Fault, FaultPlan, Fleet, Sim, World, world::Program};
use crate::{client::Client, clock::Clock, silo::SiloBuilder};
use futures_util::future::{FutureExt, LocalBoxFuture, join, join_all};
use std::{
    fmt::{self, Write as _},
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

/// How long the cluster may take until it is whole, at the begin and after the faults.
const WHOLE: Duration = Duration::from_secs(180);

/// How long the load and the check may take beside that, in simulated time.
const PATIENCE: Duration = Duration::from_secs(900);

/// So many of the last events are printed of a seed that fails.
const SHOWN: usize = 80;

/// What a client does, or what is checked at the end: `Err` is a failure of the test, and why.
type Part = Rc<dyn Fn(Client, World) -> LocalBoxFuture<'static, Result<(), String>>>;

/// Runs your actors in a mixed cluster: three silos of an old version, upgraded one after the other, perhaps taken back half way,
/// while clients do what you say and the network, the store and the silos fail as the seed decides. Then all is mended, and
/// what you check must hold.
///
/// ```no_run
/// # use quark::{prelude::*, silo::Silo, testkit::Simulation};
/// # #[derive(Default, Serialize, Deserialize)] struct Cart;
/// # #[derive(Message, Serialize, Deserialize)] #[message(name = "cart.add")] struct Add;
/// # #[actor(kind = "cart", messages(Add))] impl Actor for Cart {}
/// # impl Handler<Add> for Cart { async fn handle(&mut self, _: Add, _: &mut Context<Self>) {} }
/// Simulation::new()
///     .old(|| Silo::builder().without_linked().register::<Cart>())
///     .client(async |client, world| {
///         let cart = client.actor::<Cart>("alice");
///         // Ask it something; note what it acknowledged.
///         Ok(())
///     })
///     .check(async |client, world| Ok(()))
///     .run(0..200);
/// ```
#[must_use = "a simulation does nothing until it is run"]
pub struct Simulation {
    old: Option<Program>,
    new: Option<Program>,
    silos: usize,
    clients: usize,
    faults: Vec<Fault>,
    time: Duration,
    load: Option<Part>,
    check: Option<Part>,
    begin: Rc<dyn Fn()>,
}

/// What became of one seed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verdict {
    /// Which.
    pub seed: u64,
    /// A hash of all that happened: the same whenever the seed is run with the same program.
    pub trace_hash: u64,
    /// How much time was simulated.
    pub simulated: Duration,
    /// Why it failed, if it did, and the last events.
    pub outcome: Result<(), String>,
}

impl Default for Simulation {
    fn default() -> Self {
        Self {
            old: None,
            new: None,
            silos: 3,
            clients: 2,
            faults: Fault::ALL.to_vec(),
            time: Duration::from_secs(40),
            load: None,
            check: None,
            begin: Rc::new(|| {}),
        }
    }
}

impl Simulation {
    /// Three silos, two clients, all kinds of faults for 40 simulated seconds.
    pub fn new() -> Self {
        Self::default()
    }

    /// The program that all silos run at first. What it says of name, cluster, store and network does not count.
    pub fn old(mut self, program: impl Fn() -> SiloBuilder + Send + Sync + 'static) -> Self {
        self.old = Some(Arc::new(program));
        self
    }

    /// The program that the silos are upgraded to. Without one they are restarted with the old one.
    pub fn new_version(mut self, program: impl Fn() -> SiloBuilder + Send + Sync + 'static) -> Self {
        self.new = Some(Arc::new(program));
        self
    }

    /// How many silos there are, one at least. Default 3.
    pub fn silos(mut self, silos: usize) -> Self {
        self.silos = silos.max(1);
        self
    }

    /// How many clients do what [`Simulation::client`] says. Default 2.
    pub fn clients(mut self, clients: usize) -> Self {
        self.clients = clients;
        self
    }

    /// The kinds of faults of which each seed takes some. Default all; none for planned change alone.
    pub fn faults(mut self, faults: impl IntoIterator<Item = Fault>) -> Self {
        self.faults = faults.into_iter().collect();
        self
    }

    /// For how long things go wrong, in simulated time. Default 40 s.
    pub fn time(mut self, time: Duration) -> Self {
        self.time = time;
        self
    }

    /// Called before each seed: to empty what the test itself keeps.
    pub fn begin(mut self, begin: impl Fn() + 'static) -> Self {
        self.begin = Rc::new(begin);
        self
    }

    /// What each client does while things go wrong. It ends by itself.
    pub fn client<F>(mut self, load: impl Fn(Client, World) -> F + 'static) -> Self
    where
        F: Future<Output = Result<(), String>> + 'static,
    {
        self.load = Some(Rc::new(move |client, world| load(client, world).boxed_local()));
        self
    }

    /// What must hold once all is mended and every client has ended.
    pub fn check<F>(mut self, check: impl Fn(Client, World) -> F + 'static) -> Self
    where
        F: Future<Output = Result<(), String>> + 'static,
    {
        self.check = Some(Rc::new(move |client, world| check(client, world).boxed_local()));
        self
    }

    /// Runs the seeds, those of `QUARK_SIM_SEED` alone if it is set, or `QUARK_SIM_SEEDS` many from the first on. After
    /// `QUARK_SIM_SECS` seconds no other is begun.
    ///
    /// # Panics
    /// At the first that fails: with the reason, the last events, and the command that runs it again.
    pub fn run(&self, seeds: Range<u64>) {
        let number = |name| {
            std::env::var(name)
                .ok()
                .and_then(|text: String| text.parse::<u64>().ok())
        };
        let seeds = match (number("QUARK_SIM_SEED"), number("QUARK_SIM_SEEDS")) {
            (Some(seed), _) => seed..seed + 1,
            (None, Some(count)) => seeds.start..seeds.start + count,
            (None, None) => seeds,
        };
        let clock = Clock::system();
        let end = number("QUARK_SIM_SECS").map(|secs| clock.now() + Duration::from_secs(secs));
        for seed in seeds {
            if end.is_some_and(|end| clock.has_come(end)) {
                return;
            }
            let verdict = self.run_seed(seed);
            if let Err(why) = verdict.outcome {
                let test = std::thread::current().name().unwrap_or_default().to_owned();
                panic!(
                    "seed {seed} fails: {why}\n\nagain: QUARK_SIM_SEED={seed} cargo test {test} -- --exact --nocapture"
                );
            }
        }
    }

    /// Runs one seed. A panic of the test's own parts is a failure of the seed.
    pub fn run_seed(&self, seed: u64) -> Verdict {
        (self.begin)();
        let mut sim = Sim::new(seed);
        let world = sim.world().clone();
        let ran = catch_unwind(AssertUnwindSafe(|| self.run_in(&mut sim)));
        let outcome = match ran {
            Ok(outcome) => outcome,
            Err(panic) => Err(format!("it panicked: {}", panic_text(&*panic))),
        };
        let verdict = Verdict {
            seed,
            trace_hash: world.trace_hash(),
            simulated: world.now(),
            outcome: outcome.map_err(|why| with_trace(&why, &world)),
        };
        drop(sim);
        verdict
    }

    fn run_in(&self, sim: &mut Sim) -> Result<(), String> {
        let old = self
            .old
            .clone()
            .expect("a simulation has a program: see Simulation::old");
        let new = self.new.clone().unwrap_or_else(|| old.clone());
        sim.program("old", move || old());
        sim.program("new", move || new());
        let story = Story {
            silos: (0..self.silos).map(|n| format!("silo-{n}")).collect(),
            clients: self.clients,
            faults: self.faults.clone(),
            time: self.time,
            load: self.load.clone(),
            check: self.check.clone(),
        };
        let limit = WHOLE * 2 + PATIENCE + self.time;
        let told = sim.run(limit, async move |world| story.tell(&world).await);
        told.unwrap_or_else(|late| Err(late.to_string()))
    }
}

/// One run of a simulation.
struct Story {
    silos: Vec<String>,
    clients: usize,
    faults: Vec<Fault>,
    time: Duration,
    load: Option<Part>,
    check: Option<Part>,
}

impl Story {
    async fn tell(self, world: &World) -> Result<(), String> {
        let fleet = Fleet::start(world, self.silos.clone(), "old");
        if !fleet.whole(WHOLE).await {
            return Err("the silos did not find each other, with no fault yet".into());
        }
        let mut clients: Vec<(ClientProcess, Client)> = Vec::new();
        for n in 0..=self.clients {
            let process = world.client(&format!("client-{n}"));
            let client = process.connect(Client::builder()).await;
            clients.push((process, client.map_err(|error| error.to_string())?));
        }
        let (_checker, checks) = clients.pop().expect("invariant: one more than asked for");
        let mut plan = FaultPlan::swarm(world);
        plan.retain(&self.faults);
        let end = world.now() + self.time;
        let goes_wrong = async {
            join(plan.happen(world, &fleet, end), upgrade(world, &fleet, end)).await;
            FaultPlan::heal(world, &fleet);
        };
        let loads = clients.iter().map(|(_, client)| match &self.load {
            Some(load) => load(client.clone(), world.clone()),
            None => async { Ok(()) }.boxed_local(),
        });
        let ((), loads) = join(goes_wrong, join_all(loads)).await;
        loads.into_iter().collect::<Result<(), String>>()?;
        if !fleet.whole(WHOLE).await {
            return Err(format!(
                "the cluster is not whole {WHOLE:?} after all was mended: {fleet:?}"
            ));
        }
        match &self.check {
            Some(check) => check(checks, world.clone()).await,
            None => Ok(()),
        }
    }
}

/// A rolling upgrade, which some seeds take back half way or begin again.
async fn upgrade(world: &World, fleet: &Fleet, end: Duration) {
    world.sleep(Duration::from_millis(world.below(5_000))).await;
    let silos = fleet.len() as u64;
    let goes_on = || world.now() < end;
    if world.happens(300) {
        let mut left = world.below(silos + 1);
        world.note("an upgrade begins that is taken back");
        fleet
            .roll("new", || {
                left = left.saturating_sub(1);
                left > 0 && goes_on()
            })
            .await;
        fleet.roll("old", goes_on).await;
    }
    world.note("an upgrade begins");
    fleet.roll("new", goes_on).await;
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("of unknown reason")
        .to_owned()
}

/// The reason, below it the last events.
fn with_trace(why: &str, world: &World) -> String {
    let events = world.trace();
    let mut text = format!("{why}\n\nthe last of {} events:\n", world.events());
    for event in &events[events.len().saturating_sub(SHOWN)..] {
        writeln!(text, "{event}").expect("invariant: a string can be written to");
    }
    text
}

impl fmt::Debug for Simulation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulation")
            .field("silos", &self.silos)
            .field("clients", &self.clients)
            .field("time", &self.time)
            .finish_non_exhaustive()
    }
}

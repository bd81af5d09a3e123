//! One run of a cluster: what is started, what goes wrong, and what is known of it at the end.

use crate::{
    account::{Note, v1, v2},
    history::{self, History},
    load::{Load, lists},
};
use futures_util::future::{join, join_all, join3};
use quark::{
    client::Client,
    silo::{Silo, SiloBuilder, SiloOptions},
    testkit::{Departure, Event, Fault, FaultPlan, Fleet, Leftovers, Sim, World},
    version::{Direction, VersionPolicy},
};
use std::{cell::Cell, collections::BTreeMap, time::Duration};

/// How long the cluster may take until it is whole, at the begin and after the faults.
const WHOLE: Duration = Duration::from_secs(180);

/// How long an actor stays that does nothing.
const IDLE: Duration = Duration::from_secs(20);

/// What a run is to be.
#[derive(Clone, Debug)]
pub(crate) struct Story {
    pub(crate) silos: usize,
    pub(crate) clients: usize,
    pub(crate) accounts: usize,
    /// How long things go wrong.
    pub(crate) time: Duration,
    /// The kinds of faults of which the seed takes some.
    pub(crate) faults: Vec<Fault>,
    /// The seed decides which of them, and how often; else each comes every so often.
    pub(crate) swarm: bool,
    pub(crate) moves: bool,
    pub(crate) upgrade: bool,
    /// Versions may only become newer, and the upgrade is never taken back.
    pub(crate) only_newer: bool,
    pub(crate) rest: Duration,
    /// Rules that are broken, to see whether that is found.
    pub(crate) broken: Vec<&'static str>,
}

impl Default for Story {
    fn default() -> Self {
        Self {
            silos: 3,
            clients: 2,
            accounts: 4,
            time: Duration::from_secs(30),
            faults: Fault::ALL.to_vec(),
            swarm: true,
            moves: true,
            upgrade: true,
            only_newer: false,
            rest: Duration::from_millis(300),
            broken: Vec::new(),
        }
    }
}

/// What is known of a run at its end.
pub(crate) struct Run {
    pub(crate) seed: u64,
    pub(crate) plan: FaultPlan,
    pub(crate) only_newer: bool,
    pub(crate) history: History,
    pub(crate) lists: BTreeMap<String, Vec<Note>>,
    pub(crate) departures: Vec<Departure>,
    /// What each silo held once all was at rest, and when no actor had been used for long.
    pub(crate) at_rest: BTreeMap<String, Leftovers>,
    pub(crate) when_idle: BTreeMap<String, Leftovers>,
    /// Why it did not come to its end, if it did not.
    pub(crate) stuck: Option<String>,
    pub(crate) trace_hash: u64,
    pub(crate) events: u64,
    pub(crate) simulated: Duration,
    pub(crate) trace: Vec<Event>,
    pub(crate) steps: BTreeMap<&'static str, u64>,
    pub(crate) hits: BTreeMap<(&'static str, &'static str), u64>,
}

fn program(only_newer: bool, register: fn(SiloBuilder) -> SiloBuilder) -> SiloBuilder {
    let direction = if only_newer {
        Direction::OnlyNewer
    } else {
        Direction::Both
    };
    let options = SiloOptions {
        workers: 1,
        idle_timeout: IDLE,
        version_policy: VersionPolicy {
            direction,
            ..VersionPolicy::default()
        },
        ..SiloOptions::default()
    };
    register(Silo::builder().options(options).without_linked())
}

impl Story {
    /// Planned change alone: nothing fails.
    pub(crate) fn without_faults() -> Self {
        Self {
            faults: Vec::new(),
            ..Self::default()
        }
    }

    fn plan(&self, world: &World) -> FaultPlan {
        let mut plan = FaultPlan::swarm(world);
        plan.every.retain(|fault, _| self.faults.contains(fault));
        if !self.swarm {
            plan.every = self.faults.iter().map(|fault| (*fault, self.time / 6)).collect();
        }
        if self.faults.is_empty() {
            plan.steps_permille = 0;
        }
        plan
    }

    /// Runs it with a seed.
    pub(crate) fn run(&self, seed: u64) -> Run {
        history::clear();
        let mut sim = Sim::new(seed);
        let only_newer = self.only_newer;
        sim.program("v1", move || program(only_newer, SiloBuilder::register::<v1::Account>));
        sim.program("v2", move || program(only_newer, SiloBuilder::register::<v2::Account>));
        let world = sim.world().clone();
        for rule in &self.broken {
            world.break_rule(rule);
        }
        let plan = self.plan(&world);
        let mut run = Run {
            seed,
            plan: plan.clone(),
            only_newer,
            history: History::default(),
            lists: BTreeMap::new(),
            departures: Vec::new(),
            at_rest: BTreeMap::new(),
            when_idle: BTreeMap::new(),
            stuck: None,
            trace_hash: 0,
            events: 0,
            simulated: Duration::ZERO,
            trace: Vec::new(),
            steps: BTreeMap::new(),
            hits: BTreeMap::new(),
        };
        let (story, limit) = (self.clone(), self.time + WHOLE * 5);
        let told = sim.run(limit, async move |world| story.tell(&world, &plan).await);
        match told {
            Ok(Ok(end)) => {
                (run.lists, run.at_rest, run.when_idle) = (end.lists, end.at_rest, end.when_idle);
            }
            Ok(Err(why)) => run.stuck = Some(why),
            Err(late) => run.stuck = Some(late.to_string()),
        }
        run.history = history::take();
        run.departures = world.departures();
        (run.trace_hash, run.events, run.simulated) = (world.trace_hash(), world.events(), world.now());
        (run.trace, run.steps, run.hits) = (world.trace(), world.steps(), world.hits());
        run
    }

    async fn tell(&self, world: &World, plan: &FaultPlan) -> Result<End, String> {
        let names = (0..self.silos).map(|n| format!("silo-{n}"));
        let fleet = Fleet::start(world, names, "v1");
        if !fleet.whole(WHOLE).await {
            return Err("the silos did not find each other, with no fault yet".into());
        }
        let mut clients = Vec::new();
        for n in 0..=self.clients {
            let process = world.client(&format!("client-{n}"));
            let client = process.connect(Client::builder()).await;
            clients.push(client.map_err(|error| error.to_string())?);
        }
        let reader = clients.pop().expect("one more than asked for");
        let accounts: Vec<String> = (0..self.accounts).map(|n| format!("account-{n}")).collect();
        let end = world.now() + self.time;
        let load = Load {
            accounts: accounts.clone(),
            until: end,
            rest: self.rest,
            retries_unknown: self.broken.contains(&"send again what is not known"),
            timers: true,
        };
        let goes_wrong = async {
            join(plan.happen(world, &fleet, end), self.upgrade(world, &fleet, end)).await;
            FaultPlan::heal(world, &fleet);
        };
        let sends = (0..)
            .zip(&clients)
            .map(async |(n, client)| load.client(client, &format!("client-{n}"), world).await);
        join3(goes_wrong, join_all(sends), load.inside(world, self.moves)).await;
        if !fleet.whole(WHOLE).await {
            return Err(format!(
                "the cluster is not whole {WHOLE:?} after all was mended: {fleet:?}"
            ));
        }
        // What callers within silos still wait for, timers, and forwards.
        world.sleep(Duration::from_secs(60)).await;
        let held = |fleet: &Fleet| {
            let silos = fleet.silos().into_iter();
            let held = silos.filter_map(|silo| Some((silo.clone(), world.leftovers(&silo)?)));
            held.collect::<BTreeMap<_, _>>()
        };
        let at_rest = held(&fleet);
        let lists = lists(&reader, &accounts, world, WHOLE).await?;
        world.sleep(IDLE * 3).await;
        let when_idle = held(&fleet);
        Ok(End {
            lists,
            at_rest,
            when_idle,
        })
    }

    /// A rolling upgrade, which some seeds take back half way or begin again.
    async fn upgrade(&self, world: &World, fleet: &Fleet, end: Duration) {
        if !self.upgrade {
            return;
        }
        world.sleep(Duration::from_millis(world.below(5_000))).await;
        let goes_on = || world.now() < end;
        match if self.only_newer { 0 } else { world.below(3) } {
            0 => fleet.roll("v2", goes_on).await,
            1 => {
                let mut left = world.below(self.silos as u64 + 1);
                fleet
                    .roll("v2", || {
                        left = left.saturating_sub(1);
                        left > 0 && goes_on()
                    })
                    .await;
                fleet.roll("v1", goes_on).await;
            }
            // An upgrade begins while another goes on, and takes its place.
            _ => {
                let (begun, second) = (
                    Cell::new(false),
                    world.now() + Duration::from_millis(world.below(12_000)),
                );
                let first = fleet.roll("v2", || !begun.get() && goes_on());
                let other = async {
                    world.sleep(second.saturating_sub(world.now())).await;
                    begun.set(true);
                    fleet.roll("v1", goes_on).await;
                };
                join(first, other).await;
            }
        }
    }
}

struct End {
    lists: BTreeMap<String, Vec<Note>>,
    at_rest: BTreeMap<String, Leftovers>,
    when_idle: BTreeMap<String, Leftovers>,
}

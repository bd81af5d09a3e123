//! What goes wrong in a simulation: which kinds of faults, how often, and what they do to whom.

use super::{Fleet, NetworkOptions, STEPS, StoreOptions, World};
use parking_lot::Mutex;
use std::{collections::BTreeMap, time::Duration};

/// At most so many silos are away or stand still at a time, of so many.
const MAX_SHARE: usize = 2;

/// A seed aims at fewer steps than this.
const MAX_AIMS: u64 = 6;

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// A silo's process ends at once.
    Crash,
    /// A silo's machine ends at once: nobody hears of it by the network for a minute.
    Unplug,
    /// A silo stands still, for up to twice the failure timeout.
    Pause,
    /// The streams between two processes break.
    Cut,
    /// Two silos do not reach each other, both ways.
    Part,
    /// One silo does not reach another; the other reaches it.
    PartOneWay,
    /// A silo does not reach the store.
    PartFromStore,
    /// Nothing that a silo sends arrives anywhere, but what is sent to it does.
    Mute,
    /// All processes fall into two parts that do not reach each other, clients too; the store is in one of them.
    Split,
    /// The store takes nothing, for up to 20 seconds.
    StoreAway,
    /// The store loses operations and answers.
    StoreSilent,
    /// Operations of the store, and its answers, are held up for seconds: what was given up may be done long after.
    StoreLate,
    /// The store fails over to a copy that is behind, and so forgets what it did last. What guarantees say of what is saved does
    /// not hold then: not one of [`Fault::ALL`].
    StoreFailover,
    /// A silo's clock runs faster or slower, by up to 5 percent.
    Drift,
    /// A silo's wall clock jumps.
    WallJump,
    /// A silo leaves, as by SIGTERM, and comes back.
    Restart,
}

impl Fault {
    /// All through which every guarantee holds.
    pub const ALL: [Self; 15] = [
        Self::Crash,
        Self::Unplug,
        Self::Pause,
        Self::Cut,
        Self::Part,
        Self::PartOneWay,
        Self::PartFromStore,
        Self::Mute,
        Self::Split,
        Self::StoreAway,
        Self::StoreSilent,
        Self::StoreLate,
        Self::Drift,
        Self::WallJump,
        Self::Restart,
    ];

    /// Those that hit a silo within a step.
    pub const AT_STEPS: [Self; 5] = [Self::Crash, Self::Unplug, Self::Pause, Self::Cut, Self::StoreAway];

    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Crash => "crash",
            Self::Unplug => "unplug",
            Self::Pause => "pause",
            Self::Cut => "cut",
            Self::Part => "part",
            Self::PartOneWay => "part one way",
            Self::PartFromStore => "part from store",
            Self::Mute => "mute",
            Self::Split => "split",
            Self::StoreAway => "store away",
            Self::StoreSilent => "store silent",
            Self::StoreLate => "store late",
            Self::StoreFailover => "store failover",
            Self::Drift => "drift",
            Self::WallJump => "wall jump",
            Self::Restart => "restart",
        }
    }
}

/// What goes wrong, and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FaultPlan {
    /// How the network does all the time.
    pub network: NetworkOptions,
    /// How the store does all the time.
    pub store: StoreOptions,
    /// The mean time between two faults of a kind. A kind that is not here does not happen.
    pub every: BTreeMap<Fault, Duration>,
    /// Of 1000 steps of moves, membership and leaving so many are hit by one of [`Fault::AT_STEPS`] that is in `every`.
    pub steps_permille: u64,
    /// Steps, of [`STEPS`], of which every other one is hit by this fault: for what is seldom hit else.
    pub aims: Vec<(&'static str, Fault)>,
}

impl FaultPlan {
    /// Nothing goes wrong.
    pub fn none() -> Self {
        Self {
            network: NetworkOptions::default(),
            store: StoreOptions::default(),
            every: BTreeMap::new(),
            steps_permille: 0,
            aims: Vec::new(),
        }
    }

    /// Whether nothing fails at all.
    pub fn is_none(&self) -> bool {
        self.every.is_empty() && self.aims.is_empty()
    }

    /// Only these kinds of faults happen.
    pub fn retain(&mut self, faults: &[Fault]) {
        self.every.retain(|fault, _| faults.contains(fault));
        self.aims.retain(|(_, fault)| faults.contains(fault));
    }

    /// Another plan for every seed: which kinds there are, how often, and how slow everything is.
    ///
    /// After "Swarm testing" (Groce and others, 2012): that some kinds never happen lets others come to more.
    pub fn swarm(world: &World) -> Self {
        let mut plan = Self::none();
        let slow = [1, 1, 4, 20][usize::try_from(world.below(4)).unwrap_or(0)];
        plan.network.latency = Duration::from_micros(100 + world.below(400) * slow);
        plan.network.jitter = Duration::from_micros(world.below(600) * slow);
        if world.happens(400) {
            plan.network.lost_permille = world.below(30);
        }
        plan.store.jitter = Duration::from_micros(world.below(2_000) * slow);
        for fault in Fault::ALL {
            if world.happens(450) {
                plan.every
                    .insert(fault, Duration::from_millis(3_000 + world.below(15_000)));
            }
        }
        if world.happens(700) {
            plan.steps_permille = 1 + world.below(20);
        }
        for _ in 0..world.below(MAX_AIMS) {
            let fault = chosen(world, &Fault::AT_STEPS);
            plan.aims.push((chosen(world, &STEPS), fault));
        }
        plan
    }

    /// Lets it happen to a fleet until `end`, by the world's time. What is wrong then stays so until [`FaultPlan::heal`].
    pub async fn happen(&self, world: &World, fleet: &Fleet, end: Duration) {
        if self.steps_permille > 0 || !self.aims.is_empty() {
            world.hit_steps(self, fleet);
        }
        world.network(self.network.clone());
        world.store(self.store.clone());
        let mut next: Vec<(Duration, Fault)> = Vec::new();
        for (fault, mean) in &self.every {
            next.push((world.now() + after(world, *mean), *fault));
        }
        loop {
            next.sort_unstable();
            let Some((at, fault)) = next.first().copied().filter(|(at, _)| *at < end) else {
                break;
            };
            world.sleep(at.saturating_sub(world.now())).await;
            self.strike(world, fleet, fault, None);
            next[0].0 = world.now() + after(world, self.every[&fault]);
        }
        world.sleep(end.saturating_sub(world.now())).await;
        world.spare_steps();
    }

    /// Everything is right again: the network, the store and all clocks; every silo goes on, and those that are missing are started.
    pub fn heal(world: &World, fleet: &Fleet) {
        world.spare_steps();
        world.heal();
        world.catch_up();
        world.network(NetworkOptions::default());
        world.store(StoreOptions::default());
        for silo in world.silos() {
            world.resume(&silo);
            world.drift(&silo, 0);
        }
        fleet.mend();
    }

    /// A fault happens, to `silo` or to one that the seed decides. Answers whether there was one to hit.
    pub(super) fn strike(&self, world: &World, fleet: &Fleet, fault: Fault, silo: Option<&str>) -> bool {
        let silos = world.silos();
        let one = match silo {
            Some(silo) => silo.to_owned(),
            None => match pick(world, &silos) {
                Some(silo) => silo,
                None => return false,
            },
        };
        let others: Vec<_> = silos.iter().filter(|other| **other != one).cloned().collect();
        let other = pick(world, &others);
        let wounded = fleet.missing() + silos.iter().filter(|silo| world.is_paused(silo)).count();
        let may_wound = wounded < fleet.len().div_ceil(MAX_SHARE);
        match (fault, other) {
            (Fault::Crash, _) if may_wound => world.crash(&one),
            (Fault::Unplug, _) if may_wound => world.unplug(&one),
            (Fault::Pause, _) if may_wound && !world.is_paused(&one) => {
                world.pause(&one);
                later(world, 50, 10_000, move |world| world.resume(&one));
            }
            (Fault::Cut, Some(other)) => world.cut(&one, &other),
            (Fault::Part, Some(other)) => {
                world.part(&one, &other);
                world.part(&other, &one);
                later(world, 100, 12_000, |world| world.heal());
            }
            (Fault::PartOneWay, Some(other)) => {
                world.part(&one, &other);
                later(world, 100, 12_000, |world| world.heal());
            }
            (Fault::PartFromStore, _) => {
                world.part(&one, "store");
                later(world, 100, 12_000, |world| world.heal());
            }
            (Fault::Mute, _) => {
                let others = world.processes().into_iter().chain(["store".to_owned()]);
                others
                    .filter(|other| *other != one)
                    .for_each(|other| world.part(&one, &other));
                later(world, 1_000, 20_000, |world| world.heal());
            }
            (Fault::Split, _) => {
                split(world);
                later(world, 1_000, 20_000, |world| world.heal());
            }
            (Fault::StoreAway, _) => {
                let is_away = true;
                world.store(StoreOptions {
                    is_away,
                    ..self.store.clone()
                });
                let normal = self.store.clone();
                later(world, 100, 20_000, move |world| world.store(normal));
            }
            (Fault::StoreSilent, _) => {
                world.store(StoreOptions {
                    lost_permille: world.below(200),
                    unanswered_permille: world.below(200),
                    ..self.store.clone()
                });
                let normal = self.store.clone();
                later(world, 100, 5_000, move |world| world.store(normal));
            }
            (Fault::StoreLate, _) => {
                world.store(StoreOptions {
                    late_permille: world.below(200),
                    late_answers_permille: world.below(1_001),
                    late_by: Duration::from_millis(500 + world.below(12_000)),
                    ..self.store.clone()
                });
                let normal = self.store.clone();
                later(world, 500, 10_000, move |world| world.store(normal));
            }
            (Fault::StoreFailover, _) => {
                world.fall_behind();
                let normal = self.store.clone();
                later(world, 20, 3_000, move |world| {
                    world.fail_over();
                    // Until everybody has found its new place.
                    let is_away = true;
                    world.store(StoreOptions {
                        is_away,
                        ..normal.clone()
                    });
                    later(world, 20, 4_000, move |world| world.store(normal));
                });
            }
            (Fault::Drift, _) => world.drift(&one, i64::try_from(world.below(100_001)).unwrap_or(0) - 50_000),
            (Fault::WallJump, _) => {
                world.jump_wall(
                    &one,
                    i64::try_from(world.below(7_200_000_001)).unwrap_or(0) - 3_600_000_000,
                );
            }
            (Fault::Restart, _) => return world.leave(&one),
            _ => return false,
        }
        true
    }
}

/// Two parts that do not reach each other.
fn split(world: &World) {
    let mut processes = world.processes();
    processes.push("store".to_owned());
    let sides: Vec<(String, bool)> = (processes.into_iter())
        .map(|process| (process, world.happens(500)))
        .collect();
    for (one, side) in &sides {
        for (other, _) in sides.iter().filter(|(_, other)| other != side) {
            world.part(one, other);
        }
    }
}

fn chosen<T: Copy>(world: &World, from: &[T]) -> T {
    from[usize::try_from(world.below(from.len() as u64)).unwrap_or(0)]
}

fn pick(world: &World, from: &[String]) -> Option<String> {
    let at = usize::try_from(world.below(from.len() as u64)).unwrap_or(0);
    from.get(at).cloned()
}

/// A time around the mean.
fn after(world: &World, mean: Duration) -> Duration {
    mean.mul_f64((1 + world.below(2000)) as f64 / 1000.0)
}

/// Does something after a time that the seed decides, in milliseconds.
fn later(world: &World, least: u64, most: u64, run: impl FnOnce(&World) + Send + 'static) {
    // Short faults are more of them, and long ones are what budgets run out in.
    let most = if world.happens(600) {
        least + (most - least) / 8
    } else {
        most
    };
    let sleep = world.sleep(Duration::from_millis(least + world.below(most - least)));
    let world = world.clone();
    world.0.sim.clone().spawn(async move {
        sleep.await;
        run(&world);
    });
}

/// Faults that hit a silo within a step.
pub(super) struct StepFaults {
    plan: FaultPlan,
    fleet: Fleet,
    kinds: Vec<Fault>,
    /// Before this moment no other step is hit, in nanoseconds of the world.
    rests_until: Mutex<Duration>,
}

impl StepFaults {
    pub(super) fn new(plan: &FaultPlan, fleet: &Fleet) -> Self {
        let is_on = |fault: &Fault| plan.every.contains_key(fault);
        Self {
            plan: plan.clone(),
            fleet: fleet.clone(),
            kinds: Fault::AT_STEPS.into_iter().filter(is_on).collect(),
            rests_until: Mutex::default(),
        }
    }

    /// `silo` is about to take this step.
    pub(super) fn at(&self, world: &World, step: &'static str, silo: &str) {
        let now = world.now();
        if now < *self.rests_until.lock() {
            return;
        }
        let aimed = self.plan.aims.iter().find(|(aim, _)| *aim == step);
        let fault = match aimed {
            Some((_, fault)) if world.happens(500) => *fault,
            _ if !self.kinds.is_empty() && world.happens(self.plan.steps_permille) => chosen(world, &self.kinds),
            _ => return,
        };
        if self.plan.strike(world, &self.fleet, fault, Some(silo)) {
            world.0.trace.hit(step, fault.name());
            *self.rests_until.lock() = now + Duration::from_millis(500 + world.below(4_000));
        }
    }
}

//! One run of a cluster: what is started, what goes wrong, and what is known of it at the end.

use crate::{
    account::{Note, v1, v2, v3},
    history::{self, History, Turn},
    load::{Load, lists},
    plots::{Plot, watch_views},
    watcher,
};
use futures_util::{
    FutureExt,
    future::{join, join_all, join3},
};
use quark::{
    client::Client,
    ident::{ActorId, SiloId, Weight},
    membership::MembershipConfig,
    rollout::{self, Criteria, Phase, Request},
    silo::{Silo, SiloBuilder, SiloOptions},
    store::{MembershipTable, Store},
    testkit::{Departure, Event, Fault, FaultPlan, Fleet, Leftovers, OwnerChange, Saved, Sim, World},
    version::{Direction, VersionPolicy},
};
use std::{cell::Cell, collections::BTreeMap, rc::Rc, sync::Arc, time::Duration};

/// How long the cluster may take until it is whole, at the begin and after the faults.
const WHOLE: Duration = Duration::from_secs(180);

/// How long an actor stays that does nothing.
const IDLE: Duration = Duration::from_secs(20);

/// How the new version comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Upgrade {
    /// None comes.
    None,
    /// Silo by silo: each leaves and comes back; some seeds take it back half way, or begin another meanwhile.
    Rolling,
    /// Silos of the new version come to the old ones, and a rollout moves the actors; some seeds roll back.
    Rollout,
}

/// The time budgets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Budgets {
    /// As the seed says: the default ones, or shorter ones, so that more comes to its end.
    Drawn,
    /// All that a lease stands on is as tight as the checks of the budgets let it be.
    Tight,
    /// The sources of moves lose patience long before the silos that they wait for are declared dead.
    Impatient,
}

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
    /// Those that every seed takes.
    pub(crate) always: Vec<Fault>,
    pub(crate) moves: bool,
    pub(crate) upgrade: Upgrade,
    pub(crate) budgets: Budgets,
    /// What is brought about beside the faults.
    pub(crate) plot: Option<Plot>,
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
            always: Vec::new(),
            moves: true,
            upgrade: Upgrade::Rolling,
            budgets: Budgets::Drawn,
            plot: None,
            only_newer: false,
            rest: Duration::from_millis(300),
            broken: Vec::new(),
        }
    }
}

/// A rollout that came to an end.
#[derive(Clone, Copy)]
pub(crate) struct RolledOut {
    /// When its record was written.
    pub(crate) begun: Duration,
    /// Whether it was taken back.
    pub(crate) is_back: bool,
}

/// What is known of a run at its end.
pub(crate) struct Run {
    pub(crate) seed: u64,
    pub(crate) plan: FaultPlan,
    pub(crate) only_newer: bool,
    /// The rollout, if there was one.
    pub(crate) rollout: Option<RolledOut>,
    pub(crate) history: History,
    pub(crate) lists: BTreeMap<String, Vec<Note>>,
    pub(crate) departures: Vec<Departure>,
    /// What each silo held once all was at rest, and when no actor had been used for long.
    pub(crate) at_rest: BTreeMap<String, Leftovers>,
    pub(crate) when_idle: BTreeMap<String, Leftovers>,
    /// Who owns accounts by the store when no actor had been used for long.
    pub(crate) owned_when_idle: BTreeMap<String, SiloId>,
    /// The membership tables that there were, each from when on.
    pub(crate) membership: Vec<(Duration, MembershipTable)>,
    /// What the store changed of owners, and what it saved, in order.
    pub(crate) owners: Vec<OwnerChange>,
    pub(crate) saves: Vec<Saved>,
    /// The processes that ended, and when.
    pub(crate) ends: Vec<(Arc<str>, Duration)>,
    /// What it brought about beside the faults of its plan.
    pub(crate) plot: Option<Plot>,
    /// From when until when what the store did was forgotten.
    pub(crate) lost_writes: Vec<(Duration, Duration)>,
    /// Why it did not come to its end, if it did not.
    pub(crate) stuck: Option<String>,
    pub(crate) trace_hash: u64,
    pub(crate) events: u64,
    pub(crate) simulated: Duration,
    pub(crate) trace: Vec<Event>,
    pub(crate) steps: BTreeMap<&'static str, u64>,
    pub(crate) hits: BTreeMap<(&'static str, &'static str), u64>,
}

impl Run {
    /// Whether nothing failed but what was planned.
    pub(crate) fn is_planned(&self) -> bool {
        self.plan.is_none() && self.plot.is_none()
    }

    /// Whether a silo's process has ended in this time.
    pub(crate) fn has_ended(&self, silo: &str, since: Duration, until: Duration) -> bool {
        let ends = self.ends.iter();
        let mut ends = ends.filter(|(ended, at)| **ended == *silo && since <= *at && *at <= until);
        ends.next().is_some()
    }

    /// Whether the store has forgotten what it did then.
    pub(crate) fn is_lost(&self, at: Duration) -> bool {
        self.may_be_lost(at, at)
    }

    /// Whether the store has forgotten that it gave the actor to the silo at this epoch: what ran by that is forgotten with it.
    pub(crate) fn is_forgotten(&self, turn: &Turn) -> bool {
        self.has_forgotten(&turn.actor, &turn.silo, |change| change.after.epoch.0 == turn.epoch)
    }

    /// Whether the store has forgotten that it gave the actor to the silo when that had it last, at this time.
    pub(crate) fn is_forgotten_at(&self, actor: &str, silo: &str, at: Duration) -> bool {
        let mut changes = self.owners.iter();
        let last = changes.rfind(|change| change.actor.key() == actor && change.at <= at && change.gives_to(silo));
        last.is_some_and(|last| self.has_forgotten(actor, silo, |change| change == last))
    }

    fn has_forgotten(&self, actor: &str, silo: &str, which: impl Fn(&OwnerChange) -> bool) -> bool {
        !self.lost_writes.is_empty()
            && self.owners.iter().any(|change| {
                change.actor.key() == actor && change.gives_to(silo) && which(change) && self.is_lost(change.at)
            })
    }

    /// Whether the store had forgotten, when the turn began, that it gave its actor to another silo at the turn's epoch or a later one:
    /// that silo writes its entry again, over the one by which the turn ran.
    pub(crate) fn is_by_a_forgotten_epoch(&self, turn: &Turn) -> bool {
        self.owners.iter().any(|change| {
            let of_another = change
                .after
                .owner
                .as_ref()
                .is_some_and(|owner| owner.name() != turn.silo);
            change.actor.key() == turn.actor
                && of_another
                && change.at < turn.began
                && change.after.epoch.0 >= turn.epoch
                && self.is_lost(change.at)
        })
    }

    /// Whether what was done from `begun` to `ended` may have been forgotten by the store, or part of it.
    pub(crate) fn may_be_lost(&self, begun: Duration, ended: Duration) -> bool {
        self.lost_writes
            .iter()
            .any(|(since, until)| begun <= *until && *since <= ended)
    }
}

/// What every silo of a story is told beside the version that it runs.
fn options(only_newer: bool, budgets: Budgets, world: &World) -> SiloOptions {
    let millis = Duration::from_millis;
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
    let membership = match budgets {
        Budgets::Drawn if world.happens(500) => MembershipConfig::default(),
        Budgets::Drawn | Budgets::Impatient => {
            let patience = if budgets == Budgets::Impatient { 1_000 } else { 2_000 };
            return SiloOptions {
                freeze_timeout: millis(patience),
                migration_timeout: millis(patience * 2),
                membership: MembershipConfig {
                    heartbeat_interval: millis(500),
                    read_interval: millis(1_000),
                    failure_timeout: millis(2_500),
                    lease: millis(2_000),
                    probe_timeout: millis(500),
                    store_timeout: millis(1_000),
                    mute_timeout: millis(7_500),
                    ..MembershipConfig::default()
                },
                ..options
            };
        }
        Budgets::Tight => MembershipConfig {
            heartbeat_interval: millis(500),
            read_interval: millis(200),
            failure_timeout: millis(5_000),
            lease: millis(4_000),
            probe_timeout: millis(50),
            store_timeout: millis(4_000),
            mute_timeout: millis(10_000),
            ..MembershipConfig::default()
        },
    };
    SiloOptions { membership, ..options }
}

fn program(options: &SiloOptions, register: fn(SiloBuilder) -> SiloBuilder) -> SiloBuilder {
    register(Silo::builder().options(options.clone()).without_linked())
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
        plan.retain(&self.faults);
        let often = |fault: &Fault| (*fault, self.time / 4);
        plan.every.extend(self.always.iter().map(often));
        if self.budgets == Budgets::Tight {
            plan.store.patience = Duration::from_secs(4);
        }
        plan
    }

    /// Runs it with a seed.
    pub(crate) fn run(&self, seed: u64) -> Run {
        history::clear();
        let mut sim = Sim::new(seed);
        let world = sim.world().clone();
        let options = Arc::new(options(self.only_newer, self.budgets, &world));
        let (again, once_more) = (options.clone(), options.clone());
        sim.program("v1", move || {
            program(&options, |silo| {
                silo.register::<v1::Account>().register::<watcher::v1::Watcher>()
            })
        });
        sim.program("v2", move || {
            program(&again, |silo| {
                silo.register::<v2::Account>().register::<watcher::v2::Watcher>()
            })
        });
        sim.program("v3", move || {
            program(&once_more, |silo| {
                silo.register::<v3::Account>().register::<watcher::v3::Watcher>()
            })
        });
        for rule in &self.broken {
            world.break_rule(rule);
        }
        let plan = self.plan(&world);
        let mut run = Run {
            seed,
            plan: plan.clone(),
            plot: self.plot,
            only_newer: self.only_newer,
            rollout: None,
            history: History::default(),
            lists: BTreeMap::new(),
            departures: Vec::new(),
            at_rest: BTreeMap::new(),
            when_idle: BTreeMap::new(),
            owned_when_idle: BTreeMap::new(),
            membership: Vec::new(),
            owners: Vec::new(),
            saves: Vec::new(),
            ends: Vec::new(),
            lost_writes: Vec::new(),
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
                (run.owned_when_idle, run.rollout) = (end.owned_when_idle, end.rollout);
            }
            Ok(Err(why)) => run.stuck = Some(why),
            Err(late) => run.stuck = Some(late.to_string()),
        }
        run.history = history::take();
        run.departures = world.departures();
        (run.membership, run.lost_writes) = (world.membership(), world.lost_writes());
        (run.owners, run.saves, run.ends) = (world.owner_changes(), world.saves(), world.ends());
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
        watcher::begin(&reader, world, !plan.every.contains_key(&Fault::WallJump)).await?;
        let end = world.now() + self.time;
        let load = Load {
            accounts: accounts.clone(),
            until: end,
            rest: self.rest,
            retries_unknown: self.broken.contains(&"send again what is not known"),
            timers: true,
            is_quiet: Rc::default(),
        };
        let goes_wrong = async {
            let plot = async {
                if let Some(plot) = self.plot {
                    plot.happen(world, &fleet, &load, end).await;
                }
            };
            let faults = join(plan.happen(world, &fleet, end), plot);
            let (_, rollout) = join(faults, self.upgrade(world, &fleet, end)).await;
            FaultPlan::heal(world, &fleet);
            rollout
        };
        let sends = (0..).zip(&clients).map(async |(n, client)| {
            let name = format!("client-{n}");
            let publishes = watcher::publish(client, &name, world, self.rest, end);
            join(load.client(client, &name, world), publishes).await;
        });
        let is_over = Cell::new(false);
        let goes_on = async {
            let (rollout, ..) = join3(goes_wrong, join_all(sends), load.inside(world, self.moves)).await;
            let is_whole = fleet.whole(WHOLE).await;
            is_over.set(true);
            (rollout, is_whole)
        };
        let ((rollout, is_whole), ()) = join(goes_on, watch_views(world, || is_over.get())).await;
        if !is_whole {
            return Err(format!(
                "the cluster is not whole {WHOLE:?} after all was mended: {fleet:?}"
            ));
        }
        // What callers within silos still wait for, timers, ticks that are tried again, and forwards.
        world.sleep(Duration::from_secs(50)).await;
        watcher::stop(&reader, world, WHOLE).await?;
        world.sleep(Duration::from_secs(10)).await;
        let held = |fleet: &Fleet| {
            let silos = fleet.silos().into_iter();
            let held = silos.filter_map(|silo| Some((silo.clone(), world.leftovers(&silo)?)));
            held.collect::<BTreeMap<_, _>>()
        };
        // Silos ask each other how they do, once a second: what is in flight in one moment is not left over.
        let mut at_rest = held(&fleet);
        for _ in 0..3 {
            if at_rest.values().any(|held| held.asks > 0) {
                world.sleep(Duration::from_millis(300)).await;
                at_rest = held(&fleet);
            }
        }
        let lists = lists(&reader, &accounts, world, WHOLE).await?;
        world.sleep(IDLE * 3).await;
        let when_idle = held(&fleet);
        Ok(End {
            lists,
            at_rest,
            when_idle,
            owned_when_idle: owned(world, &accounts),
            rollout: rollout?,
        })
    }

    /// Brings the new version. Answers how the rollout went, if it is one.
    async fn upgrade(&self, world: &World, fleet: &Fleet, end: Duration) -> Result<Option<RolledOut>, String> {
        world.sleep(Duration::from_millis(world.below(5_000))).await;
        match self.upgrade {
            Upgrade::None => Ok(None),
            Upgrade::Rolling => {
                self.roll(world, fleet, end).await;
                Ok(None)
            }
            Upgrade::Rollout => roll_out(world, fleet).await.map(Some),
        }
    }

    /// A rolling upgrade, which some seeds take back half way, or begin another of them meanwhile.
    async fn roll(&self, world: &World, fleet: &Fleet, end: Duration) {
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
            // An upgrade begins while another goes on, and takes its place: back, or on to a third version beside the two.
            _ => {
                let next = ["v1", "v3"][usize::from(world.below(2) == 1)];
                let (begun, second) = (
                    Cell::new(false),
                    world.now() + Duration::from_millis(world.below(12_000)),
                );
                let first = fleet.roll("v2", || !begun.get() && goes_on());
                let other = async {
                    world.sleep(second.saturating_sub(world.now())).await;
                    begun.set(true);
                    fleet.roll(next, goes_on).await;
                };
                join(first, other).await;
            }
        }
    }
}

/// Silos of the new version come, and actors go to them in steps; some seeds take that back.
async fn roll_out(world: &World, fleet: &Fleet) -> Result<RolledOut, String> {
    for silo in ["silo-new-0", "silo-new-1"] {
        fleet.add(silo, "v2");
    }
    fleet.mend();
    if !fleet.whole(WHOLE).await {
        return Err("the silos of the new version were not let in".into());
    }
    let request = Request {
        steps: vec![Weight::new(3_000).expect("a share"), Weight::ALL],
        criteria: Criteria {
            // Nobody asks a watcher, and a bad version is another story.
            min_turns: 0,
            min_timed: u64::MAX,
            watch_for: Duration::from_secs(2),
            ..Criteria::default()
        },
        ..Request::default()
    };
    let silo = || {
        let silos = world.silos();
        let one = silos.get(usize::try_from(world.below(silos.len() as u64)).unwrap_or(0));
        one.and_then(|silo| world.silo(silo)).ok_or("a silo has gone")
    };
    let told = |error: rollout::RolloutError| error.to_string();
    silo()?.start_rollout(&request).await.map_err(told)?;
    let back_after = world.happens(500).then(|| Duration::from_millis(world.below(12_000)));
    let begun = world.now();
    let mut is_back = false;
    for _ in 0..240 {
        world.sleep(Duration::from_millis(250)).await;
        let record = silo()?.rollout().await.map_err(told)?.ok_or("the rollout is gone")?;
        match record.phase {
            Phase::RolledBack { .. } if is_back => return Ok(RolledOut { begun, is_back }),
            Phase::Complete if back_after.is_none() => return Ok(RolledOut { begun, is_back }),
            Phase::RollingBack { why } | Phase::RolledBack { why } if !is_back => {
                return Err(format!("it was rolled back by itself: {why}"));
            }
            _ if !is_back && back_after.is_some_and(|after| world.now() >= begun + after) => {
                let why = "as the seed says".to_owned();
                let command = rollout::Command::RollBack { why };
                silo()?.steer_rollout(&command).await.map_err(told)?;
                is_back = true;
            }
            _ => {}
        }
    }
    Err("the rollout has not ended in a minute".into())
}

/// Who owns the accounts, by the store.
fn owned(world: &World, accounts: &[String]) -> BTreeMap<String, SiloId> {
    let actors = accounts
        .iter()
        .map(|key| ActorId::new("account", key.as_str()).expect("a key"));
    // The memory store answers at once.
    let entries = world.tables().entries(actors.collect()).now_or_never();
    let entries = entries.and_then(Result::ok).unwrap_or_default();
    let owned = accounts.iter().zip(entries);
    owned
        .filter_map(|(key, entry)| Some((key.clone(), entry.owner?)))
        .collect()
}

struct End {
    owned_when_idle: BTreeMap<String, SiloId>,
    rollout: Option<RolledOut>,
    lists: BTreeMap<String, Vec<Note>>,
    at_rest: BTreeMap<String, Leftovers>,
    when_idle: BTreeMap<String, Leftovers>,
}

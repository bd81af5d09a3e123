//! Whole clusters of engines over one table, from a seed: delays, losses, clocks of different rates, crashes, pauses,
//! outages. The safety laws are checked at every step; each test prints the seed that broke one.

use super::{
    Command, Event, Membership, MembershipConfig,
    fixture::{Table, row, secs, unavailable},
};
use crate::{
    clock::Moment,
    ident::SiloId,
    store::{Change, MemberRow, SiloStatus},
};
use std::{collections::BTreeMap, time::Duration};

const MILLI: u64 = 1_000_000;
const SECOND: u64 = 1000 * MILLI;

/// xorshift64*, Vigna 2016.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) % below
    }

    fn percent(&mut self, chance: u64) -> bool {
        self.roll(100) < chance
    }
}

enum Happening {
    Heard(SiloId, Event),
    Reached(SiloId, Operation),
    Resume(SiloId),
}

#[derive(Clone)]
enum Operation {
    Read(u64),
    Write(u64, u64, Change),
    Heartbeat(u64),
}

struct Node {
    engine: Membership,
    /// Local time runs at `rate` thousandths of the world's.
    rate: u64,
    wake_at: Option<u64>,
    paused: bool,
    /// What came while it was paused.
    inbox: Vec<Event>,
    cut_from_store: bool,
    /// Cleared at the end of the incarnation.
    running: bool,
    last_view: u64,
    lost_leases: usize,
    died: Vec<(u64, SiloId)>,
}

impl Node {
    fn local(&self, now: u64) -> Moment {
        Moment(5 * SECOND + now / 1000 * self.rate)
    }

    fn world(&self, local: Moment) -> u64 {
        ((local.0 - 5 * SECOND) / self.rate + 1) * 1000
    }
}

/// A cluster.
struct World {
    seed: u64,
    dice: Dice,
    now: u64,
    queue: BTreeMap<(u64, u64), Happening>,
    count: u64,
    table: Table,
    nodes: BTreeMap<SiloId, Node>,
    /// Chance in percent that a message between silos is lost, and one from or to the store.
    peer_loss: u64,
    store_loss: u64,
    outage: bool,
    /// Every view that any silo saw.
    views: BTreeMap<u64, Vec<MemberRow>>,
    deaths: Vec<(u64, SiloId)>,
}

impl World {
    fn new(seed: u64, silos: u64) -> Self {
        let mut world = Self {
            seed,
            dice: Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1),
            now: 0,
            queue: BTreeMap::new(),
            count: 0,
            table: Table::default(),
            nodes: BTreeMap::new(),
            peer_loss: 0,
            store_loss: 0,
            outage: false,
            views: BTreeMap::new(),
            deaths: Vec::new(),
        };
        for i in 0..silos {
            world.start(SiloId::new(format!("s{i}"), 1));
        }
        world.run(secs(3));
        for silo in world.nodes.keys().cloned().collect::<Vec<_>>() {
            world.check(
                world.table.0.rows.iter().any(|row| row.silo == silo),
                "everybody joined",
            );
        }
        world
    }

    fn check(&self, holds: bool, law: &str) {
        assert!(
            holds,
            "seed {}, at {} ms: not so: {law}\n{:?}",
            self.seed,
            self.now / MILLI,
            self.table.0
        );
    }

    fn start(&mut self, silo: SiloId) {
        let node = Node {
            engine: Membership::new(MembershipConfig::default(), row(silo.clone(), SiloStatus::Joining)),
            rate: 980 + self.dice.roll(41),
            wake_at: None,
            paused: false,
            inbox: Vec::new(),
            cut_from_store: false,
            running: true,
            last_view: 0,
            lost_leases: 0,
            died: Vec::new(),
        };
        self.nodes.insert(silo.clone(), node);
        self.hear(&silo, Event::Started);
        self.hear(&silo, Event::SetStatus(SiloStatus::Active));
    }

    fn later(&mut self, after: u64, happening: Happening) {
        self.count += 1;
        self.queue.insert((self.now + after, self.count), happening);
    }

    fn delay(&mut self) -> u64 {
        MILLI + self.dice.roll(30 * MILLI)
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + u64::try_from(time.as_nanos()).expect("small");
        loop {
            let next = self.queue.first_key_value().map(|((at, _), _)| *at);
            let wake = self
                .nodes
                .iter()
                .filter(|(_, node)| node.running && !node.paused)
                .filter_map(|(silo, node)| node.wake_at.map(|at| (at, silo.clone())))
                .min();
            match (next, wake) {
                (_, Some((at, silo))) if at <= end && next.is_none_or(|next| at <= next) => {
                    self.now = self.now.max(at);
                    self.nodes.get_mut(&silo).expect("known").wake_at = None;
                    self.hear(&silo, Event::Tick);
                }
                (Some(at), _) if at <= end => {
                    self.now = at;
                    let (_, happening) = self.queue.pop_first().expect("not empty");
                    self.happen(happening);
                }
                _ => break,
            }
        }
        self.now = end;
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Heard(silo, event) => self.hear(&silo, event),
            Happening::Reached(silo, operation) => self.reach_store(&silo, operation),
            Happening::Resume(silo) => {
                let node = self.nodes.get_mut(&silo).expect("known");
                node.paused = false;
                for event in std::mem::take(&mut node.inbox) {
                    self.hear(&silo, event);
                }
                self.hear(&silo, Event::Tick);
            }
        }
    }

    fn hear(&mut self, silo: &SiloId, event: Event) {
        let node = self.nodes.get_mut(silo).expect("known");
        if !node.running {
            return;
        }
        if node.paused {
            node.inbox.push(event);
            return;
        }
        let now = node.local(self.now);
        let commands = node.engine.on(now, event);
        for command in commands {
            self.obey(silo, command);
        }
    }

    fn obey(&mut self, me: &SiloId, command: Command) {
        let delay = self.delay();
        match command {
            Command::ReadTable { read } => self.later(delay, Happening::Reached(me.clone(), Operation::Read(read))),
            Command::WriteRow {
                write,
                expected_view,
                change,
            } => {
                let operation = Operation::Write(write, expected_view, change);
                self.later(delay, Happening::Reached(me.clone(), operation));
            }
            Command::Heartbeat { n } => self.later(delay, Happening::Reached(me.clone(), Operation::Heartbeat(n))),
            Command::Probe { silo, .. } => {
                self.hint(me, &silo);
                let (event, after) = if self.answers(&silo) {
                    (Event::ProbeAnswered { silo }, delay)
                } else {
                    (Event::ProbeFailed { silo }, SECOND)
                };
                self.later(after, Happening::Heard(me.clone(), event));
            }
            Command::AskSecondOpinion { peer, about, .. } => {
                self.hint(me, &peer);
                self.hint(&peer, &about);
                if self.answers(&peer) {
                    let alive = self.answers(&about);
                    let after = if alive { delay } else { SECOND };
                    let event = Event::OpinionGiven {
                        from: peer,
                        about,
                        alive,
                    };
                    self.later(after, Happening::Heard(me.clone(), event));
                }
            }
            Command::AskStoreReach { peer, round, .. } => {
                self.hint(me, &peer);
                self.send(
                    &peer,
                    Event::StoreReachAsked {
                        peer: me.clone(),
                        round,
                    },
                );
            }
            Command::AnswerStoreReach {
                peer,
                round,
                unreachable,
            } => {
                self.hint(me, &peer);
                if unreachable {
                    let event = Event::StoreUnreachableConfirmed {
                        peer: me.clone(),
                        round,
                    };
                    self.send(&peer, event);
                }
            }
            Command::PushView { view } => {
                for peer in self
                    .nodes
                    .keys()
                    .filter(|peer| *peer != me)
                    .cloned()
                    .collect::<Vec<_>>()
                {
                    self.send(&peer, Event::PeerSaysViewChanged { view });
                }
            }
            Command::ViewChanged(_) => self.view_changed(me),
            Command::SiloDied(silo) => {
                let now = self.now;
                self.nodes.get_mut(me).expect("known").died.push((now, silo));
            }
            Command::LeaseHeld { .. } => {
                let status = self.table.status(me);
                let alive = status.is_some_and(|status| status != SiloStatus::Dead);
                self.check(alive, "no_silo_holds_a_lease_while_others_see_it_dead (given)");
            }
            Command::LeaseLost => self.nodes.get_mut(me).expect("known").lost_leases += 1,
            Command::Fenced(_) | Command::Left => self.nodes.get_mut(me).expect("known").running = false,
            Command::WakeAt(at) => {
                let node = self.nodes.get_mut(me).expect("known");
                node.wake_at = Some(node.world(at));
            }
            Command::SiloLeft(_) => {}
            Command::StoreWentBack { .. } => self.check(false, "the store never went back"),
        }
    }

    /// What `to` hears with anything that `from` says.
    fn hint(&mut self, from: &SiloId, to: &SiloId) {
        if let Some(node) = self.nodes.get(from).filter(|node| node.running && !node.paused) {
            let view = node.engine.known_view();
            self.send(to, Event::PeerSaysViewChanged { view });
        }
    }

    fn answers(&mut self, silo: &SiloId) -> bool {
        let lost = self.dice.percent(self.peer_loss);
        !lost && self.nodes.get(silo).is_some_and(|node| node.running && !node.paused)
    }

    fn send(&mut self, to: &SiloId, event: Event) {
        if self.nodes.contains_key(to) && !self.dice.percent(self.peer_loss) {
            let delay = self.delay();
            self.later(delay, Happening::Heard(to.clone(), event));
        }
    }

    fn reach_store(&mut self, me: &SiloId, operation: Operation) {
        let cut = self.outage || self.nodes[me].cut_from_store;
        let (request_lost, answer_lost) = (self.dice.percent(self.store_loss), self.dice.percent(self.store_loss));
        let mut after = self.delay();
        let mut answer = Err(unavailable());
        if !cut && !request_lost {
            answer = Ok(self.execute(me, &operation));
        }
        if cut || request_lost || answer_lost {
            answer = Err(unavailable());
            if self.dice.percent(50) {
                after = 2 * SECOND;
            }
        }
        let event = match (operation, answer) {
            (Operation::Read(read), Err(error)) => Event::TableRead {
                read,
                answer: Err(error),
            },
            (Operation::Write(write, ..), Err(error)) => Event::RowWritten {
                write,
                answer: Err(error),
            },
            (Operation::Heartbeat(n), Err(error)) => Event::HeartbeatWritten { n, answer: Err(error) },
            (_, Ok(event)) => event,
        };
        self.later(after, Happening::Heard(me.clone(), event));
    }

    fn execute(&mut self, me: &SiloId, operation: &Operation) -> Event {
        match operation.clone() {
            Operation::Read(read) => Event::TableRead {
                read,
                answer: Ok(self.table.0.clone()),
            },
            Operation::Heartbeat(n) => Event::HeartbeatWritten {
                n,
                answer: Ok(self.table.heartbeat(me, n)),
            },
            Operation::Write(write, expected_view, change) => {
                let before = self.table.0.clone();
                let answer = self.table.change(expected_view, change.clone());
                if let (Ok(_), Change::Put(put)) = (&answer, change) {
                    let old = before.rows.iter().find(|row| row.silo == put.silo);
                    self.row_put(old.cloned(), &put);
                }
                Event::RowWritten {
                    write,
                    answer: Ok(answer),
                }
            }
        }
    }

    fn row_put(&mut self, old: Option<MemberRow>, put: &MemberRow) {
        let asked = row(put.silo.clone(), put.status);
        let same = (&put.address, &put.manifest, &put.labels) == (&asked.address, &asked.manifest, &asked.labels);
        self.check(same, "a row keeps what its silo said of itself");
        let old = old.map(|row| row.status);
        self.check(old != Some(SiloStatus::Dead), "death_is_final_for_an_incarnation");
        if put.status == SiloStatus::Dead {
            self.deaths.push((self.now, put.silo.clone()));
            let node = &self.nodes[&put.silo];
            let holds = node.running && node.engine.lease_holds(node.local(self.now));
            self.check(!holds, "no_silo_holds_a_lease_while_others_see_it_dead");
        }
    }

    fn view_changed(&mut self, me: &SiloId) {
        let node = self.nodes.get_mut(me).expect("known");
        let (number, last) = (node.engine.view().number(), node.last_view);
        let rows: Vec<_> = node
            .engine
            .view()
            .rows()
            .cloned()
            .map(|row| MemberRow { heartbeat: 0, ..row })
            .collect();
        node.last_view = number;
        self.check(number > last, "silos_see_the_same_views_in_the_same_order (forward)");
        let first = self.views.entry(number).or_insert_with(|| rows.clone()).clone();
        self.check(first == rows, "silos_see_the_same_views_in_the_same_order (the same)");
    }

    fn silos(&self) -> Vec<SiloId> {
        self.nodes
            .iter()
            .filter(|(_, node)| node.running)
            .map(|(silo, _)| silo.clone())
            .collect()
    }

    fn pick(&mut self) -> SiloId {
        let silos = self.silos();
        let i = self.dice.roll(silos.len() as u64);
        silos[usize::try_from(i).expect("small")].clone()
    }

    fn crash(&mut self, silo: &SiloId) {
        self.nodes.get_mut(silo).expect("known").running = false;
    }

    fn pause(&mut self, silo: &SiloId, millis: u64) {
        self.nodes.get_mut(silo).expect("known").paused = true;
        self.later(millis * MILLI, Happening::Resume(silo.clone()));
    }

    fn lost_leases(&self) -> usize {
        self.nodes.values().map(|node| node.lost_leases).sum()
    }
}

/// R86
#[test]
fn a_silo_that_heartbeats_is_never_declared_dead() {
    for seed in 1..=20 {
        let mut world = World::new(seed, 3 + seed % 3);
        // Even if no silo ever hears of another.
        world.peer_loss = 100;
        world.run(secs(120));
        world.check(world.deaths.is_empty(), "nobody died");
        world.check(world.lost_leases() == 0, "nobody lost the lease");
        world.check(
            world.table.0.rows.iter().all(|row| row.status == SiloStatus::Active),
            "all are Active",
        );
    }
}

/// R84
#[test]
fn a_silent_silo_is_declared_dead_within_the_bound() {
    for seed in 1..=40 {
        let mut world = World::new(seed, 2 + seed % 4);
        let wait = world.dice.roll(5000);
        world.run(Duration::from_millis(wait));
        let victim = world.pick();
        let crashed = world.now;
        world.crash(&victim);
        world.run(secs(20));
        // Round trips of the store and the spread of the clocks' rates.
        let config = MembershipConfig::default();
        let bound = config.detection_bound() + Duration::from_millis(500);
        world.check(
            world.deaths.len() == 1 && world.deaths[0].1 == victim,
            "the silent one died",
        );
        let took = Duration::from_nanos(world.deaths[0].0 - crashed);
        world.check(took <= bound, &format!("dead within {bound:?}, not {took:?}"));
        for silo in world.silos() {
            let died = &world.nodes[&silo].died;
            world.check(died.len() == 1 && died[0].1 == victim, "every silo was told once");
            let told = Duration::from_nanos(died[0].0 - crashed);
            world.check(told <= bound + config.read_interval, "and in time, pushed or not");
        }
    }
}

/// R86, guarantee 14
#[test]
fn a_store_outage_kills_nobody() {
    for seed in 1..=40 {
        let mut world = World::new(seed, 2 + seed % 4);
        let wait = world.dice.roll(5000);
        world.run(Duration::from_millis(wait));
        world.outage = true;
        let outage = 1000 + world.dice.roll(60_000);
        world.run(Duration::from_millis(outage));
        world.outage = false;
        world.run(secs(30));
        world.check(world.deaths.is_empty(), "nobody died");
        world.check(world.lost_leases() == 0, "all served on");
    }
}

/// R87, guarantee 14
#[test]
fn a_silo_cut_from_the_store_alone_stops_and_is_replaced() {
    for seed in 1..=40 {
        let mut world = World::new(seed, 2 + seed % 4);
        let victim = world.pick();
        world.nodes.get_mut(&victim).expect("known").cut_from_store = true;
        world.run(secs(40));
        let node = &world.nodes[&victim];
        world.check(node.lost_leases == 1, "it stopped");
        world.check(
            world.deaths.len() == 1 && world.deaths[0].1 == victim,
            "and died, though it answers probes",
        );
    }
}

/// R35, R84, R86, R87; guarantees 14, 15
#[test]
fn no_fault_breaks_a_law_and_the_cluster_heals() {
    for seed in 1..=60 {
        let mut world = World::new(seed, 3 + seed % 3);
        world.peer_loss = world.dice.roll(30);
        world.store_loss = world.dice.roll(20);
        let mut incarnation = 1;
        for _ in 0..30 {
            match world.dice.roll(7) {
                0 => {
                    let silo = world.pick();
                    world.crash(&silo);
                }
                1 | 2 => {
                    let (silo, millis) = (world.pick(), world.dice.roll(20_000));
                    if !world.nodes[&silo].paused {
                        world.pause(&silo, millis);
                    }
                }
                3 => {
                    let silo = world.pick();
                    let node = world.nodes.get_mut(&silo).expect("known");
                    node.cut_from_store = !node.cut_from_store;
                }
                4 => world.outage = !world.outage,
                5 => {
                    let silo = world.pick();
                    let status = if world.dice.percent(50) {
                        SiloStatus::ShuttingDown
                    } else {
                        SiloStatus::Active
                    };
                    world.hear(&silo, Event::SetStatus(status));
                }
                _ => {
                    let silo = world.pick();
                    world.hear(&silo, Event::Leave);
                }
            }
            let wait = world.dice.roll(12_000);
            world.run(Duration::from_millis(wait));
            // Who has ended comes back as a new incarnation.
            let running = world.silos();
            let all: Vec<_> = world.nodes.keys().map(|silo| silo.name().to_owned()).collect();
            for name in all {
                let up = running.iter().any(|silo| silo.name() == name);
                let twice = world.silos().iter().any(|silo| silo.name() == name);
                if !up && !twice && (world.dice.percent(50) || world.silos().is_empty()) {
                    incarnation += 1;
                    world.start(SiloId::new(name, incarnation));
                }
            }
        }
        (world.outage, world.peer_loss, world.store_loss) = (false, 0, 0);
        for node in world.nodes.values_mut() {
            node.cut_from_store = false;
        }
        world.run(secs(60));
        for silo in world.silos() {
            world.hear(&silo, Event::SetStatus(SiloStatus::Active));
        }
        world.run(secs(5));
        let running = world.silos();
        for silo in &running {
            let node = &world.nodes[silo];
            let seen: Vec<_> = node.engine.view().active().map(|row| row.silo.clone()).collect();
            let leaving = node.engine.leaving;
            world.check(
                leaving || seen == running,
                "in the end everybody sees those that run, and no others",
            );
            world.check(
                leaving || node.engine.lease_holds(node.local(world.now)),
                "and may serve",
            );
        }
    }
}

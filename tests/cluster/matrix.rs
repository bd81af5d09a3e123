//! The crash matrix: at each step of a move, each party is killed, stopped past its lease or cut off, or a frame is lost, repeated or
//! overtaken; pairs of faults too. The step is frozen by a barrier while the fault happens.
//!
//! In every cell an actor moves from the source to the target beside a load, from a client and from a third silo. Afterwards it
//! answers, the lists are as the senders were told, and it can be moved again.
//!
//! Not in it, because links do not do so: a call or a forward that is repeated or overtaken, and one that is lost without all behind
//! it on its link. An ordinary test run takes [`Cell::is_ordinary`]; all of them run with `QUARK_TEST_CRASH=all` (`make crash`), one
//! with a part of its name.

use crate::{
    PATIENCE,
    cluster::{Cluster, log, settings, until, whereabouts},
    load::{self, Account, Load},
    program::{INSIDE, Order, Outcome, Said, Wish},
    proxy::Proxy,
    redis::RedisServer,
};
use quark::{client::Client, clock::Clock};
use rustix::process::Signal;
use std::{collections::VecDeque, fmt, sync::Arc, time::Duration};
use tokio::{sync::Mutex, task::JoinSet, time};

const SOURCE: &str = "m-source";
const TARGET: &str = "m-target";
/// Asks from within, and takes over where both others are gone.
const CALLER: &str = "m-caller";
const FAILURE_TIMEOUT: Duration = Duration::from_millis(2_000);
/// How often a cell is begun whose moment does not come.
const ATTEMPTS: usize = 5;
/// How many cells run at a time.
const LANES: usize = 3;

/// The steps of a move, by who takes them: commands of a seat about to be carried out, frames about to be sent.
const STEPS: [(&str, &str); 11] = [
    ("offer", SOURCE),
    ("offer_answer", TARGET),
    ("freeze", SOURCE),
    ("send_package", SOURCE),
    ("commit", TARGET),
    ("send_committed", TARGET),
    ("send_go", SOURCE),
    ("start", TARGET),
    ("send_forward", SOURCE),
    ("send_rested", TARGET),
    ("send_closed", SOURCE),
];

/// What happens to frames, and on whose side they are sent.
const FRAMES: [(&str, &str, &[Wish]); 8] = [
    ("offer", SOURCE, &[Wish::Drop, Wish::Cut, Wish::Repeat, Wish::Overtake]),
    (
        "offer_answer",
        TARGET,
        &[Wish::Drop, Wish::Cut, Wish::Repeat, Wish::Overtake],
    ),
    (
        "package",
        SOURCE,
        &[Wish::Drop, Wish::Cut, Wish::Repeat, Wish::Overtake],
    ),
    (
        "committed",
        TARGET,
        &[Wish::Drop, Wish::Cut, Wish::Repeat, Wish::Overtake],
    ),
    ("go", SOURCE, &[Wish::Drop, Wish::Cut, Wish::Repeat, Wish::Overtake]),
    ("forward", SOURCE, &[Wish::Cut]),
    ("rested", TARGET, &[Wish::Cut, Wish::Repeat, Wish::Overtake]),
    ("closed", SOURCE, &[Wish::Cut, Wish::Repeat, Wish::Overtake]),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Party {
    Source,
    Target,
    Caller,
    Store,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Blow {
    Kill,
    Stop,
    Cut,
}

/// What happens, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// At a step, to somebody.
    Blow(&'static str, &'static str, Party, Blow),
    /// To a frame of one side.
    Frame(&'static str, &'static str, Wish),
}

impl Fault {
    /// The silo that takes the step, or sends the frame.
    fn side(&self) -> &'static str {
        match *self {
            Self::Blow(_, side, ..) | Self::Frame(_, side, _) => side,
        }
    }
}

/// One or two faults of one move.
#[derive(Clone, PartialEq, Eq)]
struct Cell(Vec<Fault>);

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, fault) in self.0.iter().enumerate() {
            let and = if n == 0 { "" } else { " and " };
            match fault {
                Fault::Blow(step, _, party, blow) => write!(f, "{and}{blow:?} {party:?} at {step}")?,
                Fault::Frame(frame, _, wish) => write!(f, "{and}{wish:?} {frame}")?,
            }
        }
        Ok(())
    }
}

impl Cell {
    /// Every party, every blow, every step; every frame; and pairs of what meets in one move.
    fn all() -> Vec<Self> {
        let mut cells = Vec::new();
        for (step, side) in STEPS {
            for party in [Party::Source, Party::Target, Party::Caller, Party::Store] {
                for blow in [Blow::Kill, Blow::Stop, Blow::Cut] {
                    cells.push(Self(vec![Fault::Blow(step, side, party, blow)]));
                }
            }
        }
        for (frame, side, wishes) in FRAMES {
            cells.extend(wishes.iter().map(|wish| Self(vec![Fault::Frame(frame, side, *wish)])));
        }
        let blow = |step: &'static str, party, blow| {
            let (step, side) = *STEPS.iter().find(|(name, _)| *name == step).expect("a step");
            Fault::Blow(step, side, party, blow)
        };
        let lost = |frame: &'static str| {
            let (frame, side, _) = *FRAMES.iter().find(|(name, ..)| *name == frame).expect("a frame");
            Fault::Frame(frame, side, Wish::Cut)
        };
        cells.extend([
            Self(vec![
                blow("send_package", Party::Source, Blow::Cut),
                blow("send_committed", Party::Source, Blow::Kill),
            ]),
            Self(vec![
                blow("send_package", Party::Store, Blow::Cut),
                blow("commit", Party::Target, Blow::Kill),
            ]),
            Self(vec![
                blow("commit", Party::Store, Blow::Kill),
                blow("send_committed", Party::Target, Blow::Kill),
            ]),
            Self(vec![
                blow("send_committed", Party::Source, Blow::Kill),
                blow("start", Party::Target, Blow::Kill),
            ]),
            Self(vec![lost("committed"), blow("send_go", Party::Target, Blow::Kill)]),
            Self(vec![lost("committed"), blow("send_go", Party::Source, Blow::Kill)]),
            Self(vec![lost("go"), blow("start", Party::Source, Blow::Kill)]),
            Self(vec![lost("package"), blow("commit", Party::Source, Blow::Stop)]),
            Self(vec![lost("forward"), blow("send_rested", Party::Source, Blow::Kill)]),
            Self(vec![lost("rested"), blow("send_closed", Party::Target, Blow::Kill)]),
        ]);
        cells
    }

    /// Whether it begins before the actor is frozen.
    fn is_early(&self) -> bool {
        matches!(
            self.0[0],
            Fault::Blow("offer" | "offer_answer" | "freeze" | "send_package", ..)
                | Fault::Frame("offer" | "offer_answer", ..)
        )
    }

    /// Runs in an ordinary test run: each step with the death of each side, and what is worst of the rest.
    fn is_ordinary(&self) -> bool {
        match self.0.as_slice() {
            [Fault::Blow(_, _, Party::Source | Party::Target, Blow::Kill)] => true,
            [Fault::Blow(step, _, party, Blow::Stop)] => {
                matches!(*step, "commit" | "send_committed" | "send_go") && *party != Party::Caller
            }
            [Fault::Blow(step, _, Party::Target | Party::Store, Blow::Cut)] => {
                matches!(*step, "commit" | "send_forward")
            }
            [Fault::Blow(step, _, Party::Store | Party::Caller, Blow::Kill)] => *step == "send_committed",
            [Fault::Frame(frame, _, wish)] => match *wish {
                Wish::Cut => true,
                Wish::Drop => matches!(*frame, "committed" | "go"),
                Wish::Repeat => matches!(*frame, "package" | "go"),
                Wish::Overtake => *frame == "go",
            },
            [Fault::Blow("send_committed", ..), _] => true,
            _ => false,
        }
    }
}

/// What a cell happens to.
struct Scene {
    cluster: Cluster,
    /// Before the source and the target.
    doors: [Proxy; 2],
    store_door: Proxy,
    stopped: Vec<&'static str>,
    /// What the caller was told before it was killed.
    caller: Vec<(u64, Outcome)>,
}

fn name_of(party: Party) -> Option<&'static str> {
    match party {
        Party::Source => Some(SOURCE),
        Party::Target => Some(TARGET),
        Party::Caller => Some(CALLER),
        Party::Store => None,
    }
}

impl Scene {
    async fn set(server: &RedisServer) -> Self {
        let store_door = Proxy::start(&[]).await;
        store_door.stand_before(&format!("127.0.0.1:{}", server.port()));
        let mut settings = settings(&format!("redis://{}/0", store_door.address()), FAILURE_TIMEOUT);
        settings.move_timeout = Duration::from_secs(3);
        let mut scene = Self {
            cluster: Cluster::empty(tempfile::tempdir().expect("a folder"), settings),
            doors: [Proxy::start(&[]).await, Proxy::start(&[]).await],
            store_door,
            stopped: Vec::new(),
            caller: Vec::new(),
        };
        let door = |n: usize| Some(&scene.doors[n]);
        let starting = [(SOURCE, door(0)), (TARGET, door(1)), (CALLER, None)].map(|(name, door)| {
            let settings = crate::program::Settings {
                advertise: door.map(Proxy::address),
                ..scene.cluster.settings_of(name)
            };
            let starting = crate::process::Process::start(&settings, scene.cluster.logs(), &[]);
            async move {
                let process = starting.ready().await;
                if let Some(door) = door {
                    door.stand_before(&process.address);
                }
                process
            }
        });
        let silos = futures_util::future::join_all(starting).await;
        scene.cluster.silos = silos;
        scene.cluster.know_each_other().await;
        scene
    }

    fn is_alive(&self, name: &str) -> bool {
        self.cluster.silos.iter().any(|silo| silo.name() == name)
    }

    /// Who stood at the barrier goes on.
    fn go_on(&mut self, name: &str) {
        if self.is_alive(name) {
            self.cluster.silo(name).tell(&Order::GoOn);
        }
    }

    async fn strike(&mut self, side: &'static str, party: Party, blow: Blow, server: &mut RedisServer) {
        let clock = Clock::system();
        match (name_of(party), blow) {
            (Some(name), Blow::Kill) => {
                if self.is_alive(name) {
                    let killed = self.cluster.take(name);
                    if party == Party::Caller {
                        self.caller = killed.asked().await;
                    }
                }
                self.go_on(side);
            }
            (Some(name), Blow::Stop) => {
                if self.is_alive(name) {
                    self.cluster.silo(name).signal(Signal::STOP);
                    self.stopped.push(name);
                }
                self.go_on(side);
            }
            (Some(name), Blow::Cut) => {
                match name {
                    SOURCE => self.doors[0].cut(),
                    TARGET => self.doors[1].cut(),
                    // Its links to both.
                    _ => self.doors.iter().for_each(Proxy::cut),
                }
                self.go_on(side);
            }
            (None, Blow::Kill) => {
                server.kill();
                self.go_on(side);
                clock.sleep(FAILURE_TIMEOUT / 2).await;
                server.restart();
            }
            (None, Blow::Stop) => {
                server.pause();
                self.go_on(side);
                clock.sleep(FAILURE_TIMEOUT * 3 / 2).await;
                server.resume();
            }
            (None, Blow::Cut) => {
                self.store_door.cut();
                self.go_on(side);
            }
        }
    }

    /// Those that stood still go on, now that others have what they had.
    fn wake(&mut self) {
        for name in std::mem::take(&mut self.stopped) {
            if self.is_alive(name) {
                self.cluster.silo(name).signal(Signal::CONT);
            }
        }
    }
}

/// Sets the scene and plays the cell; `None` if the moment of its first fault did not come: nothing may have been there to be
/// forwarded.
async fn run(cell: &Cell, server: &mut RedisServer) -> Option<load::Sum> {
    let mut scene = Scene::set(server).await;
    let client = scene.cluster.client().await;
    let mut keys = Vec::new();
    for n in 0..200 {
        let key = format!("k{n}");
        if whereabouts(&client, &key).await == SOURCE {
            keys.push(key);
            if keys.len() == 2 {
                break;
            }
        }
    }
    let moving = keys[0].clone();
    let load = Load::start(&client, &keys);
    let inside = Order::Load { key: moving.clone() };
    scene.cluster.silo(CALLER).tell(&inside);
    load.answers(10).await;

    let order = Order::Move {
        key: moving.clone(),
        to: TARGET.into(),
    };
    if cell.is_early() {
        arm_all(&mut scene, cell, &moving).await;
        scene.cluster.silo(SOURCE).tell(&order);
    } else {
        // Frozen until every sender has sent, so that messages are held and forwarded.
        let frozen = Fault::Blow("send_package", SOURCE, Party::Source, Blow::Stop);
        arm(&mut scene, &frozen, &moving).await;
        scene.cluster.silo(SOURCE).tell(&order);
        hear_of(&mut scene, &frozen).await.expect("it is frozen");
        Clock::system().sleep(load::PACE * 3).await;
        arm_all(&mut scene, cell, &moving).await;
        scene.go_on(SOURCE);
    }
    for (n, fault) in cell.0.iter().enumerate() {
        // A second one may never come: what it waits for was in the way of the first.
        let met = scene.is_alive(fault.side()) && hear_of(&mut scene, fault).await.is_some();
        if n == 0 && !met {
            return None;
        }
        if let Fault::Blow(_, side, party, blow) = *fault {
            scene.strike(side, party, blow, server).await;
        }
    }
    // Another may have to be found dead first.
    let others: Vec<String> = keys.clone();
    for key in &others {
        load::list(&client, key).await;
    }
    load.answers(10).await;
    for name in &scene.stopped {
        until("it is dead", || {
            client.silos().iter().all(|silo| silo.silo.name() != *name)
        })
        .await;
    }
    scene.wake();
    load.answers(20).await;
    move_again(&mut scene, &client, &moving).await;
    let mut accounts = load.finish().await;
    accounts.push(hear_caller(&mut scene, &moving).await);
    let sum = load::check(&client, &accounts).await;
    client.close().await;
    Some(sum)
}

async fn arm_all(scene: &mut Scene, cell: &Cell, moving: &str) {
    for fault in &cell.0 {
        arm(scene, fault, moving).await;
    }
}

async fn arm(scene: &mut Scene, fault: &Fault, moving: &str) {
    let order = match *fault {
        Fault::Blow(step, ..) => Order::StopAt {
            step: step.into(),
            key: moving.into(),
        },
        Fault::Frame(frame, _, fate) => Order::Fate {
            frame: frame.into(),
            fate,
        },
    };
    let silo = scene.cluster.silo(fault.side());
    silo.tell(&order);
    let armed = silo.hear(|said| matches!(said, Said::Armed).then_some(()));
    armed.await.expect("it obeys");
}

/// Waits for the moment of a fault; `None` if it does not come.
async fn hear_of(scene: &mut Scene, fault: &Fault) -> Option<()> {
    let met = scene.cluster.silo(fault.side()).hear(|said| match (said, *fault) {
        (Said::Stands { step }, Fault::Blow(wanted, ..)) if step == wanted => Some(()),
        (Said::Fated { frame }, Fault::Frame(wanted, ..)) if frame == wanted => Some(()),
        _ => None,
    });
    time::timeout(FAILURE_TIMEOUT * 4, met).await.ok().flatten()
}

/// Nothing has been left behind that would keep the actor where it is.
async fn move_again(scene: &mut Scene, client: &Client, key: &str) {
    let clock = Clock::system();
    let end = clock.now() + PATIENCE;
    loop {
        let here = whereabouts(client, key).await;
        let names: Vec<String> = client.silos().iter().map(|silo| silo.silo.name().to_owned()).collect();
        let Some(to) = names
            .iter()
            .find(|name| **name != here && scene.is_alive(name))
            .cloned()
        else {
            // Nobody else is left.
            return;
        };
        if scene.is_alive(&here) {
            let process = scene.cluster.silo(&here);
            let key = key.to_owned();
            process.tell(&Order::Move { key, to });
            let moved = process.hear(|said| match said {
                Said::Moved { error, .. } => Some(Ok(error)),
                Said::Failed(why) => Some(Err(why)),
                _ => None,
            });
            if let Some(Ok(None)) = moved.await {
                return;
            }
        }
        assert!(clock.now() < end, "{key} cannot be moved from {here} any more");
    }
}

/// What the third silo was told as a caller, to its end.
async fn hear_caller(scene: &mut Scene, key: &str) -> Account {
    let mut account = Account {
        key: key.to_owned(),
        client: INSIDE,
        open: true,
        ..Account::default()
    };
    if scene.is_alive(CALLER) {
        // It may be the last one there is: it lives on.
        let caller = scene.cluster.silo(CALLER);
        caller.tell(&Order::EndLoad);
        let sent = caller.hear(|said| match said {
            Said::Loaded { sent } => Some(Some(sent)),
            // It was stopped past its lease.
            Said::Failed(_) => Some(None),
            _ => None,
        });
        if let Some(Some(sent)) = sent.await {
            account.sent = sent;
            account.open = false;
        }
        scene.caller = caller.take_asked();
    }
    for (n, outcome) in std::mem::take(&mut scene.caller) {
        account.note(n, outcome);
        // Of one that was killed, only what it said is known.
        account.sent += u64::from(account.open);
    }
    account
}

/// R40, R47, R48, R135
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_crash_at_any_step_of_a_move_loses_doubles_or_reorders() {
    log();
    let wanted = std::env::var("QUARK_TEST_CRASH").ok();
    let chosen: VecDeque<Cell> = (Cell::all().into_iter())
        .filter(|cell| match wanted.as_deref() {
            None => cell.is_ordinary(),
            Some("all") => true,
            Some(part) => cell.to_string().contains(part),
        })
        .collect();
    assert!(!chosen.is_empty(), "no cell of that name");
    let (count, begun) = (chosen.len(), Clock::system().now());
    let cells = Arc::new(Mutex::new(chosen));
    let mut lanes = JoinSet::new();
    for _ in 0..LANES {
        let cells = cells.clone();
        lanes.spawn(async move {
            let mut failed = Vec::new();
            let mut server = Some(lane_server());
            loop {
                let Some(cell) = cells.lock().await.pop_front() else {
                    return failed;
                };
                let begun = Clock::system().now();
                let mut own = server.take().unwrap_or_else(lane_server);
                let name = cell.to_string();
                // A task of its own, so that a cell that fails fails alone.
                let mut alone = JoinSet::new();
                alone.spawn(async move {
                    for _ in 0..ATTEMPTS {
                        if let Some(sum) = run(&cell, &mut own).await {
                            return (sum, own);
                        }
                    }
                    panic!("the moment of {cell} does not come");
                });
                match alone.join_next().await.expect("one task") {
                    Ok((sum, own)) => {
                        println!("{name}: {:?}, {sum:?}", Clock::system().now().since(begun));
                        server = Some(own);
                    }
                    Err(_) => failed.push(name),
                }
            }
        });
    }
    let mut failed = Vec::new();
    while let Some(lane) = lanes.join_next().await {
        failed.extend(lane.expect("a lane does not panic"));
    }
    println!("{count} cells in {:?}", Clock::system().now().since(begun));
    assert!(failed.is_empty(), "of {count} cells failed: {failed:#?}");
}

/// Keeps what it answered when its process is killed, which is what happens to it here: all of it was written to the file. With
/// `everysec` a write waits for a flush under way, up to two seconds, and what was answered meanwhile dies with the process.
fn lane_server() -> RedisServer {
    RedisServer::start_with(&["--save", "", "--appendonly", "yes", "--appendfsync", "no"])
}

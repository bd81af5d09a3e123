//! The silo as a process: what it is started with, what it is told line by line, and what it says.

use crate::notes::{Append, HERE, Notes, Where};
use parking_lot::{Condvar, Mutex};
use quark::{
    actor::CallError,
    faults::{self, Fate, Faults},
    ident::{ActorId, SiloId},
    membership::MembershipConfig,
    prelude::*,
    silo::{Silo, SiloHandle, SiloOptions},
    wire::{Ran, ShutdownReport},
};
use std::{
    env,
    io::{self, BufRead, Write},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};
use tokio::sync::mpsc;

/// Names what a silo is started with, in the environment of its process.
pub(crate) const SETTINGS: &str = "QUARK_TEST_SILO";

/// What a silo is started with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Settings {
    pub(crate) name: String,
    pub(crate) cluster: String,
    pub(crate) store: String,
    pub(crate) listen: String,
    pub(crate) advertise: Option<String>,
    pub(crate) membership: MembershipConfig,
    /// How long a freeze and a move may take.
    pub(crate) move_timeout: Duration,
}

/// What a silo is told.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Order {
    /// Move an actor to the silo of this name.
    Move { key: String, to: String },
    /// Stand still where this step of this actor is reached the next time, and say so. A step is the name of a seat's command, or
    /// of a frame of no one actor.
    StopAt { step: String, key: String },
    /// Go on.
    GoOn,
    /// The next frame of this kind has this fate.
    Fate { frame: String, fate: Wish },
    /// Append to an actor from within, as [`INSIDE`].
    Ask { key: String, n: u64 },
    /// Ask an actor from within where it is.
    Look { key: String },
    /// Append to an actor from within, as [`INSIDE`], three at a time, for ever.
    Load { key: String },
    /// Let that end, and say how many were sent.
    EndLoad,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Wish {
    Drop,
    Cut,
    Repeat,
    Overtake,
}

/// What a silo says.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Said {
    Ready {
        silo: SiloId,
        address: String,
    },
    /// It will stand still, or the frame's fate is set.
    Armed,
    Stands {
        step: String,
    },
    Moved {
        key: String,
        error: Option<String>,
    },
    Fated {
        frame: String,
    },
    Asked {
        n: u64,
        outcome: Outcome,
    },
    Looked(Result<(String, u64), String>),
    Loaded {
        sent: u64,
    },
    Ended(Box<ShutdownReport>),
    Failed(String),
}

/// What an asker is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Outcome {
    Done,
    /// It ran, and says that it is not saved.
    Unsaved(String),
    /// It provably did not run.
    NotRun(String),
    Unknown(String),
}

impl Outcome {
    pub(crate) fn of(result: Result<Result<(), String>, CallError>) -> Self {
        match result {
            Ok(Ok(())) => Self::Done,
            Ok(Err(why)) => Self::Unsaved(why),
            Err(error) if error.ran() == Ran::No => Self::NotRun(error.to_string()),
            Err(error) => Self::Unknown(error.to_string()),
        }
    }
}

/// The client number of [`Order::Ask`] and [`Order::Load`].
pub(crate) const INSIDE: u32 = 1_000_000;

/// The faults that were ordered.
struct Ordered {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    stop_at: Vec<(String, String)>,
    stands: bool,
    fates: Vec<(String, Wish)>,
}

/// Whether [`Order::Load`] is to end.
static ENOUGH: AtomicBool = AtomicBool::new(false);

static ORDERED: Ordered = Ordered {
    state: Mutex::new(State {
        stop_at: Vec::new(),
        stands: false,
        fates: Vec::new(),
    }),
    changed: Condvar::new(),
};

impl Ordered {
    fn stand(&self, step: &str, key: Option<&str>) {
        let mut state = self.state.lock();
        let is_it = |(wanted, of): &(String, String)| wanted == step && key.is_none_or(|key| key == of);
        let Some(at) = state.stop_at.iter().position(is_it) else {
            return;
        };
        state.stop_at.remove(at);
        state.stands = true;
        say(&Said::Stands { step: step.into() });
        while state.stands {
            self.changed.wait(&mut state);
        }
    }
}

impl Faults for &'static Ordered {
    fn reached(&self, step: &'static str, actor: &ActorId) {
        self.stand(step, Some(actor.key()));
    }

    fn fate(&self, frame: &'static str) -> Fate {
        self.stand(frame, None);
        let mut state = self.state.lock();
        let Some(at) = state.fates.iter().position(|(wanted, _)| wanted == frame) else {
            return Fate::Sent;
        };
        let (_, wish) = state.fates.remove(at);
        say(&Said::Fated { frame: frame.into() });
        match wish {
            Wish::Drop => Fate::Dropped,
            Wish::Cut => Fate::Cut,
            Wish::Repeat => Fate::Repeated,
            Wish::Overtake => Fate::Overtaken,
        }
    }
}

/// Not a law, but the other processes: does nothing where no settings are given.
#[test]
#[ignore = "the program of the other tests' silos"]
fn the_silo_program() {
    let Ok(settings) = env::var(SETTINGS) else { return };
    let settings: Settings = serde_json::from_str(&settings).expect("settings");
    tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_ansi(false)
        .with_max_level(tracing::Level::DEBUG)
        .init();
    HERE.set(settings.name.clone()).expect("set once");
    faults::install(&ORDERED);
    let (tell, orders) = mpsc::unbounded_channel();
    thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            match serde_json::from_str(&line).expect("an order") {
                Order::StopAt { step, key } => {
                    ORDERED.state.lock().stop_at.push((step, key));
                    say(&Said::Armed);
                }
                Order::GoOn => {
                    ORDERED.state.lock().stands = false;
                    ORDERED.changed.notify_all();
                }
                Order::EndLoad => ENOUGH.store(true, Ordering::Release),
                Order::Fate { frame, fate } => {
                    ORDERED.state.lock().fates.push((frame, fate));
                    say(&Said::Armed);
                }
                order => tell.send(order).unwrap_or(()),
            }
        }
        // Whoever started this process is gone.
        std::process::exit(3);
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    tokio::task::LocalSet::new().block_on(&runtime, run(settings, orders));
    // Not by way of the test harness: what it says is no part of what silos say.
    std::process::exit(0);
}

async fn run(settings: Settings, mut orders: mpsc::UnboundedReceiver<Order>) {
    let options = SiloOptions {
        name: settings.name,
        cluster: settings.cluster,
        store: settings.store,
        listen: settings.listen,
        advertise: settings.advertise,
        membership: settings.membership,
        insecure: true,
        workers: 1,
        freeze_timeout: settings.move_timeout,
        migration_timeout: settings.move_timeout,
        ..SiloOptions::default()
    };
    let silo = match Silo::builder()
        .options(options)
        .secret("0123456789abcdef")
        .start()
        .await
    {
        Ok(silo) => silo,
        Err(error) => return say(&Said::Failed(error.to_string())),
    };
    say(&Said::Ready {
        silo: silo.id().clone(),
        address: silo.address().to_owned(),
    });
    let own = silo.clone();
    let obey = async move {
        while let Some(order) = orders.recv().await {
            tokio::task::spawn_local(obey(own.clone(), order));
        }
        std::future::pending::<()>().await;
    };
    let ended = std::pin::pin!(silo.run_until_shutdown());
    let obey = std::pin::pin!(obey);
    let futures_util::future::Either::Left((ended, _)) = futures_util::future::select(ended, obey).await else {
        unreachable!("orders are obeyed for ever")
    };
    say(&match ended {
        Ok(report) => Said::Ended(Box::new(report)),
        Err(error) => Said::Failed(error.to_string()),
    });
}

async fn obey(silo: SiloHandle, order: Order) {
    match order {
        Order::Move { key, to } => {
            let actor = ActorId::new("notes", key.as_str()).expect("a key");
            let target = silo
                .view()
                .active()
                .find(|row| row.silo.name() == to)
                .map(|row| row.silo.clone());
            let moved = match target {
                Some(target) => silo
                    .migrate(&actor, Some(&target))
                    .await
                    .map_err(|error| error.to_string()),
                None => Err(format!("{to} is not active")),
            };
            let error = moved.err();
            say(&Said::Moved { key, error });
        }
        Order::Ask { key, n } => ask(&silo.actor::<Notes>(&key), n).await,
        Order::Look { key } => {
            let answer = silo.actor::<Notes>(&key).ask(Where).await;
            say(&Said::Looked(answer.map_err(|error| error.to_string())));
        }
        Order::Load { key } => {
            let notes = silo.actor::<Notes>(&key);
            let mut sent = 0;
            while !ENOUGH.load(Ordering::Acquire) {
                futures_util::future::join_all((sent + 1..sent + 4).map(|n| ask(&notes, n))).await;
                sent += 3;
            }
            say(&Said::Loaded { sent });
        }
        Order::StopAt { .. } | Order::GoOn | Order::Fate { .. } | Order::EndLoad => {
            unreachable!("obeyed where it is read")
        }
    }
}

async fn ask(notes: &ActorRef<Notes>, n: u64) {
    let append = Append { client: INSIDE, n };
    let outcome = Outcome::of(notes.ask(append).within(Duration::from_secs(10)).await);
    say(&Said::Asked { n, outcome });
}

/// One line on standard output.
fn say(said: &Said) {
    let line = serde_json::to_string(said).expect("plain values");
    let mut stdout = io::stdout().lock();
    // Nobody may be reading it any more.
    let _gone = writeln!(stdout, "\n{line}").and_then(|()| stdout.flush());
}

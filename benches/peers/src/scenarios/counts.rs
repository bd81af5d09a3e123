//! What a message costs by count: allocations, and instructions under callgrind. Load does not change these.

use super::{Contender, Effort, Part, rates, rounds};
use crate::{
    counting,
    peer::{self, Peer, Place, RALLY_OVER, STARTED, TOUCHED, handled},
    peers::{Actix, Channel, Kameo, Quark, Ractor, Xtra},
};
use report::{Goal, Row, Unit};
use std::process::{Command, Stdio};

/// Tells, asks or hops, in the turn of an actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    /// Tells to one actor.
    Tell,
    /// Asks to one actor, one after the other.
    Ask,
    /// Hops of a ball between two actors.
    Hop,
    /// Actors that start, with their first message.
    Start,
    /// Tells to 1,000 actors in turn.
    Many,
    /// Asks of 256 tasks of the actor's thread.
    Asks,
    /// Asks, each behind a tell.
    Queued,
}

const KINDS: [Kind; 4] = [Kind::Tell, Kind::Ask, Kind::Hop, Kind::Start];

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Tell => "tell",
            Self::Ask => "ask",
            Self::Hop => "hop",
            Self::Start => "start",
            Self::Many => "many",
            Self::Asks => "asks",
            Self::Queued => "queued",
        }
    }
}

/// Warms up, then runs so many messages; answers how many allocations these made, if they are to be counted.
fn run<P: Peer>(kind: Kind, messages: u64, counted: bool) -> u64 {
    match kind {
        Kind::Tell | Kind::Ask | Kind::Hop => {}
        Kind::Start => return starts::<P>(messages, counted),
        Kind::Many | Kind::Asks | Kind::Queued => {
            for messages in [5_120, messages] {
                rates::run::<P>(kind, messages);
            }
            return 0;
        }
    }
    let place = if kind == Kind::Tell { P::PRODUCER } else { Place::Turn };
    let run = move |world: P::World| async move {
        let one = P::counter(&world, "one").await;
        let other = P::counter(&world, "other").await;
        P::meet(&one, &other).await;
        let mut allocations = 0;
        for messages in [5_000, messages] {
            let before = P::ask(&one).await;
            let other_before = P::ask(&other).await;
            if counted {
                counting::start();
            }
            match kind {
                Kind::Tell => {
                    for value in 0..messages {
                        P::tell(&one, value).await;
                        if value % 1000 == 999 {
                            tokio::task::yield_now().await;
                        }
                    }
                }
                Kind::Ask => {
                    for _ in 0..messages {
                        P::ask(&one).await;
                    }
                }
                Kind::Hop => {
                    P::serve(&one, messages - 1).await;
                    RALLY_OVER.notified().await;
                }
                other => unreachable!("{other:?} runs elsewhere"),
            }
            let to_other = if kind == Kind::Hop { messages / 2 } else { 0 };
            handled::<P>(&one, before + messages - to_other).await;
            counting::stop();
            allocations = counting::read().allocations;
            handled::<P>(&other, other_before + to_other).await;
        }
        allocations
    };
    P::alone(place, peer::job(run))
}

/// Starts 5,000 actors, then so many; answers how many allocations these made, if they are to be counted.
fn starts<P: Peer>(actors: u64, counted: bool) -> u64 {
    let run = move |world: P::World| async move {
        let mut kept = Vec::new();
        let mut allocations = 0;
        for keys in [0..5_000, 5_000..5_000 + actors] {
            STARTED.expect(keys.end - keys.start);
            TOUCHED.expect(keys.end - keys.start);
            kept.reserve_exact(keys.clone().count());
            if counted {
                counting::start();
            }
            for key in keys {
                let idle = P::idle(&world, key).await;
                P::touch(&idle).await;
                if !P::VIRTUAL {
                    kept.push(idle);
                }
                if key % 256 == 255 {
                    tokio::task::yield_now().await;
                }
            }
            TOUCHED.reached().await;
            counting::stop();
            allocations = counting::read().allocations;
        }
        allocations
    };
    P::alone(Place::Main, peer::job(run))
}

pub(super) fn allocations(effort: Effort) -> Vec<Row> {
    let messages: u64 = if effort.quick { 10_000 } else { 100_000 };
    let tell = Goal::AtMost {
        at_least: 0.0,
        aim: 0.0,
    };
    let ask = Goal::AtMost {
        at_least: 1.0,
        aim: 0.0,
    };
    let parts = vec![
        Part::new("tell_allocations", "allocations, tell", Unit::PerMessage, tell),
        Part::new("ask_allocations", "allocations, ask", Unit::PerMessage, ask),
        Part::new("hop_allocations", "allocations, hop", Unit::PerMessage, Goal::None),
        Part::new(
            "start_allocations",
            "allocations, start and first message",
            Unit::PerMessage,
            Goal::None,
        ),
    ];
    let count = move |run: Run| {
        let per_message = |kind| run(kind, messages, true) as f64 / messages as f64;
        KINDS.map(per_message).to_vec()
    };
    let contenders = vec![
        Contender::product(Quark::NAME, move || count(run::<Quark>)),
        Contender::product(Actix::NAME, move || count(run::<Actix>)),
        Contender::product(Kameo::NAME, move || count(run::<Kameo>)),
        Contender::product(Ractor::NAME, move || count(run::<Ractor>)),
        Contender::product(Xtra::NAME, move || count(run::<Xtra>)),
        Contender::beside(Channel::NAME, move || count(run::<Channel>)),
    ];
    rounds("allocations", parts, 1, contenders)
}

/// [`run`] of a peer.
type Run = fn(Kind, u64, bool) -> u64;

const WORKERS: &[(&str, Run)] = &[
    (Quark::NAME, run::<Quark>),
    (Actix::NAME, run::<Actix>),
    (Kameo::NAME, run::<Kameo>),
    (Ractor::NAME, run::<Ractor>),
    (Xtra::NAME, run::<Xtra>),
    (Channel::NAME, run::<Channel>),
];

/// Runs one peer's messages and nothing else: for callgrind and other profilers.
///
/// # Errors
/// The peers there are.
pub(crate) fn work(peer: &str, kind: Kind, messages: u64) -> Result<(), String> {
    let Some((_, run)) = WORKERS.iter().find(|(name, _)| *name == peer) else {
        let names: Vec<_> = WORKERS.iter().map(|(name, _)| format!("{name:?}")).collect();
        return Err(format!("there is no peer {peer:?}; there are {}", names.join(", ")));
    };
    run(kind, messages, false);
    Ok(())
}

/// All instructions of a run under callgrind.
fn instructions_of(peer: &str, kind: Kind, messages: u64) -> Result<f64, String> {
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(own)
        .args(["work", peer, kind.name(), &messages.to_string()])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("valgrind cannot be started ({error})"))?;
    let text = String::from_utf8_lossy(&output.stderr);
    let collected = text.lines().find_map(|line| line.split("Collected :").nth(1));
    let count = collected.and_then(|count| count.split_whitespace().next()?.parse().ok());
    match count {
        Some(count) if output.status.success() => Ok(count),
        _ => Err(format!("callgrind did not count {peer}, it said: {text}")),
    }
}

/// The difference of two run lengths, so that starting up does not count.
fn instructions_per_message(peer: &str, kind: Kind) -> Result<f64, String> {
    const SHORT: u64 = 5_000;
    const LONG: u64 = 45_000;
    let short = instructions_of(peer, kind, SHORT)?;
    let long = instructions_of(peer, kind, LONG)?;
    Ok((long - short) / (LONG - SHORT) as f64)
}

pub(super) fn instructions(effort: Effort) -> Vec<Row> {
    if let Err(error) = Command::new("valgrind").arg("--version").output() {
        eprintln!("instructions are not counted: valgrind cannot be started ({error}); install it to have them");
        return Vec::new();
    }
    if effort.quick {
        eprintln!("instructions are not counted in a quick run: callgrind takes its time");
        return Vec::new();
    }
    let parts = KINDS.map(|kind| {
        let (part, title) = match kind {
            Kind::Tell => ("tell_instructions", "instructions, tell, driver included"),
            Kind::Ask => ("ask_instructions", "instructions, ask actor to actor"),
            Kind::Hop => ("hop_instructions", "instructions, hop"),
            Kind::Start => ("start_instructions", "instructions, start and first message"),
            other => unreachable!("{other:?} is no part of the table"),
        };
        Part::new(part, title, Unit::PerMessage, Goal::None)
    });
    let peers: Vec<_> = (WORKERS.iter())
        .map(|(peer, _)| *peer)
        .filter(|peer| effort.full || [Quark::NAME, Actix::NAME, Channel::NAME].contains(peer))
        .collect();
    let contender = |peer: &'static str| {
        let measure = move || {
            let count = |kind| {
                instructions_per_message(peer, kind).unwrap_or_else(|error| {
                    eprintln!("{error}");
                    f64::NAN
                })
            };
            KINDS.map(count).to_vec()
        };
        if peer == Channel::NAME {
            Contender::beside(peer, measure)
        } else {
            Contender::product(peer, measure)
        }
    };
    rounds(
        "instructions",
        parts.into(),
        1,
        peers.into_iter().map(contender).collect(),
    )
}

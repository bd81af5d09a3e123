//! Quark between two processes on loopback, beside others. See README.md.

#![allow(clippy::disallowed_methods, reason = "a benchmark owns its clock and its threads")]

mod caller;
mod children;
mod peers;

use anyhow::{Context as _, bail};
use caller::Scenario;
use clap::{Parser, Subcommand};
use peers::Peer;
use report::{Figures, Goal, Row, Unit};
use std::path::PathBuf;

#[derive(Parser)]
#[command(about = "Quark between two processes on loopback, beside others")]
struct Options {
    #[command(subcommand)]
    part: Option<Part>,
    /// What is measured; may be repeated. All by default.
    #[arg(long)]
    scenario: Vec<Scenario>,
    /// Who is measured; may be repeated. All by default.
    #[arg(long)]
    peer: Vec<Peer>,
    /// How often each figure is taken.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// How long each sample runs.
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Lines of JSON go to this file.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// What the program runs as its own children.
#[derive(Subcommand)]
enum Part {
    /// Hosts the actor that is called, until standard input ends.
    Serve { peer: Peer, place: String },
    /// Calls it, and prints the figure.
    Call {
        peer: Peer,
        place: String,
        scenario: Scenario,
        seconds: f64,
    },
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    match options.part {
        Some(Part::Serve { peer, place }) => return peer.serve(&place),
        Some(Part::Call {
            peer,
            place,
            scenario,
            seconds,
        }) => {
            println!("{}", peer.call(&place, scenario, seconds)?);
            return Ok(());
        }
        None => {}
    }
    let or_all = |some: &[Scenario]| {
        if some.is_empty() {
            Scenario::ALL.to_vec()
        } else {
            some.to_vec()
        }
    };
    let peers = if options.peer.is_empty() {
        Peer::ALL.to_vec()
    } else {
        options.peer.clone()
    };
    let mut rows = Vec::new();
    for scenario in or_all(&options.scenario) {
        rows.push(measure(scenario, &peers, options.rounds, options.seconds)?);
    }
    println!("{}", report::table(&rows));
    if let Some(path) = options.json {
        let lines: String = rows
            .iter()
            .flat_map(Row::json)
            .map(|line| format!("{line}\n"))
            .collect();
        std::fs::write(&path, lines).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// Every peer once in each round, each round beginning with another.
fn measure(scenario: Scenario, peers: &[Peer], rounds: usize, seconds: f64) -> anyhow::Result<Row> {
    let able: Vec<Peer> = peers.iter().copied().filter(|peer| peer.knows(scenario)).collect();
    if able.is_empty() {
        bail!("none of the peers named knows {scenario:?}");
    }
    let mut figures: Vec<Figures> = able
        .iter()
        .map(|peer| Figures {
            peer: peer.name(),
            is_product: *peer != Peer::Limit,
            rounds: Vec::new(),
        })
        .collect();
    for round in 0..rounds {
        for turn in 0..able.len() {
            let which = (round + turn) % able.len();
            let figure = children::sample(able[which], scenario, seconds)?;
            eprintln!("{scenario:?} {} {figure:.1}", able[which].name());
            figures[which].rounds.push(figure);
        }
    }
    let (title, unit, goal) = match scenario {
        Scenario::Ask512 => (
            "512 asks outstanding",
            Unit::RatePerSecond,
            Goal::TimesBest {
                at_least: 2.5,
                aim: 4.0,
            },
        ),
        Scenario::Ask => (
            "ask one at a time, p50",
            Unit::Microseconds,
            Goal::ShareOfBest {
                at_least: 1.0,
                aim: 0.8,
            },
        ),
        Scenario::Tell => (
            "tells until handled",
            Unit::RatePerSecond,
            Goal::TimesBest {
                at_least: 8.0,
                aim: 13.0,
            },
        ),
    };
    let share = share_of_limit(&figures);
    Ok(Row {
        scenario: scenario.name(),
        part: "",
        title: format!("{title}{share}"),
        unit,
        goal,
        figures,
    })
}

/// Quark's figure by that of the hand-made limit, within each round.
fn share_of_limit(figures: &[Figures]) -> String {
    let of = |name: &str| figures.iter().find(|figures| figures.peer == name);
    let (Some(quark), Some(limit)) = (of("quark"), of("limit")) else {
        return String::new();
    };
    let shares: Vec<f64> = quark
        .rounds
        .iter()
        .zip(&limit.rounds)
        .map(|(quark, limit)| quark / limit)
        .collect();
    format!(" (quark : limit {:.2})", report::median(&shares))
}

//! What comes later and to many: how late reminders and timers tick, how fast reminders are set, how fast actors are activated and saved, what streams carry. Nothing is
//! asserted on time; that everything came, and nothing twice, is. See README.md.

#![allow(
    clippy::disallowed_methods,
    reason = "a benchmark measures wall time and spawns callers of its own"
)]

#[path = "../moves/figures.rs"]
mod figures;
mod processes;
mod reminders;
mod states;
mod streams;
mod timers;

use figures::Figure;
use quark::silo::{Silo, SiloHandle};
use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo bench --bench later -- [--store memory|embedded|redis]... [--scenario NAME]... [--count N] [--setters N] [--rounds N] [--json FILE]
  scenarios: reminders, timers, states, processes, events, fanout; all by default, on the memory store
  --store    may be repeated; of the scenarios reminders and states (redis: the server that QUARK_REDIS names, redis://127.0.0.1 if unset)
  --count    how many reminders and timers are set, and states saved, 100000
  --setters  how many turns set reminders or save at a time, 1024
  --rounds   how often each figure is taken, 3; the table shows medians";

pub(crate) type Found = Result<Vec<Figure>, String>;

/// A silo with a store of this make for `cluster`.
pub(crate) async fn start(
    cluster: &str,
    store: &str,
    workers: usize,
) -> Result<(SiloHandle, tempfile::TempDir), String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let url = match store {
        "memory" => format!("memory:{cluster}"),
        "embedded" => format!("embedded:{}", folder.path().join("quark.db").display()),
        "redis" => std::env::var("QUARK_REDIS").unwrap_or("redis://127.0.0.1".into()),
        other => return Err(format!("there is no store {other:?}")),
    };
    let silo = Silo::builder()
        .name("bench")
        .cluster(cluster)
        .store(url)
        .workers(workers)
        .handle_signals(false);
    Ok((silo.start().await.map_err(|error| error.to_string())?, folder))
}

fn run() -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    let child: Vec<String> = std::env::args().skip(1).collect();
    if child.first().is_some_and(|first| first == processes::CHILD) {
        return runtime.block_on(processes::child(&child[1..]));
    }
    let (mut stores, mut scenarios, mut json) = (Vec::new(), Vec::new(), None);
    let (mut count, mut setters, mut rounds) = (100_000, 1_024, 3);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        let number = |text: String| text.parse::<usize>().map_err(|_| format!("{text:?} is no number"));
        match argument.as_str() {
            // What cargo passes.
            "--bench" => {}
            "--store" => stores.push(value()?),
            "--scenario" => scenarios.push(value()?),
            "--count" => count = number(value()?)?,
            "--setters" => setters = number(value()?)?.max(1),
            "--rounds" => rounds = number(value()?)?,
            "--json" => json = Some(value()?),
            _ => return Err(USAGE.into()),
        }
    }
    if stores.is_empty() {
        stores.push("memory".to_owned());
    }
    if scenarios.is_empty() {
        scenarios = ["reminders", "timers", "states", "processes", "events", "fanout"]
            .map(str::to_owned)
            .to_vec();
    }
    let mut all = Vec::new();
    for scenario in &scenarios {
        let stores = if ["reminders", "states"].contains(&&**scenario) {
            &stores[..]
        } else {
            &["memory".to_owned()]
        };
        for store in stores {
            for round in 0..rounds {
                let cluster = format!("later-{}-{scenario}-{round}", std::process::id());
                let found = match scenario.as_str() {
                    "reminders" => runtime.block_on(reminders::run(&cluster, store, count, setters)),
                    "states" => runtime.block_on(states::run(&cluster, store, count, setters)),
                    "processes" => processes::run(count, setters),
                    "timers" => runtime.block_on(timers::run(&cluster, count)),
                    "events" => runtime.block_on(streams::events(&cluster)),
                    "fanout" => runtime.block_on(streams::fanout(&cluster)),
                    unknown => return Err(format!("there is no scenario {unknown:?}\n{USAGE}")),
                };
                figures::add(
                    &mut all,
                    found.map_err(|text| format!("{scenario} on {store}: {text}"))?,
                );
            }
        }
    }
    println!("{}", figures::table(&all));
    match json {
        None => Ok(()),
        Some(path) => {
            let lines: String = all.iter().map(|figure| figure.json() + "\n").collect();
            std::fs::write(&path, lines).map_err(|error| format!("cannot write {path}: {error}"))
        }
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            eprintln!("{text}");
            ExitCode::FAILURE
        }
    }
}

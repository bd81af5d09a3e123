//! How fast actors move, and what others notice of it: the pause of one actor, the drain of many, asks beside a drain, the
//! throughput of a rolling restart, asks beside a rollout. Nothing is asserted on time; that every actor arrived is. See README.md.

#![allow(clippy::disallowed_methods, reason = "a benchmark spawns callers of its own")]

mod figures;
mod process;
mod rollout;
mod scenarios;

use figures::Figure;
use scenarios::Scale;
use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo bench --bench moves -- [--store memory|embedded|redis]... [--scenario NAME]... [--actors N] [--rounds N] [--json FILE]
  scenarios: pause, drain, beside, restart, rollout; all by default, on the memory store
  --store    may be repeated. memory: silos of one process. embedded, redis: a process for each silo
             (redis: the server that QUARK_REDIS names, redis://127.0.0.1 if unset; use one of its own)
  --actors   how many a drain moves, and a rollout is planned for, 100000
  --rounds   how often each figure is taken, 3; the table shows medians";

#[derive(Debug)]
struct Options {
    stores: Vec<String>,
    scenarios: Vec<String>,
    scale: Scale,
    rounds: usize,
    json: Option<String>,
}

fn options() -> Result<Options, String> {
    let mut options = Options {
        stores: Vec::new(),
        scenarios: Vec::new(),
        scale: Scale { actors: 100_000 },
        rounds: 3,
        json: None,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        let number = |text: String| text.parse().map_err(|_| format!("{text:?} is no number"));
        match argument.as_str() {
            // What cargo passes.
            "--bench" => {}
            "--store" => options.stores.push(value()?),
            "--scenario" => options.scenarios.push(value()?),
            "--actors" => options.scale.actors = number(value()?)?,
            "--rounds" => options.rounds = number(value()?)?,
            "--json" => options.json = Some(value()?),
            _ => return Err(USAGE.into()),
        }
    }
    if options.stores.is_empty() {
        options.stores.push("memory".into());
    }
    let known = |name: &String| scenarios::ALL.contains(&name.as_str());
    if let Some(unknown) = options.scenarios.iter().find(|name| !known(name)) {
        return Err(format!("there is no scenario {unknown:?}\n{USAGE}"));
    }
    if options.scenarios.is_empty() {
        options.scenarios = scenarios::ALL.map(str::to_owned).to_vec();
    }
    Ok(options)
}

fn main() -> ExitCode {
    if let Some(result) = process::child() {
        return done(result);
    }
    let options = match options() {
        Ok(options) => options,
        Err(text) => return done(Err(text)),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let mut figures: Vec<Figure> = Vec::new();
    for store in &options.stores {
        for scenario in &options.scenarios {
            for round in 0..options.rounds {
                let run = scenarios::run(scenario, store, options.scale, round);
                match runtime.block_on(run) {
                    Ok(found) => figures::add(&mut figures, found),
                    Err(text) => return done(Err(format!("{scenario} on {store}: {text}"))),
                }
            }
        }
    }
    println!("{}", figures::table(&figures));
    if let Some(path) = &options.json {
        let lines: String = figures.iter().map(|figure| figure.json() + "\n").collect();
        return done(std::fs::write(path, lines).map_err(|error| format!("cannot write {path}: {error}")));
    }
    ExitCode::SUCCESS
}

fn done(result: Result<(), String>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            eprintln!("{text}");
            ExitCode::FAILURE
        }
    }
}

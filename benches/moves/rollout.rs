//! A rollout measured: the check of two versions, the plan for many actors, and what callers notice of all of it.

use crate::{
    figures::{Figure, Goal, quantile},
    process::{Blob, Count, Fill, fill, start},
    scenarios::{Found, Scale, now, until},
};
use quark::{
    client::Client,
    prelude::*,
    rollout::{Criteria, Phase, Request},
    silo::{Silo, SiloHandle, SiloOptions},
    version::{Rule, VersionPolicy, parse},
};
use std::{
    hint::black_box,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// Asks a second, all together.
const RATE: usize = 10_000;

/// Tasks that ask at a steady pace.
const TASKS: usize = 100;

/// How many actors they ask.
const ACTORS: usize = 3_000;

/// The next version of what the silos host.
mod next {
    use super::*;

    #[derive(Default, Serialize, Deserialize)]
    pub(super) struct Blob {
        text: String,
        count: u64,
    }

    #[actor(kind = "blob", messages(Fill, Count), version = "0.99.0", volatile, unlisted)]
    impl Actor for Blob {}

    impl Handler<Fill> for Blob {
        async fn handle(&mut self, Fill(bytes): Fill, _: &mut Context<Self>) -> u64 {
            self.text = "x".repeat(bytes);
            self.count += 1;
            self.count
        }
    }

    impl Handler<Count> for Blob {
        async fn handle(&mut self, _: Count, _: &mut Context<Self>) -> u64 {
            self.count += 1;
            self.count
        }
    }
}

async fn start_next(cluster: &str, store: &str, name: &str) -> Result<SiloHandle, String> {
    let options = SiloOptions {
        name: name.into(),
        cluster: cluster.into(),
        store: store.into(),
        workers: 1,
        handle_signals: false,
        idle_timeout: Duration::ZERO,
        ..SiloOptions::default()
    };
    let silo = Silo::builder()
        .options(options)
        .without_linked()
        .register::<next::Blob>();
    silo.start().await.map_err(|error| error.to_string())
}

fn request() -> Request {
    Request {
        criteria: Criteria {
            min_turns: 10,
            watch_for: Duration::from_secs(2),
            slower_percent: 1_000_000,
            ..Criteria::default()
        },
        ..Request::default()
    }
}

/// The check that stands in the path of placement.
fn check() -> Figure {
    const TIMES: u32 = 5_000_000;
    let versions = ["1.2.3", "1.3.0", "1.3.1", "2.0.0"].map(|text| parse(text).expect("valid"));
    let policy = VersionPolicy::new(Rule::Minor);
    let begun = now();
    for n in 0..TIMES as usize {
        let (from, to) = (&versions[n % 4], &versions[(n / 4) % 4]);
        black_box(black_box(&policy).allows(black_box(from), black_box(to)));
    }
    let each = begun.elapsed().as_secs_f64() * 1e9 / f64::from(TIMES);
    Figure::new("check of two versions by a policy", "ns", Goal::AtMost(20.0), each)
}

/// The plan of a rollout for many actors.
async fn plan(cluster: &str, url: &str, store: &str, scale: Scale) -> Result<Figure, String> {
    let cluster = &format!("{cluster}-plan");
    let url = &if store == "memory" {
        format!("memory:{cluster}")
    } else {
        url.to_owned()
    };
    let a = start(cluster, url, "a").await?;
    fill(&a, scale.actors).await?;
    let b = start_next(cluster, url, "b").await?;
    until(async || Ok(a.view().active().count() == 2 && b.view().active().count() == 2)).await?;
    let begun = now();
    let plan = b.plan_rollout(&request()).await.map_err(|error| error.to_string())?;
    let took = begun.elapsed().as_secs_f64();
    let planned = plan.kinds.first().map_or(0, |kind| kind.actors);
    if planned != scale.actors as u64 {
        return Err(format!("{planned} actors are planned for"));
    }
    for silo in [b, a] {
        // What is measured is over, and where the actors would go is no matter.
        drop(silo.stop().await);
    }
    Ok(Figure::new(
        format!("{store}: plan of a rollout of {} actors", scale.actors),
        "s",
        Goal::AtMost(1.0),
        took,
    ))
}

/// Asks at a steady pace until told; how long each took from when it was due.
async fn ask_on(client: Client, task: usize, enough: Arc<AtomicBool>) -> Result<Vec<f64>, String> {
    let mine = (task..ACTORS).step_by(TASKS);
    let actors: Vec<_> = mine.map(|n| client.actor::<Blob>(&n.to_string())).collect();
    let mut ticks = tokio::time::interval(Duration::from_secs(1) * TASKS as u32 / RATE as u32);
    let mut took = Vec::new();
    for actor in actors.iter().cycle() {
        if enough.load(Ordering::Relaxed) {
            break;
        }
        let due = ticks.tick().await;
        actor.ask(Count).await.map_err(|error| error.to_string())?;
        took.push(due.elapsed().as_secs_f64() * 1e6);
    }
    Ok(took)
}

/// Asks at a steady pace while `work` goes on.
async fn load(client: &Client, work: impl Future<Output = Result<(), String>>) -> Result<Vec<f64>, String> {
    let enough = Arc::new(AtomicBool::new(false));
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| tokio::spawn(ask_on(client.clone(), task, enough.clone())))
        .collect();
    let done = work.await;
    enough.store(true, Ordering::Relaxed);
    let mut took = Vec::new();
    for task in tasks {
        took.extend(task.await.map_err(|error| error.to_string())??);
    }
    done.map(|()| took)
}

/// What callers notice while two silos hand all of their actors to a third, step by step.
pub(crate) async fn rollout(cluster: &str, url: &str, store: &str, scale: Scale) -> Found {
    let mut figures = vec![check(), plan(cluster, url, store, scale).await?];
    let (a, b) = (start(cluster, url, "a").await?, start(cluster, url, "b").await?);
    let c = start_next(cluster, url, "c").await?;
    let silos = [&a, &b, &c];
    for silo in silos {
        until(async || Ok(silo.view().active().count() == 3)).await?;
    }
    let seeds = silos.iter().map(|silo| silo.address().to_owned());
    let client = Client::builder().cluster(cluster).seeds(seeds).connect().await;
    let client = client.map_err(|error| error.to_string())?;
    let seconds = async |seconds| {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        Ok(())
    };
    load(&client, seconds(2)).await?;
    let mut before = load(&client, seconds(8)).await?;
    let mut during = load(&client, async {
        a.start_rollout(&request()).await.map_err(|error| error.to_string())?;
        loop {
            let rollout = b.rollout().await.map_err(|error| error.to_string())?;
            match rollout.map(|rollout| rollout.phase) {
                Some(Phase::Complete) => return Ok(()),
                Some(phase @ (Phase::Paused { .. } | Phase::RolledBack { .. })) => return Err(format!("{phase:?}")),
                _ => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    })
    .await?;
    client.close().await;
    for silo in [&a, &b, &c] {
        drop(silo.stop().await);
    }
    let rate = before.len() as f64 / 8.0;
    for (name, share) in [("p50", 0.5), ("p99", 0.99)] {
        let (calm, busy) = (quantile(&mut before, share), quantile(&mut during, share));
        let goal = if share > 0.9 { Goal::AtMost(1.5) } else { Goal::None };
        figures.push(Figure::new(
            format!("{store}: {name} of asks before a rollout"),
            "us",
            Goal::None,
            calm,
        ));
        figures.push(Figure::new(
            format!("{store}: the same during it"),
            "us",
            Goal::None,
            busy,
        ));
        figures.push(Figure::new(
            format!("{store}: {name} during a rollout"),
            "times",
            goal,
            busy / calm,
        ));
    }
    figures.push(Figure::new(
        format!("{store}: asks before a rollout"),
        "per s",
        Goal::None,
        rate,
    ));
    // An ask that fails ends the scenario.
    figures.push(Figure::new(
        format!("{store}: asks that failed"),
        "",
        Goal::AtMost(0.0),
        0.0,
    ));
    Ok(figures)
}

//! The scenarios.

use crate::{
    figures::{Figure, Goal, quantile},
    process::{Blob, Count, Fill, Node, id, resident, start},
};
use quark::{client::Client, silo::SiloHandle};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

pub(crate) const ALL: [&str; 5] = ["pause", "drain", "beside", "restart", "rollout"];

/// How large a scenario is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    pub(crate) actors: usize,
}

pub(crate) type Found = Result<Vec<Figure>, String>;

pub(crate) async fn run(scenario: &str, store: &str, scale: Scale, round: usize) -> Found {
    let cluster = format!("bench-{}-{scenario}-{round}", std::process::id());
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let url = match store {
        "memory" => format!("memory:{cluster}"),
        "embedded" => format!("embedded:{}", folder.path().join("quark.db").display()),
        "redis" => std::env::var("QUARK_REDIS").unwrap_or("redis://127.0.0.1".into()),
        other => return Err(format!("there is no store {other:?}")),
    };
    match scenario {
        "pause" => pause(&cluster, &url, store).await,
        "drain" => drain(&cluster, &url, store, scale).await,
        "beside" => beside(&cluster, &url, store, scale).await,
        "rollout" => crate::rollout::rollout(&cluster, &url, store, scale).await,
        _ => restart(&cluster, &url, store).await,
    }
}

#[allow(clippy::disallowed_methods, reason = "a benchmark measures wall time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

pub(crate) async fn until(mut ready: impl AsyncFnMut() -> Result<bool, String>) -> Result<(), String> {
    let end = now() + Duration::from_secs(60);
    while !ready().await? {
        if now() > end {
            return Err("it takes too long".into());
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Ok(())
}

async fn all_active(nodes: &mut [&mut Node]) -> Result<(), String> {
    let count = nodes.len();
    for node in nodes {
        until(async || node.sees(count).await).await?;
    }
    Ok(())
}

/// One actor goes to and fro; how long it runs nothing, beside the round trip of an ask from one silo to the other.
async fn pause(cluster: &str, url: &str, store: &str) -> Found {
    let a = start(cluster, url, "a").await?;
    a.actor::<Blob>("x")
        .ask(Fill(1000))
        .await
        .map_err(|error| error.to_string())?;
    let b = start(cluster, url, "b").await?;
    let both = [&a, &b];
    for silo in both {
        until(async || Ok(silo.view().active().count() == 2)).await?;
    }
    let mut trips = Vec::new();
    let asker = b.actor::<Blob>("x");
    for n in 0..3000 {
        let begun = now();
        asker.ask(Count).await.map_err(|error| error.to_string())?;
        if n >= 1000 {
            trips.push(begun.elapsed().as_secs_f64() * 1e6);
        }
    }
    let x = id("x");
    for n in 0..600 {
        let (from, to) = (both[n % 2], both[(n + 1) % 2]);
        from.migrate(&x, Some(to.id()))
            .await
            .map_err(|error| error.to_string())?;
        // The forwarder of the way there closes before the way back begins.
        until(async || Ok(to.status().activations.values().sum::<usize>() == 1)).await?;
    }
    let mut pauses = Vec::new();
    for silo in both {
        let report = silo.stop().await.map_err(|error| error.to_string())?;
        pauses.extend(report.arrived.iter().map(|arrived| arrived.pause_us as f64));
    }
    let trip = quantile(&mut trips, 0.5);
    let (median, p99) = (quantile(&mut pauses, 0.5), quantile(&mut pauses, 0.99));
    let most = if store == "redis" { 12.0 } else { 8.0 };
    Ok(vec![
        Figure::new(
            format!("{store}: round trip of an ask between silos"),
            "us",
            Goal::None,
            trip,
        ),
        Figure::new(
            format!("{store}: pause of one actor, 1 KB, median"),
            "us",
            Goal::None,
            median,
        ),
        Figure::new(
            format!("{store}: pause of one actor, median"),
            "trips",
            Goal::AtMost(most),
            median / trip,
        ),
        Figure::new(
            format!("{store}: pause of one actor, p99"),
            "trips",
            Goal::AtMost(30.0),
            p99 / trip,
        ),
    ])
}

/// A silo with many actors leaves; nothing else goes on.
async fn drain(cluster: &str, url: &str, store: &str, scale: Scale) -> Found {
    let mut a = Node::start(cluster, url, "a").await?;
    a.fill(scale.actors).await?;
    let mut b = Node::start(cluster, url, "b").await?;
    all_active(&mut [&mut a, &mut b]).await?;
    let idle = resident();
    let peak = Arc::new(AtomicU64::new(0));
    let sampler = tokio::spawn({
        let peak = peak.clone();
        async move {
            loop {
                peak.fetch_max(resident() as u64, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    });
    let (report, took) = a.stop().await?;
    sampler.abort();
    let arrived = b.active()?;
    if report.moved.len() != scale.actors || arrived != scale.actors || !report.forced.is_empty() {
        return Err(format!(
            "{} of {} moved, {} arrived, {} were forced",
            report.moved.len(),
            scale.actors,
            arrived,
            report.forced.len()
        ));
    }
    b.stop().await?;
    let least = match store {
        "memory" => 50_000.0,
        "redis" => 25_000.0,
        _ => 10_000.0,
    };
    let rate = scale.actors as f64 / took;
    let mut figures = vec![Figure::new(
        format!("{store}: drain of {} actors of 1 KB, from stop to left", scale.actors),
        "per s",
        Goal::AtLeast(least),
        rate,
    )];
    if store == "memory" {
        let more = (peak.load(Ordering::Relaxed) as f64 - idle) / 1024.0 / 1024.0;
        figures.push(Figure::new(
            "memory: both silos over the idle state, while draining",
            "MiB",
            Goal::AtMost(256.0),
            more,
        ));
    }
    Ok(figures)
}

/// Asks one after the other, from a client, until told; how long each took, weighted by nothing.
async fn ask_on(client: Client, keys: Vec<String>, enough: Arc<AtomicBool>) -> Result<Vec<f64>, String> {
    let actors: Vec<_> = keys.iter().map(|key| client.actor::<Blob>(key)).collect();
    let mut took = Vec::new();
    while !enough.load(Ordering::Relaxed) {
        for actor in &actors {
            let begun = now();
            actor.ask(Count).await.map_err(|error| error.to_string())?;
            took.push(begun.elapsed().as_secs_f64() * 1e6);
            // A steady trickle: a busy loop would measure its own processor.
            tokio::time::sleep(Duration::from_micros(500)).await;
        }
    }
    Ok(took)
}

/// Asks to actors that stay, before and while many others leave for their silo.
async fn beside(cluster: &str, url: &str, store: &str, scale: Scale) -> Found {
    let a = start(cluster, url, "a").await?;
    crate::process::fill(&a, scale.actors).await?;
    let b = start(cluster, url, "b").await?;
    until(async || Ok(a.view().active().count() == 2 && b.view().active().count() == 2)).await?;
    let client = Client::builder()
        .cluster(cluster)
        .seeds([b.address().to_owned()])
        .connect();
    let client = client.await.map_err(|error| error.to_string())?;
    let mut staying = Vec::new();
    for n in 0.. {
        let key = format!("stays-{n}");
        client
            .actor::<Blob>(&key)
            .ask(Count)
            .await
            .map_err(|error| error.to_string())?;
        if b.status().activations.values().sum::<usize>() > staying.len() {
            staying.push(key);
        }
        if staying.len() == 20 {
            break;
        }
    }
    let before = Arc::new(AtomicBool::new(false));
    let asking = tokio::spawn(ask_on(client.clone(), staying.clone(), before.clone()));
    tokio::time::sleep(Duration::from_secs(2)).await;
    before.store(true, Ordering::Relaxed);
    let mut before = asking.await.map_err(|error| error.to_string())??;
    let during = Arc::new(AtomicBool::new(false));
    let asking = tokio::spawn(ask_on(client.clone(), staying, during.clone()));
    a.stop().await.map_err(|error| error.to_string())?;
    during.store(true, Ordering::Relaxed);
    let mut during = asking.await.map_err(|error| error.to_string())??;
    client.close().await;
    b.stop().await.map_err(|error| error.to_string())?;
    let (calm, busy) = (quantile(&mut before, 0.99), quantile(&mut during, 0.99));
    Ok(vec![
        Figure::new(
            format!("{store}: p99 of asks to other actors, before"),
            "us",
            Goal::None,
            calm,
        ),
        Figure::new(
            format!("{store}: the same while {} actors leave", scale.actors),
            "us",
            Goal::None,
            busy,
        ),
        Figure::new(
            format!("{store}: p99 beside a drain"),
            "times",
            Goal::AtMost(3.0),
            busy / calm,
        ),
    ])
}

/// Asks of a client to 300 actors while each of three silos makes room for another.
async fn restart(cluster: &str, url: &str, store: &str) -> Found {
    let mut silos: Vec<SiloHandle> = Vec::new();
    let mut started = 3;
    for number in 1..=started {
        silos.push(start(cluster, url, &format!("silo-{number}")).await?);
    }
    for silo in &silos {
        until(async || Ok(silo.view().active().count() == 3)).await?;
    }
    let seeds = silos.iter().map(|silo| silo.address().to_owned());
    let client = Client::builder().cluster(cluster).seeds(seeds).connect();
    let client = client.await.map_err(|error| error.to_string())?;
    let (done, enough) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let load: Vec<_> = (0..30)
        .map(|task| {
            let (client, done, enough) = (client.clone(), done.clone(), enough.clone());
            tokio::spawn(async move {
                let actors: Vec<_> = (0..10).map(|n| client.actor::<Blob>(&format!("{task}-{n}"))).collect();
                while !enough.load(Ordering::Relaxed) {
                    for actor in &actors {
                        actor.ask(Count).await.map_err(|error| error.to_string())?;
                        done.fetch_add(1, Ordering::Relaxed);
                    }
                }
                Ok::<_, String>(())
            })
        })
        .collect();
    let rate = async |time: Duration| {
        let (begun, before) = (now(), done.load(Ordering::Relaxed));
        tokio::time::sleep(time).await;
        (done.load(Ordering::Relaxed) - before) as f64 / begun.elapsed().as_secs_f64()
    };
    rate(Duration::from_secs(1)).await;
    let before = rate(Duration::from_secs(2)).await;
    // One silo a second, each after the one that takes its place has joined; then without a pause.
    let mut shares = Vec::new();
    for pause in [Duration::from_secs(1), Duration::ZERO] {
        let (begun, so_far) = (now(), done.load(Ordering::Relaxed));
        for _ in 0..silos.len() {
            let next = now() + pause;
            started += 1;
            silos.push(start(cluster, url, &format!("silo-{started}")).await?);
            let report = silos.remove(0).stop().await.map_err(|error| error.to_string())?;
            if !report.forced.is_empty() {
                return Err(format!("{:?} were forced", report.forced));
            }
            tokio::time::sleep_until(next.into()).await;
        }
        let during = (done.load(Ordering::Relaxed) - so_far) as f64 / begun.elapsed().as_secs_f64();
        shares.push((during / before, begun.elapsed().as_secs_f64()));
    }
    enough.store(true, Ordering::Relaxed);
    for task in load {
        task.await.map_err(|error| error.to_string())??;
    }
    client.close().await;
    for silo in silos {
        silo.stop().await.map_err(|error| error.to_string())?;
    }
    Ok(vec![
        Figure::new(
            format!("{store}: asks before a rolling restart of three silos"),
            "per s",
            Goal::None,
            before,
        ),
        Figure::new(
            format!("{store}: asks during it, a silo each second, of those before"),
            "times",
            Goal::AtLeast(0.8),
            shares[0].0,
        ),
        Figure::new(
            format!("{store}: the same without a pause"),
            "times",
            Goal::None,
            shares[1].0,
        ),
        Figure::new(format!("{store}: which takes"), "s", Goal::None, shares[1].1),
    ])
}

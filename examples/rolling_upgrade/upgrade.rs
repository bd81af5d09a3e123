//! The upgrade from the first silo's start to the receipt.

use crate::{
    audit::{Evidence, audit},
    board::{Board, Standing},
    display::Display,
    expectation::Expectation,
    flights::Flights,
    latency::{Latencies, Phase},
    load::{Load, SENDERS},
    options::Options,
    pace,
    programs::Programs,
    receipt::{Ended, Receipt},
    screen::Screen,
    sender::{Sender, Sent},
    silo_process::{Ready, Settings, SiloProcess},
    tally::Tally,
    watch_silos,
};
use anyhow::{Context, Error, Result};
use quark::client::Client;
use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{self, Instant},
};

/// The shares of the flights after which version 2 is started, and the first silo of version 1 is told to stop.
const START_V2: f64 = 0.15;
const FIRST_DRAIN: f64 = 0.3;
/// The share of the flights between two drains.
const BETWEEN: f64 = 0.04;
/// How often silos are looked after.
const LOOK: Duration = Duration::from_millis(50);
/// How long a client may take to connect.
const CONNECT: Duration = Duration::from_secs(10);

/// What an upgrade is made with.
pub(crate) struct Plan<'a> {
    pub(crate) options: &'a Options,
    pub(crate) flights: Arc<Flights>,
    pub(crate) programs: Programs,
    pub(crate) settings: Settings,
    pub(crate) screen: Arc<Mutex<Screen>>,
    pub(crate) started: Instant,
}

/// Runs the upgrade. When this ends, however it does, all silos are gone.
///
/// # Errors
/// If it could not be carried out. What was carried out badly is in the receipt.
pub(crate) async fn run(plan: Plan<'_>) -> Result<Receipt> {
    // Declared before all that uses the silos: dropped last.
    let (mut v1, mut v2) = (Vec::new(), Vec::new());
    let board = Arc::new(Board::default());
    let (release, released) = watch::channel(0);
    let (upgraded, is_upgraded) = watch::channel(false);
    let (stop, is_stopped) = watch::channel(false);
    let (done, is_done) = watch::channel(false);
    let load = Load {
        flights: plan.flights.clone(),
        tally: Arc::new(Tally::default()),
        latencies: Arc::new(Latencies::default()),
        released: released.clone(),
    };
    let mut display = JoinSet::new();
    display.spawn(plan.display(&load, &board).run(is_done));

    board.headline("starting the silos of version 1");
    let v1_ready = plan.start("v1", &plan.programs.v1, 0, &mut v1, &board).await?;
    let seeds: Vec<String> = v1_ready.iter().map(|ready| ready.address.clone()).collect();
    let auditor = plan.connect(&seeds).await?;
    let mut senders = JoinSet::new();
    for number in 0..SENDERS {
        let sender = Sender::new(number, plan.connect(&seeds).await?, &plan.flights);
        senders.spawn(load.clone().replay(sender, usize::from(number)));
    }
    let prober = Sender::new(SENDERS, plan.connect(&seeds).await?, &plan.flights);
    senders.spawn(load.clone().probe(prober, is_stopped));
    let rate = pace::rate(&plan.flights, plan.options.rate);
    let mut others = JoinSet::new();
    others.spawn(watch_silos::serving(auditor.clone(), board.clone()));
    others.spawn(watch_silos::draining(auditor.clone(), board.clone()));
    others.spawn(pace::release(plan.flights.clone(), rate, release, is_upgraded));
    let flights = plan.flights.flights.len();
    board.headline(format!(
        "replaying {flights} flights from {SENDERS} clients, {rate:.0} messages/s"
    ));

    let mut progress = Progress {
        released,
        total: flights,
    };
    guarded(progress.reach(START_V2), &mut v1, &mut v2).await?;
    board.headline("starting the silos of version 2");
    let first = plan.options.silos;
    let v2_ready = plan.start("v2", &plan.programs.v2, first, &mut v2, &board).await?;
    let (from, to) = (v1_ready[0].version.clone(), v2_ready[0].version.clone());
    board.headline(format!("versions {from} and {to} serve side by side"));
    guarded(progress.reach(FIRST_DRAIN), &mut v1, &mut v2).await?;

    let mut v1_ended = Vec::new();
    for ready in v1_ready {
        let name = ready.silo.name().to_owned();
        let name = name.as_str();
        let mut silo = v1.remove(0);
        board.headline(format!("draining {name}: its actors move to version {to} as they are"));
        board.set(name, Standing::Draining);
        load.latencies.enter(Phase::During);
        silo.terminate()?;
        let report = guarded(silo.report(), &mut v1, &mut v2).await??;
        load.latencies.enter(Phase::After);
        board.set(name, Standing::Left);
        board.headline(format!(
            "{name} has left: {} actors moved in {} ms",
            report.moved.len(),
            report.took_ms
        ));
        v1_ended.push(Ended {
            ready,
            report,
            moved_before: 0,
        });
        if !v1.is_empty() {
            guarded(progress.advance(BETWEEN), &mut v1, &mut v2).await?;
        }
    }
    upgraded.send_replace(true);
    board.headline(format!("version {to} serves alone"));
    guarded(progress.reach(1.0), &mut v1, &mut v2).await?;
    stop.send_replace(true);
    let sent = guarded(finish(&mut senders), &mut v1, &mut v2).await??;

    board.headline("asking every actor, and comparing with a plain loop over the file");
    let carriers = load.tally.now().carriers.remove(&to).unwrap_or_default();
    let evidence = Evidence {
        flights: &plan.flights,
        expected: &Expectation::of(&plan.flights),
        sent: &sent,
        carriers: &carriers,
    };
    let findings = guarded(audit(&auditor, &evidence, &load.tally), &mut v1, &mut v2).await?;
    board.headline("stopping the silos of version 2");
    let v2_ended = stop_all(&auditor, v2, v2_ready, &board).await?;
    board.headline(format!("upgraded from version {from} to {to}"));
    done.send_replace(true);
    display.join_next().await;
    Ok(Receipt::new(
        load.tally.now(),
        &findings,
        &load.latencies,
        &v1_ended,
        &v2_ended,
    ))
}

/// Does something, unless a silo that nobody told to stop ends meanwhile.
async fn guarded<T>(work: impl Future<Output = T>, v1: &mut [SiloProcess], v2: &mut [SiloProcess]) -> Result<T> {
    let mut work = std::pin::pin!(work);
    loop {
        match time::timeout(LOOK, &mut work).await {
            Ok(done) => return Ok(done),
            Err(_) => {
                if let Some(error) = v1.iter_mut().chain(v2.iter_mut()).find_map(SiloProcess::ended) {
                    return Err(error);
                }
            }
        }
    }
}

/// How far the replay is.
struct Progress {
    released: watch::Receiver<usize>,
    total: usize,
}

impl Progress {
    /// Waits until this share of the flights was sent.
    async fn reach(&mut self, share: f64) {
        let wanted = (self.total as f64 * share).floor();
        // Ends too when the replay is at its end and nobody releases any more.
        let _ = self.released.wait_for(|released| *released as f64 >= wanted).await;
    }

    /// Waits until this share was sent from now on.
    async fn advance(&mut self, share: f64) {
        let sent = *self.released.borrow() as f64 / self.total as f64;
        self.reach((sent + share).min(1.0)).await;
    }
}

/// Waits until all messages are answered.
async fn finish(senders: &mut JoinSet<Result<Sent>>) -> Result<Vec<Sent>> {
    let mut sent = Vec::new();
    while let Some(ended) = senders.join_next().await {
        sent.push(ended.context("a sender ended before its time")??);
    }
    Ok(sent)
}

/// Stops silos all at once, so that none moves its actors to another.
async fn stop_all(client: &Client, silos: Vec<SiloProcess>, ready: Vec<Ready>, board: &Board) -> Result<Vec<Ended>> {
    let mut moved_before = Vec::new();
    for ready in &ready {
        let status = client.status(&ready.silo).await;
        moved_before.push(
            status
                .with_context(|| format!("silo {} does not say how it does", ready.silo))?
                .moved_out,
        );
    }
    let mut stopping = Vec::new();
    for mut silo in silos {
        board.set(silo.name(), Standing::Draining);
        silo.terminate()?;
        stopping.push(silo.report());
    }
    let reports = futures_util::future::try_join_all(stopping).await?;
    let ended = reports.into_iter().zip(ready).zip(moved_before);
    Ok(ended
        .map(|((report, ready), moved_before)| {
            board.set(ready.silo.name(), Standing::Left);
            Ended {
                ready,
                report,
                moved_before,
            }
        })
        .collect())
}

impl Plan<'_> {
    /// Starts the silos of a version and waits until they are ready.
    async fn start(
        &self,
        version: &str,
        program: &Path,
        first: u16,
        silos: &mut Vec<SiloProcess>,
        board: &Board,
    ) -> Result<Vec<Ready>> {
        let started = silos.len();
        for number in 0..self.options.silos {
            let name = format!("{version}-{}", number + 1);
            let listen = self.options.listen(first + number);
            silos.push(SiloProcess::start(program, &name, &listen, &self.settings)?);
        }
        let mut all = Vec::new();
        for silo in &mut silos[started..] {
            let ready = silo.ready().await?;
            board.add(ready.clone());
            all.push(ready);
        }
        Ok(all)
    }

    async fn connect(&self, seeds: &[String]) -> Result<Client> {
        let client = Client::builder()
            .cluster(&self.settings.cluster)
            .secret(self.settings.secret.as_str())
            .seeds(seeds.iter().cloned())
            .connect();
        let connected = time::timeout(CONNECT, client).await.map_err(Error::from);
        connected
            .and_then(|client| Ok(client?))
            .context("a client could not connect to the silos of version 1")
    }

    fn display(&self, load: &Load, board: &Arc<Board>) -> Display {
        Display {
            started: self.started,
            flights: self.flights.clone(),
            board: board.clone(),
            tally: load.tally.clone(),
            latencies: load.latencies.clone(),
            released: load.released.clone(),
            screen: self.screen.clone(),
        }
    }
}

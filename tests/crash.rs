//! A silo is killed in the middle of a load: what was answered is kept, what is not known says so, the rest goes on.
//!
//! The silos are real processes of the flights application that save each message before they answer it.

#[path = "common/answered.rs"]
mod answered;
#[allow(dead_code, reason = "the example uses the rest")]
#[path = "../examples/rolling_upgrade/process_group.rs"]
mod process_group;
#[allow(dead_code, reason = "the example uses the rest")]
#[path = "../examples/rolling_upgrade/programs.rs"]
mod programs;
#[allow(dead_code, reason = "the example uses the rest")]
#[path = "../examples/rolling_upgrade/silo_process.rs"]
mod silo_process;

use answered::Answered;
use flights_messages::{Airport, AuditAirport, Line, Look, Stamp};
use futures_util::future::join_all;
use quark::{client::Client, membership::MembershipConfig, prelude::*};
use silo_process::{Ready, Settings, SiloProcess};
use std::{collections::BTreeSet, time::Duration};
use tempfile::TempDir;
use tokio::{sync::watch, task::JoinSet, time::Instant};

const SILOS: usize = 3;
const SENDERS: u16 = 2;
const ACTORS: usize = 40;
const MANY: usize = 1500;
/// How many messages a sender has on their way to one actor at a time.
const AT_ONCE: u64 = 4;
const FAILURE_TIMEOUT: Duration = Duration::from_secs(2);
/// What a takeover may take after the death is known: a busy machine, the store, the actors' first messages.
const MARGIN: Duration = Duration::from_secs(8);

struct Cluster {
    silos: Vec<SiloProcess>,
    ready: Vec<Ready>,
    settings: Settings,
    folder: Option<TempDir>,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // The logs of a test that failed stay.
        if std::thread::panicking()
            && let Some(folder) = self.folder.take()
        {
            eprintln!("the silos' logs are in {}", folder.keep().display());
        }
    }
}

impl Cluster {
    async fn start() -> Self {
        let programs = programs::build(programs::Beside::Tests)
            .await
            .expect("the programs build");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let settings = Settings {
            cluster: "crash".into(),
            secret: "0123456789abcdef".into(),
            store: format!("embedded:{}", folder.path().join("quark.db").display()),
            logs: folder.path().to_path_buf(),
            arguments: [
                "--save",
                "each",
                "--failure-timeout-ms",
                &FAILURE_TIMEOUT.as_millis().to_string(),
            ]
            .map(String::from)
            .to_vec(),
        };
        let start = |number: usize| {
            let name = format!("silo-{}", number + 1);
            SiloProcess::start(&programs.v1, &name, "127.0.0.1:0", &settings).expect("it starts")
        };
        let mut silos: Vec<_> = (0..SILOS).map(start).collect();
        let mut ready = Vec::new();
        for silo in &mut silos {
            ready.push(silo.ready().await.expect("it serves"));
        }
        Self {
            silos,
            ready,
            settings,
            folder: Some(folder),
        }
    }

    async fn client(&self) -> Client {
        let seeds = self.ready.iter().map(|ready| ready.address.clone());
        let client = Client::builder()
            .cluster(&self.settings.cluster)
            .secret(&self.settings.secret)
            .seeds(seeds);
        client.connect().await.expect("the cluster can be reached")
    }
}

/// The load: every sender sends to every actor until it is told to stop.
struct Load {
    tasks: JoinSet<Outcome>,
    answered: Answered,
    stop: watch::Sender<bool>,
}

/// What became of one sender's messages to one actor.
#[derive(Debug, Default)]
struct Outcome {
    actor: usize,
    sender: u16,
    sent: u64,
    acknowledged: BTreeSet<u64>,
    /// Answered, and said not to be saved.
    unsaved: u64,
    unknown: u64,
    /// Errors that must not be.
    wrong: Vec<CallError>,
    /// When each answer came.
    answers: Vec<Instant>,
}

impl Load {
    async fn start(cluster: &Cluster, actors: usize) -> Self {
        let (stop, stopped) = watch::channel(false);
        let (mut tasks, answered) = (JoinSet::new(), Answered::default());
        for sender in 0..SENDERS {
            let client = cluster.client().await;
            for actor in 0..actors {
                tasks.spawn(send(client.clone(), sender, actor, answered.clone(), stopped.clone()));
            }
        }
        Self { tasks, answered, stop }
    }

    /// Waits until so many more messages are answered.
    async fn answers(&self, more: u64) {
        self.answered.more(more).await;
    }

    async fn finish(mut self) -> Vec<Outcome> {
        self.stop.send_replace(true);
        let mut outcomes = Vec::new();
        while let Some(outcome) = self.tasks.join_next().await {
            outcomes.push(outcome.expect("a sender does not panic"));
        }
        outcomes
    }
}

async fn send(
    client: Client,
    sender: u16,
    actor: usize,
    answered: Answered,
    stopped: watch::Receiver<bool>,
) -> Outcome {
    let airport = client.actor::<Airport>(&key(actor));
    let mut outcome = Outcome {
        actor,
        sender,
        ..Outcome::default()
    };
    while !*stopped.borrow() {
        let numbers: Vec<u64> = (outcome.sent + 1..=outcome.sent + AT_ONCE).collect();
        outcome.sent += AT_ONCE;
        let asks = numbers.iter().map(|&number| {
            airport.ask(Look {
                stamp: Stamp { sender, number },
            })
        });
        for (number, result) in numbers.iter().zip(join_all(asks).await) {
            match result {
                // It says that it could not save: a silo that stands still too long (a disk that does) loses its actors to others.
                Ok(answer) if !answer.saved => outcome.unsaved += 1,
                Ok(_) => {
                    outcome.acknowledged.insert(*number);
                    outcome.answers.push(Instant::now());
                    answered.count();
                }
                Err(CallError::Unknown(_)) => outcome.unknown += 1,
                Err(error) => outcome.wrong.push(error),
            }
        }
    }
    outcome
}

fn key(actor: usize) -> String {
    format!("airport-{actor}")
}

/// Acknowledged ⊆ saved ⊆ sent, nothing ran twice or in another order, and every error is `Unknown`.
async fn check(client: &Client, outcomes: &[Outcome]) {
    for outcome in outcomes {
        let what = format!("sender {} to {}", outcome.sender, key(outcome.actor));
        assert!(outcome.wrong.is_empty(), "{what}: {:?}", outcome.wrong);
        let account = client
            .actor::<Airport>(&key(outcome.actor))
            .ask(AuditAirport)
            .await
            .expect("it answers");
        let line = account.book.line(outcome.sender).cloned().unwrap_or_default();
        let lost: Vec<_> = outcome
            .acknowledged
            .iter()
            .filter(|number| !line.has(**number))
            .collect();
        assert!(
            lost.is_empty(),
            "{what}: {lost:?} were acknowledged and are not in {line:?}"
        );
        assert!(line.last <= outcome.sent, "{what}: {line:?}, of {} sent", outcome.sent);
        assert_eq!((line.repeated, line.late), (0, 0), "{what}");
        assert!(
            Line::ran(&line) <= outcome.acknowledged.len() as u64 + outcome.unknown + outcome.unsaved,
            "{what}: {line:?} has messages of which nobody was told"
        );
    }
}

/// Every actor has answered between the crash and the bound.
fn check_takeover(outcomes: &[Outcome], crash: Instant) {
    let config = MembershipConfig {
        failure_timeout: FAILURE_TIMEOUT,
        read_interval: FAILURE_TIMEOUT / 5,
        probe_timeout: FAILURE_TIMEOUT / 5,
        ..MembershipConfig::default()
    };
    let bound = config.detection_bound() + MARGIN;
    for outcome in outcomes {
        let first = outcome.answers.iter().find(|at| **at > crash);
        let took = first.map(|first| *first - crash);
        assert!(
            took.is_some_and(|took| took < bound),
            "{}: {took:?}, bound {bound:?}",
            key(outcome.actor)
        );
    }
}

/// R48, R135
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_silo_loses_no_acknowledged_message() {
    let mut cluster = Cluster::start().await;
    let auditor = cluster.client().await;
    let load = Load::start(&cluster, ACTORS).await;
    load.answers(1000).await;

    let before = auditor.status(&cluster.ready[1].silo).await.expect("it serves");
    assert!(
        before.activations.values().sum::<usize>() > 0,
        "nothing would be lost: {before:?}"
    );
    let crash = Instant::now();
    drop(cluster.silos.remove(1));
    // More than the survivors' own actors are sent: those of the dead one must answer too.
    let mut told = BTreeSet::new();
    while told.len() < ACTORS {
        let asks = (0..ACTORS).map(|actor| {
            let airport = auditor.actor::<Airport>(&key(actor));
            async move { airport.ask(AuditAirport).await.map(|_| actor) }
        });
        told.extend(join_all(asks).await.into_iter().flatten());
    }
    load.answers(1000).await;
    let outcomes = load.finish().await;
    check(&auditor, &outcomes).await;
    check_takeover(&outcomes, crash);
    let unknown: u64 = outcomes.iter().map(|outcome| outcome.unknown).sum();
    assert!(unknown > 0, "the silo was killed when nothing was on its way to it");
}

/// R48, R135
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_killed_in_a_drain_loses_no_acknowledged_message() {
    let mut cluster = Cluster::start().await;
    let auditor = cluster.client().await;
    let load = Load::start(&cluster, ACTORS).await;
    load.answers(1000).await;

    let mut leaving = cluster.silos.remove(0);
    leaving.terminate().expect("it runs");
    while let Ok(status) = auditor.status(&cluster.ready[0].silo).await {
        if status.drain.is_some() {
            break;
        }
    }
    let crash = Instant::now();
    drop(cluster.silos.remove(0));
    let report = leaving.report().await.expect("it leaves in order");
    assert!(report.unsaved.is_empty() && report.forced.is_empty(), "{report:?}");
    load.answers(1000).await;
    let outcomes = load.finish().await;
    check(&auditor, &outcomes).await;
    check_takeover(&outcomes, crash);
}

/// R10, R12
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silos_stopped_all_at_once_while_asked_how_they_do_save_everything_and_end() {
    let mut cluster = Cluster::start().await;
    let auditor = cluster.client().await;
    let load = Load::start(&cluster, MANY).await;
    load.answers(2 * MANY as u64).await;
    load.finish().await;
    let mut watchers = JoinSet::new();
    for ready in cluster.ready.clone() {
        let auditor = auditor.clone();
        watchers.spawn(async move { while auditor.status(&ready.silo).await.is_ok() {} });
    }
    for silo in &mut cluster.silos {
        silo.terminate().expect("it runs");
    }
    for report in join_all(cluster.silos.drain(..).map(SiloProcess::report)).await {
        let report = report.expect("it ends in order");
        assert!(report.unsaved.is_empty() && report.forced.is_empty(), "{report:?}");
    }
}

//! `quark status`, `quark silos`, `quark versions`: the cluster as a whole.

use super::{
    connection::Connection,
    output::{Colour, Output, coloured, table},
};
use quark::{
    admin::{Admin, AdminError},
    store::SiloStatus,
    wire::{SiloAddress, StatusReport},
};
use serde::Serialize;
use std::collections::BTreeMap;

type Answered = (SiloAddress, Result<StatusReport, AdminError>);

/// Show the silos, what they do and what stands in the way
#[derive(Debug, clap::Args)]
pub(crate) struct Status {
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

/// List the silos
#[derive(Debug, clap::Args)]
pub(crate) struct Silos {
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

/// List the kinds, their versions and who hosts them
#[derive(Debug, clap::Args)]
pub(crate) struct Versions {
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

/// A silo as it is listed.
#[derive(Serialize)]
struct SiloLine {
    #[serde(flatten)]
    address: SiloAddress,
    /// What it says, or why it says nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<StatusReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

fn lines(answered: Vec<Answered>) -> Vec<SiloLine> {
    let line = |(address, answer): Answered| {
        let (report, error) = match answer {
            Ok(report) => (Some(report), None),
            Err(error) => (None, Some(error.to_string())),
        };
        SiloLine { address, report, error }
    };
    answered.into_iter().map(line).collect()
}

impl Silos {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let admin = self.connection.open().await?;
        let lines = lines(admin.statuses().await);
        self.output.print(&lines, || silo_table(&lines))
    }
}

fn silo_table(lines: &[SiloLine]) -> String {
    let rows = lines.iter().map(|line| {
        let number = |of: &dyn Fn(&StatusReport) -> String| line.report.as_ref().map_or("-".into(), of);
        [
            line.address.silo.name().to_owned(),
            line.address.address.clone(),
            status(line.address.status),
            number(&|report| report.activations.values().sum::<usize>().to_string()),
            number(&|report| report.waiting.to_string()),
            number(&|report| report.turns.to_string()),
            number(&|report| report.moved_in.to_string()),
            number(&|report| report.moved_out.to_string()),
            number(&|report| busy(report)),
        ]
    });
    table(
        [
            "silo", "address", "status", "actors#", "waiting#", "turns#", "in#", "out#", "busy#",
        ],
        rows,
    )
}

fn status(status: SiloStatus) -> String {
    let colour = match status {
        SiloStatus::Active => Colour::Green,
        SiloStatus::Dead => Colour::Red,
        _ => Colour::Yellow,
    };
    coloured(&format!("{status:?}"), colour)
}

/// The busiest of its threads.
fn busy(report: &StatusReport) -> String {
    let busiest = report.workers.iter().map(|worker| worker.busy).fold(0.0, f64::max);
    format!("{:.0} %", busiest * 100.0)
}

impl Status {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let admin = self.connection.open().await?;
        let lines = lines(admin.statuses().await);
        let news = news(&admin, &lines).await;
        self.output
            .print(&lines, || format!("{}\n\n{news}", silo_table(&lines)))
    }
}

/// What is not as it always is.
async fn news(admin: &Admin, lines: &[SiloLine]) -> String {
    let mut news = Vec::new();
    for line in lines {
        let silo = line.address.silo.name();
        if let Some(error) = &line.error {
            news.push(coloured(&format!("{silo} gives no status: {error}"), Colour::Red));
        }
        let Some(report) = &line.report else { continue };
        if let Some(drain) = &report.drain {
            news.push(format!(
                "{silo} drains ({}): {} actors left, {} ms so far",
                drain.phase, drain.actors_left, drain.elapsed_ms
            ));
        }
        for turn in &report.stuck {
            let how = if turn.blocks { "blocks its thread" } else { "waits" };
            news.push(coloured(
                &format!(
                    "{silo}: a turn of {} ({}) {how} for {} ms",
                    turn.actor, turn.message, turn.for_ms
                ),
                Colour::Yellow,
            ));
        }
        if report.dead_letters > 0 {
            news.push(format!("{silo} keeps {} dead letters", report.dead_letters));
        }
    }
    match admin.rollout().await {
        Ok(Some(rollout)) if !rollout.is_over() => news.push(format!(
            "rollout {} is {}, {} of the actors belong to the new version: see `quark rollout status`",
            rollout.number,
            rollout.phase.name(),
            rollout.weight
        )),
        Ok(_) => {}
        Err(error) => news.push(coloured(&format!("the rollout cannot be read: {error}"), Colour::Red)),
    }
    if news.is_empty() {
        "nothing to report".to_owned()
    } else {
        news.join("\n")
    }
}

impl Versions {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let admin = self.connection.open().await?;
        // Kind and version, with the silos that host it and the actors that are active there.
        let mut hosted: BTreeMap<(String, String), (Vec<String>, usize)> = BTreeMap::new();
        for (address, answer) in admin.statuses().await {
            let report = answer?;
            for (kind, version) in report.versions {
                let line = hosted.entry((kind.clone(), version)).or_default();
                line.0.push(address.silo.name().to_owned());
                line.1 += report.activations.get(&kind).copied().unwrap_or(0);
            }
        }
        #[derive(Serialize)]
        struct Line<'a> {
            kind: &'a str,
            version: &'a str,
            silos: &'a [String],
            actors: usize,
        }
        let lines: Vec<_> = (hosted.iter())
            .map(|((kind, version), (silos, actors))| Line {
                kind,
                version,
                silos,
                actors: *actors,
            })
            .collect();
        self.output.print(&lines, || {
            let rows = lines.iter().map(|line| {
                [
                    line.kind.to_owned(),
                    line.version.to_owned(),
                    line.silos.len().to_string(),
                    line.actors.to_string(),
                    line.silos.join(", "),
                ]
            });
            table(["kind", "version", "silos#", "actors#", "hosted by"], rows)
        })
    }
}

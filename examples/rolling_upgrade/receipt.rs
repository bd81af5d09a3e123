//! The receipt: what was counted and measured, and whether that is what was promised.

use crate::{
    audit::Findings,
    display::{latency, millis},
    latency::{Latencies, Phase, Spread},
    silo_process::Ready,
    tally::Counts,
};
use quark::wire::ShutdownReport;
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;

/// What is known of a silo in the end.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) ready: Ready,
    pub(crate) report: ShutdownReport,
    /// Actors that had moved away before it was told to stop.
    pub(crate) moved_before: usize,
}

/// The receipt; serialized it is what `--json` writes.
#[derive(Debug, Serialize)]
pub(crate) struct Receipt {
    sent: u64,
    answered: u64,
    failed: u64,
    lost: u64,
    duplicated: u64,
    reordered: u64,
    wrong_totals: u64,
    actors: u64,
    moved: u64,
    moved_twice: u64,
    /// Of the moves to version 2; `null` if there was none.
    pause_us: Option<Spread>,
    latency_us: ByPhase,
    drain_ms: Vec<u64>,
    silos: Vec<Silo>,
    /// Why it is no good though all counts may be 0.
    #[serde(skip)]
    faults: Vec<String>,
    /// The first errors of messages.
    #[serde(skip)]
    errors: Vec<String>,
}

/// Of the plain asks; `null` if none was measured.
#[derive(Debug, Serialize)]
struct ByPhase {
    #[serde(serialize_with = "percentiles")]
    before: Option<Spread>,
    #[serde(serialize_with = "percentiles")]
    during: Option<Spread>,
    #[serde(serialize_with = "percentiles")]
    after: Option<Spread>,
}

fn percentiles<S: Serializer>(spread: &Option<Spread>, serializer: S) -> Result<S::Ok, S::Error> {
    let percentiles = spread.map(|spread| BTreeMap::from([("p50", spread.p50), ("p99", spread.p99)]));
    percentiles.serialize(serializer)
}

#[derive(Debug, Serialize)]
struct Silo {
    name: String,
    version: String,
    address: String,
    moved_out: usize,
    moved_in: usize,
    deactivated: usize,
    unsaved: usize,
    forced: usize,
    flushed: bool,
    stopped_in_ms: u64,
}

impl Receipt {
    /// The receipt of an upgrade: the silos of version 1 in the order in which they were drained, those of version 2.
    pub(crate) fn new(counts: Counts, findings: &Findings, latencies: &Latencies, v1: &[Ended], v2: &[Ended]) -> Self {
        let mut moves: BTreeMap<_, u64> = BTreeMap::new();
        for moved in v1.iter().flat_map(|ended| &ended.report.moved) {
            *moves.entry(&moved.actor).or_default() += 1;
        }
        // What version 2 had moved before it was told to stop had come there by a move, or by no fault of the upgrade.
        let moved_on: usize = v2.iter().map(|ended| ended.moved_before).sum();
        let arrived = v2.iter().flat_map(|ended| &ended.report.arrived);
        let upgraded = arrived.filter(|arrived| v1.iter().any(|ended| ended.ready.silo == arrived.from));
        Self {
            sent: counts.sent,
            answered: counts.answered,
            failed: counts.failed,
            lost: findings.lost,
            duplicated: findings.duplicated,
            reordered: findings.reordered,
            wrong_totals: findings.wrong_totals,
            actors: findings.actors,
            moved: moves.len() as u64,
            moved_twice: moves.values().filter(|moves| **moves > 1).count() as u64 + moved_on as u64,
            pause_us: Spread::of(upgraded.map(|arrived| arrived.pause_us).collect()),
            latency_us: ByPhase {
                before: latencies.spread(Phase::Before),
                during: latencies.spread(Phase::During),
                after: latencies.spread(Phase::After),
            },
            drain_ms: v1.iter().map(|ended| ended.report.took_ms).collect(),
            silos: v1.iter().chain(v2).map(Silo::of).collect(),
            faults: v1.iter().chain(v2).flat_map(faults).collect(),
            errors: counts.errors,
        }
    }

    /// Whether the upgrade did what it promises.
    pub(crate) fn is_good(&self) -> bool {
        self.zeros().iter().all(|(_, count)| *count == 0) && self.sent == self.answered && self.faults.is_empty()
    }

    fn zeros(&self) -> [(&'static str, u64); 6] {
        [
            ("failed", self.failed),
            ("lost", self.lost),
            ("executed twice", self.duplicated),
            ("reordered", self.reordered),
            ("wrong totals", self.wrong_totals),
            ("moved twice", self.moved_twice),
        ]
    }

    /// The receipt for people.
    pub(crate) fn lines(&self) -> Vec<String> {
        let good = |is_good: bool| if is_good { "\x1b[1;32m" } else { "\x1b[1;31m" };
        let zeros = self
            .zeros()
            .map(|(name, count)| format!("{name} {}{count}\x1b[0m", good(count == 0)));
        let pause = self.pause_us.map_or_else(
            || "none moved".into(),
            |pause| format!("{}  max {:>8}", latency(Some(pause)), millis(pause.max)),
        );
        let drains: Vec<_> = self
            .drain_ms
            .iter()
            .map(|ms| format!("{:.2} s", *ms as f64 / 1000.0))
            .collect();
        let mut lines = vec![
            String::new(),
            format!("messages          sent {}, answered {}", self.sent, self.answered),
            format!("                  {}", zeros.join(", ")),
            format!(
                "actors            {}; moved live to version 2: {}",
                self.actors, self.moved
            ),
            format!("pause of a move   {pause}"),
        ];
        let by_phase = [
            ("before", self.latency_us.before),
            ("during", self.latency_us.during),
            ("after", self.latency_us.after),
        ];
        lines.extend(by_phase.map(|(phase, spread)| format!("latency {phase:<9} {}", latency(spread))));
        lines.push(format!("drains            {}", drains.join(", ")));
        lines.extend(
            self.faults
                .iter()
                .map(|fault| format!("\x1b[1;31mfault\x1b[0m             {fault}")),
        );
        lines.extend(
            self.errors
                .iter()
                .map(|error| format!("\x1b[1;31merror\x1b[0m             {error}")),
        );
        let verdict = if self.is_good() {
            "Upgraded under load; nothing failed, nothing was lost."
        } else {
            "The upgrade did not keep its promise."
        };
        lines.push(format!("{}{verdict}\x1b[0m", good(self.is_good())));
        lines
    }
}

impl Silo {
    fn of(ended: &Ended) -> Self {
        let report = &ended.report;
        Self {
            name: report.silo.name().to_owned(),
            version: ended.ready.version.clone(),
            address: ended.ready.address.clone(),
            moved_out: report.moved.len(),
            moved_in: report.arrived.len(),
            deactivated: report.deactivated,
            unsaved: report.unsaved.len(),
            forced: report.forced.len(),
            flushed: report.flushed,
            stopped_in_ms: report.took_ms,
        }
    }
}

/// What a silo's own report says against it.
fn faults(ended: &Ended) -> Vec<String> {
    let report = &ended.report;
    let name = report.silo.name();
    let mut faults: Vec<_> = (report.unsaved.iter())
        .map(|(actor, why)| format!("{name} could not save {actor}: {why}"))
        .collect();
    if !report.forced.is_empty() {
        faults.push(format!("{name} stopped {} actors by force", report.forced.len()));
    }
    if !report.flushed {
        faults.push(format!("{name} left before every process had heard all of it"));
    }
    faults
}

//! What a rollout does by itself.

use super::{Criteria, Finding, OnBad, Phase, Rollout, StepReceipt, Verdict, judge};
use crate::{
    ident::{ActorId, SiloId, Weight},
    telemetry::{ArrivalFigures, KindFigures},
};
use semver::Version;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Duration};

/// What one silo says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiloReport {
    /// Which silo.
    pub silo: SiloId,
    /// The number of the rollout and the revision of the record that it goes by; `None` if it knows of none.
    pub follows: Option<(u64, u64)>,
    /// How many of its actors belong on another silo by that record.
    pub misplaced: u64,
    /// Some of those that could not be moved, and why.
    #[serde(default)]
    pub stuck: Vec<(ActorId, String)>,
    /// Some of the others.
    #[serde(default)]
    pub left: Vec<ActorId>,
    /// The versions of the kinds that it hosts.
    pub versions: BTreeMap<String, Version>,
    /// Its active actors by kind.
    #[serde(default)]
    pub activations: BTreeMap<String, u64>,
    /// What its actors did since its start, by kind.
    #[serde(default)]
    pub figures: BTreeMap<String, KindFigures>,
    /// What came to it by moves since its start.
    #[serde(default)]
    pub arrived: ArrivalFigures,
    /// How many actors left it by moves since its start.
    #[serde(default)]
    pub departed: u64,
}

/// What the controller sees when it looks.
#[derive(Clone, Debug)]
pub struct Observed<'a> {
    /// Now, in microseconds since the Unix epoch; for the log alone.
    pub at_micros: u64,
    /// For how long this controller has seen the record in this phase and step, by its monotonic clock.
    pub unchanged_for: Duration,
    /// The Active silos.
    pub active: &'a [SiloId],
    /// What they say; those that did not answer are not here.
    pub reports: &'a [SiloReport],
}

impl Observed<'_> {
    /// What is still to be moved, `None` if not every Active silo has said so by this record.
    fn misplaced(&self, number: u64, revision: u64) -> Option<u64> {
        let mut sum = 0;
        for silo in self.active {
            let report = self.reports.iter().find(|report| report.silo == *silo)?;
            if report.follows != Some((number, revision)) {
                return None;
            }
            sum += report.misplaced;
        }
        Some(sum)
    }

    fn waits_for(&self, number: u64, revision: u64) -> String {
        let waits =
            self.active
                .iter()
                .filter_map(|silo| match self.reports.iter().find(|report| report.silo == *silo) {
                    None => Some(format!("{silo} does not answer")),
                    Some(report) if report.follows != Some((number, revision)) => {
                        Some(format!("{silo} does not know the rollout yet"))
                    }
                    Some(report) if report.misplaced > 0 => {
                        let stuck = report.stuck.iter().map(|(actor, why)| format!("{actor}: {why}"));
                        let named: Vec<_> = stuck.chain(report.left.iter().map(ToString::to_string)).collect();
                        let names = match named.is_empty() {
                            true => String::new(),
                            false => format!(" ({})", named.join(", ")),
                        };
                        Some(format!("{silo} has {} actors left to move{names}", report.misplaced))
                    }
                    Some(_) => None,
                });
        waits.collect::<Vec<_>>().join("; ")
    }
}

impl Rollout {
    /// The record after what follows from `seen`; `None` if nothing does. To be written only in place of this very record.
    #[must_use]
    pub fn advance(&self, seen: &Observed<'_>) -> Option<Self> {
        let mut next = self.clone();
        match &self.phase {
            Phase::Moving { step } => next.moving(*step, seen),
            Phase::Watching { step } => next.watching(*step, seen),
            Phase::RollingBack { why } => next.rolling_back(why, seen),
            Phase::Paused { .. }
            | Phase::PausedBack { .. }
            | Phase::Complete
            | Phase::RolledBack { .. }
            | Phase::Finalized => return None,
        }
        (next.revision != self.revision).then_some(next)
    }

    fn moving(&mut self, step: usize, seen: &Observed<'_>) {
        if seen.misplaced(self.number, self.revision) == Some(0) {
            self.moved(seen);
            self.marks = (seen.reports.iter())
                .map(|report| (report.silo.clone(), self.of_rollout(&report.figures)))
                .collect();
            let what = format!("step {}: every actor is where it belongs; watching", step + 1);
            self.enter(Phase::Watching { step }, seen.at_micros, what);
        } else if seen.unchanged_for > self.criteria.settle_limit {
            let why = format!(
                "moving took longer than {:?}: {}",
                self.criteria.settle_limit,
                seen.waits_for(self.number, self.revision)
            );
            self.pause(step, why, seen.at_micros);
        }
    }

    /// Writes down what has moved since the phase began.
    fn moved(&mut self, seen: &Observed<'_>) {
        let mut arrived = ArrivalFigures::default();
        for report in seen.reports {
            match self.arrival_marks.get(&report.silo) {
                Some(mark) => arrived.add(&report.arrived.since(mark)),
                None => arrived.add(&report.arrived),
            }
        }
        let departed = self.departure_marks.iter().map(|(silo, mark)| {
            let report = seen.reports.iter().find(|report| report.silo == *silo)?;
            Some(report.departed.saturating_sub(*mark))
        });
        let departed = departed.sum();
        self.receipts.push(StepReceipt {
            weight: self.weight,
            moving_ms: u64::try_from(seen.unchanged_for.as_millis()).unwrap_or(u64::MAX),
            arrived,
            departed,
            new: BTreeMap::new(),
            old: BTreeMap::new(),
            findings: BTreeMap::new(),
        });
        self.mark_moves(seen.reports);
    }

    /// From now on moves count for the next phase.
    fn mark_moves(&mut self, reports: &[SiloReport]) {
        self.arrival_marks = arrivals(reports);
        self.departure_marks = departures(reports);
    }

    fn watching(&mut self, step: usize, seen: &Observed<'_>) {
        let (new, old) = self.split(seen.reports);
        let verdicts = self.verdicts(&new, &old);
        let verdict = with_silent(together(&verdicts), seen);
        match &verdict {
            Verdict::Good if seen.unchanged_for < self.criteria.watch_for => return,
            Verdict::Undecided(_) if seen.unchanged_for <= self.criteria.watch_limit => return,
            _ => {}
        }
        self.mark_moves(seen.reports);
        let is_unused = new.values().chain(old.values()).all(|figures| figures.turns == 0);
        if old.values().any(|figures| figures.turns > 0) {
            self.control.clone_from(&old);
        }
        if let Some(receipt) = self.receipts.last_mut() {
            receipt.findings = (verdicts.into_iter())
                .filter_map(|(kind, verdict)| match verdict {
                    Verdict::Bad(findings) => Some((kind, findings)),
                    Verdict::Good | Verdict::Undecided(_) => None,
                })
                .collect();
            (receipt.new, receipt.old) = (new, old);
        }
        match verdict {
            Verdict::Good if is_unused => self.go_on(
                step,
                seen.at_micros,
                "nobody uses either version, so nothing was judged",
            ),
            Verdict::Good => self.go_on(step, seen.at_micros, "the new version does as well as the old"),
            Verdict::Undecided(why) => {
                let why = format!("undecided after {:?}: {why}", self.criteria.watch_limit);
                self.pause(step, why, seen.at_micros);
            }
            Verdict::Bad(findings) => {
                let found: Vec<_> = findings.iter().map(ToString::to_string).collect();
                let why = format!("the new version does worse: {}", found.join("; "));
                match self.criteria.on_bad {
                    OnBad::RollBack => self.roll_back(why, seen.at_micros),
                    OnBad::Pause => self.pause(step, why, seen.at_micros),
                }
            }
        }
    }

    fn rolling_back(&mut self, why: &str, seen: &Observed<'_>) {
        if seen.misplaced(self.number, self.revision) == Some(0) {
            self.moved(seen);
            let what = "all actors are back on the old version".to_owned();
            self.enter(Phase::RolledBack { why: why.to_owned() }, seen.at_micros, what);
        } else if seen.unchanged_for > self.criteria.settle_limit {
            let stopped = format!(
                "rolling back took longer than {:?}: {}",
                self.criteria.settle_limit,
                seen.waits_for(self.number, self.revision)
            );
            let what = format!("paused: {stopped}");
            let why = why.to_owned();
            self.enter(Phase::PausedBack { why, stopped }, seen.at_micros, what);
        }
    }

    /// On to the step after `step`, or to the end of the last.
    pub(super) fn go_on(&mut self, step: usize, at_micros: u64, why: &str) {
        match self.steps.get(step + 1) {
            Some(weight) => {
                self.weight = *weight;
                let what = format!("step {}: {why}; on to {weight}", step + 1);
                self.enter(Phase::Moving { step: step + 1 }, at_micros, what);
            }
            None => {
                let what = format!("step {}: {why}; all actors are on the new version", step + 1);
                self.enter(Phase::Complete, at_micros, what);
            }
        }
    }

    pub(super) fn roll_back(&mut self, why: String, at_micros: u64) {
        self.weight = Weight::NONE;
        let what = format!("rolling back: {why}");
        self.enter(Phase::RollingBack { why }, at_micros, what);
    }

    pub(super) fn pause(&mut self, step: usize, why: String, at_micros: u64) {
        let what = format!("paused: {why}");
        self.enter(Phase::Paused { step, why }, at_micros, what);
    }

    /// What happened since the watch began, with the new version and with others, by kind.
    fn split(&self, reports: &[SiloReport]) -> (BTreeMap<String, KindFigures>, BTreeMap<String, KindFigures>) {
        let (mut new, mut old) = (BTreeMap::new(), BTreeMap::new());
        for (kind, target) in &self.kinds {
            let (mut of_new, mut of_old) = (KindFigures::default(), KindFigures::default());
            for report in reports {
                let Some(figures) = report.figures.get(kind) else {
                    continue;
                };
                // A silo that was not there when the watch began has counted nothing before.
                let mark = self.marks.get(&report.silo).and_then(|marks| marks.get(kind));
                let since = mark.map_or_else(|| figures.clone(), |mark| figures.since(mark));
                match report.versions.get(kind) {
                    Some(version) if *version == target.to => of_new.add(&since),
                    Some(_) => of_old.add(&since),
                    None => {}
                }
            }
            new.insert(kind.clone(), of_new);
            old.insert(kind.clone(), of_old);
        }
        (new, old)
    }

    fn verdicts(
        &self,
        new: &BTreeMap<String, KindFigures>,
        old: &BTreeMap<String, KindFigures>,
    ) -> BTreeMap<String, Verdict> {
        let kinds = self.kinds.keys();
        kinds
            .map(|kind| (kind.clone(), self.judge_kind(kind, new, old)))
            .collect()
    }

    fn judge_kind(
        &self,
        kind: &str,
        new: &BTreeMap<String, KindFigures>,
        old: &BTreeMap<String, KindFigures>,
    ) -> Verdict {
        let nothing = KindFigures::default();
        let of = |figures: &BTreeMap<String, KindFigures>| figures.get(kind).cloned().unwrap_or_default();
        let old = match of(old) {
            // Where the old version has no share any more, it is what it last did.
            old if old == nothing => of(&self.control),
            old => old,
        };
        let criteria = Criteria {
            // A kind that nobody uses cannot be judged, and holds nothing up.
            min_turns: if old.turns == 0 && of(new).turns == 0 {
                0
            } else {
                self.criteria.min_turns
            },
            ..self.criteria.clone()
        };
        judge(&of(new), &old, &criteria)
    }

    fn of_rollout(&self, figures: &BTreeMap<String, KindFigures>) -> BTreeMap<String, KindFigures> {
        let ours = figures.iter().filter(|(kind, _)| self.kinds.contains_key(*kind));
        ours.map(|(kind, figures)| (kind.clone(), figures.clone())).collect()
    }
}

/// Of all kinds: bad if one is, undecided if one is.
fn together(verdicts: &BTreeMap<String, Verdict>) -> Verdict {
    let mut findings = Vec::new();
    let mut doubts = Vec::new();
    for (kind, verdict) in verdicts {
        match verdict {
            Verdict::Good => {}
            Verdict::Bad(bad) => findings.extend(bad.iter().map(|finding| Finding {
                what: format!("{kind}: {}", finding.what),
                ..finding.clone()
            })),
            Verdict::Undecided(why) => doubts.push(format!("{kind}: {why}")),
        }
    }
    match (findings.is_empty(), doubts.is_empty()) {
        (false, _) => Verdict::Bad(findings),
        (true, false) => Verdict::Undecided(doubts.join("; ")),
        (true, true) => Verdict::Good,
    }
}

/// Nothing is good as long as a silo does not say how it does: the new version may be why.
fn with_silent(verdict: Verdict, seen: &Observed<'_>) -> Verdict {
    let says = |silo: &SiloId| seen.reports.iter().any(|report| report.silo == *silo);
    let silent: Vec<_> = (seen.active.iter())
        .filter(|silo| !says(silo))
        .map(ToString::to_string)
        .collect();
    match verdict {
        Verdict::Good if !silent.is_empty() => Verdict::Undecided(format!("no word from {}", silent.join(", "))),
        verdict => verdict,
    }
}

/// How many have left each silo so far.
pub(super) fn departures(reports: &[SiloReport]) -> BTreeMap<SiloId, u64> {
    let marks = reports.iter().map(|report| (report.silo.clone(), report.departed));
    marks.collect()
}

/// What has come to each silo so far.
pub(super) fn arrivals(reports: &[SiloReport]) -> BTreeMap<SiloId, ArrivalFigures> {
    let marks = reports
        .iter()
        .map(|report| (report.silo.clone(), report.arrived.clone()));
    marks.collect()
}

//! What a rollout would do, and whether it can, before it begins.

use super::{
    BadCriteria, Criteria, Forecast, Phase, Rollout, SiloReport, Target,
    advance::{arrivals, departures},
    record::LogEntry,
};
use crate::{
    ident::Weight,
    schema::{Hash, KindHashes, Schema, Ways, conflicts},
    store::{MemberRow, SiloStatus, Unknown},
    telemetry::ArrivalFigures,
    version::VersionPolicy,
};
use semver::Version;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Request {
    /// The new version of each kind; without any: of every kind that Active silos host in several versions, the newest.
    pub kinds: BTreeMap<String, Version>,
    /// The shares of the actors that go to the new version, one step after the other. Default 10 %, 50 %, 100 %.
    pub steps: Vec<Weight>,
    /// By what it is judged.
    pub criteria: Criteria,
}

impl Default for Request {
    fn default() -> Self {
        Self {
            kinds: BTreeMap::new(),
            steps: [1_000, 5_000]
                .into_iter()
                .filter_map(|parts| Weight::new(parts).ok())
                .chain([Weight::ALL])
                .collect(),
            criteria: Criteria::default(),
        }
    }
}

/// What a rollout would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The record to begin with.
    pub rollout: Rollout,
    /// Kind by kind.
    pub kinds: Vec<PlannedKind>,
    /// The packed memory of an actor on average, in bytes, by the moves that the silos have seen; `None` if they saw none.
    pub bytes_per_actor: Option<u64>,
    /// For how long one in two actors, and one in a hundred, would stand still, by the moves that the silos have seen.
    pub pauses: Option<(Duration, Duration)>,
    /// What does not stop it, but should be known.
    pub warnings: Vec<String>,
}

/// What a rollout would do with one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedKind {
    /// The kind.
    pub kind: String,
    /// Where it goes.
    pub target: Target,
    /// Its active actors.
    pub actors: u64,
    /// How many would move in each step.
    pub moves: Vec<u64>,
    /// The Active silos that host the new version.
    pub silos_with_new: usize,
    /// The Active silos that host another.
    pub silos_with_old: usize,
}

/// Why a rollout cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// Every kind is hosted in one version.
    #[error("there is nothing to roll out: no kind is hosted in two versions; start silos of the new version first")]
    Nothing,
    /// No Active silo hosts the kind in that version.
    #[error("no active silo hosts {kind:?} in version {to}; hosted: {hosted}; start silos of the new version first")]
    NotHosted {
        /// The kind.
        kind: String,
        /// The version asked for.
        to: Version,
        /// What there is.
        hosted: String,
    },
    /// No Active silo hosts another version: nothing could be compared, and there is no way back.
    #[error("no active silo hosts {kind:?} in another version than {to}: there is nothing to move")]
    NothingToMove {
        /// The kind.
        kind: String,
        /// The version asked for.
        to: Version,
    },
    /// The policy forbids the way there or back.
    #[error(
        "the version policy ({policy}) forbids moving {kind:?} from {from} to {to}; release a compatible version, or change the policy"
    )]
    Forbidden {
        /// The kind.
        kind: String,
        /// From.
        from: Version,
        /// To.
        to: Version,
        /// The policy.
        policy: String,
    },
    /// The new version does not take a message that the old one takes.
    #[error(
        "{kind:?} {to} does not take {messages}, which {from} takes: senders of the old version would fail; keep the handlers until no silo sends them"
    )]
    Breaking {
        /// The kind.
        kind: String,
        /// The old version.
        from: Version,
        /// The new version.
        to: Version,
        /// The wire names of the messages.
        messages: String,
    },
    /// One of the versions cannot read what the other writes.
    #[error("{kind:?} {from} and {to} cannot read each other: {}", .what.join("; "))]
    Unreadable {
        /// The kind.
        kind: String,
        /// The old version.
        from: Version,
        /// The new version.
        to: Version,
        /// What, where, and how to keep it readable.
        what: Vec<String>,
    },
    /// The steps do not grow to all.
    #[error("the steps are {steps}; each must be greater than the one before, and the last 100 %")]
    Steps {
        /// As given.
        steps: String,
    },
    /// By these criteria nothing could be judged.
    #[error(transparent)]
    Criteria(#[from] BadCriteria),
    /// Another rollout is not over.
    #[error("rollout {number} is {phase}; finalize it or roll it back first")]
    Busy {
        /// Which.
        number: u64,
        /// How far it is.
        phase: String,
    },
}

impl Plan {
    /// Plans a rollout in place of `last`, the last one of the cluster; all that is wrong with it otherwise.
    ///
    /// # Errors
    /// Everything that has to be put right first, at least one.
    pub fn new<'a>(
        request: &Request,
        last: Option<&Rollout>,
        rows: impl Iterator<Item = &'a MemberRow>,
        reports: &[SiloReport],
        policy: impl Fn(&str) -> VersionPolicy,
        schemas: &BTreeMap<Hash, Schema>,
        at_micros: u64,
    ) -> Result<Self, Vec<PlanError>> {
        let mut wrong = Vec::new();
        if let Some(last) = last.filter(|last| !last.is_over()) {
            wrong.push(PlanError::Busy {
                number: last.number,
                phase: last.phase.name().to_owned(),
            });
        }
        let grow = request.steps.is_sorted_by(|a, b| a < b) && request.steps.first() > Some(&Weight::NONE);
        if !grow || request.steps.last() != Some(&Weight::ALL) {
            let steps: Vec<_> = request.steps.iter().map(ToString::to_string).collect();
            wrong.push(PlanError::Steps {
                steps: steps.join(", "),
            });
        }
        wrong.extend(request.criteria.check().err().map(PlanError::Criteria));
        let hosted = hosted(rows);
        let wanted = if request.kinds.is_empty() {
            newest(&hosted)
        } else {
            request.kinds.clone()
        };
        if wanted.is_empty() {
            wrong.push(PlanError::Nothing);
        }
        let mut kinds = Vec::new();
        for (kind, to) in wanted {
            let policy = policy(&kind);
            match plan_kind(
                &kind,
                to,
                hosted.get(kind.as_str()),
                &policy,
                schemas,
                &request.steps,
                reports,
            ) {
                Ok(planned) => kinds.push(planned),
                Err(errors) => wrong.extend(errors),
            }
        }
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let mut seen = ArrivalFigures::default();
        reports.iter().for_each(|report| seen.add(&report.arrived));
        let warnings = kinds
            .iter()
            .filter(|kind| kind.silos_with_new == 1 && kind.silos_with_old > 1);
        let warnings = warnings.map(|kind| {
            format!(
                "one silo alone hosts {:?} {}: it will have all of its actors",
                kind.kind, kind.target.to
            )
        });
        let targets = kinds
            .iter()
            .map(|kind| (kind.kind.clone(), kind.target.clone()))
            .collect();
        Ok(Self {
            warnings: warnings.collect(),
            rollout: Rollout {
                forecast: Forecast::of(request, &kinds, &seen),
                ..begin(request, last, targets, reports, at_micros)
            },
            kinds,
            bytes_per_actor: seen.bytes.checked_div(seen.actors),
            pauses: seen.pauses.quantile(500).zip(seen.pauses.quantile(990)),
        })
    }
}

/// The versions of each kind on Active silos.
type Hosted<'a> = BTreeMap<&'a str, BTreeMap<Version, HostedVersion<'a>>>;

/// A version of a kind on Active silos.
struct HostedVersion<'a> {
    /// How many host it.
    silos: usize,
    /// The messages that all of them take.
    takes: BTreeSet<&'a str>,
    /// What they look like; one, unless it was changed without a version of its own.
    schemas: Vec<&'a KindHashes>,
}

fn hosted<'a>(rows: impl Iterator<Item = &'a MemberRow>) -> Hosted<'a> {
    let mut hosted: Hosted<'a> = BTreeMap::new();
    for row in rows.filter(|row| row.status == SiloStatus::Active) {
        for (kind, manifest) in &row.manifest.kinds {
            let messages: BTreeSet<&str> = manifest.messages.iter().map(String::as_str).collect();
            let versions = hosted.entry(kind).or_default();
            match versions.get_mut(&manifest.version) {
                Some(version) => {
                    version.silos += 1;
                    version.takes.retain(|message| messages.contains(message));
                    if !version.schemas.contains(&&manifest.schemas) {
                        version.schemas.push(&manifest.schemas);
                    }
                }
                None => {
                    let version = HostedVersion {
                        silos: 1,
                        takes: messages,
                        schemas: vec![&manifest.schemas],
                    };
                    versions.insert(manifest.version.clone(), version);
                }
            }
        }
    }
    hosted
}

fn newest(hosted: &Hosted<'_>) -> BTreeMap<String, Version> {
    let several = hosted.iter().filter(|(_, versions)| versions.len() > 1);
    let newest =
        several.filter_map(|(kind, versions)| Some(((*kind).to_owned(), versions.keys().next_back()?.clone())));
    newest.collect()
}

fn plan_kind(
    kind: &str,
    to: Version,
    hosted: Option<&BTreeMap<Version, HostedVersion<'_>>>,
    policy: &VersionPolicy,
    schemas: &BTreeMap<Hash, Schema>,
    steps: &[Weight],
    reports: &[SiloReport],
) -> Result<PlannedKind, Vec<PlanError>> {
    let Some(new) = hosted.and_then(|versions| versions.get(&to)) else {
        let versions = hosted.into_iter().flat_map(BTreeMap::keys).map(ToString::to_string);
        let versions: Vec<_> = versions.collect();
        let hosted = if versions.is_empty() {
            "nowhere".to_owned()
        } else {
            versions.join(", ")
        };
        return Err(vec![PlanError::NotHosted {
            kind: kind.to_owned(),
            to,
            hosted,
        }]);
    };
    let others: Vec<_> = hosted
        .into_iter()
        .flatten()
        .filter(|(version, _)| **version != to)
        .collect();
    if others.is_empty() {
        return Err(vec![PlanError::NothingToMove {
            kind: kind.to_owned(),
            to,
        }]);
    }
    let mut wrong = Vec::new();
    for (from, old) in &others {
        for (from, to) in [(*from, &to), (&to, *from)] {
            if !policy.allows(from, to) {
                wrong.push(PlanError::Forbidden {
                    kind: kind.to_owned(),
                    from: from.clone(),
                    to: to.clone(),
                    policy: policy.to_string(),
                });
            }
        }
        let missing: Vec<_> = old.takes.difference(&new.takes).copied().collect();
        if !missing.is_empty() {
            wrong.push(PlanError::Breaking {
                kind: kind.to_owned(),
                from: (*from).clone(),
                to: to.clone(),
                messages: missing.join(", "),
            });
        }
        let what = unreadable((from, old), (&to, new), schemas);
        if !what.is_empty() {
            wrong.push(PlanError::Unreadable {
                kind: kind.to_owned(),
                from: (*from).clone(),
                to: to.clone(),
                what,
            });
        }
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let actors: u64 = reports.iter().filter_map(|report| report.activations.get(kind)).sum();
    let taken = |weight: &Weight| (u128::from(actors) * u128::from(u32::from(*weight))).div_ceil(10_000);
    let mut before = 0;
    let moves = steps.iter().map(|weight| {
        let moves = taken(weight).saturating_sub(before);
        before = taken(weight);
        u64::try_from(moves).unwrap_or(u64::MAX)
    });
    Ok(PlannedKind {
        kind: kind.to_owned(),
        actors,
        moves: moves.collect(),
        silos_with_new: new.silos,
        silos_with_old: others.iter().map(|(_, version)| version.silos).sum(),
        target: Target {
            from: others.iter().map(|(version, _)| (*version).clone()).collect(),
            to,
        },
    })
}

/// What two versions cannot read of each other. All goes both ways while they run side by side.
fn unreadable(
    from: (&Version, &HostedVersion<'_>),
    to: (&Version, &HostedVersion<'_>),
    schemas: &BTreeMap<Hash, Schema>,
) -> Vec<String> {
    let (old, new) = if from.0 <= to.0 { (from.1, to.1) } else { (to.1, from.1) };
    let mut found = BTreeSet::new();
    for old in &old.schemas {
        for new in &new.schemas {
            let conflicts = conflicts(old, new, Ways::BOTH, |hash| schemas.get(hash));
            found.extend(conflicts.iter().map(ToString::to_string));
        }
    }
    found.into_iter().collect()
}

fn begin(
    request: &Request,
    last: Option<&Rollout>,
    kinds: BTreeMap<String, Target>,
    reports: &[SiloReport],
    at_micros: u64,
) -> Rollout {
    let weight = request.steps.first().copied().unwrap_or_default();
    Rollout {
        number: last.map_or(1, |last| last.number + 1),
        revision: 1,
        kinds,
        steps: request.steps.clone(),
        criteria: request.criteria.clone(),
        phase: Phase::Moving { step: 0 },
        weight,
        marks: BTreeMap::new(),
        arrival_marks: arrivals(reports),
        departure_marks: departures(reports),
        forecast: Forecast::default(),
        control: BTreeMap::new(),
        receipts: Vec::new(),
        log: vec![LogEntry {
            at_micros,
            what: format!("begun with {weight}"),
        }],
        unknown: Unknown::default(),
    }
}

//! What the kinds of a program look like, version by version: the file that is checked in, and what a change of it means.

use super::{Conflict, Hash, KindHashes, KindSchemas, Schema, Ways, conflicts};
use semver::Version;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs, io,
    path::{Path, PathBuf},
};

/// What kinds look like, version by version. As a file it is JSON, ordered so that a change shows in its diff alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    /// By kind and version.
    pub kinds: BTreeMap<String, BTreeMap<Version, KindHashes>>,
    /// What the hashes stand for.
    pub schemas: BTreeMap<Hash, Schema>,
}

/// How a kind differs from what was recorded of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Difference {
    /// Nothing was recorded of it.
    New {
        /// The kind.
        kind: String,
        /// Its version.
        version: Version,
    },
    /// It is in the record and not among the kinds.
    Gone {
        /// The kind.
        kind: String,
    },
    /// It is of another version, and each reads what the other writes.
    Compatible {
        /// The kind.
        kind: String,
        /// The recorded version.
        from: Version,
        /// The version at hand.
        to: Version,
        /// What changed.
        changes: Vec<String>,
    },
    /// It has changed, compatibly, and its version has not.
    NeedsVersion {
        /// The kind.
        kind: String,
        /// Its version.
        version: Version,
        /// The one that it should have.
        next: Version,
        /// What changed.
        changes: Vec<String>,
    },
    /// The two versions cannot read each other.
    Breaking {
        /// The kind.
        kind: String,
        /// The recorded version.
        from: Version,
        /// The version at hand.
        to: Version,
        /// What they cannot read, and how to keep it.
        what: Vec<String>,
    },
}

impl Difference {
    /// Whether it may be recorded as it is.
    pub fn is_compatible(&self) -> bool {
        matches!(self, Self::New { .. } | Self::Gone { .. } | Self::Compatible { .. })
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, lines: &[String]| {
            lines
                .iter()
                .flat_map(|line| line.lines())
                .try_for_each(|line| write!(f, "\n    {line}"))
        };
        match self {
            Self::New { kind, version } => write!(f, "{kind} {version}: nothing was recorded of it yet"),
            Self::Gone { kind } => write!(
                f,
                "{kind}: recorded, but not among the kinds of the program; if it is there, name its crate (`use my_actors as _;`)"
            ),
            Self::Compatible {
                kind,
                from,
                to,
                changes,
            } => {
                write!(
                    f,
                    "{kind} {to}: compatible with {from}, each reads what the other writes"
                )?;
                list(f, changes)
            }
            Self::NeedsVersion {
                kind,
                version,
                next,
                changes,
            } => {
                write!(
                    f,
                    "{kind} {version}: changed compatibly, and needs a newer version than what was recorded: {next}"
                )?;
                list(f, changes)
            }
            Self::Breaking { kind, from, to, what } => {
                write!(f, "{kind} {to}: breaking, it and {from} cannot run in one cluster")?;
                list(f, what)?;
                let major = from.major.max(to.major) + 1;
                write!(
                    f,
                    "\n    or make it version {major}.0.0, which no actor of {from} moves to"
                )
            }
        }
    }
}

impl Lock {
    /// Adds a version of a kind.
    pub fn add(&mut self, kind: impl Into<String>, version: Version, schemas: KindSchemas) {
        let versions = self.kinds.entry(kind.into()).or_default();
        versions.insert(version, schemas.hashes());
        self.schemas.extend(schemas.by_hash());
    }

    /// Of each kind the newest version alone.
    #[must_use]
    pub fn newest(&self) -> Self {
        let newest = |(kind, versions): (&String, &BTreeMap<Version, KindHashes>)| {
            let (version, hashes) = versions.last_key_value()?;
            Some((kind.clone(), BTreeMap::from([(version.clone(), hashes.clone())])))
        };
        Self {
            kinds: self.kinds.iter().filter_map(newest).collect(),
            schemas: self.schemas.clone(),
        }
    }

    /// How the kinds of `new` differ from what is recorded here.
    pub fn differences(&self, new: &Self) -> Vec<Difference> {
        let schema = |hash: &Hash| self.schemas.get(hash).or_else(|| new.schemas.get(hash));
        let mut found = Vec::new();
        for (kind, versions) in &new.kinds {
            for (version, hashes) in versions {
                let Some(recorded) = self.kinds.get(kind) else {
                    found.push(Difference::New {
                        kind: kind.clone(),
                        version: version.clone(),
                    });
                    continue;
                };
                found.extend(difference(kind, version, hashes, recorded, schema));
            }
        }
        let gone = self.kinds.keys().filter(|kind| !new.kinds.contains_key(*kind));
        found.extend(gone.map(|kind| Difference::Gone { kind: kind.clone() }));
        found
    }

    /// Takes the kinds of `new` into the record, and forgets kinds that are not among them and schemas that nothing names.
    pub fn record(&mut self, new: &Self) {
        self.kinds.retain(|kind, _| new.kinds.contains_key(kind));
        for (kind, versions) in &new.kinds {
            self.kinds.entry(kind.clone()).or_default().extend(versions.clone());
        }
        self.schemas
            .extend(new.schemas.iter().map(|(hash, schema)| (*hash, schema.clone())));
        let named: BTreeSet<Hash> = (self.kinds.values().flat_map(BTreeMap::values))
            .flat_map(KindHashes::all)
            .copied()
            .collect();
        self.schemas.retain(|hash, _| named.contains(hash));
    }

    /// Reads a file.
    ///
    /// # Errors
    /// If it is not there, or is none of these.
    pub fn read(path: &Path) -> Result<Self, LockError> {
        let text = fs::read_to_string(path).map_err(|source| LockError::Io {
            path: path.to_owned(),
            source,
        })?;
        let lock: Self = serde_json::from_str(&text).map_err(|source| LockError::Unreadable {
            path: path.to_owned(),
            why: source.to_string(),
        })?;
        match (lock.schemas.iter()).find(|(hash, schema)| schema.hash() != **hash) {
            None => Ok(lock),
            Some((hash, _)) => Err(LockError::Unreadable {
                path: path.to_owned(),
                why: format!("the schema {hash} was changed by hand, or by a merge"),
            }),
        }
    }

    /// Writes a file.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), LockError> {
        let failed = |source: io::Error| LockError::Io {
            path: path.to_owned(),
            source,
        };
        let text = serde_json::to_string_pretty(self).map_err(|error| failed(error.into()))?;
        fs::write(path, text + "\n").map_err(failed)
    }
}

/// How a version of a kind differs from its recorded ones.
fn difference<'a>(
    kind: &str,
    version: &Version,
    hashes: &KindHashes,
    recorded: &BTreeMap<Version, KindHashes>,
    schema: impl Fn(&Hash) -> Option<&'a Schema> + Copy,
) -> Option<Difference> {
    if recorded.get(version) == Some(hashes) {
        return None;
    }
    let meets = recorded.iter().filter(|(other, _)| other.major == version.major);
    for (other, theirs) in meets.clone() {
        let what = broken((other, theirs), (version, hashes), schema);
        if !what.is_empty() {
            return Some(Difference::Breaking {
                kind: kind.to_owned(),
                from: other.clone(),
                to: version.clone(),
                what,
            });
        }
    }
    let kind = kind.to_owned();
    if let Some(before) = recorded.get(version) {
        let newest = meets.clone().map(|(other, _)| other).max().unwrap_or(version);
        return Some(Difference::NeedsVersion {
            kind,
            version: version.clone(),
            next: Version::new(newest.major, newest.minor + 1, 0),
            changes: changes(before, hashes, schema),
        });
    }
    let older = meets.clone().rfind(|(other, _)| *other < version);
    let (from, before) = older
        .or_else(|| meets.clone().next())
        .or_else(|| recorded.last_key_value())?;
    Some(Difference::Compatible {
        kind,
        from: from.clone(),
        to: version.clone(),
        changes: changes(before, hashes, schema),
    })
}

/// What two versions cannot read of each other, and what the newer does not take any more.
fn broken<'a>(
    one: (&Version, &KindHashes),
    other: (&Version, &KindHashes),
    schema: impl Fn(&Hash) -> Option<&'a Schema>,
) -> Vec<String> {
    let ((_, old), (_, new)) = if one.0 <= other.0 { (one, other) } else { (other, one) };
    let found = conflicts(old, new, Ways::BOTH, schema);
    let gone = (old.messages.keys()).filter(|name| !new.messages.contains_key(*name));
    let gone = gone.map(|name| format!("message {name}: it is not taken any more; keep its handler"));
    found.iter().map(Conflict::to_string).chain(gone).collect()
}

fn changes<'a>(
    before: &KindHashes,
    after: &KindHashes,
    schema: impl Fn(&Hash) -> Option<&'a Schema> + Copy,
) -> Vec<String> {
    let mut changes = Vec::new();
    let both = [
        ("message ", &before.messages, &after.messages),
        ("", &before.states, &after.states),
    ];
    for (what, before, after) in both {
        for (name, hash) in after {
            match before.get(name) {
                Some(same) if same == hash => {}
                Some(other) => changes.push(format!("{what}{name}:{}", lines(schema(other), schema(hash)))),
                None => changes.push(format!("{what}{name}: new, which older versions do not know")),
            }
        }
    }
    let read = after.reads.difference(&before.reads);
    changes.extend(read.map(|name| format!("state: {name} is read too")));
    let unread = before.reads.difference(&after.reads);
    changes.extend(unread.map(|name| format!("state: {name} is not read any more")));
    if before.back != after.back {
        let written = |back: &Option<String>| back.clone().unwrap_or_else(|| "no older schema".into());
        changes.push(format!(
            "state: {} is written while silos of an older version may read it, instead of {}",
            written(&after.back),
            written(&before.back)
        ));
    }
    changes
}

/// The lines of the canonical texts that differ.
fn lines(before: Option<&Schema>, after: Option<&Schema>) -> String {
    let text = |schema: Option<&Schema>| schema.map_or_else(String::new, Schema::canonical);
    let (before, after) = (text(before), text(after));
    let only = |sign: &str, these: &str, those: &str| {
        let lines = these.lines().filter(|line| !those.lines().any(|other| other == *line));
        lines.map(|line| format!("\n{sign} {line}")).collect::<String>()
    };
    only("-", &before, &after) + &only("+", &after, &before)
}

/// Why a lock file does not stand for the program.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// The file cannot be read or written.
    #[error("{} cannot be read or written: {source}", .path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is no lock file.
    #[error("{} is no lock file: {why}; take it from your version control, or record it anew", .path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The program differs from what is recorded.
    #[error("the program differs from {}:{}\n{}", .path.display(), text(.differences), cure(.differences))]
    Differs {
        /// Which file.
        path: PathBuf,
        /// How.
        differences: Vec<Difference>,
    },
    /// The kinds of the program cannot be listed.
    #[error("{0}")]
    Program(String),
}

/// As people read it: a test prints this.
impl fmt::Debug for LockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn text(differences: &[Difference]) -> String {
    differences
        .iter()
        .map(|difference| format!("\n  {difference}"))
        .collect()
}

fn cure(differences: &[Difference]) -> &'static str {
    if differences.iter().all(Difference::is_compatible) {
        "record it: run the test again with QUARK_LOCK=record, and check the file in"
    } else {
        "mend what is said above; then run the test again with QUARK_LOCK=record, and check the file in"
    }
}

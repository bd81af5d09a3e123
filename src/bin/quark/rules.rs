//! `quark rules`, `quark policy`, `quark pin`, `quark unpin`, `quark switch`: what operators say of versions while the cluster runs.

use super::{
    connection::Connection,
    output::{Output, table},
};
use anyhow::Context;
use quark::{
    placement::{Keys, RuleChange, Rules, Switch},
    version::{self, VersionPolicy},
};
use semver::Version;
use std::sync::Arc;

/// Show what was said of versions: policies, pins, switches
#[derive(Debug, clap::Args)]
pub(crate) struct ShowRules {
    #[command(flatten)]
    shared: Shared,
}

/// Say which versions messages and actors may pass between
#[derive(Debug, clap::Args)]
pub(crate) struct Policy {
    /// Of this kind; without: of all that have none of their own
    #[arg(long)]
    kind: Option<String>,
    /// Words separated by commas: strict, patch, minor or major; both, newer or older; prerelease; prefer, require or any; fail or wait
    #[arg(required_unless_present = "forget", conflicts_with = "forget")]
    policy: Option<VersionPolicy>,
    /// Leave it to the options of the silos again
    #[arg(long)]
    forget: bool,
    #[command(flatten)]
    shared: Shared,
}

/// Keep an actor, or all whose keys begin alike, on one version
#[derive(Debug, clap::Args)]
pub(crate) struct Pin {
    /// KIND/KEY, or KIND/PREFIX* for all whose keys begin so
    #[arg(value_parser = keys)]
    actors: (String, Keys),
    /// The version
    #[arg(value_parser = version::parse)]
    version: Version,
    #[command(flatten)]
    shared: Shared,
}

/// Take a pin back
#[derive(Debug, clap::Args)]
pub(crate) struct Unpin {
    /// As it was pinned
    #[arg(value_parser = keys)]
    actors: (String, Keys),
    #[command(flatten)]
    shared: Shared,
}

/// Let all actors of a kind come up in one version; and back, by switching to the other one
#[derive(Debug, clap::Args)]
pub(crate) struct SwitchKind {
    /// The kind
    kind: String,
    /// The version
    #[arg(value_parser = version::parse, required_unless_present = "forget", conflicts_with = "forget")]
    version: Option<Version>,
    /// Move those that are active elsewhere, too; without, they stay until they are idle or their silo drains
    #[arg(long = "move", conflicts_with = "forget")]
    moves: bool,
    /// Leave new actors to placement again
    #[arg(long)]
    forget: bool,
    #[command(flatten)]
    shared: Shared,
}

#[derive(Debug, clap::Args)]
struct Shared {
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

fn keys(text: &str) -> anyhow::Result<(String, Keys)> {
    let (kind, key) = text.split_once('/').with_context(|| {
        format!("{text:?} names no actors: write KIND/KEY, or KIND/PREFIX* for all whose keys begin so")
    })?;
    let keys = match key.strip_suffix('*') {
        Some(prefix) => Keys::Prefix(prefix.to_owned()),
        None => Keys::Key(key.to_owned()),
    };
    Ok((kind.to_owned(), keys))
}

impl Shared {
    async fn change(self, change: RuleChange) -> anyhow::Result<()> {
        let rules = self.connection.open().await?.change_rules(vec![change]).await?;
        self.output.print(&rules, || text(&rules))
    }
}

impl ShowRules {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let rules = self.shared.connection.open().await?.rules().await?;
        self.shared.output.print(&rules, || text(&rules))
    }
}

impl Policy {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let (kind, policy) = (self.kind, self.policy);
        self.shared.change(RuleChange::Policy { kind, policy }).await
    }
}

impl Pin {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let ((kind, keys), to) = (self.actors, Some(self.version));
        self.shared.change(RuleChange::Pin { kind, keys, to }).await
    }
}

impl Unpin {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let ((kind, keys), to) = (self.actors, None);
        self.shared.change(RuleChange::Pin { kind, keys, to }).await
    }
}

impl SwitchKind {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let moves = self.moves;
        let to = self.version.map(|version| Switch {
            to: Arc::new(version),
            moves,
        });
        let kind = self.kind;
        self.shared.change(RuleChange::Switch { kind, to }).await
    }
}

fn text(rules: &Rules) -> String {
    let mut rows = Vec::new();
    if let Some(policy) = &rules.policy {
        rows.push(["all".to_owned(), "policy".to_owned(), policy.to_string()]);
    }
    for (kind, policy) in &rules.kinds {
        rows.push([kind.clone(), "policy".to_owned(), policy.to_string()]);
    }
    for (kind, pins) in &rules.pins {
        for (key, version) in &pins.keys {
            rows.push([format!("{kind}/{key}"), "pinned to".to_owned(), version.to_string()]);
        }
        for (prefix, version) in &pins.prefixes {
            rows.push([format!("{kind}/{prefix}*"), "pinned to".to_owned(), version.to_string()]);
        }
    }
    for (kind, switch) in &rules.switches {
        let how = if switch.moves {
            "all switched to"
        } else {
            "new ones switched to"
        };
        rows.push([kind.clone(), how.to_owned(), switch.to.to_string()]);
    }
    if rows.is_empty() {
        return "nothing was said: the options of the silos count".to_owned();
    }
    table(["what", "rule", "value"], rows)
}

//! What silos are asked and answer about the rules of versions.

use super::{RuleChange, Rules};
use serde::{Deserialize, Serialize};

/// The query that carries [`RulesAsked`] and is answered with [`RulesAnswered`], by any silo.
pub const RULES_QUERY: &str = "quark.rules";

/// What a silo is asked about the rules of its cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RulesAsked {
    /// What they are.
    Show,
    /// To change them, all or nothing.
    Change(Vec<RuleChange>),
}

/// What it answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RulesAnswered {
    /// The rules as they are now.
    Rules(Box<Rules>),
    /// Why not, one sentence for each thing that has to be put right. Nothing was changed.
    Refused(Vec<String>),
}

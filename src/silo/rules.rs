//! The rules of versions at one silo: follows the document in the store, and changes it for operators.

use super::{
    Node, SiloHandle,
    followed::{Followed, Sent},
    queries::News,
};
use crate::{
    placement::{RuleChange, Rules, RulesAnswered, RulesAsked},
    store::{Document, ETag, StoreError},
    version::VersionPolicy,
    wire,
};
use parking_lot::Mutex;
use semver::Version;
use std::sync::Arc;

/// The name of the rules among the documents of the store.
pub(super) const DOCUMENT: &str = "rules";

/// How often a change is tried against others.
const ATTEMPTS: usize = 5;

/// How many looks after a change actors are searched that it makes wrong: the other silos hear of it meanwhile.
const SEARCHES: u32 = 3;

/// After how many looks without a change they are searched again.
const STRAGGLERS: u32 = 30;

/// The rules as this silo knows them.
#[derive(Default)]
pub(super) struct RuleBook {
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    rules: Followed<Rules>,
    /// Looks since the last change.
    looks: u32,
}

/// Why the rules were not read or changed. Nothing was changed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RulesError {
    /// They cannot be so.
    #[error("{}", .0.join("; "))]
    Refused(Vec<String>),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The rules in the store cannot be read.
    #[error("the rules of versions in the store cannot be read by this version: {0}; ask a silo of a newer one")]
    Unreadable(String),
    /// Others change them all the time.
    #[error("the rules of versions changed under way, again and again; look at them and try again")]
    Contended,
}

impl RuleBook {
    /// Whether it is time to look for actors that the rules make wrong. To be asked once a look.
    pub(super) fn is_time_to_search(&self) -> bool {
        let mut known = self.known.lock();
        known.looks = known.looks.saturating_add(1);
        let moves = known.rules.value().is_some_and(|(_, rules)| rules.move_actors());
        moves && (known.looks <= SEARCHES || known.looks.is_multiple_of(STRAGGLERS))
    }
}

impl Node {
    /// The rules in the store; this silo goes by them from now on.
    pub(super) async fn read_rules(&self) -> Result<(Option<ETag>, Arc<Rules>), RulesError> {
        let sent = self.rule_book.known.lock().rules.sending();
        match self.store.document(DOCUMENT).await? {
            Some(document) => {
                let (etag, rules) = self.follow_rules(&document, sent)?;
                Ok((Some(etag), rules))
            }
            None => Ok((None, Arc::default())),
        }
    }

    fn follow_rules(&self, document: &Document, sent: Sent) -> Result<(ETag, Arc<Rules>), RulesError> {
        let mut known = self.rule_book.known.lock();
        if let Some(rules) = known.rules.value()
            && !known.rules.is_news(document, sent)
        {
            return Ok(rules);
        }
        let rules: Rules = wire::decode(&document.body).map_err(|error| RulesError::Unreadable(error.to_string()))?;
        let rules = Arc::new(rules);
        known.rules.take(document, rules.clone());
        known.looks = 0;
        self.placement.write().ruled(rules.clone());
        drop(known);
        tracing::info!(?rules, "this silo follows the rules of versions");
        Ok((document.etag, rules))
    }

    async fn change_rules(&self, changes: &[RuleChange]) -> Result<Arc<Rules>, RulesError> {
        let wrong: Vec<String> = changes.iter().filter_map(|change| self.why_not(change)).collect();
        if !wrong.is_empty() {
            return Err(RulesError::Refused(wrong));
        }
        for _ in 0..ATTEMPTS {
            let (etag, rules) = self.read_rules().await?;
            let next = changes.iter().fold((*rules).clone(), Rules::with);
            if next == *rules {
                return Ok(rules);
            }
            let body = wire::encode(&next).map_err(|error| RulesError::Unreadable(error.to_string()))?;
            let sent = self.rule_book.known.lock().rules.sending();
            if let Ok(etag) = self.store.put_document(DOCUMENT, etag, body.clone()).await? {
                let (_, rules) = self.follow_rules(&Document { etag, body }, sent)?;
                for silo in self.board().links().silos() {
                    self.notify(&silo, News::Rules);
                }
                return Ok(rules);
            }
        }
        Err(RulesError::Contended)
    }

    /// Why a change cannot be.
    fn why_not(&self, change: &RuleChange) -> Option<String> {
        match change {
            RuleChange::Policy { kind: None, policy } => self.stops_rollout(None, (*policy)?),
            RuleChange::Policy {
                kind: Some(kind),
                policy,
            } => self
                .not_hosted(kind, None)
                .or_else(|| self.stops_rollout(Some(kind), (*policy)?)),
            RuleChange::Pin { kind, to, .. } => self.not_hosted(kind, Some(to.as_ref()?)),
            RuleChange::Switch { kind, to } => {
                let to = to.as_ref()?;
                let is_busy = self.rollouts.rolls_out(kind);
                let busy = is_busy.then(|| {
                    format!("{kind:?} is being rolled out, which says where its actors belong; finalize it or roll it back first")
                });
                busy.or_else(|| self.not_hosted(kind, Some(&to.to)))
            }
        }
    }

    /// Why no rule can be of a kind, or lead to a version of it.
    fn not_hosted(&self, kind: &str, version: Option<&Version>) -> Option<String> {
        let placement = self.placement.read();
        let hosts = placement.hosts(kind);
        let is_hosted = |version: &Version| hosts.iter().any(|host| host.version == *version);
        if version.map_or(!hosts.is_empty(), is_hosted) {
            return None;
        }
        let mut hosted: Vec<String> = hosts.iter().map(|host| host.version.to_string()).collect();
        hosted.sort();
        hosted.dedup();
        Some(match version {
            Some(version) if !hosted.is_empty() => {
                let hosted = hosted.join(", ");
                format!("no active silo hosts {kind:?} in version {version}; hosted: {hosted}; start silos of it first")
            }
            _ => format!("no active silo hosts the kind {kind:?}"),
        })
    }

    /// Why a policy cannot be now: a rollout that is under way could go neither on nor back.
    fn stops_rollout(&self, kind: Option<&str>, policy: VersionPolicy) -> Option<String> {
        let (kind, from, to) = self.rollouts.forbidden_by(kind, policy)?;
        Some(format!(
            "the policy {policy} forbids moving {kind:?} between {from} and {to}, and a rollout does just that; finalize it or roll it back \
             first"
        ))
    }

    /// Answers what another process asks.
    pub(super) async fn asked_about_rules(&self, asked: RulesAsked) -> RulesAnswered {
        let answer = match asked {
            RulesAsked::Show => self.read_rules().await.map(|(_, rules)| rules),
            RulesAsked::Change(changes) => self.change_rules(&changes).await,
        };
        match answer {
            Ok(rules) => RulesAnswered::Rules(Box::new((*rules).clone())),
            Err(RulesError::Refused(why)) => RulesAnswered::Refused(why),
            Err(error) => RulesAnswered::Refused(vec![error.to_string()]),
        }
    }
}

impl SiloHandle {
    /// What operators say of versions: policies, pins, switches.
    ///
    /// # Errors
    /// The store, or rules of a newer version.
    pub async fn rules(&self) -> Result<Rules, RulesError> {
        Ok((*self.node.read_rules().await?.1).clone())
    }

    /// Changes what operators say of versions, for the whole cluster, all or nothing; answers all of it. Silos hear of it at once, or with
    /// their next look at the store.
    ///
    /// # Errors
    /// [`RulesError::Refused`] with all that is wrong; the store.
    pub async fn change_rules(&self, changes: &[RuleChange]) -> Result<Rules, RulesError> {
        Ok((*self.node.change_rules(changes).await?).clone())
    }
}

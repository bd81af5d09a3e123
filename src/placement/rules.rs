//! What operators say of versions while the cluster runs: policies, pins, and the switch from one version to another.

use super::Bound;
use crate::{ident::ActorId, store::Unknown, version::VersionPolicy};
use semver::Version;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound::{Included, Unbounded},
    sync::Arc,
};

/// What operators say of versions while the cluster runs. Silos keep to it in place of their own options.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rules {
    /// The policy of kinds that have none of their own; none leaves it to the silos' options.
    pub policy: Option<VersionPolicy>,
    /// Policies of kinds.
    pub kinds: BTreeMap<String, VersionPolicy>,
    /// By kind: to which version actors are pinned.
    pub pins: BTreeMap<String, Pins>,
    /// By kind: to which version all actors are switched.
    pub switches: BTreeMap<String, Switch>,
    /// What a newer program says besides.
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// The pins of a kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pins {
    /// Of single actors, by key. These come first.
    pub keys: BTreeMap<String, Arc<Version>>,
    /// Of all whose keys begin so; the longest counts.
    pub prefixes: BTreeMap<String, Arc<Version>>,
}

impl Pins {
    /// The version that a key is pinned to. Allocates nothing.
    pub fn of(&self, key: &str) -> Option<&Arc<Version>> {
        let before = || {
            let up_to = (Unbounded, Included(key));
            let mut prefixes = self.prefixes.range::<str, _>(up_to).rev();
            // The longer of two prefixes of a key comes later in the order of texts.
            prefixes.find(|(prefix, _)| key.starts_with(prefix.as_str()))
        };
        (self.keys.get(key)).or_else(|| before().map(|(_, version)| version))
    }

    fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.prefixes.is_empty()
    }
}

/// A kind all of whose actors are switched to one version: blue-green.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Switch {
    /// The version that actors come up in from now on.
    pub to: Arc<Version>,
    /// Whether those that are active elsewhere move there, too. Otherwise they stay until they are deactivated, or their silo drains.
    #[serde(default)]
    pub moves: bool,
}

/// A change of the rules. Made twice, it changes nothing more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RuleChange {
    /// Sets or forgets a policy.
    Policy {
        /// Of this kind; none: of all that have none of their own.
        kind: Option<String>,
        /// None leaves it to the next wider one.
        policy: Option<VersionPolicy>,
    },
    /// Pins or unpins.
    Pin {
        /// The kind.
        kind: String,
        /// Which of its actors.
        keys: Keys,
        /// The version; none unpins.
        to: Option<Version>,
    },
    /// Switches a kind, or forgets its switch.
    Switch {
        /// The kind.
        kind: String,
        /// Where to; none leaves new actors to placement again.
        to: Option<Switch>,
    },
}

/// Some actors of a kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keys {
    /// The one with this key.
    Key(String),
    /// All whose keys begin so.
    Prefix(String),
}

impl Rules {
    /// The rules after a change.
    #[must_use]
    pub fn with(mut self, change: &RuleChange) -> Self {
        match change {
            RuleChange::Policy { kind: None, policy } => self.policy = *policy,
            RuleChange::Policy {
                kind: Some(kind),
                policy,
            } => put(&mut self.kinds, kind, *policy),
            RuleChange::Pin { kind, keys, to } => {
                let pins = self.pins.entry(kind.clone()).or_default();
                let to = to.clone().map(Arc::new);
                match keys {
                    Keys::Key(key) => put(&mut pins.keys, key, to),
                    Keys::Prefix(prefix) => put(&mut pins.prefixes, prefix, to),
                }
                self.pins.retain(|_, pins| !pins.is_empty());
            }
            RuleChange::Switch { kind, to } => put(&mut self.switches, kind, to.clone()),
        }
        self
    }

    /// The policy of a kind, if the rules say one.
    pub fn policy(&self, kind: &str) -> Option<VersionPolicy> {
        self.kinds.get(kind).copied().or(self.policy)
    }

    /// Whether active actors may have to move because of the rules.
    pub fn move_actors(&self) -> bool {
        !self.pins.is_empty() || self.switches.values().any(|switch| switch.moves)
    }

    /// The kinds that the rules say something of.
    pub fn kinds(&self) -> BTreeSet<&str> {
        let (policies, pins, switches) = (self.kinds.keys(), self.pins.keys(), self.switches.keys());
        policies.chain(pins).chain(switches).map(String::as_str).collect()
    }

    /// To which version an actor is pinned.
    pub(super) fn pinned(&self, actor: &ActorId) -> Option<Bound> {
        let to = self.pins.get(actor.kind())?.of(actor.key())?;
        Some(Bound::To(to.clone()))
    }

    /// To which version a kind is switched.
    pub(super) fn switched(&self, kind: &str) -> Option<&Switch> {
        self.switches.get(kind)
    }
}

fn put<T>(map: &mut BTreeMap<String, T>, name: &str, value: Option<T>) {
    match value {
        Some(value) => _ = map.insert(name.to_owned(), value),
        None => _ = map.remove(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ident::{SiloId, Weight},
        placement::{Canary, Placement, PlacementError},
        store::{KindManifest, MemberRow, conformance},
        version::{Preference, Rule, parse},
        wire,
    };

    fn version(text: &str) -> Version {
        parse(text).expect("valid")
    }

    fn row(name: &str, cart: &str) -> MemberRow {
        let mut row = conformance::row(&SiloId::new(name, 1));
        let cart = KindManifest::new(version(cart));
        row.manifest.kinds.insert("cart".to_owned(), cart);
        row
    }

    fn placement(rules: Rules) -> Placement {
        let mut placement = Placement::new(VersionPolicy::default());
        let rows = [row("blue-1", "1.0.0"), row("blue-2", "1.0.0"), row("green", "1.1.0")];
        placement.view_changed(&rows);
        placement.ruled(Arc::new(rules));
        placement
    }

    fn pin(rules: Rules, keys: Keys, to: Option<&str>) -> Rules {
        let kind = "cart".to_owned();
        rules.with(&RuleChange::Pin {
            kind,
            keys,
            to: to.map(version),
        })
    }

    fn switch(to: &str, moves: bool) -> RuleChange {
        let to = Arc::new(version(to));
        RuleChange::Switch {
            kind: "cart".into(),
            to: Some(Switch { to, moves }),
        }
    }

    fn cart(key: &str) -> ActorId {
        ActorId::new("cart", key).expect("valid")
    }

    fn home(placement: &Placement, key: &str) -> String {
        let wanted = version("1.0.0");
        (placement.place(&cart(key), Some(&wanted)))
            .expect("placed")
            .name()
            .to_owned()
    }

    #[test]
    fn the_longest_prefix_counts_and_a_key_before_all() {
        let mut pins = Pins::default();
        for (prefix, to) in [
            ("", "1.0.0"),
            ("eu-", "2.0.0"),
            ("eu-west-", "3.0.0"),
            ("eu-z", "9.0.0"),
        ] {
            pins.prefixes.insert(prefix.into(), Arc::new(version(to)));
        }
        pins.keys.insert("eu-west-1".into(), Arc::new(version("4.0.0")));
        for (key, to) in [
            ("", 1),
            ("us", 1),
            ("eu", 1),
            ("eu-", 2),
            ("eu-north", 2),
            ("eu-west-", 3),
            ("eu-west-2", 3),
            ("eu-west-1", 4),
            ("eu-wz", 2),
        ] {
            assert_eq!(pins.of(key).map(|version| version.major), Some(to), "{key:?}");
        }
        pins.prefixes.remove("");
        assert_eq!(pins.of("us"), None);
    }

    #[test]
    fn a_pinned_actor_belongs_to_its_version_whatever_is_rolled_out_or_switched() {
        let rules = pin(Rules::default(), Keys::Prefix("vip-".into()), Some("1.1.0"));
        let rules = pin(rules, Keys::Key("vip-old".into()), Some("1.0.0"));
        let mut placement = placement(rules.with(&switch("1.0.0", true)));
        let canary = Canary {
            to: Arc::new(version("1.1.0")),
            weight: Weight::NONE,
        };
        placement.rolled_out(BTreeMap::from([("cart".to_owned(), canary)]));
        for n in 0..100 {
            assert_eq!(home(&placement, &format!("vip-{n}")), "green");
            assert!(home(&placement, &format!("{n}")).starts_with("blue"));
        }
        assert!(home(&placement, "vip-old").starts_with("blue"));
        assert!(!placement.belongs(&cart("vip-1"), &version("1.0.0")));
        assert!(placement.belongs(&cart("vip-1"), &version("1.1.0")));
    }

    #[test]
    fn a_pin_to_a_version_that_nobody_hosts_holds_nobody_up() {
        let rules = pin(Rules::default(), Keys::Prefix(String::new()), Some("1.7.0"));
        let placement = placement(rules);
        assert!(home(&placement, "a").starts_with("blue"));
        assert!(placement.belongs(&cart("a"), &version("1.0.0")));
    }

    /// R95
    #[test]
    fn a_switch_takes_new_actors_and_moves_others_only_if_it_says_so() {
        let stays = placement(Rules::default().with(&switch("1.1.0", false)));
        assert_eq!(home(&stays, "a"), "green");
        assert!(stays.belongs(&cart("a"), &version("1.0.0")));
        let moves = placement(Rules::default().with(&switch("1.1.0", true)));
        assert!(!moves.belongs(&cart("a"), &version("1.0.0")));
        let back = placement(
            Rules::default()
                .with(&switch("1.1.0", true))
                .with(&switch("1.0.0", true)),
        );
        assert!(home(&back, "a").starts_with("blue"));
        assert!(!back.belongs(&cart("a"), &version("1.1.0")));
    }

    #[test]
    fn a_drain_hands_its_actors_to_the_version_that_they_are_switched_to() {
        let rules = Rules::default().with(&switch("1.0.0", false));
        let placement = placement(rules);
        let bound = placement.bound(&cart("a"));
        let targets = placement.targets("cart", &version("1.0.0"), &SiloId::new("blue-1", 1), bound.as_ref());
        let names: Vec<_> = targets.iter().map(|host| host.silo().name()).collect();
        assert_eq!(names, ["blue-2"], "though there is a newer version");
    }

    /// R89, R90
    #[test]
    fn policies_change_while_the_cluster_runs_and_come_back_when_they_are_forgotten() {
        let strict = VersionPolicy {
            preference: Preference::Require,
            ..VersionPolicy::new(Rule::Strict)
        };
        let mut placement = placement(Rules::default());
        let allowed = |placement: &Placement| placement.place(&cart("a"), Some(&version("1.2.0")));
        assert!(allowed(&placement).is_ok());
        let change = |kind: Option<&str>, policy| RuleChange::Policy {
            kind: kind.map(str::to_owned),
            policy,
        };
        let rules = Rules::default().with(&change(None, Some(strict)));
        placement.ruled(Arc::new(rules.clone()));
        assert!(matches!(
            allowed(&placement),
            Err(PlacementError::VersionMismatch { .. })
        ));
        let rules = rules.with(&change(Some("cart"), Some(VersionPolicy::default())));
        placement.ruled(Arc::new(rules.clone()));
        assert!(allowed(&placement).is_ok(), "a kind's own comes first");
        let rules = rules.with(&change(Some("cart"), None)).with(&change(None, None));
        assert_eq!(rules, Rules::default());
        placement.ruled(Arc::new(rules));
        assert_eq!(*placement.policy("cart"), VersionPolicy::default());
    }

    #[test]
    fn any_version_is_as_good_as_another_if_the_policy_says_so() {
        let any = VersionPolicy {
            preference: Preference::Any,
            ..VersionPolicy::default()
        };
        let rules = Rules::default().with(&RuleChange::Policy {
            kind: None,
            policy: Some(any),
        });
        let placement = placement(rules);
        let homes: BTreeSet<_> = (0..100).map(|n| home(&placement, &n.to_string())).collect();
        assert_eq!(homes.len(), 3, "{homes:?}");
    }

    #[test]
    fn rules_of_a_newer_program_are_kept() {
        #[derive(Serialize)]
        struct Newer {
            moon_phase: &'static str,
        }
        let newer = wire::encode(&Newer { moon_phase: "full" }).expect("written");
        let rules: Rules = wire::decode(&newer).expect("read");
        assert!(!rules.unknown.is_empty());
        let again = wire::encode(&rules.with(&switch("1.0.0", false))).expect("written");
        let read: Rules = wire::decode(&again).expect("read");
        assert!(!read.unknown.is_empty() && read.kinds() == BTreeSet::from(["cart"]));
    }
}

//! Placement by the current view.

use super::{Bound, Canary, Candidate, PlacementError, Rules, place};
use crate::{
    ident::{ActorId, SiloId},
    store::{MemberRow, SiloStatus},
    version::{Preference, VersionPolicy, best_match},
};
use semver::Version;
use std::{cmp::Ordering, collections::BTreeMap, sync::Arc};

/// An Active silo that hosts a kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// The silo and its capacity.
    pub candidate: Candidate,
    /// The version of the kind that it hosts.
    pub version: Version,
}

impl Host {
    /// Which silo.
    pub fn silo(&self) -> &SiloId {
        self.candidate.silo()
    }
}

/// The policy of each kind.
#[derive(Clone, Debug)]
struct Policies {
    all: VersionPolicy,
    kinds: BTreeMap<String, VersionPolicy>,
}

/// Places actors on the silos of the current view. No call asks the network or allocates for the choice.
#[derive(Clone, Debug)]
pub struct Placement {
    /// By the silo's own options.
    own: Policies,
    /// What counts: the rules', where they say something.
    policies: Policies,
    rules: Arc<Rules>,
    /// Active hosts, ordered by silo.
    hosts: BTreeMap<String, Vec<Host>>,
    canaries: BTreeMap<String, Canary>,
    any_active: bool,
}

impl Placement {
    /// The label by which an operator sets a silo's capacity: a whole number, 100 if there is none or it is not one.
    /// Silos share the actors in proportion to it; a silo with 0 takes none.
    pub const CAPACITY_LABEL: &str = "capacity";

    /// Placement that knows no silo yet. `policy` is for the kinds that have none of their own.
    pub fn new(policy: VersionPolicy) -> Self {
        let own = Policies {
            all: policy,
            kinds: BTreeMap::new(),
        };
        Self {
            policies: own.clone(),
            own,
            rules: Arc::default(),
            hosts: BTreeMap::new(),
            canaries: BTreeMap::new(),
            any_active: false,
        }
    }

    /// With a policy of its own for `kind`.
    #[must_use]
    pub fn with_kind_policy(mut self, kind: impl Into<String>, policy: VersionPolicy) -> Self {
        self.own.kinds.insert(kind.into(), policy);
        let rules = self.rules.clone();
        self.ruled(rules);
        self
    }

    /// Takes what operators say of versions in place of what they said before.
    pub fn ruled(&mut self, rules: Arc<Rules>) {
        let own = &self.own;
        // What is said to the whole cluster comes before what a silo's program says of a kind.
        let mut kinds = if rules.policy.is_some() {
            BTreeMap::new()
        } else {
            own.kinds.clone()
        };
        kinds.extend(rules.kinds.iter().map(|(kind, policy)| (kind.clone(), *policy)));
        self.policies = Policies {
            all: rules.policy.unwrap_or(own.all),
            kinds,
        };
        self.rules = rules;
    }

    /// The capacity of a silo, by its label.
    pub fn capacity(row: &MemberRow) -> u32 {
        row.labels
            .get(Self::CAPACITY_LABEL)
            .and_then(|text| text.parse().ok())
            .unwrap_or(Candidate::DEFAULT_CAPACITY)
    }

    /// The policy of a kind.
    pub fn policy(&self, kind: &str) -> &VersionPolicy {
        self.policies.kinds.get(kind).unwrap_or(&self.policies.all)
    }

    /// Takes the rows of a new view in place of the old ones.
    pub fn view_changed<'a>(&mut self, rows: impl IntoIterator<Item = &'a MemberRow>) {
        self.hosts.clear();
        self.any_active = false;
        for row in rows {
            if row.status != SiloStatus::Active {
                continue;
            }
            self.any_active = true;
            let candidate = Candidate::new(row.silo.clone(), Self::capacity(row));
            for (kind, manifest) in &row.manifest.kinds {
                let host = Host {
                    candidate: candidate.clone(),
                    version: manifest.version.clone(),
                };
                match self.hosts.get_mut(kind) {
                    Some(hosts) => hosts.push(host),
                    None => drop(self.hosts.insert(kind.clone(), vec![host])),
                }
            }
        }
        for hosts in self.hosts.values_mut() {
            hosts.sort_by(|a, b| a.silo().cmp(b.silo()));
        }
    }

    /// Takes the kinds that are rolled out in place of those before.
    pub fn rolled_out(&mut self, canaries: BTreeMap<String, Canary>) {
        self.canaries = canaries;
    }

    /// To which versions an actor belongs; none: to whichever placement chooses. A pin comes first, then the rollout of its kind,
    /// then its switch. Allocates nothing.
    pub fn bound(&self, actor: &ActorId) -> Option<Bound> {
        self.bound_by(actor, |_| true)
    }

    fn bound_by(&self, actor: &ActorId, counts: impl Fn(&super::Switch) -> bool) -> Option<Bound> {
        let rolled_out = || self.canaries.get(actor.kind()).map(|canary| canary.bound(actor));
        let switched = || {
            let switch = self.rules.switched(actor.kind()).filter(|switch| counts(switch))?;
            Some(Bound::To(switch.to.clone()))
        };
        self.rules.pinned(actor).or_else(rolled_out).or_else(switched)
    }

    /// Whether an actor that is on a silo with `version` of its kind belongs there: it is bound to no other version, or no silo with
    /// one of those that it is bound to may take it.
    pub fn belongs(&self, actor: &ActorId, version: &Version) -> bool {
        let Some(bound) = self.bound_by(actor, |switch| switch.moves) else {
            return true;
        };
        let takes = |host: &Host| host.candidate.capacity() > 0 && bound.admits(&host.version);
        bound.admits(version) || !self.compatible(actor.kind(), Some(version)).any(takes)
    }

    /// The Active silos that host a kind, ordered by silo.
    pub fn hosts(&self, kind: &str) -> &[Host] {
        self.hosts.get(kind).map_or(&[], Vec::as_slice)
    }

    /// Whether a silo is the only one that hosts a kind, and takes actors: then it gets those that it asks for itself.
    pub fn is_only_host(&self, silo: &SiloId, kind: &str) -> bool {
        matches!(self.hosts(kind), [only] if only.silo() == silo && only.candidate.capacity() > 0)
    }

    /// Those of [`Placement::hosts`] that may take what is for version `wanted`; all of them if no version is.
    pub fn compatible<'a>(&'a self, kind: &str, wanted: Option<&'a Version>) -> impl Iterator<Item = &'a Host> {
        let policy = *self.policy(kind);
        self.hosts(kind)
            .iter()
            .filter(move |host| wanted.is_none_or(|wanted| policy.allows(wanted, &host.version)))
    }

    /// The silo that an actor without an owner should come up on.
    ///
    /// With a `wanted` version, among the silos that host it; if there is none, among those with the nearest version that
    /// the policy allows. Without, or if the policy takes any, among all that host the kind. Silos with a version that the actor is
    /// bound to come first.
    ///
    /// # Errors
    /// [`PlacementError`] if no silo may take it.
    pub fn place(&self, actor: &ActorId, wanted: Option<&Version>) -> Result<SiloId, PlacementError> {
        let wanted = wanted.filter(|_| self.policy(actor.kind()).preference != Preference::Any);
        if let Some(silo) = self.place_bound(actor, wanted) {
            return Ok(silo);
        }
        let hosts = self.hosts(actor.kind());
        let able = || hosts.iter().filter(|host| host.candidate.capacity() > 0);
        let chosen = match wanted {
            None => place(actor, able().map(|host| &host.candidate)),
            Some(wanted) => {
                let versions = able().map(|host| &host.version);
                let Some(best) = best_match(self.policy(actor.kind()), wanted, versions) else {
                    return Err(self.why_not(actor.kind(), Some(wanted)));
                };
                let hosts = able().filter(|host| host.version.cmp_precedence(best) == Ordering::Equal);
                place(actor, hosts.map(|host| &host.candidate))
            }
        };
        chosen.cloned().ok_or_else(|| self.why_not(actor.kind(), wanted))
    }

    /// The silo with a version that the actor is bound to which it should come up on, if there is one.
    fn place_bound(&self, actor: &ActorId, wanted: Option<&Version>) -> Option<SiloId> {
        let bound = self.bound(actor)?;
        let of_side = || {
            self.compatible(actor.kind(), wanted)
                .filter(|host| host.candidate.capacity() > 0 && bound.admits(&host.version))
        };
        let nearest = wanted.and_then(|wanted| {
            let policy = self.policy(actor.kind());
            best_match(policy, wanted, of_side().map(|host| &host.version))
        });
        let hosts = of_side()
            .filter(|host| nearest.is_none_or(|nearest| host.version.cmp_precedence(nearest) == Ordering::Equal));
        place(actor, hosts.map(|host| &host.candidate)).cloned()
    }

    /// The silos that may take the actors of a kind from the silo `exclude`, which hosts it in `source_version`; those with a version
    /// that the actors are bound to, if there are any.
    ///
    /// The newest version comes first: a silo that drains in a rolling upgrade hands its actors to new silos, so that
    /// nobody moves twice. Of one version, ordered by silo.
    pub fn targets(&self, kind: &str, source_version: &Version, exclude: &SiloId, bound: Option<&Bound>) -> Vec<Host> {
        let mut targets: Vec<_> = self
            .compatible(kind, Some(source_version))
            .filter(|host| host.silo() != exclude && host.candidate.capacity() > 0)
            .cloned()
            .collect();
        if let Some(bound) = bound {
            let is_on_side = |host: &Host| bound.admits(&host.version);
            if targets.iter().any(is_on_side) {
                targets.retain(is_on_side);
            }
        }
        // Stable: within a version the order by silo stays.
        targets.sort_by(|a, b| b.version.cmp_precedence(&a.version));
        targets
    }

    fn why_not(&self, kind: &str, wanted: Option<&Version>) -> PlacementError {
        let mut hosted: Vec<_> = self
            .hosts(kind)
            .iter()
            .filter(|host| host.candidate.capacity() > 0)
            .map(|host| host.version.clone())
            .collect();
        hosted.sort();
        hosted.dedup();
        match wanted {
            _ if !self.any_active => PlacementError::NoActiveSilo,
            Some(wanted) if !hosted.is_empty() => PlacementError::VersionMismatch {
                kind: kind.to_owned(),
                wanted: wanted.clone(),
                hosted,
                policy: self.policy(kind).to_string(),
                on_no_match: self.policy(kind).on_no_match,
            },
            _ => PlacementError::NotHosted { kind: kind.to_owned() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        store::{KindManifest, conformance},
        version::{Direction, NoMatch, Rule, parse},
    };

    fn version(text: &str) -> Version {
        parse(text).expect("valid")
    }

    fn row(name: &str, status: SiloStatus, kinds: &[(&str, &str)]) -> MemberRow {
        let manifest = |(kind, text): &(&str, &str)| ((*kind).to_owned(), KindManifest::new(version(text)));
        let mut row = conformance::row(&SiloId::new(name, 1));
        row.status = status;
        row.manifest.kinds = kinds.iter().map(manifest).collect();
        row
    }

    fn placement(policy: VersionPolicy, rows: &[MemberRow]) -> Placement {
        let mut placement = Placement::new(policy);
        placement.view_changed(rows);
        placement
    }

    fn cart(key: u32) -> ActorId {
        ActorId::new("cart", key.to_string()).expect("valid")
    }

    fn chosen(placement: &Placement, wanted: Option<&str>) -> Vec<String> {
        let wanted = wanted.map(version);
        let mut names: Vec<_> = (0..200)
            .map(|key| {
                placement
                    .place(&cart(key), wanted.as_ref())
                    .expect("placed")
                    .name()
                    .to_owned()
            })
            .collect();
        names.sort();
        names.dedup();
        names
    }

    /// R85, R90
    #[test]
    fn only_active_silos_that_host_the_kind_in_an_allowed_version_are_chosen() {
        let rows = [
            row("active", SiloStatus::Active, &[("cart", "1.0.0")]),
            row("newer", SiloStatus::Active, &[("cart", "1.2.0")]),
            row("too-new", SiloStatus::Active, &[("cart", "2.0.0")]),
            row("another-kind", SiloStatus::Active, &[("user", "1.0.0")]),
            row("joining", SiloStatus::Joining, &[("cart", "1.0.0")]),
            row("leaving", SiloStatus::ShuttingDown, &[("cart", "1.0.0")]),
            row("dead", SiloStatus::Dead, &[("cart", "1.0.0")]),
            row("of-the-future", SiloStatus::Other, &[("cart", "1.0.0")]),
        ];
        let placement = placement(VersionPolicy::default(), &rows);
        let wanted = version("1.1.0");
        let compatible: Vec<_> = placement
            .compatible("cart", Some(&wanted))
            .map(|host| host.silo().name())
            .collect();
        assert_eq!(compatible, ["active", "newer"]);
        assert_eq!(chosen(&placement, Some("1.3.0")), ["newer"]);
        assert_eq!(chosen(&placement, None), ["active", "newer", "too-new"]);
    }

    /// R89, R92
    #[test]
    fn the_wanted_version_comes_before_a_compatible_one() {
        let rows = [
            row("old-1", SiloStatus::Active, &[("cart", "1.0.0")]),
            row("old-2", SiloStatus::Active, &[("cart", "1.0.0+rebuilt")]),
            row("new", SiloStatus::Active, &[("cart", "1.1.0")]),
        ];
        let placement = placement(VersionPolicy::default(), &rows);
        assert_eq!(chosen(&placement, Some("1.0.0")), ["old-1", "old-2"]);
        assert_eq!(chosen(&placement, Some("1.1.0")), ["new"]);
        assert_eq!(chosen(&placement, Some("1.9.0")), ["new"]);
    }

    /// R90
    #[test]
    fn without_a_silo_the_error_says_what_is_missing() {
        let mut empty = Placement::new(VersionPolicy::default());
        assert_eq!(empty.place(&cart(1), None), Err(PlacementError::NoActiveSilo));
        empty.view_changed(&[row("a", SiloStatus::Joining, &[("cart", "1.0.0")])]);
        assert_eq!(
            empty.place(&cart(1), Some(&version("1.0.0"))),
            Err(PlacementError::NoActiveSilo)
        );

        let rows = [
            row("a", SiloStatus::Active, &[("cart", "2.1.0"), ("user", "1.0.0")]),
            row("b", SiloStatus::Active, &[("cart", "2.0.0")]),
            row("c", SiloStatus::Active, &[("cart", "2.0.0")]),
            row("d", SiloStatus::Joining, &[("order", "1.0.0")]),
        ];
        let policy = VersionPolicy {
            on_no_match: NoMatch::Wait,
            ..VersionPolicy::default()
        };
        let placement = placement(policy, &rows);
        let order = ActorId::new("order", "1").expect("valid");
        let not_hosted = PlacementError::NotHosted { kind: "order".into() };
        assert_eq!(placement.place(&order, None), Err(not_hosted.clone()));
        assert_eq!(placement.place(&order, Some(&version("1.0.0"))), Err(not_hosted));
        let error = placement
            .place(&cart(1), Some(&version("1.0.0")))
            .expect_err("no such version");
        let expected = PlacementError::VersionMismatch {
            kind: "cart".into(),
            wanted: version("1.0.0"),
            hosted: vec![version("2.0.0"), version("2.1.0")],
            policy: "minor,both,wait".into(),
            on_no_match: NoMatch::Wait,
        };
        assert!(error.to_string().contains("hosted: 2.0.0, 2.1.0"), "{error}");
        assert_eq!(error, expected);
    }

    /// R67, R83
    #[test]
    fn a_new_view_replaces_the_old_one() {
        let mut placement = placement(
            VersionPolicy::default(),
            &[row("a", SiloStatus::Active, &[("cart", "1.0.0"), ("user", "1.0.0")])],
        );
        placement.view_changed(&[row("b", SiloStatus::Active, &[("cart", "1.0.0")])]);
        assert_eq!(chosen(&placement, None), ["b"]);
        assert!(placement.hosts("user").is_empty());
    }

    #[test]
    fn the_only_host_is_where_placement_puts_what_it_asks_for() {
        let (a, b) = (SiloId::new("a", 1), SiloId::new("b", 1));
        let mut rows = vec![row("a", SiloStatus::Active, &[("cart", "1.1.0")])];
        let alone = placement(VersionPolicy::new(Rule::Strict), &rows);
        assert!(alone.is_only_host(&a, "cart"));
        assert_eq!(chosen(&alone, Some("1.1.0")), ["a"]);
        assert!(!alone.is_only_host(&b, "cart") && !alone.is_only_host(&a, "user"));
        rows.push(row("b", SiloStatus::Active, &[("cart", "2.0.0")]));
        let two = placement(VersionPolicy::new(Rule::Strict), &rows);
        assert!(!two.is_only_host(&a, "cart") && !two.is_only_host(&b, "cart"));
        let mut drained = row("a", SiloStatus::Active, &[("cart", "1.1.0")]);
        drained
            .labels
            .insert(Placement::CAPACITY_LABEL.to_owned(), "0".to_owned());
        let drained = placement(VersionPolicy::default(), &[drained]);
        assert!(!drained.is_only_host(&a, "cart"), "it takes none");
    }

    #[test]
    fn a_kind_may_have_a_policy_of_its_own() {
        let rows = [row("a", SiloStatus::Active, &[("cart", "1.1.0"), ("user", "1.1.0")])];
        let mut placement =
            Placement::new(VersionPolicy::new(Rule::Strict)).with_kind_policy("cart", VersionPolicy::new(Rule::Minor));
        placement.view_changed(&rows);
        let user = ActorId::new("user", "1").expect("valid");
        assert!(placement.place(&cart(1), Some(&version("1.0.0"))).is_ok());
        assert!(placement.place(&user, Some(&version("1.0.0"))).is_err());
    }

    #[test]
    fn an_operator_sets_the_capacity_by_a_label() {
        let mut rows = ["a", "b", "c"].map(|name| row(name, SiloStatus::Active, &[("cart", "1.0.0")]));
        for (row, text) in rows.iter_mut().zip(["0", "300", "plenty"]) {
            row.labels.insert(Placement::CAPACITY_LABEL.into(), text.into());
        }
        let placement = placement(VersionPolicy::default(), &rows);
        let capacities: Vec<_> = placement
            .hosts("cart")
            .iter()
            .map(|host| host.candidate.capacity())
            .collect();
        assert_eq!(capacities, [0, 300, Candidate::DEFAULT_CAPACITY]);
        assert_eq!(chosen(&placement, None), ["b", "c"]);
        assert_eq!(chosen(&placement, Some("1.0.0")), ["b", "c"]);
    }

    #[test]
    fn a_version_on_silos_without_capacity_alone_is_no_match() {
        let mut rows = [
            row("a", SiloStatus::Active, &[("cart", "1.0.0")]),
            row("b", SiloStatus::Active, &[("cart", "1.1.0")]),
        ];
        rows[0].labels.insert(Placement::CAPACITY_LABEL.into(), "0".into());
        let placement = placement(VersionPolicy::default(), &rows);
        assert_eq!(chosen(&placement, Some("1.0.0")), ["b"]);
    }

    /// R58, R91
    #[test]
    fn targets_are_of_the_newest_allowed_version_first() {
        let rows = [
            row("z", SiloStatus::Active, &[("cart", "1.2.0")]),
            row("a", SiloStatus::Active, &[("cart", "1.0.0")]),
            row("m", SiloStatus::Active, &[("cart", "1.2.0")]),
            row("source", SiloStatus::Active, &[("cart", "1.0.0")]),
            row("too-new", SiloStatus::Active, &[("cart", "2.0.0")]),
            row("canary", SiloStatus::Active, &[("cart", "1.3.0-rc.1")]),
            row("leaving", SiloStatus::ShuttingDown, &[("cart", "1.2.0")]),
            row("another-kind", SiloStatus::Active, &[("user", "1.2.0")]),
        ];
        let targets = |policy| {
            let targets = placement(policy, &rows).targets("cart", &version("1.0.0"), &SiloId::new("source", 1), None);
            targets
                .iter()
                .map(|host| host.silo().name().to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(targets(VersionPolicy::default()), ["m", "z", "a"]);
        assert_eq!(targets(VersionPolicy::new(Rule::Strict)), ["a"]);
        assert_eq!(targets(VersionPolicy::new(Rule::Major)), ["too-new", "m", "z", "a"]);
        let older = VersionPolicy {
            direction: Direction::OnlyOlder,
            ..VersionPolicy::default()
        };
        assert_eq!(targets(older), ["a"]);
    }

    #[test]
    fn a_silo_that_was_restarted_is_a_target_of_its_predecessor() {
        let placement = placement(
            VersionPolicy::default(),
            &[row("a", SiloStatus::Active, &[("cart", "1.0.0")])],
        );
        assert!(
            placement
                .targets("cart", &version("1.0.0"), &SiloId::new("a", 1), None)
                .is_empty()
        );
        assert_eq!(
            placement
                .targets("cart", &version("1.0.0"), &SiloId::new("a", 0), None)
                .len(),
            1
        );
    }
}

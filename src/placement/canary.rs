//! Which actors of a kind belong to its new version while it is rolled out.

use super::Bound;
use crate::ident::{ActorId, Weight};
use semver::Version;
use std::sync::Arc;

/// A kind that is rolled out: the actors of a share belong to the new version, all others to any other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canary {
    /// The new version.
    pub to: Arc<Version>,
    /// Its share.
    pub weight: Weight,
}

impl Canary {
    /// Where an actor belongs. Allocates nothing.
    pub fn bound(&self, actor: &ActorId) -> Bound {
        if self.weight.takes(actor) {
            Bound::To(self.to.clone())
        } else {
            Bound::Not(self.to.clone())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ident::SiloId,
        placement::Placement,
        store::{KindManifest, MemberRow, conformance},
        version::{Rule, VersionPolicy, parse},
    };
    use std::collections::BTreeMap;

    fn version(text: &str) -> Version {
        parse(text).expect("valid")
    }

    fn row(name: &str, cart: &str) -> MemberRow {
        let mut row = conformance::row(&SiloId::new(name, 1));
        let cart = KindManifest::new(version(cart));
        row.manifest.kinds.insert("cart".to_owned(), cart);
        row
    }

    fn placement(rows: &[(&str, &str)], weight: &str) -> Placement {
        let mut placement = Placement::new(VersionPolicy::default());
        placement.view_changed(&rows.iter().map(|(name, cart)| row(name, cart)).collect::<Vec<_>>());
        let canary = Canary {
            to: Arc::new(version("1.1.0")),
            weight: weight.parse().expect("valid"),
        };
        placement.rolled_out(BTreeMap::from([("cart".to_owned(), canary)]));
        placement
    }

    fn is_new(placement: &Placement, cart: &ActorId) -> bool {
        matches!(placement.bound(cart), Some(Bound::To(_)))
    }

    fn carts() -> impl Iterator<Item = ActorId> {
        (0..2_000).map(|key| ActorId::new("cart", key.to_string()).expect("valid"))
    }

    const THREE: &[(&str, &str)] = &[("old-1", "1.0.0"), ("old-2", "1.0.5"), ("new", "1.1.0")];

    /// R93, R94
    #[test]
    fn while_a_kind_is_rolled_out_each_actor_is_placed_on_its_side() {
        for wanted in [None, Some(version("1.0.0")), Some(version("1.1.0"))] {
            for (weight, least, most) in [("0", 0, 0), ("10", 140, 260), ("50", 900, 1_100), ("100", 2_000, 2_000)] {
                let placement = placement(THREE, weight);
                let on_new = carts().filter(|cart| {
                    let silo = placement.place(cart, wanted.as_ref()).expect("placed");
                    assert_eq!(is_new(&placement, cart), silo.name() == "new");
                    silo.name() == "new"
                });
                let count = on_new.count();
                assert!((least..=most).contains(&count), "{weight} %: {count}");
            }
        }
    }

    /// Guarantee 19
    #[test]
    fn a_greater_weight_moves_nobody_but_those_that_it_takes() {
        let (ten, fifty) = (placement(THREE, "10"), placement(THREE, "50"));
        for cart in carts() {
            let (before, after) = (ten.place(&cart, None), fifty.place(&cart, None));
            assert!(before == after || is_new(&fifty, &cart), "{cart}");
        }
    }

    #[test]
    fn without_a_silo_of_its_side_an_actor_is_placed_as_if_nothing_were_rolled_out() {
        let only_old = &THREE[..2];
        let (with, without) = (placement(only_old, "100"), placement(only_old, "0"));
        for cart in carts() {
            assert_eq!(with.place(&cart, None), without.place(&cart, None));
            assert!(with.belongs(&cart, &version("1.0.0")), "there is nowhere to go");
        }
    }

    #[test]
    fn an_actor_belongs_to_the_silos_of_its_side() {
        let placement = placement(THREE, "50");
        for cart in carts() {
            let is_new = is_new(&placement, &cart);
            assert_eq!(placement.belongs(&cart, &version("1.1.0")), is_new);
            assert_eq!(placement.belongs(&cart, &version("1.0.0")), !is_new);
        }
        let other = ActorId::new("user", "1").expect("valid");
        assert!(
            placement.belongs(&other, &version("1.0.0")),
            "its kind is not rolled out"
        );
    }

    /// Guarantee 18
    #[test]
    fn no_rollout_leads_past_the_version_policy() {
        let mut placement = placement(&[("old", "1.0.0"), ("new", "1.1.0")], "100")
            .with_kind_policy("cart", VersionPolicy::new(Rule::Strict));
        placement.view_changed(&[row("old", "1.0.0"), row("new", "1.1.0")]);
        let cart = ActorId::new("cart", "1").expect("valid");
        assert_eq!(
            placement.place(&cart, Some(&version("1.0.0"))).expect("placed").name(),
            "old"
        );
        assert!(placement.belongs(&cart, &version("1.0.0")));
    }

    #[test]
    fn who_leaves_hands_each_actor_to_its_side_while_there_is_one() {
        let to = Arc::new(version("1.1.0"));
        let (new, old) = (Bound::To(to.clone()), Bound::Not(to));
        let names = |placement: &Placement, bound| {
            let targets = placement.targets("cart", &version("1.0.0"), &SiloId::new("old-1", 1), Some(bound));
            targets
                .iter()
                .map(|host| host.silo().name().to_owned())
                .collect::<Vec<_>>()
        };
        let with = placement(THREE, "10");
        assert_eq!(names(&with, &new), ["new"]);
        assert_eq!(names(&with, &old), ["old-2"]);
        let last = placement(&[("old-1", "1.0.0"), ("new", "1.1.0")], "10");
        assert_eq!(names(&last, &old), ["new"]);
    }
}

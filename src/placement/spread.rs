//! Many actors over a few targets.

use super::{Candidate, Host, place};
use crate::ident::{ActorId, SiloId};
use std::cmp::Ordering;

/// A target for each actor, in the order given; nothing if there are no targets.
///
/// Only the targets of the newest version are used. Each takes its share by capacity, rounded up, and no more: an actor
/// goes to the target that rendezvous hashing prefers among those with room ("consistent hashing with bounded loads",
/// Mirrokni, Thorup and Zadimoghaddam, 2016, with a bound of 1).
pub fn spread(actors: impl IntoIterator<Item = ActorId>, targets: &[Host]) -> Vec<(ActorId, SiloId)> {
    let Some(newest) = targets
        .iter()
        .map(|host| &host.version)
        .max_by(|a, b| a.cmp_precedence(b))
    else {
        return Vec::new();
    };
    let actors: Vec<_> = actors.into_iter().collect();
    let candidates: Vec<&Candidate> = targets
        .iter()
        .filter(|host| host.version.cmp_precedence(newest) == Ordering::Equal)
        .map(|host| &host.candidate)
        .collect();
    let all: u128 = candidates
        .iter()
        .map(|candidate| u128::from(candidate.capacity()))
        .sum();
    let mut open: Vec<(&Candidate, u128)> = candidates
        .into_iter()
        .filter(|candidate| candidate.capacity() > 0)
        .map(|candidate| {
            let share = (actors.len() as u128 * u128::from(candidate.capacity())).div_ceil(all);
            (candidate, share)
        })
        .collect();
    let mut spread = Vec::with_capacity(actors.len());
    for actor in actors {
        let Some(silo) = place(&actor, open.iter().map(|(candidate, _)| *candidate)).cloned() else {
            // Every target has capacity 0.
            break;
        };
        if let Some(room) = open.iter_mut().find(|(candidate, _)| *candidate.silo() == silo) {
            room.1 -= 1;
        }
        open.retain(|(_, room)| *room > 0);
        spread.push((actor, silo));
    }
    spread
}

#[cfg(test)]
mod tests {
    use super::*;
    use semver::Version;
    use std::collections::BTreeMap;

    fn host(name: &str, capacity: u32, minor: u64) -> Host {
        Host {
            candidate: Candidate::new(SiloId::new(name, 1), capacity),
            version: Version::new(1, minor, 0),
        }
    }

    fn actors(count: usize) -> Vec<ActorId> {
        (0..count)
            .map(|key| ActorId::new("cart", key.to_string()).expect("valid"))
            .collect()
    }

    fn shares(count: usize, targets: &[Host]) -> BTreeMap<String, usize> {
        let spread = spread(actors(count), targets);
        assert!(
            spread.iter().map(|(actor, _)| actor).eq(&actors(count)),
            "every actor once, in order"
        );
        let mut shares = BTreeMap::new();
        for (_, silo) in spread {
            *shares.entry(silo.name().to_owned()).or_default() += 1;
        }
        shares
    }

    /// R58
    #[test]
    fn actors_are_spread_evenly_to_the_last_one() {
        let targets = [host("a", 100, 0), host("b", 100, 0), host("c", 100, 0)];
        for count in [1, 2, 3, 7, 100, 10_000] {
            let shares = shares(count, &targets);
            assert!(
                shares.values().all(|share| *share <= count.div_ceil(3)),
                "{count}: {shares:?}"
            );
            assert_eq!(shares.values().sum::<usize>(), count);
        }
    }

    #[test]
    fn a_larger_target_takes_more() {
        let shares = shares(400, &[host("a", 100, 0), host("b", 300, 0), host("c", 0, 0)]);
        assert_eq!(shares, BTreeMap::from([("a".into(), 100), ("b".into(), 300)]));
    }

    #[test]
    fn only_the_newest_version_is_used() {
        let shares = shares(
            100,
            &[host("old", 100, 1), host("new-1", 100, 2), host("new-2", 100, 2)],
        );
        assert_eq!(shares, BTreeMap::from([("new-1".into(), 50), ("new-2".into(), 50)]));
    }

    #[test]
    fn most_actors_go_where_placement_would_put_them() {
        let targets = [host("a", 100, 0), host("b", 100, 0), host("c", 100, 0)];
        let spread = spread(actors(10_000), &targets);
        let at_home = spread
            .iter()
            .filter(|(actor, silo)| place(actor, targets.iter().map(|host| &host.candidate)) == Some(silo))
            .count();
        assert!(at_home > 9_500, "{at_home}");
    }

    #[test]
    fn without_a_target_that_has_room_nothing_is_spread() {
        assert_eq!(spread(actors(3), &[]), []);
        assert_eq!(spread(actors(3), &[host("a", 0, 0)]), []);
    }
}

//! Rebalancing: when a silo that runs more than its share gives actors away, how many, and to whom.

use crate::{clock::Moment, ident::SiloId};
use std::time::Duration;

/// When actors move without anybody asking.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BalanceOptions {
    /// How often loads are compared. Default 5 s.
    pub interval: Duration,
    /// How far above its share a silo begins to give actors away, 0.3 for 30 %. The share of processor time above the others'
    /// from which hot actors move, too. Default 0.3.
    pub threshold: f64,
    /// How far above its share it stops. The gap to `threshold` is what keeps small swings from moving anything. Default 0.1.
    pub settle: f64,
    /// The most actors that a silo gives away in one interval. Default 256.
    pub max_moves: usize,
    /// Fewer actors above the share are not worth a move. Default 16.
    pub min_excess: usize,
    /// How long a silo that has settled gives nothing away again, and how long an actor that came by a move stays. Default 60 s.
    pub cooldown: Duration,
}

impl Default for BalanceOptions {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(5),
            threshold: 0.3,
            settle: 0.1,
            max_moves: 256,
            min_excess: 16,
            cooldown: Duration::from_secs(60),
        }
    }
}

impl BalanceOptions {
    /// Checks the values.
    ///
    /// # Errors
    /// The first that cannot be, and what can.
    pub fn check(&self) -> Result<(), String> {
        if self.interval.is_zero() {
            return Err("interval is zero".into());
        }
        if !(self.settle >= 0.0 && self.settle < self.threshold && self.threshold.is_finite()) {
            return Err(format!(
                "settle is {} and threshold {}; it must be 0 <= settle < threshold",
                self.settle, self.threshold
            ));
        }
        if self.max_moves == 0 {
            return Err("max_moves is 0; it must be at least 1".into());
        }
        Ok(())
    }
}

/// What a silo has to do.
#[derive(Clone, Debug, PartialEq)]
pub struct SiloLoad {
    /// Which silo.
    pub silo: SiloId,
    /// Its share, relative to the others' capacities.
    pub capacity: u32,
    /// Actors that are active there and stay.
    pub actors: usize,
    /// The share of the last seconds that its workers were busy, 0 to 1.
    pub busy: f64,
}

/// What a silo gives away.
#[derive(Clone, Debug, PartialEq)]
pub enum Relief {
    /// So many of its cold actors to each of these silos.
    Cold(Vec<(SiloId, usize)>),
    /// This part of its hot actors, 0 to 1, to the silo that has the least to do.
    Hot {
        /// To whom.
        to: SiloId,
        /// Which part.
        part: f64,
    },
}

/// Decides whether a silo gives actors away.
#[derive(Clone, Debug)]
pub struct Balance {
    options: BalanceOptions,
    giving: bool,
    /// Nothing begins before.
    not_before: Option<Moment>,
}

impl Balance {
    /// Nothing is given away yet.
    pub fn new(options: BalanceOptions) -> Self {
        Self {
            options,
            giving: false,
            not_before: None,
        }
    }

    /// The options.
    pub fn options(&self) -> &BalanceOptions {
        &self.options
    }

    /// Compares the loads: `own` and those of the silos that may take something. To be called once an interval, when what
    /// the last relief moved is counted where it went.
    pub fn compare(&mut self, now: Moment, own: &SiloLoad, others: &[SiloLoad]) -> Option<Relief> {
        let others: Vec<&SiloLoad> = others.iter().filter(|other| other.capacity > 0).collect();
        if others.is_empty() {
            self.giving = false;
            return None;
        }
        let rests = self.not_before.is_some_and(|not_before| now < not_before);
        if rests && !self.giving {
            return None;
        }
        let cold = self.cold(now, own, &others);
        cold.or_else(|| if self.giving { None } else { self.hot(now, own, &others) })
    }

    fn cold(&mut self, now: Moment, own: &SiloLoad, others: &[&SiloLoad]) -> Option<Relief> {
        let capacity: f64 = f64::from(own.capacity) + others.iter().map(|other| f64::from(other.capacity)).sum::<f64>();
        let actors = (own.actors + others.iter().map(|other| other.actors).sum::<usize>()) as f64;
        let share = |load: &SiloLoad| actors * f64::from(load.capacity) / capacity;
        let (mine, has) = (share(own), own.actors as f64);
        let bound = if self.giving {
            self.options.settle
        } else {
            self.options.threshold
        };
        let excess = has - mine;
        if excess <= mine * bound || excess < self.options.min_excess as f64 {
            if self.giving {
                self.giving = false;
                self.not_before = Some(now + self.options.cooldown);
            }
            return None;
        }
        let lacks = |other: &SiloLoad| (share(other) - other.actors as f64).max(0.0);
        let lacking: f64 = others.iter().map(|other| lacks(other)).sum();
        let give = excess.min(lacking).min(self.options.max_moves as f64);
        let parts = others.iter().map(|other| {
            let part = give * lacks(other) / lacking;
            (other.silo.clone(), part.floor() as usize)
        });
        let parts: Vec<_> = parts.filter(|(_, part)| *part > 0).collect();
        self.giving = true;
        (!parts.is_empty()).then_some(Relief::Cold(parts))
    }

    /// Many hot actors on one silo: some of them move. Half of what would make it even, since what an actor costs is not known.
    fn hot(&mut self, now: Moment, own: &SiloLoad, others: &[&SiloLoad]) -> Option<Relief> {
        let least = others.iter().min_by(|a, b| a.busy.total_cmp(&b.busy))?;
        let average = (own.busy + others.iter().map(|other| other.busy).sum::<f64>()) / (others.len() + 1) as f64;
        if own.busy - average <= self.options.threshold || own.busy <= 0.5 {
            return None;
        }
        self.not_before = Some(now + self.options.cooldown);
        Some(Relief::Hot {
            to: least.silo.clone(),
            part: (own.busy - average) / own.busy / 2.0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: u64) -> Moment {
        Moment::default() + Duration::from_secs(seconds)
    }

    fn load(name: &str, actors: usize) -> SiloLoad {
        SiloLoad {
            silo: SiloId::new(name, 1),
            capacity: 100,
            actors,
            busy: 0.1,
        }
    }

    fn balance() -> Balance {
        Balance::new(BalanceOptions::default())
    }

    fn to(name: &str, actors: usize) -> Option<Relief> {
        Some(Relief::Cold(vec![(SiloId::new(name, 1), actors)]))
    }

    /// R62
    #[test]
    fn a_silo_that_joins_gets_its_share_within_the_limit_of_each_cycle() {
        let mut balance = balance();
        let (mut own, mut new) = (load("a", 1500), load("c", 0));
        let mut cycles = Vec::new();
        for cycle in 0..20 {
            // Both old silos give; this one sees the other do the same.
            let other = load("b", own.actors);
            let Some(Relief::Cold(parts)) = balance.compare(at(cycle * 5), &own, &[other, new.clone()]) else {
                break;
            };
            assert_eq!(parts.len(), 1);
            assert_eq!(parts[0].0, new.silo);
            cycles.push(parts[0].1);
            own.actors -= parts[0].1;
            new.actors += 2 * parts[0].1;
        }
        assert_eq!(cycles[0], 256, "no more than the limit");
        assert!((1000..=1100).contains(&own.actors), "{} of 1000", own.actors);
        assert!(new.actors >= 800, "{}", new.actors);
    }

    /// R62
    #[test]
    fn small_differences_move_nothing_and_what_began_goes_on_to_the_end() {
        let mut balance = balance();
        let others = [load("b", 1000)];
        assert_eq!(balance.compare(at(0), &load("a", 1500), &others), None, "20 % above");
        assert!(
            balance.compare(at(5), &load("a", 2000), &others).is_some(),
            "33 % above"
        );
        let others = [load("b", 1200)];
        assert!(
            balance.compare(at(10), &load("a", 1800), &others).is_some(),
            "20 %, but begun"
        );
        let others = [load("b", 1400)];
        assert_eq!(balance.compare(at(15), &load("a", 1600), &others), None, "7 %: settled");
    }

    /// R62
    #[test]
    fn a_silo_that_has_settled_gives_nothing_away_for_a_while() {
        let mut balance = balance();
        let unequal = [load("b", 0)];
        assert!(balance.compare(at(0), &load("a", 1000), &unequal).is_some());
        assert_eq!(balance.compare(at(5), &load("a", 500), &[load("b", 500)]), None);
        assert_eq!(balance.compare(at(64), &load("a", 1000), &unequal), None, "it rests");
        assert!(balance.compare(at(65), &load("a", 1000), &unequal).is_some());
    }

    #[test]
    fn shares_are_by_capacity_and_a_silo_without_takes_nothing() {
        let mut balance = balance();
        let large = SiloLoad {
            capacity: 300,
            ..load("b", 100)
        };
        let none = SiloLoad {
            capacity: 0,
            ..load("c", 0)
        };
        assert_eq!(
            balance.compare(at(0), &load("a", 300), &[large, none.clone()]),
            to("b", 200)
        );
        assert_eq!(balance.compare(at(5), &load("a", 300), &[none]), None);
    }

    #[test]
    fn few_actors_are_not_worth_a_move() {
        assert_eq!(balance().compare(at(0), &load("a", 20), &[load("b", 0)]), None);
        assert!(balance().compare(at(0), &load("a", 40), &[load("b", 0)]).is_some());
    }

    #[test]
    fn hot_actors_move_only_if_they_are_the_reason_and_then_some_of_them() {
        let busy = |name, busy| SiloLoad {
            busy,
            ..load(name, 100)
        };
        let mut one = balance();
        let others = [busy("b", 0.2), busy("c", 0.1)];
        let Some(Relief::Hot { to, part }) = one.compare(at(0), &busy("a", 0.9), &others) else {
            panic!("it is far busier than the others")
        };
        assert_eq!(to.name(), "c", "the least busy");
        assert!((0.25..0.3).contains(&part), "{part}");
        assert_eq!(
            one.compare(at(5), &busy("a", 0.9), &others),
            None,
            "it rests: loads follow slowly"
        );
        assert_eq!(
            balance().compare(at(0), &busy("a", 0.45), &others),
            None,
            "nobody waits there"
        );
        let all = [busy("b", 0.85), busy("c", 0.8)];
        assert_eq!(balance().compare(at(0), &busy("a", 0.9), &all), None, "all are busy");
    }

    #[test]
    fn options_that_cannot_be_are_named() {
        assert_eq!(BalanceOptions::default().check(), Ok(()));
        let bad = |change: fn(&mut BalanceOptions)| {
            let mut options = BalanceOptions::default();
            change(&mut options);
            options.check().expect_err("must be refused")
        };
        assert!(bad(|o| o.settle = 0.3).contains("settle"));
        assert!(bad(|o| o.threshold = f64::NAN).contains("threshold"));
        assert!(bad(|o| o.max_moves = 0).contains("max_moves"));
        assert!(bad(|o| o.interval = Duration::ZERO).contains("interval"));
    }

    proptest! {
        /// R62: no ping-pong. All silos compare at once, by the loads of the last cycle, and settle.
        #[test]
        fn silos_that_compare_at_once_settle_and_stay(loads in proptest::collection::vec(0_usize..5000, 2..8)) {
            let mut loads: Vec<_> = loads.iter().enumerate().map(|(n, actors)| load(&format!("s{n}"), *actors)).collect();
            let mut engines: Vec<_> = loads.iter().map(|_| balance()).collect();
            let total: usize = loads.iter().map(|load| load.actors).sum();
            let mut moved_last = 0;
            for cycle in 0..200 {
                let seen = loads.clone();
                for (me, engine) in engines.iter_mut().enumerate() {
                    let others: Vec<_> = (0..seen.len()).filter(|n| *n != me).map(|n| seen[n].clone()).collect();
                    if let Some(Relief::Cold(parts)) = engine.compare(at(cycle * 5), &seen[me], &others) {
                        for (silo, count) in parts {
                            loads[me].actors -= count;
                            let target = loads.iter_mut().find(|load| load.silo == silo).expect("known");
                            target.actors += count;
                            moved_last = cycle;
                        }
                    }
                }
            }
            prop_assert!(moved_last < 120, "still moving in cycle {}", moved_last);
            prop_assert_eq!(loads.iter().map(|load| load.actors).sum::<usize>(), total);
            let share = total as f64 / loads.len() as f64;
            for load in &loads {
                let most = (share * 1.3).max(share + 17.0);
                prop_assert!(load.actors as f64 <= most, "{:?} of {}", load, share);
            }
        }
    }
}

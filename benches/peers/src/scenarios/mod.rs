//! The scenarios, by name, and how a scenario's peers are measured in turn.

mod counts;
mod latencies;
mod memory;
mod rates;

pub(crate) use counts::{Kind, work};

use report::{Figures, Goal, Row, Unit};

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    /// How often each peer is measured.
    pub(crate) rounds: usize,
    pub(crate) quick: bool,
    pub(crate) full: bool,
}

/// Something to measure.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    run: fn(Effort) -> Vec<Row>,
}

impl Scenario {
    /// Measures it.
    pub(crate) fn run(&self, effort: Effort) -> Vec<Row> {
        (self.run)(effort)
    }
}

/// All scenarios, in the order of the table.
pub(crate) const ALL: &[Scenario] = &[
    Scenario {
        name: "tell",
        run: rates::tell,
    },
    Scenario {
        name: "tell-pinned",
        run: rates::tell_pinned,
    },
    Scenario {
        name: "tell-1000",
        run: rates::tell_thousand,
    },
    Scenario {
        name: "tell-1000-greedy",
        run: rates::tell_thousand_greedily,
    },
    Scenario {
        name: "tell-two-producers",
        run: rates::tell_two_producers,
    },
    Scenario {
        name: "ask",
        run: rates::ask,
    },
    Scenario {
        name: "ask-actor-to-actor",
        run: rates::ask_actor_to_actor,
    },
    Scenario {
        name: "ask-queued",
        run: rates::ask_queued,
    },
    Scenario {
        name: "ask-256",
        run: rates::ask_many,
    },
    Scenario {
        name: "ask-256-arbiters",
        run: rates::ask_many_apart,
    },
    Scenario {
        name: "ask-arbiters",
        run: latencies::ask_apart,
    },
    Scenario {
        name: "ping-pong",
        run: rates::rally,
    },
    Scenario {
        name: "activation",
        run: rates::activation,
    },
    Scenario {
        name: "memory",
        run: memory::memory,
    },
    Scenario {
        name: "allocations",
        run: counts::allocations,
    },
    Scenario {
        name: "ask-hot",
        run: latencies::ask_hot,
    },
    Scenario {
        name: "flood",
        run: latencies::flood,
    },
    Scenario {
        name: "instructions",
        run: counts::instructions,
    },
];

/// One peer of a scenario: each call of `measure` answers all of the scenario's figures.
struct Contender {
    peer: &'static str,
    is_product: bool,
    measure: Box<dyn FnMut() -> Vec<f64>>,
}

impl Contender {
    fn product(peer: &'static str, measure: impl FnMut() -> Vec<f64> + 'static) -> Self {
        Self {
            peer,
            is_product: true,
            measure: Box::new(measure),
        }
    }

    fn beside(peer: &'static str, measure: impl FnMut() -> Vec<f64> + 'static) -> Self {
        Self {
            is_product: false,
            ..Self::product(peer, measure)
        }
    }
}

/// A figure of a scenario.
struct Part {
    name: &'static str,
    title: String,
    unit: Unit,
    goal: Goal,
}

impl Part {
    fn new(name: &'static str, title: impl Into<String>, unit: Unit, goal: Goal) -> Self {
        Self {
            name,
            title: title.into(),
            unit,
            goal,
        }
    }
}

/// Measures every peer in every round; each round begins with another peer.
fn rounds(scenario: &'static str, parts: Vec<Part>, rounds: usize, mut contenders: Vec<Contender>) -> Vec<Row> {
    let blank = || -> Vec<Figures> {
        let figures = |contender: &Contender| Figures {
            peer: contender.peer,
            is_product: contender.is_product,
            rounds: Vec::new(),
        };
        contenders.iter().map(figures).collect()
    };
    let mut rows: Vec<Row> = (parts.into_iter())
        .map(|part| Row {
            scenario,
            part: part.name,
            title: part.title,
            unit: part.unit,
            goal: part.goal,
            figures: blank(),
        })
        .collect();
    for round in 0..rounds {
        for place in 0..contenders.len() {
            let at = (round + place) % contenders.len();
            let values = (contenders[at].measure)();
            assert_eq!(values.len(), rows.len(), "a figure for each row");
            for (row, value) in rows.iter_mut().zip(values) {
                row.figures[at].rounds.push(value);
            }
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_round_begins_with_another_peer_and_measures_all() {
        let order = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
        let contender = |name: &'static str| {
            let order = order.clone();
            Contender::product(name, move || {
                order.borrow_mut().push(name);
                vec![1.0]
            })
        };
        let part = Part::new("", "a row", Unit::RatePerSecond, Goal::None);
        let rows = rounds("s", vec![part], 3, ["a", "b", "c"].map(contender).into());
        assert_eq!(order.borrow().join(""), "abcbcacab");
        assert!(rows[0].figures.iter().all(|figures| figures.rounds.len() == 3));
    }

    #[test]
    fn names_are_of_one_scenario_each() {
        let names: std::collections::BTreeSet<_> = ALL.iter().map(|scenario| scenario.name).collect();
        assert_eq!(names.len(), ALL.len());
    }
}

//! What was measured, as a table and as lines of JSON.

use std::fmt::Write as _;

/// Which side of the goal is the good one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Goal {
    AtLeast(f64),
    AtMost(f64),
    None,
}

/// A figure, taken once in each round.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) unit: &'static str,
    pub(crate) goal: Goal,
    pub(crate) rounds: Vec<f64>,
}

impl Figure {
    pub(crate) fn new(name: impl Into<String>, unit: &'static str, goal: Goal, value: f64) -> Self {
        Self {
            name: name.into(),
            unit,
            goal,
            rounds: vec![value],
        }
    }

    fn median(&self) -> f64 {
        quantile(&mut self.rounds.clone(), 0.5)
    }

    fn stands(&self) -> &'static str {
        match self.goal {
            Goal::AtLeast(least) if self.median() >= least => "reached",
            Goal::AtMost(most) if self.median() <= most => "reached",
            Goal::None => "",
            _ => "missed",
        }
    }

    pub(crate) fn json(&self) -> String {
        serde_json::json!({
            "figure": self.name,
            "unit": self.unit,
            "median": self.median(),
            "rounds": self.rounds,
            "goal": match self.goal {
                Goal::AtLeast(goal) | Goal::AtMost(goal) => Some(goal),
                Goal::None => None,
            },
            "standing": self.stands(),
        })
        .to_string()
    }
}

/// The value below which `share` of the values are.
pub(crate) fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    (values.get((last as f64 * share).round() as usize).copied()).unwrap_or(f64::NAN)
}

/// Adds the figures of a round to those of the rounds before.
pub(crate) fn add(all: &mut Vec<Figure>, round: Vec<Figure>) {
    for figure in round {
        match all.iter_mut().find(|known| known.name == figure.name) {
            Some(known) => known.rounds.extend(figure.rounds),
            None => all.push(figure),
        }
    }
}

pub(crate) fn table(figures: &[Figure]) -> String {
    let mut table = format!(
        "{:<58} {:>12} {:<8} {:>16} {:>10}  {}\n",
        "figure", "median", "unit", "least-most", "goal", "standing"
    );
    for figure in figures {
        let mut rounds = figure.rounds.clone();
        let range = format!(
            "{:.5}-{:.5}",
            short(quantile(&mut rounds, 0.0)),
            short(quantile(&mut rounds, 1.0))
        );
        let goal = match figure.goal {
            Goal::AtLeast(least) => format!(">= {}", short(least)),
            Goal::AtMost(most) => format!("<= {}", short(most)),
            Goal::None => String::new(),
        };
        let (name, unit, median) = (&figure.name, figure.unit, short(figure.median()));
        let _infallible = writeln!(
            table,
            "{name:<58} {median:>12} {unit:<8} {range:>16} {goal:>10}  {}",
            figure.stands()
        );
    }
    table
}

fn short(value: f64) -> String {
    if value.abs() >= 100.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.2}")
    }
}

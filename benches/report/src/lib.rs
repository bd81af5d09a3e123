//! What was measured, as a table for people and as lines of JSON.

use serde_json::{Value, json};
use std::fmt::Write as _;

/// What a row's figure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// More is better.
    RatePerSecond,
    /// Less is better; likewise below.
    BytesPerActor,
    Microseconds,
    PerMessage,
    Times,
}

impl Unit {
    fn key(self) -> &'static str {
        match self {
            Self::RatePerSecond => "rate_per_s",
            Self::BytesPerActor => "bytes_per_actor",
            Self::Microseconds => "us",
            Self::PerMessage => "per_message",
            Self::Times => "times",
        }
    }

    fn show(self, value: f64) -> String {
        match self {
            Self::RatePerSecond if value >= 1e6 => format!("{:.2}M", value / 1e6),
            Self::RatePerSecond => format!("{:.0}k", value / 1e3),
            Self::BytesPerActor => format!("{value:.0}B"),
            Self::Microseconds if value < 10.0 => format!("{value:.2}us"),
            Self::Microseconds => format!("{value:.0}us"),
            Self::PerMessage if value.abs() < 100.0 => format!("{value:.2}"),
            Self::PerMessage => format!("{value:.0}"),
            Self::Times => format!("{value:.2}x"),
        }
    }
}

/// What quark's figure is held against.
#[derive(Clone, Copy, Debug)]
pub enum Goal {
    /// Nothing: the row is there to be seen.
    None,
    /// At least so many times the rate of the best product.
    TimesBest { at_least: f64, aim: f64 },
    /// At most so many times the figure of the best product.
    ShareOfBest { at_least: f64, aim: f64 },
    /// At most so much.
    AtMost { at_least: f64, aim: f64 },
}

/// One peer's figures of a row, a round each.
#[derive(Clone, Debug)]
pub struct Figures {
    pub peer: &'static str,
    /// Whether it counts for the best product.
    pub is_product: bool,
    pub rounds: Vec<f64>,
}

/// One row of the table.
#[derive(Clone, Debug)]
pub struct Row {
    pub scenario: &'static str,
    /// Which of the scenario's figures: empty for its only or main one.
    pub part: &'static str,
    pub title: String,
    pub unit: Unit,
    pub goal: Goal,
    pub figures: Vec<Figures>,
}

/// Quark against the best product, taken within each round.
struct Ratio {
    of: &'static str,
    median: f64,
    least: f64,
    most: f64,
}

pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        len if len % 2 == 1 => sorted[middle],
        _ => (sorted[middle - 1] + sorted[middle]) / 2.0,
    }
}

/// The value below which `share` of the sorted values are.
pub fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    values
        .get((last as f64 * share).round() as usize)
        .copied()
        .unwrap_or(f64::NAN)
}

impl Row {
    fn quark(&self) -> Option<&Figures> {
        self.figures.iter().find(|figures| figures.peer == "quark")
    }

    fn ratio(&self) -> Option<Ratio> {
        if self.unit != Unit::RatePerSecond && !matches!(self.goal, Goal::ShareOfBest { .. }) {
            return None;
        }
        let quark = self.quark()?;
        let is_better = |one: f64, other: f64| match self.unit {
            Unit::RatePerSecond => one > other,
            _ => one < other,
        };
        let products = self
            .figures
            .iter()
            .filter(|figures| figures.is_product && figures.peer != "quark");
        let mut ratios = Vec::new();
        let mut best: Option<&Figures> = None;
        for product in products.clone() {
            if best.is_none_or(|best| is_better(median(&product.rounds), median(&best.rounds))) {
                best = Some(product);
            }
        }
        for (round, quark) in quark.rounds.iter().enumerate() {
            let others = products
                .clone()
                .filter_map(|product| product.rounds.get(round).copied());
            let best = others.reduce(|one, other| if is_better(one, other) { one } else { other })?;
            ratios.push(quark / best);
        }
        Some(Ratio {
            of: best?.peer,
            median: median(&ratios),
            least: ratios.iter().copied().fold(f64::INFINITY, f64::min),
            most: ratios.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        })
    }

    /// How the row stands: the figure that counts, what it should be at least, what it aims at, and whether it is there.
    fn standing(&self) -> [String; 4] {
        let ratio = self.ratio();
        let shown = ratio.as_ref().map_or(String::new(), |ratio| {
            format!(
                "{:.2} ({:.2}-{:.2}) {}",
                ratio.median, ratio.least, ratio.most, ratio.of
            )
        });
        let own = self.quark().map(|quark| median(&quark.rounds));
        let (value, at_least, aim, is_more, unit) = match self.goal {
            Goal::None => return [shown, String::new(), String::new(), String::new()],
            Goal::TimesBest { at_least, aim } => (ratio.map(|r| r.median), at_least, aim, true, None),
            Goal::ShareOfBest { at_least, aim } => (ratio.map(|r| r.median), at_least, aim, false, None),
            Goal::AtMost { at_least, aim } => (own, at_least, aim, false, Some(self.unit)),
        };
        let Some(value) = value else {
            return [shown, String::new(), String::new(), "not measured".into()];
        };
        // A hundredth of an allocation is another thread's.
        let slack = if self.unit == Unit::PerMessage { 0.01 } else { 0.0 };
        let holds = |goal: f64| if is_more { value >= goal } else { value <= goal + slack };
        let standing = match (holds(aim), holds(at_least)) {
            (true, _) => "aim",
            (_, true) => "at least",
            _ => "below",
        };
        let show = |goal: f64| unit.map_or_else(|| format!("{goal}"), |unit| unit.show(goal));
        [shown, show(at_least), show(aim), standing.into()]
    }

    /// One line for each peer.
    pub fn json(&self) -> Vec<Value> {
        let line = |figures: &Figures| {
            let mut line = json!({ "scenario": self.scenario, "peer": figures.peer, "rounds": figures.rounds });
            let key = match (self.unit, self.part) {
                (unit, "") => unit.key().to_owned(),
                (Unit::Microseconds, part) => format!("{part}_us"),
                (Unit::BytesPerActor, part) => format!("bytes_per_actor_{part}"),
                (Unit::PerMessage, part) => format!("{part}_per_message"),
                (_, part) => format!("{part}_{}", self.unit.key()),
            };
            line[key] = json!(median(&figures.rounds));
            if figures.peer == "quark" {
                if let Some(ratio) = self.ratio() {
                    line["ratio"] = json!(ratio.median);
                    line["ratio_of"] = json!(ratio.of);
                }
                let (at_least, aim) = match self.goal {
                    Goal::None => return line,
                    Goal::TimesBest { at_least, aim }
                    | Goal::ShareOfBest { at_least, aim }
                    | Goal::AtMost { at_least, aim } => (at_least, aim),
                };
                line["at_least"] = json!(at_least);
                line["aim"] = json!(aim);
                line["standing"] = json!(self.standing()[3]);
            }
            line
        };
        self.figures.iter().map(line).collect()
    }
}

/// All rows, a block each: what was measured, every peer's figure, how quark stands.
pub fn table(rows: &[Row]) -> String {
    let mut peers: Vec<&str> = Vec::new();
    for figures in rows.iter().flat_map(|row| &row.figures) {
        if !peers.contains(&figures.peer) {
            peers.push(figures.peer);
        }
    }
    let mut lines: Vec<Vec<String>> = Vec::new();
    let mut head = vec!["scenario".to_owned()];
    head.extend(peers.iter().map(|peer| (*peer).to_owned()));
    head.extend(["quark : best", "at least", "aim", "reached"].map(str::to_owned));
    lines.push(head);
    for row in rows {
        let mut line = vec![row.title.clone()];
        for peer in &peers {
            let figures = row.figures.iter().find(|figures| figures.peer == *peer);
            line.push(figures.map_or_else(|| "-".into(), |figures| row.unit.show(median(&figures.rounds))));
        }
        line.extend(row.standing());
        lines.push(line);
    }
    let widths: Vec<usize> = (0..lines[0].len())
        .map(|column| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0))
        .collect();
    let mut text = String::new();
    for (number, line) in lines.iter().enumerate() {
        for (column, (cell, width)) in line.iter().zip(&widths).enumerate() {
            let separator = if column == 0 { "| " } else { " | " };
            if column == 0 || column > peers.len() {
                let _ = write!(text, "{separator}{cell:<width$}");
            } else {
                let _ = write!(text, "{separator}{cell:>width$}");
            }
        }
        text.push_str(" |\n");
        if number == 0 {
            for width in &widths {
                let _ = write!(text, "|{}", "-".repeat(width + 2));
            }
            text.push_str("|\n");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(goal: Goal, unit: Unit, figures: &[(&'static str, bool, &[f64])]) -> Row {
        let figures = figures.iter().map(|(peer, is_product, rounds)| Figures {
            peer,
            is_product: *is_product,
            rounds: rounds.to_vec(),
        });
        Row {
            scenario: "s",
            part: "",
            title: "a row".into(),
            unit,
            goal,
            figures: figures.collect(),
        }
    }

    #[test]
    fn ratios_are_taken_within_a_round_and_against_products_only() {
        let figures: [(_, _, &[f64]); 3] = [
            ("quark", true, &[2.0, 20.0, 6.0]),
            ("actix", true, &[1.0, 10.0, 2.0]),
            ("limit", false, &[100.0, 100.0, 100.0]),
        ];
        let goal = Goal::TimesBest {
            at_least: 2.0,
            aim: 3.5,
        };
        let row = row(goal, Unit::RatePerSecond, &figures);
        assert_eq!(row.standing(), ["2.00 (2.00-3.00) actix", "2", "3.5", "at least"]);
    }

    #[test]
    fn the_smallest_product_is_the_best_where_less_is_better() {
        let figures: [(_, _, &[f64]); 3] = [
            ("quark", true, &[200.0]),
            ("xtra", true, &[800.0]),
            ("kameo", true, &[7000.0]),
        ];
        let goal = Goal::ShareOfBest {
            at_least: 0.35,
            aim: 0.2,
        };
        let row = row(goal, Unit::BytesPerActor, &figures);
        assert_eq!(row.standing(), ["0.25 (0.25-0.25) xtra", "0.35", "0.2", "at least"]);
    }

    #[test]
    fn what_misses_its_goal_is_called_below() {
        let goal = Goal::AtMost {
            at_least: 5.0,
            aim: 2.0,
        };
        let standing = |value: f64| row(goal, Unit::Microseconds, &[("quark", true, &[value])]).standing()[3].clone();
        assert_eq!(
            [standing(6.0), standing(5.0), standing(1.0)],
            ["below", "at least", "aim"]
        );
    }

    #[test]
    fn a_line_of_json_names_its_figure_by_unit() {
        let row = row(Goal::None, Unit::RatePerSecond, &[("actix", true, &[1.0, 3.0, 2.0])]);
        let line = &row.json()[0];
        assert_eq!((&line["peer"], &line["rate_per_s"]), (&json!("actix"), &json!(2.0)));
    }
}

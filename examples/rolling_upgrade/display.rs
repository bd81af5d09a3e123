//! The progress display: what the silos, the load and the latency do, twice a second or so.

use crate::{
    board::{Board, SiloView, Standing, View},
    flights::Flights,
    latency::{Latencies, Spread},
    screen::Screen,
    tally::{Counts, Tally},
};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    sync::watch,
    time::{self, Instant, MissedTickBehavior},
};

/// How often the block on a terminal is redrawn.
const FRAME: Duration = Duration::from_millis(250);
/// Requests per second and latencies are of so many frames.
const WINDOW: usize = 4;
/// How often a plain line is written, in frames.
const PLAIN: u64 = 8;
/// Frames in the small chart of latencies.
const CHART: usize = 60;
/// Past events that are shown.
const TOLD: usize = 4;
/// Columns of the longest bar.
const BAR: usize = 24;

/// What the display reads.
#[derive(Clone)]
pub(crate) struct Display {
    pub(crate) started: Instant,
    pub(crate) flights: Arc<Flights>,
    pub(crate) board: Arc<Board>,
    pub(crate) tally: Arc<Tally>,
    pub(crate) latencies: Arc<Latencies>,
    /// How many flights may be sent.
    pub(crate) released: watch::Receiver<usize>,
    pub(crate) screen: Arc<Mutex<Screen>>,
}

/// What was seen in one frame.
struct Frame {
    at: Instant,
    counts: Counts,
    micros: Vec<u64>,
}

#[derive(Default)]
struct Reel {
    frames: VecDeque<Frame>,
    chart: VecDeque<u64>,
    told: usize,
    told_errors: usize,
}

impl Display {
    /// Shows what goes on until it is done.
    pub(crate) async fn run(self, mut is_done: watch::Receiver<bool>) {
        let mut ticks = time::interval(FRAME);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut reel = Reel::default();
        for number in 0.. {
            let is_last = tokio::select! {
                _ = ticks.tick() => false,
                _ = is_done.wait_for(|done| *done) => true,
            };
            reel.add(Frame {
                at: Instant::now(),
                counts: self.tally.now(),
                micros: self.latencies.take_fresh(),
            });
            self.show(&mut reel, number);
            if is_last {
                return;
            }
        }
    }

    fn show(&self, reel: &mut Reel, number: u64) {
        let view = self.board.view();
        let mut screen = self.screen.lock().unwrap_or_else(PoisonError::into_inner);
        if screen.is_terminal() {
            screen.draw(&self.block(&view, reel));
            return;
        }
        for (at, text) in &view.history[reel.told..] {
            screen.line(&format!("{}  {text}", self.clock(*at)));
        }
        reel.told = view.history.len();
        let errors = reel.counts().map(|counts| counts.errors.clone()).unwrap_or_default();
        for error in &errors[reel.told_errors..] {
            screen.line(&format!("{}  a message failed: {error}", self.clock(Instant::now())));
        }
        reel.told_errors = errors.len();
        if number % PLAIN == PLAIN - 1 {
            screen.line(&self.plain(&view, reel));
        }
    }

    fn clock(&self, at: Instant) -> String {
        format!("{:5.1} s", (at - self.started).as_secs_f64())
    }

    fn plain(&self, view: &View, reel: &Reel) -> String {
        let silos: Vec<_> = (view.silos.iter())
            .filter(|silo| silo.standing != Standing::Left)
            .map(|silo| format!("{} {}", silo.ready.silo.name(), silo.actors()))
            .collect();
        format!(
            "{}  {}  {:>6.0} requests/s  {}  failed {}  actors: {}",
            self.clock(Instant::now()),
            self.date(),
            reel.rate(),
            latency(reel.spread()),
            reel.counts().map_or(0, |counts| counts.failed),
            silos.join(", ")
        )
    }

    /// The day and time of the flight that was sent last.
    fn date(&self) -> String {
        const MONTHS: [&str; 12] = [
            "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
        ];
        let last = self.released.borrow().saturating_sub(1);
        let flight = &self.flights.flights[last];
        let month = MONTHS[usize::from(flight.month) - 1];
        format!(
            "{:2} {month} {:02}:{:02}",
            flight.day,
            flight.time / 100,
            flight.time % 100
        )
    }

    fn block(&self, view: &View, reel: &Reel) -> Vec<String> {
        let released = *self.released.borrow();
        let share = released as f64 / self.flights.flights.len() as f64;
        let now = view.history.last().map_or("", |(_, text)| text);
        let mut lines = vec![
            format!("\x1b[1m{}  {now}\x1b[0m", self.clock(Instant::now())),
            format!(
                "         {}  \x1b[36m{}\x1b[0m  flight {released} of {}",
                self.date(),
                bar(share, 1.0, 40, '░'),
                self.flights.flights.len()
            ),
            String::new(),
            "\x1b[2msilo     version   status     actors                             moved out   moved in\x1b[0m"
                .into(),
        ];
        let most = view.silos.iter().map(SiloView::actors).max().unwrap_or(0).max(1);
        lines.extend(view.silos.iter().map(|silo| silo_line(silo, most)));
        let counts = reel.counts().cloned().unwrap_or_default();
        lines.extend([
            String::new(),
            format!(
                "requests/s {:>7.0}    answered {}    failed {}{}\x1b[0m",
                reel.rate(),
                versions(&counts),
                if counts.failed == 0 { "\x1b[32m" } else { "\x1b[1;31m" },
                counts.failed
            ),
            format!("latency    {}", latency(reel.spread())),
            format!("\x1b[2mp99, 15 s  \x1b[0m\x1b[33m{}\x1b[0m", chart(&reel.chart)),
        ]);
        lines.push(moving(view));
        lines.extend(counts.errors.first().map(|error| format!("\x1b[1;31m{error}\x1b[0m")));
        lines.push(String::new());
        let past = view.history.len().saturating_sub(1);
        let told = view.history[past.saturating_sub(TOLD)..past].iter();
        lines.extend(told.map(|(at, text)| format!("\x1b[2m{}  {text}\x1b[0m", self.clock(*at))));
        lines
    }
}

impl Reel {
    fn add(&mut self, frame: Frame) {
        self.chart
            .push_back(Spread::of(frame.micros.clone()).map_or(0, |spread| spread.p99));
        self.frames.push_back(frame);
        while self.frames.len() > WINDOW + 1 {
            self.frames.pop_front();
        }
        while self.chart.len() > CHART {
            self.chart.pop_front();
        }
    }

    fn counts(&self) -> Option<&Counts> {
        self.frames.back().map(|frame| &frame.counts)
    }

    fn rate(&self) -> f64 {
        let (Some(first), Some(last)) = (self.frames.front(), self.frames.back()) else {
            return 0.0;
        };
        let seconds = (last.at - first.at).as_secs_f64();
        if seconds == 0.0 {
            return 0.0;
        }
        (last.counts.answered - first.counts.answered) as f64 / seconds
    }

    fn spread(&self) -> Option<Spread> {
        Spread::of(
            self.frames
                .iter()
                .flat_map(|frame| frame.micros.iter().copied())
                .collect(),
        )
    }
}

fn silo_line(silo: &SiloView, most: usize) -> String {
    let (colour, standing) = match silo.standing {
        Standing::Serving => ("\x1b[32m", "serving"),
        Standing::Draining => ("\x1b[33m", "draining"),
        Standing::Left => ("\x1b[2m", "left"),
    };
    let (moved_out, moved_in) = (silo.status.as_ref()).map_or((0, 0), |status| (status.moved_out, status.moved_in));
    let actors = silo.actors();
    format!(
        "{colour}{:<8} {:<9} {standing:<9} {actors:>7} {} {:>11} {:>10}\x1b[0m",
        silo.ready.silo.name(),
        silo.ready.version,
        bar(actors as f64, most as f64, BAR, ' '),
        arrow(moved_out, '→'),
        arrow(moved_in, '←'),
    )
}

fn arrow(count: usize, arrow: char) -> String {
    if count == 0 {
        String::new()
    } else {
        format!("{arrow} {count}")
    }
}

fn versions(counts: &Counts) -> String {
    let parts: Vec<_> = (counts.by_version.iter())
        .map(|(version, count)| format!("{count} by {version}"))
        .collect();
    if parts.is_empty() { "0".into() } else { parts.join(", ") }
}

/// Names of actors that move, or moved last: a drain is over before they can be read.
fn moving(view: &View) -> String {
    let (from, names) = &view.moving;
    let is_now = (view.silos.iter()).any(|silo| silo.standing == Standing::Draining && silo.ready.silo.name() == from);
    let verb = if is_now { "moving from" } else { "moved from" };
    match names.as_slice() {
        [] => String::new(),
        names => format!("{verb} {from}: \x1b[36m{}\x1b[0m", names.join("  ")),
    }
}

/// A spread in milliseconds.
pub(crate) fn latency(spread: Option<Spread>) -> String {
    spread.map_or_else(
        || "p50        -     p99        -   ".into(),
        |spread| format!("p50 {:>8}  p99 {:>8}", millis(spread.p50), millis(spread.p99)),
    )
}

/// Microseconds as milliseconds.
pub(crate) fn millis(micros: u64) -> String {
    format!("{:.2} ms", micros as f64 / 1000.0)
}

fn bar(value: f64, full: f64, columns: usize, rest: char) -> String {
    let filled = ((value / full * columns as f64).round() as usize).min(columns);
    let mut bar = "█".repeat(filled);
    bar.extend(std::iter::repeat_n(rest, columns - filled));
    bar
}

/// The values as columns, on a logarithmic scale from 0.1 ms to 1 s.
fn chart(micros: &VecDeque<u64>) -> String {
    const STEPS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let step = |micros: u64| ((micros.max(1) as f64).log10() - 2.0) / 4.0 * STEPS.len() as f64;
    let column = |&micros: &u64| match micros {
        0 => ' ',
        micros => STEPS[(step(micros).max(0.0) as usize).min(STEPS.len() - 1)],
    };
    micros.iter().map(column).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_and_charts_stay_within_their_columns() {
        assert_eq!(bar(0.0, 1.0, 4, '░'), "░░░░");
        assert_eq!(bar(0.5, 1.0, 4, '░'), "██░░");
        assert_eq!(bar(9.0, 1.0, 4, '░'), "████");
        let values = VecDeque::from([0, 1, 100, 10_000, 1_000_000, u64::MAX]);
        assert_eq!(chart(&values), " ▁▁▅██");
    }
}

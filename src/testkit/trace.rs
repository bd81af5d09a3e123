//! What happened in a simulation, in order: hashed always, kept for people as far as there is room.

use crate::clock::WorldTime;
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    sync::Arc,
    time::Duration,
};

/// So many events are kept; the oldest make room.
const KEPT: usize = 100_000;

/// One event of a simulation.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// When, since the simulation's begin.
    pub at: Duration,
    /// Which process: the name of a silo or of a client, or `sim` for the simulation itself.
    pub process: Arc<str>,
    /// The actor that it is about, if it is about one.
    pub actor: Option<String>,
    /// What.
    pub what: String,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, micros) = (self.at.as_secs(), self.at.subsec_micros());
        write!(f, "{seconds:4}.{micros:06} {:>8}  ", self.process)?;
        if let Some(actor) = &self.actor {
            write!(f, "{actor}: ")?;
        }
        f.write_str(&self.what)
    }
}

/// The trace of a simulation.
pub(super) struct Trace {
    time: WorldTime,
    state: Mutex<State>,
}

struct State {
    hash: u64,
    count: u64,
    keeps: bool,
    kept: VecDeque<Event>,
    /// How often each fault hit each step.
    hits: BTreeMap<(&'static str, &'static str), u64>,
    /// How often each step was taken.
    steps: BTreeMap<&'static str, u64>,
}

impl Trace {
    pub(super) fn new(time: &WorldTime) -> Self {
        Self {
            time: time.clone(),
            state: Mutex::new(State {
                hash: 0,
                count: 0,
                keeps: true,
                kept: VecDeque::new(),
                hits: BTreeMap::new(),
                steps: BTreeMap::new(),
            }),
        }
    }

    /// Whether events are kept, or only hashed and counted.
    pub(super) fn keep(&self, keep: bool) {
        self.state.lock().keeps = keep;
    }

    /// Something has happened. `detail` is part of what did.
    pub(super) fn add(&self, process: &Arc<str>, actor: Option<&dyn fmt::Display>, what: &str, detail: &str) {
        let at = self.time.now();
        let mut state = self.state.lock();
        state.mix(at);
        state.mix(xxhash_rust::xxh3::xxh3_64(process.as_bytes()));
        state.mix(xxhash_rust::xxh3::xxh3_64(what.as_bytes()));
        if !detail.is_empty() {
            state.mix(xxhash_rust::xxh3::xxh3_64(detail.as_bytes()));
        }
        let actor = actor.map(ToString::to_string);
        if let Some(actor) = &actor {
            state.mix(xxhash_rust::xxh3::xxh3_64(actor.as_bytes()));
        }
        state.count += 1;
        if !state.keeps {
            return;
        }
        if state.kept.len() == KEPT {
            state.kept.pop_front();
        }
        let what = if detail.is_empty() {
            what.to_owned()
        } else {
            format!("{what} {detail}")
        };
        state.kept.push_back(Event {
            at: Duration::from_nanos(at),
            process: process.clone(),
            actor,
            what,
        });
    }

    pub(super) fn step(&self, step: &'static str) {
        *self.state.lock().steps.entry(step).or_default() += 1;
    }

    pub(super) fn hit(&self, step: &'static str, fault: &'static str) {
        *self.state.lock().hits.entry((step, fault)).or_default() += 1;
    }

    pub(super) fn hits(&self) -> BTreeMap<(&'static str, &'static str), u64> {
        self.state.lock().hits.clone()
    }

    pub(super) fn steps(&self) -> BTreeMap<&'static str, u64> {
        self.state.lock().steps.clone()
    }

    pub(super) fn hash(&self) -> u64 {
        self.state.lock().hash
    }

    pub(super) fn count(&self) -> u64 {
        self.state.lock().count
    }

    pub(super) fn events(&self) -> Vec<Event> {
        self.state.lock().kept.iter().cloned().collect()
    }
}

impl State {
    fn mix(&mut self, value: u64) {
        let mixed = (self.hash.rotate_left(23) ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.hash = mixed ^ (mixed >> 29);
    }
}

//! What a run did, as its actors and senders saw it: what the invariants are held against.

use quark::{
    ident::SiloId,
    testkit::{self, World},
};
use std::{cell::RefCell, collections::BTreeMap, time::Duration};

thread_local! {
    static HISTORY: RefCell<History> = RefCell::default();
}

/// What a request was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Append,
    Read,
}

/// What a requester was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// How long the list is, after what was asked for.
    Done(u64),
    /// It provably did not run.
    NotRun(String),
    /// It may have run.
    Unknown(String),
}

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) kind: Kind,
    pub(crate) actor: String,
    pub(crate) sender: String,
    pub(crate) n: u64,
    pub(crate) sent: Duration,
    /// When it was answered and what, if it was: a sender that crashed hears nothing.
    pub(crate) told: Option<(Duration, Told)>,
    /// Whether its sender sends it again until it is done, under the same number.
    pub(crate) repeats: bool,
}

/// A turn that an actor took.
#[derive(Clone, Debug)]
pub(crate) struct Turn {
    pub(crate) actor: String,
    pub(crate) silo: String,
    pub(crate) epoch: u64,
    pub(crate) version: &'static str,
    pub(crate) sender: String,
    pub(crate) n: u64,
    pub(crate) began: Duration,
    /// `None`: it never ended.
    pub(crate) ended: Option<Duration>,
}

/// A one-shot timer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Timer {
    pub(crate) set: Option<Duration>,
    pub(crate) due: Duration,
    pub(crate) fired: Vec<(Duration, String)>,
}

/// What a run did.
#[derive(Debug, Default)]
pub(crate) struct History {
    pub(crate) requests: Vec<Request>,
    pub(crate) turns: Vec<Turn>,
    pub(crate) timers: BTreeMap<(String, u64), Timer>,
    /// The ticks that each watcher ran: when they were due and when they came, in microseconds of the wall clock that is right.
    pub(crate) ticks: BTreeMap<String, Vec<(u64, u64)>>,
    /// When all watchers had begun, and when they were told to stop, by the same clock.
    pub(crate) watched: (u64, u64),
    /// What was published: by whom, the how manieth, and whether it was delivered or why not.
    pub(crate) published: Vec<(String, u64, Result<(), String>)>,
    /// What each watcher heard, in order.
    pub(crate) heard: BTreeMap<String, Vec<(String, u64)>>,
    /// The views of each silo when they were not as before, and when they were seen.
    pub(crate) views: BTreeMap<SiloId, Vec<(Duration, u64)>>,
}

/// Begins anew.
pub(crate) fn clear() {
    HISTORY.take();
}

pub(crate) fn take() -> History {
    HISTORY.take()
}

/// Adds to the history, unless the process that does so has crashed already.
pub(crate) fn record<T>(add: impl FnOnce(&mut History, &World) -> T) -> Option<T> {
    let world = testkit::living()?;
    Some(HISTORY.with_borrow_mut(|history| add(history, &world)))
}

/// A silo's view is seen.
pub(crate) fn seen(silo: &SiloId, view: u64, at: Duration) {
    HISTORY.with_borrow_mut(|history| {
        let views = history.views.entry(silo.clone()).or_default();
        if views.last().is_none_or(|(_, last)| *last != view) {
            views.push((at, view));
        }
    });
}

/// A request is sent; answers its number.
pub(crate) fn sent(kind: Kind, actor: &str, sender: &str, n: u64, repeats: bool) -> Option<usize> {
    record(|history, world| {
        history.requests.push(Request {
            kind,
            actor: actor.into(),
            sender: sender.into(),
            n,
            sent: world.now(),
            told: None,
            repeats,
        });
        history.requests.len() - 1
    })
}

/// A request is answered.
pub(crate) fn told(request: Option<usize>, told: Told) {
    record(|history, world| {
        if let Some(request) = request.and_then(|number| history.requests.get_mut(number)) {
            request.told = Some((world.now(), told));
        }
    });
}

/// While it lives, a turn runs.
pub(crate) struct Running(Option<usize>);

impl Running {
    pub(crate) fn begin(actor: &str, epoch: u64, version: &'static str, sender: &str, n: u64) -> Self {
        Self(record(|history, world| {
            history.turns.push(Turn {
                actor: actor.into(),
                silo: testkit::here().unwrap_or_default(),
                epoch,
                version,
                sender: sender.into(),
                n,
                began: world.now(),
                ended: None,
            });
            history.turns.len() - 1
        }))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        record(|history, world| {
            if let Some(turn) = self.0.and_then(|number| history.turns.get_mut(number)) {
                turn.ended = Some(world.now());
            }
        });
    }
}

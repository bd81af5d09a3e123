//! The links that other processes have dialled.

use crate::{
    caller::in_place_of,
    clock::Moment,
    ident::{ClientId, LinkId, ProcessId, SiloId},
    transport::{FrameSender, SendError},
    wire::Frame,
};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// The most replies that wait for clients to connect, and how long they do.
const MAX_PARKED: usize = 10_000;
const PARKED_FOR: Duration = Duration::from_secs(60);

/// The most bytes of answers that a peer may leave unread before its link is cut. It is asked for nothing more long before:
/// these are the answers to what it had sent.
const MAX_UNREAD: usize = 256 * 1024 * 1024;

/// A link that another process has dialled.
#[derive(Clone)]
pub(super) struct AcceptedLink {
    pub(super) link: LinkId,
    pub(super) process: ProcessId,
    /// The dialler's number of it: a higher one is newer.
    number: u64,
    pub(super) sender: FrameSender,
    /// Set when nothing more of it is to be read.
    pub(super) cut: Arc<AtomicBool>,
    /// Whether the process has acknowledged that this silo leaves.
    acknowledged: Arc<AtomicBool>,
}

/// The links that other processes have dialled; one per process.
#[derive(Default)]
pub(super) struct Accepted {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    last: u64,
    by_link: BTreeMap<LinkId, AcceptedLink>,
    /// The same.
    by_process: BTreeMap<ProcessId, AcceptedLink>,
    parked: BTreeMap<ClientId, VecDeque<(Moment, Frame)>>,
    parked_count: usize,
    refusing: bool,
}

/// A link that was taken, and the one of the same process that it replaces.
pub(super) struct Taken {
    pub(super) link: AcceptedLink,
    pub(super) replaced: Option<LinkId>,
}

impl Accepted {
    /// Takes a link; `None` if there is a newer one of its process, or no more are taken.
    pub(super) fn add(&self, process: ProcessId, number: u64, sender: FrameSender) -> Option<Taken> {
        let mut state = self.state.lock();
        if state.refusing {
            return None;
        }
        let old = state.by_process.get(&process).cloned();
        if old.as_ref().is_some_and(|old| old.number > number) {
            return None;
        }
        if let Some(old) = &old {
            // Nothing unread of the old link is read once the new one is.
            old.cut.store(true, Ordering::Release);
            old.sender.abort();
            state.by_link.remove(&old.link);
        }
        state.last += 1;
        let link = AcceptedLink {
            link: LinkId(state.last),
            process: process.clone(),
            number,
            sender,
            cut: Arc::default(),
            acknowledged: Arc::default(),
        };
        state.by_link.insert(link.link, link.clone());
        state.by_process.insert(process.clone(), link.clone());
        if let ProcessId::Client(client) = process {
            let parked = state.parked.remove(&client).unwrap_or_default();
            state.parked_count -= parked.len();
            for (_, frame) in parked {
                deliver(&link, frame);
            }
        }
        Some(Taken {
            link,
            replaced: old.map(|old| old.link),
        })
    }

    /// The link has ended.
    pub(super) fn remove(&self, link: LinkId) {
        let mut state = self.state.lock();
        if let Some(old) = state.by_link.remove(&link)
            && (state.by_process.get(&old.process)).is_some_and(|newest| newest.link == link)
        {
            state.by_process.remove(&old.process);
        }
    }

    /// Closes the link of a process, unread.
    pub(super) fn cut(&self, process: &ProcessId) -> Option<LinkId> {
        let mut state = self.state.lock();
        let old = state.by_process.remove(process)?;
        state.by_link.remove(&old.link);
        old.cut.store(true, Ordering::Release);
        old.sender.abort();
        Some(old.link)
    }

    /// Sends a frame over a link, if it is still there.
    pub(super) fn send(&self, link: LinkId, frame: Frame) {
        if let Some(link) = self.state.lock().by_link.get(&link) {
            deliver(link, frame);
        }
    }

    /// Sends a frame over the link that a silo has dialled, if there is one.
    pub(super) fn send_to_silo(&self, silo: &SiloId, frame: Frame) {
        self.send_to(&ProcessId::Silo(silo.clone()), frame);
    }

    /// Sends a frame over the link that a process has dialled. `Some`: there is none, here is the frame.
    pub(super) fn send_to(&self, process: &ProcessId, frame: Frame) -> Option<Frame> {
        let state = self.state.lock();
        match state.by_process.get(process) {
            Some(link) => {
                deliver(link, frame);
                None
            }
            None => Some(frame),
        }
    }

    /// Keeps a frame until its client connects.
    pub(super) fn park(&self, client: ClientId, frame: Frame, now: Moment) {
        let mut state = self.state.lock();
        if state.parked_count >= MAX_PARKED {
            tracing::warn!(%client, "a reply is dropped: too many wait for clients to connect");
            return;
        }
        state.parked_count += 1;
        state.parked.entry(client).or_default().push_back((now, frame));
    }

    /// Drops what has waited too long for a client.
    pub(super) fn sweep(&self, now: Moment) {
        let mut state = self.state.lock();
        for parked in state.parked.values_mut() {
            while parked.front().is_some_and(|(since, _)| now.since(*since) > PARKED_FOR) {
                parked.pop_front();
            }
        }
        state.parked.retain(|_, parked| !parked.is_empty());
        state.parked_count = state.parked.values().map(VecDeque::len).sum();
    }

    /// All links.
    pub(super) fn all(&self) -> Vec<AcceptedLink> {
        self.state.lock().by_link.values().cloned().collect()
    }

    /// From now on no link is taken.
    pub(super) fn refuse(&self, refuse: bool) {
        self.state.lock().refusing = refuse;
    }

    /// The process at the other end of a link has acknowledged that this silo leaves.
    pub(super) fn acknowledge(&self, link: LinkId) {
        if let Some(link) = self.state.lock().by_link.get(&link) {
            link.acknowledged.store(true, Ordering::Release);
        }
    }

    /// How many processes have not acknowledged that this silo leaves.
    pub(super) fn unacknowledged(&self) -> usize {
        let state = self.state.lock();
        (state.by_link.values())
            .filter(|link| !link.acknowledged.load(Ordering::Acquire))
            .count()
    }
}

fn deliver(link: &AcceptedLink, frame: Frame) {
    if link.sender.queued_bytes() > MAX_UNREAD {
        tracing::warn!(process = %link.process, "a peer does not take its answers; its link is cut");
        return link.sender.abort();
    }
    // Nearly all go here, and a frame is large.
    if link.sender.send_ref(&frame) {
        return;
    }
    match link.sender.send(frame) {
        // Its reader sees the end of the link.
        Ok(()) | Err(SendError::Closed(_)) => {}
        Err(SendError::Unsendable { frame, cause }) => match in_place_of(&frame, &cause) {
            Some(instead) => deliver(link, instead),
            None => tracing::error!(process = %link.process, error = %cause, "an answer cannot be sent"),
        },
    }
}

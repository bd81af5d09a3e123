//! The links that a process dials: one to each silo, dialled again when it is lost.

use super::in_place_of;
use crate::{
    clock::Clock,
    ident::{ActorId, RequestId, SiloId},
    transport::{FrameSender, SendError, Transport},
    wire::{Envelope, Frame},
};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, BTreeSet},
    pin::Pin,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::Waker,
    time::Duration,
};

/// Runs tasks of links on a thread of the process's own.
pub type Spawner = Arc<dyn Fn(BoxFuture<'static, ()>) + Send + Sync>;

/// How much may wait for a silo while its link is being made, in frames.
const MAX_WAITING: usize = 10_000;

/// From so many bytes on that wait for a silo its senders wait too: the credit of a link.
const CREDIT: usize = 4 * 1024 * 1024;

/// Waits between dials: doubled each time, each shortened by up to a half.
const FIRST_WAIT: Duration = Duration::from_millis(10);
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// So many frames of a link are handled before the others have their turn.
pub const FRAMES_A_TURN: usize = 256;

/// How long a peer that has stopped reading may go on sending.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// What a process learns from its links.
pub trait LinkEvents: Send + Sync + 'static {
    /// Frames have come over the link to `silo`: to be taken one after the other, all of them.
    fn frames(&self, silo: &SiloId, frames: &mut dyn Iterator<Item = Arrived>);

    /// There is a link to `silo`; not the first.
    fn link_renewed(&self, silo: &SiloId);

    /// The link to `silo` was lost; it is dialled again.
    fn link_lost(&self, silo: &SiloId);

    /// The frame was not and will not be sent.
    fn unsent(&self, silo: &SiloId, frame: Frame, why: Unsent);
}

/// A frame that has come.
#[derive(Debug)]
pub enum Arrived {
    /// Nearly all are replies, and a frame is large.
    Reply(RequestId, Bytes),
    /// Any.
    Frame(Box<Frame>),
}

/// Why a frame was not sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unsent {
    /// It is too large.
    TooLarge(String),
    /// No link is kept to the silo: it is gone.
    Gone,
    /// Too much waits for a silo that does not answer.
    TooMany,
    /// The link has closed, and nobody has told so yet.
    Closed,
}

/// The links that a process dials.
pub struct Links {
    transport: Arc<dyn Transport>,
    clock: Clock,
    spawn: Spawner,
    events: OnceLock<Weak<dyn LinkEvents>>,
    links: Mutex<BTreeMap<SiloId, Link>>,
    /// Whether so much may wait for one of them that its senders wait: written with `links` locked, read for each message.
    may_be_congested: AtomicBool,
}

struct Link {
    address: String,
    state: State,
    /// Names the task that keeps the link; one of another number is to end.
    task: u64,
    /// Whether a link was up before.
    renewed: bool,
    /// Actors of whom a call was refused because too much waits: all later ones are, until a fence, or they would overtake it.
    refused: BTreeSet<ActorId>,
    /// Set when nothing more of the link is to be read.
    cut: Arc<AtomicBool>,
}

enum State {
    Dialling(Waiting),
    Up(FrameSender),
}

impl Link {
    /// Whether the next frame that makes it congested comes by [`Links::send`], which sees that.
    fn is_light(&self) -> bool {
        match &self.state {
            State::Up(sender) => sender.queued_bytes() < CREDIT,
            State::Dialling(waiting) => waiting.frames.is_empty(),
        }
    }

    /// Sends a frame, or keeps it until it can be sent.
    fn take(&mut self, frame: Frame) -> Result<(), Box<(Frame, Unsent)>> {
        match &frame {
            Frame::Call(call) if self.refused.contains(&call.actor) => {
                return Err(Box::new((frame, Unsent::TooMany)));
            }
            Frame::Fence { actor, .. } | Frame::Enter { actor, .. } => _ = self.refused.remove(actor),
            _ => {}
        }
        match (&mut self.state, frame) {
            (State::Up(sender), frame) => {
                let sent = send(sender, frame);
                if let Err(unsent) = &sent
                    && let (Frame::Call(call), Unsent::Closed) = &**unsent
                {
                    // Nor any behind it, until the caller has fenced.
                    self.refused.insert(call.actor.clone());
                }
                sent
            }
            // Only calls can be many; whatever else there is, is bounded by what it is about.
            (State::Dialling(waiting), Frame::Call(call)) if waiting.is_congested() => {
                self.refused.insert(call.actor.clone());
                Err(Box::new((Frame::Call(call), Unsent::TooMany)))
            }
            (State::Dialling(waiting), frame) => {
                waiting.push(frame);
                Ok(())
            }
        }
    }
}

/// What waits for a link that is being made.
#[derive(Default)]
struct Waiting {
    frames: Vec<Frame>,
    /// Bytes of the calls among them.
    bytes: usize,
    /// Senders that wait for room.
    senders: Vec<Waker>,
}

impl Waiting {
    fn push(&mut self, frame: Frame) {
        if let Frame::Call(call) = &frame {
            self.bytes += call.body.len();
        }
        self.frames.push(frame);
    }

    fn is_congested(&self) -> bool {
        self.bytes >= CREDIT || self.frames.len() >= MAX_WAITING
    }
}

impl Drop for Waiting {
    /// There is a link, or there will be none.
    fn drop(&mut self) {
        self.senders.drain(..).for_each(Waker::wake);
    }
}

impl Links {
    /// No links yet.
    pub fn new(transport: Arc<dyn Transport>, clock: Clock, spawn: Spawner) -> Arc<Self> {
        Arc::new(Self {
            transport,
            clock,
            spawn,
            events: OnceLock::new(),
            links: Mutex::default(),
            may_be_congested: AtomicBool::new(false),
        })
    }

    /// Runs a task on the thread of the links.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        (self.spawn)(Box::pin(task));
    }

    /// Says who hears of the links; once, before the first is made.
    pub fn listen(&self, events: Weak<dyn LinkEvents>) {
        assert!(self.events.set(events).is_ok(), "invariant: links have one listener");
    }

    fn events(&self) -> Option<Arc<dyn LinkEvents>> {
        self.events.get().and_then(Weak::upgrade)
    }

    /// Keeps a link to a silo from now on.
    pub fn keep(self: &Arc<Self>, silo: &SiloId, address: &str) {
        let mut links = self.links.lock();
        if links.contains_key(silo) {
            return;
        }
        static TASKS: AtomicU64 = AtomicU64::new(1);
        let task = TASKS.fetch_add(1, Ordering::Relaxed);
        links.insert(
            silo.clone(),
            Link {
                address: address.to_owned(),
                state: State::Dialling(Waiting::default()),
                task,
                renewed: false,
                refused: BTreeSet::new(),
                cut: Arc::default(),
            },
        );
        (self.spawn)(Box::pin(keep(
            Arc::downgrade(self),
            silo.clone(),
            address.to_owned(),
            task,
        )));
    }

    /// Closes the link to a silo that is gone, unread. Answers the frames that were never sent.
    pub fn forget(&self, silo: &SiloId) -> Vec<Frame> {
        let Some(link) = self.links.lock().remove(silo) else {
            return Vec::new();
        };
        link.cut.store(true, Ordering::Release);
        match link.state {
            State::Up(sender) => {
                sender.abort();
                Vec::new()
            }
            State::Dialling(mut waiting) => std::mem::take(&mut waiting.frames),
        }
    }

    /// Closes all links after what is queued has been written.
    pub fn close(&self) {
        for (_, link) in std::mem::take(&mut *self.links.lock()) {
            if let State::Up(sender) = link.state {
                sender.close();
            }
        }
    }

    /// Sends a frame, now or when the link is there. What is not sent is reported by [`LinkEvents::unsent`], later.
    pub fn send(&self, silo: &SiloId, frame: Frame) {
        let unsent = {
            let mut links = self.links.lock();
            match links.get_mut(silo) {
                // Nearly all go here, and a frame is large.
                Some(Link {
                    state: State::Up(sender),
                    refused,
                    ..
                }) if refused.is_empty() && sender.send_ref(&frame) => {
                    if sender.queued_bytes() >= CREDIT {
                        self.may_be_congested.store(true, Ordering::Relaxed);
                    }
                    return;
                }
                Some(link) => {
                    self.may_be_congested.store(true, Ordering::Relaxed);
                    match link.take(frame) {
                        Ok(()) => return,
                        Err(unsent) => *unsent,
                    }
                }
                None => (frame, Unsent::Gone),
            }
        };
        self.report(silo, vec![unsent]);
    }

    /// Sends a call whose message is no large one over a link that is up and takes it. `false`: nothing happened, and the whole call
    /// is for [`Links::send`].
    pub fn send_call(&self, silo: &SiloId, call: Envelope<'_>, body: &[u8]) -> bool {
        let links = self.links.lock();
        let Some(link) = links.get(silo).filter(|link| link.refused.is_empty()) else {
            return false;
        };
        let State::Up(sender) = &link.state else { return false };
        let sent = sender.send_call(call, body);
        if sent && sender.queued_bytes() >= CREDIT {
            self.may_be_congested.store(true, Ordering::Relaxed);
        }
        sent
    }

    /// Tells what was not sent, later: the sender may hold locks that the listener needs.
    fn report(&self, silo: &SiloId, unsent: Vec<(Frame, Unsent)>) {
        if let (false, Some(events)) = (unsent.is_empty(), self.events()) {
            let silo = silo.clone();
            (self.spawn)(Box::pin(async move {
                for (frame, why) in unsent {
                    events.unsent(&silo, frame, why);
                }
            }));
        }
    }

    /// Whether the link to a silo is up.
    pub fn is_up(&self, silo: &SiloId) -> bool {
        matches!(
            self.links.lock().get(silo),
            Some(Link {
                state: State::Up(_),
                ..
            })
        )
    }

    /// The silos that links are kept to.
    pub fn silos(&self) -> Vec<SiloId> {
        self.links.lock().keys().cloned().collect()
    }

    /// A silo whose link is up, other ones at each call with another `turn`.
    pub fn any_up(&self, turn: usize) -> Option<SiloId> {
        let links = self.links.lock();
        let up: Vec<_> = (links.iter())
            .filter(|(_, link)| matches!(link.state, State::Up(_)))
            .collect();
        (!up.is_empty()).then(|| up[turn % up.len()].0.clone())
    }

    /// Whether so much waits to be written that senders should wait.
    pub fn is_congested(&self, silo: &SiloId) -> bool {
        if !self.may_be_congested.load(Ordering::Relaxed) {
            return false;
        }
        let links = self.links.lock();
        // Bytes come with sends only, which set it again.
        if links.values().all(Link::is_light) {
            self.may_be_congested.store(false, Ordering::Relaxed);
        }
        match links.get(silo).map(|link| &link.state) {
            Some(State::Up(sender)) => sender.queued_bytes() >= CREDIT,
            Some(State::Dialling(waiting)) => waiting.is_congested(),
            None => false,
        }
    }

    /// Whether senders need not wait; the waker is woken when that changes.
    pub fn is_writable(&self, silo: &SiloId, waker: &Waker) -> bool {
        let sender = match self.links.lock().get_mut(silo).map(|link| &mut link.state) {
            Some(State::Up(sender)) if sender.queued_bytes() >= CREDIT => sender.clone(),
            Some(State::Dialling(waiting)) if waiting.is_congested() => {
                if !waiting.senders.iter().any(|other| other.will_wake(waker)) {
                    waiting.senders.push(waker.clone());
                }
                return false;
            }
            _ => return true,
        };
        let waker = waker.clone();
        (self.spawn)(Box::pin(async move {
            let _ended_or_writable = sender.writable().await;
            waker.wake();
        }));
        false
    }

    fn address(&self, silo: &SiloId, task: u64) -> Option<String> {
        (self.links.lock().get(silo))
            .filter(|link| link.task == task)
            .map(|link| link.address.clone())
    }
}

/// Sends on a link that is up.
fn send(sender: &FrameSender, frame: Frame) -> Result<(), Box<(Frame, Unsent)>> {
    match sender.send(frame) {
        Ok(()) => Ok(()),
        Err(SendError::Closed(frame)) => match *frame {
            frame @ Frame::Call(_) => Err(Box::new((frame, Unsent::Closed))),
            // The task sees the end of a closed link and reports it; the rest is said again then.
            _ => Ok(()),
        },
        Err(SendError::Unsendable { frame, cause }) => match in_place_of(&frame, &cause) {
            Some(instead) => send(sender, instead),
            None => Err(Box::new((*frame, Unsent::TooLarge(cause.to_string())))),
        },
    }
}

/// A wait shortened by up to a half, another one each time: those that lost one silo do not come back together.
fn spread(wait: Duration) -> Duration {
    let share = crate::chance::number() % 1024;
    wait - wait.mul_f64(share as f64 / 2048.0)
}

/// Dials a silo, reads the link, and dials again, as long as the silo is kept.
async fn keep(links: Weak<Links>, silo: SiloId, address: String, task: u64) {
    let mut wait = FIRST_WAIT;
    loop {
        let Some(now) = links.upgrade() else { return };
        if now.address(&silo, task).is_none() {
            return;
        }
        let (transport, clock) = (now.transport.clone(), now.clock.clone());
        drop(now);
        match transport.connect(&address, Some(silo.clone())).await {
            Ok(connection) => {
                let start = clock.now();
                run(&links, &silo, task, connection).await;
                // One that did not last is as good as none: who hangs up at once is not dialled without a pause.
                if clock.now().since(start) >= LONGEST_WAIT {
                    wait = FIRST_WAIT;
                    continue;
                }
            }
            Err(error) => tracing::debug!(%silo, %address, %error, "a silo does not answer"),
        }
        clock.sleep(spread(wait)).await;
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

async fn run(links: &Weak<Links>, silo: &SiloId, task: u64, connection: crate::transport::Connection) {
    let mut receiver = connection.receiver;
    let mut driver = connection.driver;
    let cut = {
        let Some(links) = links.upgrade() else { return };
        let (renewed, cut) = {
            let mut all = links.links.lock();
            let Some(link) = all.get_mut(silo).filter(|link| link.task == task) else {
                connection.sender.abort();
                return;
            };
            if let State::Dialling(mut waiting) =
                std::mem::replace(&mut link.state, State::Up(connection.sender.clone()))
            {
                let frames = std::mem::take(&mut waiting.frames).into_iter();
                let unsent = frames.filter_map(|frame| send(&connection.sender, frame).err().map(|unsent| *unsent));
                links.report(silo, unsent.collect());
            }
            (std::mem::replace(&mut link.renewed, true), link.cut.clone())
        };
        if let (true, Some(events)) = (renewed, links.events()) {
            events.link_renewed(silo);
        }
        cut
    };
    let read = async {
        let mut room = FRAMES_A_TURN;
        loop {
            if room == 0 {
                tokio::task::yield_now().await;
                room = FRAMES_A_TURN;
            }
            match receiver.recv().await {
                Ok(Some(_)) if cut.load(Ordering::Acquire) => return,
                Ok(Some(frame)) => {
                    let Some(events) = links.upgrade().and_then(|links| links.events()) else {
                        return;
                    };
                    // Those that are there already come with it: a look at who listens costs as much as a frame.
                    let mut first = Some(Box::new(frame));
                    let next = std::iter::from_fn(|| {
                        if let Some(frame) = first.take() {
                            return Some(Arrived::Frame(frame));
                        }
                        if let Some((request, reply)) = receiver.reply_at_hand() {
                            return Some(Arrived::Reply(request, reply));
                        }
                        Some(Arrived::Frame(Box::new(receiver.next_at_hand()?)))
                    });
                    let mut frames = next.take_while(|_| !cut.load(Ordering::Acquire)).take(room);
                    let mut count = 0;
                    events.frames(silo, &mut frames.by_ref().inspect(|_| count += 1));
                    room -= count;
                }
                Ok(None) => return,
                Err(error) => {
                    tracing::debug!(%silo, %error, "a link ended");
                    return;
                }
            }
        }
    };
    let read = std::pin::pin!(read);
    // What is still to be written after the peer has stopped sending is lost with the link.
    match futures_util::future::select(read, Pin::new(&mut driver)).await {
        futures_util::future::Either::Left(_) => {}
        futures_util::future::Either::Right(((), read)) => {
            // What the peer has written before it stopped reading still counts: its last word may be `Flushed`.
            let clock = links.upgrade().map(|links| links.clock.clone());
            if let Some(clock) = clock {
                clock.timeout(LAST_WORDS, read).await;
            }
        }
    }
    connection.sender.abort();
    let Some(links) = links.upgrade() else { return };
    let lost = {
        let mut all = links.links.lock();
        match all.get_mut(silo).filter(|link| link.task == task) {
            Some(link) => {
                link.state = State::Dialling(Waiting::default());
                true
            }
            None => false,
        }
    };
    if let (true, Some(events)) = (lost, links.events()) {
        events.link_lost(silo);
    }
}

#[cfg(test)]
#[path = "links_tests.rs"]
mod tests;

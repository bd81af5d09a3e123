//! The line to one actor: its way, and the short way past it.

use super::{Delivered, Switchboard, switchboard::Followed};
use crate::{
    actor::{Port, SentOut, Undelivered},
    clock::{Clock, Moment},
    directory::{Step, Way},
    ident::{ActorId, OfActor},
    mailbox::{Letter, Mailbox, Outbound, Refused},
    wire::{Failure, FailureCode, Ran},
};
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use std::{
    future::poll_fn,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Poll, Waker},
    time::Duration,
};

const HELD: u64 = u64::MAX;

/// What the lines of a process have in common.
pub(super) struct Exchange {
    pub(super) clock: Clock,
    pub(super) ask_timeout: Duration,
    pub(super) board: Weak<Switchboard>,
}

/// The line to one actor.
pub struct Line {
    actor: ActorId,
    exchange: Arc<Exchange>,
    /// Whether messages may go into `mailbox` without a look at the way: all that were sent before are there. Set under the
    /// lock of `state`; a sender who finds the mailbox closed goes by the way.
    is_direct: AtomicBool,
    /// Whether nobody may have asked for the actor yet: a hint, which spares a look at `state`. Written under its lock.
    may_be_new: AtomicBool,
    /// The actor's mailbox in this process, once it was seen.
    mailbox: OnceLock<Arc<Mailbox>>,
    state: Mutex<State>,
    /// Since when no reference was seen to hold it, in nanoseconds; [`HELD`] if one was.
    unheld_since: AtomicU64,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) way: Way<Letter>,
    waiting: Vec<Waker>,
}

impl Line {
    pub(super) fn new(actor: ActorId, exchange: Arc<Exchange>) -> Self {
        Self {
            actor,
            exchange,
            is_direct: AtomicBool::new(false),
            may_be_new: AtomicBool::new(true),
            mailbox: OnceLock::new(),
            state: Mutex::default(),
            unheld_since: AtomicU64::new(HELD),
        }
    }

    pub(super) fn actor(&self) -> &ActorId {
        &self.actor
    }

    /// Lets `event` change the way and carries out what follows, in order.
    pub(super) fn change<T>(
        &self,
        board: &Switchboard,
        event: impl FnOnce(&mut Way<Letter>, &mut Vec<Step<Letter>>) -> T,
    ) -> T {
        let mut state = self.state.lock();
        self.set_direct(None);
        let mut steps = Vec::new();
        let result = event(&mut state.way, &mut steps);
        self.may_be_new.store(true, Ordering::Relaxed);
        self.carry_out(board, &mut state, steps);
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        for waker in waiting {
            waker.wake();
        }
        result
    }

    pub(super) fn peek<T>(&self, read: impl FnOnce(&mut Way<Letter>) -> T) -> T {
        read(&mut self.state.lock().way)
    }

    /// Whether the line can be forgotten without harm, if nobody holds it: a new one would do the same.
    ///
    /// Of a direct line all messages have come to rest in the mailbox: wherever the actor goes, they are before all that is
    /// sent later. `None`: somebody is at it.
    pub(super) fn is_idle(&self) -> Option<bool> {
        let state = self.state.try_lock()?;
        Some(self.is_direct.load(Ordering::Relaxed) || state.way.is_idle())
    }

    /// A reference holds it, or not as is seen now. Answers since when that was seen.
    pub(super) fn seen_held(&self, held: bool, now: Moment) -> Option<Moment> {
        let since = self.unheld_since.load(Ordering::Relaxed);
        match held {
            true if since == HELD => {}
            true => self.unheld_since.store(HELD, Ordering::Relaxed),
            false if since == HELD => self.unheld_since.store(now.0, Ordering::Relaxed),
            false => return Some(Moment(since)),
        }
        None
    }

    fn send_on(&self, board: &Switchboard, letter: Letter) -> Result<(), Undelivered> {
        let mut state = self.state.lock();
        // Under the lock: what waits is ended after it was closed.
        if let Some(failure) = board.closed() {
            return Err(Undelivered::Failed(letter, failure.clone()));
        }
        let letter = match self.direct_mailbox() {
            None => letter,
            Some(mailbox) => match mailbox.push(letter) {
                Ok(()) => return Ok(()),
                Err(Refused::Full(letter)) => return Err(Undelivered::Full(letter)),
                Err(Refused::Closed(letter)) => {
                    self.set_direct(None);
                    letter
                }
            },
        };
        if state.way.is_new()
            && let Some(hint) = board.placed(&self.actor)
        {
            state.way.begin(hint);
        }
        if !state.way.has_room()
            || state
                .way
                .open_route()
                .is_some_and(|route| board.is_congested(&route.silo))
        {
            return Err(Undelivered::Full(letter));
        }
        if let Some(route) = state.way.open_route() {
            let to = route.silo.clone();
            state.way.sent_directly();
            return match board.deliver(&self.actor, &to, letter, self.mailbox.get()) {
                Delivered::Done => {
                    let mut steps = Vec::new();
                    state.way.pace(board.is_far(&to), &mut steps);
                    self.carry_out(board, &mut state, steps);
                    Ok(())
                }
                Delivered::Direct(mailbox) => {
                    self.set_direct(Some(mailbox));
                    Ok(())
                }
                Delivered::Full(letter, mailbox) => {
                    self.set_direct(Some(mailbox));
                    Err(Undelivered::Full(letter))
                }
            };
        }
        let mut steps = Vec::new();
        state.way.send(letter, &mut steps);
        self.carry_out(board, &mut state, steps);
        Ok(())
    }

    fn carry_out(&self, board: &Switchboard, state: &mut State, mut steps: Vec<Step<Letter>>) {
        if steps.is_empty() && state.way.open_route().is_some() {
            return;
        }
        // Senders look at the short way without the lock: it opens when the last of what waited is in the mailbox.
        let mut direct = None;
        while !steps.is_empty() {
            for step in std::mem::take(&mut steps) {
                let first = state.way.route().is_none();
                match board.carry_out(&self.actor, step, first, self.mailbox.get()) {
                    Followed::Nothing => direct = None,
                    Followed::Direct(mailbox) => direct = Some(mailbox),
                    Followed::Located(hint) => state.way.located(hint, &mut steps),
                }
            }
        }
        self.set_direct(direct.filter(|_| state.way.open_route().is_some()));
    }

    fn direct_mailbox(&self) -> Option<&Arc<Mailbox>> {
        self.mailbox.get().filter(|_| self.is_direct.load(Ordering::Acquire))
    }

    /// Opens or closes the short way. With `state` locked.
    fn set_direct(&self, mailbox: Option<Arc<Mailbox>>) {
        // Another mailbox of the actor than the one that was seen first has no short way.
        let own = |mailbox: Arc<Mailbox>| Arc::ptr_eq(self.mailbox.get_or_init(|| mailbox.clone()), &mailbox);
        self.is_direct.store(mailbox.is_some_and(own), Ordering::Release);
    }

    /// The actor's mailbox in this process, once it was seen.
    pub(super) fn mailbox(&self) -> Option<&Arc<Mailbox>> {
        self.mailbox.get()
    }

    /// Nothing goes out any more, also for who waits for room. Answers what waits.
    pub(super) fn close(&self) -> Vec<Letter> {
        let mut state = self.state.lock();
        self.set_direct(None);
        let (left, waiting) = (state.way.drain(), std::mem::take(&mut state.waiting));
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
        left
    }

    /// Takes what waits and is over. Who waits for room has it.
    pub(super) fn remove_if(&self, is_over: impl FnMut(&Letter) -> bool) -> Vec<Letter> {
        let mut state = self.state.lock();
        let over = state.way.remove_if(is_over);
        let waiting = match over.is_empty() {
            true => Vec::new(),
            false => std::mem::take(&mut state.waiting),
        };
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
        over
    }

    /// The ask's own turn waits, behind others, for the actor that it asks: it would wait for ever.
    fn cycle(&self, letter: &Letter) -> Option<Failure> {
        if !letter.chain.contains(&self.actor) {
            return None;
        }
        let chain: Vec<String> = letter.chain.to_vec().iter().map(ToString::to_string).collect();
        let name = letter.body.name();
        let text = format!("{name} would wait for itself: {} -> {}", chain.join(" -> "), self.actor);
        Some(Failure::new(FailureCode::Cycle, Ran::No, text))
    }

    /// `waited`: who waits was polled before. Nobody waits for all that is held to go: others could hold more for ever.
    fn poll_room(&self, waker: &Waker, waited: bool) -> Poll<()> {
        let mut state = self.state.lock();
        if let Some(mailbox) = self.direct_mailbox() {
            return if mailbox.poll_room(waker) {
                Poll::Ready(())
            } else {
                Poll::Pending
            };
        }
        let Some(board) = self.exchange.board.upgrade() else {
            return Poll::Ready(());
        };
        let congested = (state.way.open_route()).is_some_and(|route| !board.is_writable(&route.silo, waker));
        let has_room = state.way.has_room() && (waited || !state.way.is_paced());
        if has_room && !congested {
            return Poll::Ready(());
        }
        if !state.waiting.iter().any(|other| other.will_wake(waker)) {
            state.waiting.push(waker.clone());
        }
        Poll::Pending
    }
}

impl Port for Line {
    fn actor(&self) -> &ActorId {
        &self.actor
    }

    fn direct(&self) -> Option<&Arc<Mailbox>> {
        self.direct_mailbox()
    }

    fn open(&self) -> Option<&Arc<Mailbox>> {
        if !self.may_be_new.load(Ordering::Relaxed) {
            return None;
        }
        let mut state = self.state.lock();
        if !state.way.is_new() {
            self.may_be_new.store(false, Ordering::Relaxed);
            return None;
        }
        let board = self.exchange.board.upgrade()?;
        if board.closed().is_some() {
            return None;
        }
        let (hint, mailbox) = board.open_here(&self.actor, self.mailbox.get())?;
        state.way.begin(hint);
        state.way.sent_directly();
        self.set_direct(Some(mailbox));
        self.direct_mailbox()
    }

    fn send_out(&self, outbound: &mut Outbound<'_>) -> SentOut {
        if outbound.chain.contains(&self.actor) {
            return SentOut::No;
        }
        let Some(board) = self.exchange.board.upgrade() else {
            return SentOut::No;
        };
        let mut state = self.state.lock();
        let Some(route) = state.way.open_route() else {
            return if state.way.is_paced() {
                SentOut::Paced
            } else {
                SentOut::No
            };
        };
        let to = &route.silo;
        // Under the lock, as in `send_on`.
        if board.closed().is_some() || !board.is_far(to) || board.is_congested(to) {
            return SentOut::No;
        }
        let sent = board.send_out(&self.actor, to, outbound);
        if sent == SentOut::No {
            return sent;
        }
        state.way.sent_directly();
        let mut steps = Vec::new();
        state.way.pace(true, &mut steps);
        self.carry_out(&board, &mut state, steps);
        sent
    }

    fn send(&self, letter: Letter) -> Result<(), Undelivered> {
        if let Some(failure) = self.cycle(&letter) {
            return Err(Undelivered::Failed(letter, failure));
        }
        match self.exchange.board.upgrade() {
            Some(board) => self.send_on(&board, letter),
            None => Err(Undelivered::Failed(letter, Switchboard::gone())),
        }
    }

    fn room(self: Arc<Self>) -> BoxFuture<'static, ()> {
        let line = self;
        let mut waited = false;
        Box::pin(poll_fn(move |cx| {
            line.poll_room(cx.waker(), std::mem::replace(&mut waited, true))
        }))
    }

    fn end_overdue(&self) {
        if let Some(board) = self.exchange.board.upgrade() {
            board.end_overdue(self);
        }
    }

    fn clock(&self) -> &Clock {
        &self.exchange.clock
    }

    fn ask_timeout(&self) -> Duration {
        self.exchange.ask_timeout
    }
}

impl OfActor for Line {
    fn actor(&self) -> &ActorId {
        &self.actor
    }
}

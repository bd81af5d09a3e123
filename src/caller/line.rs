//! The line to one actor: its way, and the short way past it.

use super::{Delivered, Switchboard, switchboard::Followed};
use crate::{
    actor::{Port, Undelivered},
    clock::Clock,
    directory::{Step, Way},
    ident::ActorId,
    mailbox::{Letter, Mailbox, Refused},
    wire::{Failure, FailureCode, Ran},
};
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use std::{
    future::poll_fn,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicBool, Ordering},
    },
    task::{Poll, Waker},
    time::Duration,
};

/// The line to one actor.
pub struct Line {
    actor: ActorId,
    clock: Clock,
    ask_timeout: Duration,
    board: Weak<Switchboard>,
    /// Whether messages may go into `mailbox` without a look at the way: all that were sent before are there. Set under the
    /// lock of `state`; a sender who finds the mailbox closed goes by the way.
    is_direct: AtomicBool,
    /// The actor's mailbox in this process, once it was seen.
    mailbox: OnceLock<Arc<Mailbox>>,
    state: Mutex<State>,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) way: Way<Letter>,
    waiting: Vec<Waker>,
}

impl Line {
    pub(super) fn new(actor: ActorId, clock: Clock, ask_timeout: Duration, board: Weak<Switchboard>) -> Self {
        Self {
            actor,
            clock,
            ask_timeout,
            board,
            is_direct: AtomicBool::new(false),
            mailbox: OnceLock::new(),
            state: Mutex::default(),
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

    fn send_on(&self, board: &Switchboard, letter: Letter) -> Result<(), Undelivered> {
        let mut state = self.state.lock();
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
                Delivered::Done => Ok(()),
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
        while !steps.is_empty() {
            for step in std::mem::take(&mut steps) {
                let first = state.way.route().is_none();
                match board.carry_out(&self.actor, step, first, self.mailbox.get()) {
                    Followed::Nothing => {}
                    Followed::Direct(mailbox) => self.set_direct(Some(mailbox)),
                    Followed::Located(hint) => state.way.located(hint, &mut steps),
                }
            }
        }
        if state.way.open_route().is_none() {
            self.set_direct(None);
        }
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

    /// Nothing goes the short way any more.
    pub(super) fn close(&self) {
        let _state = self.state.lock();
        self.set_direct(None);
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

    fn poll_room(&self, waker: &Waker) -> Poll<()> {
        let mut state = self.state.lock();
        if let Some(mailbox) = self.direct_mailbox() {
            return if mailbox.poll_room(waker) {
                Poll::Ready(())
            } else {
                Poll::Pending
            };
        }
        let Some(board) = self.board.upgrade() else {
            return Poll::Ready(());
        };
        let congested = (state.way.open_route()).is_some_and(|route| !board.is_writable(&route.silo, waker));
        if state.way.has_room() && !congested {
            return Poll::Ready(());
        }
        if !state.waiting.iter().any(|other| other.will_wake(waker)) {
            state.waiting.push(waker.clone());
        }
        Poll::Pending
    }
}

/// A line as references hold it.
pub(super) struct LinePort(pub(super) Arc<Line>);

impl Port for LinePort {
    fn actor(&self) -> &ActorId {
        &self.0.actor
    }

    fn direct(&self) -> Option<&Arc<Mailbox>> {
        self.0.direct_mailbox()
    }

    fn send(&self, letter: Letter) -> Result<(), Undelivered> {
        if let Some(failure) = self.0.cycle(&letter) {
            return Err(Undelivered::Failed(letter, failure));
        }
        match self.0.board.upgrade() {
            Some(board) => match board.closed() {
                None => self.0.send_on(&board, letter),
                Some(failure) => Err(Undelivered::Failed(letter, failure)),
            },
            None => Err(Undelivered::Failed(letter, Switchboard::gone())),
        }
    }

    fn room(&self) -> BoxFuture<'static, ()> {
        let line = self.0.clone();
        Box::pin(poll_fn(move |cx| line.poll_room(cx.waker())))
    }

    fn clock(&self) -> &Clock {
        &self.0.clock
    }

    fn ask_timeout(&self) -> Duration {
        self.0.ask_timeout
    }
}

//! What a running turn passes on to the calls it makes.

use super::Timers;
use crate::{
    clock::Moment,
    mailbox::{Chain, Mailbox},
};
use std::{cell::RefCell, mem, sync::Arc, task::Waker};

/// What the runtime runs on this thread now, if it does: whose turn, until when its caller waits, and who waits for it.
#[derive(Debug, Default)]
pub struct Scope {
    /// Of the actor that runs.
    pub mailbox: Option<Arc<Mailbox>>,
    /// The turn's.
    pub turn: TurnScope,
    /// The actor's; rarely there.
    pub timers: Option<Box<Timers>>,
}

/// The part of a [`Scope`] that belongs to one turn.
#[derive(Debug, Default)]
pub struct TurnScope {
    /// The moment after which nobody waits for the turn.
    pub deadline: Option<Moment>,
    /// The actors whose turns wait for this one.
    pub callers: Chain,
    /// The same with the actor itself, once an ask needed it.
    chain: Option<Chain>,
    /// When the turn is to be woken at the latest.
    pub wake_by: Option<Moment>,
}

thread_local! {
    static CURRENT: RefCell<Scope> = const { RefCell::new(Scope {
        mailbox: None,
        turn: TurnScope::NONE,
        timers: None,
    }) };
}

impl TurnScope {
    const NONE: Self = Self {
        deadline: None,
        callers: Chain::NONE,
        chain: None,
        wake_by: None,
    };
}

/// Exchanges the scope of this thread.
pub fn swap_scope(scope: &mut Scope) {
    CURRENT.with_borrow_mut(|current| mem::swap(current, scope));
}

/// Begins a turn within the scope of this thread.
pub(super) fn set_turn(deadline: Option<Moment>, callers: Chain) {
    CURRENT.with_borrow_mut(|current| {
        let turn = &mut current.turn;
        turn.deadline = deadline;
        if !callers.is_empty() || !turn.callers.is_empty() {
            turn.callers = callers;
        }
        if turn.chain.is_some() {
            turn.chain = None;
        }
        turn.wake_by = None;
    });
}

/// Asks that the turn which is polled with `waker` be polled again at `at`, if nothing else does. `false` if `waker` is not
/// the turn's own: somebody between has to be woken.
pub fn wake_turn_by(at: Moment, waker: &Waker) -> bool {
    CURRENT.with_borrow_mut(|current| {
        let own = (current.mailbox.as_ref()).is_some_and(|mailbox| waker.data() == Arc::as_ptr(mailbox).cast());
        if own {
            let turn = &mut current.turn;
            turn.wake_by = Some(turn.wake_by.map_or(at, |by| by.min(at)));
        }
        own
    })
}

/// Does something with the timers of the actor that runs on this thread.
pub fn with_timers<T>(act: impl FnOnce(&mut Option<Box<Timers>>) -> T) -> T {
    CURRENT.with_borrow_mut(|current| act(&mut current.timers))
}

/// What a call made now inherits: the deadline of the turn, and the chain. `None` outside of turns.
pub(super) fn inherited() -> Option<(Option<Moment>, Chain)> {
    CURRENT.with_borrow_mut(|current| {
        let mailbox = current.mailbox.as_ref()?;
        let turn = &mut current.turn;
        let chain = (turn.chain).get_or_insert_with(|| turn.callers.with(mailbox.actor().clone()));
        Some((turn.deadline, chain.clone()))
    })
}

/// The deadline of the turn that runs on this thread.
pub(super) fn deadline() -> Option<Moment> {
    CURRENT.with_borrow(|current| current.turn.deadline)
}

/// For texts.
pub(super) fn running_actor() -> String {
    CURRENT.with_borrow(|current| match &current.mailbox {
        Some(mailbox) => mailbox.actor().to_string(),
        None => "an actor".to_owned(),
    })
}

//! What a running turn passes on to the calls it makes.

use super::current;
use crate::{
    clock::Moment,
    ident::{ActorId, TraceContext},
    mailbox::{Chain, Mailbox},
    wire::PackedSubscription,
};
use std::{
    cell::{Cell, RefCell},
    mem, ptr,
    task::Waker,
};

/// The turn that runs: until when its caller waits, and who waits for it.
#[derive(Debug, Default)]
pub struct TurnScope {
    /// The moment after which nobody waits for the turn.
    deadline: Option<Moment>,
    /// The actors whose turns wait for this one.
    callers: Chain,
    /// The same with the actor itself, once an ask needed it.
    chain: Option<Chain>,
    /// When the turn is to be woken at the latest.
    wake_by: Option<Moment>,
}

/// The turns that run on a thread, each within the one before it: none is moved for another.
struct Turns {
    outermost: TurnScope,
    nested: Vec<TurnScope>,
}

impl Turns {
    /// The innermost.
    #[inline]
    fn current(&mut self) -> &mut TurnScope {
        self.nested.last_mut().unwrap_or(&mut self.outermost)
    }

    fn nest(&mut self) {
        self.nested.push(TurnScope::NONE);
    }

    fn leave(&mut self) {
        // Dropped where it is.
        self.nested.truncate(self.nested.len().saturating_sub(1));
    }
}

thread_local! {
    /// Whether the turn of `CURRENT` is as the next plain tell wants it: spares a look at it.
    static PLAIN: Cell<bool> = const { Cell::new(false) };
    /// Whether the turn of `CURRENT` belongs to a trace: spares a look at it.
    static TRACED: Cell<bool> = const { Cell::new(false) };
    /// The turns that run on this thread, if any does.
    static CURRENT: RefCell<Turns> = const { RefCell::new(Turns { outermost: TurnScope::NONE, nested: Vec::new() }) };
}

thread_local! {
    /// What outlives the panic of an actor on this thread, until its next activation takes it.
    static OUTLIVES: Cell<Option<(ActorId, Vec<PackedSubscription>)>> = const { Cell::new(None) };
    /// Whose activation has lost its right to be and panics now, on this thread.
    static LOST: Cell<Option<ActorId>> = const { Cell::new(None) };
}

/// An activation that has lost its right to be panics.
pub(super) fn lose(actor: &ActorId) {
    // Within a panic there must be no other.
    let _ended = LOST.try_with(|lost| lost.set(Some(actor.clone())));
}

/// Whether the turn that has just panicked on this thread was of an activation that had lost its right to be.
pub(super) fn is_lost() -> bool {
    let lost = LOST.take();
    let is_it = lost.as_ref().is_some_and(is_running);
    LOST.set(lost);
    is_it
}

/// Whether the activation of the actor that has just panicked had lost its right to be.
pub fn take_lost(actor: &ActorId) -> bool {
    LOST.take().is_some_and(|lost| lost == *actor)
}

/// What an actor is subscribed to that panics now, for its next activation.
pub(super) fn outlive(actor: &ActorId, streams: Vec<PackedSubscription>) {
    // Within a panic there must be no other.
    let _ended = OUTLIVES.try_with(|outlives| outlives.set(Some((actor.clone(), streams))));
}

/// What an actor was subscribed to that has just panicked.
pub fn take_outliving(actor: &ActorId) -> Vec<PackedSubscription> {
    let kept = OUTLIVES.take().filter(|(of, _)| of == actor);
    kept.map(|(_, streams)| streams).unwrap_or_default()
}

impl TurnScope {
    const NONE: Self = Self {
        deadline: None,
        callers: Chain::NONE,
        chain: None,
        wake_by: None,
    };

    /// Whether it is as the next plain tell wants it.
    fn is_plain(&self) -> bool {
        self.deadline.is_none() && self.callers.is_empty() && self.chain.is_none() && self.wake_by.is_none()
    }

    /// When the turn is to be woken at the latest.
    pub fn wake_by(&self) -> Option<Moment> {
        self.wake_by
    }

    /// The turn goes on, and says anew when it is to be woken.
    pub fn woken(&mut self) {
        self.wake_by = None;
    }
}

/// Does something with the turn that runs on this thread.
#[inline]
fn with_turn<T>(act: impl FnOnce(&mut TurnScope) -> T) -> T {
    CURRENT.with_borrow_mut(|turns| act(turns.current()))
}

/// Whether the turn around one that runs within it was put aside.
#[must_use = "the turn around is to go on"]
pub struct Nested(bool);

/// Puts the turn that runs on this thread aside, if there is anything to it, before another runs within it.
#[inline(always)]
pub fn nest_turn() -> Nested {
    let nested = !PLAIN.get() && in_turn();
    if nested {
        CURRENT.with_borrow_mut(Turns::nest);
        PLAIN.with(|plain| plain.set(true));
        TRACED.with(|traced| traced.set(false));
    }
    Nested(nested)
}

/// The turn that ran within another has ended or waits: goes on with that one.
#[inline(always)]
pub fn leave_turn(nested: Nested) {
    match nested {
        Nested(false) if PLAIN.get() => {}
        Nested(false) => clear_turn(),
        Nested(true) => go_on_around(),
    }
}

#[inline(never)]
fn go_on_around() {
    PLAIN.with(|plain| plain.set(false));
    CURRENT.with_borrow_mut(|turns| {
        turns.leave();
        TRACED.with(|traced| traced.set(turns.current().callers.trace().is_some()));
    });
}

/// Exchanges the turn that runs on this thread.
pub fn swap_turn(turn: &mut TurnScope) {
    if PLAIN.get() && turn.is_plain() {
        return;
    }
    PLAIN.with(|plain| plain.set(false));
    TRACED.with(|traced| traced.set(turn.callers.trace().is_some()));
    with_turn(|current| mem::swap(current, turn));
}

/// What runs on this thread next is no turn that anybody waits for.
pub fn clear_turn() {
    set_turn(None, Chain::NONE);
}

/// Begins a turn within the scope of this thread.
#[inline]
pub(super) fn set_turn(deadline: Option<Moment>, callers: Chain) {
    let plain = deadline.is_none() && callers.is_empty();
    if !plain || !PLAIN.with(|before| before.replace(plain)) {
        reset_turn(deadline, callers);
    }
}

#[inline(never)]
fn reset_turn(deadline: Option<Moment>, callers: Chain) {
    PLAIN.with(|plain| plain.set(deadline.is_none() && callers.is_empty()));
    TRACED.with(|traced| traced.set(callers.trace().is_some()));
    with_turn(|current| {
        *current = TurnScope {
            deadline,
            callers,
            ..TurnScope::NONE
        };
    });
}

/// The caller of the turn that runs on this thread waits until then.
pub(super) fn set_deadline(deadline: Option<Moment>) {
    PLAIN.with(|plain| plain.set(false));
    with_turn(|turn| turn.deadline = deadline);
}

/// Asks that the turn which is polled with `waker` be polled again at `at`, if nothing else does. `false` if `waker` is not
/// the turn's own: somebody between has to be woken.
pub(super) fn wake_turn_by(at: Moment, waker: &Waker) -> bool {
    PLAIN.with(|plain| plain.set(false));
    let own = current::with(|mailbox| mailbox.is_some_and(|mailbox| waker.data() == ptr::from_ref(mailbox).cast()));
    if own {
        with_turn(|turn| {
            turn.wake_by = Some(turn.wake_by.map_or(at, |by| by.min(at)));
        });
    }
    own
}

/// What a call made now inherits: the deadline of the turn, and the chain. `None` outside of turns.
#[inline(always)]
pub(super) fn inherited() -> Option<(Option<Moment>, Chain)> {
    current::with(|mailbox| mailbox.map(inherited_of))
}

#[inline(never)]
fn inherited_of(mailbox: &Mailbox) -> (Option<Moment>, Chain) {
    PLAIN.with(|plain| plain.set(false));
    with_turn(|turn| {
        let chain = (turn.chain).get_or_insert_with(|| turn.callers.with(mailbox.actor().clone()));
        (turn.deadline, chain.clone())
    })
}

/// Whether this thread runs a turn of the actor.
pub(super) fn is_running(actor: &ActorId) -> bool {
    current::with(|mailbox| mailbox.is_some_and(|mailbox| mailbox.actor() == actor))
}

/// Whether this thread runs a turn.
pub(super) fn in_turn() -> bool {
    current::with(|mailbox| mailbox.is_some())
}

/// The deadline of the turn that runs on this thread.
pub(super) fn deadline() -> Option<Moment> {
    with_turn(|turn| turn.deadline)
}

/// The trace that the turn which runs on this thread belongs to.
#[inline]
pub(super) fn trace() -> Option<TraceContext> {
    if !TRACED.get() {
        return None;
    }
    with_turn(|turn| turn.callers.trace())
}

/// For texts.
pub(super) fn running_actor() -> String {
    current::with(|mailbox| mailbox.map_or_else(|| "an actor".to_owned(), |mailbox| mailbox.actor().to_string()))
}

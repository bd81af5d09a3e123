//! Replies: the two ends of an ask, typed where both are in this process.

use super::Deliveries;
use crate::{
    clock::Moment,
    sync::Lock,
    wire::{Failure, FailureCode, Ran},
};
use bytes::Bytes;
use std::{
    any::Any,
    fmt, mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

/// A reply as a value, or as it came by the wire.
#[derive(Debug)]
pub enum Replied<R> {
    /// A value of this process.
    Typed(R),
    /// Named MessagePack.
    Encoded(Bytes),
}

/// How an ask ended.
pub type Answer<R> = Result<Replied<R>, Failure>;

/// A reply whose type is not known here.
pub enum ReplyValue {
    /// A value of this process.
    Typed(Box<dyn Any + Send>),
    /// Named MessagePack.
    Encoded(Bytes),
}

/// A thread to which answers are brought that come from others: what its callers wait with stays in its own cache, and nobody is
/// woken across threads one by one.
pub trait Home: Send + Sync {
    /// Brings something there, perhaps together with others; it is dropped there. `put` adds it to what it is given, with this, which
    /// is counted there.
    fn deliver(self: Arc<Self>, put: &mut dyn FnMut(&mut Deliveries, Arc<dyn Home>));

    /// Brings all of them there; from another thread.
    fn deliver_all(&self, deliveries: &mut Deliveries);

    /// Whether the thread sleeps, as it seems.
    fn sleeps(&self) -> bool;

    /// Wakes who waits in time before `deadline`, to look at the time himself from then on; `false` if that is too soon. On that thread
    /// only; `now` may be a little behind.
    fn watch(&self, deadline: Moment, now: Moment, wait: &dyn Fn() -> Watched) -> bool;
}

/// The end of an ask that waits, for who looks after its deadline.
pub struct Watched(Arc<dyn AnyBlock>);

impl Watched {
    /// Whether nobody waits any more.
    pub fn is_over(&self) -> bool {
        self.0.is_over()
    }

    /// What wakes the caller, who then waits anew.
    pub fn take_waker(&self) -> Option<Waker> {
        self.0.take_waker()
    }
}

/// What the two ends of an ask share.
struct Block<R> {
    state: Lock<State<R>>,
}

/// An answer on its way to the thread of who waits for it; it is said where this is dropped.
struct Delivery<R> {
    block: Arc<Block<R>>,
    answer: Option<Answer<R>>,
    _home: Arc<dyn Home>,
}

impl<R> Drop for Delivery<R> {
    fn drop(&mut self) {
        if let Some(answer) = self.answer.take() {
            self.block.end(State::Answered(answer));
        }
    }
}

enum State<R> {
    /// No answer yet.
    Open(Option<Waker>),
    /// The answer, until it is taken.
    Answered(Answer<R>),
    /// There will be no answer: the end that answers was dropped.
    Dropped,
    /// Nobody waits any more.
    Abandoned,
}

impl<R> Block<R> {
    fn is_abandoned(&self) -> bool {
        matches!(*self.state.lock(), State::Abandoned)
    }

    fn take_waker(&self) -> Option<Waker> {
        match &mut *self.state.lock() {
            State::Open(waker) => waker.take(),
            _ => None,
        }
    }

    /// What is said last; `false` if nobody waits any more.
    fn end(&self, last: State<R>) -> bool {
        let mut state = self.state.lock();
        let State::Open(waker) = &mut *state else {
            drop(state);
            return false;
        };
        let waker = waker.take();
        *state = last;
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        true
    }
}

/// The end of an ask that answers. Dropped, it tells the other end that there will be no answer.
pub struct ReplySender<R>(Option<Arc<Block<R>>>);

impl<R> ReplySender<R> {
    /// Answers. `false` if nobody waits any more.
    pub fn answer(mut self, answer: Answer<R>) -> bool {
        self.0.take().is_some_and(|block| block.end(State::Answered(answer)))
    }

    /// Whether the caller has given up.
    pub fn is_abandoned(&self) -> bool {
        self.0.as_ref().is_some_and(|block| block.is_abandoned())
    }
}

impl<R: Send + 'static> ReplySender<R> {
    /// Answers where the caller waits.
    pub fn answer_at(mut self, home: Arc<dyn Home>, answer: Answer<R>) {
        let mut parts = self.0.take().map(|block| (block, answer));
        home.deliver(&mut |deliveries, home| {
            if let Some((block, answer)) = parts.take() {
                deliveries.push(Delivery {
                    block,
                    answer: Some(answer),
                    _home: home,
                });
            }
        });
    }
}

impl<R> Drop for ReplySender<R> {
    fn drop(&mut self) {
        if let Some(block) = &self.0 {
            block.end(State::Dropped);
        }
    }
}

/// The end of an ask that waits. `None` if the other end was dropped unanswered. Dropped, it gives up the answer, and nothing
/// else.
pub struct ReplyWait<R>(Option<Arc<Block<R>>>);

impl<R> ReplyWait<R> {
    /// Whether it would be ready; nobody is woken for this look.
    pub fn is_ready(&self) -> bool {
        (self.0.as_ref()).is_none_or(|block| !matches!(*block.state.lock(), State::Open(_)))
    }
}

impl<R: Send + 'static> ReplyWait<R> {
    /// For who looks after its deadline. The reply must not have been taken.
    pub fn watched(&self) -> Watched {
        let block = self.0.clone().expect("a reply was waited for after it had come");
        Watched(block)
    }
}

impl<R> Future for ReplyWait<R> {
    type Output = Option<Answer<R>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let block = self.0.as_ref().expect("a reply was waited for after it had come");
        let mut state = block.state.lock();
        if let State::Open(waits) = &mut *state {
            // The last one that polls is woken.
            let old = match waits {
                Some(other) if other.will_wake(cx.waker()) => None,
                waits => waits.replace(cx.waker().clone()),
            };
            drop(state);
            drop(old);
            return Poll::Pending;
        }
        let last = mem::replace(&mut *state, State::Abandoned);
        drop(state);
        self.0 = None;
        match last {
            State::Answered(answer) => Poll::Ready(Some(answer)),
            _ => Poll::Ready(None),
        }
    }
}

impl<R> Drop for ReplyWait<R> {
    fn drop(&mut self) {
        if let Some(block) = &self.0 {
            // What is given up may be the user's, and is dropped without the lock.
            let _given_up = mem::replace(&mut *block.state.lock(), State::Abandoned);
        }
    }
}

/// The two ends of an ask.
pub fn reply_pair<R>() -> (ReplySender<R>, ReplyWait<R>) {
    reply_pair_for(None)
}

/// The two ends of an ask. `waker`: of who waits, until the end that waits is polled with another.
pub fn reply_pair_for<R>(waker: Option<Waker>) -> (ReplySender<R>, ReplyWait<R>) {
    let block = Arc::new(Block {
        state: Lock::new(State::Open(waker)),
    });
    (ReplySender(Some(block.clone())), ReplyWait(Some(block)))
}

/// What the two ends of an ask share, whatever the type of its reply.
trait AnyBlock: Send + Sync {
    fn answer(&self, reply: Result<ReplyValue, Failure>) -> bool;
    fn drop_unanswered(&self);
    fn is_abandoned(&self) -> bool;
    fn is_over(&self) -> bool;
    fn take_waker(&self) -> Option<Waker>;
}

impl<R: Send + 'static> AnyBlock for Block<R> {
    fn answer(&self, reply: Result<ReplyValue, Failure>) -> bool {
        let answer = reply.and_then(|value| match value {
            ReplyValue::Encoded(bytes) => Ok(Replied::Encoded(bytes)),
            ReplyValue::Typed(value) => value.downcast().map(|value| Replied::Typed(*value)).map_err(|_| {
                let text = "the reply is of another type than `reply` of its message says";
                Failure::new(FailureCode::BadReply, Ran::Yes, text)
            }),
        });
        self.end(State::Answered(answer))
    }

    fn drop_unanswered(&self) {
        self.end(State::Dropped);
    }

    fn is_abandoned(&self) -> bool {
        self.is_abandoned()
    }

    fn is_over(&self) -> bool {
        !matches!(*self.state.lock(), State::Open(_))
    }

    fn take_waker(&self) -> Option<Waker> {
        self.take_waker()
    }
}

/// The end of an ask that answers, whatever the type of its reply. Dropped, it tells the other end that there will be no answer.
pub struct ReplySlot(Option<Arc<dyn AnyBlock>>);

impl ReplySlot {
    /// Answers. `false` if nobody waits any more.
    pub fn answer(mut self, reply: Result<ReplyValue, Failure>) -> bool {
        self.0.take().is_some_and(|block| block.answer(reply))
    }

    /// Whether the caller has given up.
    pub fn is_abandoned(&self) -> bool {
        self.0.as_ref().is_some_and(|block| block.is_abandoned())
    }
}

impl ReplySlot {
    /// What wakes the caller, who then waits anew.
    pub fn take_waker(&self) -> Option<Waker> {
        self.0.as_ref()?.take_waker()
    }
}

impl Drop for ReplySlot {
    fn drop(&mut self) {
        if let Some(block) = &self.0 {
            block.drop_unanswered();
        }
    }
}

impl<R: Send + 'static> From<ReplySender<R>> for ReplySlot {
    fn from(mut sender: ReplySender<R>) -> Self {
        Self(sender.0.take().map(|block| block as Arc<dyn AnyBlock>))
    }
}

impl fmt::Debug for ReplySlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReplySlot")
    }
}

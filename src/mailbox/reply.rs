//! Replies: the two ends of an ask, typed where both are in this process.

use crate::{
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

/// A thread that wakes whoever waits on it for what happens on others.
pub trait Home: Send + Sync {
    /// Wakes somebody there, perhaps together with others. `home` is itself.
    fn wake(&self, home: &Arc<dyn Home>, waker: Waker);

    /// Wakes all of them there; from another thread.
    fn wake_all(&self, wakers: &mut Vec<Waker>);
}

/// What the two ends of an ask share.
struct Block<R> {
    state: Lock<State<R>>,
    /// Who wakes the caller, if the answer comes from another thread.
    home: Option<Arc<dyn Home>>,
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
        match (waker, &self.home) {
            (None, _) => {}
            (Some(waker), None) => waker.wake(),
            (Some(waker), Some(home)) => home.wake(home, waker),
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
    reply_pair_at(None)
}

/// The two ends of an ask whose caller is on the thread of `home`, and whose answer comes from another.
pub fn reply_pair_at<R>(home: Option<Arc<dyn Home>>) -> (ReplySender<R>, ReplyWait<R>) {
    let block = Arc::new(Block {
        state: Lock::new(State::Open(None)),
        home,
    });
    (ReplySender(Some(block.clone())), ReplyWait(Some(block)))
}

/// What the two ends of an ask share, whatever the type of its reply.
trait AnyBlock: Send + Sync {
    fn answer(&self, reply: Result<ReplyValue, Failure>) -> bool;
    fn drop_unanswered(&self);
    fn is_abandoned(&self) -> bool;
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

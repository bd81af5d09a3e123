//! Replies: the two ends of an ask, typed where both are in this process.

use crate::wire::{Failure, FailureCode, Ran};
use bytes::Bytes;
use std::{
    any::Any,
    fmt,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::sync::oneshot;

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

/// The end of an ask that answers.
pub struct ReplySender<R>(oneshot::Sender<Answer<R>>);

impl<R> ReplySender<R> {
    /// Answers. `false` if nobody waits any more.
    pub fn answer(self, answer: Answer<R>) -> bool {
        self.0.send(answer).is_ok()
    }

    /// Whether the caller has given up.
    pub fn is_abandoned(&self) -> bool {
        self.0.is_closed()
    }
}

/// The end of an ask that waits. `None` if the other end was dropped unanswered.
pub struct ReplyWait<R>(oneshot::Receiver<Answer<R>>);

impl<R> Future for ReplyWait<R> {
    type Output = Option<Answer<R>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map(Result::ok)
    }
}

/// The two ends of an ask.
pub fn reply_pair<R>() -> (ReplySender<R>, ReplyWait<R>) {
    let (answer, wait) = oneshot::channel();
    (ReplySender(answer), ReplyWait(wait))
}

trait AnySender: Send {
    fn answer(self: Box<Self>, reply: Result<ReplyValue, Failure>) -> bool;
    fn is_abandoned(&self) -> bool;
}

impl<R: Send + 'static> AnySender for ReplySender<R> {
    fn answer(self: Box<Self>, reply: Result<ReplyValue, Failure>) -> bool {
        (*self).answer(reply.and_then(|value| match value {
            ReplyValue::Encoded(bytes) => Ok(Replied::Encoded(bytes)),
            ReplyValue::Typed(value) => value.downcast().map(|value| Replied::Typed(*value)).map_err(|_| {
                let text = "the reply is of another type than `reply` of its message says";
                Failure::new(FailureCode::BadReply, Ran::Yes, text)
            }),
        }))
    }

    fn is_abandoned(&self) -> bool {
        self.is_abandoned()
    }
}

/// The end of an ask that answers, whatever the type of its reply.
pub struct ReplySlot(Box<dyn AnySender>);

impl ReplySlot {
    /// Answers. `false` if nobody waits any more.
    pub fn answer(self, reply: Result<ReplyValue, Failure>) -> bool {
        self.0.answer(reply)
    }

    /// Whether the caller has given up.
    pub fn is_abandoned(&self) -> bool {
        self.0.is_abandoned()
    }
}

impl<R: Send + 'static> From<ReplySender<R>> for ReplySlot {
    fn from(sender: ReplySender<R>) -> Self {
        Self(Box::new(sender))
    }
}

impl fmt::Debug for ReplySlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReplySlot")
    }
}

//! A message with all that belongs to it, between the caller and the turn.

use super::Message;
use crate::{
    clock::Moment,
    ident::{ActorId, ProcessId, RequestId},
    wire::{self, EncodeError, Failure},
};
use bytes::Bytes;
use std::{
    any::Any,
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::sync::oneshot;

/// A message on its way, with its reply address, deadline and call chain.
#[derive(Debug)]
pub struct Letter {
    /// The message.
    pub body: Body,
    /// Who waits for the reply.
    pub reply: ReplyTo,
    /// The moment after which it must not start.
    pub deadline: Option<Moment>,
    /// The actors whose turns wait for it, outermost first.
    pub chain: Vec<ActorId>,
}

/// A message, as a value or as it came by the wire.
pub enum Body {
    /// A value of this process.
    Typed(Box<dyn TypedMessage>),
    /// Named MessagePack.
    Encoded {
        /// The wire name.
        name: Arc<str>,
        /// The message.
        bytes: Bytes,
    },
}

impl Body {
    /// The wire name of the message.
    pub fn name(&self) -> &str {
        match self {
            Self::Typed(message) => message.name(),
            Self::Encoded { name, .. } => name,
        }
    }

    /// The message as it travels.
    ///
    /// # Errors
    /// If it cannot be serialized.
    pub fn encode(&self) -> Result<Bytes, EncodeError> {
        match self {
            Self::Typed(message) => message.encode(),
            Self::Encoded { bytes, .. } => Ok(bytes.clone()),
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A message value whose type is known to its handler only.
pub trait TypedMessage: Any + Send {
    /// The wire name.
    fn name(&self) -> &'static str;
    /// The message as it travels.
    ///
    /// # Errors
    /// If it cannot be serialized.
    fn encode(&self) -> Result<Bytes, EncodeError>;
    /// The value.
    fn into_any(self: Box<Self>) -> Box<dyn Any + Send>;
}

impl<M: Message> TypedMessage for M {
    fn name(&self) -> &'static str {
        M::NAME
    }

    fn encode(&self) -> Result<Bytes, EncodeError> {
        wire::encode(self)
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }
}

/// Who waits for a reply.
#[derive(Debug)]
pub enum ReplyTo {
    /// Nobody: a tell.
    Nobody,
    /// A caller in this process that holds the other end.
    Here(ReplySlot),
    /// A request of a process (of this one too).
    Process {
        /// Whose request.
        process: ProcessId,
        /// Which.
        request: RequestId,
    },
}

/// A reply as a value or as it came by the wire.
pub enum ReplyValue {
    /// A value of this process.
    Typed(Box<dyn Any + Send>),
    /// Named MessagePack.
    Encoded(Bytes),
}

/// The end of an ask that answers.
pub struct ReplySlot(oneshot::Sender<Result<ReplyValue, Failure>>);

impl ReplySlot {
    /// Answers. `false` if nobody waits any more.
    pub fn answer(self, reply: Result<ReplyValue, Failure>) -> bool {
        self.0.send(reply).is_ok()
    }

    /// Whether the caller has given up.
    pub fn is_abandoned(&self) -> bool {
        self.0.is_closed()
    }
}

impl fmt::Debug for ReplySlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReplySlot")
    }
}

/// The end of an ask that waits. `None` if the other end was dropped unanswered.
pub struct ReplyWait(oneshot::Receiver<Result<ReplyValue, Failure>>);

impl Future for ReplyWait {
    type Output = Option<Result<ReplyValue, Failure>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map(Result::ok)
    }
}

/// The two ends of an ask.
pub fn reply_pair() -> (ReplySlot, ReplyWait) {
    let (answer, wait) = oneshot::channel();
    (ReplySlot(answer), ReplyWait(wait))
}

//! A message with all that belongs to it, whatever its type: as it is held, forwarded and packed.

use super::{Chain, ReplySlot};
use crate::{
    clock::Moment,
    ident::{ProcessId, RequestId},
    wire::EncodeError,
};
use bytes::Bytes;
use std::{any::Any, cell::RefCell, fmt, ptr, sync::Arc};

/// A message on its way, with its reply address, deadline and call chain.
#[derive(Debug)]
pub struct Letter {
    /// The message.
    pub body: Body,
    /// Who waits for the reply.
    pub reply: ReplyTo,
    /// The moment after which it must not start.
    pub deadline: Option<Moment>,
    /// The actors whose turns wait for it.
    pub chain: Chain,
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

    /// The same, to be kept.
    pub fn shared_name(&self) -> Arc<str> {
        match self {
            Self::Typed(message) => shared(message.name()),
            Self::Encoded { name, .. } => name.clone(),
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

/// A name in memory of its own, which messages of one type that a thread sends one after the other share.
fn shared(name: &'static str) -> Arc<str> {
    thread_local! {
        static LAST: RefCell<Option<(&'static str, Arc<str>)>> = const { RefCell::new(None) };
    }
    let known = LAST.try_with(|last| {
        let mut last = last.borrow_mut();
        match &*last {
            Some((known, shared)) if ptr::eq(*known, name) => shared.clone(),
            _ => {
                let shared: Arc<str> = name.into();
                *last = Some((name, shared.clone()));
                shared
            }
        }
    });
    // None any more: the thread is ending.
    known.unwrap_or_else(|_| name.into())
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
    /// Appends what travels to `bytes`.
    ///
    /// # Errors
    /// If it cannot be serialized; `bytes` ends with a part of it.
    fn encode_into(&self, bytes: &mut Vec<u8>) -> Result<(), EncodeError> {
        bytes.extend_from_slice(&self.encode()?);
        Ok(())
    }
    /// The value.
    fn into_any(self: Box<Self>) -> Box<dyn Any + Send>;
}

/// A message of this process with all that belongs to it, by reference: what goes out at once is never made a [`Letter`].
pub struct Outbound<'a> {
    /// The message.
    pub message: &'a dyn TypedMessage,
    /// Who waits for the reply; taken when it goes out.
    pub reply: Option<ReplySlot>,
    /// The moment after which it must not start.
    pub deadline: Option<Moment>,
    /// The actors whose turns wait for it.
    pub chain: &'a Chain,
}

/// Who waits for a reply.
#[derive(Debug)]
pub enum ReplyTo {
    /// Nobody: a tell.
    Nobody,
    /// A caller in this process that holds the other end.
    Here(ReplySlot),
    /// The timer of this number, for its tick to run: a tell otherwise.
    Timer(u64),
    /// A request of a process (of this one too).
    Process {
        /// Whose request.
        process: ProcessId,
        /// Which.
        request: RequestId,
    },
}

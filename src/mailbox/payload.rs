//! What a mailbox holds: messages of callers in this process as they are, all others as letters.

use super::{Answer, Body, Chain, Home, Letter, ReplySender, ReplyTo, ReplyWait, TypedMessage};
use crate::clock::Moment;
use std::{any::TypeId, sync::Arc, time::Duration};

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// [`Told`].
    Told,
    /// [`Asked`].
    Asked,
    /// [`Letter`].
    Letter,
}

/// What can be put into a mailbox.
pub trait Payload: Send + Sized + 'static {
    /// What it is.
    const FORM: Form;

    /// The type of the message; of a letter, that of the letter.
    const MESSAGE: TypeId;

    /// The same as a letter.
    fn into_letter(self) -> Letter;
}

/// A message that nobody waits for, from this process.
pub struct Told<M>(pub M);

impl<M: TypedMessage> Payload for Told<M> {
    const FORM: Form = Form::Told;
    const MESSAGE: TypeId = TypeId::of::<M>();

    fn into_letter(self) -> Letter {
        Letter {
            body: Body::Typed(Box::new(self.0)),
            reply: ReplyTo::Nobody,
            deadline: None,
            chain: Chain::NONE,
        }
    }
}

/// A message whose caller waits for the reply, in this process.
pub struct Asked<M, R> {
    /// The message.
    pub message: M,
    /// Where the reply goes; `None` if nowhere yet.
    pub reply: Option<ReplySender<R>>,
    /// Where its caller waits, if that is another thread than where it runs.
    pub home: Option<Arc<dyn Home>>,
    /// The moment after which it must not start.
    pub deadline: Option<Moment>,
    /// The actors whose turns wait for it.
    pub chain: Chain,
}

/// A message that is run where it is sent ([`super::Host::run_here`]), and what became of it.
pub struct Call<M, R> {
    /// The message, until it runs.
    pub message: Option<M>,
    /// The actors whose turns wait for it, until it runs.
    pub chain: Chain,
    /// Its answer, if its turn has ended.
    pub answer: Option<Answer<R>>,
    /// Its answer later, if its turn waits.
    pub wait: Option<ReplyWait<R>>,
    /// The moment until which its caller waits; set when its turn waits, if not before.
    pub deadline: Option<Moment>,
    /// How long its caller waits, if no deadline was set.
    pub timeout: Duration,
}

impl<M: TypedMessage, R: Send + 'static> Payload for Asked<M, R> {
    const FORM: Form = Form::Asked;
    const MESSAGE: TypeId = TypeId::of::<M>();

    fn into_letter(self) -> Letter {
        Letter {
            body: Body::Typed(Box::new(self.message)),
            reply: (self.reply).map_or(ReplyTo::Nobody, |sender| ReplyTo::Here(sender.into())),
            deadline: self.deadline,
            chain: self.chain,
        }
    }
}

impl Payload for Letter {
    const FORM: Form = Form::Letter;
    const MESSAGE: TypeId = TypeId::of::<Self>();

    fn into_letter(self) -> Letter {
        self
    }
}

//! What goes straight out.

use super::Switchboard;
use crate::{
    actor::SentOut,
    caller::{
        convert::{near, time_left},
        watch::Watch,
    },
    ident::{ActorId, RequestId, SiloId},
    mailbox::Outbound,
    wire::{Envelope, Frame, Outgoing, Scratch},
};

impl Switchboard {
    /// Sends a message to another process without making it a letter, nor a whole frame if the link takes it at once.
    /// [`SentOut::No`]: nothing happened.
    pub(in crate::caller) fn send_out(&self, actor: &ActorId, to: &SiloId, outbound: &mut Outbound<'_>) -> SentOut {
        let Outbound {
            message,
            reply,
            deadline,
            chain,
        } = outbound;
        let now = near(*deadline, &self.clock);
        let mut body = Scratch::take();
        if deadline.is_some_and(|deadline| deadline < now) || message.encode_into(body.bytes()).is_err() {
            return SentOut::No;
        }
        let mut sent = SentOut::Yes;
        let request = match (reply.take(), *deadline) {
            (None, _) => RequestId::NONE,
            (Some(slot), Some(deadline)) if Watch::takes(deadline, now) => {
                sent = SentOut::Watched;
                self.pending.register_watched(slot, actor.clone(), deadline, to.clone())
            }
            (Some(slot), deadline) => self.pending.register(slot, actor.clone(), deadline, Some(to.clone())),
        };
        if sent == SentOut::Watched {
            self.watch.begin();
        }
        let callers = chain.to_vec();
        let call = Envelope {
            actor,
            message: message.name(),
            request,
            from: &self.process,
            time_left: time_left(*deadline, now),
            chain: &callers,
            trace: chain.trace(),
        };
        if body.bytes().len() >= Outgoing::BY_REFERENCE || !self.links.send_call(to, call, body.bytes()) {
            self.links.send(to, Frame::Call(call.call(body.into_bytes())));
        }
        sent
    }
}

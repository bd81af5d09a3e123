//! Questions to a silo itself, by the name of a service of its.

use super::Switchboard;
use crate::{
    ident::{ActorId, SiloId},
    mailbox::{Replied, reply_pair},
    wire::{Failure, FailureCode, Frame, Outcome, Ran},
};
use bytes::Bytes;
use std::time::Duration;

impl Switchboard {
    /// Asks a silo a query of its own, and answers what it said, named MessagePack.
    ///
    /// # Errors
    /// The silo's own, or that it is none of the cluster, or did not answer `within` the time.
    pub async fn query(&self, silo: &SiloId, name: &str, body: Bytes, within: Duration) -> Result<Bytes, Failure> {
        let (slot, wait) = reply_pair::<()>();
        let about = ActorId::new("quark", "silo").expect("invariant: the names are valid");
        let request = self.pending().register(slot.into(), about, None, None);
        if self.links().silos().contains(silo) {
            self.pending().sent(request, silo);
            let name = name.to_owned();
            self.links().send(silo, Frame::Query { request, name, body });
        } else {
            let text = format!("{silo} is not a silo of the cluster, as far as this process knows");
            let failure = Failure::new(FailureCode::NotHosted, Ran::No, text);
            self.pending().answer(request, Outcome::Failure(failure));
        }
        match self.clock().timeout(within, wait).await {
            Some(Some(Ok(Replied::Encoded(bytes)))) => Ok(bytes),
            Some(Some(Err(failure))) => Err(failure),
            Some(Some(Ok(Replied::Typed(()))) | None) => {
                let text = format!("{silo} gave no answer to {name:?}");
                Err(Failure::new(FailureCode::BadReply, Ran::Yes, text))
            }
            None => {
                let text = format!("{silo} did not answer {name:?} within {within:?}");
                Err(Failure::new(FailureCode::TimedOut, Ran::Unknown, text))
            }
        }
    }
}

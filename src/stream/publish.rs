//! How a stream gives an event to its subscribers.

use super::{
    delivery::Given,
    event::Stamped,
    messages::{Delivery, Publish, SendKept},
    stream_actor::Stream,
};
use crate::{
    actor::{Context, Handler},
    ident::ActorId,
};
use std::time::Duration;

/// How often those who had no room are looked at.
const LOOK: Duration = Duration::from_millis(5);

/// The name of the timer that does so.
const KEPT: &str = "kept";

#[diagnostic::do_not_recommend]
impl Handler<Publish> for Stream {
    async fn handle(&mut self, publish: Publish, ctx: &mut Context<Self>) -> Delivery {
        self.follow(ctx);
        self.published += 1;
        let event = Stamped::new(&publish.0, ctx.id(), ctx.epoch());
        let (services, clock) = (ctx.services(), ctx.clock());
        let port = |actor: &ActorId| services.port(actor.clone());
        let mut delivery = Delivery::default();
        let explicit = self.explicit.get_mut(event.event.name()).into_iter().flatten();
        for subscriber in explicit.chain(&mut self.implicit) {
            let mut given = subscriber.give(&event, clock, port);
            if given == Given::NotYet {
                given = subscriber.wait_and_give(&event, clock).await;
            }
            match given {
                Given::Delivered => delivery.delivered += 1,
                Given::Kept => delivery.kept += 1,
                Given::Dropped => delivery.dropped += 1,
                Given::Failed | Given::NotYet => delivery.failed += 1,
            }
        }
        if delivery.kept > 0 && !ctx.has_timer(KEPT) {
            ctx.set_interval(KEPT, LOOK, SendKept);
        }
        delivery
    }
}

#[diagnostic::do_not_recommend]
impl Handler<SendKept> for Stream {
    async fn handle(&mut self, _: SendKept, ctx: &mut Context<Self>) {
        let (services, clock) = (ctx.services().clone(), ctx.clock().clone());
        let (stream, epoch) = (ctx.id().clone(), ctx.epoch());
        let mut keeps = false;
        for subscriber in self.explicit.values_mut().flatten().chain(&mut self.implicit) {
            if subscriber.keeps() {
                subscriber.reach(|actor| services.port(actor.clone()));
                subscriber.send_kept(&stream, epoch, &clock);
                keeps |= subscriber.keeps();
            }
        }
        if !keeps {
            ctx.cancel_timer(KEPT);
        }
    }
}

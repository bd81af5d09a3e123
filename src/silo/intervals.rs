//! What supervisors do at intervals, by the silo's own clock.

use crate::clock::Clock;
use actix::{Actor, ActorFutureExt, AsyncContext, Context, fut::wrap_future};
use std::time::Duration;

/// Has an actor do something after `interval`, again and again as long as it runs.
pub(super) fn every<A>(ctx: &mut Context<A>, clock: &Clock, interval: Duration, run: fn(&mut A, &mut Context<A>))
where
    A: Actor<Context = Context<A>>,
{
    let again = clock.clone();
    after(ctx, clock, interval, move |actor, ctx| {
        run(actor, ctx);
        every(ctx, &again, interval, run);
    });
}

/// Has an actor do something after `time`, once.
pub(super) fn after<A>(
    ctx: &mut Context<A>,
    clock: &Clock,
    time: Duration,
    run: impl FnOnce(&mut A, &mut Context<A>) + 'static,
) where
    A: Actor<Context = Context<A>>,
{
    let sleep = wrap_future::<_, A>(clock.sleep(time));
    ctx.spawn(sleep.map(move |(), actor, ctx| run(actor, ctx)));
}

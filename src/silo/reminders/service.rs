//! The reminder supervisor: does what the reminder engine wants, and tells it what came of it. The engine belongs to the node, so that
//! a restarted supervisor goes on.

use crate::{
    clock::Moment,
    reminder::{Command, Event},
    silo::{Node, queries::News, services::Running},
    store::BucketRow,
};
use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, Message, SpawnHandle, WrapFuture};
use std::{sync::Arc, time::Duration};
use tokio::sync::watch;

/// The reminder supervisor of a silo.
pub(in crate::silo) struct ReminderSupervisor {
    node: Arc<Node>,
    alarm: Option<SpawnHandle>,
    _running: Running,
}

impl ReminderSupervisor {
    pub(in crate::silo) fn new(node: Arc<Node>) -> Self {
        Self {
            _running: node.services.running(),
            node,
            alarm: None,
        }
    }
}

impl Actor for ReminderSupervisor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.node.reminding.engine.lock().restarted();
        let views = self.node.views.subscribe();
        self.event(Event::Wanted(self.node.own_buckets()), ctx);
        self.watch(views, ctx);
    }
}

/// Something for the reminder engine.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Happened(pub(super) Event);

impl Handler<Happened> for ReminderSupervisor {
    type Result = ();

    fn handle(&mut self, happened: Happened, ctx: &mut Self::Context) {
        self.event(happened.0, ctx);
    }
}

impl ReminderSupervisor {
    fn event(&mut self, event: Event, ctx: &mut Context<Self>) {
        let now = self.node.clock.wall_micros();
        let commands = self.node.reminding.engine.lock().on(now, event);
        for command in commands {
            self.carry_out(command, ctx);
        }
    }

    /// Looks after other buckets as soon as there is another view.
    fn watch(&self, mut views: watch::Receiver<crate::membership::View>, ctx: &mut Context<Self>) {
        let next = async move { views.changed().await.is_ok().then_some(views) };
        ctx.spawn(next.into_actor(self).map(|views, supervisor, ctx| {
            // There are none after the node's end.
            if let Some(views) = views {
                let wanted = supervisor.node.own_buckets();
                supervisor.event(Event::Wanted(wanted), ctx);
                supervisor.watch(views, ctx);
            }
        }));
    }

    fn carry_out(&mut self, command: Command, ctx: &mut Context<Self>) {
        let node = self.node.clone();
        match command {
            Command::ReadBuckets => self.then(async move {
                let answer = node.in_time(node.store.buckets()).await;
                Event::BucketsRead(answer.map(|rows| node.with_gone(rows)))
            }),
            Command::ChangeBucket { bucket, expected, new } => self.then(async move {
                let answer = node
                    .in_time(node.store.change_bucket(bucket, expected, new.clone()))
                    .await;
                Event::BucketChanged { bucket, new, answer }
            }),
            Command::TellHandedOver => {
                for silo in node.board().links().silos() {
                    node.notify(&silo, News::BucketsFree);
                }
            }
            Command::Read { bucket, epoch, window } => self.then(async move {
                let _turn = node.reminding.reads.acquire().await;
                let answer = node.in_time(node.store.read_bucket(bucket, window)).await;
                Event::Read {
                    bucket,
                    epoch,
                    window,
                    answer,
                }
            }),
            Command::Check(ticks) => self.then(async move {
                let answer = node.in_time(node.store.check_ticks(&node.me, ticks.clone())).await;
                Event::Checked { ticks, answer }
            }),
            Command::Advance(ticks) => self.then(async move {
                let answer = node.in_time(node.store.advance_ticks(&node.me, ticks.clone())).await;
                Event::Advanced { ticks, answer }
            }),
            Command::Deliver(ticks) => self.node.spawn(async move { node.deliver_ticks(ticks).await }),
            Command::WakeAt(at) => self.wake_at(at, ctx),
        }
    }

    /// Runs an operation; its event goes to whichever supervisor there is then.
    fn then(&self, operation: impl Future<Output = Event> + Send + 'static) {
        let node = self.node.clone();
        self.node.spawn(async move {
            let event = operation.await;
            if let Event::BucketsRead(Err(error))
            | Event::BucketChanged { answer: Err(error), .. }
            | Event::Read { answer: Err(error), .. }
            | Event::Checked { answer: Err(error), .. }
            | Event::Advanced { answer: Err(error), .. } = &event
            {
                tracing::debug!(silo = %node.me, %error, "reminders wait for the store");
            }
            node.reminding.happened(event);
        });
    }

    fn wake_at(&mut self, at: u64, ctx: &mut Context<Self>) {
        if let Some(alarm) = self.alarm.take() {
            ctx.cancel_future(alarm);
        }
        let clock = &self.node.clock;
        let left = Duration::from_micros(at.saturating_sub(clock.wall_micros()));
        let moment: Moment = clock.now() + left;
        let alarm = clock.sleep_until(moment).into_actor(self).map(|(), supervisor, ctx| {
            supervisor.alarm = None;
            supervisor.event(Event::Tick, ctx);
        });
        self.alarm = Some(ctx.spawn(alarm));
    }
}

impl Node {
    /// The rows, each with whether its owner is gone.
    fn with_gone(&self, rows: Vec<BucketRow>) -> Vec<(BucketRow, bool)> {
        let is_gone = |row: BucketRow| {
            let gone = row.entry.owner.as_ref().is_some_and(|owner| {
                self.services.owner_seen(self, owner);
                self.is_gone(owner)
            });
            (row, gone)
        };
        rows.into_iter().map(is_gone).collect()
    }
}

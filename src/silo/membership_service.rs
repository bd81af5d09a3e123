//! The membership supervisor: does what the membership engine wants, and tells it what came of it. The engine belongs to the
//! node, so that a restarted supervisor goes on.

use super::{
    Node,
    cluster::ClusterChange,
    queries::{MEMBERSHIP_NOTICE, News, Notice},
    services::Running,
};
use crate::{
    clock::Moment,
    ident::{RequestId, SiloId},
    membership::{Command, Event},
    wire::{self, Frame},
};
use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, Message, SpawnHandle, WrapFuture};
use std::sync::Arc;
use tokio::sync::watch;

/// The membership supervisor of a silo.
pub(super) struct MembershipSupervisor {
    node: Arc<Node>,
    alarm: Option<SpawnHandle>,
    _running: Running,
}

impl MembershipSupervisor {
    pub(super) fn new(node: Arc<Node>) -> Self {
        Self {
            _running: node.services.running(),
            node,
            alarm: None,
        }
    }
}

impl Actor for MembershipSupervisor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        // A restarted supervisor does not know what its predecessor waited for; a tick is harmless.
        self.event(Event::Tick, ctx);
        self.watch(self.node.store.views(), ctx);
    }
}

/// Something for the membership engine.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Happened(pub(super) Event);

impl Handler<Happened> for MembershipSupervisor {
    type Result = ();

    fn handle(&mut self, happened: Happened, ctx: &mut Self::Context) {
        self.event(happened.0, ctx);
    }
}

impl MembershipSupervisor {
    fn event(&mut self, event: Event, ctx: &mut Context<Self>) {
        let now = self.node.clock.now();
        let commands = self.node.membership.lock().on(now, event);
        for command in commands {
            self.carry_out(command, ctx);
        }
    }

    /// Hears of views that the store tells of by itself: the table is then read at once, not when it is time.
    fn watch(&self, mut views: watch::Receiver<u64>, ctx: &mut Context<Self>) {
        let next = async move { views.changed().await.is_ok().then_some(views) };
        ctx.spawn(next.into_actor(self).map(|views, supervisor, ctx| {
            // There are none after the store's end.
            if let Some(mut views) = views {
                let view = *views.borrow_and_update();
                supervisor.event(Event::PeerSaysViewChanged { view }, ctx);
                supervisor.watch(views, ctx);
            }
        }));
    }

    /// Runs an operation; its event goes to the engine.
    fn then(&self, operation: impl Future<Output = Event> + 'static, ctx: &mut Context<Self>) {
        ctx.spawn(
            operation
                .into_actor(self)
                .map(|event, supervisor, ctx| supervisor.event(event, ctx)),
        );
    }

    fn carry_out(&mut self, command: Command, ctx: &mut Context<Self>) {
        let node = self.node.clone();
        #[cfg(feature = "testkit")]
        crate::faults::stepped(command.name());
        match command {
            Command::ReadTable { read } => self.then(
                async move {
                    let answer = node.in_time(node.store.members()).await;
                    Event::TableRead { read, answer }
                },
                ctx,
            ),
            Command::WriteRow {
                write,
                expected_view,
                change,
            } => self.then(
                async move {
                    let answer = node.in_time(node.store.change_member(expected_view, change)).await;
                    Event::RowWritten { write, answer }
                },
                ctx,
            ),
            Command::Heartbeat { n } => self.then(
                async move {
                    let answer = node.in_time(node.store.heartbeat(&node.me, n)).await;
                    Event::HeartbeatWritten { n, answer }
                },
                ctx,
            ),
            Command::Probe { silo, .. } => self.then(
                async move {
                    if node.probe(&silo).await {
                        Event::ProbeAnswered { silo }
                    } else {
                        Event::ProbeFailed { silo }
                    }
                },
                ctx,
            ),
            Command::AskSecondOpinion { peer, about, .. } => node.notify(&peer, News::ProbeFor { about }),
            Command::AskStoreReach { peer, round, .. } => node.notify(&peer, News::StoreReachAsked { round }),
            Command::AnswerStoreReach {
                peer,
                round,
                unreachable,
            } => node.notify(&peer, News::StoreReach { round, unreachable }),
            Command::PushView { .. } => {
                for silo in node.board().links().silos() {
                    node.notify(&silo, News::View);
                }
            }
            Command::ViewChanged(view) => node.change(ClusterChange::View(view)),
            Command::SiloDied(silo) => node.change(ClusterChange::Gone(silo, "dead")),
            Command::SiloLeft(silo) => node.change(ClusterChange::Gone(silo, "left")),
            Command::LeaseHeld { until } => {
                #[cfg(feature = "testkit")]
                let until = node.leased(until);
                node.serve_until(until);
                node.pool().run_until(until);
            }
            #[cfg(feature = "testkit")]
            Command::LeaseLost if node.keeps_lease() => {}
            Command::LeaseLost => {
                // A silo that leaves in order gives its lease up when nothing runs any more.
                if node.seats.tally().activations > 0 {
                    tracing::error!(silo = %node.me, "the lease is lost: turns stand still until it is renewed");
                }
                node.serve_until(Moment::default());
                node.pool().pause(true);
            }
            Command::StoreWentBack { known, found } => {
                tracing::error!(known, found, "the store has lost writes");
                node.assert_entries();
                node.record_shapes();
            }
            Command::Fenced(reason) => node.end.fenced(&reason.to_string()),
            Command::Left => node.end.left(),
            Command::WakeAt(at) => self.wake_at(at, ctx),
        }
    }

    fn wake_at(&mut self, at: Moment, ctx: &mut Context<Self>) {
        if let Some(alarm) = self.alarm.take() {
            ctx.cancel_future(alarm);
        }
        let sleep = self.node.clock.sleep_until(at);
        let alarm = sleep.into_actor(self).map(|(), supervisor, ctx| {
            supervisor.alarm = None;
            supervisor.event(Event::Tick, ctx);
        });
        self.alarm = Some(ctx.spawn(alarm));
    }
}

impl Node {
    /// Whether a silo answers a probe within the probe timeout.
    pub(super) async fn probe(self: &Arc<Self>, silo: &SiloId) -> bool {
        let answer = self.services.probe(self, silo);
        let answered = self.clock.timeout(self.options.membership.probe_timeout, answer).await;
        answered.is_some()
    }

    /// Tells a silo something about membership.
    pub(super) fn notify(&self, silo: &SiloId, news: News) {
        let view = self.membership.lock().known_view();
        match wire::encode(&Notice { view, news }) {
            Ok(body) => {
                let name = MEMBERSHIP_NOTICE.to_owned();
                let request = RequestId::NONE;
                self.board().links().send(silo, Frame::Query { request, name, body });
            }
            Err(error) => tracing::error!(%error, "a notice cannot be serialized"),
        }
    }
}

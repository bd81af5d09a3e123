//! The silo supervisor: the actix actor above the silo's services. Starts them, starts them again when they end, and does the
//! housekeeping that nobody waits for.

use super::{
    Node,
    balancing::TELL_LOAD,
    intervals::{after, every},
    membership_service::MembershipSupervisor,
    migration_service::MigrationSupervisor,
    outboxes::WAKE_INTERVAL,
    place::Place,
    reminders::ReminderSupervisor,
    rollouts::LOOK,
};
use crate::{ident::ActorId, migration::Seat};
use actix::{Actor, ActorFutureExt, Addr, AsyncContext, Context, fut::wrap_future};
use std::{sync::Arc, time::Duration};

/// How long after its end a service is started again: one that ends at once does not keep the thread busy.
const RESTART: Duration = Duration::from_millis(200);

/// How long a quiet forwarding entry may stay, for callers who do not know better.
const FORGET: Duration = Duration::from_millis(500);

/// How many of them are forgotten at once, and how long others have their turn then: a drain leaves tens of thousands behind.
const FORGOTTEN: usize = 1000;
const BREATH: Duration = Duration::from_millis(5);

/// In how many failure timeouts what was lost with a silo can come no more: every silo has long read of its death and closed its links,
/// or ended. Five minutes by default.
const LOST: u32 = 60;

/// How often what is overdue is swept.
const SWEEP: Duration = Duration::from_secs(1);

/// The silo supervisor.
pub(super) struct SiloSupervisor {
    node: Arc<Node>,
    membership: Addr<MembershipSupervisor>,
    migration: Addr<MigrationSupervisor>,
    reminders: Addr<ReminderSupervisor>,
}

impl SiloSupervisor {
    /// Starts the services.
    pub(super) fn new(node: Arc<Node>) -> Self {
        let supervisor = Self {
            membership: MembershipSupervisor::new(node.clone()).start(),
            migration: MigrationSupervisor::new(node.clone()).start(),
            reminders: ReminderSupervisor::new(node.clone()).start(),
            node,
        };
        supervisor.publish();
        supervisor
    }

    fn publish(&self) {
        self.node.services.set_membership(self.membership.clone());
        self.node.services.set_migration(self.migration.clone());
        self.node.reminding.set_address(self.reminders.clone());
    }

    /// Looks at what the workers are at, again and again.
    fn sample(&mut self, ctx: &mut Context<Self>) {
        let again = self.node.sample_workers();
        let clock = self.node.clock.clone();
        after(ctx, &clock, again, Self::sample);
    }

    /// Forgets quiet forwarding entries, again and again: those of `actors`, or all that there are.
    fn forget(&mut self, mut actors: Vec<ActorId>, ctx: &mut Context<Self>) {
        let node = &self.node;
        if actors.is_empty() {
            let forwards = |actor: &ActorId, place: &Place| place.seat.forwarding().map(|_| actor.clone());
            actors = node.seats.select_busy(forwards);
        }
        for actor in actors.split_off(actors.len().saturating_sub(FORGOTTEN)) {
            node.at(&actor, |place| place.seat.forget_forwarding());
        }
        let again = if actors.is_empty() { FORGET } else { BREATH };
        let clock = node.clock.clone();
        after(ctx, &clock, again, |supervisor, ctx| supervisor.forget(actors, ctx));
    }

    /// Looks after the services as often as one ends.
    fn watch(&self, ctx: &mut Context<Self>) {
        let ended = self.node.services.ended.clone();
        let next = wrap_future::<_, Self>(async move { ended.notified().await });
        ctx.spawn(next.map(|(), supervisor, ctx| {
            let clock = supervisor.node.clock.clone();
            after(ctx, &clock, RESTART, |supervisor: &mut Self, ctx| {
                supervisor.check();
                supervisor.watch(ctx);
            });
        }));
    }

    /// A service that panicked takes its context with it; the node has what it worked on.
    fn check(&mut self) {
        if !self.membership.connected() {
            tracing::error!(silo = %self.node.me, "the membership supervisor has ended; it is started again");
            self.membership = MembershipSupervisor::new(self.node.clone()).start();
            self.publish();
        }
        if !self.migration.connected() {
            tracing::error!(silo = %self.node.me, "the migration supervisor has ended; it is started again");
            self.migration = MigrationSupervisor::new(self.node.clone()).start();
            self.publish();
        }
        if !self.reminders.connected() {
            tracing::error!(silo = %self.node.me, "the reminder supervisor has ended; it is started again");
            self.reminders = ReminderSupervisor::new(self.node.clone()).start();
            self.publish();
        }
    }
}

impl Actor for SiloSupervisor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let clock = self.node.clock.clone();
        let mut every = |interval, run: fn(&mut Self, &mut Context<Self>)| every(ctx, &clock, interval, run);
        every(self.node.look_interval(), |supervisor, _| {
            supervisor.node.look_at_turns();
        });
        every(self.node.options.membership.failure_timeout * LOST, |supervisor, _| {
            supervisor.node.at_busy(Seat::has_lost, Seat::forget_lost);
        });
        every(LOOK, |supervisor, _| supervisor.node.look_after_rollout());
        every(WAKE_INTERVAL, |supervisor, _| supervisor.node.wake_posters());
        every(TELL_LOAD, |supervisor, _| supervisor.node.tell_load());
        if let Some(options) = &self.node.options.rebalance {
            every(options.interval, |supervisor, _| supervisor.node.rebalance());
        }
        every(SWEEP, |supervisor, _| {
            supervisor.node.board().sweep();
            let now = supervisor.node.clock.now();
            supervisor.node.accepted.sweep(now);
            supervisor
                .node
                .parcels
                .sweep(now, supervisor.node.options.migration_timeout);
        });
        self.sample(ctx);
        self.watch(ctx);
        after(ctx, &clock, FORGET, |supervisor, ctx| {
            supervisor.forget(Vec::new(), ctx)
        });
    }
}

//! Turns that are stuck, and the load of the workers: what the silo sees of its own threads, and tells.

use super::{Node, queries::millis};
use crate::{
    clock::Moment,
    ident::ActorId,
    mailbox::Mailbox,
    runtime::Blocked,
    wire::{StuckTurn, WorkerStatus},
};
use std::{sync::Arc, time::Duration};

/// How often it is looked at what the workers are at, while they are at anything.
const SAMPLE: Duration = Duration::from_millis(10);

/// How often at most and at least it is looked which turns wait.
const LOOK: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));

/// A turn that takes too long.
pub(super) struct Stuck {
    mailbox: Arc<Mailbox>,
    message: String,
    since: Moment,
    /// The visit, if it blocks its thread.
    blocked: Option<Blocked>,
}

impl Node {
    /// How often [`Node::look_at_turns`] is to be called.
    pub(super) fn look_interval(&self) -> Duration {
        (self.options.stuck_turn / 4).clamp(LOOK.0, LOOK.1)
    }

    /// Looks at what the workers are at. Answers after how long to look again: seldom while they are at rest.
    pub(super) fn sample_workers(&self) -> Duration {
        let pool = self.pool();
        let (found, at_rest) = self.watcher.lock().sample(pool, self.clock.now());
        for blocked in found {
            // Seldom enough to visit every seat.
            let at = self.seats.select(|_, place| {
                let activation = place.activation.as_ref()?;
                let mailbox = activation.mailbox();
                let kind = activation.kind();
                let message = blocked.message().and_then(|number| kind.messages().get(number));
                let named = message.map_or("", |message| message.name()).to_owned();
                pool.is_at(&blocked, mailbox).then(|| (mailbox.clone(), named))
            });
            for (mailbox, message) in at {
                self.stuck(mailbox, message, blocked.since, Some(blocked));
            }
        }
        if at_rest { self.look_interval() } else { SAMPLE }
    }

    /// Looks at the turns that wait.
    pub(super) fn look_at_turns(&self) {
        self.forget_unstuck();
        self.watcher.lock().look(self.pool(), self.clock.now());
    }

    /// The turn of an activation takes too long.
    pub(super) fn stuck(&self, mailbox: Arc<Mailbox>, message: String, since: Moment, blocked: Option<Blocked>) {
        let (actor, took) = (mailbox.actor(), self.clock.now().since(since));
        let message_or_hook = if message.is_empty() { "a hook" } else { &message };
        if blocked.is_some() {
            tracing::warn!(%actor, message = message_or_hook, ?took, "a turn blocks its thread: no other actor of the thread can run");
        } else {
            tracing::warn!(%actor, message = message_or_hook, ?took, "a turn is stuck: it waits, and the messages behind it too");
        }
        self.stuck.lock().push(Stuck {
            mailbox,
            message,
            since,
            blocked,
        });
    }

    fn forget_unstuck(&self) {
        let pool = self.pool();
        self.stuck.lock().retain(|stuck| match &stuck.blocked {
            Some(blocked) => pool.is_blocked(blocked),
            None => {
                let activity = stuck.mailbox.activity();
                activity.calls > 0 && activity.last == stuck.since
            }
        });
    }

    pub(super) fn stuck_turns(&self) -> Vec<StuckTurn> {
        self.forget_unstuck();
        let now = self.clock.now();
        let stuck = self.stuck.lock();
        let tell = |stuck: &Stuck| StuckTurn {
            actor: ActorId::clone(stuck.mailbox.actor()),
            message: stuck.message.clone(),
            for_ms: millis(now.since(stuck.since)),
            blocks: stuck.blocked.is_some(),
        };
        stuck.iter().map(tell).collect()
    }

    pub(super) fn worker_status(&self) -> Vec<WorkerStatus> {
        let loads = self.pool().loads().into_iter();
        loads
            .map(|load| WorkerStatus {
                activations: load.activations,
                turns: load.turns,
                busy: f64::from(load.busy_permille) / 1000.0,
            })
            .collect()
    }
}

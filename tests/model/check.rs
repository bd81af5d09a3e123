//! What must hold in every world, and the [`Model`] that the checker explores.

use crate::{
    acts::Act,
    config::Config,
    world::{
        BAD_COMMAND, FALSE_PROOF, LOST_EFFECT, Msg, NOT_OWNER, OLD_WRITE, ORDER, Out, Run, SENT_TO_LEAVER, Silo, TWICE,
        TWO, World, number,
    },
};
use stateright::{Model, Property};
use std::sync::Arc;

macro_rules! laws {
    ($($name:ident: $text:literal, $bit:expr;)*) => {
        $(pub(crate) const $name: &str = $text;)*

        /// All laws, by their names.
        pub(crate) const LAWS: &[&str] = &[$($name,)* ENDS];

        fn all_laws() -> Vec<Property<Config>> {
            vec![$(Property::always($name, |_: &Config, world: &World| world.broken & $bit == 0)),*]
        }
    };
}

laws! {
    ONE_SILO: "one silo at a time", TWO;
    ONLY_OWNER: "only the owner runs turns", NOT_OWNER;
    ONCE: "no message twice", TWICE;
    IN_ORDER: "order per caller", ORDER;
    PROVEN: "proven not run is true", FALSE_PROOF;
    KEPT: "no acknowledged effect lost", LOST_EFFECT;
    NO_OLD_WRITE: "no write from an older epoch", OLD_WRITE;
    COMMANDS_FIT: "commands fit the runtime", BAD_COMMAND;
    LEFT_ALONE: "nothing to a silo that leaves", SENT_TO_LEAVER;
}

/// Where nothing can happen any more, nothing waits.
pub(crate) const ENDS: &str = "everything ends";

/// Not a law: a scenario in which not all that it is about can happen shows nothing.
pub(crate) const HAPPENS: &str = "everything happens";

impl Config {
    /// Whether all that this scenario is about has happened, and all messages have gone out.
    fn all_happened(&self, world: &World) -> bool {
        let has = |bits: u8, silo: Option<u8>| silo.is_none_or(|x| bits & (1 << x) != 0);
        let gone_out = |out: &Out| !matches!(out, Out::Unsent | Out::Waiting);
        usize::from(world.moves) == self.moves.len()
            && world.crashes == self.crashes
            && world.cuts == self.cuts
            && world.lost_answers == self.lost_answers
            && world.refusals == self.refusals
            && world.failed_freezes == self.failed_freezes
            && world.failures == self.failures
            && world.given_up == self.give_up
            && world.called_off == self.call_off
            && (self.deactivate.is_empty() || world.deactivations > 0)
            && has(world.gone, self.leave)
            && has(world.dead, self.pause)
            && world.callers.iter().all(|caller| caller.out.iter().all(gone_out))
    }

    /// Whether nobody waits for anything, and a next message would find its way.
    fn ended(&self, world: &World) -> bool {
        let callers = world.callers.iter().all(|caller| {
            let open = caller.out.iter().enumerate().all(|(n, out)| match out {
                Out::Done => caller.has_run & (1 << n) != 0,
                // A deadline ends an open ask as unknown, but only a fault may leave one open.
                Out::Unknown | Out::Sent(_) => world.faults,
                Out::NotRun => self.give_up + self.failures > 0,
                Out::Waiting | Out::Unsent => false,
            });
            let mut steps = Vec::new();
            let mut way = caller.way.clone();
            way.send(Msg { caller: 0, n: 0 }, &mut steps);
            open && !steps.is_empty()
        });
        let silos = world.silos.iter().filter(|silo| silo.up).all(|silo| {
            let settled = silo.seat.phase().is_none() || silo.seat.is_settled();
            settled && !silo.seat.is_passing_on()
        });
        let owner = world.entry.owner.as_ref().is_none_or(|owner| {
            let silo = &world.silos[usize::from(number(owner))];
            world.faults || silo.activation.as_ref().is_some_and(|a| a.epoch == world.entry.epoch)
        });
        callers && silos && owner
    }
}

impl Model for Config {
    type State = World;
    type Action = Act;

    fn init_states(&self) -> Vec<World> {
        vec![World::new(self)]
    }

    fn actions(&self, world: &World, acts: &mut Vec<Act>) {
        if world.broken == 0 {
            self.must(world, acts);
            self.may(world, acts);
        }
    }

    fn next_state(&self, last: &World, act: Act) -> Option<World> {
        let mut next = last.clone();
        self.take(&mut next, act);
        let live = |silo: &&Arc<Silo>| {
            silo.up
                && !silo.paused
                && silo
                    .activation
                    .as_ref()
                    .is_some_and(|a| matches!(a.run, Run::Running | Run::Freezing | Run::Ending))
        };
        if next.silos.iter().filter(live).count() > 1 {
            next.violates(TWO);
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut laws = all_laws();
        laws.push(Property::sometimes(HAPPENS, |config: &Config, world: &World| {
            world.broken == 0 && config.all_happened(world)
        }));
        laws.push(Property::always(ENDS, |config: &Config, world: &World| {
            let mut acts = Vec::new();
            config.must(world, &mut acts);
            world.broken != 0 || !acts.is_empty() || config.ended(world)
        }));
        laws
    }
}

//! The model that the checker explores: which steps can be taken, and what must hold.

use crate::{
    caller::AtCaller,
    config::{Config, Mutant},
    silo::AtSilo,
    world::{
        BAD_COMMAND, FALSE_PROOF, Frame, LOST_EFFECT, Line, Msg, NOT_OWNER, OLD_WRITE, ORDER, Out, Run, SENT_TO_LEAVER,
        SILOS, TWICE, TWO, World, id, number,
    },
};
use quark::{
    migration::{Phase, Seat},
    wire::Refusal,
};
use stateright::{Model, Property};
use std::sync::Arc;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Act {
    /// A caller's next message.
    Send(u8),
    /// The callee reads the next frame of a link (dialler, callee); of a generation, where the old one is read on.
    Read(u8, u8, u8),
    /// The callee takes a new link and drops what it has not read of the old one.
    TakeNewLink(u8, u8),
    /// The dialler reads the next answer.
    ReadBack(u8, u8),
    Notice(u8, u8),
    Redial(u8, u8),
    SeeDeath(u8, u8),
    Locate(u8),
    GiveUp(u8),
    Apply(usize),
    ApplyAndAnswer(usize),
    Answer(usize),
    LoseAnswer(usize),
    Run(u8),
    Deactivate(u8),
    Deactivated(u8),
    Migrate(u8, u8),
    Packed(u8),
    FreezeFailed(u8),
    Prepared(u8),
    Refuse(u8),
    DropReservation(u8),
    SourceTimeout(u8),
    TargetTimeout(u8),
    ForgetForwarding(u8),
    Crash(u8),
    DeclareDead(u8),
    Cut(u8, u8),
    Pause(u8),
    Wake(u8),
    Leave(u8),
    Exit(u8),
}

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

/// From this attempt on a caller waits longer than anything else takes.
const PATIENT: u32 = 2;
/// A caller that has asked so often in vain will ask for ever.
const HOPELESS: u32 = 8;

impl Config {
    /// What goes on by itself, sooner or later.
    fn must(&self, world: &World, acts: &mut Vec<Act>) {
        self.links_go_on(world, acts);
        self.store_goes_on(world, acts);
        self.callers_go_on(world, acts);
        for x in 0..self.silos {
            self.silo_goes_on(world, x, acts);
        }
        if acts.is_empty() {
            for (c, caller) in world.callers.iter().enumerate() {
                let c = u8::try_from(c).expect("few callers");
                let late = caller
                    .locating
                    .is_some_and(|attempt| (PATIENT..HOPELESS).contains(&attempt));
                if late && AtCaller::look_up(self, world, c).is_some() {
                    acts.push(Act::Locate(c));
                }
            }
        }
    }

    fn links_go_on(&self, world: &World, acts: &mut Vec<Act>) {
        for (&(a, b), conn) in &world.conns {
            let awake = |p: u8| p >= SILOS || (world.silos[usize::from(p)].up && !world.silos[usize::from(p)].paused);
            if awake(b) {
                if let Some(&(first, _)) = conn.down.first() {
                    acts.push(Act::Read(a, b, first));
                    let newest = conn.down.last().map_or(first, |(generation, _)| *generation);
                    if newest > first && self.has(Mutant::OldLinkAfterNew) {
                        acts.push(Act::Read(a, b, newest));
                    } else if newest > first {
                        acts.push(Act::TakeNewLink(a, b));
                    }
                }
            }
            if awake(a) && !conn.back.is_empty() {
                acts.push(Act::ReadBack(a, b));
            }
            if !awake(a) {
                continue;
            }
            let seen = if a >= SILOS {
                world.callers[usize::from(a - SILOS)].seen
            } else {
                world.silos[usize::from(a)].seen
            };
            let b_is_up = world.silos[usize::from(b)].up;
            let died = world.dead & !world.gone & (1 << b) != 0;
            if conn.line == Line::Cut && seen & (1 << b) == 0 && (b_is_up || (a >= SILOS && concerns(world, a, b))) {
                acts.push(Act::Notice(a, b));
            }
            if conn.line == Line::Down && a >= SILOS && b_is_up && seen & (1 << b) == 0 {
                acts.push(Act::Redial(a, b));
            }
            if died && seen & (1 << b) == 0 {
                acts.push(Act::SeeDeath(a, b));
            }
        }
    }

    fn store_goes_on(&self, world: &World, acts: &mut Vec<Act>) {
        for (index, op) in world.ops.iter().enumerate() {
            let silo = &world.silos[usize::from(op.silo)];
            let waits = silo.up && !silo.paused && !op.orphan;
            match &op.answer {
                None if op.orphan || self.slow_store || !waits => acts.push(Act::Apply(index)),
                None => acts.push(Act::ApplyAndAnswer(index)),
                Some(_) if waits => acts.push(Act::Answer(index)),
                Some(_) => {}
            }
        }
    }

    fn callers_go_on(&self, world: &World, acts: &mut Vec<Act>) {
        for (c, caller) in world.callers.iter().enumerate() {
            let c = u8::try_from(c).expect("few callers");
            if usize::from(caller.next) < caller.out.len() {
                acts.push(Act::Send(c));
            }
            let soon = caller.locating.is_some_and(|attempt| attempt < PATIENT);
            if soon && AtCaller::look_up(self, world, c).is_some() {
                acts.push(Act::Locate(c));
            }
        }
    }

    fn silo_goes_on(&self, world: &World, x: u8, acts: &mut Vec<Act>) {
        let silo = &world.silos[usize::from(x)];
        let dead = world.dead & (1 << x) != 0;
        if silo.paused {
            acts.push(if dead { Act::Wake(x) } else { Act::DeclareDead(x) });
            return;
        }
        if !silo.up {
            if !dead {
                acts.push(Act::DeclareDead(x));
            }
            return;
        }
        if let Some(activation) = &silo.activation {
            match activation.run {
                Run::Running | Run::Ending if !activation.queue.is_empty() => acts.push(Act::Run(x)),
                Run::Ending => acts.push(Act::Deactivated(x)),
                Run::Freezing => acts.push(Act::Packed(x)),
                _ => {}
            }
        }
        match silo.seat.phase().map(|(phase, _)| phase) {
            Some(Phase::Prepared { asked: false, .. }) => acts.push(Act::Prepared(x)),
            Some(Phase::Frozen { resolving: false, .. }) if self.timeouts => acts.push(Act::SourceTimeout(x)),
            Some(Phase::Committed { starting: false, .. }) if self.timeouts => acts.push(Act::TargetTimeout(x)),
            _ => {}
        }
        if silo.seat.forwarding().is_some() && silo.seat.clone().forget_forwarding() {
            acts.push(Act::ForgetForwarding(x));
        }
        if silo.leaving {
            let all = (1u8 << world.callers.len()) - 1;
            let flushed = silo.acks == all && !silo.seat.is_passing_on();
            if flushed || self.has(Mutant::NoBarrier) {
                acts.push(Act::Exit(x));
            }
        }
    }

    /// What somebody wants, or what goes wrong.
    fn may(&self, world: &World, acts: &mut Vec<Act>) {
        for (index, op) in world.ops.iter().enumerate() {
            let silo = &world.silos[usize::from(op.silo)];
            if world.lost_answers < self.lost_answers && silo.up && !op.orphan {
                acts.push(Act::LoseAnswer(index));
            }
        }
        for (c, caller) in world.callers.iter().enumerate() {
            if world.given_up < self.give_up && caller.out.contains(&Out::Waiting) {
                acts.push(Act::GiveUp(u8::try_from(c).expect("few callers")));
            }
        }
        for x in 0..self.silos {
            let silo = &world.silos[usize::from(x)];
            if !silo.up || silo.paused {
                continue;
            }
            if world.crashes < self.crashes && self.crash.contains(&x) {
                acts.push(Act::Crash(x));
            }
            if self.pause == Some(x) && !world.faults {
                acts.push(Act::Pause(x));
            }
            if silo.activation.as_ref().is_some_and(|a| a.run == Run::Freezing)
                && world.failed_freezes < self.failed_freezes
            {
                acts.push(Act::FreezeFailed(x));
            }
            if matches!(silo.seat.phase(), Some((Phase::Prepared { asked: false, .. }, _))) {
                if world.refusals < self.refusals {
                    acts.push(Act::Refuse(x));
                } else if self.timeouts {
                    acts.push(Act::DropReservation(x));
                }
            }
            let settled = silo.seat.is_settled();
            if let Some(&(from, to)) = self.moves.get(usize::from(world.moves)) {
                let there = world.is_up(to) && (silo.seen | world.dead) & (1 << to) == 0;
                if from == x && silo.seat.is_movable() && there {
                    acts.push(Act::Migrate(from, to));
                }
            }
            if settled && self.deactivate.contains(&x) && world.deactivations == 0 {
                acts.push(Act::Deactivate(x));
            }
            let done = usize::from(world.moves) == self.moves.len();
            if self.leave == Some(x) && !silo.leaving && silo.seat.phase().is_none() && done {
                acts.push(Act::Leave(x));
            }
        }
        for &(a, b) in &self.cut {
            if world.cuts < self.cuts && world.is_up(a) && world.is_up(b) && world.conns[&(a, b)].line == Line::Up {
                acts.push(Act::Cut(a, b));
            }
        }
    }

    fn ended(&self, world: &World) -> bool {
        let callers = world.callers.iter().all(|caller| {
            let open = caller.out.iter().enumerate().all(|(n, out)| match out {
                Out::Done => caller.has_run & (1 << n) != 0,
                // A deadline ends an open ask as unknown, but only a fault may leave one open.
                Out::Unknown | Out::Sent(_) => world.faults,
                Out::NotRun => self.give_up > 0,
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

/// Whether the loss of a link would be noticed: something of the caller is there.
fn concerns(world: &World, a: u8, b: u8) -> bool {
    let caller = &world.callers[usize::from(a - SILOS)];
    caller.way.route().is_some_and(|route| number(&route.silo) == b) || caller.out.contains(&Out::Sent(b))
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
        let live = |silo: &&Arc<crate::world::Silo>| {
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
        let mut laws: Vec<_> = all_laws();
        laws.push(Property::always(ENDS, |config: &Config, world: &World| {
            let mut acts = Vec::new();
            config.must(world, &mut acts);
            world.broken != 0 || !acts.is_empty() || config.ended(world)
        }));
        laws
    }
}

impl Config {
    fn take(&self, world: &mut World, act: Act) {
        match act {
            Act::Send(c) => self.at_caller(world, c).sends(),
            Act::Locate(c) => self.at_caller(world, c).locates(),
            Act::GiveUp(c) => {
                world.given_up += 1;
                self.at_caller(world, c).gives_up();
            }
            Act::Read(a, b, generation) => {
                let down = &mut world.conn(a, b).down;
                let index = down
                    .iter()
                    .position(|(g, _)| *g == generation)
                    .expect("a frame of that link");
                let (generation, frame) = down.remove(index);
                self.at_silo(world, b).arrives(a, generation, frame);
            }
            Act::TakeNewLink(a, b) => {
                let down = &mut world.conn(a, b).down;
                let newest = down.last().expect("a new link").0;
                down.retain(|(generation, _)| *generation == newest);
                let (generation, frame) = down.remove(0);
                self.at_silo(world, b).arrives(a, generation, frame);
            }
            Act::ReadBack(a, b) => {
                let frame = world.conn(a, b).back.remove(0);
                if a >= SILOS {
                    self.at_caller(world, a - SILOS).hears(b, frame);
                } else {
                    self.at_silo(world, a).silo_says(b, frame);
                }
            }
            Act::Notice(a, b) if a >= SILOS => self.at_caller(world, a - SILOS).notices_cut(b),
            Act::Notice(a, b) => self.at_silo(world, a).notices_cut(b),
            Act::Redial(a, b) => self.at_caller(world, a - SILOS).redials(b),
            Act::SeeDeath(a, b) if a >= SILOS => self.at_caller(world, a - SILOS).sees_death(b),
            Act::SeeDeath(a, b) => self.at_silo(world, a).sees_death(b),
            Act::Apply(index) => world.apply(index),
            Act::ApplyAndAnswer(index) => {
                world.apply(index);
                world.answer(self, index);
            }
            Act::Answer(index) => world.answer(self, index),
            Act::LoseAnswer(index) => {
                world.lost_answers += 1;
                world.lose_answer(index);
            }
            Act::Cut(a, b) => {
                world.cuts += 1;
                world.faults = true;
                world.conn(a, b).line = Line::Cut;
                if self.one_line && a < SILOS {
                    world.conn(b, a).line = Line::Cut;
                }
            }
            Act::DeclareDead(x) => self.declare_dead(world, x),
            act => self.take_at_silo(world, act),
        }
    }

    /// Dead is final. Whom it cannot concern sees it at once: fewer orders of steps to explore.
    fn declare_dead(&self, world: &mut World, x: u8) {
        world.dead |= 1 << x;
        for y in (0..self.silos).filter(|y| *y != x) {
            let silo = &world.silos[usize::from(y)];
            let quiet = world.conns[&(x, y)].down.is_empty() && world.conns[&(y, x)].back.is_empty();
            if silo.up && !silo.paused && quiet && silo.seat.is_blank() {
                self.at_silo(world, y).sees_death(x);
            }
        }
        for c in 0..u8::try_from(world.callers.len()).expect("few callers") {
            if !concerns(world, SILOS + c, x) && world.conns[&(SILOS + c, x)].back.is_empty() {
                self.at_caller(world, c).sees_death(x);
            }
        }
    }

    fn take_at_silo(&self, world: &mut World, act: Act) {
        match act {
            Act::Run(x) => self.at_silo(world, x).run(),
            Act::Deactivate(x) => {
                world.deactivations += 1;
                self.at_silo(world, x).on(|seat| {
                    seat.deactivate();
                });
            }
            Act::Deactivated(x) => self.at_silo(world, x).deactivated(),
            Act::Migrate(x, y) => {
                world.moves += 1;
                self.at_silo(world, x).on(|seat| {
                    seat.freeze(id(y));
                });
            }
            Act::Packed(x) => self.at_silo(world, x).packed(),
            Act::FreezeFailed(x) => {
                world.failed_freezes += 1;
                self.at_silo(world, x).on(Seat::freeze_failed);
            }
            Act::Prepared(x) | Act::Refuse(x) | Act::DropReservation(x) => {
                let epoch = world.silos[usize::from(x)]
                    .seat
                    .phase()
                    .map(|(_, epoch)| epoch)
                    .expect("prepared");
                let why = if act == Act::Refuse(x) {
                    Refusal::Full
                } else {
                    Refusal::Other
                };
                world.refusals += u8::from(act == Act::Refuse(x));
                self.at_silo(world, x).on(|seat| {
                    if act == Act::Prepared(x) {
                        seat.prepared(epoch);
                    } else {
                        seat.refuse(epoch, why);
                    }
                });
            }
            Act::SourceTimeout(x) => self.at_silo(world, x).on(Seat::resolve),
            Act::TargetTimeout(x) => self.at_silo(world, x).on(Seat::start_without_source),
            Act::ForgetForwarding(x) => self.at_silo(world, x).on(|seat| {
                seat.forget_forwarding();
            }),
            Act::Crash(x) => {
                world.crashes += 1;
                world.faults = true;
                world.end_silo(x, false);
            }
            Act::Pause(x) => {
                world.faults = true;
                self.at_silo(world, x).pause();
            }
            Act::Wake(x) => self.at_silo(world, x).wake(),
            Act::Leave(x) => {
                world.silo(x).leaving = true;
                for c in 0..u8::try_from(world.callers.len()).expect("few callers") {
                    let generation = world.conn(SILOS + c, x).accepted;
                    world.push_back(SILOS + c, x, generation, Frame::Leaving);
                }
            }
            Act::Exit(x) => {
                if !self.has(Mutant::NoBarrier) {
                    for c in 0..u8::try_from(world.callers.len()).expect("few callers") {
                        let generation = world.conn(SILOS + c, x).accepted;
                        world.push_back(SILOS + c, x, generation, Frame::Flushed);
                    }
                    world.gone |= 1 << x;
                }
                world.end_silo(x, !self.has(Mutant::NoBarrier));
                world.dead |= 1 << x;
            }
            _ => unreachable!("{act:?} is no silo's"),
        }
    }

    fn at_silo<'a>(&'a self, world: &'a mut World, x: u8) -> AtSilo<'a> {
        AtSilo { config: self, world, x }
    }

    fn at_caller<'a>(&'a self, world: &'a mut World, c: u8) -> AtCaller<'a> {
        AtCaller { config: self, world, c }
    }
}

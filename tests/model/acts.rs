//! What can happen next in a world: what goes on by itself, what somebody wants, and what goes wrong.

use crate::{
    caller::AtCaller,
    config::{Config, Mutant},
    world::{Line, Out, Run, SILOS, World, number},
};
use quark::migration::Phase;

/// One step of the world. Silos and callers are numbers; a link is its dialler and its callee.
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
    /// The dialler notices that a link is cut.
    Notice(u8, u8),
    /// A caller dials again.
    Redial(u8, u8),
    /// The first acts on the death of the second.
    SeeDeath(u8, u8),
    /// A caller's look-up is answered.
    Locate(u8),
    /// A caller's waiting message reaches its deadline.
    GiveUp(u8),
    /// A request takes effect in the store, and its answer is on its way.
    Apply(usize),
    /// A request takes effect and is answered at once.
    ApplyAndAnswer(usize),
    /// The store's answer arrives.
    Answer(usize),
    /// The store's answer will not arrive; the request may still take effect.
    LoseAnswer(usize),
    /// An activation takes its next turn.
    Run(u8),
    /// The activation is to end.
    Deactivate(u8),
    /// It has ended, its state is saved.
    Deactivated(u8),
    /// A move begins, from the first to the second.
    Migrate(u8, u8),
    /// A source's freeze has come to its end.
    Packed(u8),
    /// It has come to nothing.
    FreezeFailed(u8),
    /// The activation ends unasked.
    Fail(u8),
    /// A target has decoded its package.
    Prepared(u8),
    /// A target refuses its package.
    Refuse(u8),
    /// A target loses patience before it has asked the directory.
    DropReservation(u8),
    /// A source that has heard nothing asks the directory.
    SourceTimeout(u8),
    /// A source calls its move off.
    CallOff(u8),
    /// A target that has heard no `Go` starts without.
    TargetTimeout(u8),
    /// A forwarding entry in which nothing waits is forgotten.
    ForgetForwarding(u8),
    /// The process is gone at once.
    Crash(u8),
    /// All agree that a silo is dead; each acts on it in its own time.
    DeclareDead(u8),
    /// A link is lost, with what is on it.
    Cut(u8, u8),
    /// The process stops, perhaps within a turn.
    Pause(u8),
    /// It goes on, and finds itself dead.
    Wake(u8),
    /// It begins to leave.
    Leave(u8),
    /// It has left.
    Exit(u8),
}

/// From this attempt on a caller waits longer than anything else takes.
const PATIENT: u32 = 2;
/// A caller that has asked so often in vain will ask for ever.
const HOPELESS: u32 = 8;

impl Config {
    /// What goes on by itself, sooner or later.
    pub(crate) fn must(&self, world: &World, acts: &mut Vec<Act>) {
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

    /// Frames are read, cuts and deaths noticed, links dialled anew.
    fn links_go_on(&self, world: &World, acts: &mut Vec<Act>) {
        for (&(a, b), conn) in &world.conns {
            let awake = |p: u8| p >= SILOS || (world.silos[usize::from(p)].up && !world.silos[usize::from(p)].paused);
            if awake(b)
                && let Some(&(first, _)) = conn.down.first()
            {
                acts.push(Act::Read(a, b, first));
                let newest = conn.down.last().map_or(first, |(generation, _)| *generation);
                if newest > first && self.has(Mutant::OldLinkAfterNew) {
                    acts.push(Act::Read(a, b, newest));
                } else if newest > first {
                    acts.push(Act::TakeNewLink(a, b));
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

    /// Requests take effect and are answered.
    fn store_goes_on(&self, world: &World, acts: &mut Vec<Act>) {
        for (index, op) in world.ops.iter().enumerate() {
            let silo = &world.silos[usize::from(op.silo)];
            let waits = silo.up && !silo.paused && !op.orphan;
            match &op.answer {
                None if world.registers_before(index) => {}
                None if op.orphan || self.slow_store || !waits => acts.push(Act::Apply(index)),
                None => acts.push(Act::ApplyAndAnswer(index)),
                Some(_) if waits => acts.push(Act::Answer(index)),
                Some(_) => {}
            }
        }
    }

    /// Callers send their messages and look the owner up.
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

    /// Turns, freezes and moves take their course.
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
    pub(crate) fn may(&self, world: &World, acts: &mut Vec<Act>) {
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
            if world.called_off < self.call_off
                && matches!(
                    silo.seat.phase(),
                    Some((Phase::Freezing { .. } | Phase::Frozen { resolving: false, .. }, _))
                )
            {
                acts.push(Act::CallOff(x));
            }
            let fails = silo
                .activation
                .as_ref()
                .is_some_and(|a| matches!(a.run, Run::Running | Run::Freezing | Run::Ending));
            if fails && world.failures < self.failures && self.fail.contains(&x) {
                acts.push(Act::Fail(x));
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
}

/// Whether the loss of a link would be noticed: something of the caller is there.
pub(crate) fn concerns(world: &World, a: u8, b: u8) -> bool {
    let caller = &world.callers[usize::from(a - SILOS)];
    caller.way.route().is_some_and(|route| number(&route.silo) == b) || caller.out.contains(&Out::Sent(b))
}

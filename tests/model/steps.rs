//! How a world changes by one act.

use crate::{
    acts::{Act, concerns},
    caller::AtCaller,
    config::{Config, Mutant},
    silo::AtSilo,
    world::{Frame, Line, SILOS, World, id},
};
use quark::{migration::Seat, wire::Refusal};

impl Config {
    pub(crate) fn take(&self, world: &mut World, act: Act) {
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
            Act::Apply(index) => world.apply(self, index),
            Act::ApplyAndAnswer(index) => {
                world.apply(self, index);
                world.answer(self, index);
            }
            Act::Answer(index) => world.answer(self, index),
            Act::LoseAnswer(index) => {
                world.lost_answers += 1;
                world.lose_answer(self, index);
            }
            Act::Cut(a, b) => {
                world.cuts += 1;
                world.faults = true;
                world.conn(a, b).line = Line::Cut;
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
            Act::Fail(x) => {
                world.failures += 1;
                self.at_silo(world, x).fails();
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
            Act::CallOff(x) => {
                world.called_off += 1;
                self.at_silo(world, x).on(Seat::call_off);
            }
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

//! A caller of the model: carries out what its real [`Way`] wants, and gives it what arrives.

use crate::{
    config::{Config, Mutant},
    world::{FALSE_PROOF, Frame, Line, Msg, Out, SENT_TO_LEAVER, SILOS, World, id, number},
};
use quark::{
    directory::{Step, Way},
    ident::{Epoch, Hint, SiloId},
};

/// One caller at work in the world.
pub(crate) struct AtCaller<'a> {
    pub(crate) config: &'a Config,
    pub(crate) world: &'a mut World,
    pub(crate) c: u8,
}

impl AtCaller<'_> {
    /// Gives the way an event and carries out what it wants.
    fn on(&mut self, event: impl FnOnce(&mut Way<Msg>, &mut Vec<Step<Msg>>)) {
        let mut steps = Vec::new();
        event(&mut self.world.caller(self.c).way, &mut steps);
        for step in steps {
            self.carry_out(step);
        }
    }

    fn carry_out(&mut self, step: Step<Msg>) {
        match step {
            Step::Send { to, message } => {
                self.world.caller(self.c).out[usize::from(message.n)] = Out::Sent(number(&to));
                self.dial(&to, Frame::Call(message));
            }
            Step::Fence { to, k } if self.config.has(Mutant::NoFence) => {
                self.on(|way, steps| way.fenced(&to, k, None, false, steps));
            }
            Step::Fence { to, k } => self.dial(&to, Frame::Fence(k)),
            Step::Mark { .. } => unreachable!("a world has fewer messages than one mark is for"),
            Step::Enter { to, k } if self.config.has(Mutant::NoEnter) => {
                self.on(|way, steps| way.fenced(&to, k, None, false, steps));
            }
            Step::Enter { to, k } => self.dial(&to, Frame::Enter(k)),
            Step::Locate { attempt } => self.world.caller(self.c).locating = Some(attempt),
        }
    }

    /// Sends on the link to a silo; a new one if the old one is known to be lost.
    fn dial(&mut self, to: &SiloId, frame: Frame) {
        let x = number(to);
        let me = SILOS + self.c;
        if self.world.callers[usize::from(self.c)].left & (1 << x) != 0 {
            self.world.violates(SENT_TO_LEAVER);
        }
        if self.world.conn(me, x).line == Line::Down {
            if self.world.is_up(x) {
                self.world.redial(me, x);
            } else {
                self.world.conn(me, x).line = Line::Cut;
            }
        }
        self.world.push_down(me, x, frame);
    }

    /// A sender's next message.
    pub(crate) fn sends(&mut self) {
        let c = self.c;
        let caller = self.world.caller(c);
        let n = caller.next;
        caller.next += 1;
        caller.out[usize::from(n)] = Out::Waiting;
        self.on(|way, steps| way.send(Msg { caller: c, n }, steps));
    }

    /// A hint counts unless it names a silo that is known to be dead or to leave.
    fn usable(&self, hint: Option<Hint>) -> Option<Hint> {
        let caller = &self.world.callers[usize::from(self.c)];
        let left = if self.config.has(Mutant::ChoosesLeaver) {
            0
        } else {
            caller.left
        };
        hint.filter(|hint| (caller.seen | left) & (1 << number(&hint.silo)) == 0)
    }

    /// A silo's answer.
    pub(crate) fn hears(&mut self, x: u8, frame: Frame) {
        let from = id(x);
        match frame {
            Frame::Bounce { message, hint, wait } => {
                let hint = self.usable(hint);
                let caller = self.world.caller(self.c);
                if caller.has_run & (1 << message.n) != 0 {
                    return self.world.violates(FALSE_PROOF);
                }
                if let out @ Out::Sent(_) = &mut caller.out[usize::from(message.n)] {
                    *out = Out::Waiting;
                    self.on(|way, steps| way.bounced(&from, message, hint, wait, steps));
                }
            }
            Frame::Fenced { k, hint, lost } => {
                let hint = self.usable(hint);
                self.on(|way, steps| way.fenced(&from, k, hint, lost, steps));
            }
            Frame::NotHere(k) => self.on(|way, steps| way.not_here(&from, k, steps)),
            Frame::Moved(hint) => {
                if let Some(hint) = self.usable(Some(hint)) {
                    self.on(|way, steps| way.moved(hint, steps));
                }
            }
            Frame::Leaving => {
                self.world.push_down(SILOS + self.c, x, Frame::LeavingAck);
                let caller = self.world.caller(self.c);
                caller.left |= 1 << x;
                caller.way.leaving(&from);
            }
            Frame::Flushed => {
                self.on(|way, steps| way.flushed(&from, steps));
                self.world.caller(self.c).seen |= 1 << x;
            }
            _ => unreachable!("silos do not say {frame:?} to callers"),
        }
    }

    /// Where a look-up would lead: `None` while it names a silo that leaves, `Some(None)` if nobody may have the actor.
    pub(crate) fn look_up(config: &Config, world: &World, c: u8) -> Option<Option<Hint>> {
        let caller = &world.callers[usize::from(c)];
        let epoch = world.entry.epoch;
        let left = if config.has(Mutant::ChoosesLeaver) {
            0
        } else {
            caller.left
        };
        let free = |x: &&u8| **x < config.silos && (caller.seen | caller.left) & (1 << **x) == 0;
        let placed = |epoch| config.place.iter().find(free).map(|x| Hint { silo: id(*x), epoch });
        if config.guess && caller.way.route().is_none() && caller.locating == Some(0) {
            return Some(placed(Epoch::ZERO));
        }
        match &world.entry.owner {
            Some(owner) if caller.seen & (1 << number(owner)) == 0 => {
                let leaves = left & (1 << number(owner)) != 0;
                (!leaves).then(|| {
                    Some(Hint {
                        silo: owner.clone(),
                        epoch,
                    })
                })
            }
            _ => Some(placed(epoch)),
        }
    }

    /// The look-up is answered.
    pub(crate) fn locates(&mut self) {
        let Some(found) = Self::look_up(self.config, self.world, self.c) else {
            return;
        };
        self.world.caller(self.c).locating = None;
        match found {
            Some(hint) => self.on(|way, steps| way.located(hint, steps)),
            None => {
                for message in self.world.caller(self.c).way.not_located() {
                    self.world.caller(self.c).out[usize::from(message.n)] = Out::NotRun;
                }
            }
        }
    }

    /// A message that waits has reached its deadline.
    pub(crate) fn gives_up(&mut self) {
        let caller = self.world.caller(self.c);
        let mut first = true;
        for message in caller.way.remove_if(|_| std::mem::take(&mut first)) {
            caller.out[usize::from(message.n)] = Out::NotRun;
        }
    }

    /// Notices that the link to a silo is lost: what was sent and not answered is not known.
    pub(crate) fn notices_cut(&mut self, x: u8) {
        let conn = self.world.conn(SILOS + self.c, x);
        conn.line = Line::Down;
        conn.back.clear();
        for out in &mut self.world.caller(self.c).out {
            if *out == Out::Sent(x) {
                *out = Out::Unknown;
            }
        }
        self.on(|way, steps| way.link_lost(&id(x), steps));
    }

    /// Dials a silo anew and tells its way.
    pub(crate) fn redials(&mut self, x: u8) {
        self.world.redial(SILOS + self.c, x);
        self.on(|way, steps| way.link_renewed(&id(x), steps));
    }

    /// Acts on a death: first its link, unread.
    pub(crate) fn sees_death(&mut self, x: u8) {
        if self.world.conn(SILOS + self.c, x).line != Line::Down {
            self.notices_cut(x);
        }
        self.world.caller(self.c).seen |= 1 << x;
        self.on(|way, steps| way.silo_died(&id(x), steps));
    }
}

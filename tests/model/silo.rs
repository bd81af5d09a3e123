//! A silo of the model: carries out what its real [`Seat`] commands, and gives it what arrives.

use crate::{
    config::{Config, Mutant},
    world::{
        Activation, Ask, BAD_COMMAND, Frame, LOST_EFFECT, Line, Msg, NOT_OWNER, OLD_WRITE, Op, Run, SILOS, World, id,
        link, link_parts, number,
    },
};
use quark::{
    ident::{Epoch, Hint, LinkId, SiloId},
    migration::{Command, Part, Phase, Receiving, Seat, Sending},
    store::Entry,
    wire::{BounceReason, Refusal},
};

/// How many parts a package has, if it goes in parts.
const PARTS: usize = 3;

/// One silo at work in the world.
pub(crate) struct AtSilo<'a> {
    pub(crate) config: &'a Config,
    pub(crate) world: &'a mut World,
    pub(crate) x: u8,
}

impl AtSilo<'_> {
    /// What this silo knows of the actor.
    pub(crate) fn seat(&mut self) -> &mut Seat<Msg> {
        &mut self.world.silo(self.x).seat
    }

    fn activation(&mut self) -> &mut Option<Activation> {
        &mut self.world.silo(self.x).activation
    }

    /// The deaths that this silo has acted on.
    pub(crate) fn dead(&self) -> impl Fn(&SiloId) -> bool + use<> {
        let seen = self.world.silos[usize::from(self.x)].seen;
        move |silo| seen & (1 << number(silo)) != 0
    }

    fn may_register(&self) -> bool {
        self.config.register && !self.world.silos[usize::from(self.x)].leaving
    }

    /// Gives the seat an event and carries out what it wants.
    pub(crate) fn on(&mut self, event: impl FnOnce(&mut Seat<Msg>)) {
        event(self.seat());
        self.carry_out();
    }

    /// Carries out what the seat wants by now.
    pub(crate) fn carry_out(&mut self) {
        let commands = self.seat().take_commands();
        let started = commands.iter().any(|command| matches!(command, Command::Start { .. }));
        let mut early = 0;
        let mut packs = false;
        let mut goes = None;
        for command in commands {
            packs |= command == Command::Freeze;
            if let (Command::SendCommitted { to, epoch }, true) = (&command, self.config.has(Mutant::NoGo)) {
                goes = Some((to.clone(), *epoch));
            }
            if let (Command::Rest { message }, true, true) = (&command, started, self.config.has(Mutant::HeldFirst)) {
                if let Some(activation) = self.activation() {
                    activation.queue.insert(early, *message);
                    early += 1;
                }
                continue;
            }
            self.carry_out_one(command);
        }
        if packs && !self.config.slow_freeze {
            self.packed();
        }
        if let Some((from, epoch)) = goes {
            self.on(|seat| seat.go(&from, epoch));
        }
    }

    fn carry_out_one(&mut self, command: Command<Msg>) {
        match command {
            Command::Bounce {
                link,
                message,
                hint,
                why,
            } => {
                let wait = why != BounceReason::NotOwner;
                self.reply(link, Frame::Bounce { message, hint, wait });
                if self.config.has(Mutant::NoMark) {
                    self.seat().link_closed(link);
                }
            }
            Command::Fenced { link, k, hint, lost } => self.reply(link, Frame::Fenced { k, hint, lost }),
            Command::NotHere { link, k } => self.reply(link, Frame::NotHere(k)),
            Command::Moved { link, hint } => self.reply(link, Frame::Moved(hint)),
            Command::Unknown { message } => self.world.unknown(message),
            Command::Register => self.ask(Ask::Register),
            Command::ReadEntry => self.ask(Ask::Read),
            Command::ChangeEntry { purpose, expected, new } => {
                if self.config.has(Mutant::NoResumeBump) && purpose == quark::migration::Purpose::Resume {
                    let dead = self.dead();
                    let outcome = if self.world.entry == expected {
                        quark::store::EntryOutcome::Changed
                    } else {
                        quark::store::EntryOutcome::Conflict(self.world.entry.clone())
                    };
                    return self.on(|seat| seat.entry_changed(purpose, &new, outcome, dead));
                }
                self.ask(Ask::Change { purpose, expected, new });
            }
            Command::Rest { message } => match self.activation() {
                Some(activation) if activation.run == Run::Running => activation.queue.push(message),
                _ => self.world.violates(BAD_COMMAND),
            },
            Command::Freeze => self.turn_into(&[Run::Running], Run::Freezing, None),
            Command::Resume { epoch } => {
                self.world.silo(self.x).sending = None;
                self.turn_into(&[Run::Freezing, Run::Frozen], Run::Running, Some(epoch));
            }
            Command::Start { epoch } => self.turn_into(&[Run::Prepared], Run::Running, Some(epoch)),
            Command::Deactivate => self.turn_into(&[Run::Running], Run::Ending, None),
            Command::Drop => {
                self.world.silo(self.x).sending = None;
                let dropped = self.activation().take();
                match dropped {
                    None => self.world.violates(BAD_COMMAND),
                    Some(copy) if copy.run == Run::Frozen && self.config.has(Mutant::KeepsCopy) => {
                        let run = Run::Running;
                        *self.activation() = Some(Activation { run, ..copy });
                    }
                    Some(_) => {}
                }
            }
            Command::Abandon => self.abandon(),
            Command::SendPackage { to, epoch } => self.send_package(&to, epoch),
            Command::SendRefused { to, epoch, why } => self.tell_source(&to, Frame::Refused(epoch, why)),
            Command::SendCommitted { to, epoch } => self.tell_source(&to, Frame::Committed(epoch)),
            Command::SendGo { to, epoch } => self.tell_target(&to, Frame::Go(epoch)),
            Command::SendForward { n: 1, .. } if self.config.has(Mutant::DropsForward) => {}
            Command::SendForward { to, stream, n } => {
                let message = self.seat().forwarding_mut().and_then(|f| f.message_mut(n).copied());
                match message {
                    Some(message) => self.tell_target(&to, Frame::Forward { stream, n, message }),
                    None => self.world.violates(BAD_COMMAND),
                }
            }
            Command::SendRested { to, stream, n } => self.tell_source(&to, Frame::Rested(stream, n)),
            Command::SendReturned { to, stream, n } => self.tell_source(&to, Frame::Returned(stream, n)),
            Command::SendLost { to, stream, n } => self.tell_source(&to, Frame::Lost(stream, n)),
            Command::SendClosed { to, stream } => self.tell_target(&to, Frame::Closed(stream)),
            Command::SendAskClosed { to, stream } => self.tell_source(&to, Frame::AskClosed(stream)),
        }
    }

    fn reply(&mut self, link: LinkId, frame: Frame) {
        let (caller, generation) = link_parts(link);
        self.world.push_back(SILOS + caller, self.x, generation, frame);
    }

    fn tell_target(&mut self, to: &SiloId, frame: Frame) {
        self.world.push_down(self.x, number(to), frame);
    }

    fn tell_source(&mut self, to: &SiloId, frame: Frame) {
        let to = number(to);
        let generation = self.world.conn(to, self.x).accepted;
        self.world.push_back(to, self.x, generation, frame);
    }

    pub(crate) fn ask(&mut self, ask: Ask) {
        self.world.ops.push(Op {
            silo: self.x,
            ask,
            orphan: false,
            answer: None,
        });
    }

    /// The activation goes from one of these states to another; from any other the command did not fit.
    fn turn_into(&mut self, from: &[Run], to: Run, epoch: Option<Epoch>) {
        match self.activation() {
            Some(activation) if from.contains(&activation.run) => {
                activation.run = to;
                activation.epoch = epoch.unwrap_or(activation.epoch);
            }
            _ => self.world.violates(BAD_COMMAND),
        }
    }

    fn send_package(&mut self, to: &SiloId, epoch: Epoch) {
        let Some(Activation {
            run: Run::Frozen,
            queue,
            mem,
            ..
        }) = self.activation().clone()
        else {
            return self.world.violates(BAD_COMMAND);
        };
        if self.config.parts {
            let sending = Sending::new(PARTS, 1, 2);
            self.world.silo(self.x).sending = Some((number(to), sending));
            return self.send_parts(epoch);
        }
        let frame = Frame::Package { epoch, queue, mem };
        if self.config.duplicate_package {
            self.tell_target(to, frame.clone());
        }
        self.tell_target(to, frame);
    }

    /// Sends the parts that there is credit for, of the package of the activation that is frozen at this epoch.
    fn send_parts(&mut self, epoch: Epoch) {
        let silo = self.world.silo(self.x);
        let (Some((to, sending)), Some(activation)) = (&mut silo.sending, &silo.activation) else {
            return;
        };
        let (to, queue, mem) = (*to, activation.queue.clone(), activation.mem);
        let parts: Vec<_> = std::iter::from_fn(|| sending.next_part()).collect();
        for part in parts {
            let queue = queue.clone();
            let offset = part.start;
            let frame = Frame::Part {
                epoch,
                offset,
                queue,
                mem,
            };
            self.tell_target(&id(to), frame);
        }
    }

    /// A part has come; answers whether the package is whole.
    fn takes_part(&mut self, from: u8, epoch: Epoch, offset: usize) -> bool {
        let keeps = self.config.has(Mutant::KeepsParts);
        let receiving = &mut self.world.silo(self.x).receiving;
        if offset == 0 && !(keeps && receiving.is_some()) {
            *receiving = Some((from, epoch, Receiving::new(PARTS)));
        }
        let fits = |(source, of, _): &&mut (u8, Epoch, Receiving)| *source == from && *of == epoch;
        let Some((_, _, whole)) = receiving.as_mut().filter(fits) else {
            return false;
        };
        let part = whole.part(offset, 1, PARTS);
        let upto = whole.received();
        if part == Part::Last {
            *receiving = None;
        }
        if part != Part::Stray {
            self.tell_source(&id(from), Frame::PartTaken(epoch, upto));
        }
        part == Part::Last
    }

    fn abandon(&mut self) {
        self.world.silo(self.x).sending = None;
        let Some(activation) = self
            .activation()
            .take()
            .filter(|activation| activation.run == Run::Frozen)
        else {
            return self.world.violates(BAD_COMMAND);
        };
        for message in activation.queue {
            if self.config.has(Mutant::QueueGivenBack) {
                let generation = self.world.conn(SILOS + message.caller, self.x).generation;
                let frame = Frame::Bounce {
                    message,
                    hint: None,
                    wait: false,
                };
                self.reply(link(message.caller, generation), frame);
            } else {
                self.world.unknown(message);
            }
        }
    }

    /// The last turn has ended and the actor is packed.
    pub(crate) fn packed(&mut self) {
        self.turn_into(&[Run::Freezing], Run::Frozen, None);
        self.on(Seat::packed);
    }

    /// A frame of the link that `from` dialled.
    pub(crate) fn arrives(&mut self, from: u8, generation: u8, frame: Frame) {
        if from >= SILOS {
            return self.caller_says(from - SILOS, generation, frame);
        }
        match frame {
            Frame::Hello => {
                self.world.conn(from, self.x).accepted = generation;
                if !self.config.has(Mutant::NoResend) {
                    self.on(|seat| seat.predecessor_link_renewed(&id(from)));
                }
            }
            frame => self.silo_says(from, frame),
        }
    }

    fn caller_says(&mut self, caller: u8, generation: u8, frame: Frame) {
        let from = link(caller, generation);
        let register = self.may_register();
        match frame {
            Frame::Hello => {
                let old = std::mem::replace(&mut self.world.conn(SILOS + caller, self.x).accepted, generation);
                if !self.config.has(Mutant::OldLinkAfterNew) {
                    self.on(|seat| seat.link_closed(link(caller, old)));
                }
            }
            Frame::Call(message) => {
                let room = self.world.silos[usize::from(self.x)]
                    .activation
                    .as_ref()
                    .is_none_or(|activation| activation.queue.len() < usize::from(self.config.room));
                let straight = self.seat().is_open_to(from) && room;
                self.seat().arrive(from, message, room, register);
                let commands = self.seat().clone().take_commands();
                if straight && commands != [Command::Rest { message }] {
                    self.world.violates(BAD_COMMAND);
                }
                self.carry_out();
            }
            Frame::Fence(k) => self.on(|seat| seat.fence(from, k)),
            Frame::Enter(k) => self.on(|seat| seat.enter(from, k, register)),
            Frame::LeavingAck => self.world.silo(self.x).acks |= 1 << caller,
            _ => unreachable!("callers do not say {frame:?}"),
        }
    }

    /// A frame of another silo, on whichever line.
    pub(crate) fn silo_says(&mut self, from: u8, frame: Frame) {
        let peer = id(from);
        match frame {
            Frame::Package { epoch, queue, mem } => {
                if self.seat().package(&peer, epoch) {
                    *self.activation() = Some(Activation {
                        run: Run::Prepared,
                        epoch,
                        queue,
                        mem,
                    });
                    if self.world.silo(self.x).leaving {
                        self.seat().refuse(epoch, Refusal::NotActive);
                    }
                    if self.config.has(Mutant::CommittedEarly) {
                        self.tell_source(&peer, Frame::Committed(epoch.next()));
                    }
                } else if let (true, Some(activation)) = (self.config.has(Mutant::QueueTwice), self.activation()) {
                    activation.queue.extend(queue);
                }
                self.carry_out();
            }
            Frame::Part {
                epoch,
                offset,
                queue,
                mem,
            } => {
                if self.takes_part(from, epoch, offset) {
                    self.silo_says(from, Frame::Package { epoch, queue, mem });
                }
            }
            Frame::PartTaken(epoch, upto) => {
                let frozen = (self.seat().phase()).is_some_and(|(_, present)| present == epoch);
                if let (true, Some((to, sending))) = (frozen, &mut self.world.silo(self.x).sending)
                    && *to == from
                {
                    sending.taken(upto);
                    self.send_parts(epoch);
                }
            }
            Frame::Go(epoch) => self.on(|seat| seat.go(&peer, epoch)),
            Frame::Forward { stream, n, message } => {
                self.on(|seat| seat.forwarded(&peer, stream, n, message));
                if self.config.has(Mutant::HopAck) && self.seat().forwarding().is_some() {
                    self.tell_source(&peer, Frame::Rested(stream, n));
                }
            }
            Frame::Closed(stream) => self.on(|seat| seat.closed(stream)),
            Frame::Refused(epoch, _) => self.on(|seat| seat.refused(&peer, epoch)),
            Frame::Committed(epoch) => {
                let present = self.seat().phase().map(|(_, epoch)| epoch.next());
                let epoch = present
                    .filter(|_| self.config.has(Mutant::AnyCommitted))
                    .unwrap_or(epoch);
                self.on(|seat| seat.committed(&peer, epoch));
            }
            Frame::Rested(stream, n) => self.on(|seat| seat.rested(stream, n)),
            Frame::Returned(stream, n) => self.on(|seat| seat.returned(stream, n)),
            Frame::Lost(stream, n) => self.on(|seat| seat.forward_lost(stream, n)),
            Frame::AskClosed(stream) => self.on(|seat| seat.ask_closed(peer, stream)),
            _ => unreachable!("silos do not say {frame:?}"),
        }
    }

    /// Whether the store takes a write of this activation.
    fn may_write(&self, epoch: Epoch) -> bool {
        if self.config.has(Mutant::StoreChecksRow) {
            return epoch >= self.world.row;
        }
        self.world.entry == Entry::owned(id(self.x), epoch)
    }

    fn owns(&self, epoch: Epoch) -> bool {
        // Without the change of the directory the owner is all that can be compared.
        let epoch = if self.config.has(Mutant::NoResumeBump) {
            self.world.entry.epoch
        } else {
            epoch
        };
        self.world.entry == Entry::owned(id(self.x), epoch)
    }

    /// The first message's turn.
    pub(crate) fn run(&mut self) {
        let Some(activation) = self.activation() else { return };
        let message = activation.queue.remove(0);
        let before = activation.mem;
        activation.mem |= message.bit();
        let (mem, epoch) = (activation.mem, activation.epoch);
        if !self.owns(epoch) {
            self.world.violates(NOT_OWNER);
        }
        // Effects may be missing only where a fault took them, and saved ones never.
        if self.world.saved & !before != 0 || (!self.world.faults && self.world.ran & !before != 0) {
            self.world.violates(LOST_EFFECT);
        }
        if self.config.saves {
            self.world.saved = mem;
            self.world.row = self.world.row.max(epoch);
        }
        self.world.executed(message);
    }

    /// The activation cannot go on; what waits for it ends with the proof that it did not run.
    pub(crate) fn fails(&mut self) {
        let Some(activation) = self.activation().take() else {
            return;
        };
        for message in activation.queue {
            self.world.not_run(message);
        }
        self.on(Seat::activation_failed);
    }

    /// The queue has run to its end and the state is saved.
    pub(crate) fn deactivated(&mut self) {
        let Some(activation) = self.activation().take() else {
            return;
        };
        if !self.owns(activation.epoch) {
            self.world.violates(NOT_OWNER);
        }
        self.world.saved = activation.mem;
        self.world.row = self.world.row.max(activation.epoch);
        self.on(Seat::deactivated);
    }

    /// The store's word on a registration.
    pub(crate) fn registered(&mut self, epoch: Epoch) {
        if self.is_registering() {
            let mem = self.world.saved;
            *self.activation() = Some(Activation {
                run: Run::Running,
                epoch,
                queue: Vec::new(),
                mem,
            });
            if !self.seat().registered(epoch) {
                self.world.violates(BAD_COMMAND);
            }
            self.carry_out();
        }
    }

    /// Another owns the actor.
    pub(crate) fn register_failed(&mut self, entry: Entry) {
        let epoch = entry.epoch;
        let hint = (entry.owner.filter(|owner| *owner != id(self.x))).map(|silo| Hint { silo, epoch });
        self.on(|seat| seat.register_failed(hint, BounceReason::NotOwner));
    }

    /// Whether the silo waits for the store's word on a registration.
    pub(crate) fn is_registering(&mut self) -> bool {
        self.seat()
            .phase()
            .is_some_and(|(phase, _)| *phase == Phase::Registering)
    }

    /// Takes a turn away in the middle: the silo stops for longer than the failure timeout.
    pub(crate) fn pause(&mut self) {
        let silo = self.world.silo(self.x);
        silo.paused = true;
        if let Some(activation) = silo
            .activation
            .as_mut()
            .filter(|a| a.run == Run::Running && !a.queue.is_empty())
        {
            silo.turn = Some((activation.queue.remove(0), activation.epoch));
        }
    }

    /// Goes on, writes what the turn did, and finds out that it is dead.
    pub(crate) fn wake(&mut self) {
        let silo = self.world.silo(self.x);
        if let Some((message, epoch)) = silo.turn
            && self.may_write(epoch)
        {
            if self.world.entry.epoch > epoch {
                self.world.violates(OLD_WRITE);
            }
            self.world.row = epoch;
            self.world.saved |= message.bit();
            self.world.executed(message);
        }
        self.world.end_silo(self.x, false);
    }

    /// Notices that a link that it dialled was cut, and dials again.
    pub(crate) fn notices_cut(&mut self, peer: u8) {
        if !self.world.is_up(peer) {
            self.world.conn(self.x, peer).line = Line::Down;
            return;
        }
        self.world.redial(self.x, peer);
        if !self.config.has(Mutant::NoResend) {
            self.on(|seat| seat.link_renewed(&id(peer)));
        }
    }

    /// Acts on a death: first its links, unread.
    pub(crate) fn sees_death(&mut self, peer: u8) {
        if !self.config.has(Mutant::DeadLinksLater) {
            self.world.conn(peer, self.x).down.clear();
            self.world.conn(self.x, peer).back.clear();
        }
        let silo = self.world.silo(self.x);
        silo.seen |= 1 << peer;
        silo.receiving = silo.receiving.take().filter(|(from, ..)| *from != peer);
        self.on(|seat| seat.silo_died(&id(peer)));
    }
}

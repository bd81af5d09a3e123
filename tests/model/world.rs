//! The state that is explored: silos, callers, links, the directory, the saved state, and what went wrong.
//!
//! Compared and hashed as a whole, so that it holds nothing that makes no difference: no counters of what happened but
//! those that bound a scenario, and small numbers and bits for silos, callers and messages.

use crate::config::Config;
use quark::{
    directory::Way,
    ident::{Epoch, Hint, LinkId, SiloId},
    migration::{Purpose, Receiving, Seat, Sending},
    store::Entry,
    wire::Refusal,
};
use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

/// The most silos; callers are numbered from here.
pub(crate) const SILOS: u8 = 4;

pub(crate) const S: u8 = 0;
pub(crate) const T: u8 = 1;
pub(crate) const U: u8 = 2;
pub(crate) const V: u8 = 3;

static IDS: LazyLock<[SiloId; SILOS as usize]> = LazyLock::new(|| {
    [
        SiloId::new("S", 1),
        SiloId::new("T", 1),
        SiloId::new("U", 1),
        SiloId::new("V", 1),
    ]
});

/// The id of a silo by its number.
pub(crate) fn id(silo: u8) -> SiloId {
    IDS[usize::from(silo)].clone()
}

/// The number of a silo by its id.
pub(crate) fn number(silo: &SiloId) -> u8 {
    let place = IDS.iter().position(|other| other == silo);
    u8::try_from(place.expect("a silo of the model")).expect("few silos")
}

/// Message `n` of a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Msg {
    pub(crate) caller: u8,
    pub(crate) n: u8,
}

impl Msg {
    /// Its place in a set of messages.
    pub(crate) fn bit(self) -> u16 {
        1 << (self.caller * 4 + self.n)
    }
}

/// The incoming link of a caller at a silo: a new one after each cut.
pub(crate) fn link(caller: u8, generation: u8) -> LinkId {
    LinkId(1 + u64::from(caller) * 16 + u64::from(generation))
}

/// The caller and the generation of its link.
pub(crate) fn link_parts(link: LinkId) -> (u8, u8) {
    let value = u8::try_from(link.0 - 1).expect("few links");
    (value / 16, value % 16)
}

/// What links carry: the frames of `wire` that concern an actor, as far as they differ.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Frame {
    // A caller to a silo.
    /// The first of a new link.
    Hello,
    Call(Msg),
    Fence(u64),
    Enter(u64),
    LeavingAck,

    // A silo to a caller.
    Bounce {
        message: Msg,
        hint: Option<Hint>,
        wait: bool,
    },
    Fenced {
        k: u64,
        hint: Option<Hint>,
        lost: bool,
    },
    NotHere(u64),
    Moved(Hint),
    Leaving,
    Flushed,

    // A source to its target.
    Package {
        epoch: Epoch,
        queue: Vec<Msg>,
        mem: u16,
    },
    /// A part of a package; the last one brings what is in it.
    Part {
        epoch: Epoch,
        offset: usize,
        queue: Vec<Msg>,
        mem: u16,
    },
    Go(Epoch),
    Forward {
        stream: Epoch,
        n: u64,
        message: Msg,
    },
    Closed(Epoch),

    // A target to its source.
    Refused(Epoch, Refusal),
    PartTaken(Epoch, usize),
    Committed(Epoch),
    Rested(Epoch, u64),
    Returned(Epoch, u64),
    Lost(Epoch, u64),
    AskClosed(Epoch),
}

/// How the dialler of a link sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Line {
    /// What is sent arrives.
    Up,
    /// It is cut and the dialler has not noticed: what it sends is lost.
    Cut,
    /// The dialler has noticed.
    Down,
}

/// What one process dialled to another: frames both ways, each in order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Conn {
    pub(crate) line: Line,
    /// How often the dialler has dialled anew.
    pub(crate) generation: u8,
    /// The generation that the callee reads.
    pub(crate) accepted: u8,
    /// From the dialler, with the generation of the link that each was sent on.
    pub(crate) down: Vec<(u8, Frame)>,
    /// The answers.
    pub(crate) back: Vec<Frame>,
}

/// What the runtime does with an activation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Run {
    Running,
    Freezing,
    Frozen,
    Prepared,
    Ending,
}

/// What the runtime has of the actor.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Activation {
    pub(crate) run: Run,
    pub(crate) epoch: Epoch,
    pub(crate) queue: Vec<Msg>,
    /// The messages whose effect the state holds.
    pub(crate) mem: u16,
}

/// A silo's process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Silo {
    pub(crate) up: bool,
    pub(crate) paused: bool,
    /// A turn that a pause caught, and its epoch.
    pub(crate) turn: Option<(Msg, Epoch)>,
    pub(crate) seat: Seat<Msg>,
    pub(crate) activation: Option<Activation>,
    /// Of a frozen activation whose package goes in parts: to whom, and how far.
    pub(crate) sending: Option<(u8, Sending)>,
    /// A package that is being put together: whose, and of which freeze.
    pub(crate) receiving: Option<(u8, Epoch, Receiving)>,
    /// Deaths that it has acted on, as bits.
    pub(crate) seen: u8,
    pub(crate) leaving: bool,
    /// Callers that have acknowledged its leaving, as bits.
    pub(crate) acks: u8,
}

/// What a caller knows of a message of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Out {
    Unsent,
    /// In the way: proved not to have run.
    Waiting,
    /// Sent to this silo.
    Sent(u8),
    /// Answered.
    Done,
    /// Failed as "may have run".
    Unknown,
    /// Failed at last as "did not run".
    NotRun,
}

/// A process that sends messages to the actor.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Caller {
    pub(crate) way: Way<Msg>,
    pub(crate) out: Vec<Out>,
    /// The number of its next message.
    pub(crate) next: u8,
    /// The attempt of the look-up that its way waits for.
    pub(crate) locating: Option<u32>,
    /// Silos that it knows to be gone, as bits.
    pub(crate) seen: u8,
    /// Silos whose `Leaving` was acknowledged, as bits.
    pub(crate) left: u8,
    /// The latest of its messages that has run.
    pub(crate) last_run: u8,
    /// Its messages that have run, as bits.
    pub(crate) has_run: u8,
}

/// What the store is asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Ask {
    Read,
    Change {
        purpose: Purpose,
        expected: Entry,
        new: Entry,
    },
    Register,
    /// Takes the entry from a dead owner, or from a tenure of its own that it knows nothing of.
    Take {
        expected: Entry,
        new: Entry,
    },
}

/// What the store answers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Answer {
    Entry(Entry),
    /// `None`: it took effect; else the entry as it is.
    Changed(Option<Entry>),
    Registered(Epoch),
    Owned(Entry),
}

/// A request to the store.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Op {
    pub(crate) silo: u8,
    pub(crate) ask: Ask,
    /// Nobody waits for the answer any more.
    pub(crate) orphan: bool,
    pub(crate) answer: Option<Answer>,
}

/// Everything.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct World {
    /// The directory's.
    pub(crate) entry: Entry,
    /// The messages whose effect the saved state holds, as bits.
    pub(crate) saved: u16,
    /// The epoch of the last write.
    pub(crate) row: Epoch,
    /// Requests on their way to the store and back.
    pub(crate) ops: Vec<Op>,
    pub(crate) silos: Vec<Arc<Silo>>,
    pub(crate) callers: Vec<Arc<Caller>>,
    /// By dialler and callee.
    pub(crate) conns: BTreeMap<(u8, u8), Arc<Conn>>,
    /// Silos that are dead or gone by common consent, as bits.
    pub(crate) dead: u8,
    /// Silos that have left in order, as bits.
    pub(crate) gone: u8,
    /// Executed messages, as bits.
    pub(crate) ran: u16,
    // How often what a scenario bounds has happened.
    pub(crate) moves: u8,
    pub(crate) crashes: u8,
    pub(crate) cuts: u8,
    pub(crate) lost_answers: u8,
    pub(crate) refusals: u8,
    pub(crate) deactivations: u8,
    pub(crate) failed_freezes: u8,
    pub(crate) failures: u8,
    pub(crate) given_up: u8,
    pub(crate) called_off: u8,
    /// Whether anything has happened that may cost messages and unsaved effects.
    pub(crate) faults: bool,
    /// The laws that are broken, as bits.
    pub(crate) broken: u16,
}

// The laws of `check`, as bits of `World::broken`.
pub(crate) const TWO: u16 = 1;
pub(crate) const NOT_OWNER: u16 = 2;
pub(crate) const TWICE: u16 = 4;
pub(crate) const ORDER: u16 = 8;
pub(crate) const FALSE_PROOF: u16 = 16;
pub(crate) const LOST_EFFECT: u16 = 32;
pub(crate) const OLD_WRITE: u16 = 64;
pub(crate) const BAD_COMMAND: u16 = 128;
pub(crate) const SENT_TO_LEAVER: u16 = 256;

impl World {
    /// Where a scenario begins.
    pub(crate) fn new(config: &Config) -> Self {
        let owner = config.owner;
        let silos = (0..SILOS).map(|x| Silo {
            up: x < config.silos,
            paused: false,
            turn: None,
            seat: Seat::new(id(x)),
            activation: None,
            sending: None,
            receiving: None,
            seen: 0,
            leaving: false,
            acks: 0,
        });
        let callers = config.messages.iter().enumerate().map(|(c, &count)| {
            let mut way = Way::default();
            if let Some(owner) = owner {
                // Open, as if an earlier message had gone to the owner.
                let mut steps = Vec::new();
                way.send(
                    Msg {
                        caller: u8::try_from(c).expect("few callers"),
                        n: 0,
                    },
                    &mut steps,
                );
                way.located(
                    Hint {
                        silo: id(owner),
                        epoch: Epoch(1),
                    },
                    &mut steps,
                );
            }
            Caller {
                way,
                out: vec![Out::Unsent; usize::from(count)],
                next: 0,
                locating: None,
                seen: 0,
                left: 0,
                last_run: 0,
                has_run: 0,
            }
        });
        let callers: Vec<_> = callers.map(Arc::new).collect();
        let mut conns = BTreeMap::new();
        let processes = SILOS + u8::try_from(callers.len()).expect("few callers");
        for a in (0..config.silos).chain(SILOS..processes) {
            for b in (0..config.silos).filter(|b| *b != a) {
                let conn = Conn {
                    line: Line::Up,
                    generation: 0,
                    accepted: 0,
                    down: Vec::new(),
                    back: Vec::new(),
                };
                conns.insert((a, b), Arc::new(conn));
            }
        }
        let mut world = Self {
            entry: owner.map_or(Entry::default(), |owner| Entry::owned(id(owner), Epoch(1))),
            saved: 0,
            row: Epoch(0),
            ops: Vec::new(),
            silos: silos.map(Arc::new).collect(),
            callers,
            conns,
            dead: (config.silos..SILOS).map(|x| 1 << x).sum(),
            gone: 0,
            ran: 0,
            moves: 0,
            crashes: 0,
            cuts: 0,
            lost_answers: 0,
            refusals: 0,
            deactivations: 0,
            failed_freezes: 0,
            failures: 0,
            given_up: 0,
            called_off: 0,
            faults: false,
            broken: 0,
        };
        if let Some(owner) = owner {
            world.start_with(owner);
        }
        world
    }

    /// The owner has registered the actor, with nothing waiting.
    fn start_with(&mut self, owner: u8) {
        let silo = self.silo(owner);
        silo.seat.enter(LinkId(255), 0, true);
        silo.activation = Some(Activation {
            run: Run::Running,
            epoch: Epoch(1),
            queue: Vec::new(),
            mem: 0,
        });
        silo.seat.registered(Epoch(1));
        let _ = silo.seat.take_commands();
    }

    pub(crate) fn silo(&mut self, x: u8) -> &mut Silo {
        Arc::make_mut(&mut self.silos[usize::from(x)])
    }

    pub(crate) fn caller(&mut self, c: u8) -> &mut Caller {
        Arc::make_mut(&mut self.callers[usize::from(c)])
    }

    pub(crate) fn conn(&mut self, dialler: u8, callee: u8) -> &mut Conn {
        Arc::make_mut(self.conns.get_mut(&(dialler, callee)).expect("all are linked"))
    }

    /// Whether a process is there; callers always are.
    pub(crate) fn is_up(&self, process: u8) -> bool {
        process >= SILOS || self.silos[usize::from(process)].up
    }

    /// A law is broken: nothing more happens in this world.
    pub(crate) fn violates(&mut self, law: u16) {
        self.broken |= law;
    }

    /// Puts a frame on the line that `dialler` opened.
    pub(crate) fn push_down(&mut self, dialler: u8, callee: u8, frame: Frame) {
        let up = self.is_up(callee);
        let conn = self.conn(dialler, callee);
        if up && conn.line == Line::Up {
            let generation = conn.generation;
            conn.down.push((generation, frame));
        }
    }

    /// Answers on the line that `dialler` opened, as far as the link of that generation is there.
    pub(crate) fn push_back(&mut self, dialler: u8, callee: u8, generation: u8, frame: Frame) {
        let up = self.is_up(dialler);
        let conn = self.conn(dialler, callee);
        if up && conn.line == Line::Up && conn.generation == generation {
            conn.back.push(frame);
        }
    }

    /// Dials anew; the old link's frames may still be read until the callee sees the new one.
    pub(crate) fn redial(&mut self, dialler: u8, callee: u8) {
        let conn = self.conn(dialler, callee);
        conn.line = Line::Up;
        conn.generation += 1;
        conn.back.clear();
        let generation = conn.generation;
        conn.down.push((generation, Frame::Hello));
    }

    /// The message's turn was taken.
    pub(crate) fn executed(&mut self, message: Msg) {
        let caller = self.caller(message.caller);
        let bit = 1u8 << message.n;
        let mut broken = 0;
        if caller.has_run & bit != 0 {
            broken |= TWICE;
        } else if message.n < caller.last_run {
            broken |= ORDER;
        }
        caller.has_run |= bit;
        caller.last_run = caller.last_run.max(message.n);
        let out = &mut caller.out[usize::from(message.n)];
        match *out {
            Out::Sent(_) => *out = Out::Done,
            Out::Waiting | Out::NotRun => broken |= FALSE_PROOF,
            _ => {}
        }
        self.ran |= message.bit();
        self.violates(broken);
    }

    /// The message ends with the proof that it did not run.
    pub(crate) fn not_run(&mut self, message: Msg) {
        let caller = self.caller(message.caller);
        if caller.has_run & (1 << message.n) != 0 {
            return self.violates(FALSE_PROOF);
        }
        let out = &mut caller.out[usize::from(message.n)];
        if matches!(*out, Out::Sent(_)) {
            *out = Out::NotRun;
        }
    }

    /// The message ends: whether it ran is not known.
    pub(crate) fn unknown(&mut self, message: Msg) {
        let out = &mut self.caller(message.caller).out[usize::from(message.n)];
        if matches!(*out, Out::Sent(_)) {
            *out = Out::Unknown;
        }
    }

    /// The process is gone: what it was sent is lost, what it sent may still be read. `closing`: it closed its links in
    /// order, so that the end of one is seen behind all else and is no loss.
    pub(crate) fn end_silo(&mut self, x: u8, closing: bool) {
        let silo = self.silo(x);
        *silo = Silo {
            up: false,
            paused: false,
            turn: None,
            seat: Seat::new(id(x)),
            activation: None,
            sending: None,
            receiving: None,
            seen: 0,
            leaving: silo.leaving,
            acks: 0,
        };
        for ((dialler, callee), conn) in &mut self.conns {
            if *callee != x && *dialler != x {
                continue;
            }
            let conn = Arc::make_mut(conn);
            if *callee == x {
                conn.down.clear();
                conn.line = if closing { conn.line } else { Line::Cut };
            }
            if *dialler == x {
                conn.back.clear();
            }
        }
        self.ops
            .retain(|op| op.silo != x || (op.answer.is_none() && !matches!(op.ask, Ask::Read)));
        for op in self.ops.iter_mut().filter(|op| op.silo == x) {
            op.orphan = true;
        }
    }
}

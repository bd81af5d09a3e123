//! The seat: all that one silo knows of one actor.

use super::{
    Arrival, Command, Forwarding, Phase, Predecessor, Source,
    tenure::{OncePacked, Tenure},
};
use crate::{
    ident::{Epoch, Hint, LinkId, SiloId},
    wire::BounceReason,
};
use std::collections::BTreeSet;

/// When messages were last lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Loss {
    /// Since the last [`Seat::forget_lost`].
    Recent,
    /// Before it.
    Past,
}

/// All that one silo knows of one actor. `I` is a message.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Seat<I> {
    pub(super) me: SiloId,
    pub(super) tenure: Option<Tenure<I>>,
    pub(super) forwarding: Option<Forwarding<I>>,
    /// Links that a message was given back on: all later ones follow it, until a fence.
    pub(super) bounced: BTreeSet<LinkId>,
    /// Whether messages were lost here, as long as it has to be said.
    pub(super) lost: Option<Loss>,
    /// Whether what was lost here may still come on the stream of the tenure's predecessor.
    pub(super) astray: bool,
    /// Streams whose tenure is gone, until their sender closes them.
    pub(super) ended: Vec<Predecessor>,
    /// Callers that wait to enter.
    pub(super) entering: Vec<(LinkId, u64)>,
    pub(super) commands: Vec<Command<I>>,
}

impl<I> Seat<I> {
    /// The most messages that are held, and that are forwarded without acknowledgement; more are given back.
    pub const MAX_HELD: usize = 4096;

    /// A seat of which nothing is known.
    pub fn new(me: SiloId) -> Self {
        Self {
            me,
            tenure: None,
            forwarding: None,
            bounced: BTreeSet::new(),
            lost: None,
            astray: false,
            ended: Vec::new(),
            entering: Vec::new(),
            commands: Vec::new(),
        }
    }

    /// A seat that runs the actor by this epoch and knows nothing else.
    pub fn resting(me: SiloId, epoch: Epoch) -> Self {
        Self {
            tenure: Some(Tenure::new(Phase::Active, epoch)),
            ..Self::new(me)
        }
    }

    /// The epoch, if this is all that is known: [`Seat::resting`] would be equal.
    pub fn at_rest(&self) -> Option<Epoch> {
        let Self {
            me: _,
            tenure: Some(tenure),
            forwarding: None,
            bounced,
            lost: None,
            ended,
            entering,
            commands,
            astray: false,
        } = self
        else {
            return None;
        };
        let Tenure {
            phase: Phase::Active,
            epoch,
            held,
            predecessor: None,
            once_packed: OncePacked::Send,
            ends: false,
        } = tenure
        else {
            return None;
        };
        let nothing =
            bounced.is_empty() && ended.is_empty() && entering.is_empty() && commands.is_empty() && held.is_empty();
        nothing.then_some(*epoch)
    }

    /// What is to be done since the last call, in order.
    #[must_use = "commands are to be carried out"]
    pub fn take_commands(&mut self) -> Vec<Command<I>> {
        std::mem::take(&mut self.commands)
    }

    // What a silo may ask.

    /// The tenure's phase and epoch.
    pub fn phase(&self) -> Option<(&Phase, Epoch)> {
        self.tenure.as_ref().map(|tenure| (&tenure.phase, tenure.epoch))
    }

    /// The forwarding entry.
    pub fn forwarding(&self) -> Option<&Forwarding<I>> {
        self.forwarding.as_ref()
    }

    /// The forwarding entry.
    pub fn forwarding_mut(&mut self) -> Option<&mut Forwarding<I>> {
        self.forwarding.as_mut()
    }

    /// Whether messages of a link may go straight into the mailbox.
    pub fn is_open_to(&self, link: LinkId) -> bool {
        let home = !self.is_away();
        let active =
            (self.tenure.as_ref()).is_some_and(|tenure| tenure.phase == Phase::Active && tenure.held.is_empty());
        active && home && !self.bounced.contains(&link)
    }

    /// Whether the actor may be moved: it is active, and nothing of an older move from here is left. Forwards may still
    /// come from the silo before; they follow the actor.
    pub fn is_movable(&self) -> bool {
        let active = |tenure: &Tenure<I>| tenure.phase == Phase::Active && tenure.held.is_empty();
        self.tenure.as_ref().is_some_and(active) && self.forwarding.is_none() && !self.is_away()
    }

    /// Whether older messages than those that callers send here are still on their way to the actor.
    fn is_away(&self) -> bool {
        let open = |tenure: &Tenure<I>| tenure.predecessor.is_some();
        let forwards = self.forwarding.as_ref().is_some_and(|f| !f.is_empty());
        forwards || (self.astray && self.tenure.as_ref().is_some_and(open))
    }

    /// Whether the actor may be deactivated: it may be moved, and no forwards can come any more.
    pub fn is_settled(&self) -> bool {
        let open = |tenure: &Tenure<I>| tenure.predecessor.is_some();
        self.is_movable() && !self.tenure.as_ref().is_some_and(open)
    }

    /// Whether an actor or messages of it are on their way from here to a silo.
    pub fn is_moving_to(&self, silo: &SiloId) -> bool {
        let tenure = self.tenure.as_ref().is_some_and(
            |tenure| matches!(&tenure.phase, Phase::Freezing { to } | Phase::Frozen { to, .. } if to == silo),
        );
        tenure
            || self
                .forwarding
                .as_ref()
                .is_some_and(|forwarding| forwarding.to == *silo)
    }

    /// Whether anything is kept about a silo: a move from or to it, or streams.
    pub fn concerns(&self, silo: &SiloId) -> bool {
        let from = |p: &Predecessor| p.from == *silo;
        let tenure = self.tenure.as_ref().is_some_and(|tenure| {
            let peer = match &tenure.phase {
                Phase::Prepared { from, .. } | Phase::Committed { from, .. } => from == silo,
                _ => false,
            };
            peer || tenure.predecessor.as_ref().is_some_and(from)
        });
        let forwarding = self
            .forwarding
            .as_ref()
            .and_then(|f| f.predecessor.as_ref())
            .is_some_and(from);
        tenure || forwarding || self.is_moving_to(silo) || self.ended.iter().any(from)
    }

    /// Whether anything is kept about a link.
    pub fn knows_link(&self, link: LinkId) -> bool {
        let told = self
            .forwarding
            .as_ref()
            .is_some_and(|forwarding| forwarding.told.contains(&link));
        told || self.bounced.contains(&link) || self.entering.iter().any(|(other, _)| *other == link)
    }

    /// Whether forwards may still come to this silo, or go out from it.
    pub fn is_passing_on(&self) -> bool {
        let open = |tenure: &Tenure<I>| tenure.predecessor.is_some();
        self.forwarding.is_some() || self.tenure.as_ref().is_some_and(open) || !self.ended.is_empty()
    }

    /// Whether anything is kept about any silo or link, or of what was lost: a seat that is not, needs no looking after. Holds wherever
    /// [`Seat::concerns`], [`Seat::knows_link`] or [`Seat::has_lost`] does.
    pub fn is_busy(&self) -> bool {
        let moves =
            |tenure: &Tenure<I>| !matches!(tenure.phase, Phase::Registering | Phase::Active | Phase::Ending { .. });
        self.is_passing_on()
            || self.tenure.as_ref().is_some_and(moves)
            || !self.bounced.is_empty()
            || !self.entering.is_empty()
            || self.lost.is_some()
    }

    /// Whether messages were lost here, and callers are told so.
    pub fn has_lost(&self) -> bool {
        self.lost.is_some()
    }

    /// Time has passed: what was lost before the last call but one can come no more, and need not be told any more. To be called at
    /// intervals that are longer than it takes until every silo has closed its links with one that has died.
    pub fn forget_lost(&mut self) {
        self.lost = match self.lost {
            Some(Loss::Recent) => Some(Loss::Past),
            Some(Loss::Past) | None => None,
        };
    }

    /// Whether nothing is known, so that the seat can be forgotten.
    pub fn is_blank(&self) -> bool {
        self.tenure.is_none()
            && self.forwarding.is_none()
            && self.bounced.is_empty()
            && self.lost.is_none()
            && self.ended.is_empty()
            && self.entering.is_empty()
    }

    // Callers.

    /// A message from a caller. `room`: the mailbox (of an active tenure) takes one more. `may_register`: this silo may take the
    /// actor if nobody has it.
    pub fn arrive(&mut self, link: LinkId, message: I, room: bool, may_register: bool) {
        self.arrived(Arrival::Message(message), Source::Link(link), room, may_register);
        self.settle();
    }

    /// A fence from a caller.
    pub fn fence(&mut self, link: LinkId, k: u64) {
        self.arrived(Arrival::Fence { link, k }, Source::Link(link), true, false);
        self.settle();
    }

    /// A caller whose old way is lost asks to be let in.
    pub fn enter(&mut self, link: LinkId, k: u64, may_register: bool) {
        self.entering.push((link, k));
        if may_register && self.tenure.is_none() && self.forwarding.is_none() {
            self.tenure = Some(Tenure::new(Phase::Registering, Epoch::ZERO));
            self.commands.push(Command::Register);
        }
        self.settle();
    }

    /// A caller's link is gone, and nothing of it will be read any more.
    pub fn link_closed(&mut self, link: LinkId) {
        self.bounced.remove(&link);
        self.entering.retain(|(other, _)| *other != link);
        if let Some(forwarding) = &mut self.forwarding {
            forwarding.told.remove(&link);
        }
    }

    pub(super) fn arrived(&mut self, arrival: Arrival<I>, source: Source, room: bool, may_register: bool) {
        if let Source::Link(link) = source {
            match arrival {
                Arrival::Message(_) if self.bounced.contains(&link) => {
                    return self.give_back(arrival, source, BounceReason::NotOwner);
                }
                Arrival::Fence { .. } => {
                    self.bounced.remove(&link);
                }
                Arrival::Message(_) => {}
            }
        }
        if let (Source::Stream { stream, .. }, Some(forwarding)) = (&source, &self.forwarding) {
            // A straggler of an older move follows the actor on the stream that its tenure ended in.
            if forwarding.predecessor.as_ref().is_some_and(|p| p.stream == *stream) {
                return if forwarding.broken {
                    self.give_back(arrival, source, BounceReason::NotOwner)
                } else {
                    self.forward(arrival, source)
                };
            }
        }
        let forwards = self.forwarding.as_ref().is_some_and(|f| !f.broken);
        let away = self.is_away();
        let waits = self.forwarding.as_ref().is_some_and(|f| !f.is_empty());
        let from_caller = matches!(source, Source::Link(_));
        let is_fence = matches!(arrival, Arrival::Fence { .. });
        let Some(tenure) = &mut self.tenure else {
            return if forwards || (waits && is_fence) {
                self.forward(arrival, source)
            } else if may_register && self.forwarding.is_none() && from_caller && !is_fence {
                let mut tenure = Tenure::new(Phase::Registering, Epoch::ZERO);
                tenure.held.push((arrival, source));
                self.tenure = Some(tenure);
                self.commands.push(Command::Register);
            } else {
                self.give_back(arrival, source, BounceReason::NotOwner)
            };
        };
        let full = tenure.held.len() >= Self::MAX_HELD && from_caller && !is_fence;
        match &tenure.phase {
            // The actor's stragglers of an earlier tenure here come home before newer messages run.
            Phase::Active if from_caller && (away || !tenure.held.is_empty()) && !full => {
                tenure.held.push((arrival, source));
            }
            Phase::Active if from_caller && !is_fence && (full || !room) => {
                self.give_back(arrival, source, BounceReason::Full);
            }
            Phase::Active => self.rest(arrival, source),
            Phase::Prepared { .. } if from_caller && forwards => self.forward(arrival, source),
            _ if full => self.give_back(arrival, source, BounceReason::Full),
            _ => tenure.held.push((arrival, source)),
        }
    }

    /// The arrival has come to rest at the owner.
    fn rest(&mut self, arrival: Arrival<I>, source: Source) {
        match arrival {
            Arrival::Message(message) => self.commands.push(Command::Rest { message }),
            Arrival::Fence { link, k } => self.answer_fence(link, k),
        }
        if let Source::Stream { from, stream, n } = source {
            self.commands.push(Command::SendRested { to: from, stream, n });
        }
    }

    pub(super) fn forward(&mut self, arrival: Arrival<I>, source: Source) {
        let forwarding = (self.forwarding.as_mut()).expect("invariant: only a forwarding seat forwards");
        let hint = Hint {
            silo: forwarding.to.clone(),
            epoch: forwarding.stream,
        };
        match (&arrival, &source) {
            (Arrival::Fence { .. }, _) => return forwarding.unacknowledged.push_back((0, arrival, source)),
            (Arrival::Message(_), Source::Link(_)) if forwarding.len() >= Self::MAX_HELD => {
                return self.give_back(arrival, source, BounceReason::Full);
            }
            _ => {}
        }
        let n = forwarding.next;
        forwarding.next += 1;
        let told = match source {
            Source::Link(link) if forwarding.told.insert(link) => Some(link),
            _ => None,
        };
        forwarding.unacknowledged.push_back((n, arrival, source));
        self.commands.push(Command::SendForward {
            to: hint.silo.clone(),
            stream: hint.epoch,
            n,
        });
        if let Some(link) = told {
            self.commands.push(Command::Moved { link, hint });
        }
    }

    pub(super) fn hint(&self) -> Option<Hint> {
        match (&self.tenure, &self.forwarding) {
            (Some(tenure), _)
                if matches!(
                    tenure.phase,
                    Phase::Active | Phase::Freezing { .. } | Phase::Frozen { .. }
                ) =>
            {
                Some(Hint {
                    silo: self.me.clone(),
                    epoch: tenure.epoch,
                })
            }
            (_, Some(forwarding)) if !forwarding.broken => Some(Hint {
                silo: forwarding.to.clone(),
                epoch: forwarding.stream,
            }),
            _ => None,
        }
    }

    fn answer_fence(&mut self, link: LinkId, k: u64) {
        let (hint, lost) = (self.hint(), self.lost.is_some());
        self.commands.push(Command::Fenced { link, k, hint, lost });
    }

    /// Gives an arrival back unrun: to its caller, or down the stream it came by.
    pub(super) fn give_back(&mut self, arrival: Arrival<I>, source: Source, why: BounceReason) {
        let hint = self.hint();
        self.give_back_with(arrival, source, why, hint);
    }

    pub(super) fn give_back_with(
        &mut self,
        arrival: Arrival<I>,
        source: Source,
        why: BounceReason,
        hint: Option<Hint>,
    ) {
        match (source, arrival) {
            (Source::Stream { from, stream, n }, _) => {
                if let Some(predecessor) = self.stream_mut(stream) {
                    predecessor.returned.insert(n);
                }
                self.commands.push(Command::SendReturned { to: from, stream, n });
            }
            (Source::Link(link), Arrival::Message(message)) => {
                self.bounced.insert(link);
                self.commands.push(Command::Bounce {
                    link,
                    message,
                    hint,
                    why,
                });
            }
            (Source::Link(_), Arrival::Fence { link, k }) => self.answer_fence(link, k),
        }
    }

    /// Ends an arrival whose outcome is not known.
    pub(super) fn outcome_unknown(&mut self, arrival: Arrival<I>, source: Source) {
        self.lost = Some(Loss::Recent);
        self.astray = true;
        match (source, arrival) {
            (Source::Stream { from, stream, n }, _) => {
                if let Some(predecessor) = self.stream_mut(stream) {
                    predecessor.lost.insert(n);
                }
                self.commands.push(Command::SendLost { to: from, stream, n });
            }
            (Source::Link(_), Arrival::Message(message)) => self.commands.push(Command::Unknown { message }),
            (Source::Link(_), Arrival::Fence { link, k }) => self.answer_fence(link, k),
        }
    }

    /// What follows from the seat's state without any event.
    pub(super) fn settle(&mut self) {
        while self.start_if_source_is_gone()
            || self.answer_first_fence()
            || self.rest_one_held()
            || self.let_one_in()
            || self.end_if_wanted()
        {}
    }

    fn answer_first_fence(&mut self) -> bool {
        let Some(forwarding) = &mut self.forwarding else {
            return false;
        };
        match forwarding.unacknowledged.front() {
            Some((_, Arrival::Fence { link, k }, _)) => {
                let (link, k) = (*link, *k);
                forwarding.unacknowledged.pop_front();
                self.answer_fence(link, k);
                true
            }
            _ => false,
        }
    }

    fn rest_one_held(&mut self) -> bool {
        let away = self.is_away();
        let Some(tenure) = &mut self.tenure else { return false };
        if tenure.phase != Phase::Active {
            return false;
        }
        if tenure.predecessor.is_none() {
            // Nothing older can reach the actor.
            self.astray = false;
        }
        if tenure.held.is_empty() {
            return false;
        }
        // What comes on a stream is older than what callers sent here meanwhile.
        let came_back = |(_, source): &(Arrival<I>, Source)| matches!(source, Source::Stream { .. });
        let next = match tenure.held.iter().position(came_back) {
            Some(next) => next,
            None if away => return false,
            None => 0,
        };
        let (arrival, source) = tenure.held.remove(next);
        self.rest(arrival, source);
        true
    }

    fn let_one_in(&mut self) -> bool {
        let Some(&(link, k)) = self.entering.first() else {
            return false;
        };
        let enters = match &self.tenure {
            None => false,
            Some(tenure) => match tenure.phase {
                Phase::Registering | Phase::Prepared { .. } => return false,
                _ if tenure.predecessor.is_none() => true,
                _ => return false,
            },
        };
        self.entering.remove(0);
        if enters {
            let hint = self.hint();
            self.commands.push(Command::Fenced {
                link,
                k,
                hint,
                lost: false,
            });
        } else {
            self.commands.push(Command::NotHere { link, k });
        }
        true
    }

    // Other silos.

    /// A silo is dead, and every link with it was closed unread before this.
    pub fn silo_died(&mut self, silo: &SiloId) {
        self.ended.retain(|p| p.from != *silo);
        let predecessors = [
            self.tenure.as_mut().map(|tenure| &mut tenure.predecessor),
            self.forwarding.as_mut().map(|forwarding| &mut forwarding.predecessor),
        ];
        for predecessor in predecessors.into_iter().flatten() {
            if predecessor.as_ref().is_some_and(|p| p.from == *silo) {
                *predecessor = None;
            }
        }
        if self.forwarding.as_ref().is_some_and(|f| f.to == *silo) {
            let forwarding = self.forwarding.take().expect("invariant: it was just seen");
            self.ended.extend(forwarding.predecessor);
            self.lost = Some(Loss::Recent);
            for (_, arrival, source) in forwarding.unacknowledged {
                self.outcome_unknown(arrival, source);
            }
        }
        self.peer_of_move_died(silo);
        self.settle();
    }
}

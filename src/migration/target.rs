//! The target's side of a move: prepare, commit, start; and what both sides make of the directory's answers.

use super::{Arrival, Command, Phase, Predecessor, Purpose, Seat, Source, tenure::Tenure};
use crate::{
    ident::{Epoch, Hint, SiloId},
    store::{Entry, EntryOutcome},
    wire::{BounceReason, Refusal},
};

impl<I> Seat<I> {
    /// A package has come. Answers whether it is to be prepared; one that was seen before is not.
    pub fn package(&mut self, from: &SiloId, epoch: Epoch) -> bool {
        let held = match &mut self.tenure {
            None => Vec::new(),
            // The directory will say that the source owns the actor; what waits for that waits for the move instead.
            Some(tenure) if tenure.phase == Phase::Registering => std::mem::take(&mut tenure.held),
            Some(tenure) => {
                match &tenure.phase {
                    Phase::Prepared { from: source, .. } if source == from && tenure.epoch == epoch => {}
                    Phase::Committed { from: source, .. } if source == from && tenure.epoch == epoch.next() => {
                        let (to, epoch) = (from.clone(), tenure.epoch);
                        self.commands.push(Command::SendCommitted { to, epoch });
                    }
                    // A package of an epoch that is over: the directory tells its source.
                    _ if tenure.epoch > epoch => {}
                    _ => self.commands.push(Command::SendRefused {
                        to: from.clone(),
                        epoch,
                        why: Refusal::Busy,
                    }),
                }
                return false;
            }
        };
        let mut tenure = Tenure::new(
            Phase::Prepared {
                from: from.clone(),
                asked: false,
            },
            epoch,
        );
        tenure.held = held;
        tenure.predecessor = Some(Predecessor::new(from.clone(), epoch.next()));
        self.tenure = Some(tenure);
        true
    }

    /// The package was decoded: the directory is asked.
    pub fn prepared(&mut self, epoch: Epoch) {
        if let Some(tenure) = &mut self.tenure
            && let Phase::Prepared { asked, .. } = &mut tenure.phase
            && tenure.epoch == epoch
            && !std::mem::replace(asked, true)
        {
            self.change_entry(Purpose::Commit);
        }
    }

    /// The package cannot be taken. Has no effect once the directory was asked.
    pub fn refuse(&mut self, epoch: Epoch, why: Refusal) {
        let Some(tenure) = &self.tenure else { return };
        if let Phase::Prepared { from, asked: false } = &tenure.phase
            && tenure.epoch == epoch
        {
            let to = from.clone();
            self.drop_reservation(None);
            self.commands.push(Command::SendRefused { to, epoch, why });
        }
    }

    /// The source has given the actor up.
    pub fn go(&mut self, from: &SiloId, epoch: Epoch) {
        let Some(tenure) = &mut self.tenure else { return };
        // While the epoch is being raised the answer to that decides; the source cannot take back after `Go`.
        if tenure.phase
            == (Phase::Committed {
                from: from.clone(),
                starting: false,
            })
            && tenure.epoch == epoch
        {
            self.start(epoch);
        }
    }

    /// No `Go` came in time.
    pub fn start_without_source(&mut self) {
        if let Some(tenure) = &mut self.tenure
            && let Phase::Committed { starting, .. } = &mut tenure.phase
            && !std::mem::replace(starting, true)
        {
            self.change_entry(Purpose::Start);
        }
    }

    /// A source that is dead, or has closed its stream, says nothing more.
    pub(super) fn start_if_source_is_gone(&mut self) -> bool {
        let gone = self.tenure.as_ref().is_some_and(|tenure| {
            tenure.predecessor.is_none() && matches!(tenure.phase, Phase::Committed { starting: false, .. })
        });
        if gone {
            self.start_without_source();
        }
        gone
    }

    fn start(&mut self, epoch: Epoch) {
        if let Some(tenure) = &mut self.tenure {
            tenure.phase = Phase::Active;
            tenure.epoch = epoch;
            self.commands.push(Command::Start { epoch });
            self.settle();
        }
    }

    fn drop_reservation(&mut self, hint: Option<Hint>) {
        let Some(tenure) = self.tenure.take() else { return };
        self.commands.push(Command::Drop);
        // The source is no predecessor: it never became a forwarder of this move, or its stream is refused.
        for (arrival, source) in tenure.held {
            self.give_back_with(arrival, source, BounceReason::NotOwner, hint.clone());
        }
        self.settle();
    }

    fn now_committed(&mut self) {
        if let Some(tenure) = &mut self.tenure
            && let Phase::Prepared { from, .. } = &tenure.phase
        {
            let from = from.clone();
            tenure.epoch = tenure.epoch.next();
            let epoch = tenure.epoch;
            tenure.phase = Phase::Committed {
                from: from.clone(),
                starting: false,
            };
            self.commands.push(Command::SendCommitted { to: from, epoch });
            self.settle();
        }
    }

    // The directory's answers.

    /// The change that the phase stands for.
    pub(super) fn change_entry(&mut self, purpose: Purpose) {
        let Some(tenure) = &self.tenure else { return };
        let mine = |epoch| Entry::owned(self.me.clone(), epoch);
        let epoch = tenure.epoch;
        let peer = match &tenure.phase {
            Phase::Frozen { to: peer, .. } | Phase::Prepared { from: peer, .. } => Some(peer.clone()),
            _ => None,
        };
        let theirs = |epoch| Entry { owner: peer, epoch };
        let (expected, new) = match purpose {
            Purpose::Commit => (theirs(epoch), mine(epoch.next())),
            Purpose::TakeBack => (theirs(epoch.next()), mine(epoch.next().next())),
            Purpose::Resume | Purpose::Start => (mine(epoch), mine(epoch.next())),
            Purpose::Free => (mine(epoch), Entry::free(epoch.next())),
        };
        self.commands.push(Command::ChangeEntry { purpose, expected, new });
    }

    /// A change of the entry was answered. `new` is what was asked for.
    pub fn entry_changed(
        &mut self,
        purpose: Purpose,
        new: &Entry,
        outcome: EntryOutcome,
        dead: impl Fn(&SiloId) -> bool,
    ) {
        match outcome {
            EntryOutcome::Changed => self.took_effect(purpose, new),
            EntryOutcome::Conflict(actual) if self.stands_for(purpose, new) => {
                let asked = self.tenure.as_ref().map(|tenure| tenure.epoch);
                self.entry_read_by(asked, &actual, dead);
            }
            EntryOutcome::Conflict(actual) => self.entry_read(&actual, dead),
        }
    }

    /// Whether a change is one that the phase waits for.
    fn stands_for(&self, purpose: Purpose, new: &Entry) -> bool {
        self.tenure
            .as_ref()
            .is_some_and(|tenure| match (&tenure.phase, purpose) {
                (Phase::Prepared { asked: true, .. }, Purpose::Commit)
                | (Phase::Committed { starting: true, .. }, Purpose::Start)
                | (Phase::Ending { freeing: true }, Purpose::Free) => tenure.epoch.next() == new.epoch,
                (Phase::Frozen { .. }, Purpose::Resume | Purpose::TakeBack) => new.epoch > tenure.epoch,
                _ => false,
            })
    }

    fn took_effect(&mut self, purpose: Purpose, new: &Entry) {
        if !self.stands_for(purpose, new) {
            return;
        }
        match purpose {
            Purpose::Commit => self.now_committed(),
            Purpose::Resume | Purpose::TakeBack => self.resume(new.epoch),
            Purpose::Start => self.start(new.epoch),
            Purpose::Free => self.freed(None),
        }
    }

    /// The entry as it is, by a read or a conflict that was asked for when the tenure stood on the epoch `asked`. If it still does, an
    /// older entry is no late answer: the store has lost writes.
    pub fn entry_read_by(&mut self, asked: Option<Epoch>, entry: &Entry, dead: impl Fn(&SiloId) -> bool) {
        let epoch = self.tenure.as_ref().map(|tenure| tenure.epoch);
        if epoch == asked && epoch.is_some_and(|epoch| entry.epoch < epoch) {
            self.entry_lost(entry);
        } else {
            self.entry_read(entry, dead);
        }
    }

    /// The store knows an older epoch than the tenure stands on, or another owner at it. Who has the actor writes over it; who was to get it, or gives it up,
    /// lets it be.
    pub(super) fn entry_lost(&mut self, found: &Entry) {
        let Some(tenure) = &self.tenure else { return };
        let (purpose, epoch) = match tenure.phase {
            // Above the epoch at which the target may have committed.
            Phase::Frozen { .. } => (Purpose::TakeBack, tenure.epoch.next().next()),
            Phase::Committed { starting: true, .. } => (Purpose::Start, tenure.epoch.next()),
            Phase::Prepared { asked: true, .. } => return self.drop_reservation(None),
            Phase::Ending { freeing: true } => return self.freed(None),
            _ => return,
        };
        self.commands.push(Command::ChangeEntry {
            purpose,
            expected: found.clone(),
            new: Entry::owned(self.me.clone(), epoch),
        });
    }

    /// The entry as it is, from a read or a conflict. `dead` tells which silos are.
    pub fn entry_read(&mut self, entry: &Entry, dead: impl Fn(&SiloId) -> bool) {
        let Some(tenure) = &self.tenure else { return };
        let epoch = tenure.epoch;
        if entry.epoch < epoch {
            // A late answer to what an earlier tenure asked: epochs only grow.
            return;
        }
        let is_mine = |epoch| *entry == Entry::owned(self.me.clone(), epoch);
        let hint = entry.owner.clone().filter(|owner| *owner != self.me).map(|silo| Hint {
            silo,
            epoch: entry.epoch,
        });
        match &tenure.phase {
            Phase::Frozen { .. } if is_mine(epoch.next()) || is_mine(epoch.next().next()) => {
                // An earlier change of this silo took effect, though its answer was lost.
                self.resume(entry.epoch);
            }
            Phase::Frozen { .. } => self.source_read(entry, dead),
            Phase::Prepared { asked: true, .. } if is_mine(epoch.next()) => self.now_committed(),
            Phase::Prepared { asked: true, from } if entry.epoch == epoch && entry.owner.as_ref() == Some(from) => {
                self.change_entry(Purpose::Commit);
            }
            // Also where a store that has lost writes gave the epoch to another.
            Phase::Prepared { asked: true, .. } => self.drop_reservation(hint),
            Phase::Committed { starting: true, .. } if is_mine(epoch.next()) => self.start(epoch.next()),
            Phase::Committed { starting: true, .. } if is_mine(epoch) => self.change_entry(Purpose::Start),
            Phase::Committed { starting: true, .. } => self.drop_reservation(hint),
            Phase::Ending { freeing: true } if is_mine(epoch) => self.change_entry(Purpose::Free),
            Phase::Ending { freeing: true } => self.freed(hint),
            _ => {}
        }
    }

    pub(super) fn peer_of_move_died(&mut self, silo: &SiloId) {
        let Some(tenure) = &mut self.tenure else { return };
        match &tenure.phase {
            Phase::Freezing { to } if to == silo => tenure.call_off(),
            Phase::Frozen { to, .. } if to == silo => self.resolve(),
            _ => {}
        }
    }

    // Forwards from a predecessor.

    /// A forward has come.
    pub fn forwarded(&mut self, from: &SiloId, stream: Epoch, n: u64, message: I) {
        let to = from.clone();
        let Some(predecessor) = self.predecessor_mut(stream) else {
            let ended = self.ended.iter().find(|p| p.from == *from && p.stream == stream);
            self.commands
                .push(if ended.is_some_and(|p| n <= p.last && !p.returned.contains(&n)) {
                    Command::SendLost { to, stream, n }
                } else {
                    Command::SendReturned { to, stream, n }
                });
            return;
        };
        if predecessor.returned.contains(&n) {
            self.commands.push(Command::SendReturned { to, stream, n });
        } else if predecessor.lost.contains(&n) {
            self.commands.push(Command::SendLost { to, stream, n });
        } else if n == predecessor.last + 1 {
            predecessor.last = n;
            let source = Source::Stream {
                from: from.clone(),
                stream,
                n,
            };
            self.arrived(Arrival::Message(message), source, true, false);
            self.settle();
        } else if n <= predecessor.last && !self.is_unresolved(stream, n) {
            self.commands.push(Command::SendRested { to, stream, n });
        }
    }

    /// Nothing more comes on a stream.
    pub fn closed(&mut self, stream: Epoch) {
        self.ended.retain(|p| p.stream != stream);
        let predecessors = [
            self.tenure.as_mut().map(|tenure| &mut tenure.predecessor),
            self.forwarding.as_mut().map(|forwarding| &mut forwarding.predecessor),
        ];
        for predecessor in predecessors.into_iter().flatten() {
            if predecessor.as_ref().is_some_and(|p| p.stream == stream) {
                *predecessor = None;
            }
        }
        self.settle();
    }

    /// A forwarder has a new link to this silo: what its old one may have lost is asked for.
    pub fn predecessor_link_renewed(&mut self, from: &SiloId) {
        let tenure = self.tenure.as_ref().and_then(|tenure| tenure.predecessor.as_ref());
        let forwarding = self.forwarding.as_ref().and_then(|f| f.predecessor.as_ref());
        let open = tenure.into_iter().chain(forwarding).chain(&self.ended);
        for p in open.filter(|p| p.from == *from) {
            let (to, stream) = (from, p.stream);
            // Before any later `Rested`, which would cover them.
            let returned = p.returned.iter().map(|n| Command::SendReturned {
                to: to.clone(),
                stream,
                n: *n,
            });
            let lost = p.lost.iter().map(|n| Command::SendLost {
                to: to.clone(),
                stream,
                n: *n,
            });
            let ask = Command::SendAskClosed { to: to.clone(), stream };
            self.commands.extend(returned.chain(lost).chain([ask]));
        }
        if let Some(tenure) = &self.tenure
            && matches!(&tenure.phase, Phase::Committed { from: source, .. } if source == from)
        {
            self.commands.push(Command::SendCommitted {
                to: from.clone(),
                epoch: tenure.epoch,
            });
        }
    }

    /// The stream that forwards are taken from.
    fn predecessor_mut(&mut self, stream: Epoch) -> Option<&mut Predecessor> {
        let tenure = self.tenure.as_mut().and_then(|tenure| tenure.predecessor.as_mut());
        let forwarding = self.forwarding.as_mut().and_then(|f| f.predecessor.as_mut());
        tenure.into_iter().chain(forwarding).find(|p| p.stream == stream)
    }

    /// What is remembered of a stream, also of one whose tenure is gone.
    pub(super) fn stream_mut(&mut self, stream: Epoch) -> Option<&mut Predecessor> {
        let tenure = self.tenure.as_mut().and_then(|tenure| tenure.predecessor.as_mut());
        let forwarding = self.forwarding.as_mut().and_then(|f| f.predecessor.as_mut());
        tenure
            .into_iter()
            .chain(forwarding)
            .chain(&mut self.ended)
            .find(|p| p.stream == stream)
    }

    fn is_unresolved(&self, stream: Epoch, n: u64) -> bool {
        let is = |source: &Source| matches!(source, Source::Stream { stream: s, n: m, .. } if *s == stream && *m == n);
        let held = (self.tenure.iter()).any(|tenure| tenure.held.iter().any(|(_, source)| is(source)));
        let forwards = (self.forwarding.iter()).any(|f| f.unacknowledged.iter().any(|(_, _, source)| is(source)));
        held || forwards
    }
}

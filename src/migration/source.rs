//! The source's side of a move: freeze, package, hand over, forward; resume when it comes to nothing.

use super::{Command, Forwarding, Phase, Purpose, Seat, Source, seat::Loss, tenure::OncePacked};
use crate::{
    ident::{Epoch, Hint, SiloId},
    store::Entry,
    wire::BounceReason,
};
use std::collections::VecDeque;

impl<I> Seat<I> {
    /// Starts a move to `to`. Answers whether it can start now ([`Seat::is_movable`]).
    pub fn freeze(&mut self, to: SiloId) -> bool {
        let movable = self.is_movable();
        if let (true, Some(tenure)) = (movable, &mut self.tenure) {
            tenure.phase = Phase::Freezing { to };
            self.commands.push(Command::Freeze);
        }
        movable
    }

    /// The actor is packed: its last turn has ended.
    pub fn packed(&mut self) {
        let Some(tenure) = &mut self.tenure else { return };
        if let Phase::Freezing { to } = &tenure.phase {
            let to = to.clone();
            let epoch = tenure.epoch;
            let once_packed = tenure.once_packed;
            if once_packed == OncePacked::Resume {
                // No package has left.
                return self.resume(epoch);
            }
            tenure.phase = Phase::Frozen {
                to: to.clone(),
                resolving: false,
            };
            match once_packed {
                OncePacked::TakeBack => self.resolve(),
                _ => self.commands.push(Command::SendPackage { to, epoch }),
            }
        }
    }

    /// The actor was not packed (its turn did not end in time, it cannot be serialized): it goes on as if nothing had been.
    pub fn freeze_failed(&mut self) {
        if let Some(tenure) = &self.tenure
            && matches!(tenure.phase, Phase::Freezing { .. })
        {
            let epoch = tenure.epoch;
            self.resume(epoch);
        }
    }

    /// The target has the actor in the directory.
    pub fn committed(&mut self, from: &SiloId, epoch: Epoch) {
        if self
            .forwarding
            .as_ref()
            .is_some_and(|f| f.to == *from && f.stream == epoch)
        {
            // `Go` was lost with a link. A forwarder never takes back.
            let to = from.clone();
            return self.commands.push(Command::SendGo { to, epoch });
        }
        let Some(tenure) = &self.tenure else { return };
        if let Phase::Frozen { to, .. } = &tenure.phase
            && to == from
            && tenure.epoch.next() == epoch
        {
            self.become_forwarder(true);
        } else if tenure.epoch == epoch {
            self.overwritten(from);
        }
    }

    /// The directory let `by` in at the epoch that this silo goes on at: the store has lost how it went on, and the package that `by` has
    /// is of before. `by` runs nothing without `Go`, or a change of the entry, which fails when this silo has raised the epoch.
    fn overwritten(&mut self, by: &SiloId) {
        self.freeze(by.clone());
        if let Some(tenure) = &mut self.tenure
            // Nobody can commit what was sent to another.
            && let Phase::Freezing { to } | Phase::Frozen { to, .. } = &mut tenure.phase
        {
            *to = by.clone();
            tenure.once_packed = OncePacked::TakeBack;
            self.resolve();
        }
    }

    /// The target does not take the package.
    pub fn refused(&mut self, from: &SiloId, epoch: Epoch) {
        let Some(tenure) = &self.tenure else { return };
        if let Phase::Frozen { to, .. } = &tenure.phase
            && to == from
            && tenure.epoch == epoch
        {
            self.resolve();
        }
    }

    /// The move is to be cancelled: before its package has left it is called off, afterwards the directory decides.
    pub fn call_off(&mut self) {
        if let Some(tenure) = &mut self.tenure
            && matches!(tenure.phase, Phase::Freezing { .. })
        {
            tenure.call_off();
        }
        self.resolve();
    }

    /// The source finds out by itself how the move stands: nothing was heard for too long, or it is to be cancelled.
    pub fn resolve(&mut self) {
        if let Some(tenure) = &mut self.tenure
            && let Phase::Frozen { resolving, .. } = &mut tenure.phase
            && !std::mem::replace(resolving, true)
        {
            self.commands.push(Command::ReadEntry);
        }
    }

    /// The entry as the source read it while frozen.
    pub(super) fn source_read(&mut self, entry: &Entry, dead: impl Fn(&SiloId) -> bool) {
        let Some(tenure) = &self.tenure else { return };
        let Phase::Frozen { to, .. } = &tenure.phase else {
            return;
        };
        let epoch = tenure.epoch;
        if *entry == Entry::owned(self.me.clone(), epoch) {
            return self.change_entry(Purpose::Resume);
        }
        if tenure.once_packed == OncePacked::TakeBack && *entry == Entry::owned(to.clone(), epoch) {
            return self.entry_lost(entry);
        }
        if !dead(to) {
            // Only the target's commit can have changed the entry of a live source.
            let may_start = *entry == Entry::owned(to.clone(), epoch.next());
            return self.become_forwarder(may_start);
        }
        if *entry == Entry::owned(to.clone(), epoch.next()) {
            return self.change_entry(Purpose::TakeBack);
        }
        self.abandon(entry);
    }

    /// The target may have run what was packed, and is dead: nobody knows.
    pub(super) fn abandon(&mut self, entry: &Entry) {
        let Some(tenure) = self.tenure.take() else { return };
        self.lost = Some(Loss::Recent);
        self.ended.extend(tenure.predecessor);
        self.commands.push(Command::Abandon);
        let hint = entry.owner.clone().map(|silo| Hint {
            silo,
            epoch: entry.epoch,
        });
        for (arrival, source) in tenure.held {
            self.give_back_with(arrival, source, BounceReason::NotOwner, hint.clone());
        }
        self.settle();
    }

    pub(super) fn resume(&mut self, epoch: Epoch) {
        if let Some(tenure) = &mut self.tenure {
            tenure.phase = Phase::Active;
            tenure.epoch = epoch;
            tenure.once_packed = OncePacked::Send;
            self.commands.push(Command::Resume { epoch });
            self.settle();
        }
    }

    fn become_forwarder(&mut self, go: bool) {
        let Some(tenure) = self.tenure.take() else { return };
        let Phase::Frozen { to, .. } = tenure.phase else { return };
        let epoch = tenure.epoch.next();
        if go {
            self.commands.push(Command::SendGo { to: to.clone(), epoch });
        }
        self.commands.push(Command::Drop);
        self.forwarding = Some(Forwarding::new(to, epoch, tenure.predecessor));
        for (arrival, source) in tenure.held {
            self.forward(arrival, source);
        }
        self.settle();
    }

    // Forwarding.

    /// All forwards up to `n` have come to rest.
    pub fn rested(&mut self, stream: Epoch, n: u64) {
        let Some(forwarding) = &mut self.forwarding else { return };
        if forwarding.stream != stream {
            return;
        }
        let mut upstream = Vec::new();
        forwarding.unacknowledged.retain(|(number, _, source)| {
            let rested = *number != 0 && *number <= n;
            if let (true, Source::Stream { from, stream, n }) = (rested, source) {
                upstream.push((from.clone(), *stream, *n));
            }
            !rested
        });
        for (to, stream, n) in upstream {
            self.commands.push(Command::SendRested { to, stream, n });
        }
        self.settle();
    }

    /// The target never took forward `n`, nor any behind it: it takes nothing more of this stream.
    ///
    /// What is behind it goes back in the same breath, so that nothing that comes now is given back before.
    pub fn returned(&mut self, stream: Epoch, n: u64) {
        let Some(forwarding) = self.forwarding.as_mut().filter(|f| f.stream == stream) else {
            return;
        };
        forwarding.broken = true;
        let all = std::mem::take(&mut forwarding.unacknowledged);
        let (back, kept): (VecDeque<_>, VecDeque<_>) = all.into_iter().partition(|(number, ..)| *number >= n);
        forwarding.unacknowledged = kept;
        for (_, arrival, source) in back {
            self.give_back(arrival, source, BounceReason::NotOwner);
        }
        self.settle();
    }

    /// The target took forward `n` and lost it.
    pub fn forward_lost(&mut self, stream: Epoch, n: u64) {
        self.lost = Some(Loss::Recent);
        if let Some(forwarding) = self.forwarding.as_mut().filter(|f| f.stream == stream)
            && let Some(index) = forwarding.unacknowledged.iter().position(|(number, ..)| *number == n)
            && let Some((_, arrival, source)) = forwarding.unacknowledged.remove(index)
        {
            self.outcome_unknown(arrival, source);
        }
        self.settle();
    }

    /// Forgets the forwarding entry if nothing in it waits and nothing more can come. Answers whether there is none now.
    pub fn forget_forwarding(&mut self) -> bool {
        if self.forwarding.as_ref().is_some_and(Forwarding::is_quiet) {
            let forwarding = self.forwarding.take().expect("invariant: it was just seen");
            self.commands.push(Command::SendClosed {
                to: forwarding.to,
                stream: forwarding.stream,
            });
            self.settle();
        }
        self.forwarding.is_none()
    }

    /// The target asks whether a stream is closed.
    pub fn ask_closed(&mut self, from: SiloId, stream: Epoch) {
        let forwards = self.forwarding.as_ref().is_some_and(|f| f.stream == stream);
        let frozen = self
            .tenure
            .as_ref()
            .is_some_and(|tenure| matches!(tenure.phase, Phase::Frozen { .. }) && tenure.epoch.next() == stream);
        if !forwards && !frozen {
            self.commands.push(Command::SendClosed { to: from, stream });
        }
    }

    /// There is a new link to a silo; what the old one may have lost is sent again.
    pub fn link_renewed(&mut self, to: &SiloId) {
        if let Some(tenure) = &self.tenure
            && matches!(&tenure.phase, Phase::Frozen { to: target, .. } if target == to)
        {
            self.commands.push(Command::SendPackage {
                to: to.clone(),
                epoch: tenure.epoch,
            });
        }
        if let Some(forwarding) = self.forwarding.as_ref().filter(|f| f.to == *to) {
            let again = forwarding.unacknowledged.iter().filter(|(n, ..)| *n != 0);
            self.commands.extend(again.map(|(n, ..)| Command::SendForward {
                to: to.clone(),
                stream: forwarding.stream,
                n: *n,
            }));
        }
    }
}

//! The seats of a silo: what it knows of each actor, and the doing of what the seats want. Beside them an index of the few
//! that the silo's periodic work is about, so that it costs nothing by the actors that are only there.

use super::{
    Node,
    place::{Kept, Place},
    standing::{Index, Standing, Tally},
};
use crate::{
    ident::{ActorId, ActorTable, LinkId, SHARDS, SiloId, shard_of},
    mailbox::{Letter, Mailbox, Refused},
    migration::{Command, Seat},
    runtime::Control,
    wire::{Failure, FailureCode, Frame, Ran},
};
use parking_lot::Mutex;
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

#[derive(Default)]
struct Shard {
    /// Of the actors that run here, if that is all.
    at_rest: ActorTable<Arc<Mailbox>>,
    /// Of all others of which something is known.
    places: ActorTable<Box<Place>>,
    index: Index,
}

/// The seats of a silo.
pub(super) struct Seats {
    me: SiloId,
    shards: Box<[Mutex<Shard>]>,
    watched: AtomicBool,
}

impl Seats {
    pub(super) fn new(me: SiloId) -> Self {
        Self {
            me,
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            watched: AtomicBool::new(false),
        }
    }

    fn shard(&self, actor: &ActorId) -> &Mutex<Shard> {
        &self.shards[shard_of(actor)]
    }

    /// Lets `event` change an actor's place, and `carry_out` do what its seat then wants, before anybody else comes to it.
    fn change<T>(
        &self,
        actor: &ActorId,
        event: impl FnOnce(&mut Place) -> T,
        mut carry_out: impl FnMut(&mut Place, Command<Letter>),
    ) -> T {
        let mut shard = self.shard(actor).lock();
        let Shard { at_rest, places, index } = &mut *shard;
        let change = |place: &mut Place| {
            let result = event(place);
            for command in place.seat.take_commands() {
                carry_out(place, command);
            }
            let kept = place.kept();
            let standing = match kept {
                Kept::Not => Standing::default(),
                Kept::AtRest(_) => Standing::AT_REST,
                Kept::Whole => Standing::of(&place.seat, place.activation.is_some()),
            };
            let old = std::mem::replace(&mut place.standing, standing);
            if standing != old {
                index.changed(actor, old, standing, self.watched.load(Ordering::Acquire));
            }
            (result, kept)
        };
        if let Some(place) = places.get_mut(actor) {
            let (result, kept) = change(place);
            match kept {
                Kept::Whole => {}
                Kept::Not => drop(places.remove(actor)),
                Kept::AtRest(mailbox) => {
                    drop(places.remove(actor));
                    at_rest.insert(mailbox);
                }
            }
            return result;
        }
        let rested = at_rest.get(actor).cloned();
        let was_at_rest = rested.is_some();
        let mut place = match rested {
            Some(mailbox) => Place::at_rest(&self.me, mailbox),
            None => Place::new(&self.me, actor.clone()),
        };
        let (result, kept) = change(&mut place);
        match kept {
            Kept::AtRest(_) if was_at_rest => {}
            Kept::AtRest(mailbox) => drop(at_rest.insert(mailbox)),
            kept => {
                at_rest.remove(actor);
                if matches!(kept, Kept::Whole) {
                    places.insert(Box::new(place));
                }
            }
        }
        result
    }

    /// The mailbox of an actor whose seat is at rest: any link may put messages there. One of which nothing is known here runs
    /// first, if `begin` can register it at once and makes its activation: then its seat is at rest in one step, as it would be
    /// by way of [`Seat::arrive`], [`Command::Register`] and [`Seat::registered`].
    pub(super) fn at_rest_or(
        &self,
        actor: &ActorId,
        begin: impl FnOnce() -> Option<Arc<Mailbox>>,
    ) -> Option<Arc<Mailbox>> {
        let shard = &mut *self.shard(actor).lock();
        match shard.at_rest.get(actor) {
            Some(mailbox) => Some(mailbox.clone()),
            None => self.begin_at_rest(shard, actor, begin),
        }
    }

    /// Puts a message into [`Seats::at_rest_or`]; shows that mailbox to `pushed`, or gives the message back.
    pub(super) fn push_at_rest_or<T>(
        &self,
        actor: &ActorId,
        letter: Letter,
        begin: impl FnOnce() -> Option<Arc<Mailbox>>,
        pushed: impl FnOnce(&Arc<Mailbox>) -> T,
    ) -> Result<T, Letter> {
        let shard = &mut *self.shard(actor).lock();
        let begun;
        let mailbox = match shard.at_rest.get(actor) {
            Some(mailbox) => mailbox,
            None => match self.begin_at_rest(shard, actor, begin) {
                Some(mailbox) => {
                    begun = mailbox;
                    &begun
                }
                None => return Err(letter),
            },
        };
        match mailbox.push(letter) {
            Ok(()) => Ok(pushed(mailbox)),
            Err(Refused::Full(letter) | Refused::Closed(letter)) => Err(letter),
        }
    }

    /// Of an actor that has no mailbox at rest.
    fn begin_at_rest(
        &self,
        shard: &mut Shard,
        actor: &ActorId,
        begin: impl FnOnce() -> Option<Arc<Mailbox>>,
    ) -> Option<Arc<Mailbox>> {
        if shard.places.get(actor).is_some() {
            return None;
        }
        let mailbox = begin()?;
        let watched = self.watched.load(Ordering::Acquire);
        (shard.index).changed(actor, Standing::default(), Standing::AT_REST, watched);
        shard.at_rest.insert(mailbox.clone());
        Some(mailbox)
    }

    fn look_at<T>(&self, shard: &Shard, actor: &ActorId, look: impl FnOnce(&Place) -> T) -> Option<T> {
        match (shard.places.get(actor), shard.at_rest.get(actor)) {
            (Some(place), _) => Some(look(place)),
            (None, Some(mailbox)) => Some(look(&Place::at_rest(&self.me, mailbox.clone()))),
            (None, None) => None,
        }
    }

    /// Visits the mailboxes of all activations.
    pub(super) fn each_activation(&self, mut visit: impl FnMut(&Mailbox)) {
        for shard in &self.shards {
            let shard = shard.lock();
            shard.at_rest.iter().for_each(|mailbox| visit(mailbox));
            let activations = shard.places.iter().filter_map(|place| place.activation.as_ref());
            activations.for_each(|activation| visit(activation.mailbox()));
        }
    }

    /// The actors of all seats that `wanted` picks. Visits every seat.
    pub(super) fn select<T>(&self, mut wanted: impl FnMut(&ActorId, &Place) -> Option<T>) -> Vec<T> {
        let mut found = Vec::new();
        for shard in &self.shards {
            let shard = shard.lock();
            let at_rest = shard
                .at_rest
                .iter()
                .map(|mailbox| Place::at_rest(&self.me, mailbox.clone()));
            found.extend(at_rest.filter_map(|place| wanted(&place.actor, &place)));
            found.extend(shard.places.iter().filter_map(|place| wanted(&place.actor, place)));
        }
        found
    }

    /// As [`Seats::select`], among the seats that keep something of another silo or of a link.
    pub(super) fn select_busy<T>(&self, mut wanted: impl FnMut(&ActorId, &Place) -> Option<T>) -> Vec<T> {
        let mut found = Vec::new();
        for shard in &self.shards {
            let shard = shard.lock();
            let busy = shard.index.busy();
            found.extend(busy.filter_map(|actor| self.look_at(&shard, actor, |place| wanted(actor, place)).flatten()));
        }
        found
    }

    /// Reads a seat, if there is one.
    pub(super) fn peek<T>(&self, actor: &ActorId, read: impl FnOnce(&Place) -> T) -> Option<T> {
        self.look_at(&self.shard(actor).lock(), actor, read)
    }

    /// How the seats stand, all together.
    pub(super) fn tally(&self) -> Tally {
        (self.shards.iter()).fold(Tally::default(), |sum, shard| sum + shard.lock().index.tally())
    }

    /// From now on it is noted which seats become active or settled, or no more.
    pub(super) fn watch(&self, watch: bool) {
        self.watched.store(watch, Ordering::Release);
        if !watch {
            self.take_news();
        }
    }

    /// The actors whose seats have become active or settled since the last call.
    pub(super) fn take_news(&self) -> Vec<ActorId> {
        (self.shards.iter())
            .flat_map(|shard| shard.lock().index.take_news())
            .collect()
    }
}

impl Node {
    /// Lets `event` change an actor's seat and does what the seat then wants, in order, before anybody else comes to it.
    pub(super) fn at<T>(self: &Arc<Self>, actor: &ActorId, event: impl FnOnce(&mut Place) -> T) -> T {
        let carry_out = |place: &mut Place, command| self.carry_out(actor, place, command);
        self.seats.change(actor, event, carry_out)
    }

    /// Lets `event` change every seat that `concerns` picks among those that keep something of another silo or of a link.
    pub(super) fn at_busy(
        self: &Arc<Self>,
        concerns: impl Fn(&Seat<Letter>) -> bool,
        event: impl Fn(&mut Seat<Letter>),
    ) {
        let actors = self
            .seats
            .select_busy(|actor, place| concerns(&place.seat).then(|| actor.clone()));
        for actor in actors {
            self.at(&actor, |place| event(&mut place.seat));
        }
    }

    fn carry_out(self: &Arc<Self>, actor: &ActorId, place: &mut Place, command: Command<Letter>) {
        #[cfg(feature = "testkit")]
        crate::faults::reached(command.name(), actor);
        match command {
            Command::Bounce {
                link,
                message,
                hint,
                why,
            } => self.bounce(link, actor, message, hint, why),
            Command::Fenced { link, k, hint, lost } => {
                let actor = actor.clone();
                self.answer(link, Frame::Fenced { actor, k, hint, lost });
            }
            Command::NotHere { link, k } => {
                let actor = actor.clone();
                self.answer(link, Frame::NotHere { actor, k });
            }
            Command::Moved { link, hint } => {
                let actor = actor.clone();
                self.answer(link, Frame::Moved { actor, hint });
            }
            Command::Unknown { message } => {
                let text = format!(
                    "{} to {actor} was lost with the silo it was on; it may have run",
                    message.body.name()
                );
                let failure = Failure::new(FailureCode::Unknown, Ran::Unknown, text);
                self.fail(actor, message, failure);
            }
            Command::Register => self.directory.register(actor.clone()),
            Command::ReadEntry => self.read_entry(actor.clone()),
            Command::ChangeEntry { purpose, expected, new } => self.change_entry(actor.clone(), purpose, expected, new),
            Command::Rest { message } => match &place.activation {
                Some(activation) => activation.push(message),
                None => {
                    // It was stopped by force.
                    let text = format!("{actor} was stopped with its silo; the message did not run");
                    self.fail(actor, message, Failure::new(FailureCode::ShuttingDown, Ran::No, text));
                }
            },
            Command::Freeze => control(place, Control::Freeze),
            Command::Resume { epoch } => {
                place.package = None;
                control(place, Control::Resume { epoch });
                self.moves.ended(actor, Err(super::MoveFailure::CalledOff));
            }
            Command::Start { epoch } => control(place, Control::Start { epoch }),
            Command::Drop => {
                control(place, Control::Drop);
                place.activation = None;
                place.arriving = None;
                if let Some(package) = place.package.take() {
                    self.moves.ended(actor, Ok(package.memory_bytes()));
                }
            }
            Command::Abandon => {
                control(place, Control::Abandon);
                place.activation = None;
                place.package = None;
                self.moves.ended(actor, Err(super::MoveFailure::TargetLost));
            }
            Command::Deactivate => control(place, Control::End(self.deactivate_reason())),
            Command::SendPackage { to, .. } => {
                if let Some(parcel) = &mut place.package {
                    self.send_package(&to, actor, parcel);
                }
            }
            Command::SendForward { to, stream, n } => {
                let Some(message) = place
                    .seat
                    .forwarding_mut()
                    .and_then(|forwarding| forwarding.message_mut(n))
                else {
                    return;
                };
                match self.board().to_call(actor, message) {
                    Ok(call) => self.board().links().send(&to, Frame::Forward { stream, n, call }),
                    Err(error) => {
                        tracing::error!(%actor, %error, "a message cannot be forwarded: it cannot be serialized")
                    }
                }
            }
            Command::SendGo { to, epoch } => {
                let actor = actor.clone();
                self.board().links().send(&to, Frame::Go { actor, epoch });
            }
            Command::SendClosed { to, stream } => {
                let actor = actor.clone();
                self.board().links().send(&to, Frame::Closed { actor, stream });
            }
            Command::SendRefused { to, epoch, why } => {
                let actor = actor.clone();
                self.accepted.send_to_silo(&to, Frame::Refused { actor, epoch, why });
            }
            Command::SendCommitted { to, epoch } => {
                let actor = actor.clone();
                self.accepted.send_to_silo(&to, Frame::Committed { actor, epoch });
            }
            Command::SendRested { to, stream, n } => {
                let actor = actor.clone();
                self.accepted.send_to_silo(&to, Frame::Rested { actor, stream, n });
            }
            Command::SendReturned { to, stream, n } => {
                let actor = actor.clone();
                self.accepted.send_to_silo(&to, Frame::Returned { actor, stream, n });
            }
            Command::SendLost { to, stream, n } => {
                let actor = actor.clone();
                self.accepted.send_to_silo(&to, Frame::Lost { actor, stream, n });
            }
            Command::SendAskClosed { to, stream } => {
                let actor = actor.clone();
                self.accepted.send_to_silo(&to, Frame::AskClosed { actor, stream });
            }
        }
    }

    /// A message for an actor over one of the links that lead here, its own callers' among them.
    pub(super) fn arrive(self: &Arc<Self>, link: LinkId, actor: &ActorId, letter: Letter) {
        let letter = match self.rest_or_begin(actor, letter, || self.board().mailbox_of(actor), |_| ()) {
            Ok(()) => return,
            Err(letter) => letter,
        };
        let may_register = self.may_register(actor);
        self.at(actor, |place| {
            let (letter, room) = match &place.activation {
                Some(activation) if place.seat.is_open_to(link) => match activation.try_push(letter) {
                    Ok(()) => return,
                    Err(Refused::Full(letter)) => (letter, false),
                    Err(Refused::Closed(letter)) => (letter, true),
                },
                _ => (letter, true),
            };
            place.seat.arrive(link, letter, room, may_register);
        });
    }
}

fn control(place: &Place, control: Control) {
    if let Some(activation) = &place.activation {
        activation.control(control);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::Moment,
        ident::Epoch,
        mailbox::{Body, Chain, Nowhere, ReplyTo},
        migration::Phase,
        store::{Entry, EntryOutcome},
    };

    fn letter() -> Letter {
        Letter {
            body: Body::Encoded {
                name: "m".into(),
                bytes: bytes::Bytes::new(),
            },
            reply: ReplyTo::Nobody,
            deadline: None,
            chain: Chain::NONE,
        }
    }

    fn actor(n: usize) -> ActorId {
        ActorId::new("k", n.to_string()).expect("valid")
    }

    /// Does as the node would, but for what commands lead to.
    fn at<T>(seats: &Seats, actor: &ActorId, event: impl FnOnce(&mut Seat<Letter>) -> T) -> T {
        seats.change(actor, |place| event(&mut place.seat), |_, _| ())
    }

    fn active(seats: &Seats, actor: &ActorId) {
        at(seats, actor, |seat| seat.enter(LinkId(1), 1, true));
        at(seats, actor, |seat| assert!(seat.registered(Epoch(1))));
    }

    fn moved_away(seats: &Seats, actor: &ActorId, to: &SiloId) {
        at(seats, actor, |seat| assert!(seat.freeze(to.clone())));
        at(seats, actor, Seat::packed);
        at(seats, actor, |seat| seat.committed(to, Epoch(2)));
    }

    #[test]
    fn periodic_work_does_not_see_actors_that_are_only_there() {
        let seats = Seats::new(SiloId::new("s", 1));
        let visited = || seats.select_busy(|actor, _| Some(actor.clone()));
        for n in 0..1000 {
            active(&seats, &actor(n));
        }
        assert_eq!(visited(), []);
        assert_eq!((seats.tally().tenants, seats.tally().settled), (1000, 1000));
        let (one, other) = (actor(7), SiloId::new("t", 1));
        at(&seats, &one, |seat| assert!(seat.freeze(other.clone())));
        assert_eq!(visited(), [one]);
        assert_eq!((seats.tally().tenants, seats.tally().settled), (1000, 999));
    }

    #[test]
    fn a_seat_is_forgotten_when_its_forwarding_has_ended() {
        let (seats, other) = (Seats::new(SiloId::new("s", 1)), SiloId::new("t", 1));
        for n in 0..1000 {
            active(&seats, &actor(n));
            moved_away(&seats, &actor(n), &other);
        }
        assert_eq!(seats.tally().passing_on, 1000);
        for actor in seats.select_busy(|actor, _| Some(actor.clone())) {
            at(&seats, &actor, |seat| assert!(seat.forget_forwarding()));
        }
        assert_eq!(seats.select(|_, _| Some(())).len(), 0);
        assert_eq!(seats.tally(), Tally::default());
        let kept: usize = seats.shards.iter().map(|shard| shard.lock().places.capacity()).sum();
        assert!(kept <= SHARDS * 64, "room for {kept} seats is kept");
    }

    #[test]
    fn a_seat_is_forgotten_when_its_actor_has_ended() {
        let (seats, one) = (Seats::new(SiloId::new("s", 1)), actor(1));
        active(&seats, &one);
        at(&seats, &one, |seat| assert!(seat.deactivate()));
        at(&seats, &one, Seat::deactivated);
        let free = Entry::free(Epoch(2));
        at(&seats, &one, |seat| {
            seat.entry_changed(crate::migration::Purpose::Free, &free, EntryOutcome::Changed, |_| false);
        });
        assert!(seats.peek(&one, |_| ()).is_none());
        assert_eq!(seats.tally(), Tally::default());
    }

    #[test]
    fn an_actor_that_begins_at_once_is_as_one_that_registered() {
        let (seats, one) = (Seats::new(SiloId::new("s", 1)), actor(1));
        let mailbox = Arc::new(Mailbox::new(one.clone(), 10, Arc::new(Nowhere), Moment(0)));
        let begin = || {
            mailbox.make();
            mailbox.set_epoch(Epoch(3));
            mailbox.set_open(true);
            Some(mailbox.clone())
        };
        assert!(seats.push_at_rest_or(&one, letter(), || None, |_| ()).is_err());
        assert_eq!(seats.tally(), Tally::default());
        seats.watch(true);
        assert!(seats.push_at_rest_or(&one, letter(), begin, |_| ()).is_ok());
        assert!(
            seats
                .push_at_rest_or(&one, letter(), || unreachable!("it runs"), |_| ())
                .is_ok()
        );
        assert_eq!(mailbox.len(), 2);
        let phase = seats.peek(&one, |place| {
            place.seat.phase().map(|(phase, epoch)| (phase.clone(), epoch))
        });
        assert_eq!(phase, Some(Some((Phase::Active, Epoch(3)))));
        let (tally, news) = (seats.tally(), seats.take_news());
        assert_eq!((tally.activations, tally.tenants, tally.settled), (1, 1, 1));
        assert_eq!(news, std::slice::from_ref(&one));
        // It is kept otherwise while more is known of it, and at rest again after that.
        assert!(at(&seats, &one, |seat| seat.freeze(SiloId::new("t", 1))));
        assert_eq!(seats.tally().settled, 0);
        at(&seats, &one, |seat| {
            seat.freeze_failed();
        });
        assert_eq!(seats.tally(), tally);
        mailbox.set_open(false);
        assert!(
            seats
                .push_at_rest_or(&one, letter(), || unreachable!("it runs"), |_| ())
                .is_err()
        );
    }

    #[test]
    fn what_becomes_active_while_seats_are_watched_is_noted_once() {
        let seats = Seats::new(SiloId::new("s", 1));
        active(&seats, &actor(1));
        assert_eq!(seats.take_news(), []);
        seats.watch(true);
        active(&seats, &actor(2));
        assert_eq!(seats.take_news(), [actor(2)]);
        assert_eq!(seats.take_news(), []);
    }
}

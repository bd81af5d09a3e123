//! Packages on their way between silos: whole in one frame, or in parts with credit if they are large.

use super::{Node, moves::Moves};
use crate::{
    clock::Moment,
    ident::{ActorId, Epoch, SiloId},
    migration::{Part, Receiving, Sending},
    wire::{Frame, FrameError, Limits, MoveFailure, Outgoing, Package, Refusal},
};
use bytes::{Buf, Bytes, BytesMut};
use parking_lot::Mutex;
use std::{collections::BTreeMap, sync::Arc};

/// The most bytes of packages that are being put together.
const MAX_RECEIVING: usize = 512 * 1024 * 1024;

/// A package of this silo, kept until its move has ended.
pub(super) struct Parcel {
    package: Package,
    /// Of one that goes in parts.
    parts: Option<Parts>,
}

struct Parts {
    sending: Sending,
    total: usize,
    left: Outgoing,
}

impl Parcel {
    pub(super) fn new(package: Package) -> Self {
        Self { package, parts: None }
    }

    /// The size of the actor's memory.
    pub(super) fn memory_bytes(&self) -> usize {
        self.package.memory.len()
    }

    /// About how many bytes it has on the wire.
    pub(super) fn weight(&self) -> usize {
        self.package.weight()
    }

    /// The first frames of it, as many as may be sent before the target says that it has them.
    fn begin(&mut self) -> Result<Vec<Frame>, FrameError> {
        if self.weight() <= Sending::PART_BYTES {
            return Ok(vec![Frame::Package(self.package.clone())]);
        }
        let left = self.package.to_whole(&Limits::default())?;
        let total = left.remaining();
        let sending = Sending::new(total, Sending::PART_BYTES, Sending::CREDIT_BYTES);
        self.parts = Some(Parts { sending, total, left });
        Ok(self.next())
    }

    /// The target has all up to `upto`; the next frames.
    fn taken(&mut self, epoch: Epoch, upto: usize) -> Vec<Frame> {
        match &mut self.parts {
            Some(parts) if epoch == self.package.epoch => {
                parts.sending.taken(upto);
                self.next()
            }
            _ => Vec::new(),
        }
    }

    fn next(&mut self) -> Vec<Frame> {
        let Some(Parts { sending, total, left }) = &mut self.parts else {
            return Vec::new();
        };
        let frame = |part: std::ops::Range<usize>| Frame::Part {
            actor: self.package.actor.clone(),
            epoch: self.package.epoch,
            offset: part.start as u64,
            total: *total as u64,
            bytes: left.copy_to_bytes(part.len()),
        };
        std::iter::from_fn(|| sending.next_part()).map(frame).collect()
    }
}

/// A package that is being put together.
struct Arriving {
    epoch: Epoch,
    receiving: Receiving,
    bytes: BytesMut,
    since: Moment,
}

/// The packages that are being put together at this silo, by their sources.
#[derive(Default)]
pub(super) struct Parcels(Mutex<BTreeMap<(SiloId, ActorId), Arriving>>);

/// What a part came to.
enum Came {
    Part { upto: u64 },
    Whole { upto: u64, bytes: BytesMut },
    NoRoom,
    Stray,
}

impl Parcels {
    fn part(
        &self,
        key: (SiloId, ActorId),
        epoch: Epoch,
        offset: usize,
        total: usize,
        bytes: &Bytes,
        now: Moment,
    ) -> Came {
        let mut all = self.0.lock();
        if offset == 0 {
            // Anew: the source has a new link, or tries again.
            all.remove(&key);
            let taken: usize = all.values().map(|arriving| arriving.receiving.total()).sum();
            let limit = Limits::default().max_package_bytes;
            if total > limit || taken.saturating_add(total) > MAX_RECEIVING {
                return Came::NoRoom;
            }
            let arriving = Arriving {
                epoch,
                receiving: Receiving::new(total),
                // The system gives the memory as it fills.
                bytes: BytesMut::with_capacity(total),
                since: now,
            };
            all.insert(key.clone(), arriving);
        }
        let Some(arriving) = all.get_mut(&key).filter(|arriving| arriving.epoch == epoch) else {
            return Came::Stray;
        };
        let part = arriving.receiving.part(offset, bytes.len(), total);
        if part != Part::Stray {
            arriving.bytes.extend_from_slice(bytes);
            arriving.since = now;
        }
        let upto = arriving.receiving.received() as u64;
        match part {
            Part::Next => Came::Part { upto },
            Part::Stray => Came::Stray,
            Part::Last => match all.remove(&key) {
                Some(Arriving { bytes, .. }) => Came::Whole { upto, bytes },
                None => Came::Stray,
            },
        }
    }

    /// Drops what comes from a silo that is gone.
    pub(super) fn forget(&self, silo: &SiloId) {
        self.0.lock().retain(|(from, _), _| from != silo);
    }

    /// Drops what nothing more has come of for longer than `timeout`.
    pub(super) fn sweep(&self, now: Moment, timeout: std::time::Duration) {
        self.0.lock().retain(|_, arriving| now.since(arriving.since) <= timeout);
    }
}

impl Node {
    /// Sends a package to its target, or its first parts. With the actor's seat locked.
    pub(super) fn send_package(self: &Arc<Self>, to: &SiloId, actor: &ActorId, parcel: &mut Parcel) {
        let moves: &Moves = &self.moves;
        moves.frozen(actor, parcel.weight());
        match parcel.begin() {
            Ok(frames) => self.send_all(to, frames),
            Err(error) => {
                tracing::warn!(%actor, %error, "an actor is too large to move");
                moves.blame(actor, MoveFailure::TooLarge(error.to_string()));
                let (node, to, actor, epoch) = (self.clone(), to.clone(), actor.clone(), parcel.package.epoch);
                // The seat is being changed now.
                self.spawn(async move { node.at(&actor, |place| place.seat.refused(&to, epoch)) });
            }
        }
    }

    fn send_all(&self, to: &SiloId, frames: Vec<Frame>) {
        for frame in frames {
            self.board().links().send(to, frame);
        }
    }

    /// The target has the parts of a package up to here.
    pub(super) fn part_taken(self: &Arc<Self>, from: &SiloId, actor: &ActorId, epoch: Epoch, upto: u64) {
        self.at(actor, |place| {
            if let Some(parcel) = &mut place.package {
                let frames = parcel.taken(epoch, usize::try_from(upto).unwrap_or(usize::MAX));
                self.send_all(from, frames);
            }
        });
    }

    /// A part of a package has come from its source.
    pub(super) fn part_arrived(self: &Arc<Self>, from: &SiloId, frame: Frame) {
        let Frame::Part {
            actor,
            epoch,
            offset,
            total,
            bytes,
        } = frame
        else {
            return;
        };
        let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        let key = (from.clone(), actor.clone());
        let came = self
            .parcels
            .part(key, epoch, size(offset), size(total), &bytes, self.clock.now());
        let upto = match &came {
            Came::Part { upto } | Came::Whole { upto, .. } => *upto,
            Came::Stray => return,
            Came::NoRoom => {
                let why = Refusal::Full;
                self.accepted.send_to_silo(from, Frame::Refused { actor, epoch, why });
                return;
            }
        };
        let taken = Frame::PartTaken {
            actor: actor.clone(),
            epoch,
            upto,
        };
        self.accepted.send_to_silo(from, taken);
        if let Came::Whole { bytes, .. } = came {
            match Package::from_whole(bytes, &Limits::default()) {
                Ok(package) if package.actor == actor && package.epoch == epoch => self.package_arrived(from, package),
                read => {
                    let text = match read {
                        Ok(package) => format!("it is that of {}", package.actor),
                        Err(error) => error.to_string(),
                    };
                    tracing::warn!(%actor, %from, why = text, "the parts of a package make no package");
                    let why = Refusal::Unreadable(text);
                    self.accepted.send_to_silo(from, Frame::Refused { actor, epoch, why });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use semver::Version;
    use std::{collections::VecDeque, time::Duration};

    fn package(bytes: usize) -> Package {
        Package {
            actor: ActorId::new("cart", "alice").expect("valid"),
            epoch: Epoch(3),
            version: Version::new(1, 0, 0),
            memory: Bytes::from(vec![7; bytes]),
            etag: None,
            unsaved: true,
            waiting: Vec::new(),
            frozen_at_micros: 5,
            timers: Vec::new(),
            streams: Vec::new(),
        }
    }

    fn arrive(parcels: &Parcels, frame: &Frame) -> Came {
        let Frame::Part {
            actor,
            epoch,
            offset,
            total,
            bytes,
        } = frame
        else {
            panic!("{frame:?}")
        };
        let key = (SiloId::new("s", 1), actor.clone());
        parcels.part(key, *epoch, *offset as usize, *total as usize, bytes, Moment::default())
    }

    #[test]
    fn a_small_package_goes_whole() {
        let frames = Parcel::new(package(1000)).begin().expect("fits");
        assert_eq!(frames, [Frame::Package(package(1000))]);
    }

    /// R51
    #[test]
    fn a_large_package_arrives_as_it_was_and_anew_after_a_new_link() {
        let (package, parcels) = (package(5 * 1024 * 1024 + 17), Parcels::default());
        let mut parcel = Parcel::new(package.clone());
        // A first attempt that is cut in the middle.
        for frame in parcel.begin().expect("fits") {
            assert!(matches!(arrive(&parcels, &frame), Came::Part { .. }));
        }
        let mut way = VecDeque::from(parcel.begin().expect("fits"));
        assert!(parcel.taken(Epoch(2), 1).is_empty(), "of another freeze");
        let whole = loop {
            assert!(
                way.len() <= Sending::CREDIT_BYTES / Sending::PART_BYTES,
                "no more than there is credit for"
            );
            let frame = way.pop_front().expect("it goes on");
            match arrive(&parcels, &frame) {
                Came::Part { upto } => way.extend(parcel.taken(Epoch(3), upto as usize)),
                Came::Whole { bytes, .. } => break bytes,
                Came::NoRoom | Came::Stray => panic!("it fits"),
            }
        };
        assert_eq!(
            Package::from_whole(whole, &Limits::default()).expect("is read"),
            package
        );
        assert!(parcels.0.lock().is_empty());
    }

    #[test]
    fn what_is_put_together_is_bounded_and_forgotten() {
        let parcels = Parcels::default();
        let part = |key: &str, total: usize| Frame::Part {
            actor: ActorId::new("k", key).expect("valid"),
            epoch: Epoch(1),
            offset: 0,
            total: total as u64,
            bytes: Bytes::from_static(b"x"),
        };
        let limit = Limits::default().max_package_bytes;
        assert!(matches!(arrive(&parcels, &part("a", limit + 1)), Came::NoRoom));
        assert!(matches!(arrive(&parcels, &part("a", limit)), Came::Part { .. }));
        assert!(matches!(arrive(&parcels, &part("b", limit)), Came::Part { .. }));
        assert!(matches!(arrive(&parcels, &part("c", limit)), Came::NoRoom));
        parcels.sweep(Moment::default() + Duration::from_secs(2), Duration::from_secs(1));
        assert!(matches!(arrive(&parcels, &part("c", limit)), Came::Part { .. }));
        parcels.forget(&SiloId::new("s", 1));
        assert!(parcels.0.lock().is_empty());
    }
}

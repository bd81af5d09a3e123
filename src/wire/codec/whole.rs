//! Packages that are too large for one frame: the bytes of their Package frame, cut into parts and put together again.

use super::{Decoder, Outgoing, Step, kind};
use crate::wire::{Frame, FrameError, Limits, Package};
use bytes::BytesMut;

fn as_frames(limits: &Limits) -> Limits {
    Limits {
        max_frame_bytes: limits.max_package_bytes,
        ..*limits
    }
}

impl Package {
    /// About how many bytes it takes on the wire.
    pub fn weight(&self) -> usize {
        let calls = self.waiting.iter().map(|call| call.body.len() + 128);
        let timers = self.timers.iter().map(|timer| timer.body.len() + 128);
        self.memory.len() + calls.sum::<usize>() + timers.sum::<usize>() + 256
    }

    /// The bytes of its frame, whatever the limit of frames; large payloads are not copied.
    ///
    /// # Errors
    /// It is larger than packages may be, or breaks another limit.
    pub fn to_whole(&self, limits: &Limits) -> Result<Outgoing, FrameError> {
        let mut whole = Outgoing::new();
        whole.push_package(self, &as_frames(limits))?;
        Ok(whole)
    }

    /// What [`Package::to_whole`] wrote.
    ///
    /// # Errors
    /// The bytes are no package, or one that breaks a limit.
    pub fn from_whole(mut whole: BytesMut, limits: &Limits) -> Result<Self, FrameError> {
        let malformed = |why| FrameError::Malformed {
            kind: kind::PACKAGE,
            field: "the whole of its parts",
            why,
        };
        match Decoder::new(as_frames(limits)).step(&mut whole)? {
            Step::Frame(Frame::Package(_)) if !whole.is_empty() => Err(malformed("goes on behind its end")),
            Step::Frame(Frame::Package(package)) => Ok(package),
            Step::Frame(_) | Step::End => Err(malformed("is no package")),
            Step::Need(_) => Err(malformed("is cut off")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ident::{ActorId, Epoch};
    use bytes::{Buf, Bytes};
    use semver::Version;

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

    fn together(mut whole: Outgoing, part: usize) -> BytesMut {
        let mut bytes = BytesMut::new();
        while whole.has_remaining() {
            bytes.extend_from_slice(&whole.copy_to_bytes(part.min(whole.remaining())));
        }
        bytes
    }

    #[test]
    fn a_package_larger_than_a_frame_survives_its_parts() {
        let limits = Limits {
            max_frame_bytes: 1000,
            ..Limits::default()
        };
        let package = package(100_000);
        let whole = package.to_whole(&limits).expect("within the limit of packages");
        assert!(whole.remaining().abs_diff(package.weight()) < 300);
        let read = Package::from_whole(together(whole, 777), &limits).expect("is read");
        assert_eq!(read, package);
    }

    #[test]
    fn what_is_no_whole_package_is_refused() {
        let limits = Limits {
            max_package_bytes: 2000,
            ..Limits::default()
        };
        assert!(package(2000).to_whole(&limits).is_err(), "too large");
        let whole = together(package(1000).to_whole(&limits).expect("fits"), 64);
        let cut = BytesMut::from(&whole[..whole.len() - 1]);
        assert!(Package::from_whole(cut, &limits).is_err(), "cut off");
        let mut longer = whole.clone();
        longer.extend_from_slice(b"x");
        assert!(Package::from_whole(longer, &limits).is_err(), "goes on");
        let mut ping = Outgoing::new();
        ping.push(&Frame::Ping { n: 1 }, &limits).expect("small");
        assert!(Package::from_whole(together(ping, 64), &limits).is_err(), "no package");
    }
}

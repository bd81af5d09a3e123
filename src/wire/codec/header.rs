//! The fixed header of every frame.

use super::kind;
use crate::wire::{FrameError, Limits};

/// The fixed header of every frame; see the module docs of the codec for its layout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) layout: u16,
    pub(super) head: u32,
    pub(super) number: u64,
    pub(super) epoch: u64,
}

/// What the length field at the front of the stream says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    /// This many more bytes are needed at least.
    Need(usize),
    /// A frame of this many bytes, length field included, is there.
    Frame(usize),
    /// The stream ends here: a length of 0.
    End,
}

impl Header {
    /// Bytes of the header, length field included.
    pub(super) const BYTES: usize = 28;
    const LENGTH_BYTES: usize = 4;

    /// The header as bytes; `total` is the length of the whole frame with its header.
    pub(super) fn to_bytes(self, total: usize) -> [u8; Self::BYTES] {
        let length = u32::try_from(total - Self::LENGTH_BYTES).expect("invariant: the limits were checked");
        let mut bytes = [0; Self::BYTES];
        bytes[0..4].copy_from_slice(&length.to_le_bytes());
        bytes[4] = self.kind;
        bytes[5] = self.flags;
        bytes[6..8].copy_from_slice(&self.layout.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.head.to_le_bytes());
        bytes[12..20].copy_from_slice(&self.number.to_le_bytes());
        bytes[20..28].copy_from_slice(&self.epoch.to_le_bytes());
        bytes
    }

    /// The header of a whole frame, checked against its length.
    pub(super) fn from_frame(frame: &[u8]) -> Result<Self, FrameError> {
        let malformed = |kind, field, why| FrameError::Malformed { kind, field, why };
        let fixed: &[u8; Self::BYTES] = frame.first_chunk().ok_or(malformed(0, "the header", "is cut off"))?;
        let [
            _,
            _,
            _,
            _,
            kind,
            flags,
            l0,
            l1,
            h0,
            h1,
            h2,
            h3,
            n0,
            n1,
            n2,
            n3,
            n4,
            n5,
            n6,
            n7,
            e0,
            e1,
            e2,
            e3,
            e4,
            e5,
            e6,
            e7,
        ] = *fixed;
        let header = Self {
            kind,
            flags,
            layout: u16::from_le_bytes([l0, l1]),
            head: u32::from_le_bytes([h0, h1, h2, h3]),
            number: u64::from_le_bytes([n0, n1, n2, n3, n4, n5, n6, n7]),
            epoch: u64::from_le_bytes([e0, e1, e2, e3, e4, e5, e6, e7]),
        };
        if header.head as usize > frame.len() - Self::BYTES {
            return Err(malformed(kind, "the head", "is longer than the frame"));
        }
        Ok(header)
    }

    /// Reads the length field of the next frame of a stream. The limit is checked before the frame has arrived.
    pub(super) fn measure(stream: &[u8], limits: &Limits) -> Result<Length, FrameError> {
        let Some(field) = stream.first_chunk::<{ Self::LENGTH_BYTES }>() else {
            return Ok(Length::Need(Self::LENGTH_BYTES - stream.len()));
        };
        let length = u32::from_le_bytes(*field) as usize;
        if length == 0 {
            return Ok(Length::End);
        }
        let total = length + Self::LENGTH_BYTES;
        let kind = stream.get(Self::LENGTH_BYTES).copied();
        limits.check_frame(total, || match kind {
            Some(kind) => format!("a {} frame that comes in", kind::name(kind)),
            None => "a frame that comes in".into(),
        })?;
        if total < Self::BYTES {
            return Err(FrameError::Malformed {
                kind: kind.unwrap_or(0),
                field: "the header",
                why: "is cut off",
            });
        }
        Ok(match total.checked_sub(stream.len()) {
            None | Some(0) => Length::Frame(total),
            Some(missing) => Length::Need(missing),
        })
    }

    pub(super) fn end() -> [u8; Self::LENGTH_BYTES] {
        [0; Self::LENGTH_BYTES]
    }
}

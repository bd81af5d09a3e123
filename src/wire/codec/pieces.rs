//! Large frames in pieces, so that what does not wait for them can go between.

use super::{
    encode::FLAG,
    header::{Header, Length},
    kind,
    outgoing::Outgoing,
};
use crate::{
    ident::Epoch,
    wire::{Frame, FrameError, Limits, Outcome},
};
use bytes::{Buf, Bytes, BytesMut};

/// From so many bytes of payload on a frame goes in pieces, of so much each.
pub const PIECE_BYTES: usize = 256 * 1024;

impl Frame {
    /// Whether the frame keeps no order with others: it may go between the pieces of one, and before those that wait.
    pub fn is_aside(&self) -> bool {
        let is_kind = matches!(
            self,
            Self::Query { .. } | Self::Answer { .. } | Self::Ping { .. } | Self::Pong { .. }
        );
        is_kind && !self.is_large()
    }

    /// Whether the frame goes in pieces, to peers that know them.
    pub fn is_large(&self) -> bool {
        let bytes = match self {
            Self::Call(call) | Self::Forward { call, .. } | Self::Bounce { call, .. } => call.body.len(),
            Self::Reply {
                outcome: Outcome::Reply(body),
                ..
            }
            | Self::Answer {
                outcome: Outcome::Reply(body),
                ..
            }
            | Self::Query { body, .. } => body.len(),
            Self::Package(package) => {
                package.memory.len() + package.waiting.iter().map(|call| call.body.len()).sum::<usize>()
            }
            _ => 0,
        };
        bytes >= PIECE_BYTES
    }
}

impl Outgoing {
    /// The same bytes as the payloads of Piece frames.
    pub fn into_pieces(mut self) -> impl Iterator<Item = Self> {
        let total = self.remaining();
        std::iter::from_fn(move || {
            if !self.has_remaining() {
                return None;
            }
            let bytes = self.remaining().min(PIECE_BYTES);
            let header = Header {
                kind: kind::PIECE,
                flags: if bytes == self.remaining() { FLAG } else { 0 },
                number: total as u64,
                epoch: Epoch::ZERO.0,
                ..Header::default()
            };
            let mut piece = Self::new();
            piece.tail().extend_from_slice(&header.to_bytes(Header::BYTES + bytes));
            self.move_into(&mut piece, bytes);
            Some(piece)
        })
    }
}

/// The pieces of a frame that have come.
#[derive(Debug, Default)]
pub(super) struct Pieces(Option<Assembly>);

#[derive(Debug)]
struct Assembly {
    total: usize,
    /// Grows with what comes, not by what is announced.
    bytes: BytesMut,
}

impl Pieces {
    /// Takes a whole frame as it came; what is to be read now, if it is not one of several pieces.
    pub(super) fn take(&mut self, frame: Bytes, limits: &Limits) -> Result<Option<Bytes>, FrameError> {
        let header = Header::from_frame(&frame)?;
        if header.kind != kind::PIECE || header.layout != 0 {
            return match header.kind {
                // Everything else keeps its order.
                kind if self.0.is_some() && kind::is_known(kind) && !kind::is_aside(kind) => {
                    Err(malformed(kind, "the frame", "is between the pieces of another"))
                }
                _ => Ok(Some(frame)),
            };
        }
        let is_last = header.flags & FLAG != 0;
        let total = usize::try_from(header.number).unwrap_or(usize::MAX);
        limits.check_frame(total, || "a frame that comes in pieces".into())?;
        let assembly = self.0.get_or_insert_with(|| Assembly {
            total,
            bytes: BytesMut::new(),
        });
        let piece = &frame[Header::BYTES + header.head as usize..];
        if assembly.total != total {
            return Err(malformed(kind::PIECE, "the total", "is not that of the piece before"));
        }
        if piece.is_empty() {
            return Err(malformed(kind::PIECE, "the payload", "is empty"));
        }
        assembly.bytes.extend_from_slice(piece);
        if (assembly.bytes.len() == total) != is_last || assembly.bytes.len() > total {
            return Err(malformed(kind::PIECE, "the total", "is not that of the pieces"));
        }
        if !is_last {
            return Ok(None);
        }
        let whole = self
            .0
            .take()
            .map(|assembly| assembly.bytes.freeze())
            .unwrap_or_default();
        match Header::measure(&whole, limits)? {
            Length::Frame(length) if length == total && Header::from_frame(&whole)?.kind != kind::PIECE => {
                Ok(Some(whole))
            }
            _ => Err(malformed(kind::PIECE, "what the pieces make up", "is no frame")),
        }
    }

    /// Whether pieces of a frame are still to come.
    pub(super) fn are_missing(&self) -> bool {
        self.0.is_some()
    }
}

fn malformed(kind: u8, field: &'static str, why: &'static str) -> FrameError {
    FrameError::Malformed { kind, field, why }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ident::RequestId,
        wire::{Decoder, Step},
    };

    fn reply(request: u64, bytes: usize) -> Frame {
        let body = (0..bytes).map(|n| n as u8).collect::<Vec<_>>().into();
        Frame::Reply {
            request: RequestId(request),
            outcome: Outcome::Reply(body),
        }
    }

    fn whole(frame: &Frame) -> Outgoing {
        let mut out = Outgoing::new();
        out.push(frame, &Limits::default()).expect("within the limits");
        out
    }

    fn bytes(mut out: Outgoing) -> Vec<u8> {
        out.copy_to_bytes(out.remaining()).to_vec()
    }

    fn pieces(frame: &Frame) -> Vec<Vec<u8>> {
        whole(frame).into_pieces().map(bytes).collect()
    }

    fn step(decoder: &mut Decoder, buffer: &mut BytesMut, bytes: &[u8]) -> Result<Step, FrameError> {
        buffer.extend_from_slice(bytes);
        decoder.step(buffer)
    }

    fn refused(came: &[&[u8]]) -> String {
        let (mut decoder, mut buffer) = (Decoder::new(Limits::default()), BytesMut::new());
        let mut came = came.iter();
        loop {
            let next = came.next().expect("must be refused");
            if let Err(error) = step(&mut decoder, &mut buffer, next) {
                return error.to_string();
            }
        }
    }

    #[test]
    fn a_frame_in_pieces_is_the_frame_and_what_goes_aside_comes_between() {
        for bytes in [PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES, 10 * PIECE_BYTES - 40] {
            let frame = reply(7, bytes);
            assert!(frame.is_large() && !frame.is_aside());
            let pieces = pieces(&frame);
            assert!(pieces.len() > 1, "{bytes}");
            let (mut decoder, mut buffer) = (Decoder::new(Limits::default()), BytesMut::new());
            let ping = self::bytes(whole(&Frame::Ping { n: 1 }));
            let last = pieces.len() - 1;
            for piece in &pieces[..last] {
                assert!(matches!(step(&mut decoder, &mut buffer, piece), Ok(Step::Need(_))));
                let between = step(&mut decoder, &mut buffer, &ping);
                assert!(matches!(between, Ok(Step::Frame(Frame::Ping { n: 1 }))), "{between:?}");
            }
            match step(&mut decoder, &mut buffer, &pieces[last]) {
                Ok(Step::Frame(read)) => assert!(read == frame),
                other => panic!("{other:?}"),
            }
            let after = step(&mut decoder, &mut buffer, &self::bytes(whole(&reply(8, 3))));
            assert!(matches!(after, Ok(Step::Frame(Frame::Reply { .. }))), "{after:?}");
        }
    }

    #[test]
    fn large_payloads_are_not_copied_into_pieces() {
        let Frame::Reply {
            outcome: Outcome::Reply(body),
            ..
        } = reply(1, 2 * PIECE_BYTES)
        else {
            unreachable!("a reply");
        };
        let frame = Frame::Reply {
            request: RequestId(1),
            outcome: Outcome::Reply(body.clone()),
        };
        let pieces: Vec<_> = whole(&frame).into_pieces().collect();
        let range = body.as_ptr_range();
        let mut shared = 0;
        for mut piece in pieces {
            while piece.has_remaining() {
                let chunk = piece.chunk();
                if range.contains(&chunk.as_ptr()) {
                    shared += chunk.len();
                }
                let length = chunk.len();
                piece.advance(length);
            }
        }
        assert!(shared > 2 * PIECE_BYTES - 32 * 1024, "{shared}");
    }

    #[test]
    fn pieces_that_do_not_fit_are_refused() {
        let pieces = pieces(&reply(7, 3 * PIECE_BYTES));
        let call = bytes(whole(&Frame::Leaving));
        assert!(refused(&[&pieces[0], &call]).contains("between the pieces of another"));
        assert!(refused(&[&pieces[0], &[0; 4]]).contains("the last piece"));
        assert!(
            refused(&[&pieces[0], &pieces[3]]).contains("not that of the pieces"),
            "one is missing"
        );
        assert!(refused(&[&pieces[0], &pieces[1], &pieces[2], &pieces[2]]).contains("not that of the pieces"));
        let mut total = pieces[1].clone();
        total[12] ^= 1;
        assert!(refused(&[&pieces[0], &total]).contains("not that of the piece before"));
        let mut huge = pieces[0].clone();
        huge[12..20].copy_from_slice(&u64::MAX.to_le_bytes());
        assert!(refused(&[&huge]).contains("max_frame_bytes"));
        let of_pieces = |bytes: &[u8]| {
            let mut out = Outgoing::new();
            out.push_payload(&Bytes::copy_from_slice(bytes));
            self::bytes(out.into_pieces().next().expect("one"))
        };
        assert!(refused(&[&of_pieces(b"no frame at all, whatever it says")]).contains("frame"));
        assert!(
            refused(&[&of_pieces(&of_pieces(&call))]).contains("is no frame"),
            "pieces of pieces"
        );
        assert!(
            refused(&[&of_pieces(&[&call[..], &call[..]].concat())]).contains("is no frame"),
            "two in one"
        );
        let empty = Header {
            kind: kind::PIECE,
            number: 100,
            ..Header::default()
        };
        assert!(refused(&[&empty.to_bytes(Header::BYTES)]).contains("is empty"));
    }

    #[test]
    fn an_announced_total_takes_no_memory() {
        let mut first = pieces(&reply(7, 2 * PIECE_BYTES)).swap_remove(0);
        first[12..20].copy_from_slice(&(60_u64 << 20).to_le_bytes());
        let mut pieces = Pieces::default();
        let taken = pieces.take(first.into(), &Limits::default()).expect("may be");
        assert!(taken.is_none());
        assert!(pieces.0.expect("one is there").bytes.capacity() <= 4 * PIECE_BYTES);
    }
}

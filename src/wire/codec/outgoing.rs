//! Bytes on their way out: frames encoded back to back.

use bytes::{Buf, Bytes};
use std::{collections::VecDeque, io::IoSlice};

/// Encoded frames in order. Small ones are copied behind each other, so that one write takes them all; large payloads are
/// taken by reference.
#[derive(Debug, Default)]
pub struct Outgoing {
    full: VecDeque<Bytes>,
    full_bytes: usize,
    tail: Vec<u8>,
    /// Bytes of `tail` that are gone already.
    gone: usize,
}

impl Outgoing {
    /// From this size on a payload is not copied, in bytes.
    pub const BY_REFERENCE: usize = 16 * 1024;
    /// Memory that is kept for the next frames.
    const KEPT: usize = 256 * 1024;

    /// Nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Drops everything, keeping a moderate buffer for reuse.
    pub fn clear(&mut self) {
        self.full.clear();
        self.full_bytes = 0;
        self.gone = 0;
        self.tail.clear();
        self.tail.shrink_to(Self::KEPT);
    }

    /// Where the frames are written.
    pub(super) fn tail(&mut self) -> &mut Vec<u8> {
        &mut self.tail
    }

    /// Appends a payload.
    pub(super) fn push_payload(&mut self, payload: &Bytes) {
        if payload.len() < Self::BY_REFERENCE {
            self.tail.extend_from_slice(payload);
            return;
        }
        self.seal();
        self.full_bytes += payload.len();
        self.full.push_back(payload.clone());
    }

    /// Moves the first `count` bytes to the end of another, without a copy of large pieces.
    pub(super) fn move_into(&mut self, other: &mut Self, mut count: usize) {
        self.seal();
        while let Some(front) = self.full.front_mut().filter(|_| count > 0) {
            let piece = front.split_to(front.len().min(count));
            count -= piece.len();
            self.full_bytes -= piece.len();
            if front.is_empty() {
                self.full.pop_front();
            }
            other.push_payload(&piece);
        }
    }

    /// Makes a piece of what was copied.
    fn seal(&mut self) {
        if self.tail.len() > self.gone {
            let mut front = Bytes::from(std::mem::take(&mut self.tail));
            front.advance(self.gone);
            self.full_bytes += front.len();
            self.full.push_back(front);
            self.gone = 0;
        }
    }
}

impl Buf for Outgoing {
    fn remaining(&self) -> usize {
        self.full_bytes + self.tail.len() - self.gone
    }

    fn chunk(&self) -> &[u8] {
        match self.full.front() {
            Some(front) => front,
            None => &self.tail[self.gone..],
        }
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let tail = std::iter::once(&self.tail[self.gone..]).filter(|tail| !tail.is_empty());
        let chunks = self.full.iter().map(|bytes| &bytes[..]).chain(tail);
        slices
            .iter_mut()
            .zip(chunks)
            .map(|(slice, chunk)| *slice = IoSlice::new(chunk))
            .count()
    }

    fn advance(&mut self, mut count: usize) {
        assert!(count <= self.remaining(), "invariant: only what is there is taken");
        while let Some(front) = self.full.front_mut() {
            if count < front.len() {
                front.advance(count);
                self.full_bytes -= count;
                return;
            }
            count -= front.len();
            self.full_bytes -= front.len();
            self.full.pop_front();
        }
        self.gone += count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled() -> (Outgoing, Vec<u8>) {
        let mut outgoing = Outgoing::new();
        let mut expected = Vec::new();
        for (n, size) in [10, Outgoing::BY_REFERENCE, 3, 0, 40_000, 50_000, 7]
            .into_iter()
            .enumerate()
        {
            let payload = Bytes::from(vec![n as u8; size]);
            outgoing.tail().push(0xff);
            outgoing.push_payload(&payload);
            expected.push(0xff);
            expected.extend_from_slice(&payload);
        }
        (outgoing, expected)
    }

    #[test]
    fn bytes_come_out_in_the_order_they_went_in() {
        for step in [1, 7, 4096, 16_385, usize::MAX] {
            let (mut outgoing, expected) = filled();
            let mut out = Vec::new();
            while outgoing.has_remaining() {
                let take = outgoing.chunk().len().min(step);
                out.extend_from_slice(&outgoing.chunk()[..take]);
                outgoing.advance(take);
                assert_eq!(outgoing.remaining(), expected.len() - out.len());
            }
            assert!(out == expected, "step {step}");
        }
    }

    #[test]
    fn vectored_chunks_are_all_there_is() {
        let (mut outgoing, expected) = filled();
        outgoing.advance(5);
        let mut slices = [IoSlice::new(&[]); 16];
        let count = outgoing.chunks_vectored(&mut slices);
        assert!(
            slices[..count]
                .iter()
                .flat_map(|slice| slice.iter())
                .eq(expected[5..].iter())
        );
    }

    #[test]
    fn large_payloads_are_not_copied() {
        let payload = Bytes::from(vec![1; 1 << 20]);
        let mut outgoing = Outgoing::new();
        outgoing.push_payload(&payload);
        assert_eq!(outgoing.chunk().as_ptr(), payload.as_ptr());
    }

    #[test]
    fn frames_may_follow_after_a_part_is_gone() {
        let mut outgoing = Outgoing::new();
        outgoing.tail().extend_from_slice(b"abcd");
        outgoing.advance(2);
        outgoing.push_payload(&Bytes::from(vec![1; Outgoing::BY_REFERENCE]));
        outgoing.tail().extend_from_slice(b"ef");
        let bytes = outgoing.copy_to_bytes(outgoing.remaining());
        assert!(bytes.starts_with(b"cd\x01") && bytes.ends_with(b"\x01ef"));
        assert_eq!(bytes.len(), Outgoing::BY_REFERENCE + 4);
        outgoing.clear();
        assert_eq!(outgoing.remaining(), 0);
    }
}

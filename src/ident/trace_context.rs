//! Which trace a message belongs to, as the W3C's Trace Context says it.

use std::{fmt, str::FromStr};

/// Which trace a message belongs to: the value of a [`traceparent`] header. It goes with asks and tells, and with what their
/// turns ask and tell in turn, from silo to silo. Quark makes no spans of its own: it passes on what it is given.
///
/// [`traceparent`]: https://www.w3.org/TR/trace-context/#traceparent-header
///
/// ```
/// use quark::ident::TraceContext;
///
/// let header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// let trace: TraceContext = header.parse()?;
/// assert!(trace.is_sampled());
/// assert_eq!(trace.to_string(), header);
/// # Ok::<(), quark::ident::InvalidTrace>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceContext {
    trace: [u8; 16],
    parent: [u8; 8],
    flags: u8,
}

/// A text or bytes that are no trace context.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "no trace context: it must be like 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01, and its ids not zero"
)]
pub struct InvalidTrace;

impl TraceContext {
    /// Bytes of [`TraceContext::to_bytes`].
    pub const BYTES: usize = 25;

    /// A context by its ids: the trace's, that of the span that sends, and the flags, of which the lowest says whether the
    /// trace is recorded.
    ///
    /// # Errors
    /// An id is zero.
    pub fn new(trace: [u8; 16], parent: [u8; 8], flags: u8) -> Result<Self, InvalidTrace> {
        if trace == [0; 16] || parent == [0; 8] {
            return Err(InvalidTrace);
        }
        Ok(Self { trace, parent, flags })
    }

    /// The id of the trace.
    pub fn trace_id(&self) -> [u8; 16] {
        self.trace
    }

    /// The id of the span that sends.
    pub fn parent_id(&self) -> [u8; 8] {
        self.parent
    }

    /// Whether whoever began the trace records it.
    pub fn is_sampled(&self) -> bool {
        self.flags & 1 != 0
    }

    /// The trace id, the parent id, the flags.
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..16].copy_from_slice(&self.trace);
        bytes[16..24].copy_from_slice(&self.parent);
        bytes[24] = self.flags;
        bytes
    }

    /// What [`TraceContext::to_bytes`] made.
    ///
    /// # Errors
    /// There are more or fewer bytes, or an id is zero.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidTrace> {
        let (trace, rest) = bytes.split_first_chunk().ok_or(InvalidTrace)?;
        let (parent, flags) = rest.split_first_chunk().ok_or(InvalidTrace)?;
        match flags {
            [flags] => Self::new(*trace, *parent, *flags),
            _ => Err(InvalidTrace),
        }
    }
}

impl FromStr for TraceContext {
    type Err = InvalidTrace;

    /// Reads a header. What versions after 00 add at its end is left out.
    fn from_str(header: &str) -> Result<Self, InvalidTrace> {
        let bytes = header.as_bytes();
        let (known, more) = bytes.split_first_chunk::<55>().ok_or(InvalidTrace)?;
        let version = hex::<1>(&known[..2])?;
        let is_longer = match version {
            [0xff] => return Err(InvalidTrace),
            [0] => !more.is_empty(),
            _ => more.first().is_some_and(|byte| *byte != b'-'),
        };
        if is_longer || [2, 35, 52].iter().any(|dash| known[*dash] != b'-') {
            return Err(InvalidTrace);
        }
        let [flags] = hex(&known[53..])?;
        Self::new(hex(&known[3..35])?, hex(&known[36..52])?, flags)
    }
}

/// Bytes from lower-case hexadecimal digits.
fn hex<const N: usize>(digits: &[u8]) -> Result<[u8; N], InvalidTrace> {
    let digit = |digit: u8| match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        _ => Err(InvalidTrace),
    };
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Ok(bytes)
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("00-")?;
        self.trace.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str("-")?;
        self.parent.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        write!(f, "-{:02x}", self.flags)
    }
}

impl fmt::Debug for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_header_is_read_and_written() {
        let trace: TraceContext = HEADER.parse().expect("valid");
        assert_eq!(trace.to_string(), HEADER);
        assert_eq!(trace.trace_id()[..2], [0x4b, 0xf9]);
        assert_eq!(trace.parent_id()[..2], [0x00, 0xf0]);
        assert!(trace.is_sampled());
        assert_eq!(TraceContext::from_bytes(&trace.to_bytes()), Ok(trace));
    }

    #[test]
    fn what_is_no_header_is_refused() {
        let changed = |at: usize, with: &str| {
            let mut header = HEADER.to_owned();
            header.replace_range(at..at + with.len(), with);
            header
        };
        for header in [
            String::new(),
            HEADER[..54].into(),
            format!("{HEADER}-more"),
            changed(0, "ff"),
            changed(2, "_"),
            changed(3, "4B"),
            changed(3, &"0".repeat(32)),
            changed(36, &"0".repeat(16)),
            changed(53, "0g"),
            changed(50, "é"),
        ] {
            assert_eq!(header.parse::<TraceContext>(), Err(InvalidTrace), "{header}");
        }
        assert_eq!(TraceContext::from_bytes(&[1; 24]), Err(InvalidTrace));
        assert_eq!(TraceContext::from_bytes(&[1; 26]), Err(InvalidTrace));
    }

    #[test]
    fn a_header_of_a_newer_version_is_read_as_far_as_it_is_known() {
        let newer = format!("cc{}-what-the-future-will-be-like", &HEADER[2..]);
        assert_eq!(newer.parse::<TraceContext>(), HEADER.parse());
        assert_eq!(
            format!("cc{}.what", &HEADER[2..]).parse::<TraceContext>(),
            Err(InvalidTrace)
        );
    }
}

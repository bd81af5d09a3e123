//! The wire names of messages that bring another: its name and an ending, put together when the program is compiled.

use super::Message;
use std::marker::PhantomData;

/// The longest name that can be put together, in bytes.
const MAX_LEN: usize = 256;

/// What stands behind the name.
pub(crate) trait Suffix {
    /// The text.
    const TEXT: &'static str;
}

struct Joined<M, S>(PhantomData<(M, S)>);

impl<M: Message, S: Suffix> Joined<M, S> {
    const LEN: usize = M::NAME.len() + S::TEXT.len();

    const BYTES: [u8; MAX_LEN] = {
        assert!(Self::LEN <= MAX_LEN, "the name of the message is too long");
        let mut bytes = [0; MAX_LEN];
        let (name, suffix) = (M::NAME.as_bytes(), S::TEXT.as_bytes());
        let mut at = 0;
        while at < Self::LEN {
            bytes[at] = if at < name.len() {
                name[at]
            } else {
                suffix[at - name.len()]
            };
            at += 1;
        }
        bytes
    };

    const WHOLE: &'static [u8; MAX_LEN] = &Self::BYTES;

    const NAME: &'static str = match std::str::from_utf8(Self::WHOLE.split_at(Self::LEN).0) {
        Ok(name) => name,
        Err(_) => panic!("two texts are a text"),
    };
}

/// The name of `M` with the ending of `S`.
pub(crate) const fn wrapped_name<M: Message, S: Suffix>() -> &'static str {
    Joined::<M, S>::NAME
}

//! Links inside one process, for tests and simulations: no sockets, the same bytes.

use super::{LinkOptions, LocalEnd, Transport};
use crate::clock::Clock;

/// A network inside one process. Addresses are `loopback:NAME`. Cheap to clone: clones are the same network.
#[derive(Clone, Debug, Default)]
pub struct LoopbackNetwork {}

impl LoopbackNetwork {
    /// An empty network.
    pub fn new() -> Self {
        Self::default()
    }

    /// A transport on this network for one process.
    pub fn transport(&self, _local: LocalEnd, _clock: Clock, _options: LinkOptions) -> Box<dyn Transport> {
        todo!()
    }
}

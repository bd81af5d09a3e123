//! The actors whose turns wait for a message.

use crate::ident::ActorId;
use std::{fmt, sync::Arc};

/// The actors whose turns wait for a message. Cheap to clone: chains of one turn share what they have in common.
#[derive(Clone, Default)]
pub struct Chain(Option<Arc<Link>>);

struct Link {
    actor: ActorId,
    callers: Chain,
}

impl Chain {
    /// Nobody's turn waits.
    pub const NONE: Self = Self(None);

    /// The chain of what `actor` asks in a turn for which these wait.
    pub fn with(&self, actor: ActorId) -> Self {
        Self(Some(Arc::new(Link {
            actor,
            callers: self.clone(),
        })))
    }

    /// Whether no turn waits.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Whether a turn of the actor waits.
    pub fn contains(&self, actor: &ActorId) -> bool {
        self.iter().any(|waits| waits == actor)
    }

    /// The actors, innermost first.
    pub fn iter(&self) -> impl Iterator<Item = &ActorId> {
        let mut next = self.0.as_deref();
        std::iter::from_fn(move || {
            let link = next?;
            next = link.callers.0.as_deref();
            Some(&link.actor)
        })
    }

    /// The actors, outermost first.
    pub fn to_vec(&self) -> Vec<ActorId> {
        let mut actors: Vec<_> = self.iter().cloned().collect();
        actors.reverse();
        actors
    }
}

impl From<Vec<ActorId>> for Chain {
    /// A chain of actors, outermost first.
    fn from(actors: Vec<ActorId>) -> Self {
        actors
            .into_iter()
            .fold(Self::NONE, |callers, actor| callers.with(actor))
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_vec().fmt(f)
    }
}

/// Iterative: the default recursion could overflow the stack with a chain as long as the wire allows.
impl Drop for Link {
    fn drop(&mut self) {
        let mut next = self.callers.0.take();
        while let Some(mut link) = next.and_then(Arc::into_inner) {
            next = link.callers.0.take();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_keeps_the_order_of_calls_and_shares_what_is_common() {
        let id = |key| ActorId::new("k", key).expect("valid");
        let outer = Chain::from(vec![id("a"), id("b")]);
        let (left, right) = (outer.with(id("l")), outer.with(id("r")));
        assert_eq!(left.to_vec(), [id("a"), id("b"), id("l")]);
        assert_eq!(right.to_vec(), [id("a"), id("b"), id("r")]);
        assert!(left.contains(&id("a")) && !left.contains(&id("r")));
        assert_eq!(Chain::from(left.to_vec()).to_vec(), left.to_vec());
    }

    #[test]
    fn a_long_chain_does_not_overflow_the_stack() {
        let id = ActorId::new("k", "a").expect("valid");
        drop(Chain::from(vec![id; 1_000_000]));
    }
}

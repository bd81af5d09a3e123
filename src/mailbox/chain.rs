//! What a message brings from the turn that sent it: the actors whose turns wait for it, and its trace.

use crate::ident::{ActorId, TraceContext};
use std::{fmt, sync::Arc};

/// The actors whose turns wait for a message, and the trace that it belongs to. Cheap to clone: chains of one turn share what
/// they have in common.
#[derive(Clone, Default)]
pub struct Chain(Option<Arc<Link>>);

struct Link {
    /// `None` of a link that brings the trace alone.
    actor: Option<ActorId>,
    callers: Chain,
    /// The same in all links above the one that brought it.
    trace: Option<TraceContext>,
}

impl Chain {
    /// Nobody's turn waits, and there is no trace.
    pub const NONE: Self = Self(None);

    /// The chain of what `actor` asks in a turn for which these wait.
    pub fn with(&self, actor: ActorId) -> Self {
        Self(Some(Arc::new(Link {
            actor: Some(actor),
            trace: self.trace(),
            callers: self.clone(),
        })))
    }

    /// The same of a message that belongs to a trace.
    pub fn traced(&self, trace: TraceContext) -> Self {
        Self(Some(Arc::new(Link {
            actor: None,
            trace: Some(trace),
            callers: self.clone(),
        })))
    }

    /// The trace that the message belongs to.
    pub fn trace(&self) -> Option<TraceContext> {
        self.0.as_ref()?.trace
    }

    /// Whether no turn waits and there is no trace.
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
        let links = std::iter::from_fn(move || {
            let link = next?;
            next = link.callers.0.as_deref();
            Some(link)
        });
        links.filter_map(|link| link.actor.as_ref())
    }

    /// The actors, outermost first.
    pub fn to_vec(&self) -> Vec<ActorId> {
        if self.is_empty() {
            return Vec::new();
        }
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
    fn a_trace_goes_with_all_that_follows_and_is_nobody_who_waits() {
        let id = |key| ActorId::new("k", key).expect("valid");
        let trace = |byte| TraceContext::new([byte; 16], [byte; 8], 1).expect("valid");
        let traced = Chain::NONE.with(id("a")).traced(trace(1));
        let inner = traced.with(id("b"));
        assert_eq!(inner.to_vec(), [id("a"), id("b")]);
        assert_eq!(
            (inner.trace(), Chain::NONE.with(id("a")).trace()),
            (Some(trace(1)), None)
        );
        assert_eq!(
            inner.traced(trace(2)).with(id("c")).trace(),
            Some(trace(2)),
            "the innermost"
        );
    }

    #[test]
    fn a_long_chain_does_not_overflow_the_stack() {
        let id = ActorId::new("k", "a").expect("valid");
        drop(Chain::from(vec![id; 1_000_000]));
    }
}

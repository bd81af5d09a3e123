//! What a silo tells of its actors, one by one.

use super::{Node, queries::millis};
use crate::{
    activity::Heat,
    ident::ActorId,
    store::{Entry, StoreError},
    wire::{ActorFound, ActorLine, ActorsAsked, ActorsListed, SavedState},
};
use std::collections::BTreeMap;

/// How many actors are listed if nobody says how many.
const LISTED: usize = 100;

impl Node {
    /// The active actors here that suit, the hottest first.
    pub(super) fn list_actors(&self, asked: &ActorsAsked) -> ActorsListed {
        let now = self.clock.now();
        let policy = &self.options.hot_policy;
        let mut lines = self.seats.select(|actor, place| {
            let activation = place.activation.as_ref()?;
            let suits = asked.kind.as_ref().is_none_or(|kind| actor.kind() == kind)
                && asked
                    .prefix
                    .as_ref()
                    .is_none_or(|prefix| actor.key().starts_with(prefix));
            if !suits {
                return None;
            }
            let activity = activation.activity();
            let hot = policy.is_hot(Heat::Cold, &activity, now) == Heat::Hot;
            if asked.hot.is_some_and(|wanted| wanted != hot) {
                return None;
            }
            let version = self.registry.kind(actor.kind())?.version.to_string();
            Some(ActorLine {
                actor: actor.clone(),
                silo: self.me.clone(),
                version,
                hot,
                score: activity.score(now),
                waiting: usize::try_from(activity.depth).unwrap_or(usize::MAX),
                idle_ms: millis(activity.idle(now)),
            })
        });
        let total = lines.len();
        lines.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.actor.cmp(&b.actor)));
        lines.truncate(if asked.limit == 0 { LISTED } else { asked.limit });
        ActorsListed { actors: lines, total }
    }

    /// Where an actor is by the directory, and what is saved of it.
    pub(super) async fn find_actor(&self, actor: ActorId) -> Result<ActorFound, StoreError> {
        let entry: Entry = self.store.entries(vec![actor.clone()]).await?.pop().unwrap_or_default();
        let saved = self.store.load(vec![actor.clone()]).await?.pop().flatten();
        Ok(ActorFound {
            actor,
            owner: entry.owner,
            epoch: entry.epoch,
            saved: saved.map(|state| SavedState {
                etag: state.etag.0,
                version: state.version,
                bytes: state.body.len(),
            }),
        })
    }

    /// How many actors of each kind are active here.
    pub(super) fn activations_by_kind(&self) -> BTreeMap<String, u64> {
        let mut kinds: BTreeMap<String, u64> = BTreeMap::new();
        self.seats.select(|actor, place| {
            place.activation.as_ref()?;
            match kinds.get_mut(actor.kind()) {
                Some(count) => *count += 1,
                None => _ = kinds.insert(actor.kind().to_owned(), 1),
            }
            None::<()>
        });
        kinds
    }
}

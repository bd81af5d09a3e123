//! Whether states are written in the older form that they have: as long as a silo of an older version may have to read them.

use super::Node;
use std::cmp::Ordering;

impl Node {
    /// Whether actors of the kind are written in their older form: a silo of an older version of it is in the cluster, or the rollout
    /// that brought this version is not finalized.
    pub(super) fn writes_older(&self, kind: &str) -> bool {
        let Some(own) = self.registry.kind(kind) else {
            return false;
        };
        if self.rollouts.may_go_back(kind, &own.version) {
            return true;
        }
        let view = self.view.read();
        let mut hosted = view.living().filter_map(|row| row.manifest.kinds.get(kind));
        hosted.any(|other| other.version.cmp_precedence(&own.version) == Ordering::Less)
    }
}

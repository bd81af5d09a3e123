//! The names of keys, and what they are made of.
//!
//! Names cannot be confused whatever they are made of: what ends at a sign does not contain it, and a kind says its
//! length. What stands in braces is the hash tag: the slot of a Redis Cluster.

use crate::{
    ident::{ActorId, SiloId},
    store::Bucket,
};
use std::fmt::Write;

/// Over how many slots the actors of a cluster are spread. Part of the layout: another number would look elsewhere.
pub(super) const PARTITIONS: u64 = 64;

/// The version of all that this room's modules write.
pub(super) const LAYOUT: &str = "1";

/// Names keys of one cluster.
pub(super) struct Keys {
    tag: String,
    database: i64,
}

impl Keys {
    pub(super) fn new(cluster: &str, database: i64) -> Self {
        let mut tag = String::new();
        for character in cluster.chars() {
            match character {
                // These would end the tag, or be taken for what we put there.
                '{' | '}' | '/' | '%' => {
                    write!(tag, "%{:02X}", u32::from(character)).expect("invariant: a string takes what is written")
                }
                other => tag.push(other),
            }
        }
        Self { tag, database }
    }

    /// The membership table.
    pub(super) fn members(&self) -> String {
        format!("quark:{{{}}}:members", self.tag)
    }

    /// The documents, with their numbers.
    pub(super) fn documents(&self) -> String {
        format!("quark:{{{}}}:documents", self.tag)
    }

    /// The channel of new views. Channels are shared by all databases of a server, so it names its own.
    pub(super) fn views(&self) -> String {
        format!("quark:{{{}}}:views:{}", self.tag, self.database)
    }

    /// An actor's entry and state.
    pub(super) fn actor(&self, actor: &ActorId) -> String {
        self.of_actor(":actor:", actor)
    }

    /// The named states of an actor.
    pub(super) fn named(&self, actor: &ActorId) -> String {
        self.of_actor(":named:", actor)
    }

    /// In one piece of memory: it is made for each item of each batch.
    fn of_actor(&self, what: &str, actor: &ActorId) -> String {
        let mut key = String::with_capacity(self.tag.len() + what.len() + actor.kind().len() + actor.key().len() + 16);
        key.push_str("quark:{");
        key.push_str(&self.tag);
        key.push('/');
        push_number(&mut key, partition(actor));
        key.push('}');
        key.push_str(what);
        push_name(&mut key, actor);
        key
    }

    /// The names of the actors of a partition whose states have messages that are still to be sent.
    pub(super) fn posters(&self, partition: u64) -> String {
        format!("quark:{{{}/{partition}}}:posters", self.tag)
    }

    /// The subscriptions to a stream.
    pub(super) fn subscriptions(&self, stream: &ActorId) -> String {
        self.of_actor(":subscriptions:", stream)
    }

    /// Who looks after a bucket of reminders: a bucket is a partition.
    pub(super) fn bucket(&self, bucket: Bucket) -> String {
        format!("quark:{{{}/{bucket}}}:bucket", self.tag)
    }

    /// Something of the reminders of a bucket.
    pub(super) fn reminders(&self, bucket: Bucket, what: &str) -> String {
        format!("quark:{{{}/{bucket}}}:reminders{what}", self.tag)
    }

    /// The names of the actors of a partition that the silo owns.
    pub(super) fn owned(&self, partition: u64, silo: &SiloId) -> String {
        format!("quark:{{{}/{partition}}}:owned:{silo}", self.tag)
    }
}

/// The part of the cluster's actors that this one belongs to.
pub(super) fn partition(actor: &ActorId) -> u64 {
    actor.stable_hash() % PARTITIONS
}

/// An actor within its cluster.
pub(super) fn name(actor: &ActorId) -> String {
    let mut name = String::with_capacity(actor.kind().len() + actor.key().len() + 4);
    push_name(&mut name, actor);
    name
}

fn push_name(name: &mut String, actor: &ActorId) {
    let kind = actor.kind();
    push_number(name, kind.len() as u64);
    name.push(':');
    name.push_str(kind);
    name.push(':');
    name.push_str(actor.key());
}

fn push_number(text: &mut String, number: u64) {
    write!(text, "{number}").expect("invariant: a string takes what is written");
}

/// The actor of this name.
pub(super) fn actor(name: &[u8]) -> Option<ActorId> {
    let name = std::str::from_utf8(name).ok()?;
    let (length, rest) = name.split_once(':')?;
    let (kind, key) = rest.split_at_checked(length.parse().ok()?)?;
    ActorId::new(kind, key.strip_prefix(':')?).ok()
}

/// The silo that is written so.
pub(super) fn silo(name: &[u8]) -> Option<SiloId> {
    let (name, incarnation) = std::str::from_utf8(name).ok()?.rsplit_once('#')?;
    Some(SiloId::new(name, incarnation.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn id(kind: &str, key: &str) -> ActorId {
        ActorId::new(kind, key).expect("valid")
    }

    /// What Redis Cluster hashes of a key: what stands between its first brace and the next closing one.
    fn tag(key: &str) -> &str {
        let (_, rest) = key.split_once('{').expect("a tag");
        rest.split_once('}').expect("a whole tag").0
    }

    #[test]
    fn an_actor_and_its_place_in_the_owners_set_have_one_tag() {
        for cluster in ["shop", "}", "{a}", "", "a/b"] {
            let keys = Keys::new(cluster, 0);
            let alice = id("cart", "al}i{ce");
            let owned = keys.owned(partition(&alice), &SiloId::new("s}", 1));
            assert_eq!(tag(&keys.actor(&alice)), tag(&owned));
            assert!(tag(&owned).ends_with(&format!("/{}", partition(&alice))), "{owned}");
        }
    }

    #[test]
    fn an_actor_and_its_reminders_have_one_tag() {
        let keys = Keys::new("shop", 0);
        let alice = id("cart", "alice");
        let bucket = Bucket::of(&alice);
        assert_eq!(tag(&keys.actor(&alice)), tag(&keys.bucket(bucket)));
        assert_eq!(tag(&keys.actor(&alice)), tag(&keys.reminders(bucket, ":due")));
    }

    #[test]
    fn clusters_with_odd_names_share_no_key() {
        let names = ["a", "a/1", "a}", "{a", "a%7D", "a%"];
        let all: BTreeSet<_> = names.iter().map(|name| Keys::new(name, 0).members()).collect();
        assert_eq!(all.len(), names.len(), "{all:?}");
        let one = id("k", "1");
        let all: BTreeSet<_> = names.iter().map(|name| Keys::new(name, 0).actor(&one)).collect();
        assert_eq!(all.len(), names.len(), "{all:?}");
    }

    #[test]
    fn databases_of_one_server_have_channels_of_their_own() {
        assert_ne!(Keys::new("a", 0).views(), Keys::new("a", 1).views());
    }

    #[test]
    fn a_name_is_read_back() {
        for (kind, key) in [("a", "b:c"), ("a:b", "c"), ("1:a", ":"), ("käufer", "é")] {
            assert_eq!(actor(name(&id(kind, key)).as_bytes()), Some(id(kind, key)));
        }
        for wrong in ["", "a", "1:a", "2:ab", "9:a:b", "1:é:b", "1::b"] {
            assert_eq!(actor(wrong.as_bytes()), None, "{wrong}");
        }
        let odd = SiloId::new("s#1", 7);
        assert_eq!(silo(odd.to_string().as_bytes()), Some(odd));
        assert_eq!(silo(b"s"), None);
    }

    #[test]
    fn actors_are_spread_over_all_partitions() {
        let hit: BTreeSet<_> = (0..2000).map(|n| partition(&id("cart", &n.to_string()))).collect();
        assert_eq!(hit.len() as u64, PARTITIONS);
    }

    /// The layout is what clusters that run have stored.
    #[test]
    fn keys_are_the_published_ones() {
        let keys = Keys::new("shop", 2);
        let alice = id("cart", "alice");
        let partition = partition(&alice);
        assert_eq!(keys.members(), "quark:{shop}:members");
        assert_eq!(keys.views(), "quark:{shop}:views:2");
        assert_eq!(
            keys.actor(&alice),
            format!("quark:{{shop/{partition}}}:actor:4:cart:alice")
        );
        assert_eq!(keys.owned(3, &SiloId::new("s", 9)), "quark:{shop/3}:owned:s#9");
    }
}

//! The schemas of a kind: what its messages, their replies and its states look like, and whether two versions get along.

use super::{Break, Breaks, Form, Hash, Schema, compare};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// What the messages and states of a kind look like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KindSchemas {
    /// By wire name: a tuple of the message and its reply.
    pub messages: BTreeMap<String, Schema>,
    /// By the names of their schemas; one without a name is called [`STATE`]. Another name is another schema, which says itself how to
    /// read the older one.
    pub states: BTreeMap<String, Schema>,
    /// The names of the schemas of which states are read beside these.
    pub reads: BTreeSet<String>,
    /// The name of the older schema in which states are written while silos of an older version may read them.
    pub back: Option<String>,
}

/// The same, by the hashes of the schemas: what silos tell each other.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct KindHashes {
    /// By wire name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub messages: BTreeMap<String, Hash>,
    /// By name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub states: BTreeMap<String, Hash>,
    /// [`KindSchemas::reads`].
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub reads: BTreeSet<String>,
    /// [`KindSchemas::back`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub back: Option<String>,
}

/// What a state is called whose schema has no name.
pub const STATE: &str = "state";

impl KindSchemas {
    /// Their hashes.
    pub fn hashes(&self) -> KindHashes {
        let hashes = |schemas: &BTreeMap<String, Schema>| {
            let hashes = schemas.iter().map(|(name, schema)| (name.clone(), schema.hash()));
            hashes.collect()
        };
        KindHashes {
            messages: hashes(&self.messages),
            states: hashes(&self.states),
            reads: self.reads.clone(),
            back: self.back.clone(),
        }
    }

    /// The schemas by their hashes.
    pub fn by_hash(self) -> impl Iterator<Item = (Hash, Schema)> {
        let all = self.messages.into_values().chain(self.states.into_values());
        all.map(|schema| (schema.hash(), schema))
    }
}

impl KindHashes {
    /// Whether nothing is said, as by programs that know of no schemas.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty() && self.states.is_empty()
    }

    /// All hashes.
    pub fn all(&self) -> impl Iterator<Item = &Hash> {
        self.messages.values().chain(self.states.values())
    }

    /// The hashes that say something else of the same message or state than `other` does, of both.
    pub fn differing<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = &'a Hash> {
        let (messages, states) = (
            differing(&self.messages, &other.messages),
            differing(&self.states, &other.states),
        );
        messages.chain(states).flat_map(|(_, ours, theirs)| [ours, theirs])
    }
}

fn differing<'a>(
    ours: &'a BTreeMap<String, Hash>,
    theirs: &'a BTreeMap<String, Hash>,
) -> impl Iterator<Item = (&'a str, &'a Hash, &'a Hash)> {
    ours.iter().filter_map(|(name, ours)| {
        let theirs = theirs.get(name)?;
        (ours != theirs).then_some((name.as_str(), ours, theirs))
    })
}

/// Which way between an older and a newer version messages and actors pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ways {
    /// To the newer.
    pub forward: bool,
    /// To the older.
    pub back: bool,
}

impl Ways {
    /// Both.
    pub const BOTH: Self = Self {
        forward: true,
        back: true,
    };
}

/// Something that two versions of a kind cannot read of each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conflict {
    /// Of what: `message cart.add`, `reply to cart.add`, `state`.
    pub of: String,
    /// What.
    pub broken: Break,
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.of, self.broken)
    }
}

/// What two versions of a kind cannot read of each other, where messages and actors pass these ways between them. A schema that is
/// not known is a conflict too, unless both have the same.
pub fn conflicts<'a>(
    old: &KindHashes,
    new: &KindHashes,
    ways: Ways,
    schema: impl Fn(&Hash) -> Option<&'a Schema>,
) -> Vec<Conflict> {
    let mut found = Vec::new();
    let both = |old, new| match (schema(old), schema(new)) {
        (Some(old), Some(new)) => Ok((old, new)),
        (None, _) => Err(unrecorded(old)),
        (_, None) => Err(unrecorded(new)),
    };
    for (name, old, new) in differing(&old.messages, &new.messages) {
        match both(old, new) {
            Ok((old, new)) => {
                let ((message, reply), (new_message, new_reply)) = (parts(old), parts(new));
                let back = Ways {
                    forward: ways.back,
                    back: ways.forward,
                };
                found.extend(of(&format!("message {name}"), compare(&message, &new_message), ways));
                // A reply goes the other way than its message.
                found.extend(of(&format!("reply to {name}"), compare(&reply, &new_reply), back));
            }
            Err(broken) => found.push(Conflict {
                of: format!("message {name}"),
                broken,
            }),
        }
    }
    for (name, old, new) in differing(&old.states, &new.states) {
        match both(old, new) {
            Ok((old, new)) => found.extend(of(name, compare(old, new), ways)),
            Err(broken) => found.push(Conflict {
                of: name.to_owned(),
                broken,
            }),
        }
    }
    found.extend(unread(old, new, ways));
    found
}

/// The states of each version that the other does not know by name.
fn unread<'a>(old: &'a KindHashes, new: &'a KindHashes, ways: Ways) -> impl Iterator<Item = Conflict> + 'a {
    let reads = |reader: &KindHashes, name: &str| {
        // A program that tells of no states may have any.
        reader.states.is_empty() || reader.states.contains_key(name) || reader.reads.contains(name)
    };
    let conflict = |reader: &KindHashes, name: &String, cure: &str| Conflict {
        of: "state".into(),
        broken: Break {
            at: name.clone(),
            what: format!(
                "the other version does not know this schema, it reads {}",
                (reader
                    .states
                    .keys()
                    .chain(&reader.reads)
                    .map(String::as_str)
                    .collect::<Vec<_>>())
                .join(", ")
            ),
            cure: cure.into(),
        },
    };
    let forward = (old.states.keys()).filter(move |name| ways.forward && !reads(new, name));
    // While the older version is there the newer one writes what it has for it.
    let written = new.back.iter().chain(new.states.keys().filter(|_| new.back.is_none()));
    let back = written.filter(move |name| ways.back && !reads(old, name));
    let forward = forward.map(move |name| {
        let cure = "say how the new version reads it with #[state(from(...))]";
        conflict(new, name, cure)
    });
    let back = back.map(move |name| {
        let cure = "let the new version write the older schema for now with #[state(back = ...)], or allow no way back: policy newer";
        conflict(old, name, cure)
    });
    forward.chain(back)
}

fn of(what: &str, breaks: Breaks, ways: Ways) -> Vec<Conflict> {
    let forward = breaks.new_reads_old.into_iter().filter(|_| ways.forward);
    let back = breaks.old_reads_new.into_iter().filter(|_| ways.back);
    let mut found: Vec<Conflict> = Vec::new();
    for broken in forward.chain(back) {
        // The same both ways is said once.
        if !found.iter().any(|known| known.broken == broken) {
            found.push(Conflict {
                of: what.to_owned(),
                broken,
            });
        }
    }
    found
}

fn unrecorded(hash: &Hash) -> Break {
    Break {
        at: hash.to_string(),
        what: "what it looks like is not recorded, so nobody knows whether it can be read".into(),
        cure: "stop the silos of that version first, or start one of them again: it records what it has".into(),
    }
}

/// The message and its reply.
fn parts(schema: &Schema) -> (Schema, Schema) {
    let part = |root: &Form| Schema {
        root: root.clone(),
        types: schema.types.clone(),
    };
    match &schema.root {
        Form::Tuple(parts) if parts.len() == 2 => (part(&parts[0]), part(&parts[1])),
        root => (part(root), part(&Form::Unit)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(message: Form, reply: Form) -> Schema {
        Schema {
            root: Form::Tuple(vec![message, reply]),
            types: BTreeMap::new(),
        }
    }

    fn kind(message: Form, reply: Form, state: Form) -> KindSchemas {
        let state = Schema {
            root: state,
            types: BTreeMap::new(),
        };
        KindSchemas {
            messages: BTreeMap::from([("cart.add".to_owned(), schema(message, reply))]),
            states: BTreeMap::from([(STATE.to_owned(), state)]),
            ..KindSchemas::default()
        }
    }

    fn with_state(name: &str, reads: &[&str], back: Option<&str>) -> KindSchemas {
        let mut kind = kind(Form::Text, Form::Unit, Form::Unit);
        let state = kind.states.remove(STATE).expect("it has one");
        kind.states.insert(name.to_owned(), state);
        kind.reads = reads.iter().map(|&name| name.to_owned()).collect();
        kind.back = back.map(str::to_owned);
        kind
    }

    #[test]
    fn a_state_under_another_name_is_read_by_a_version_that_says_so() {
        let one = with_state("cart.1", &[], None);
        for (new, forward, back) in [
            (with_state("cart.2", &[], None), 1, 1),
            (with_state("cart.2", &["cart.1"], None), 0, 1),
            (with_state("cart.2", &["cart.1"], Some("cart.1")), 0, 0),
            (with_state("cart.2", &[], Some("cart.1")), 1, 0),
            (with_state("cart.3", &["cart.2", "cart.1"], Some("cart.2")), 0, 1),
        ] {
            assert_eq!(found(&one, &new, FORWARD).len(), forward, "{new:?}");
            assert_eq!(found(&one, &new, BACK).len(), back, "{new:?}");
        }
        assert!(found(&KindSchemas::default(), &one, Ways::BOTH).is_empty());
        assert!(found(&one, &KindSchemas::default(), Ways::BOTH).is_empty());
        let two = with_state("cart.2", &[], None);
        let text = conflicts(&one.hashes(), &two.hashes(), FORWARD, |_| None)[0].to_string();
        assert!(
            text.contains("cart.1") && text.contains("it reads cart.2") && text.contains("from("),
            "{text}"
        );
    }

    fn found(old: &KindSchemas, new: &KindSchemas, ways: Ways) -> Vec<String> {
        let known: BTreeMap<_, _> = old.clone().by_hash().chain(new.clone().by_hash()).collect();
        let found = conflicts(&old.hashes(), &new.hashes(), ways, |hash| known.get(hash));
        found.iter().map(|conflict| conflict.of.clone()).collect()
    }

    const FORWARD: Ways = Ways {
        forward: true,
        back: false,
    };
    const BACK: Ways = Ways {
        forward: false,
        back: true,
    };

    /// A wider number is read by the newer version alone.
    #[test]
    fn what_goes_one_way_must_be_read_there_and_its_reply_where_it_came_from() {
        let old = kind(Form::Unsigned(8), Form::Unsigned(8), Form::Unsigned(8));
        let wider_message = kind(Form::Unsigned(16), Form::Unsigned(8), Form::Unsigned(8));
        let wider_reply = kind(Form::Unsigned(8), Form::Unsigned(16), Form::Unsigned(8));
        let wider_state = kind(Form::Unsigned(8), Form::Unsigned(8), Form::Unsigned(16));
        for (new, forward, back) in [
            (&wider_message, None, Some("message cart.add")),
            (&wider_reply, Some("reply to cart.add"), None),
            (&wider_state, None, Some("state")),
        ] {
            assert_eq!(found(&old, new, FORWARD), Vec::from_iter(forward));
            assert_eq!(found(&old, new, BACK), Vec::from_iter(back));
            assert_eq!(found(&old, new, Ways::BOTH).len(), 1);
        }
        assert!(found(&old, &old, Ways::BOTH).is_empty());
    }

    #[test]
    fn what_is_broken_both_ways_is_said_once() {
        let old = kind(Form::Text, Form::Unit, Form::Unit);
        let new = kind(Form::Bool, Form::Unit, Form::Unit);
        assert_eq!(found(&old, &new, Ways::BOTH), ["message cart.add"]);
    }

    #[test]
    fn a_schema_that_nobody_recorded_is_a_conflict_unless_it_is_the_same() {
        let old = kind(Form::Text, Form::Unit, Form::Unit).hashes();
        let new = kind(Form::Bool, Form::Unit, Form::Unit).hashes();
        assert!(conflicts(&old, &old, Ways::BOTH, |_| None).is_empty());
        let found = conflicts(&old, &new, Ways::BOTH, |_| None);
        assert_eq!(found.len(), 1);
        assert!(found[0].to_string().contains("is not recorded"), "{}", found[0]);
        assert_eq!(old.differing(&new).count(), 2);
    }

    #[test]
    fn programs_without_schemas_conflict_with_nobody() {
        let new = kind(Form::Bool, Form::Unit, Form::Unit).hashes();
        assert!(KindHashes::default().is_empty());
        assert!(conflicts(&KindHashes::default(), &new, Ways::BOTH, |_| None).is_empty());
    }
}

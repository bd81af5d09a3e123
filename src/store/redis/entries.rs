//! The directory: the owner's half of an actor's hash, and the set of each owner.

use super::{
    batch::{Item, by_partition},
    failure::Failure,
    keys::{self, PARTITIONS, partition},
    reply::{Of, Reader, Reply, Told},
    scripts::{CHANGE_ENTRIES, REGISTER},
    server::{LARGE, Server},
    states,
};
use crate::{
    ident::{ActorId, Epoch, SiloId},
    store::{Entry, EntryChange, EntryOutcome, RegisterOutcome, Registered},
};
use deadpool_redis::redis::pipe;

/// Reads that are sent together: enough to hide the way to the server, and few enough to be answered in time.
const MAX_READS: usize = 1_024;

fn item<I>(actor: &ActorId, item: I) -> Item<I> {
    Item {
        partition: partition(actor),
        bytes: 0,
        item,
    }
}

fn reader(actor: &ActorId, reply: Reply) -> Reader<Of<'_, ActorId>> {
    Reader::new(Of("the record of", actor), reply)
}

/// Takes the free ones among the entries for `owner`.
pub(super) async fn register(
    server: &Server,
    owner: &SiloId,
    actors: Vec<ActorId>,
) -> Result<Vec<RegisterOutcome>, Failure> {
    let items = actors.iter().map(|actor| item(actor, actor.clone()));
    let mut outcomes = by_partition(items, |partition, actors: Vec<ActorId>, _| async move {
        let mut call = REGISTER.key(server.keys().owned(partition, owner));
        call.arg(owner.name()).arg(owner.incarnation().to_string()).arg(LARGE);
        for actor in &actors {
            call.key(server.keys().actor(actor)).arg(keys::name(actor));
        }
        let replies: Vec<Told> = server.script(&call).await?;
        let outcomes = actors.iter().zip(replies);
        outcomes.map(|(actor, reply)| registered(actor, reply)).collect()
    })
    .await?;
    add_large_states(server, &actors, &mut outcomes).await?;
    Ok(outcomes.into_iter().map(|(outcome, _)| outcome).collect())
}

/// Reads the states that are too large to go with the entries. Nobody but the new owner can change them.
async fn add_large_states(
    server: &Server,
    actors: &[ActorId],
    outcomes: &mut [(RegisterOutcome, Large)],
) -> Result<(), Failure> {
    let awaited = || actors.iter().zip(outcomes.iter()).filter(|(_, (_, large))| large.0);
    let large: Vec<ActorId> = awaited().map(|(actor, _)| actor.clone()).collect();
    let states = states::load(server, &large).await.map_err(|failure| match failure {
        Failure::Refused(why) => Failure::Unknown(why),
        other => other,
    })?;
    let registered = outcomes.iter_mut().filter(|(_, large)| large.0);
    for ((outcome, _), loaded) in registered.zip(states) {
        if let RegisterOutcome::Registered(Registered { state, .. }) = outcome {
            *state = loaded;
        }
    }
    Ok(())
}

/// Whether the state is still to be read.
struct Large(bool);

fn registered(actor: &ActorId, Told(reply): Told) -> Result<(RegisterOutcome, Large), Failure> {
    let mut reply = reader(actor, reply);
    let ended = reply.text()?;
    let outcome = match ended.as_str() {
        "registered" => RegisterOutcome::Registered(Registered {
            epoch: Epoch(reply.number()?),
            state: reply.state()?,
        }),
        "large" => RegisterOutcome::Registered(Registered {
            epoch: Epoch(reply.number()?),
            state: None,
        }),
        "owned" => RegisterOutcome::Owned(reply.entry()?),
        other => return Err(reply.unexpected(other)),
    };
    Ok((outcome, Large(ended == "large")))
}

/// The entries as they are.
pub(super) async fn read(server: &Server, actors: &[ActorId]) -> Result<Vec<Entry>, Failure> {
    let mut entries = Vec::with_capacity(actors.len());
    for part in actors.chunks(MAX_READS) {
        let mut reads = pipe();
        for actor in part {
            let fields = &["owner", "incarnation", "epoch"];
            reads.cmd("HMGET").arg(server.keys().actor(actor)).arg(fields);
        }
        let replies: Vec<Reply> = server.pipeline(&reads).await?;
        for (actor, reply) in part.iter().zip(replies) {
            entries.push(reader(actor, reply).entry()?);
        }
    }
    Ok(entries)
}

/// Changes the entries that are as expected.
pub(super) async fn change(server: &Server, changes: Vec<EntryChange>) -> Result<Vec<EntryOutcome>, Failure> {
    let items = changes.into_iter().map(|change| item(&change.actor.clone(), change));
    by_partition(items, |partition, changes: Vec<EntryChange>, _| async move {
        let mut call = CHANGE_ENTRIES.call();
        for change in &changes {
            let set_of = |entry: &Entry| match &entry.owner {
                Some(owner) => server.keys().owned(partition, owner),
                // Not looked at; a key of the same slot must stand here.
                None => server.keys().actor(&change.actor),
            };
            // The expectation is the entry or the change is refused, so this is what the rule comes to.
            let legal = change.applies_to(&change.expected);
            call.key(server.keys().actor(&change.actor))
                .key(set_of(&change.expected))
                .key(set_of(&change.new))
                .arg(keys::name(&change.actor))
                .arg(if legal { "legal" } else { "illegal" });
            for entry in [&change.expected, &change.new] {
                let incarnation = entry.owner.as_ref().map(|owner| owner.incarnation().to_string());
                call.arg(entry.owner.as_ref().map_or("", SiloId::name))
                    .arg(incarnation.unwrap_or_default())
                    .arg(entry.epoch.0.to_string());
            }
        }
        let replies: Vec<Told> = server.script(&call).await?;
        changes
            .iter()
            .zip(replies)
            .map(|(change, reply)| changed(&change.actor, reply))
            .collect()
    })
    .await
}

fn changed(actor: &ActorId, Told(reply): Told) -> Result<EntryOutcome, Failure> {
    let mut reply = reader(actor, reply);
    match reply.text()?.as_str() {
        "changed" => Ok(EntryOutcome::Changed),
        "conflict" => reply.entry().map(EntryOutcome::Conflict),
        other => Err(reply.unexpected(other)),
    }
}

/// The actors of `owner`, ordered by id.
pub(super) async fn owned_by(server: &Server, owner: &SiloId) -> Result<Vec<ActorId>, Failure> {
    let mut reads = pipe();
    for partition in 0..PARTITIONS {
        reads.cmd("SMEMBERS").arg(server.keys().owned(partition, owner));
    }
    let sets: Vec<Vec<Vec<u8>>> = server.pipeline_apart(&reads).await?;
    let actor = |name: Vec<u8>| {
        keys::actor(&name).ok_or_else(|| {
            let what = format!("an actor of {owner}");
            Failure::corrupt(what, format!("{:?} is no actor's name", String::from_utf8_lossy(&name)))
        })
    };
    let mut owned: Vec<ActorId> = sets.into_iter().flatten().map(actor).collect::<Result<_, _>>()?;
    owned.sort_unstable();
    Ok(owned)
}

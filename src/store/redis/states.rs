//! Saved states: the other half of an actor's hash.

use super::{
    batch::{Item, by_partition},
    failure::Failure,
    keys::{self, PARTITIONS, partition},
    reply::{Of, Reader, Reply, Told},
    scripts::SAVE,
    server::Server,
};
use crate::{
    ident::ActorId,
    store::{ETag, Entry, NamedChange, SaveOutcome, SaveRequest, StoredState},
};
use bytes::Bytes;
use deadpool_redis::redis::pipe;
use std::sync::Arc;

/// States that are read together: large ones must come in time, too.
const MAX_READS: usize = 32;

/// States below this size, in bytes, are saved by the same scripts as those of others.
const SMALL: usize = 4 << 10;

fn reader(actor: &ActorId, reply: Reply) -> Reader<Of<'_, ActorId>> {
    Reader::new(Of("the state of", actor), reply)
}

/// The states as they are.
pub(super) async fn load(server: &Server, actors: &[ActorId]) -> Result<Vec<Option<StoredState>>, Failure> {
    let mut states = Vec::with_capacity(actors.len());
    for part in actors.chunks(MAX_READS) {
        let mut reads = pipe();
        for actor in part {
            let fields = &["etag", "version", "body"];
            reads.cmd("HMGET").arg(server.keys().actor(actor)).arg(fields);
        }
        let replies: Vec<Reply> = server.pipeline_apart(&reads).await?;
        for (actor, reply) in part.iter().zip(replies) {
            states.push(reader(actor, reply).state()?);
        }
    }
    Ok(states)
}

/// The entry and the state: fields of one hash.
pub(super) async fn load_owned(server: &Server, actor: &ActorId) -> Result<(Entry, Option<StoredState>), Failure> {
    let mut read = pipe();
    let fields = &["owner", "incarnation", "epoch", "etag", "version", "body"];
    read.cmd("HMGET").arg(server.keys().actor(actor)).arg(fields);
    let replies: Vec<Reply> = server.pipeline_apart(&read).await?;
    let mut reply = reader(actor, replies.into_iter().next().unwrap_or_default());
    Ok((reply.entry()?, reply.state()?))
}

/// Saves the states whose writer owns the actor and knows the state that it replaces.
pub(super) async fn save(server: &Server, saves: Vec<SaveRequest>) -> Result<Vec<SaveOutcome>, Failure> {
    let call = async |partition, saves, bytes| {
        let outcomes = save_part(server, partition, saves, bytes).await?;
        outcomes.into_iter().collect()
    };
    by_partition(saves.into_iter().map(item), call).await
}

/// Whether it is a small save and no other: one that [`save_one`] is for.
pub(super) fn is_small(saves: &[SaveRequest]) -> bool {
    matches!(saves, [save] if bytes(save) < SMALL)
}

/// Saves a state together with those of others, on the store's thread; what is begun is ended though nobody waits for it. There is one of an
/// actor at a time, so that it needs no turn.
pub(super) fn save_one(
    server: &Arc<Server>,
    save: SaveRequest,
) -> impl Future<Output = Result<SaveOutcome, Failure>> + Send + use<> {
    let (told, begins) = server.saves().add(item(save));
    if begins {
        let saving = server.clone();
        server.spawn(async move {
            let call = |partition, saves, bytes| save_part(&saving, partition, saves, bytes);
            saving.saves().go(call).await;
        });
    }
    let server = server.clone();
    async move {
        let closed = |_| Failure::Unknown("the store was closed".into());
        server.in_time(async { told.await.map_err(closed)? }).await
    }
}

fn item(save: SaveRequest) -> Item<SaveRequest> {
    Item {
        partition: partition(&save.actor),
        bytes: bytes(&save),
        item: save,
    }
}

fn bytes(save: &SaveRequest) -> usize {
    save.body.as_ref().map_or(0, Bytes::len) + named_bytes(&save.named)
}

/// Saves states of a partition by one script. Answers how each ended.
async fn save_part(
    server: &Server,
    partition: u64,
    saves: Vec<SaveRequest>,
    bytes: usize,
) -> Result<Vec<Result<SaveOutcome, Failure>>, Failure> {
    let mut call = SAVE.key(server.keys().posters(partition));
    saves
        .iter()
        .for_each(|save| _ = call.key(server.keys().actor(&save.actor)));
    call.arg(saves.len());
    for save in &saves {
        let expected = save.expected.map(|etag| etag.to_string());
        let poster = save.has_posts.then(|| keys::name(&save.actor));
        call.arg(save.owner.silo.name())
            .arg(save.owner.silo.incarnation())
            .arg(save.owner.epoch.0)
            .arg(expected.unwrap_or_default())
            .arg(&save.version)
            .arg(save.body.as_deref().unwrap_or_default())
            .arg(if save.body.is_some() { "save" } else { "clear" })
            .arg(poster.unwrap_or_default())
            .arg(save.named.len());
        if !save.named.is_empty() {
            call.key(server.keys().named(&save.actor));
        }
        for change in &save.named {
            let expected = change.expected.map(|etag| etag.to_string());
            let after = change.new.as_ref().map(|_| change.after().to_string());
            let (version, body) = (change.new.as_ref()).map_or(("", &[][..]), |new| (&new.version, &new.body));
            call.arg(&change.name)
                .arg(expected.unwrap_or_default())
                .arg(after.unwrap_or_default())
                .arg(version)
                .arg(body);
        }
    }
    let replies: Vec<Told> = server.script_with(&call, bytes).await?;
    Ok(saves
        .iter()
        .zip(replies)
        .map(|(save, reply)| saved(save, reply))
        .collect())
}

fn named_bytes(changes: &[NamedChange]) -> usize {
    let new = changes.iter().filter_map(|change| change.new.as_ref());
    new.map(|new| new.body.len()).sum()
}

/// A named state as it is.
pub(super) async fn load_named(server: &Server, actor: &ActorId, name: &str) -> Result<Option<StoredState>, Failure> {
    let mut reads = pipe();
    let fields = [format!("e:{name}"), format!("v:{name}"), format!("b:{name}")];
    reads.cmd("HMGET").arg(server.keys().named(actor)).arg(&fields);
    let replies: Vec<Reply> = server.pipeline_apart(&reads).await?;
    let what = format!("the state {name:?} of {actor}");
    let state = |reply| Reader::new(&what, reply).state();
    Ok(replies.into_iter().next().map(state).transpose()?.flatten())
}

/// The actors whose states have messages that are still to be sent, ordered by id.
pub(super) async fn posters(server: &Server) -> Result<Vec<ActorId>, Failure> {
    let mut reads = pipe();
    for partition in 0..PARTITIONS {
        reads.cmd("SMEMBERS").arg(server.keys().posters(partition));
    }
    let sets: Vec<Vec<Vec<u8>>> = server.pipeline_apart(&reads).await?;
    let actor = |name: Vec<u8>| {
        let text = || format!("{:?} is no actor's name", String::from_utf8_lossy(&name));
        keys::actor(&name).ok_or_else(|| Failure::corrupt("the posters", text()))
    };
    let mut posters: Vec<ActorId> = sets.into_iter().flatten().map(actor).collect::<Result<_, _>>()?;
    posters.sort_unstable();
    Ok(posters)
}

fn saved(save: &SaveRequest, Told(reply): Told) -> Result<SaveOutcome, Failure> {
    let mut reply = reader(&save.actor, reply);
    match reply.text()?.as_str() {
        "saved" => Ok(SaveOutcome::Saved(ETag(reply.number()?))),
        "cleared" => Ok(SaveOutcome::Cleared),
        "conflict" => {
            let actual = reply
                .optional()
                .map(|etag| Reader::new("its e-tag", vec![Some(etag)]).number());
            Ok(SaveOutcome::Conflict {
                expected: save.expected,
                actual: actual.transpose()?.map(ETag),
            })
        }
        "named_conflict" => {
            let name = reply.text()?;
            let expected = save.named.iter().find(|change| change.name == name);
            let actual = reply
                .optional()
                .map(|etag| Reader::new("its e-tag", vec![Some(etag)]).number());
            Ok(SaveOutcome::NamedConflict {
                expected: expected.and_then(|change| change.expected),
                actual: actual.transpose()?.map(ETag),
                name,
            })
        }
        "not_owner" => reply.entry().map(SaveOutcome::NotOwner),
        other => Err(reply.unexpected(other)),
    }
}

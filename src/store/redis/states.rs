//! Saved states: the other half of an actor's hash.

use super::{
    batch::{Item, by_partition},
    failure::Failure,
    keys::{self, PARTITIONS, partition},
    reply::{Reader, Reply},
    scripts::SAVE,
    server::Server,
};
use crate::{
    ident::ActorId,
    store::{ETag, SaveOutcome, SaveRequest, StoredState},
};
use deadpool_redis::redis::pipe;

/// States that are read together: large ones must come in time, too.
const MAX_READS: usize = 32;

fn reader(actor: &ActorId, reply: Reply) -> Reader<String> {
    Reader::new(format!("the state of {actor}"), reply)
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

/// Saves the states whose writer owns the actor and knows the state that it replaces.
pub(super) async fn save(server: &Server, saves: Vec<SaveRequest>) -> Result<Vec<SaveOutcome>, Failure> {
    let items = saves.into_iter().map(|save| Item {
        partition: partition(&save.actor),
        bytes: save.body.len(),
        item: save,
    });
    by_partition(items, |partition, saves: Vec<SaveRequest>, bytes| async move {
        let mut call = SAVE.key(server.keys().posters(partition));
        for save in &saves {
            let expected = save.expected.map(|etag| etag.to_string());
            call.key(server.keys().actor(&save.actor))
                .arg(save.owner.silo.name())
                .arg(save.owner.silo.incarnation().to_string())
                .arg(save.owner.epoch.to_string())
                .arg(expected.unwrap_or_default())
                .arg(&save.version)
                .arg(&save.body[..])
                .arg(if save.has_posts {
                    keys::name(&save.actor)
                } else {
                    String::new()
                });
        }
        let replies: Vec<Reply> = server.script_with(&call, bytes).await?;
        saves
            .iter()
            .zip(replies)
            .map(|(save, reply)| saved(save, reply))
            .collect()
    })
    .await
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

fn saved(save: &SaveRequest, reply: Reply) -> Result<SaveOutcome, Failure> {
    let mut reply = reader(&save.actor, reply);
    match reply.text()?.as_str() {
        "saved" => Ok(SaveOutcome::Saved(ETag(reply.number()?))),
        "conflict" => {
            let actual = reply
                .optional()
                .map(|etag| Reader::new("its e-tag", vec![Some(etag)]).number());
            Ok(SaveOutcome::Conflict {
                expected: save.expected,
                actual: actual.transpose()?.map(ETag),
            })
        }
        "not_owner" => reply.entry().map(SaveOutcome::NotOwner),
        other => Err(reply.unexpected(other)),
    }
}

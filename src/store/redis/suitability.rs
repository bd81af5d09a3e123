//! Whether a server can hold a cluster: looked at once, when the store is opened.

use super::{failure::Failure, keys::LAYOUT, scripts::OPEN, server::Server};
use deadpool_redis::redis::{InfoDict, cmd};

/// Refuses a server that would lose what it is given, or holds what this program does not know.
pub(super) async fn check(server: &Server, place: &str) -> Result<(), Failure> {
    // A user who may not see it is let in all the same.
    match server.query::<InfoDict>(&cmd("INFO")).await {
        Ok(info) => check_info(server, &info, place).await?,
        Err(failure) => tracing::warn!(store = place, ?failure, "whether the server is suitable is not known"),
    }
    let mut open = OPEN.key(server.keys().members());
    open.arg(LAYOUT);
    let layout: String = server.script(&open).await?;
    if layout != LAYOUT {
        return Err(Failure::Refused(format!(
            "its records have layout {layout:?}, this program knows {LAYOUT}: run the program that made them, or a newer one"
        )));
    }
    Ok(())
}

async fn check_info(server: &Server, info: &InfoDict, place: &str) -> Result<(), Failure> {
    let text = |field: &str| info.get::<String>(field).unwrap_or_default();
    let refuse = |why: String| Err(Failure::Refused(why));
    if text("role") == "slave" {
        return refuse("it is a replica: name the primary in the URL".into());
    }
    let policy = text("maxmemory_policy");
    if text("maxmemory") != "0" && policy.starts_with("allkeys") {
        return refuse(format!(
            "it throws away what it has no room for (maxmemory-policy {policy}): set maxmemory-policy noeviction"
        ));
    }
    if text("cluster_enabled") == "1" {
        let mut size = cmd("CLUSTER");
        let cluster: InfoDict = server.query(size.arg("INFO")).await?;
        let nodes: u64 = cluster.get("cluster_size").unwrap_or_default();
        if nodes > 1 {
            return refuse(format!(
                "it is one of {nodes} primaries of a Redis Cluster: name a server that has all data"
            ));
        }
    }
    if text("aof_enabled") == "0" {
        tracing::warn!(
            store = place,
            "Redis keeps no log of changes (appendonly no): if it crashes, the cluster loses what it saved last"
        );
    }
    Ok(())
}

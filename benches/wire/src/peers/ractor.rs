//! ractor_cluster: two nodes; the actor is found in a process group, as its documentation does it.

use crate::{
    caller::{self, Caller, Scenario},
    children,
};
use anyhow::{Context as _, anyhow};
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort, rpc::CallResult};
use ractor_cluster::{NodeServer, RactorClusterMessage};
use std::{net::TcpListener, time::Duration};

const GROUP: &str = "echo";

#[derive(RactorClusterMessage)]
enum Message {
    #[rpc]
    Echo(Vec<u8>, RpcReplyPort<Vec<u8>>),
    Take(Vec<u8>),
    #[rpc]
    Count(RpcReplyPort<u64>),
}

struct Counter;

impl Actor for Counter {
    type Msg = Message;
    type State = u64;
    type Arguments = ();

    async fn pre_start(&self, myself: ActorRef<Message>, (): ()) -> Result<u64, ActorProcessingErr> {
        ractor::pg::join(GROUP.into(), vec![myself.get_cell()]);
        Ok(0)
    }

    async fn handle(&self, _: ActorRef<Message>, message: Message, count: &mut u64) -> Result<(), ActorProcessingErr> {
        match message {
            Message::Echo(payload, reply) => {
                *count += 1;
                reply.send(payload)?;
            }
            Message::Take(payload) => {
                *count += 1;
                std::hint::black_box(payload);
            }
            Message::Count(reply) => reply.send(*count)?,
        }
        Ok(())
    }
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

async fn node(name: &str) -> anyhow::Result<(ActorRef<ractor_cluster::NodeServerMessage>, u16)> {
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let server = NodeServer::new(port, "secret".into(), name.into(), "localhost".into(), None, None)
        .with_listen_addr([127, 0, 0, 1].into());
    let (node, _) = Actor::spawn(None, server, ())
        .await
        .map_err(|error| anyhow!("{error}"))?;
    Ok((node, port))
}

pub(super) fn serve() -> anyhow::Result<()> {
    runtime()?.block_on(async {
        let (_node, port) = node("server").await?;
        let _counter = Actor::spawn(None, Counter, ())
            .await
            .map_err(|error| anyhow!("{error}"))?;
        tokio::task::spawn_blocking(move || children::serve_until_told(&format!("127.0.0.1:{port}"))).await?;
        Ok(())
    })
}

#[derive(Clone)]
struct Remote(ActorRef<Message>);

fn answered<T>(result: CallResult<T>) -> anyhow::Result<T> {
    match result {
        CallResult::Success(value) => Ok(value),
        CallResult::Timeout => Err(anyhow!("no answer in time")),
        CallResult::SenderError => Err(anyhow!("no answer")),
    }
}

impl Caller for Remote {
    async fn ask(&self, payload: Vec<u8>) -> anyhow::Result<Vec<u8>> {
        let called = self.0.call(|reply| Message::Echo(payload, reply), None).await;
        answered(called.map_err(|error| anyhow!("{error}"))?)
    }

    async fn tell(&self, payload: Vec<u8>) -> anyhow::Result<()> {
        self.0.cast(Message::Take(payload)).map_err(|error| anyhow!("{error}"))
    }

    async fn count(&self) -> anyhow::Result<u64> {
        let called = self.0.call(Message::Count, None).await;
        answered(called.map_err(|error| anyhow!("{error}"))?)
    }
}

pub(super) fn call(place: &str, scenario: Scenario, seconds: f64) -> anyhow::Result<f64> {
    runtime()?.block_on(async {
        let (node, _) = node("caller").await?;
        ractor_cluster::client_connect(&node, place)
            .await
            .map_err(|error| anyhow!("{error}"))?;
        let mut found = None;
        for _ in 0..200 {
            found = ractor::pg::get_members(&GROUP.to_owned()).pop();
            if found.is_some() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let cell = found.context("the other node's actor has not come")?;
        caller::measure(Remote(cell.into()), scenario, seconds).await
    })
}

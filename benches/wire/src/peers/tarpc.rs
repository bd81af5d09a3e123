//! tarpc: a service that echoes and counts, one connection, the client shared by all tasks.

use super::one_thread;
use crate::{
    caller::{self, Caller, Scenario},
    children,
};
use futures_util::StreamExt as _;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tarpc::{
    client, context,
    serde_transport::tcp,
    server::{BaseChannel, Channel as _},
    tokio_serde::formats::Bincode,
};

#[tarpc::service]
trait Echo {
    async fn echo(payload: Vec<u8>) -> Vec<u8>;
    async fn count() -> u64;
}

#[derive(Clone, Default)]
struct Server(Arc<AtomicU64>);

impl Echo for Server {
    async fn echo(self, _: context::Context, payload: Vec<u8>) -> Vec<u8> {
        self.0.fetch_add(1, Ordering::Relaxed);
        payload
    }

    async fn count(self, _: context::Context) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

pub(super) fn serve() -> anyhow::Result<()> {
    one_thread()?.block_on(async {
        let mut incoming = tcp::listen("127.0.0.1:0", Bincode::default).await?;
        let place = incoming.local_addr().to_string();
        tokio::spawn(async move {
            while let Some(Ok(transport)) = incoming.next().await {
                let requests = BaseChannel::with_defaults(transport).execute(Server::default().serve());
                tokio::spawn(requests.for_each(|request| async {
                    tokio::spawn(request);
                }));
            }
        });
        tokio::task::spawn_blocking(move || children::serve_until_told(&place)).await?;
        Ok(())
    })
}

#[derive(Clone)]
struct Client(EchoClient);

fn context() -> context::Context {
    let mut context = context::current();
    context.deadline = Instant::now() + Duration::from_secs(10);
    context
}

impl Caller for Client {
    async fn ask(&self, payload: Vec<u8>) -> anyhow::Result<Vec<u8>> {
        Ok(self.0.echo(context(), payload).await?)
    }

    async fn tell(&self, _: Vec<u8>) -> anyhow::Result<()> {
        anyhow::bail!("tarpc has no tells")
    }

    async fn count(&self) -> anyhow::Result<u64> {
        Ok(self.0.count(context()).await?)
    }
}

pub(super) fn call(place: &str, scenario: Scenario, seconds: f64) -> anyhow::Result<f64> {
    one_thread()?.block_on(async {
        let transport = tcp::connect(place, Bincode::default).await?;
        let mut config = client::Config::default();
        config.max_in_flight_requests = 2000;
        let client = EchoClient::new(config, transport).spawn();
        caller::measure(Client(client), scenario, seconds).await
    })
}

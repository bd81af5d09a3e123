//! A TCP proxy of a test's own, which knows who dials it and can cut and block.

use parking_lot::Mutex;
use std::{collections::BTreeSet, net::SocketAddr, sync::Arc};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

/// Stands before one address.
pub(crate) struct Proxy {
    address: SocketAddr,
    state: Arc<State>,
    /// Ends with it.
    _all: JoinSet<()>,
}

struct State {
    /// Diallers, by their names, whose bytes go no further, nor those to them.
    blocked: watch::Sender<BTreeSet<String>>,
    /// Grows with each cut.
    cuts: watch::Sender<u64>,
    target: Mutex<String>,
    names: Vec<String>,
}

impl Proxy {
    /// Before an address that may be given later. `names`: who may dial, by what their first bytes contain.
    pub(crate) async fn start(names: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let state = Arc::new(State {
            blocked: watch::Sender::new(BTreeSet::new()),
            cuts: watch::Sender::new(0),
            target: Mutex::default(),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
        });
        let serving = state.clone();
        let mut all = JoinSet::new();
        all.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serving.clone().serve(stream));
                while connections.try_join_next().is_some() {}
            }
        });
        Self {
            address,
            state,
            _all: all,
        }
    }

    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    pub(crate) fn stand_before(&self, target: &str) {
        *self.state.target.lock() = target.to_owned();
    }

    /// Ends all connections there are.
    pub(crate) fn cut(&self) {
        self.state.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// From now on nothing comes through from these or to them; what is there stands still.
    pub(crate) fn block(&self, names: &[&str]) {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        self.state.blocked.send_replace(names);
    }
}

impl State {
    async fn serve(self: Arc<Self>, mut inward: TcpStream) {
        let mut cuts = self.cuts.subscribe();
        cuts.mark_unchanged();
        let mut first = vec![0; 16 * 1024];
        let Ok(read) = inward.read(&mut first).await else {
            return;
        };
        first.truncate(read);
        let is_in = |name: &str| first.windows(name.len()).any(|bytes| bytes == name.as_bytes());
        let name = self.names.iter().find(|name| is_in(name)).cloned().unwrap_or_default();
        self.open(&name).await;
        let target = self.target.lock().clone();
        let Ok(mut outward) = TcpStream::connect(&target).await else {
            return;
        };
        if outward.write_all(&first).await.is_err() {
            return;
        }
        let (from_in, to_in) = inward.into_split();
        let (from_out, to_out) = outward.into_split();
        let there = self.pass(from_in, to_out, &name);
        let back = self.pass(from_out, to_in, &name);
        tokio::select! {
            ((), ()) = async { tokio::join!(there, back) } => {}
            _ = cuts.changed() => {}
        }
    }

    async fn open(&self, name: &str) {
        let mut blocked = self.blocked.subscribe();
        // The proxy outlives its connections.
        let _never_ends = blocked.wait_for(|blocked| !blocked.contains(name)).await;
    }

    async fn pass(
        &self,
        mut from: tokio::net::tcp::OwnedReadHalf,
        mut to: tokio::net::tcp::OwnedWriteHalf,
        name: &str,
    ) {
        let mut bytes = vec![0; 16 * 1024];
        while let Ok(read @ 1..) = from.read(&mut bytes).await {
            self.open(name).await;
            if to.write_all(&bytes[..read]).await.is_err() {
                return;
            }
        }
    }
}

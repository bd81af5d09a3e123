//! Laws of handshakes and links, over TCP and in-process streams.

mod handshakes;
mod lanes;
mod links;
mod lost;
mod tcp;
mod tls;

use super::{
    Connection, LinkOptions, LocalEnd, LoopbackNetwork, Secret, TcpOptions, TcpTransport, Transport, TransportError,
};
use crate::{
    clock::Clock,
    ident::{ActorId, ClientId, ProcessId, RequestId, SiloId},
    wire::{Call, Frame},
};
use bytes::Bytes;
use std::{future::poll_fn, pin::Pin, task::Poll, time::Duration};
use tokio::task::JoinSet;

const SECRET: &[u8] = b"correct horse battery staple";

fn silo(name: &str) -> LocalEnd {
    LocalEnd::new(ProcessId::Silo(SiloId::new(name, 1)), "test")
}

fn client() -> LocalEnd {
    LocalEnd::new(ProcessId::Client(ClientId(7)), "test")
}

fn secret(bytes: &[u8]) -> Secret {
    Secret::new(bytes).expect("long enough")
}

#[derive(Clone, Copy, Debug)]
enum Network {
    Tcp,
    Loopback,
}

const BOTH: [Network; 2] = [Network::Tcp, Network::Loopback];

/// What each end makes of a link.
struct Meeting {
    dialler: Result<Connection, TransportError>,
    listener: Result<Connection, TransportError>,
}

/// Dials from one end to the other.
async fn meet(
    network: Network,
    (dialler, listener): (LocalEnd, LocalEnd),
    expected: Option<SiloId>,
    options: LinkOptions,
) -> Meeting {
    let (dialler, listener, address): (Box<dyn Transport>, Box<dyn Transport>, _) = match network {
        Network::Tcp => {
            let options = TcpOptions {
                link: options,
                ..TcpOptions::default()
            };
            let transport = |local| Box::new(TcpTransport::new(local, Clock::system(), options.clone()));
            (transport(dialler), transport(listener), "127.0.0.1:0")
        }
        Network::Loopback => {
            let network = LoopbackNetwork::new();
            let transport = |local| network.transport(local, Clock::system(), options);
            (transport(dialler), transport(listener), "loopback:listener")
        }
    };
    let mut listening = listener.listen(address).await.expect("listens");
    let address = listening.local_address();
    let accept = async { listening.accept().await.expect("a peer dials").await };
    let (dialler, listener) = tokio::join!(dialler.connect(&address, expected), accept);
    Meeting { dialler, listener }
}

/// Both ends of a link whose drivers run.
struct Linked {
    dialler: Connection,
    listener: Connection,
    _drivers: JoinSet<()>,
}

async fn linked(network: Network) -> Linked {
    linked_with(network, LinkOptions::default()).await
}

async fn linked_with(network: Network, options: LinkOptions) -> Linked {
    let met = meet(network, (client(), silo("a")), None, options).await;
    let (mut dialler, mut listener) = (met.dialler.expect("dials"), met.listener.expect("accepts"));
    let mut drivers = JoinSet::new();
    drivers.spawn(std::mem::replace(&mut dialler.driver, Box::pin(async {})));
    drivers.spawn(std::mem::replace(&mut listener.driver, Box::pin(async {})));
    Linked {
        dialler,
        listener,
        _drivers: drivers,
    }
}

fn call(request: u64, body: Bytes) -> Frame {
    Frame::Call(Call {
        actor: ActorId::new("cart", "alice").expect("valid"),
        message: "cart.add".into(),
        request: RequestId(request),
        from: ProcessId::Client(ClientId(7)),
        time_left: Some(Duration::from_secs(30)),
        chain: Vec::new(),
        trace: None,
        body,
    })
}

/// The next frame, which must come.
async fn next(connection: &mut Connection) -> Frame {
    connection
        .receiver
        .recv()
        .await
        .expect("the link holds")
        .expect("no goodbye yet")
}

/// Polls once.
async fn polled<F: Future + Unpin>(mut future: F) -> Poll<F::Output> {
    poll_fn(|cx| Poll::Ready(Pin::new(&mut future).poll(cx))).await
}

//! Peers that do not keep to the rules: a silo's memory stays bounded, and its other links work on meanwhile.

mod common;

use bytes::Buf;
use common::{Book, Ledger, cluster_name, silo};
use quark::{
    client::Client,
    clock::Clock,
    ident::{ActorId, ClientId, ProcessId, RequestId},
    prelude::*,
    silo::SiloHandle,
    transport::{Connection, LocalEnd, Secret, TcpOptions, TcpTransport, Transport},
    wire::{Call, Frame, Limits, Outgoing, ProtocolRange, Ran, encode},
};
use serde_bytes::ByteBuf;
use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::{Mutex, MutexGuard},
    task::JoinSet,
};

const SECRET: &[u8] = b"correct horse battery staple";

/// One attack at a time: they measure the memory of the process.
async fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::const_new(());
    ALONE.lock().await
}

/// Megabytes that the process holds.
fn megabytes() -> u64 {
    let statm = fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages: u64 = statm.split(' ').nth(1).expect("resident").parse().expect("a number");
    pages * 4096 / (1024 * 1024)
}

/// Answers with as many bytes as it is asked for.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Well;

#[derive(Debug, Message, Serialize, Deserialize)]
#[message(name = "well.draw", reply = ByteBuf)]
struct Draw {
    bytes: usize,
}

#[actor(kind = "well", messages(Draw, Fill), volatile)]
impl Actor for Well {}

impl Handler<Draw> for Well {
    async fn handle(&mut self, draw: Draw, _: &mut Context<Self>) -> ByteBuf {
        ByteBuf::from(vec![7; draw.bytes])
    }
}

/// A silo under attack, and an honest client that works with it all the time.
struct Scene {
    cluster: String,
    silo: SiloHandle,
    client: Client,
    done: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    work: JoinSet<()>,
    before: u64,
    _alone: MutexGuard<'static, ()>,
}

impl Scene {
    async fn open(secret: bool) -> Self {
        let alone = alone().await;
        let cluster = cluster_name();
        let (mut silo, mut client) = (silo(&cluster, "one"), Client::builder());
        if secret {
            (silo, client) = (silo.secret(SECRET), client.secret(SECRET));
        }
        let silo = silo.start().await.expect("the silo starts");
        let client = client
            .cluster(&cluster)
            .seeds([silo.address()])
            .connect()
            .await
            .expect("connects");
        let (done, stop) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let work = {
            let (client, done, stop) = (client.clone(), done.clone(), stop.clone());
            let mut work = JoinSet::new();
            work.spawn(async move {
                let clock = Clock::system();
                let ledger = client.actor::<Ledger>("honest");
                for n in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let sender = "honest".into();
                    let start = clock.now();
                    ledger.ask(Book { sender, n }).await.expect("the honest are served");
                    let took = clock.now().since(start);
                    assert!(took < Duration::from_secs(5), "the honest wait {took:?}");
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
            work
        };
        let scene = Self {
            cluster,
            silo,
            client,
            done,
            stop,
            work,
            before: megabytes(),
            _alone: alone,
        };
        scene.honest_work_goes_on().await;
        scene
    }

    /// Waits until the honest client has been served some more.
    async fn honest_work_goes_on(&self) {
        let (clock, enough) = (Clock::system(), self.done.load(Ordering::Relaxed) + 20);
        let end = clock.now() + Duration::from_secs(30);
        while self.done.load(Ordering::Relaxed) < enough {
            assert!(clock.now() < end, "the honest are not served");
            clock.sleep(Duration::from_millis(1)).await;
        }
    }

    /// A further honest client gets in.
    async fn is_open(&self, secret: bool) {
        let mut client = Client::builder();
        if secret {
            client = client.secret(SECRET);
        }
        let client = client.cluster(&self.cluster).seeds([self.silo.address()]).connect();
        client.await.expect("the honest get in");
    }

    async fn close(mut self, most_megabytes: u64) {
        self.honest_work_goes_on().await;
        let grown = megabytes().saturating_sub(self.before);
        assert!(grown < most_megabytes, "{grown} MB more than before");
        self.stop.store(true, Ordering::Relaxed);
        self.work
            .join_next()
            .await
            .expect("at work")
            .expect("the honest were served");
        self.client.close().await;
        self.silo.stop().await.expect("stops");
    }

    async fn dial(&self) -> TcpStream {
        TcpStream::connect(self.silo.address()).await.expect("somebody listens")
    }

    /// A connection that has shaken hands, as bytes; the silo has no secret.
    async fn shake_hands(&self, client: u64) -> TcpStream {
        #[derive(Serialize)]
        struct Hello {
            process: ProcessId,
            cluster: String,
            protocol: ProtocolRange,
            nonce: ByteBuf,
            proves: bool,
        }
        #[derive(Serialize)]
        struct Proof {}
        let message = |step: u8, body: bytes::Bytes| {
            let length = u16::try_from(body.len()).expect("short").to_le_bytes();
            [b"QUARK", &[step][..], &length, &body].concat()
        };
        let hello = encode(&Hello {
            process: ProcessId::Client(ClientId(client)),
            cluster: self.cluster.clone(),
            protocol: ProtocolRange::SUPPORTED,
            nonce: ByteBuf::from(vec![1; 32]),
            proves: false,
        });
        let proof = encode(&Proof {}).expect("encodes");
        let mut stream = self.dial().await;
        stream
            .write_all(&message(1, hello.expect("encodes")))
            .await
            .expect("is read");
        for step in [2, 4] {
            let mut prefix = [0; 8];
            stream.read_exact(&mut prefix).await.expect("an answer");
            assert_eq!((&prefix[..5], prefix[5]), (&b"QUARK"[..], step));
            let mut body = vec![0; u16::from_le_bytes([prefix[6], prefix[7]]).into()];
            stream.read_exact(&mut body).await.expect("an answer");
            if step == 2 {
                stream.write_all(&message(3, proof.clone())).await.expect("is read");
            }
        }
        stream
    }
}

/// Whether the other side has ended the connection, whatever it said before.
async fn is_closed(stream: &mut TcpStream) -> bool {
    let mut ignored = vec![0; 4096];
    let end = async { while matches!(stream.read(&mut ignored).await, Ok(1..)) {} };
    Clock::system().timeout(Duration::from_secs(20), end).await.is_some()
}

/// Bytes without a pattern, the same in every run.
fn garbage(seed: u64, count: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..count).map(|_| next()).collect()
}

#[tokio::test]
async fn a_flood_of_garbage_is_turned_away() {
    let scene = Scene::open(true).await;
    for round in 0..20 {
        let mut streams = Vec::new();
        for n in 0..25 {
            let mut stream = scene.dial().await;
            // It may be cut off before all of it is written.
            let _cut = stream.write_all(&garbage(round * 100 + n, 20_000)).await;
            streams.push(stream);
        }
        for mut stream in streams {
            assert!(is_closed(&mut stream).await, "garbage is no peer");
        }
    }
    scene.is_open(true).await;
    scene.close(64).await;
}

#[tokio::test]
async fn those_who_say_little_for_long_keep_nobody_out() {
    let scene = Scene::open(true).await;
    let mut slow = Vec::new();
    // More than are let in at once, in every state that a handshake can be left in.
    for n in 0..600_usize {
        let mut stream = scene.dial().await;
        let words = &b"QUARK\x01\xff\x0f\x81"[..n % 10];
        stream.write_all(words).await.expect("is read");
        slow.push(stream);
    }
    scene.is_open(true).await;
    scene.honest_work_goes_on().await;
    for stream in &mut slow {
        assert!(is_closed(stream).await, "patience ends");
    }
    scene.close(64).await;
}

#[tokio::test]
async fn those_with_another_secret_or_cluster_are_turned_away_however_often_they_come() {
    let scene = Scene::open(true).await;
    let transport = |cluster: &str, secret: &[u8]| {
        let secret = Secret::new(secret).expect("long enough");
        let end = LocalEnd::new(ProcessId::Client(ClientId(7)), cluster).with_secret(secret);
        TcpTransport::new(end, Clock::system(), TcpOptions::default())
    };
    let wrong = transport(&scene.cluster, b"another secret of some length");
    let other = transport("another-cluster", SECRET);
    for _ in 0..200 {
        wrong
            .connect(scene.silo.address(), None)
            .await
            .expect_err("another secret");
        other
            .connect(scene.silo.address(), None)
            .await
            .expect_err("another cluster");
    }
    scene.is_open(true).await;
    scene.close(64).await;
}

#[tokio::test]
async fn malformed_and_oversized_frames_end_their_link_and_no_other() {
    let scene = Scene::open(false).await;
    let mut frame = Outgoing::new();
    frame.push(&Frame::Ping { n: 1 }, &Limits::default()).expect("small");
    let ping = frame.chunk().to_vec();
    let changed = |at: usize, value: &[u8]| {
        let mut bytes = ping.clone();
        bytes[at..at + value.len()].copy_from_slice(value);
        bytes
    };
    let mut bad = vec![
        // A length beyond the limit, one shorter than a header, and a head longer than its frame.
        changed(0, &(65_u32 << 20).to_le_bytes()),
        changed(0, &3_u32.to_le_bytes()),
        changed(8, &u32::MAX.to_le_bytes()),
        // A call without a head.
        changed(4, &[1]),
        b"GET / HTTP/1.1\r\nHost: silo\r\n\r\n".to_vec(),
    ];
    // Headers of every kind with garbage behind them, of which none is a frame.
    for kind in [1, 5, 16, 17, 32, 33, 35, 80] {
        let body = garbage(u64::from(kind), 300);
        let mut bytes = (u32::try_from(24 + body.len()).expect("short")).to_le_bytes().to_vec();
        bytes.extend([kind, 1, 0, 0]);
        bytes.extend(200_u32.to_le_bytes());
        bytes.extend([0xff; 16]);
        bytes.extend(body);
        bad.push(bytes);
    }
    for (n, bytes) in (1..).zip(bad) {
        let mut stream = scene.shake_hands(n).await;
        stream.write_all(&bytes).await.expect("is read");
        assert!(is_closed(&mut stream).await, "{bytes:x?}");
    }
    scene.is_open(false).await;
    scene.close(64).await;
}

#[tokio::test]
async fn an_announced_length_costs_the_silo_nothing() {
    let scene = Scene::open(false).await;
    let mut streams = Vec::new();
    for n in 0..200 {
        let mut stream = scene.shake_hands(n).await;
        // 60 MB are to follow, and a little does.
        stream.write_all(&(60_u32 << 20).to_le_bytes()).await.expect("is read");
        stream.write_all(&[1, 0, 0, 0, 0, 1, 0, 0]).await.expect("is read");
        stream.write_all(&garbage(n, 1000)).await.expect("is read");
        streams.push(stream);
    }
    scene.honest_work_goes_on().await;
    scene.close(64).await;
}

/// A connection to the silo as the real transport makes it, of somebody who then does as he likes.
async fn link(scene: &Scene, client: u64) -> Connection {
    let end = LocalEnd::new(ProcessId::Client(ClientId(client)), scene.cluster.clone());
    let transport = TcpTransport::new(end, Clock::system(), TcpOptions::default());
    transport.connect(scene.silo.address(), None).await.expect("is let in")
}

fn draw(client: u64, request: u64, bytes: usize) -> Frame {
    Frame::Call(Call {
        actor: ActorId::new("well", "deep").expect("valid"),
        message: "well.draw".into(),
        request: RequestId(request),
        from: ProcessId::Client(ClientId(client)),
        time_left: None,
        chain: Vec::new(),
        trace: None,
        body: encode(&Draw { bytes }).expect("encodes"),
    })
}

#[tokio::test]
async fn who_asks_and_does_not_listen_is_not_served_for_ever() {
    let scene = Scene::open(false).await;
    scene
        .client
        .actor::<Well>("deep")
        .ask(Draw { bytes: 1 })
        .await
        .expect("runs");
    let Connection {
        sender,
        receiver,
        driver,
        ..
    } = link(&scene, 7).await;
    let mut drivers = JoinSet::from_iter([driver]);
    // 20 GB of replies, none of which is read.
    for request in 1..=20_000 {
        sender.send(draw(7, request, 1 << 20)).expect("open");
    }
    // Either the silo cuts the link, or it reads nothing more of it.
    let clock = Clock::system();
    let end = clock.now() + Duration::from_secs(60);
    let mut last = (megabytes(), clock.now());
    while drivers.try_join_next().is_none() && clock.now().since(last.1) < Duration::from_secs(3) {
        assert!(clock.now() < end, "it is served all the time");
        scene.honest_work_goes_on().await;
        let now = megabytes();
        assert!(now < scene.before + 800, "{now} MB, {} before", scene.before);
        if now.abs_diff(last.0) > 8 {
            last = (now, clock.now());
        }
    }
    scene.is_open(false).await;
    drop(receiver);
    sender.abort();
    scene.close(800).await;
}

/// Takes as many bytes as it is given.
#[derive(Debug, Message, Serialize, Deserialize)]
#[message(name = "well.fill", reply = usize)]
struct Fill(ByteBuf);

impl Handler<Fill> for Well {
    async fn handle(&mut self, fill: Fill, _: &mut Context<Self>) -> usize {
        fill.0.len()
    }
}

#[tokio::test]
async fn what_no_link_carries_is_refused_where_it_is_sent() {
    const MEGABYTE: usize = 1 << 20;
    let scene = Scene::open(false).await;
    let well = scene.client.actor::<Well>("deep");
    let fill = |megabytes: usize| Fill(ByteBuf::from(vec![1; megabytes * MEGABYTE]));
    assert_eq!(well.ask(fill(20)).await.expect("fits"), 20 * MEGABYTE);
    assert_eq!(
        well.ask(Draw { bytes: 20 * MEGABYTE }).await.expect("fits").len(),
        20 * MEGABYTE
    );
    let error = well.ask(fill(65)).await.expect_err("more than a frame");
    assert!(
        matches!(error, CallError::TooLarge(_)) && error.ran() == Ran::No,
        "{error:?}"
    );
    let error = well
        .ask(Draw { bytes: 65 * MEGABYTE })
        .await
        .expect_err("more than a frame");
    assert!(
        matches!(error, CallError::TooLarge(_)) && error.ran() == Ran::Yes,
        "{error:?}"
    );
    assert_eq!(well.ask(fill(1)).await.expect("the link is as it was"), MEGABYTE);
    scene.close(600).await;
}

#[tokio::test]
async fn who_asks_much_and_reads_is_served_and_slows_nobody_else() {
    let scene = Scene::open(false).await;
    scene
        .client
        .actor::<Well>("deep")
        .ask(Draw { bytes: 1 })
        .await
        .expect("runs");
    let Connection {
        sender,
        mut receiver,
        driver,
        ..
    } = link(&scene, 8).await;
    let mut drivers = JoinSet::from_iter([driver]);
    let read = async {
        let (mut replies, mut returned) = (0_u64, 0_u64);
        while replies + returned < 20_000 {
            match receiver.recv().await.expect("the link holds").expect("no goodbye") {
                Frame::Reply { .. } => replies += 1,
                Frame::Bounce { .. } => returned += 1,
                _ => {}
            }
        }
        replies
    };
    let ask = async {
        for request in 1..=20_000 {
            sender.send(draw(8, request, 2000)).expect("open");
        }
    };
    let (replies, ()) = tokio::join!(read, ask);
    assert!(replies > 0, "all were given back");
    sender.abort();
    drivers.join_next().await.expect("one").expect("ends");
    scene.close(200).await;
}

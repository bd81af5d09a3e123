//! The silo from its start to its end, on whatever it stands.

use super::{
    Gate, Node, SiloHandle, SiloOptions, StartError,
    actors::Surroundings,
    callers::{LocalAnswer, NodeUplink},
    cluster::carry_out,
    directory::Directory,
    doorstep,
    end::{CordonError, Ended, Wish},
    ground::{Ground, Threads},
    inbound::NodeLinks,
    incarnation,
    node::Parts,
    shapes::{self, Shapes},
    supervisor::SiloSupervisor,
};
use crate::{
    actor::registry::Registry,
    caller::{Links, Spawner, Switchboard},
    clock::Clock,
    ident::{ProcessId, SiloId},
    membership::{Event, Membership},
    runtime::{BlockingPool, Outside, Pool, WorkerPlace},
    store::{KindManifest, Manifest, MemberRow, SiloStatus, Store, Unknown},
    transport::{Listener, LocalEnd, Transport, TransportError},
    wire::ProtocolRange,
};
use actix::Actor as _;
use std::{
    sync::{Arc, Weak},
    time::Duration,
};
use tokio::sync::{mpsc, oneshot};

/// How long joining the cluster may take.
const JOIN_TIMEOUT: Duration = Duration::from_secs(15);

/// Starts a silo on its own threads.
pub(super) async fn start(options: SiloOptions, registry: Registry) -> Result<SiloHandle, StartError> {
    let (tell, told) = oneshot::channel();
    std::thread::Builder::new()
        .name(format!("quark-{}", options.name))
        .spawn(move || {
            // A thread of its own: an actix system must not be made inside another runtime.
            actix_rt::System::new().block_on(run(options, registry, tell));
        })
        .map_err(StartError::Thread)?;
    told.await.unwrap_or_else(|_| {
        Err(StartError::NotJoined {
            why: "its thread ended; the log says why".into(),
        })
    })
}

/// The silo on threads of its own.
async fn run(options: SiloOptions, registry: Registry, tell: oneshot::Sender<Result<SiloHandle, StartError>>) {
    let threads = Threads::start(&options);
    let ground = threads.ground(&options);
    serve(options, registry, ground, threads.end(), tell).await;
}

/// The silo from its start to its end. `end`: ends what it stands on.
pub(crate) async fn serve(
    options: SiloOptions,
    registry: Registry,
    ground: Result<Ground, StartError>,
    end: impl Future<Output = ()>,
    mut tell: oneshot::Sender<Result<SiloHandle, StartError>>,
) {
    let opened = match ground {
        Ok(ground) => open(options, registry, ground, tell.closed()).await,
        Err(error) => Err(error),
    };
    match opened {
        Ok((node, address)) => {
            // Whatever ends this function tells those who wait for the silo's end.
            let ends = TellEnd(node.clone());
            if tell.send(Ok(SiloHandle::new(node.clone(), address))).is_err() {
                node.end.stop("nobody waited for its start");
            }
            let report = loop {
                let wish = node.end.wished().await;
                match node.leave(wish).await {
                    // The silo goes on until it is told again.
                    Err(Ended::CalledOff) => {}
                    report => break report,
                }
            };
            node.set_gate(Gate::Shut);
            node.pool().stop();
            if report.is_ok() {
                node.end_blocking().await;
            }
            end.await;
            node.end.ended(report);
            node.end.answer_uncordons(Err(CordonError::Ended));
            drop(ends);
        }
        Err(error) => {
            end.await;
            // Nobody hears it if nobody waits.
            let _gone = tell.send(Err(error));
        }
    }
}

struct TellEnd(Arc<Node>);

impl Drop for TellEnd {
    fn drop(&mut self) {
        self.0.end.ended(Err(Ended::Crashed));
    }
}

async fn open(
    options: SiloOptions,
    registry: Registry,
    ground: Ground,
    abandoned: impl Future<Output = ()>,
) -> Result<(Arc<Node>, String), StartError> {
    let (registry, shapes) = shapes::admit(&*ground.store, registry, &options, &ground.clock).await?;
    let timeout = options.membership.store_timeout;
    let me = incarnation::next(&options.name, &*ground.store, &ground.clock, timeout).await;
    let mut end = LocalEnd::new(ProcessId::Silo(me.clone()), options.cluster.as_str());
    if let Some(secret) = &options.secret {
        end = end.with_secret(secret.clone());
    }
    let transport = (ground.transport)(end).await?;
    let spawn = ground.spawn.clone();
    let listener = listen(&transport, &options.listen, &spawn).await?;
    let address = listener.local_address();
    let row = row(
        &me,
        &options,
        &registry,
        &shapes,
        options.advertise.as_deref().unwrap_or(&address),
    );
    let handles_signals = options.handle_signals;
    let base = Base {
        clock: ground.clock,
        store: ground.store,
        spawn: spawn.clone(),
        blocking: ground.blocking,
        transport,
        shapes,
    };
    let node = assemble(me, options, registry, base, &ground.workers, row);
    spawn(Box::pin(doorstep::accept(Arc::downgrade(&node), listener)));
    SiloSupervisor::new(node.clone()).start();
    if handles_signals {
        // Before it joins: a silo that is told to end while it starts undoes what it has begun.
        actix_rt::spawn(signals(Arc::downgrade(&node)));
    }
    node.read_documents().await;
    if let Err(error) = join(&node, abandoned).await {
        node.services.membership(Event::Leave);
        // What is half done is undone by the others if the store does not answer.
        let _left = node.clock.timeout(Duration::from_secs(1), node.end.has_left()).await;
        node.pool().stop();
        return Err(error);
    }
    let kinds: Vec<String> = node.registry.kinds().map(|kind| format!("{:?}", kind.entry)).collect();
    tracing::info!(silo = %node.me, address, store = node.store.describe(), kinds = kinds.join(", "), "the silo is active");
    Ok((node, address))
}

/// Binds on the thread that reads the links: its reactor then wakes them.
async fn listen(
    transport: &Arc<dyn Transport>,
    address: &str,
    spawn: &Spawner,
) -> Result<Box<dyn Listener>, StartError> {
    let (tell, told) = oneshot::channel::<Result<Box<dyn Listener>, TransportError>>();
    let (transport, address) = (transport.clone(), address.to_owned());
    spawn(Box::pin(async move {
        let _gone = tell.send(transport.listen(&address).await);
    }));
    let listener = told.await.map_err(|_| StartError::NotJoined {
        why: "the thread of its links ended".into(),
    })?;
    Ok(listener?)
}

fn row(me: &SiloId, options: &SiloOptions, registry: &Registry, shapes: &Shapes, address: &str) -> MemberRow {
    let kind = |kind: &crate::actor::registry::RegisteredKind| {
        let manifest = KindManifest {
            schemas: shapes.hashes(kind.entry.kind()),
            messages: kind
                .entry
                .messages()
                .iter()
                .map(|message| message.name().to_owned())
                .collect(),
            ..KindManifest::new(kind.version.clone())
        };
        (kind.entry.kind().to_owned(), manifest)
    };
    MemberRow {
        silo: me.clone(),
        address: address.to_owned(),
        status: SiloStatus::Joining,
        heartbeat: 0,
        manifest: Manifest {
            kinds: registry.kinds().map(kind).collect(),
            protocol_min: ProtocolRange::SUPPORTED.min,
            protocol_max: ProtocolRange::SUPPORTED.max,
            streams: registry.streams(),
            unknown: Unknown::default(),
        },
        labels: options.labels.clone(),
        unknown: Unknown::default(),
    }
}

/// What a ground gives to a node.
struct Base {
    clock: Clock,
    store: Arc<dyn Store>,
    spawn: Spawner,
    blocking: BlockingPool,
    transport: Arc<dyn Transport>,
    shapes: Shapes,
}

fn assemble(
    me: SiloId,
    options: SiloOptions,
    registry: Registry,
    base: Base,
    workers: &[WorkerPlace],
    row: MemberRow,
) -> Arc<Node> {
    let (clock, spawn) = (base.clock, base.spawn);
    let (directory, intake) = Directory::new();
    let (local, answers) = mpsc::unbounded_channel();
    let (changes, wanted_changes) = mpsc::unbounded_channel();
    let links = Links::new(base.transport, clock.clone(), spawn.clone());
    let membership = Membership::new(options.membership.clone(), row);
    let (ask_timeout, capacity) = (options.ask_timeout, options.mailbox_capacity);
    let (spin, idle_timeout) = (options.spin, options.idle_timeout);
    let node = Node::new(Parts {
        me,
        options,
        clock: clock.clone(),
        store: base.store,
        blocking: base.blocking,
        registry,
        shapes: base.shapes,
        directory,
        local,
        changes,
        membership,
        spawn: spawn.clone(),
    });
    let events: Weak<dyn crate::caller::LinkEvents> = {
        let events: Arc<dyn crate::caller::LinkEvents> = Arc::new(NodeLinks(Arc::downgrade(&node)));
        node.link_events
            .set(events.clone())
            .unwrap_or_else(|_| unreachable!("invariant: set once"));
        Arc::downgrade(&events)
    };
    links.listen(events);
    let uplink = Arc::new(NodeUplink(Arc::downgrade(&node)));
    let board = Switchboard::new(node.process.clone(), clock.clone(), ask_timeout, links, uplink);
    let outside: Arc<dyn Outside> = Arc::new(Surroundings(node.clone()));
    let pool = Pool::start(workers, &outside, clock, capacity, spin, idle_timeout);
    node.complete(board, pool);
    for task in intake.run(&node) {
        spawn(task);
    }
    spawn(Box::pin(carry_out(Arc::downgrade(&node), wanted_changes)));
    spawn(Box::pin(answer_own_callers(Arc::downgrade(&node), answers)));
    node
}

async fn answer_own_callers(node: Weak<Node>, mut answers: mpsc::UnboundedReceiver<LocalAnswer>) {
    while let Some(answer) = answers.recv().await {
        let Some(node) = node.upgrade() else { return };
        node.answered_here(answer);
    }
}

/// Joining, then Active; `abandoned`: nobody waits for it any more.
async fn join(node: &Arc<Node>, abandoned: impl Future<Output = ()>) -> Result<(), StartError> {
    let abandoned = std::pin::pin!(abandoned);
    let joined = std::pin::pin!(become_active(node));
    match futures_util::future::select(joined, abandoned).await {
        futures_util::future::Either::Left((joined, _)) => joined,
        futures_util::future::Either::Right(_) => Err(StartError::Stopped {
            reason: "nobody waited for its start".into(),
        }),
    }
}

async fn become_active(node: &Arc<Node>) -> Result<(), StartError> {
    node.services.membership(Event::Started);
    for status in [SiloStatus::Joining, SiloStatus::Active] {
        if status == SiloStatus::Active {
            node.check_shapes().await?;
            // Before the others can see it and send.
            node.set_gate(Gate::Open);
            node.services.membership(Event::SetStatus(status));
        }
        let mut views = node.views.subscribe();
        let mine = std::pin::pin!(views.wait_for(|view| view.status(&node.me) == Some(status)));
        let fenced = std::pin::pin!(node.end.wished());
        let joined = futures_util::future::select(mine, fenced);
        match node.clock.timeout(JOIN_TIMEOUT, joined).await {
            Some(futures_util::future::Either::Left(_)) => {}
            Some(futures_util::future::Either::Right((Wish::Stop(reason), _))) => {
                return Err(StartError::Stopped { reason });
            }
            Some(futures_util::future::Either::Right((Wish::Fence(why), _))) => {
                return Err(StartError::NotJoined { why });
            }
            None => {
                return Err(StartError::NotJoined {
                    why: format!(
                        "the membership table of {} did not show it as {status:?} within {JOIN_TIMEOUT:?}",
                        node.store.describe()
                    ),
                });
            }
        }
    }
    Ok(())
}

/// SIGTERM and SIGINT shut the silo down in order.
async fn signals(node: Weak<Node>) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::error!("signals cannot be handled: the silo will not drain when it is told to end");
        return;
    };
    loop {
        let terminated = std::pin::pin!(terminate.recv());
        let interrupted = std::pin::pin!(interrupt.recv());
        let reason = match futures_util::future::select(terminated, interrupted).await {
            futures_util::future::Either::Left(_) => "SIGTERM",
            futures_util::future::Either::Right(_) => "SIGINT",
        };
        let Some(node) = node.upgrade() else { return };
        // Only a silo whose end was called off hears a second one.
        node.end.stop(reason);
    }
}

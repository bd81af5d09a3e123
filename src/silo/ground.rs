//! What a silo stands on: time, a place for each worker and for its links, a store and a network; the machine's, or a
//! simulation's. Decided once, when the silo starts.

use super::{
    SiloOptions, StartError,
    link_tasks::{LinkTasks, Side},
};
use crate::{
    caller::Spawner,
    clock::Clock,
    runtime::{BlockingPool, WorkerPlace},
    store::{self, Store},
    transport::{LocalEnd, TcpOptions, TcpTransport, Tls, Transport, TransportError},
};
use actix_rt::Arbiter;
use futures_util::{FutureExt, future::BoxFuture};
use std::{sync::Arc, time::Duration};
use tokio::sync::oneshot;

/// How long threads may take to end.
const THREADS_END: Duration = Duration::from_secs(1);

/// Makes the transport of the process that a silo is.
pub(crate) type MakeTransport =
    Box<dyn FnOnce(LocalEnd) -> BoxFuture<'static, Result<Arc<dyn Transport>, StartError>> + Send>;

/// What a silo stands on.
pub(crate) struct Ground {
    pub(crate) clock: Clock,
    pub(crate) store: Arc<dyn Store>,
    /// Runs the tasks of links.
    pub(crate) spawn: Spawner,
    pub(crate) workers: Vec<WorkerPlace>,
    pub(crate) blocking: BlockingPool,
    pub(crate) transport: MakeTransport,
}

/// The threads of a silo beside the one of its supervisors: one for its links, one for each worker. The links of a silo with one worker
/// are on that one's thread, and on theirs only while turns block it.
pub(super) struct Threads {
    io: Arbiter,
    workers: Vec<Arbiter>,
    /// The links' tasks, if they are on a worker's thread.
    beside_worker: Option<LinkTasks>,
}

impl Threads {
    /// Starts them.
    pub(super) fn start(options: &SiloOptions) -> Self {
        // A worker that looks for work before it parks would keep its thread from them.
        let is_shared = options.workers == 1 && options.spin.is_zero();
        Self {
            io: Arbiter::new(),
            workers: (0..options.workers).map(|_| Arbiter::new()).collect(),
            beside_worker: is_shared.then(LinkTasks::new),
        }
    }

    /// What runs the tasks of links.
    fn spawner(&self, clock: &Clock) -> Spawner {
        let (Some(tasks), [worker]) = (&self.beside_worker, &self.workers[..]) else {
            return on(&self.io);
        };
        worker.spawn(tasks.clone().run(Side::Home));
        self.io.spawn(tasks.clone().run(Side::Aside));
        self.io.spawn(tasks.clone().keep(clock.clone()));
        let tasks = tasks.clone();
        Arc::new(move |task| tasks.spawn(task))
    }

    /// A silo on these threads, with the machine's clock and network and the store of its options.
    pub(super) fn ground(&self, options: &SiloOptions) -> Result<Ground, StartError> {
        let clock = Clock::system();
        let spawn = self.spawner(&clock);
        let place = |arbiter: &Arbiter| -> WorkerPlace {
            let arbiter = arbiter.handle();
            Arc::new(move |worker| {
                arbiter.spawn_fn(move || {
                    actix_rt::spawn(worker.run());
                });
            })
        };
        Ok(Ground {
            store: store::open(&options.store, &options.cluster)?,
            workers: self.workers.iter().map(place).collect(),
            blocking: BlockingPool::new(options.blocking_threads),
            transport: tcp(options, &clock, &on(&self.io))?,
            clock,
            spawn,
        })
    }

    /// Ends them. One that a turn blocks is left behind: its process is to end.
    pub(super) async fn end(self) {
        let arbiters: Vec<_> = self.workers.into_iter().chain([self.io]).collect();
        for arbiter in &arbiters {
            arbiter.stop();
        }
        if let Some(tasks) = self.beside_worker {
            tasks.end();
        }
        let (tell, told) = oneshot::channel();
        let joining = std::thread::Builder::new().name("quark-end".into()).spawn(move || {
            for arbiter in arbiters {
                if arbiter.join().is_err() {
                    tracing::error!("a thread of the silo panicked");
                }
            }
            let _late = tell.send(());
        });
        if joining.is_err() || Clock::system().timeout(THREADS_END, told).await.is_none() {
            tracing::error!("threads of the silo did not end: turns block them");
        }
    }
}

/// Runs tasks on an arbiter's thread.
fn on(arbiter: &Arbiter) -> Spawner {
    let arbiter = arbiter.handle();
    Arc::new(move |task| {
        // After the silo's end nothing is run any more.
        let _ended = arbiter.spawn(task);
    })
}

fn tcp(options: &SiloOptions, clock: &Clock, spawn: &Spawner) -> Result<MakeTransport, StartError> {
    let tcp = TcpOptions {
        tls: certificates(options, clock, spawn)?,
        insecure: options.insecure,
        ..TcpOptions::default()
    };
    let (clock, advertise) = (clock.clone(), options.advertise.clone());
    Ok(Box::new(move |end| {
        async move {
            let transport = TcpTransport::new(end, clock, tcp);
            if let Some(address) = &advertise {
                transport.check_advertised(address).await?;
            }
            Ok(Arc::new(transport) as Arc<dyn Transport>)
        }
        .boxed()
    }))
}

/// The silo's certificates, looked at as long as its links are served.
fn certificates(options: &SiloOptions, clock: &Clock, spawn: &Spawner) -> Result<Option<Tls>, TransportError> {
    let Some(files) = &options.tls else { return Ok(None) };
    let tls = Tls::load(files.clone(), clock.clone())?;
    spawn(Box::pin(tls.clone().watch()));
    Ok(Some(tls))
}

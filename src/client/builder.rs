//! Building and connecting a client.

use super::{
    Client, ConnectError,
    core::{Core, CoreLinks, CoreUplink, Seeds},
};
use crate::{
    caller::{Links, Spawner, Switchboard},
    clock::Clock,
    ident::{ClientId, InvalidName, ProcessId, SiloId},
    transport::{LocalEnd, Secret, SecretTooShort, TcpOptions, TcpTransport, Tls, TlsOptions, Transport},
    wire::{Frame, SiloAddress},
};
use std::{
    fmt::Write as _,
    sync::{Arc, Weak},
    time::Duration,
};
use tokio::sync::oneshot;

/// How long to wait between two rounds over the addresses.
const ROUND_WAIT: Duration = Duration::from_millis(100);

/// Builds a client.
#[derive(Debug)]
#[must_use = "a builder does nothing until it connects"]
pub struct ClientBuilder {
    cluster: String,
    seeds: Vec<String>,
    secret: Option<Result<Secret, SecretTooShort>>,
    tls: Option<TlsOptions>,
    insecure: bool,
    connect_timeout: Duration,
    ask_timeout: Duration,
}

impl Default for ClientBuilder {
    fn default() -> Self {
        Self {
            cluster: "quark".into(),
            seeds: Vec::new(),
            secret: None,
            tls: None,
            insecure: false,
            connect_timeout: Duration::from_secs(10),
            ask_timeout: Duration::from_secs(30),
        }
    }
}

impl ClientBuilder {
    /// The name of the cluster. Default `quark`.
    pub fn cluster(mut self, cluster: impl Into<String>) -> Self {
        self.cluster = cluster.into();
        self
    }

    /// Addresses of silos, `host:port`; one that answers is enough, it names the others.
    pub fn seeds(mut self, seeds: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.seeds = seeds.into_iter().map(Into::into).collect();
        self
    }

    /// What every process of the cluster proves to know, 16 bytes at least.
    pub fn secret(mut self, secret: impl AsRef<[u8]>) -> Self {
        self.secret = Some(Secret::new(secret.as_ref()));
        self
    }

    /// The certificates of mutual TLS, for all links of the client. Required outside this machine. Default none: plain TCP.
    pub fn tls(mut self, tls: TlsOptions) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Allows plain TCP outside this machine, where the network is trusted. Default no.
    pub fn insecure(mut self, insecure: bool) -> Self {
        self.insecure = insecure;
        self
    }

    /// How long connecting may take. Default 10 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long an ask waits unless told otherwise. Default 30 s.
    pub fn ask_timeout(mut self, timeout: Duration) -> Self {
        self.ask_timeout = timeout;
        self
    }

    /// Connects to the cluster.
    ///
    /// # Errors
    /// [`ConnectError`]; if no silo answered it says what happened at each address.
    pub async fn connect(self) -> Result<Client, ConnectError> {
        self.check()?;
        let clock = Clock::system();
        let tls = self.tls.clone().map(|tls| Tls::load(tls, clock.clone())).transpose()?;
        let (spawn, stop) = thread()?;
        if let Some(tls) = &tls {
            spawn(Box::pin(tls.clone().watch()));
        }
        let tcp = TcpOptions {
            tls,
            insecure: self.insecure,
            ..TcpOptions::default()
        };
        let at = clock.clone();
        let transport = move |end| Arc::new(TcpTransport::new(end, at, tcp)) as Arc<dyn Transport>;
        self.connect_on(clock, spawn, stop, transport).await
    }

    fn check(&self) -> Result<(), ConnectError> {
        if self.seeds.is_empty() {
            return Err(ConnectError::NoSeeds);
        }
        InvalidName::check("cluster name", &self.cluster)?;
        Ok(())
    }

    /// Connects with what somebody else has made: a clock, what runs tasks, what is dropped when it is to run no more, and a
    /// network.
    pub(crate) async fn connect_on(
        self,
        clock: Clock,
        spawn: Spawner,
        stop: oneshot::Sender<()>,
        transport: impl FnOnce(LocalEnd) -> Arc<dyn Transport>,
    ) -> Result<Client, ConnectError> {
        self.check()?;
        let process = ProcessId::Client(ClientId(crate::chance::number()));
        let mut end = LocalEnd::new(process.clone(), self.cluster.as_str());
        if let Some(secret) = self.secret.clone().transpose()? {
            end = end.with_secret(secret);
        }
        let transport = transport(end);
        let (tell, told) = oneshot::channel();
        let (seeds, timeout, dial, at) = (
            self.seeds.clone(),
            self.connect_timeout,
            transport.clone(),
            clock.clone(),
        );
        // On the thread whose reactor the sockets are of.
        spawn(Box::pin(async move {
            let _gone = tell.send(first_view(&*dial, &seeds, timeout, &at).await);
        }));
        let (view, silos) = told.await.unwrap_or_else(|_| {
            Err(ConnectError::NoneAnswered {
                seconds: 0,
                tried: " the client's thread ended".into(),
            })
        })?;
        let seeds = Seeds {
            transport: transport.clone(),
            addresses: self.seeds,
        };
        let links = Links::new(transport, clock.clone(), spawn);
        let core = Core::new(clock.clone(), stop, seeds);
        let events: Arc<dyn crate::caller::LinkEvents> = Arc::new(CoreLinks(Arc::downgrade(&core)));
        let weak: Weak<dyn crate::caller::LinkEvents> = Arc::downgrade(&events);
        links.listen(weak);
        let uplink = Arc::new(CoreUplink(Arc::downgrade(&core)));
        let board = Switchboard::new(process, clock, self.ask_timeout, links, uplink);
        core.complete(board, events);
        core.view_changed(None, view, silos);
        Ok(Client::new(core))
    }
}

/// A thread that runs the client's tasks, and what ends it.
fn thread() -> Result<(Spawner, oneshot::Sender<()>), ConnectError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(ConnectError::Thread)?;
    let handle = runtime.handle().clone();
    let (stop, stopped) = oneshot::channel::<()>();
    std::thread::Builder::new()
        .name("quark-client".into())
        .spawn(move || {
            runtime.block_on(async {
                // Ended by a word, or by the client's end.
                let _stopped = stopped.await;
            });
        })
        .map_err(ConnectError::Thread)?;
    let spawn: Spawner = Arc::new(move |task| {
        handle.spawn(task);
    });
    Ok((spawn, stop))
}

/// Asks the addresses in turn for the silos of the cluster.
async fn first_view(
    transport: &dyn Transport,
    seeds: &[String],
    timeout: Duration,
    clock: &Clock,
) -> Result<(u64, Vec<SiloAddress>), ConnectError> {
    let end = clock.now() + timeout;
    let mut last = vec![String::from("not reached"); seeds.len()];
    while clock.now() < end {
        for (seed, last) in seeds.iter().zip(&mut last) {
            match clock.timeout_at(end, ask_view(transport, seed)).await {
                Some(Ok(view)) => return Ok(view),
                Some(Err(why)) => *last = why,
                None => *last = "no answer".into(),
            }
        }
        clock.sleep(ROUND_WAIT).await;
    }
    let mut tried = String::new();
    for (seed, why) in seeds.iter().zip(last) {
        write!(tried, "\n  {seed}: {why}").expect("invariant: a string can be written to");
    }
    let seconds = timeout.as_secs();
    Err(ConnectError::NoneAnswered { seconds, tried })
}

/// Asks an address for the silos of the cluster, and the number of the view that it knows them by.
pub(super) async fn ask_view(transport: &dyn Transport, address: &str) -> Result<(u64, Vec<SiloAddress>), String> {
    let no_expectation: Option<SiloId> = None;
    let connection = (transport.connect(address, no_expectation).await).map_err(|error| error.to_string())?;
    let mut receiver = connection.receiver;
    let read = async {
        loop {
            match receiver.recv().await {
                Ok(Some(Frame::View { view, silos })) => return Ok((view, silos)),
                Ok(Some(_)) => {}
                Ok(None) => return Err("it closed the connection (it may be leaving)".to_owned()),
                Err(error) => return Err(error.to_string()),
            }
        }
    };
    let silos = match futures_util::future::select(std::pin::pin!(read), connection.driver).await {
        futures_util::future::Either::Left((silos, _)) => silos,
        futures_util::future::Either::Right(((), read)) => read.await,
    };
    connection.sender.abort();
    silos
}

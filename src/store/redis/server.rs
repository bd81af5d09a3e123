//! The connections to the server, and how a command is sent.

use super::{
    address::Address,
    calls::{Answer, Call, Line},
    failure::Failure,
    keys::Keys,
    together::Together,
};
use crate::{
    clock::Clock,
    store::{SaveOutcome, SaveRequest},
};
use deadpool_redis::{
    Manager, Pool, Runtime, Timeouts,
    redis::{
        Client, Cmd, ErrorKind, FromRedisValue, Pipeline, RedisError, ServerErrorKind,
        aio::{ConnectionManager, ConnectionManagerConfig, PubSub},
        from_redis_value,
    },
};
use parking_lot::Mutex;
use std::{sync::Arc, time::Duration};
use tokio::runtime::Handle;

/// How long making a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);

/// How long a command may wait for its answer; less than the store timeout of membership.
const RESPONSE_TIMEOUT: Duration = Duration::from_millis(1_800);

/// How long a command may take in all, with waiting for a connection.
pub(super) const COMMAND_TIMEOUT: Duration = Duration::from_secs(5);

/// How often a connection is tried again before the commands that wait for it fail.
const CONNECT_RETRIES: usize = 2;

/// The longest pause between two tries.
const MAX_RETRY_DELAY: Duration = Duration::from_millis(200);

/// Commands that wait for their turn on the shared connection.
const COMMANDS_IN_LINE: usize = 1_024;

/// From this size on, in bytes, states go over a connection of the pool: a heartbeat must not wait behind them.
pub(super) const LARGE: usize = 64 << 10;

/// Connections for what is large.
const POOL_SIZE: usize = 4;

/// The connections of one open store.
pub(super) struct Server {
    keys: Keys,
    clock: Clock,
    client: Client,
    shared: Mutex<Shared>,
    pool: Pool,
    line: Arc<Line>,
    saves: Together<SaveRequest, SaveOutcome>,
    runtime: Handle,
}

/// The shared connection, and how often it was given up for a new one.
struct Shared {
    number: u64,
    connection: ConnectionManager,
}

impl Server {
    /// Connects. Must run on the thread that the connections shall live on.
    pub(super) async fn connect(address: &Address, cluster: &str) -> Result<Self, Failure> {
        // Does nothing if the program has chosen another.
        drop(rustls::crypto::ring::default_provider().install_default());
        let client = Client::open(address.info.clone())?;
        let connection = ConnectionManager::new_with_config(client.clone(), config()).await?;
        let timeouts = Timeouts {
            wait: Some(RESPONSE_TIMEOUT),
            create: Some(CONNECT_TIMEOUT),
            recycle: Some(CONNECT_TIMEOUT),
        };
        let pool = Pool::builder(Manager::new(address.info.clone())?)
            .max_size(POOL_SIZE)
            .timeouts(timeouts)
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| Failure::Refused(error.to_string()))?;
        Ok(Self {
            keys: Keys::new(cluster, address.database),
            clock: Clock::system(),
            client,
            shared: Mutex::new(Shared { number: 0, connection }),
            pool,
            line: Arc::default(),
            saves: Together::default(),
            runtime: Handle::current(),
        })
    }

    /// The names of the cluster's keys.
    pub(super) fn keys(&self) -> &Keys {
        &self.keys
    }

    /// The saves that are done together.
    pub(super) fn saves(&self) -> &Together<SaveRequest, SaveOutcome> {
        &self.saves
    }

    /// A new connection that listens.
    pub(super) async fn subscription(&self) -> Result<PubSub, RedisError> {
        self.client.get_async_pubsub().await
    }

    /// Sends a command.
    pub(super) async fn query<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Failure> {
        let (number, mut connection) = self.shared();
        self.in_time(async { self.checked(number, command.query_async(&mut connection).await) })
            .await
    }

    /// Sends commands together.
    pub(super) async fn pipeline<T: FromRedisValue>(&self, commands: &Pipeline) -> Result<T, Failure> {
        let (number, mut connection) = self.shared();
        self.in_time(async { self.checked(number, commands.query_async(&mut connection).await) })
            .await
    }

    /// Sends commands with a large answer together, over the pool.
    pub(super) async fn pipeline_apart<T: FromRedisValue>(&self, commands: &Pipeline) -> Result<T, Failure> {
        self.in_time(async {
            let mut connection = self.pool.get().await?;
            connection.set_response_timeout(RESPONSE_TIMEOUT);
            Ok(commands.query_async(&mut connection).await?)
        })
        .await
    }

    /// Runs a script, loading it if the server does not know it.
    pub(super) async fn script<T: FromRedisValue>(&self, call: &Call) -> Result<T, Failure> {
        let answer = self.in_time(async {
            match self.call(call).await? {
                (_, Err(error)) if is_not_known(&error) => {
                    let (number, mut connection) = self.shared();
                    self.checked(number, call.script().load(&mut connection).await)?;
                    self.call(call).await
                }
                answer => Ok(answer),
            }
        });
        let (number, answer) = answer.await?;
        let value = self.checked(number, answer)?;
        Ok(from_redis_value(value).map_err(RedisError::from)?)
    }

    /// Runs a script once, with others of this moment.
    async fn call(&self, call: &Call) -> Result<Answer, Failure> {
        let (told, is_first) = self.line.add(call.command());
        if is_first {
            let (number, connection) = self.shared();
            self.spawn(self.line.clone().send(number, connection));
        }
        told.await.map_err(|_| Failure::Unknown("the store was closed".into()))
    }

    /// Has the store's thread do what nobody waits for.
    pub(super) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(work);
    }

    /// Runs a script that is given so many bytes of state.
    pub(super) async fn script_with<T: FromRedisValue>(&self, call: &Call, bytes: usize) -> Result<T, Failure> {
        if bytes < LARGE {
            return self.script(call).await;
        }
        self.in_time(async {
            let mut connection = self.pool.get().await?;
            connection.set_response_timeout(RESPONSE_TIMEOUT);
            let command = call.command();
            match command.query_async(&mut *connection).await {
                Err(error) if is_not_known(&error) => {
                    call.script().load(&mut *connection).await?;
                    Ok(command.query_async(&mut *connection).await?)
                }
                answer => Ok(answer?),
            }
        })
        .await
    }

    /// Does something that is given up when it takes too long.
    pub(super) async fn in_time<T>(&self, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        let late = || Err(Failure::Unknown(format!("it took longer than {COMMAND_TIMEOUT:?}")));
        self.clock.timeout(COMMAND_TIMEOUT, work).await.unwrap_or_else(late)
    }

    fn shared(&self) -> (u64, ConnectionManager) {
        let shared = self.shared.lock();
        (shared.number, shared.connection.clone())
    }

    /// The answer of the shared connection of this number, which is given up if it would go on failing like this: the
    /// manager by itself makes a new one only if the old has ended.
    fn checked<T>(&self, number: u64, answer: Result<T, RedisError>) -> Result<T, Failure> {
        let error = match answer {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        if outlives_its_server(&error) {
            let mut shared = self.shared.lock();
            if shared.number == number
                && let Ok(connection) = ConnectionManager::new_lazy_with_config(self.client.clone(), config())
            {
                *shared = Shared {
                    number: number + 1,
                    connection,
                };
            }
        }
        Err(error.into())
    }
}

/// Whether the server does not know the script.
fn is_not_known(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
}

/// Whether a new connection, perhaps to another server at the same address, would fare better: this one leads to a server
/// that is no primary any more, or was not let in.
fn outlives_its_server(error: &RedisError) -> bool {
    match error.kind() {
        ErrorKind::AuthenticationFailed | ErrorKind::InvalidClientConfig | ErrorKind::RESP3NotSupported => true,
        ErrorKind::Server(kind) => matches!(
            kind,
            ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown | ServerErrorKind::BusyLoading
        ),
        ErrorKind::Extension => matches!(error.code(), Some("NOAUTH" | "WRONGPASS")),
        _ => false,
    }
}

fn config() -> ConnectionManagerConfig {
    ConnectionManagerConfig::new()
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        .set_response_timeout(Some(RESPONSE_TIMEOUT))
        .set_number_of_retries(CONNECT_RETRIES)
        .set_max_delay(MAX_RETRY_DELAY)
        .set_pipeline_buffer_size(COMMANDS_IN_LINE)
}

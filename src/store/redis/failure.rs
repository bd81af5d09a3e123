//! Why an operation failed, before the store's name is put to it: what Redis or the client said, and the cure.

use crate::store::StoreError;
use deadpool_redis::{
    PoolError,
    redis::{ErrorKind, RedisError, ServerErrorKind},
};
use std::{error::Error, io, sync::Arc};

/// Why an operation failed.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    /// It was not done.
    Refused(String),
    /// Whether it was done is not known.
    Unknown(String),
    /// A record cannot be understood.
    Corrupt {
        /// Which.
        what: String,
        /// What is wrong with it.
        why: String,
    },
}

impl Failure {
    /// A record that cannot be understood.
    pub(super) fn corrupt(what: impl ToString, why: impl ToString) -> Self {
        Self::Corrupt {
            what: what.to_string(),
            why: why.to_string(),
        }
    }

    /// The error for the caller of the store at `place`.
    pub(super) fn at(self, place: &str) -> StoreError {
        let place = place.to_owned();
        match self {
            Self::Refused(why) => StoreError::Refused { place, why },
            Self::Unknown(why) => StoreError::Unavailable { place, why },
            Self::Corrupt { what, why } => StoreError::Corrupt { place, what, why },
        }
    }

    /// The failure of a batch, if a part of it failed: it is refused only if all of it is.
    pub(super) fn of_parts<T>(parts: Vec<Result<T, Self>>) -> Result<Vec<T>, Self> {
        let asked = parts.len();
        let (mut done, mut worst) = (Vec::new(), None);
        for part in parts {
            match (part, &worst) {
                (Ok(part), _) => done.push(part),
                (Err(failure), None) => worst = Some(failure),
                (Err(failure @ Self::Corrupt { .. }), _) => worst = Some(failure),
                (Err(failure @ Self::Unknown(_)), Some(Self::Refused(_))) => worst = Some(failure),
                (Err(_), _) => {}
            }
        }
        match worst {
            None => Ok(done),
            Some(Self::Refused(why)) if !done.is_empty() => Err(Self::Unknown(format!(
                "{why} ({} of {asked} parts of the batch were done)",
                done.len()
            ))),
            Some(failure) => Err(failure),
        }
    }
}

impl From<RedisError> for Failure {
    fn from(error: RedisError) -> Self {
        use ServerErrorKind as Server;
        let with = |cure: &str| format!("{error}: {cure}");
        match error.kind() {
            ErrorKind::Io if error.is_connection_refusal() => {
                Self::Refused(with("nothing listens there: start Redis, or correct host and port"))
            }
            ErrorKind::Io if error.is_timeout() => Self::Unknown(with(
                "Redis is stopped, overloaded or cut off, or speaks no TLS where rediss:// asks for it",
            )),
            // Not only while the connection is made, so what was under way may have been done.
            ErrorKind::Io if is_tls(&error) => Self::Unknown(with(
                "rediss:// needs a server that speaks TLS, by the name in its certificate, and a system (or an SSL_CERT_FILE) that \
                 trusts it; redis:// is for one that does not",
            )),
            ErrorKind::Io => Self::Unknown(with("the connection was lost or cannot be made; it is made anew")),
            ErrorKind::AuthenticationFailed => Self::Refused(with(
                "put the right user and password into the URL: redis://USER:PASSWORD@HOST",
            )),
            ErrorKind::RESP3NotSupported => Self::Refused(with("Redis 6 or a newer one is needed")),
            ErrorKind::Client | ErrorKind::InvalidClientConfig => Self::Refused(error.to_string()),
            ErrorKind::Server(Server::BusyLoading) => Self::Refused(with("Redis reads its file: wait")),
            ErrorKind::Server(Server::ReadOnly) => Self::Refused(with("it is a replica: name the primary in the URL")),
            ErrorKind::Server(Server::MasterDown | Server::ClusterDown | Server::TryAgain) => {
                Self::Refused(with("wait until it has recovered"))
            }
            ErrorKind::Server(Server::Moved | Server::Ask | Server::CrossSlot) => Self::Refused(with(
                "it is a node of a Redis Cluster that does not have all slots: name a server that has all data",
            )),
            ErrorKind::Server(Server::NoScript) => Self::Refused(with("the scripts were removed again and again")),
            ErrorKind::Server(Server::NoPerm) => Self::Unknown(with(
                "allow the user EVALSHA, SCRIPT LOAD, hashes, sets, PUBLISH and SUBSCRIBE on keys and channels quark:*",
            )),
            ErrorKind::Extension => Self::from_code(&code(&error), &error),
            _ => Self::Unknown(error.to_string()),
        }
    }
}

/// Whether the words of the other side could not be decrypted or trusted.
fn is_tls(error: &RedisError) -> bool {
    let source = error
        .source()
        .and_then(|source| source.downcast_ref::<Arc<dyn Error + Send + Sync>>());
    let io = source.and_then(|source| source.downcast_ref::<io::Error>());
    io.is_some_and(|error| error.kind() == io::ErrorKind::InvalidData)
}

/// Redis's own code; the first, if several commands failed.
fn code(error: &RedisError) -> String {
    let of_first = || {
        let errors = error.clone().into_server_errors()?;
        errors.first().map(|(_, error)| error.code().to_owned())
    };
    error.code().map(str::to_owned).or_else(of_first).unwrap_or_default()
}

impl Failure {
    /// What the client does not know, by Redis's own code.
    fn from_code(code: &str, error: &RedisError) -> Self {
        let with = |cure: &str| format!("{error}: {cure}");
        match code {
            "NOAUTH" | "WRONGPASS" => Self::Refused(with(
                "put the right user and password into the URL: redis://USER:PASSWORD@HOST",
            )),
            // Redis looks before a script's first write, and does not look again in its course.
            "OOM" => Self::Refused(with("raise maxmemory, or give it a larger machine")),
            "MISCONF" => Self::Refused(with("Redis cannot write its disk: its log says why")),
            "NOREPLICAS" => Self::Refused(with("it waits for its replicas, by min-replicas-to-write")),
            "BUSY" => Self::Refused(with("a script runs without end: SCRIPT KILL")),
            "WRONGTYPE" => Self::corrupt("a key", with("another program has written it")),
            _ => Self::Unknown(error.to_string()),
        }
    }
}

impl From<PoolError> for Failure {
    fn from(error: PoolError) -> Self {
        // Nothing is sent before there is a connection.
        let why = match error {
            PoolError::Backend(error) => match Self::from(error) {
                Self::Refused(why) | Self::Unknown(why) => why,
                Self::Corrupt { why, .. } => why,
            },
            other => format!("{other}: no connection for large states was free in time"),
        };
        Self::Refused(why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused() -> Result<u8, Failure> {
        Err(Failure::Refused("not there".into()))
    }

    #[test]
    fn a_batch_is_refused_only_if_all_of_it_is() {
        assert!(matches!(
            Failure::of_parts(vec![refused(), refused()]),
            Err(Failure::Refused(_))
        ));
        let Err(Failure::Unknown(why)) = Failure::of_parts(vec![Ok(1), refused()]) else {
            panic!("a part was done");
        };
        assert!(why.contains("1 of 2 parts"), "{why}");
        let mixed = vec![refused(), Err(Failure::Unknown("late".into())), refused()];
        assert!(matches!(Failure::of_parts(mixed), Err(Failure::Unknown(_))));
        let corrupt = vec![refused(), Err(Failure::corrupt("a", "b")), Ok(2)];
        assert!(matches!(Failure::of_parts(corrupt), Err(Failure::Corrupt { .. })));
        assert!(matches!(Failure::of_parts(vec![Ok(1), Ok(2)]).as_deref(), Ok([1, 2])));
    }

    #[test]
    fn an_error_of_io_leaves_the_outcome_open_unless_nothing_listened() {
        let of = |kind: io::ErrorKind| Failure::from(RedisError::from(io::Error::from(kind)));
        assert!(matches!(of(io::ErrorKind::ConnectionRefused), Failure::Refused(_)));
        for kind in [
            io::ErrorKind::TimedOut,
            io::ErrorKind::BrokenPipe,
            io::ErrorKind::ConnectionReset,
            io::ErrorKind::UnexpectedEof,
        ] {
            assert!(matches!(of(kind), Failure::Unknown(_)), "{kind:?}");
        }
    }
}

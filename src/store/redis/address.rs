//! Where the server is, from the URL.

use deadpool_redis::redis::{
    ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion,
    io::tcp::{TcpSettings, socket2::TcpKeepalive},
};
use std::time::Duration;

/// When a host that has gone without a word counts as gone: the system then ends the connection, and it is made anew.
const SILENT_HOST_TIMEOUT: Duration = Duration::from_secs(5);

/// Where the server is and who asks.
pub(super) struct Address {
    /// For the client.
    pub(super) info: ConnectionInfo,
    /// Without secrets.
    pub(super) shown: String,
    /// The database within the server.
    pub(super) database: i64,
}

impl Address {
    /// The address in a `redis:` or `rediss:` URL; the error says what would be right.
    pub(super) fn parse(url: &str) -> Result<Self, String> {
        if url.contains('?') {
            return Err("it takes no parameters; leave out the question mark and what follows it".into());
        }
        if url.contains('#') {
            return Err("it takes no fragment: the certificates of rediss:// are always checked".into());
        }
        let right = "write redis://HOST:PORT/DATABASE, such as redis://127.0.0.1:6379/0, or rediss:// for TLS";
        // The client's words do not repeat the URL.
        let info = url
            .into_connection_info()
            .map_err(|error| format!("{error}; {right}"))?;
        let (scheme, host, port) = match info.addr() {
            ConnectionAddr::Tcp(host, port) => ("redis", host, port),
            ConnectionAddr::TcpTls { host, port, .. } => ("rediss", host, port),
            _ => return Err(right.into()),
        };
        let database = info.redis_settings().db();
        let host = if host.contains(':') {
            format!("[{host}]")
        } else {
            host.clone()
        };
        let shown = format!("{scheme}://{host}:{port}/{database}");
        // The third version of the protocol tells at once that a connection has ended.
        let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        Ok(Self {
            info: info.set_redis_settings(settings).set_tcp_settings(tcp()),
            shown,
            database,
        })
    }
}

fn tcp() -> TcpSettings {
    let keepalive = TcpKeepalive::new()
        .with_time(SILENT_HOST_TIMEOUT)
        .with_interval(Duration::from_secs(1));
    let settings = TcpSettings::default().set_nodelay(true).set_keepalive(keepalive);
    #[cfg(target_os = "linux")]
    let settings = settings.set_user_timeout(SILENT_HOST_TIMEOUT);
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_in_full_and_without_secrets() {
        for (url, shown) in [
            ("redis://127.0.0.1", "redis://127.0.0.1:6379/0"),
            ("redis://:hunter2@host:7000/3", "redis://host:7000/3"),
            ("rediss://user:hunter2@host", "rediss://host:6379/0"),
            ("redis://[::1]:7000", "redis://[::1]:7000/0"),
        ] {
            let address = Address::parse(url).expect("an address");
            assert_eq!(address.shown, shown);
        }
        assert_eq!(Address::parse("redis://host/3").expect("an address").database, 3);
    }

    #[test]
    fn what_is_no_address_is_refused_with_what_would_be_right() {
        for (url, cure) in [
            ("redis:", "write redis://HOST:PORT"),
            ("redis:host", "write redis://HOST:PORT"),
            ("redis://host/first", "write redis://HOST:PORT"),
            ("redis://host:port", "write redis://HOST:PORT"),
            ("rediss://host#insecure", "always checked"),
            ("redis://host?db=3", "leave out the question mark"),
        ] {
            match Address::parse(url) {
                Err(why) => assert!(why.contains(cure), "{url}: {why}"),
                Ok(address) => panic!("{url} is {}", address.shown),
            }
        }
    }
}

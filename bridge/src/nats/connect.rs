//! Connecting: one connection for each epoch, without the client's own reconnecting.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::{Client, ConnectErrorKind, ConnectOptions, Event};
use tokio::sync::watch;

use crate::engine::{Cause, EpochEnd};

/// Where the servers are, and how to be let in. Files are read anew for every connection, so that credentials and
/// certificates may be replaced while a link runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Servers {
    /// Addresses: `nats://host:4222` or `tls://host:4222`. Tried in any order. They are logged, so that one with a user or a
    /// password in it is refused.
    pub urls: Vec<String>,
    /// A file with credentials: a JWT and a seed, as `nsc` writes it.
    pub creds: Option<PathBuf>,
    /// A file with the seed of an nkey.
    pub nkey_seed: Option<PathBuf>,
    /// A file with a token.
    pub token_file: Option<PathBuf>,
    /// Certificates.
    pub tls: Tls,
    /// The JetStream domain, if it is not the server's own.
    pub domain: Option<String>,
    /// The connection's name in the server's lists.
    pub name: String,
}

/// Certificates for TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// Certificate authorities to trust besides the system's.
    pub ca: Option<PathBuf>,
    /// This client's certificate, and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// TLS begins with the connection, before the server's greeting.
    pub first: bool,
}

/// How long a connection, or a request to the server, may take.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection without an answer to two of these is lost.
const PING_INTERVAL: Duration = Duration::from_secs(10);
/// The oldest server that is supported.
const OLDEST: (i64, i64, i64) = (2, 9, 0);
/// The client would connect anew by itself. Its task sleeps for so long first, and then finds itself dropped.
const NEVER: Duration = Duration::from_secs(10);

/// A connection that is given up when it is lost.
#[derive(Debug)]
pub(crate) struct Connection {
    client: Client,
    lost: watch::Receiver<Option<String>>,
}

impl Connection {
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// JetStream, in the domain that was asked for.
    pub(crate) fn context(&self, servers: &Servers) -> Context {
        let client = self.client.clone();
        let mut context = match &servers.domain {
            Some(domain) => async_nats::jetstream::with_domain(client, domain),
            None => async_nats::jetstream::new(client),
        };
        context.set_timeout(CONNECT_TIMEOUT);
        context
    }

    /// Waits until the connection is lost; returns why. Dropping the future loses nothing.
    pub(crate) async fn lost(&mut self) -> EpochEnd {
        let why = match self.lost.wait_for(Option::is_some).await {
            Ok(why) => why.clone().unwrap_or_default(),
            Err(_) => "the client has ended".into(),
        };
        EpochEnd::lost(Cause::Disconnected, why)
    }
}

/// Connects to one of the servers.
pub(crate) async fn connect(servers: &Servers) -> Result<Connection, EpochEnd> {
    refuse_secrets(&servers.urls)?;
    let (sender, lost) = watch::channel(None);
    let is_connected = Arc::new(AtomicBool::new(false));
    let was_connected = Arc::clone(&is_connected);
    let options = options(servers)?
        .name(&servers.name)
        .connection_timeout(CONNECT_TIMEOUT)
        .ping_interval(PING_INTERVAL)
        .max_reconnects(servers.urls.len().max(1))
        .reconnect_delay_callback(
            move |_| if was_connected.load(Ordering::Relaxed) { NEVER } else { Duration::ZERO },
        )
        .event_callback(move |event| {
            let why = match event {
                Event::Connected | Event::Draining => None,
                Event::Disconnected | Event::Closed => Some("the connection was lost".into()),
                Event::LameDuckMode => Some("the server is shutting down".into()),
                Event::SlowConsumer(_) => Some("acknowledgements came faster than they were read".into()),
                Event::ServerError(error) => Some(format!("the server says: {error}")),
                Event::ClientError(error) => Some(error.to_string()),
            };
            if let Some(why) = why {
                // The first reason is the cause of the others.
                sender.send_if_modified(|lost| {
                    lost.is_none() && {
                        *lost = Some(why);
                        true
                    }
                });
            }
            std::future::ready(())
        });
    let addresses = servers.urls.join(",");
    let client = options.connect(servers.urls.clone()).await.map_err(|error| {
        let text = format!("connecting to {addresses}: {}", with_sources(&error));
        match error.kind() {
            ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => EpochEnd::Misconfigured(format!(
                "{text}. The server does not accept these credentials; it wants a user, token, nkey or credentials file \
                 that its configuration knows"
            )),
            ConnectErrorKind::ServerParse => EpochEnd::Misconfigured(text),
            _ => EpochEnd::lost(Cause::Connect, text),
        }
    })?;
    is_connected.store(true, Ordering::Relaxed);
    let (major, minor, patch) = OLDEST;
    if !client.is_server_compatible(major, minor, patch) {
        let version = client.server_info().version;
        return Err(EpochEnd::Misconfigured(format!(
            "the server at {addresses} has version {version}; {major}.{minor}.{patch} or newer is needed (for production 2.12)"
        )));
    }
    Ok(Connection { client, lost })
}

/// Addresses are in logs and lists of processes, and the client does not use what stands before an `@` in them.
fn refuse_secrets(urls: &[String]) -> Result<(), EpochEnd> {
    match urls.iter().position(|url| url.contains('@')) {
        None => Ok(()),
        Some(at) => Err(EpochEnd::Misconfigured(format!(
            "the address of server {} (of {}) has a user, password or token before an `@`, which others could see: put what \
             lets the bridge in into a file, and name it with --creds, --nkey-seed or --token-file",
            at + 1,
            urls.len()
        ))),
    }
}

/// The error and what caused it, in one line.
pub(crate) fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        // Many errors of the client say what their cause says.
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        source = inner.source();
    }
    text
}

fn options(servers: &Servers) -> Result<ConnectOptions, EpochEnd> {
    let mut options = ConnectOptions::new();
    if let Some(path) = &servers.creds {
        options = options.credentials(&read(path)?).map_err(|error| {
            EpochEnd::Misconfigured(format!("{}: not a file with credentials: {error}", path.display()))
        })?;
    }
    if let Some(path) = &servers.nkey_seed {
        options = options.nkey(read(path)?.trim().to_owned());
    }
    if let Some(path) = &servers.token_file {
        options = options.token(read(path)?.trim().to_owned());
    }
    if let Some(path) = &servers.tls.ca {
        // The client's own error would not name the file.
        read(path)?;
        options = options.add_root_certificates(path.clone());
    }
    if let Some((certificate, key)) = &servers.tls.identity {
        read(certificate)?;
        read(key)?;
        options = options.add_client_certificate(certificate.clone(), key.clone());
    }
    if servers.tls.first {
        options = options.tls_first();
    }
    Ok(options)
}

fn read(path: &Path) -> Result<String, EpochEnd> {
    std::fs::read_to_string(path)
        .map_err(|error| EpochEnd::Misconfigured(format!("{}: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_with_a_password_is_refused_and_not_shown() {
        for url in ["nats://user:secret@127.0.0.1:1", "user:secret@127.0.0.1:1", "nats://secret@127.0.0.1:1"]
        {
            let urls = vec!["nats://127.0.0.1:1".into(), url.into()];
            let refused = connect(&Servers { urls, ..Servers::default() }).await.unwrap_err();
            let EpochEnd::Misconfigured(why) = refused else { panic!("{url}: {refused}") };
            assert!(
                why.contains("--creds") && why.contains("--token-file") && !why.contains("secret"),
                "{why}"
            );
        }
    }
}

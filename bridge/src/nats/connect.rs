//! Connecting: one connection for each epoch, without the client's own reconnecting.

use std::path::PathBuf;
use std::time::Duration;

/// Where the servers are, and how to be let in. Files are read anew for every connection, so that credentials and
/// certificates may be replaced while a link runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Servers {
    /// Addresses: `nats://host:4222` or `tls://host:4222`. Tried in any order.
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

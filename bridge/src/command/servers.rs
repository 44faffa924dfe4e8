//! Where the servers are, on the command line. Secrets are read from files, never from arguments, which others can see.

use std::path::PathBuf;

use ringway_nats::nats::connect::{Servers, Tls};

#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Server")]
pub(crate) struct ServerArguments {
    /// File with credentials: a JWT and a seed, as nsc writes it
    #[arg(long, value_name = "FILE")]
    creds: Option<PathBuf>,
    /// File with the seed of an nkey
    #[arg(long, value_name = "FILE")]
    nkey_seed: Option<PathBuf>,
    /// File with a token
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// File with certificate authorities to trust besides the system's
    #[arg(long, value_name = "FILE")]
    tls_ca: Option<PathBuf>,
    /// File with this client's certificate
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// File with the certificate's key
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Begin with TLS, before the server's greeting
    #[arg(long)]
    tls_first: bool,
    /// JetStream domain, if it is not the server's own
    #[arg(long, value_name = "NAME")]
    domain: Option<String>,
}

impl ServerArguments {
    pub(crate) fn servers(&self, urls: &[String], name: &str) -> Servers {
        Servers {
            urls: urls.to_vec(),
            creds: self.creds.clone(),
            nkey_seed: self.nkey_seed.clone(),
            token_file: self.token_file.clone(),
            tls: Tls {
                ca: self.tls_ca.clone(),
                identity: self.tls_cert.clone().zip(self.tls_key.clone()),
                first: self.tls_first,
            },
            domain: self.domain.clone(),
            name: name.to_owned(),
        }
    }
}

//! A NATS server on this machine, with a port and a folder of its own.

use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::wait_until;

/// The servers that tests run with: Debian's, the oldest that is supported, and a newer one.
pub(crate) fn programs() -> Vec<PathBuf> {
    let target = Path::new(env!("CARGO_BIN_EXE_ringway-bridge")).ancestors().nth(2).expect("target/debug");
    let wanted = [PathBuf::from("/usr/sbin/nats-server"), target.join("nats/bin/nats-server")];
    let missing: Vec<_> = wanted.iter().filter(|program| !program.exists()).collect();
    if !missing.is_empty() {
        let what = format!("not there: {missing:?}. `cargo xtask nats-servers` installs them");
        assert!(std::env::var_os("CI").is_none(), "{what}");
        eprintln!("NOT TESTED with these servers, {what}");
    }
    let there: Vec<_> = wanted.into_iter().filter(|program| program.exists()).collect();
    assert!(!there.is_empty(), "no server to test with: run `cargo xtask nats-servers`");
    there
}

/// The newest one, for tests that do not depend on the version.
pub(crate) fn newest() -> PathBuf {
    programs().pop().expect("there is one")
}

/// A port that nothing listens on.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("it has an address").port()
}

/// A running server. Dropping it kills it, and removes what it stored.
pub(crate) struct Server {
    program: PathBuf,
    arguments: Vec<String>,
    port: u16,
    child: Option<Child>,
    folder: tempfile::TempDir,
}

impl Server {
    /// A server with JetStream.
    pub(crate) fn start(program: &Path) -> Self {
        Self::start_with(program, &["-js"])
    }

    /// A server with these arguments besides its address and folder.
    pub(crate) fn start_with(program: &Path, arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self::start_on(program, arguments, folder, free_port())
    }

    pub(crate) fn start_on(program: &Path, arguments: &[&str], folder: tempfile::TempDir, port: u16) -> Self {
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let mut server = Self { program: program.into(), arguments, port, child: None, folder };
        server.begin();
        server
    }

    /// Starts it again, on the same port and folder.
    pub(crate) fn begin(&mut self) {
        assert!(self.child.is_none(), "it runs");
        let log = std::fs::File::options().append(true).create(true).open(self.folder.path().join("log"));
        let mut command = Command::new(&self.program);
        command.args(["-a", "127.0.0.1", "-p", &self.port.to_string(), "-sd"]).arg(self.folder.path());
        command.args(&self.arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log.expect("a log"));
        self.child = Some(command.spawn().expect("the server starts"));
        wait_until("the server listens", || self.is_greeting());
    }

    /// The same server, started again with other arguments.
    pub(crate) fn with_arguments(mut self, arguments: &[&str]) -> Self {
        self.kill();
        self.arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        self.begin();
        self
    }

    fn is_greeting(&self) -> bool {
        let Ok(stream) = TcpStream::connect(("127.0.0.1", self.port)) else { return false };
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).is_ok() && line.starts_with("INFO")
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("it runs");
        kill(Pid::from_raw(child.id() as i32), signal).expect("it can be signalled");
    }

    /// Kills it at once.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            let lines: Vec<_> = log.lines().rev().take(15).collect();
            eprintln!("the server's last lines:\n{}", lines.into_iter().rev().collect::<Vec<_>>().join("\n"));
        }
    }
}

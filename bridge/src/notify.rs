//! Telling systemd how the process is (`Type=notify`): by datagrams to the socket that `NOTIFY_SOCKET` names.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// The service manager; none if the process was started otherwise.
#[derive(Debug)]
pub struct Manager(Option<UnixDatagram>);

impl Manager {
    /// The one of the environment. A socket that cannot be reached is a warning in the log.
    #[must_use]
    pub fn from_environment() -> Self {
        let Some(name) = std::env::var_os("NOTIFY_SOCKET") else { return Self(None) };
        Self::connect(name.as_bytes()).unwrap_or_else(|error| {
            tracing::warn!("NOTIFY_SOCKET cannot be reached: {error}");
            Self(None)
        })
    }

    fn connect(name: &[u8]) -> std::io::Result<Self> {
        // A name that begins with @ is no file.
        let address = match name.strip_prefix(b"@") {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(name))?,
        };
        let socket = UnixDatagram::unbound()?;
        socket.connect_addr(&address)?;
        socket.set_nonblocking(true)?;
        Ok(Self(Some(socket)))
    }

    /// The links are started.
    pub fn ready(&self) {
        self.send("READY=1");
    }

    /// The process is ending.
    pub fn stopping(&self) {
        self.send("STOPPING=1");
    }

    /// The process still works; to be said more often than every [`watchdog_interval`].
    pub fn alive(&self) {
        self.send("WATCHDOG=1");
    }

    /// One line for `systemctl status`.
    pub fn status(&self, text: &str) {
        self.send(&format!("STATUS={}", text.replace('\n', " ")));
    }

    fn send(&self, what: &str) {
        if let Some(socket) = &self.0
            && let Err(error) = socket.send(what.as_bytes())
        {
            tracing::debug!("telling systemd {what}: {error}");
        }
    }
}

/// How often the manager wants to hear: half of what it allows, as its documentation advises. None if it does not.
#[must_use]
pub fn watchdog_interval() -> Option<Duration> {
    let allowed = std::env::var("WATCHDOG_USEC").ok()?.parse().ok()?;
    let for_us = std::env::var("WATCHDOG_PID").ok().is_none_or(|pid| pid == std::process::id().to_string());
    for_us.then(|| Duration::from_micros(allowed) / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manager_hears() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        let manager = Manager::connect(path.as_os_str().as_bytes()).unwrap();
        manager.ready();
        manager.status("two\nlines");
        let mut buffer = [0; 100];
        let mut heard = || {
            let len = socket.recv(&mut buffer).unwrap();
            String::from_utf8(buffer[..len].to_vec()).unwrap()
        };
        assert_eq!(heard(), "READY=1");
        assert_eq!(heard(), "STATUS=two lines");
        assert!(Manager::connect(b"/nothing/there").is_err());
    }
}

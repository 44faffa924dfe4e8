//! The bridge, as a process.

use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Instant;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::LONG;

/// A running `ringway-bridge`. Dropping it kills it.
pub(crate) struct Bridge {
    child: Child,
    is_over: bool,
}

/// How it ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) said: String,
}

impl Ended {
    #[track_caller]
    pub(crate) fn assert_code(&self, code: i32) {
        assert_eq!(self.status.code(), Some(code), "{}: {}", self.status, self.said);
    }

    #[track_caller]
    pub(crate) fn assert_says(&self, code: i32, words: &str) {
        self.assert_code(code);
        assert!(self.said.contains(words), "\"{words}\" is not in: {}", self.said);
    }
}

impl Bridge {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::start_with(arguments, &[])
    }

    /// With these variables in its environment.
    pub(crate) fn start_with(arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ringway-bridge"));
        command.args(arguments).envs(variables.iter().copied());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        Self { child: command.spawn().expect("the bridge starts"), is_over: false }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).expect("it can be signalled");
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("it is a child").is_none()
    }

    /// Asks it to end, and waits for that.
    pub(crate) fn stop(self) -> Ended {
        self.signal(Signal::SIGTERM);
        self.wait()
    }

    /// Waits until it ends by itself.
    pub(crate) fn wait(mut self) -> Ended {
        let mut stderr = self.child.stderr.take().expect("it is a pipe");
        let reader = std::thread::spawn(move || {
            let mut said = String::new();
            let _ = stderr.read_to_string(&mut said);
            said
        });
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("it is a child") {
                break status;
            }
            if start.elapsed() > LONG {
                let _ = self.child.kill();
                let _ = self.child.wait();
                panic!("the bridge does not end; it said: {}", reader.join().unwrap());
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        };
        self.is_over = true;
        Ended { status, said: reader.join().unwrap() }
    }

    /// Kills it at once.
    pub(crate) fn kill(mut self) {
        let _ = self.child.kill();
        let status = self.child.wait().expect("it is a child");
        assert!(status.signal() == Some(9) || status.code().is_some(), "{status}");
        self.is_over = true;
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        if !self.is_over {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

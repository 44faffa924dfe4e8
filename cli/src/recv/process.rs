//! A command that runs for messages: in a process group of its own, so that signals reach all of a pipeline, and not beyond the
//! life of this process.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, getpid, getppid};

use crate::interrupt;

/// How long a command has to end that was told to.
pub(super) const GRACE: Duration = Duration::from_secs(10);

/// How often a process is asked whether it has ended, where there is no descriptor to wait for.
const STEP: Duration = Duration::from_millis(5);

/// A running process. Ended and waited for when dropped.
pub(super) struct Process {
    child: Child,
    /// None: the kernel has no descriptors of processes (before Linux 5.3).
    descriptor: Option<OwnedFd>,
    status: Option<ExitStatus>,
}

/// A command from a command line.
pub(super) fn command(words: &[OsString]) -> Command {
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
    command
}

impl Process {
    /// Starts the command. If this process is killed, it receives SIGTERM; this is the thread that must stay for that.
    pub(super) fn start(mut command: Command) -> io::Result<Self> {
        let parent = getpid();
        command.process_group(0);
        let prepare = move || {
            set_pdeathsig(Signal::SIGTERM)?;
            // Killed before that: the signal will not come any more.
            if getppid() != parent { Err(Errno::ESRCH.into()) } else { Ok(()) }
        };
        // SAFETY: between fork and exec this makes two system calls, allocates nothing and takes no lock.
        unsafe { command.pre_exec(prepare) };
        let child = command.spawn()?;
        let descriptor = descriptor_of(child.id());
        Ok(Self { child, descriptor, status: None })
    }

    /// Its input and output, if they are pipes and were not asked for before.
    pub(super) fn pipes(&mut self) -> Option<(ChildStdin, ChildStdout)> {
        self.child.stdin.take().zip(self.child.stdout.take())
    }

    /// What becomes readable when it has ended, if the kernel has that.
    pub(super) fn end(&self) -> Option<PollFd<'_>> {
        self.descriptor.as_ref().map(|descriptor| PollFd::new(descriptor.as_fd(), PollFlags::POLLIN))
    }

    /// How it ended, if it has.
    pub(super) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        if self.status.is_none() {
            self.status = self.child.try_wait().context("waiting for a command")?;
        }
        Ok(self.status)
    }

    /// Sends a signal to it and to what it has started.
    pub(super) fn signal(&self, signal: Signal) {
        // Once it has been waited for, its number may be another's.
        if self.status.is_none() {
            // It may have ended just now.
            let _ = killpg(Pid::from_raw(self.child.id() as i32), signal);
        }
    }

    /// Waits for its end, and kills it if that takes too long.
    pub(super) fn wait(&mut self) -> Result<ExitStatus> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            if start.elapsed() > GRACE {
                self.signal(Signal::SIGKILL);
            }
            wait_for_any([&*self].into_iter(), Duration::from_millis(50))?;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.status.is_none() {
            self.signal(Signal::SIGTERM);
            let _ = self.wait();
        }
    }
}

/// Waits until one of them has ended, until a signal comes, or for so long.
pub(super) fn wait_for_any<'a>(processes: impl Iterator<Item = &'a Process>, most: Duration) -> Result<()> {
    let mut most = most.min(interrupt::SLICE);
    let mut polled = Vec::new();
    for process in processes {
        match process.end() {
            Some(end) => polled.push(end),
            None => most = most.min(STEP),
        }
    }
    wait_for(&mut polled, most)
}

/// Polls for no longer than that; a signal ends it too.
pub(super) fn wait_for(polled: &mut [PollFd<'_>], most: Duration) -> Result<()> {
    // Rounded up, so that less than a millisecond is no spinning.
    let timeout = PollTimeout::try_from(most.as_nanos().div_ceil(1_000_000)).unwrap_or(PollTimeout::MAX);
    match poll(polled, timeout) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(error) => Err(error).context("waiting for a command"),
    }
}

fn descriptor_of(pid: u32) -> Option<OwnedFd> {
    // SAFETY: pidfd_open takes two integers and touches no memory of this process.
    let descriptor = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    let descriptor = RawFd::try_from(descriptor).ok().filter(|descriptor| *descriptor >= 0)?;
    // SAFETY: the kernel has just made it for this call, which is the only owner.
    Some(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// Lets reads and writes of it wait for nothing.
pub(super) fn set_nonblocking(descriptor: BorrowedFd<'_>) -> Result<()> {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    let flags = fcntl(descriptor, FcntlArg::F_GETFL).context("preparing a pipe")?;
    let flags = OFlag::from_bits_retain(flags) | OFlag::O_NONBLOCK;
    fcntl(descriptor, FcntlArg::F_SETFL(flags)).context("preparing a pipe")?;
    Ok(())
}

/// `exited with code 3`, `was killed by SIGKILL`.
pub(super) fn how(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exited with code {code}"),
        (_, Some(signal)) => match Signal::try_from(signal) {
            Ok(signal) => format!("was killed by {signal}"),
            Err(_) => format!("was killed by signal {signal}"),
        },
        _ => status.to_string(),
    }
}

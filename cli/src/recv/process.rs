//! A command that runs for messages: in its own process group, so that signals reach all processes
//! of a pipeline. The command does not outlive this process.

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

/// How long a command that was told to end may take.
pub(super) const GRACE: Duration = Duration::from_secs(10);

/// How often a process is polled for its end, where there is no descriptor to wait for.
const STEP: Duration = Duration::from_millis(5);

/// A running process. Dropping it ends the process and waits for that.
pub(super) struct Process {
    child: Child,
    /// `None`: the kernel has no process descriptors (before Linux 5.3).
    descriptor: Option<OwnedFd>,
    status: Option<ExitStatus>,
}

/// Builds a command from a command line.
pub(super) fn command(words: &[OsString]) -> Command {
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
    command
}

impl Process {
    /// Starts the command. If this process is killed, the kernel sends SIGTERM to the command. The
    /// kernel ties that to this thread, which must therefore stay.
    pub(super) fn start(mut command: Command) -> io::Result<Self> {
        let parent = getpid();
        command.process_group(0);
        let prepare = move || {
            set_pdeathsig(Signal::SIGTERM)?;
            // The parent was killed before the call above: the signal will not come.
            if getppid() != parent { Err(Errno::ESRCH.into()) } else { Ok(()) }
        };
        // SAFETY: between fork and exec this makes two system calls, allocates nothing and takes no lock.
        unsafe { command.pre_exec(prepare) };
        let child = command.spawn()?;
        let descriptor = descriptor_of(child.id());
        Ok(Self { child, descriptor, status: None })
    }

    /// The command's input and output, if they are pipes and were not taken before.
    pub(super) fn pipes(&mut self) -> Option<(ChildStdin, ChildStdout)> {
        self.child.stdin.take().zip(self.child.stdout.take())
    }

    /// A descriptor that becomes readable when the process has ended, if the kernel has such
    /// descriptors.
    pub(super) fn end(&self) -> Option<PollFd<'_>> {
        self.descriptor.as_ref().map(|descriptor| PollFd::new(descriptor.as_fd(), PollFlags::POLLIN))
    }

    /// How the process ended, if it has.
    pub(super) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        if self.status.is_none() {
            self.status = self.child.try_wait().context("waiting for a command")?;
        }
        Ok(self.status)
    }

    /// Sends a signal to the process and to what it has started.
    pub(super) fn signal(&self, signal: Signal) {
        // After the wait, the number may belong to another process.
        if self.status.is_none() {
            // The process may have ended just now.
            let _ = killpg(Pid::from_raw(self.child.id() as i32), signal);
        }
    }

    /// Waits until the process has ended, and kills it if that takes too long.
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

/// Waits until one of the processes has ended, until a signal arrives, or until the time is over.
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

/// Polls until the time is over; a signal ends the wait too.
pub(super) fn wait_for(polled: &mut [PollFd<'_>], most: Duration) -> Result<()> {
    // Rounded up, so that a timeout below a millisecond does not become a spin.
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
    // SAFETY: the kernel has just created the descriptor for this call, which is its only owner.
    Some(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// Makes reads and writes of the descriptor non-blocking.
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

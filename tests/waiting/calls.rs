//! The system calls that a process makes, with what the kernel answered.

use nix::libc;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::asleep::until;
use crate::process::{Child, Outcome, ensure};

/// A system call that is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) number: i64,
    pub(crate) arguments: [u64; 6],
    /// Negative: an error number.
    pub(crate) result: i64,
}

impl Call {
    fn is_futex(&self, operation: libc::c_int) -> bool {
        self.number == libc::SYS_futex && self.arguments[1] & 0x7f == operation as u64
    }

    /// Of a wake: how many sleepers were to be woken, and how many were.
    pub(crate) fn wake(&self) -> Option<(u64, i64)> {
        self.is_futex(libc::FUTEX_WAKE).then_some((self.arguments[2], self.result))
    }

    /// Of a sleep: whether it was ended by a wake, or did not begin because of one.
    pub(crate) fn was_notified(&self) -> Option<bool> {
        let is_notified = self.result == 0 || self.result == -i64::from(libc::EAGAIN);
        self.is_futex(libc::FUTEX_WAIT).then_some(is_notified)
    }
}

/// A child that reports which system calls it makes between two [`mark`]s.
pub(crate) struct Watched {
    child: Child,
    entered: Option<(i64, [u64; 6])>,
    marks: usize,
    calls: Vec<Call>,
}

/// In the child: recording begins, or ends.
pub(crate) fn mark() {
    // SAFETY: has no arguments. Nothing else here uses that call.
    unsafe { libc::syscall(libc::SYS_getppid) };
}

impl Watched {
    /// `body` calls [`mark`] twice, and then [`rest`](super::peer::rest)s.
    pub(crate) fn start(body: impl FnOnce() -> Outcome) -> Outcome<Self> {
        let mut child = Child::fork(|| {
            trace(libc::PTRACE_TRACEME, Pid::from_raw(0), 0, std::ptr::null_mut())?;
            nix::sys::signal::raise(Signal::SIGSTOP)?;
            body()
        });
        let status = child.wait()?;
        ensure!(
            matches!(status, WaitStatus::Stopped(_, Signal::SIGSTOP)),
            "the child was to stop, but {status:?}"
        );
        trace(libc::PTRACE_SETOPTIONS, child.pid(), 0, libc::PTRACE_O_TRACESYSGOOD as usize as *mut _)?;
        let watched = Self { child, entered: None, marks: 0, calls: Vec::new() };
        watched.resume(0)?;
        Ok(watched)
    }

    fn resume(&self, signal: i32) -> Outcome {
        trace(libc::PTRACE_SYSCALL, self.child.pid(), 0, signal as usize as *mut _)
    }

    pub(crate) fn pid(&self) -> Pid {
        self.child.pid()
    }

    /// Records what it has done meanwhile. It continues only when this is called.
    pub(crate) fn record(&mut self) -> Outcome {
        loop {
            let flags = WaitPidFlag::WNOHANG | WaitPidFlag::__WALL;
            match waitpid(self.child.pid(), Some(flags))? {
                WaitStatus::StillAlive => return Ok(()),
                WaitStatus::PtraceSyscall(_) => {
                    self.note()?;
                    self.resume(0)?;
                }
                WaitStatus::Stopped(_, signal) => self.resume(signal as i32)?,
                status => return Err(format!("the watched child: {status:?}").into()),
            }
        }
    }

    fn note(&mut self) -> Outcome {
        // SAFETY: all zeros are valid.
        let mut info: libc::ptrace_syscall_info = unsafe { std::mem::zeroed() };
        let size = size_of_val(&info) as *mut libc::c_void;
        // SAFETY: the kernel writes at most `size` bytes to the local variable.
        let result = unsafe {
            libc::ptrace(libc::PTRACE_GET_SYSCALL_INFO, self.child.pid().as_raw(), size, &raw mut info)
        };
        ensure!(result > 0, "ptrace: {}", std::io::Error::last_os_error());
        if info.op == libc::PTRACE_SYSCALL_INFO_ENTRY {
            // SAFETY: the kernel returned the size that it has filled in.
            let entry = unsafe { info.u.entry };
            self.entered = Some((entry.nr as i64, entry.args));
            self.marks += usize::from(entry.nr as i64 == libc::SYS_getppid);
        } else if info.op == libc::PTRACE_SYSCALL_INFO_EXIT {
            // SAFETY: as above.
            let exit = unsafe { info.u.exit };
            if let Some((number, arguments)) = self.entered.take()
                && self.marks == 1
                && number != libc::SYS_getppid
            {
                self.calls.push(Call { number, arguments, result: exit.sval });
            }
        }
        Ok(())
    }

    /// Records until the second mark.
    pub(crate) fn finish(&mut self) -> Outcome<&[Call]> {
        until("the second mark", || {
            self.record()?;
            Ok(self.is_finished())
        })?;
        Ok(&self.calls)
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.marks >= 2
    }

    pub(crate) fn calls(&self) -> &[Call] {
        &self.calls
    }

    pub(crate) fn kill(self) -> Outcome {
        self.child.kill()
    }
}

fn trace(request: libc::c_uint, pid: Pid, address: usize, data: *mut libc::c_void) -> Outcome {
    // SAFETY: the requests used here touch no memory of this process.
    let result = unsafe { libc::ptrace(request, pid.as_raw(), address, data) };
    ensure!(result != -1, "ptrace: {} (is tracing forbidden here?)", std::io::Error::last_os_error());
    Ok(())
}

//! Forked children, and their ends.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nix::libc;
use nix::sys::prctl;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::{ForkResult, Pid, fork, getpid, getppid};

use super::{Outcome, cause, ensure};

static KILLS: AtomicU64 = AtomicU64::new(0);

/// How many children were killed with SIGKILL.
pub(crate) fn kills_so_far() -> u64 {
    KILLS.load(Ordering::Relaxed)
}

/// A forked child; killed and reaped when dropped.
pub(crate) struct Child {
    pid: Pid,
    is_reaped: bool,
}

impl Child {
    /// Runs `body` in a child process. If `body` fails, the child writes why to stderr, and its
    /// exit code is not 0.
    pub(crate) fn fork(body: impl FnOnce() -> Outcome) -> Self {
        let parent = getpid();
        // SAFETY: the tests that use this have one thread, so that the child may do whatever its
        // parent could.
        match unsafe { fork() }.expect("fork") {
            ForkResult::Parent { child } => Self { pid: child, is_reaped: false },
            ForkResult::Child => {
                let code = Self::live(parent, body);
                // SAFETY: ends the child without running its parent's exit handlers or flushing its buffers.
                unsafe { libc::_exit(code) }
            }
        }
    }

    fn live(parent: Pid, body: impl FnOnce() -> Outcome) -> i32 {
        // A child that outlived its test would hold the test's roles, files and pipes.
        let tied = prctl::set_pdeathsig(Signal::SIGKILL);
        if tied.is_err() || getppid() != parent {
            return 103;
        }
        match catch_unwind(AssertUnwindSafe(body)) {
            Ok(Ok(())) => 0,
            Ok(Err(error)) => {
                eprintln!("child {}: {error}", getpid());
                cause::publish(&error.to_string());
                101
            }
            Err(panic) => {
                cause::publish(&format!("it panicked: {}", cause::text_of(&*panic)));
                102
            }
        }
    }

    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    pub(crate) fn signal(&self, signal: Signal) -> Outcome {
        Ok(kill(self.pid, signal)?)
    }

    /// SIGKILL, without waiting for the end.
    pub(crate) fn strike(&self) -> Outcome {
        self.signal(Signal::SIGKILL)
    }

    /// Whether it is dead, but not reaped yet.
    pub(crate) fn has_ended(&self) -> Outcome<bool> {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        Ok(waitid(Id::Pid(self.pid), flags)? != WaitStatus::StillAlive)
    }

    /// Waits for a stop or the end.
    pub(crate) fn wait(&mut self) -> Outcome<WaitStatus> {
        let status = waitpid(self.pid, Some(WaitPidFlag::WUNTRACED))?;
        self.is_reaped = matches!(status, WaitStatus::Exited(..) | WaitStatus::Signaled(..));
        Ok(status)
    }

    /// Waits for a stop or the end, or until `is_over` says that neither will come.
    #[allow(dead_code, reason = "for tests that trace")]
    pub(crate) fn wait_unless(&mut self, is_over: impl Fn() -> bool) -> Outcome<Option<WaitStatus>> {
        loop {
            // Asked first: a child that stops after that is found by the next call.
            let over = is_over();
            match waitpid(self.pid, Some(WaitPidFlag::WUNTRACED | WaitPidFlag::WNOHANG))? {
                WaitStatus::StillAlive if over => return Ok(None),
                WaitStatus::StillAlive => std::thread::yield_now(),
                status => {
                    self.is_reaped = matches!(status, WaitStatus::Exited(..) | WaitStatus::Signaled(..));
                    return Ok(Some(status));
                }
            }
        }
    }

    /// Waits for the end of a child that was or will be killed. One that ended by itself is an error.
    pub(crate) fn reap(mut self) -> Outcome {
        let status = self.wait()?;
        ensure!(
            matches!(status, WaitStatus::Signaled(_, Signal::SIGKILL, _)),
            "the child was to be killed, but {status:?}"
        );
        KILLS.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Waits for the end of a child that may have been killed (true) or have come to its end (false).
    pub(crate) fn collect(mut self) -> Outcome<bool> {
        loop {
            match self.wait()? {
                WaitStatus::Exited(_, 0) => return Ok(false),
                WaitStatus::Signaled(_, Signal::SIGKILL, _) => {
                    KILLS.fetch_add(1, Ordering::Relaxed);
                    return Ok(true);
                }
                WaitStatus::Stopped(..) => {}
                status => return Err(format!("the child failed: {status:?}").into()),
            }
        }
    }

    /// SIGKILL, and waits for the end. A child that had ended by itself before is an error.
    pub(crate) fn kill(self) -> Outcome {
        self.strike()?;
        self.reap()
    }

    /// Waits until the child is done; any failure in it is an error.
    pub(crate) fn join(mut self) -> Outcome {
        let status = self.wait()?;
        ensure!(matches!(status, WaitStatus::Exited(_, 0)), "the child failed: {status:?}");
        Ok(())
    }

    /// As `join`, but a child that needs longer than `time` is an error.
    pub(crate) fn join_within(mut self, time: Duration) -> Outcome {
        let deadline = Instant::now() + time;
        loop {
            match waitpid(self.pid, Some(WaitPidFlag::WNOHANG))? {
                WaitStatus::StillAlive => std::thread::yield_now(),
                status => {
                    self.is_reaped = true;
                    ensure!(matches!(status, WaitStatus::Exited(_, 0)), "the child failed: {status:?}");
                    return Ok(());
                }
            }
            ensure!(Instant::now() < deadline, "the child is not done after {time:?}");
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !self.is_reaped {
            // Only after a failure elsewhere, which has been reported by then.
            let _ = kill(self.pid, Signal::SIGKILL);
            let _ = waitpid(self.pid, None);
        }
    }
}

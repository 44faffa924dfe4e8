//! How children are killed: by their parent, from another processor, or by a timer of their own.

use std::time::{Duration, Instant};

use nix::libc;

use super::{Child, Outcome, Random, ensure, progress};

/// How a child is going to be killed. It is SIGKILL in any case, and comes from the kernel between
/// two instructions.
#[derive(Clone, Copy, Debug)]
pub(crate) enum End {
    /// Its parent kills it this long after the child became ready.
    After(Duration),
    /// Its parent kills it after the parent has itself done this number of operations since the
    /// child became ready.
    Steps(u64),
    /// The child sets a timer when it is ready, whose signal is SIGKILL. So the signal hits what
    /// the child is doing, and not what it waits for, even if both share a processor. `alone`: the
    /// parent does nothing meanwhile.
    Timer { after: Duration, alone: bool },
}

impl End {
    /// An end within about this time.
    pub(crate) fn random(random: &mut Random, spread: Duration) -> Self {
        let part = |random: &mut Random| Duration::from_nanos(random.below(spread.as_nanos() as u64));
        match random.below(8) {
            0 => Self::After(part(random)),
            1 => Self::Steps(random.below(200)),
            // The shorter the time, the fewer messages; a full queue is reached soon enough.
            2..=3 => Self::Timer { after: part(random), alone: false },
            4..=5 => Self::Timer { after: part(random) / 10, alone: false },
            6 => Self::Timer { after: part(random), alone: true },
            _ => Self::Timer { after: part(random) / 10, alone: true },
        }
    }

    /// In the child: from now on it may end at any instruction.
    pub(crate) fn arm(self) {
        if let Self::Timer { after, .. } = self {
            kill_me_in(after.max(Duration::from_nanos(1)));
        }
    }

    /// In the parent: works until the child is dead. `work` returns whether there was something to
    /// do.
    pub(crate) fn carry_out(
        self,
        child: Child,
        is_ready: impl Fn() -> bool,
        mut work: impl FnMut() -> Outcome<bool>,
    ) -> Outcome {
        progress();
        let mut work = |count: &mut u64| -> Outcome {
            *count += 1;
            if !work()? {
                std::thread::yield_now();
            }
            Ok(())
        };
        let mut steps = 0_u64;
        if let Self::Timer { alone, .. } = self {
            while !alone && (!steps.is_multiple_of(16) || !child.has_ended()?) {
                work(&mut steps)?;
            }
            return child.reap();
        }
        let deadline = Instant::now() + Duration::from_secs(10);
        while !is_ready() {
            work(&mut steps)?;
            ensure!(Instant::now() < deadline, "the child did not get ready within ten seconds");
        }
        let start = Instant::now();
        steps = 0;
        match self {
            Self::After(time) => {
                while start.elapsed() < time {
                    work(&mut steps)?;
                }
            }
            Self::Steps(count) => {
                while steps < count {
                    work(&mut steps)?;
                }
            }
            Self::Timer { .. } => unreachable!("handled above"),
        }
        child.kill()
    }
}

/// Sets a timer whose signal is SIGKILL.
fn kill_me_in(time: Duration) {
    // SAFETY: all zeros is a valid sigevent.
    let mut event: libc::sigevent = unsafe { std::mem::zeroed() };
    event.sigev_notify = libc::SIGEV_SIGNAL;
    event.sigev_signo = libc::SIGKILL;
    let mut timer = std::ptr::null_mut();
    // SAFETY: both pointers are to local variables.
    let made = unsafe { libc::timer_create(libc::CLOCK_MONOTONIC, &mut event, &mut timer) };
    assert_eq!(made, 0, "timer_create: {}", std::io::Error::last_os_error());
    let zero = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    let once = libc::timespec { tv_sec: time.as_secs() as i64, tv_nsec: time.subsec_nanos().into() };
    let setting = libc::itimerspec { it_interval: zero, it_value: once };
    // SAFETY: the timer was made above, and the setting is a local variable.
    let set = unsafe { libc::timer_settime(timer, 0, &setting, std::ptr::null_mut()) };
    assert_eq!(set, 0, "timer_settime: {}", std::io::Error::last_os_error());
}

//! Which tasks sleep where, as the kernel reports it, and what the queue's file contains about
//! that.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use nix::libc;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

use crate::process::{Outcome, TestDir, ensure, progress};
use crate::tracer::stay_on_one_processor;

/// Anything that is waited for arrives far sooner.
pub(crate) const HANGS: Duration = Duration::from_secs(20);

/// Polls until the condition holds.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> Outcome<bool>) -> Outcome {
    progress();
    let start = Instant::now();
    while !is_so()? {
        ensure!(start.elapsed() < HANGS, "{what}: not within {HANGS:?}");
        std::thread::sleep(Duration::from_micros(50));
    }
    Ok(())
}

/// How a task sleeps on a futex for a limited time: the operation with its flags, and the value
/// that the word is expected to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sleep {
    pub(crate) operation: u64,
    pub(crate) expected: u32,
}

/// `Some` if the task is in such a call, and neither runs nor is about to.
fn sleep_of(process: Pid, task: &str) -> Outcome<Option<Sleep>> {
    let path = format!("/proc/{process}/task/{task}/syscall");
    // "running", or the number of the call and its arguments; nothing if it is dying.
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let mut words = text.split_whitespace();
    if words.next().and_then(|number| number.parse().ok()) != Some(libc::SYS_futex) {
        return Ok(None);
    }
    let arguments = words
        .map(|word| u64::from_str_radix(word.trim_start_matches("0x"), 16))
        .collect::<Result<Vec<_>, _>>()?;
    ensure!(arguments.len() > 4, "what is {text:?}?");
    let [_, operation, expected, timeout] = arguments[..4] else { unreachable!("more than four") };
    // Threads that are joined are waited for without a limit, or by another operation.
    let is_ours = operation & 0x7f == libc::FUTEX_WAIT as u64 && timeout != 0;
    Ok(is_ours.then_some(Sleep { operation, expected: expected as u32 }))
}

/// The tasks of a process that sleep on a futex for a limited time.
pub(crate) fn sleeps(process: Pid) -> Outcome<Vec<Sleep>> {
    let mut found = Vec::new();
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{process}/task")) else { return Ok(found) };
    for task in tasks {
        let name = task?.file_name();
        found.extend(sleep_of(process, &name.to_string_lossy())?);
    }
    Ok(found)
}

pub(crate) fn is_asleep(process: Pid) -> Outcome<bool> {
    Ok(!sleeps(process)?.is_empty())
}

/// A queue's eventcounts, in its file. The offsets are the format.
pub(crate) struct EventCounts(File);

const MESSAGES: u64 = 0x680;
const ROOM: u64 = 0x700;
const NEED_FENCE: u64 = 2;

impl EventCounts {
    pub(crate) fn of(place: &TestDir) -> Outcome<Self> {
        Ok(Self(File::open(place.path())?))
    }

    fn word(&self, at: u64) -> Outcome<u64> {
        let mut bytes = [0; 8];
        self.0.read_exact_at(&mut bytes, at)?;
        Ok(u64::from_ne_bytes(bytes))
    }

    /// How many times consumers were about to sleep.
    pub(crate) fn consumers_armed(&self) -> Outcome<u64> {
        Ok(self.word(MESSAGES)? >> 8)
    }

    /// How many times producers were.
    pub(crate) fn producers_armed(&self) -> Outcome<u64> {
        Ok(self.word(ROOM)? >> 8)
    }

    /// Whether wakers must fence, on both sides.
    pub(crate) fn need_fence(&self) -> Outcome<[bool; 2]> {
        Ok([self.word(MESSAGES)? & NEED_FENCE != 0, self.word(ROOM)? & NEED_FENCE != 0])
    }
}

/// While this lives, this process and the children that it forks share one processor.
pub(crate) struct OneProcessor(CpuSet);

impl OneProcessor {
    pub(crate) fn take() -> Outcome<Self> {
        let before = sched_getaffinity(Pid::from_raw(0))?;
        stay_on_one_processor();
        Ok(Self(before))
    }
}

impl Drop for OneProcessor {
    fn drop(&mut self) {
        sched_setaffinity(Pid::from_raw(0), &self.0).expect("the processors of before");
    }
}

//! Runs an operation in a child, and makes one of its system calls fail.

use std::sync::atomic::Ordering;

use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::Signal;
use nix::sys::wait::WaitStatus;
use nix::unistd::Pid;

use super::registers::{fail, number, skip, trace};
use crate::process::{Child, Outcome, TestDir, Words, ensure, in_parallel, progress};

/// What each call fails with, in turn.
const ERRORS: [Errno; 6] =
    [Errno::ENOSPC, Errno::EIO, Errno::EMFILE, Errno::ENOMEM, Errno::EINTR, Errno::EACCES];

/// These never fail.
const INFALLIBLE: [i64; 8] = [
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_gettid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_sched_yield,
];

/// These calls take effect, whatever result they return.
const DONE_ALL_THE_SAME: [i64; 2] = [libc::SYS_close, libc::SYS_munmap];

/// How many failures are tried at the same time.
const PARTS: usize = 4;

const BEGUN: usize = 0;
const DONE: usize = 1;

/// The channel between a child and its tracer.
pub(crate) struct Gate(Words);

impl Gate {
    fn new() -> Self {
        Self(Words::new(2))
    }

    /// In the child: runs the operation that is to fail.
    pub(crate) fn around<R>(&self, operation: impl FnOnce() -> R) -> Outcome<R> {
        // The allocator requests memory from the kernel now, if it has to; its failures are not
        // this library's.
        drop(std::hint::black_box(vec![1_u8; 100_000]));
        trace(libc::PTRACE_TRACEME, Pid::from_raw(0), 0)?;
        nix::sys::signal::raise(Signal::SIGSTOP)?;
        self.0[BEGUN].store(1, Ordering::SeqCst);
        let result = operation();
        self.0[DONE].store(1, Ordering::SeqCst);
        // Any call: there the tracer detaches.
        nix::unistd::getppid();
        Ok(result)
    }

    fn is_open(&self) -> bool {
        self.0[BEGUN].load(Ordering::SeqCst) != 0 && !self.is_done()
    }

    fn is_done(&self) -> bool {
        self.0[DONE].load(Ordering::SeqCst) != 0
    }
}

/// One operation: what a child does in a fresh place, and what its parent finds then.
#[derive(Clone, Copy)]
pub(crate) struct Operation {
    pub(crate) name: &'static str,
    pub(crate) prepare: fn(&TestDir) -> Outcome,
    /// In the child; it calls [`Gate::around`] once.
    pub(crate) body: fn(&TestDir, &Gate) -> Outcome,
    pub(crate) check: fn(&TestDir) -> Outcome,
    /// A call that is made to fail each time, so that the operation has to find another way.
    pub(crate) without: Option<(i64, Errno)>,
}

/// Makes each call of the operation fail with each error.
pub(crate) fn each_call_fails(operation: Operation) -> Outcome {
    let calls =
        run(operation, None).map_err(|error| format!("{}, without any failure: {error}", operation.name))?;
    ensure!(!calls.is_empty(), "{} makes no system call", operation.name);
    let indexes = || calls.iter().enumerate().filter(|(_, call)| !INFALLIBLE.contains(call));
    // Most of the time is spent asleep, or in the kernel.
    in_parallel(PARTS, |part| {
        for (index, call) in indexes().filter(|(index, _)| index % PARTS == part) {
            for error in ERRORS {
                progress();
                run(operation, Some((index, error))).map_err(|problem| {
                    let name = operation.name;
                    format!(
                        "{name}, call {} of {} (number {call}), {error:?}: {problem}",
                        index + 1,
                        calls.len()
                    )
                })?;
            }
        }
        Ok(())
    })?;
    let failures = indexes().count() * ERRORS.len();
    println!("     {}: {} system calls, {failures} failures", operation.name, calls.len());
    Ok(())
}

/// Makes the calls fail, each time, that the operation must do without, and no others.
pub(crate) fn always_fails(operation: Operation) -> Outcome {
    progress();
    let (call, error) = operation.without.ok_or("no call is named")?;
    let failed = run(operation, None).map(drop);
    failed.map_err(|problem| format!("{}, calls {call}, {error:?}: {problem}", operation.name).into())
}

/// Runs it once; returns the numbers of its calls.
fn run(operation: Operation, failure: Option<(usize, Errno)>) -> Outcome<Vec<i64>> {
    let place = TestDir::new()?;
    (operation.prepare)(&place)?;
    let gate = Gate::new();
    let mut child = Child::fork(|| (operation.body)(&place, &gate));
    let calls = follow(&mut child, &gate, operation.without, failure)?;
    child.join()?;
    (operation.check)(&place)?;
    Ok(calls)
}

/// Steps the child through its operation, and detaches.
fn follow(
    child: &mut Child,
    gate: &Gate,
    without: Option<(i64, Errno)>,
    failure: Option<(usize, Errno)>,
) -> Outcome<Vec<i64>> {
    let pid = child.pid();
    let status = child.wait()?;
    ensure!(matches!(status, WaitStatus::Stopped(_, Signal::SIGSTOP)), "before the operation: {status:?}");
    trace(libc::PTRACE_SETOPTIONS, pid, libc::PTRACE_O_TRACESYSGOOD as usize)?;
    let mut calls = Vec::new();
    loop {
        next_stop(child)?;
        if gate.is_done() {
            return trace(libc::PTRACE_DETACH, pid, 0).map(|()| calls);
        }
        let call = number(pid)?;
        let mut error = None;
        if gate.is_open() {
            let injected = failure.filter(|(index, _)| *index == calls.len() && !INFALLIBLE.contains(&call));
            error = injected.or(without.filter(|(other, _)| *other == call).map(|(_, error)| (0, error)));
            calls.push(call);
        }
        if error.is_some() && !DONE_ALL_THE_SAME.contains(&call) {
            skip(pid)?;
        }
        next_stop(child)?;
        if let Some((_, error)) = error {
            fail(pid, error as i32)?;
        }
    }
}

/// The next beginning or end of a system call.
fn next_stop(child: &mut Child) -> Outcome {
    let mut signal = 0;
    loop {
        trace(libc::PTRACE_SYSCALL, child.pid(), signal as usize)?;
        match child.wait()? {
            WaitStatus::PtraceSyscall(_) => return Ok(()),
            // The whole test was stopped or continued from outside.
            WaitStatus::Stopped(_, Signal::SIGSTOP | Signal::SIGCONT) => signal = 0,
            WaitStatus::Stopped(_, other) => signal = other as i32,
            status => return Err(format!("in the middle of the operation: {status:?}").into()),
        }
    }
}

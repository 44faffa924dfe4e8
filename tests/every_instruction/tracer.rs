//! Steps a child through an operation, one instruction at a time.
//!
//! On aarch64 without LSE, a read-modify-write is a loop of two instructions that no stepped
//! process ever leaves; the limit on steps turns that into an error.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::libc;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::signal::Signal;
use nix::sys::wait::WaitStatus;
use nix::unistd::Pid;

use crate::process::{Child, Outcome, Words, ensure};

const BEGUN: usize = 0;
const DONE: usize = 1;

/// The maximum number of instructions of an operation.
const LIMIT: u64 = 5_000_000;

/// Tracer and tracee take turns; on one processor neither has to wake the other on another
/// processor.
pub(crate) fn stay_on_one_processor() {
    stay_on_processor(0);
}

/// This process and its children stay on one processor from now on: another one for each index, if
/// there are enough.
pub(crate) fn stay_on_processor(index: usize) {
    /// Those of this process before it chose one.
    static ALLOWED: OnceLock<Vec<usize>> = OnceLock::new();

    let this = Pid::from_raw(0);
    let allowed = ALLOWED.get_or_init(|| {
        let allowed = sched_getaffinity(this).expect("the processors of this process");
        (0..CpuSet::count()).rev().filter(|cpu| allowed.is_set(*cpu).unwrap_or(false)).collect()
    });
    let mut one = CpuSet::new();
    one.set(allowed[index % allowed.len()]).expect("a processor's number");
    sched_setaffinity(this, &one).expect("choosing a processor");
}

/// Yields the processor for a moment, once in a while.
///
/// Tracer and tracee wake each other all the time, and schedulers were seen (Linux 6.18) to let
/// nothing else run on that processor for minutes then, not even the kernel's own threads.
/// Meanwhile every process that waited for what those free was blocked, such as a parent of a
/// process that had ended. Nothing here relies on the length of this pause.
fn let_others_run() {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    if CALLS.fetch_add(1, Ordering::Relaxed).is_multiple_of(16) {
        std::thread::sleep(Duration::from_micros(50));
    }
}

/// Where the child reports that the operation begins, and that it has ended.
pub(crate) struct Gate(Words);

impl Gate {
    pub(crate) fn new() -> Self {
        Self(Words::new(2))
    }

    fn close(&self) {
        self.0[BEGUN].store(0, Ordering::SeqCst);
        self.0[DONE].store(0, Ordering::SeqCst);
    }

    /// In the child, before the operation: stops for the tracer.
    pub(crate) fn enter(&self) -> Outcome {
        trace(libc::PTRACE_TRACEME, Pid::from_raw(0), 0)?;
        nix::sys::signal::raise(Signal::SIGSTOP)?;
        self.0[BEGUN].store(1, Ordering::SeqCst);
        Ok(())
    }

    /// In the child, after the operation. The tracer kills it here.
    pub(crate) fn leave(&self) -> ! {
        self.0[DONE].store(1, Ordering::SeqCst);
        loop {
            std::hint::spin_loop();
        }
    }

    fn has_begun(&self) -> bool {
        self.0[BEGUN].load(Ordering::SeqCst) != 0
    }

    fn is_done(&self) -> bool {
        self.0[DONE].load(Ordering::SeqCst) != 0
    }
}

/// A child that is stopped before some instruction of the operation.
pub(crate) struct Traced<'g> {
    child: Child,
    gate: &'g Gate,
}

impl<'g> Traced<'g> {
    /// Forks a child that runs `body`, and steps it to the first instruction after [`Gate::enter`].
    pub(crate) fn start(gate: &'g Gate, body: impl FnOnce(&Gate) -> Outcome) -> Outcome<Self> {
        let_others_run();
        gate.close();
        let mut child = Child::fork(|| body(gate));
        let status = child.wait()?;
        ensure!(
            matches!(status, WaitStatus::Stopped(_, Signal::SIGSTOP)),
            "the child was to stop before the operation, but {status:?}"
        );
        let mut traced = Self { child, gate };
        for _ in 0..LIMIT {
            if gate.has_begun() {
                return Ok(traced);
            }
            traced.step_once()?;
        }
        Err("the operation never began".into())
    }

    /// Executes one instruction; false if the operation is complete.
    pub(crate) fn step(&mut self) -> Outcome<bool> {
        self.step_once()?;
        Ok(!self.gate.is_done())
    }

    fn step_once(&mut self) -> Outcome {
        loop {
            trace(libc::PTRACE_SINGLESTEP, self.child.pid(), 0)?;
            match self.child.wait()? {
                WaitStatus::Stopped(_, Signal::SIGTRAP) => return Ok(()),
                // The whole test was stopped or continued from outside; the instruction is yet to
                // be executed.
                WaitStatus::Stopped(_, Signal::SIGSTOP | Signal::SIGCONT) => {}
                status => {
                    return Err(format!("the child was to execute one instruction, but {status:?}").into());
                }
            }
        }
    }

    /// Runs the child until it has returned from this many system calls, at full speed; false if the
    /// operation is complete before.
    pub(crate) fn pass_system_calls(&mut self, count: u64) -> Outcome<bool> {
        // Each stops the child before it and after it.
        let mut left = 2 * count;
        while left > 0 {
            trace(libc::PTRACE_SYSCALL, self.child.pid(), 0)?;
            match self.child.wait_unless(|| self.gate.is_done())? {
                Some(WaitStatus::Stopped(_, Signal::SIGTRAP)) => left -= 1,
                Some(WaitStatus::Stopped(_, Signal::SIGSTOP | Signal::SIGCONT)) => {}
                Some(status) => {
                    return Err(format!("the child was to make a system call, but {status:?}").into());
                }
                None => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Whether the next instruction enters the kernel.
    pub(crate) fn is_at_system_call(&self) -> Outcome<bool> {
        let address = program_counter(self.child.pid())?;
        let aligned = address & !7;
        // The instruction's first bytes may lie in two words.
        let words = [peek(self.child.pid(), aligned)?, peek(self.child.pid(), aligned + 8)?];
        let bytes = (u128::from(words[1]) << 64 | u128::from(words[0])) >> ((address - aligned) * 8);
        Ok(is_system_call(bytes as u32))
    }

    /// The number of the system call that the next instruction makes, if it makes one.
    pub(crate) fn next_system_call(&self) -> Outcome<Option<libc::c_long>> {
        if !self.is_at_system_call()? {
            return Ok(None);
        }
        let registers = registers(self.child.pid())?;
        #[cfg(target_arch = "x86_64")]
        let number = registers.rax;
        #[cfg(target_arch = "aarch64")]
        let number = registers.regs[8];
        Ok(Some(number as libc::c_long))
    }

    /// Delivers a signal before the next instruction, and lets it run.
    pub(crate) fn signal(&mut self, signal: Signal) -> Outcome {
        nix::sys::signal::kill(self.child.pid(), signal)?;
        trace(libc::PTRACE_CONT, self.child.pid(), 0)?;
        let status = self.child.wait()?;
        let is_delivered = matches!(status, WaitStatus::Stopped(_, found) if found == signal);
        ensure!(is_delivered, "the child was to get the signal, but {status:?}");
        trace(libc::PTRACE_CONT, self.child.pid(), signal as usize)
    }

    /// Waits until the operation of a child that runs is complete.
    pub(crate) fn wait_until_done(&mut self) -> Outcome {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !self.gate.is_done() {
            ensure!(Instant::now() < deadline, "the operation is not complete after ten seconds");
            ensure!(!self.child.has_ended()?, "the child has ended");
            std::thread::yield_now();
        }
        Ok(())
    }

    /// Lets it run until the operation is complete.
    pub(crate) fn finish(&mut self) -> Outcome {
        trace(libc::PTRACE_CONT, self.child.pid(), 0)?;
        self.wait_until_done()
    }

    /// SIGKILL, here.
    pub(crate) fn kill(self) -> Outcome {
        self.child.kill()
    }
}

#[cfg(target_arch = "x86_64")]
fn is_system_call(instruction: u32) -> bool {
    instruction & 0xffff == 0x050f
}

#[cfg(target_arch = "aarch64")]
fn is_system_call(instruction: u32) -> bool {
    instruction & 0xffe0_001f == 0xd400_0001
}

fn trace(request: libc::c_uint, pid: Pid, data: usize) -> Outcome {
    // SAFETY: the requests used here touch no memory of this process, unless `data` points to a
    // local variable.
    let result = unsafe { libc::ptrace(request, pid.as_raw(), std::ptr::null_mut::<u8>(), data) };
    ensure!(result != -1, "ptrace: {} (is tracing forbidden here?)", std::io::Error::last_os_error());
    Ok(())
}

fn peek(pid: Pid, address: u64) -> Outcome<u64> {
    nix::errno::Errno::clear();
    // SAFETY: reads a word of the child; `address` is not one of this process.
    let word = unsafe { libc::ptrace(libc::PTRACE_PEEKTEXT, pid.as_raw(), address, 0) };
    ensure!(word != -1 || nix::errno::Errno::last_raw() == 0, "ptrace: {}", std::io::Error::last_os_error());
    Ok(word as u64)
}

fn program_counter(pid: Pid) -> Outcome<u64> {
    let registers = registers(pid)?;
    #[cfg(target_arch = "x86_64")]
    let address = registers.rip;
    #[cfg(target_arch = "aarch64")]
    let address = registers.pc;
    Ok(address)
}

fn registers(pid: Pid) -> Outcome<libc::user_regs_struct> {
    // SAFETY: all zeros are valid registers.
    let mut registers: libc::user_regs_struct = unsafe { std::mem::zeroed() };
    let mut place =
        libc::iovec { iov_base: (&raw mut registers).cast(), iov_len: size_of::<libc::user_regs_struct>() };
    const NT_PRSTATUS: usize = 1;
    // SAFETY: the kernel writes at most `iov_len` bytes to the local variable.
    let result = unsafe { libc::ptrace(libc::PTRACE_GETREGSET, pid.as_raw(), NT_PRSTATUS, &raw mut place) };
    ensure!(result != -1, "ptrace: {}", std::io::Error::last_os_error());
    Ok(registers)
}

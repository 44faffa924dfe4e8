//! The system call that a traced process is about to make, or has made.

use nix::libc;
use nix::unistd::Pid;

use crate::process::{Outcome, ensure};

const NT_PRSTATUS: usize = 1;

pub(crate) fn trace(request: libc::c_uint, pid: Pid, data: usize) -> Outcome {
    // SAFETY: the requests used here touch no memory of this process.
    let result = unsafe { libc::ptrace(request, pid.as_raw(), std::ptr::null_mut::<u8>(), data) };
    ensure!(result != -1, "ptrace: {} (is tracing forbidden here?)", std::io::Error::last_os_error());
    Ok(())
}

fn transfer<R>(request: libc::c_uint, pid: Pid, set: usize, registers: &mut R) -> Outcome {
    let mut place = libc::iovec { iov_base: std::ptr::from_mut(registers).cast(), iov_len: size_of::<R>() };
    // SAFETY: the kernel reads or writes at most `iov_len` bytes of `registers`.
    let result = unsafe { libc::ptrace(request, pid.as_raw(), set, &raw mut place) };
    ensure!(result != -1, "ptrace: {}", std::io::Error::last_os_error());
    Ok(())
}

fn registers(pid: Pid) -> Outcome<libc::user_regs_struct> {
    // SAFETY: all zeros are valid registers.
    let mut registers: libc::user_regs_struct = unsafe { std::mem::zeroed() };
    transfer(libc::PTRACE_GETREGSET, pid, NT_PRSTATUS, &mut registers)?;
    Ok(registers)
}

/// The number of the call that the process is about to make.
pub(crate) fn number(pid: Pid) -> Outcome<i64> {
    let registers = registers(pid)?;
    #[cfg(target_arch = "x86_64")]
    return Ok(registers.orig_rax as i64);
    #[cfg(target_arch = "aarch64")]
    return Ok(registers.regs[8] as i64);
}

/// Makes the kernel skip the call.
pub(crate) fn skip(pid: Pid) -> Outcome {
    #[cfg(target_arch = "x86_64")]
    {
        let mut registers = registers(pid)?;
        registers.orig_rax = u64::MAX;
        transfer(libc::PTRACE_SETREGSET, pid, NT_PRSTATUS, &mut registers)
    }
    #[cfg(target_arch = "aarch64")]
    {
        const NT_ARM_SYSTEM_CALL: usize = 0x404;
        transfer(libc::PTRACE_SETREGSET, pid, NT_ARM_SYSTEM_CALL, &mut -1_i32)
    }
}

/// Makes the call return this error.
pub(crate) fn fail(pid: Pid, error: i32) -> Outcome {
    let mut registers = registers(pid)?;
    let result = (-i64::from(error)) as u64;
    #[cfg(target_arch = "x86_64")]
    {
        registers.rax = result;
    }
    #[cfg(target_arch = "aarch64")]
    {
        registers.regs[0] = result;
    }
    transfer(libc::PTRACE_SETREGSET, pid, NT_PRSTATUS, &mut registers)
}

//! Sandboxes: a process takes system calls away from itself.

use nix::libc;

use super::{Outcome, ensure};

/// Which calls of a number are meant.
#[derive(Clone, Copy)]
pub(crate) enum Calls {
    All,
    /// Calls whose argument of that index has that value.
    With(u32, u32),
}

/// From now on these calls of this process, and of all it starts, fail with `error`.
pub(crate) fn deny(number: i64, calls: Calls, error: i32) -> Outcome {
    /// Offsets in `struct seccomp_data`, of the number and of the lower half of the first argument.
    const NUMBER: u32 = 0;
    const FIRST: u32 = 16;
    let step = |code: u32, jt, jf, k| libc::sock_filter { code: code as u16, jt, jf, k };
    let load = |offset| step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, offset);
    let unless_equal = |value, skipped| step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, skipped, value);
    let end = |what| step(libc::BPF_RET | libc::BPF_K, 0, 0, what);
    let refuse = end(libc::SECCOMP_RET_ERRNO | error as u32);
    let mut steps = vec![load(NUMBER)];
    match calls {
        Calls::All => steps.extend([unless_equal(number as u32, 1), refuse]),
        Calls::With(index, value) => steps.extend([
            unless_equal(number as u32, 3),
            load(FIRST + 8 * index),
            unless_equal(value, 1),
            refuse,
        ]),
    }
    steps.push(end(libc::SECCOMP_RET_ALLOW));
    let program = libc::sock_fprog { len: steps.len() as u16, filter: steps.as_mut_ptr() };
    // SAFETY: requests nothing but that children of this process gain no privileges.
    let promised = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    ensure!(promised == 0, "no_new_privs: {}", std::io::Error::last_os_error());
    let flags = libc::SECCOMP_FILTER_FLAG_TSYNC;
    // SAFETY: the program and its steps outlive the call, which copies them.
    let installed = unsafe {
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, std::ptr::from_ref(&program))
    };
    ensure!(installed == 0, "seccomp: {}", std::io::Error::last_os_error());
    Ok(())
}

/// All descriptors that this process may have are in use as long as the returned value lives.
pub(crate) fn no_descriptors() -> Outcome<Vec<std::fs::File>> {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard.min(64), hard)?;
    let mut all = Vec::new();
    while let Ok(file) = std::fs::File::open("/dev/null") {
        all.push(file);
    }
    Ok(all)
}

//! Simulates a kernel older than Linux 5.16.

use nix::libc;

/// Takes `futex_waitv` away from this process and its threads, for good.
pub(crate) fn without_futex_waitv() {
    const FUTEX_WAITV: u32 = 449;
    /// Offset of the number in `struct seccomp_data`.
    const NUMBER: u32 = 0;
    let step = |code: u32, jt, jf, k| libc::sock_filter { code: code as u16, jt, jf, k };
    let mut steps = [
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, NUMBER),
        step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, FUTEX_WAITV),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: steps.len() as u16, filter: steps.as_mut_ptr() };
    // SAFETY: requests nothing but that children of this process gain no privileges.
    let promised = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    assert_eq!(promised, 0, "{}", std::io::Error::last_os_error());
    let flags = libc::SECCOMP_FILTER_FLAG_TSYNC;
    // SAFETY: the program and its steps outlive the call, which copies them.
    let installed = unsafe {
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, std::ptr::from_ref(&program))
    };
    assert_eq!(installed, 0, "{}", std::io::Error::last_os_error());
    // SAFETY: no waiters: the call does nothing, wherever it exists.
    let refused = unsafe { libc::syscall(FUTEX_WAITV.into(), 0, 0, 0, 0, 0) };
    assert_eq!((refused, nix::errno::Errno::last()), (-1, nix::errno::Errno::ENOSYS));
}

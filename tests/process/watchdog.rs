//! A bound on every test: if a test makes no progress for a minute, SIGALRM ends the whole program.
//! The last line says which test it was, and why a child of it had failed, if one had.

use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use nix::libc;

use super::{Words, cause};

/// A test that makes no progress for this long hangs.
const HANG_SECONDS: u32 = 60;

/// The name of the test that runs. Names are leaked, so that the handler can read them at any time.
static NAME: AtomicPtr<u8> = AtomicPtr::new(ptr::null_mut());
static NAME_LEN: AtomicUsize = AtomicUsize::new(0);

/// How often progress was reported, by this process and all that it has forked.
static PULSE: OnceLock<Words> = OnceLock::new();

/// Sets the handler. Children inherit it, but no alarm.
pub(crate) fn install() {
    PULSE.get_or_init(|| Words::new(1));
    // SAFETY: all zeros is a valid sigaction.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = expired as *const () as usize;
    action.sa_flags = libc::SA_RESETHAND;
    // SAFETY: the handler only calls what POSIX allows in handlers, and the action is a local
    // variable.
    let set = unsafe { libc::sigaction(libc::SIGALRM, &raw const action, ptr::null_mut()) };
    assert_eq!(set, 0, "sigaction: {}", std::io::Error::last_os_error());
}

/// From now on this test has to make progress.
pub(crate) fn watch(name: &str) {
    let name: &'static mut [u8] = name.as_bytes().to_vec().leak();
    NAME_LEN.store(0, Ordering::SeqCst);
    NAME.store(name.as_mut_ptr(), Ordering::SeqCst);
    NAME_LEN.store(name.len(), Ordering::SeqCst);
    progress();
}

/// Changes with each report of progress, whichever process makes it.
pub(crate) fn pulse() -> u64 {
    PULSE.get().map_or(0, |words| words[0].load(Ordering::Relaxed))
}

/// Reports progress of the test: the minute begins anew.
pub(crate) fn progress() {
    if let Some(words) = PULSE.get() {
        words[0].fetch_add(1, Ordering::Relaxed);
    }
    // SAFETY: sets this process's timer, nothing else.
    unsafe { libc::alarm(HANG_SECONDS) };
}

/// Between tests there is no limit.
pub(crate) fn rest() {
    // SAFETY: ends this process's timer, nothing else.
    unsafe { libc::alarm(0) };
}

extern "C" fn expired(_: i32) {
    let len = NAME_LEN.load(Ordering::SeqCst);
    let name = match NAME.load(Ordering::SeqCst) {
        name if name.is_null() => &b"?"[..],
        // SAFETY: a leaked name's start, and its length, which was stored after it.
        name => unsafe { std::slice::from_raw_parts(name, len) },
    };
    say(b"\ntest ");
    say(name);
    say(b" HANGS: no progress for 60 seconds, so that the program ends here");
    if let Some((_, cause)) = cause::read(&mut cause::buffer()) {
        say(b". A child had failed before: ");
        say(cause);
    }
    say(b"\n");
    // SAFETY: SA_RESETHAND has restored the default action, which ends the process once this
    // handler returns.
    unsafe { libc::raise(libc::SIGALRM) };
}

/// Writes to stderr without any lock.
fn say(text: &[u8]) {
    // SAFETY: the bytes are there for the whole call.
    unsafe { libc::write(2, text.as_ptr().cast(), text.len()) };
}

//! A bound on every test program that uses the standard runner: one that has not ended after a
//! quarter of an hour ends here. It then prints in which threads it hangs and what these wait for.
//! It is no limit on speed, only the certainty that no test waits for ever.
//!
//! It is armed before `main`, by being part of a program: `use ringway_bound as _;`. It is a timer of the kernel and no
//! thread, because some tests count theirs. Children that are forked have no timer; those that run
//! a test program anew have one of their own. `RINGWAY_TEST_SECONDS` sets another bound; 0: none,
//! for debuggers.
//!
//! Programs that have `tests/process` for a runner have its watchdog instead, which bounds each test.

#![allow(unsafe_code, reason = "a signal handler, and system calls for it")]

use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

/// A quarter of an hour: many times what any test program takes on a busy machine.
const SECONDS: u64 = 900;

static BOUND: AtomicU64 = AtomicU64::new(SECONDS);

#[used]
// SAFETY: a section of pointers to functions that the loader calls, which this is.
#[unsafe(link_section = ".init_array")]
static ARM: extern "C" fn() = arm;

extern "C" fn arm() {
    let seconds = std::env::var("RINGWAY_TEST_SECONDS").ok().and_then(|text| text.parse().ok());
    let seconds: u64 = seconds.unwrap_or(SECONDS);
    BOUND.store(seconds, Ordering::Relaxed);
    set_timer(seconds.min(1 << 30));
}

/// A signal that no test uses.
fn signal() -> i32 {
    libc::SIGRTMAX() - 1
}

fn set_timer(seconds: u64) {
    // SAFETY: all zeros is a valid sigaction.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = expired as *const () as usize;
    // SAFETY: the action is a local variable, and the handler only makes system calls.
    let is_handled = unsafe { libc::sigaction(signal(), &raw const action, ptr::null_mut()) } == 0;
    // SAFETY: all zeros is a valid sigevent.
    let mut event: libc::sigevent = unsafe { std::mem::zeroed() };
    event.sigev_notify = libc::SIGEV_SIGNAL;
    event.sigev_signo = signal();
    let mut timer = ptr::null_mut();
    // SAFETY: both pointers are to local variables.
    let made = unsafe { libc::timer_create(libc::CLOCK_MONOTONIC, &raw mut event, &raw mut timer) };
    assert!(is_handled && made == 0, "no bound: {}", std::io::Error::last_os_error());
    let zero = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    let once = libc::timespec { tv_sec: seconds as i64, tv_nsec: 0 };
    let setting = libc::itimerspec { it_interval: zero, it_value: once };
    // SAFETY: the timer was made above, and the setting is a local variable.
    let set = unsafe { libc::timer_settime(timer, 0, &raw const setting, ptr::null_mut()) };
    assert_eq!(set, 0, "no bound: {}", std::io::Error::last_os_error());
}

extern "C" fn expired(_: i32) {
    // Whatever fails below, this ends the program.
    // SAFETY: sets a timer of this process.
    unsafe { libc::alarm(10) };
    say(b"\nHANGS: this test program has run for ");
    say(decimal(BOUND.load(Ordering::Relaxed), &mut [0; 20]));
    say(b" seconds and ends here (RINGWAY_TEST_SECONDS sets another bound). Its threads, which bear the names of \
          the tests that run, and where they wait in the kernel:\n");
    for_each_thread(|thread| {
        let mut text = [0; 256];
        say(b"  ");
        say(without_newline(read(thread, b"comm", &mut text)));
        say(b": ");
        say(without_newline(read(thread, b"wchan", &mut text)));
        say(b"\n");
        kill_all(read(thread, b"children", &mut text));
    });
    // SAFETY: ends the process.
    unsafe { libc::abort() };
}

/// Writes to standard error without any lock.
fn say(text: &[u8]) {
    // SAFETY: the bytes are there for the whole call.
    unsafe { libc::write(2, text.as_ptr().cast(), text.len()) };
}

fn without_newline(text: &[u8]) -> &[u8] {
    text.strip_suffix(b"\n").unwrap_or(text)
}

fn decimal(mut number: u64, digits: &mut [u8; 20]) -> &[u8] {
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return &digits[at..];
        }
    }
}

/// The numbers of the threads, as text. Nothing here may allocate: the thread that was interrupted
/// may be allocating.
fn for_each_thread(mut each: impl FnMut(&[u8])) {
    let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC;
    // SAFETY: the path ends with a zero.
    let directory = unsafe { libc::open(c"/proc/self/task".as_ptr(), flags) };
    let mut entries = [0_u8; 1 << 13];
    // SAFETY: the kernel writes at most the given number of bytes to the local variable.
    let got = unsafe { libc::syscall(libc::SYS_getdents64, directory, entries.as_mut_ptr(), entries.len()) };
    let mut rest = &entries[..usize::try_from(got).unwrap_or(0)];
    // Of each entry: inode and offset, 8 bytes each; its own length, 2; its type, 1; its name,
    // which ends with a zero.
    while let Some(len) = rest.get(16..18).map(|len| usize::from(u16::from_ne_bytes([len[0], len[1]]))) {
        let name = rest.get(19..len).unwrap_or_default();
        let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
        if name.first().is_some_and(u8::is_ascii_digit) {
            each(name);
        }
        rest = rest.get(len.max(19)..).unwrap_or_default();
    }
}

/// The contents of a thread's file.
fn read<'b>(thread: &[u8], name: &[u8], text: &'b mut [u8; 256]) -> &'b [u8] {
    let mut path = [0_u8; 64];
    let parts = [b"/proc/self/task/".as_slice(), thread, b"/", name];
    let bytes = parts.into_iter().flatten();
    // The last byte stays zero.
    path[..63].iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    // SAFETY: the path ends with a zero.
    let file = unsafe { libc::open(path.as_ptr().cast(), libc::O_RDONLY | libc::O_CLOEXEC) };
    // SAFETY: the kernel writes at most the given number of bytes to the variable.
    let got = unsafe { libc::read(file, text.as_mut_ptr().cast(), text.len()) };
    // SAFETY: this is the only owner of the descriptor.
    unsafe { libc::close(file) };
    &text[..usize::try_from(got).unwrap_or(0)]
}

/// Ends child processes, which would otherwise wait for ever after their parent is gone.
fn kill_all(pids: &[u8]) {
    for pid in pids.split(|byte| *byte == b' ').filter(|pid| !pid.is_empty()) {
        let pid = pid.iter().fold(0_i32, |number, digit| {
            number.wrapping_mul(10).wrapping_add(i32::from(digit.wrapping_sub(b'0')))
        });
        if pid > 1 {
            // SAFETY: sends a signal to a child of this process.
            unsafe { libc::kill(pid, libc::SIGKILL) };
        }
    }
}

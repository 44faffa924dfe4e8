//! A file that is truncated while it is mapped ends the queue, not the process, if the option is
//! set.
//!
//! Each test runs in a process of its own: signal handlers belong to a process.

mod common;

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use common::{directory, in_child};
use nix::libc;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};
use ringway::{AttachError, CreateOptions, RecoverError, RecvError, SendError, mpmc, spsc};

const CAPACITY: usize = 1 << 16;
const TIMEOUT: Duration = Duration::from_millis(50);

fn guarded() -> CreateOptions {
    CreateOptions::new().ring_bytes(CAPACITY).guard_truncation(true)
}

fn truncate(path: &Path, len: u64) {
    OpenOptions::new().write(true).open(path).unwrap().set_len(len).unwrap();
}

fn create(path: &Path) -> spsc::BytesQueue {
    // SAFETY: only this test knows the file; what it does to it is what the guard is for.
    unsafe { spsc::BytesQueue::create_with(path, &guarded()) }.unwrap()
}

/// Runs a test in a process of its own, with a queue's name in a directory that is removed
/// afterwards.
fn with_name(test: &str, body: impl FnOnce(PathBuf)) {
    in_child(test, || {
        let dir = directory();
        body(dir.path().join("queue"));
    });
}

#[test]
fn a_consumer_is_told() {
    with_name("a_consumer_is_told", |path| {
        for len in [0, 4096, 8192] {
            let queue = create(&path);
            let consumer = queue.consumer().unwrap();
            let mut producer = queue.producer().unwrap();
            producer.send(&[7; 100]).unwrap();
            truncate(&path, len);
            // The first attempts may still find nothing, or zeros.
            while !matches!(consumer.recv_timeout(TIMEOUT), Err(RecvError::Truncated { .. })) {}
            let error = consumer.try_recv().unwrap_err();
            assert!(error.to_string().contains("truncated the file"), "{error}");
            assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
            assert!(matches!(consumer.try_recv_many(10), Err(RecvError::Truncated { .. })));
            // And every other handle in this process.
            assert!(matches!(producer.try_send(b"x"), Err(SendError::Truncated { .. })));
            drop(consumer);
            assert!(matches!(queue.consumer(), Err(AttachError::Truncated { .. })));
            drop((producer, queue));
            std::fs::remove_file(&path).unwrap();
        }
    });
}

#[test]
fn a_producer_is_told() {
    with_name("a_producer_is_told", |path| {
        let queue = create(&path);
        let mut producer = queue.producer().unwrap();
        truncate(&path, 8192);
        // It fills the ring; pages after the truncated end have no file any more.
        let error = loop {
            match producer.try_send(&[7; 4000]) {
                Ok(()) => {}
                Err(error) => break error,
            }
        };
        assert!(matches!(error, SendError::Truncated { .. }), "{error:?}");
        assert!(matches!(producer.batch().map(drop), Err(SendError::Truncated { .. })));
        assert!(matches!(producer.send_timeout(b"x", TIMEOUT), Err(SendError::Truncated { .. })));
    });
}

/// It waits for room that no consumer will release.
#[test]
fn a_producer_that_waits_is_told() {
    with_name("a_producer_that_waits_is_told", |path| {
        let queue = create(&path);
        let mut producer = queue.producer().unwrap();
        while producer.try_send(&[7; 4000]).is_ok() {}
        let other = std::thread::spawn({
            let path = path.clone();
            move || truncate(&path, 0)
        });
        let error = producer.send(&[7; 4000]).unwrap_err();
        other.join().unwrap();
        assert!(matches!(error, SendError::Truncated { .. }), "{error:?}");
    });
}

#[test]
fn many_are_told() {
    with_name("many_are_told", |path| {
        // SAFETY: as in `create`.
        let queue = unsafe { mpmc::BytesQueue::create_with(&path, &guarded()) }.unwrap();
        let mut producers = [queue.producer().unwrap(), queue.producer().unwrap()];
        let consumers = [queue.consumer().unwrap(), queue.consumer().unwrap()];
        producers[1].send(b"hello").unwrap();
        let held = consumers[0].recv().unwrap();
        truncate(&path, 0);
        for consumer in &consumers {
            while !matches!(consumer.recv_timeout(TIMEOUT), Err(RecvError::Truncated { .. })) {}
        }
        for producer in &mut producers {
            assert!(matches!(producer.send(b"x"), Err(SendError::Truncated { .. })));
        }
        assert!(matches!(queue.recover(), Err(RecoverError::Truncated { .. })));
        // Zeros, if anything; but the process lives.
        assert_eq!(held.len(), 5);
        assert!(held.iter().all(|byte| *byte == 0));
        drop(held);
        drop((producers, consumers));
        // Other queues are not touched.
        std::fs::remove_file(&path).unwrap();
        let fresh = create(&path);
        fresh.producer().unwrap().send(b"well").unwrap();
        assert_eq!(&*fresh.consumer().unwrap().recv().unwrap(), b"well");
    });
}

/// Guards are created and dropped without end; nothing accumulates.
#[test]
fn guards_are_used_again() {
    with_name("guards_are_used_again", |path| {
        let queue = create(&path);
        let mappings = || std::fs::read_to_string("/proc/self/maps").unwrap().lines().count();
        let before = mappings();
        for _ in 0..2000 {
            // SAFETY: as in `create`.
            let again = unsafe {
                spsc::BytesQueue::open_with(&path, &ringway::OpenOptions::new().guard_truncation(true))
            }
            .unwrap();
            drop((again.producer().unwrap(), again.consumer().unwrap()));
        }
        assert!(mappings() <= before + 4, "{before} mappings before, {} after", mappings());
        truncate(&path, 0);
        drop(queue);
    });
}

static SEEN: AtomicU64 = AtomicU64::new(0);

extern "C" fn note(_: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: the kernel gives a valid one.
    let info = unsafe { &*info };
    // SAFETY: SIGBUS has an address.
    SEEN.store(unsafe { info.si_addr() } as u64, Ordering::SeqCst);
    if info.si_code > 0 {
        // The page on which the program would otherwise fault again.
        let page = (SEEN.load(Ordering::SeqCst) & !4095) as *mut libc::c_void;
        let (access, flags) = (libc::PROT_READ, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED);
        // SAFETY: the page is this test's, and has no bytes.
        unsafe { libc::mmap(page, 4096, access, flags, -1, 0) };
    }
}

/// A mapping of other code in the same program, of a file that is too short.
fn foreign_fault(dir: &Path) -> (u64, u8) {
    let path = dir.join("foreign");
    std::fs::write(&path, b"").unwrap();
    let file = OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let map = map_page(&file);
    // SAFETY: mapped; the fault is what is wanted.
    let byte = unsafe { map.read_volatile() };
    (map as u64, byte)
}

fn map_page(file: &std::fs::File) -> *const u8 {
    use std::os::fd::AsRawFd;
    let (access, flags) = (libc::PROT_READ, libc::MAP_SHARED);
    // SAFETY: a new mapping at no fixed address.
    let map = unsafe { libc::mmap(std::ptr::null_mut(), 4096, access, flags, file.as_raw_fd(), 0) };
    assert_ne!(map, libc::MAP_FAILED);
    map.cast()
}

#[test]
fn other_faults_go_to_the_handler_before() {
    with_name("other_faults_go_to_the_handler_before", |path| {
        // SAFETY: all zeros is a valid sigaction.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) = note;
        action.sa_sigaction = handler as usize;
        action.sa_flags = libc::SA_SIGINFO;
        // SAFETY: the handler keeps to what handlers may do.
        assert_eq!(unsafe { libc::sigaction(libc::SIGBUS, &raw const action, std::ptr::null_mut()) }, 0);
        let queue = create(&path);
        let consumer = queue.consumer().unwrap();
        let (address, byte) = foreign_fault(path.parent().unwrap());
        assert_eq!((SEEN.load(Ordering::SeqCst), byte), (address, 0));
        assert!(matches!(consumer.try_recv(), Err(RecvError::Empty)), "the queue is as it was");

        SEEN.store(0, Ordering::SeqCst);
        truncate(&path, 0);
        while !matches!(consumer.try_recv(), Err(RecvError::Truncated { .. })) {}
        assert_eq!(SEEN.load(Ordering::SeqCst), 0, "what is the queue's is not the other handler's");

        // A signal that a process sends is no fault.
        SEEN.store(1, Ordering::SeqCst);
        nix::sys::signal::raise(nix::sys::signal::Signal::SIGBUS).unwrap();
        assert_ne!(SEEN.load(Ordering::SeqCst), 1);
    });
}

/// How a process ends that runs this test's child part.
fn end_of(test: &str, what: &str) -> ExitStatus {
    let mut command = common::child_of(test, Path::new(what));
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap()
}

#[test]
fn what_is_not_guarded_ends_the_process_as_before() {
    use std::os::unix::process::ExitStatusExt;
    const TEST: &str = "what_is_not_guarded_ends_the_process_as_before";
    if let Some(what) = common::child_argument(TEST) {
        // No core dump of a process that is meant to die.
        nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_CORE, 0, 0).unwrap();
        let dir = directory();
        let path = dir.path().join("queue");
        let queue = create(&path);
        // The file is not needed by name any more, and this process removes nothing.
        let other = dir.path().join("other");
        // SAFETY: as in `create`.
        let plain = unsafe { spsc::BytesQueue::create(&other) }.unwrap();
        let (file, foreign) =
            (OpenOptions::new().write(true).open(&other).unwrap(), dir.path().join("foreign"));
        std::fs::write(&foreign, b"").unwrap();
        let empty = std::fs::File::open(&foreign).unwrap();
        let consumer = plain.consumer().unwrap();
        dir.close().unwrap();
        match what.to_str().unwrap() {
            "plain" => {
                file.set_len(0).unwrap();
                while consumer.try_recv().is_err() {}
            }
            "foreign" => {
                // SAFETY: mapped; the fault is what is wanted.
                unsafe { map_page(&empty).read_volatile() };
            }
            _ => {
                // The handler of Rust's standard library, which was installed before, treats the
                // first as a fault that will happen again.
                nix::sys::signal::raise(nix::sys::signal::Signal::SIGBUS).unwrap();
                nix::sys::signal::raise(nix::sys::signal::Signal::SIGBUS).unwrap();
            }
        }
        drop(queue);
        return;
    }
    for what in ["plain", "foreign", "sent"] {
        let status = end_of(TEST, what);
        assert_eq!(status.signal(), Some(libc::SIGBUS), "{what}: {status:?}");
    }
}

/// A forked child gets nothing of a guarded queue either, and gets the right error.
#[test]
fn a_forked_child_is_told_that_it_is_one() {
    with_name("a_forked_child_is_told_that_it_is_one", |path| {
        let queue = create(&path);
        let consumer = queue.consumer().unwrap();
        // SAFETY: the child only calls handles, and ends.
        match unsafe { fork() }.unwrap() {
            ForkResult::Child => {
                let is_forked = matches!(consumer.try_recv(), Err(RecvError::Forked))
                    && matches!(queue.producer(), Err(AttachError::Forked));
                // SAFETY: ends the child without running its parent's exit handlers.
                unsafe { libc::_exit(i32::from(!is_forked)) }
            }
            ForkResult::Parent { child } => {
                assert_eq!(waitpid(child, None).unwrap(), WaitStatus::Exited(child, 0));
            }
        }
        assert!(matches!(consumer.try_recv(), Err(RecvError::Empty)));
        truncate(&path, 0);
        while !matches!(consumer.try_recv(), Err(RecvError::Truncated { .. })) {}
    });
}

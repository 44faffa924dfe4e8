//! Creating, opening, attaching and unlinking, when others do the same or die half-way.

#[path = "common/bound.rs"]
mod bound;
#[path = "common/ends.rs"]
mod ends;
#[path = "lifecycle/orphaned.rs"]
mod orphaned;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ends::on_panic;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};
use ringway::spsc::BytesQueue;
use ringway::{AttachError, OpenError, Options, RecvError, SendError};

fn directory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap()
}

#[test]
fn whoever_opens_or_creates_at_the_same_time_gets_the_same_queue() {
    let dir = directory();
    let path = dir.path().join("q");
    for _ in 0..50 {
        std::thread::scope(|scope| {
            for _ in 0..4 {
                // SAFETY: nobody else knows the file.
                scope.spawn(|| unsafe { BytesQueue::open_or_create(&path) }.unwrap());
            }
        });
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        ringway::unlink(&path).unwrap();
    }
}

#[test]
fn an_unlinked_queue_is_left_to_those_who_have_it() {
    let dir = directory();
    let path = dir.path().join("q");
    // SAFETY: nobody else knows the file.
    let queue = unsafe { BytesQueue::create(&path) }.unwrap();
    let (mut tx, rx) = (queue.producer().unwrap(), queue.consumer().unwrap());
    ringway::unlink(&path).unwrap();
    tx.send(b"still here").unwrap();
    assert_eq!(&*rx.recv().unwrap(), b"still here");
    drop(tx);
    assert!(matches!(queue.producer(), Err(AttachError::Unlinked { .. })));
    // SAFETY: as above.
    assert!(matches!(unsafe { BytesQueue::open(&path) }, Err(OpenError::NotFound { .. })));
    // SAFETY: as above.
    let fresh = unsafe { BytesQueue::open_or_create(&path) }.unwrap();
    assert!(matches!(fresh.consumer().unwrap().try_recv(), Err(RecvError::Empty)));
}

/// Whoever removes the file, by `unlink` or by hand: a handle that was opened before does not attach to a queue that
/// nobody else can find.
#[test]
fn a_removed_file_is_noticed_when_attaching() {
    let dir = directory();
    let path = dir.path().join("q");
    // SAFETY: nobody else knows the file.
    let queue = unsafe { BytesQueue::create(&path) }.unwrap();
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(queue.producer(), Err(AttachError::Unlinked { .. })));
    // SAFETY: as above.
    unsafe { BytesQueue::open_or_create(&path) }.unwrap().producer().unwrap();
}

/// Children forked without exec while another thread attaches must not keep its locks.
#[test]
fn a_fork_beside_an_attach_takes_no_lock_along() {
    let dir = directory();
    // SAFETY: nobody else knows the file.
    let queue = unsafe { BytesQueue::create(dir.path().join("q")) }.unwrap();
    let done = AtomicBool::new(false);
    let mut children = Vec::new();
    std::thread::scope(|scope| {
        let _end = on_panic(|| done.store(true, Ordering::Relaxed));
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                drop(queue.producer().unwrap());
            }
        });
        for _ in 0..100 {
            // SAFETY: the child does nothing but wait for a signal.
            match unsafe { fork() }.unwrap() {
                ForkResult::Child => loop {
                    nix::unistd::pause();
                },
                ForkResult::Parent { child } => children.push(child),
            }
        }
        done.store(true, Ordering::Relaxed);
    });
    let start = Instant::now();
    let result = queue.producer();
    for child in children {
        nix::sys::signal::kill(child, nix::sys::signal::Signal::SIGKILL).unwrap();
        waitpid(child, None).unwrap();
    }
    drop(result.expect("no child holds the lease"));
    assert!(start.elapsed() < Duration::from_secs(4), "no child holds the attach lock");
}

/// A claim or a batch that a forked child inherits commits nothing there.
#[test]
fn a_forked_child_cannot_commit_what_its_parent_claimed() {
    let dir = directory();
    // SAFETY: nobody else knows the file.
    let queue =
        unsafe { BytesQueue::create_with(dir.path().join("q"), &Options::new().capacity(4096)) }.unwrap();
    let (mut tx, rx) = (queue.producer().unwrap(), queue.consumer().unwrap());
    let in_child = |holds: &mut dyn FnMut() -> bool| {
        // SAFETY: the child only uses handles of this test, and ends.
        match unsafe { fork() }.unwrap() {
            ForkResult::Child => {
                let code = i32::from(!holds());
                // SAFETY: ends the child without running what the parent will run.
                unsafe { nix::libc::_exit(code) }
            }
            ForkResult::Parent { child } => {
                assert_eq!(waitpid(child, None), Ok(WaitStatus::Exited(child, 0)));
            }
        }
    };
    let mut claim = Some(tx.try_claim(8).unwrap());
    in_child(&mut || matches!(claim.take().unwrap().commit(), Err(SendError::Forked)));
    assert!(matches!(rx.try_recv(), Err(RecvError::Empty)));
    let mut batch = Some(tx.batch().unwrap());
    batch.as_mut().unwrap().try_claim(8).unwrap();
    in_child(&mut || {
        let mut batch = batch.take().unwrap();
        batch.try_claim(8).is_err() && matches!(batch.commit(), Err(SendError::Forked))
    });
    assert!(matches!(rx.try_recv(), Err(RecvError::Empty)));
    tx.send(b"parent").unwrap();
    assert_eq!(&*rx.recv().unwrap(), b"parent");
}

/// A dead queue that still has a name (a second link) is an error, not an endless attempt.
#[test]
fn a_dead_queue_in_the_way_is_an_error() {
    let dir = directory();
    let (path, second) = (dir.path().join("q"), dir.path().join("link"));
    // SAFETY: nobody else knows the files.
    unsafe { BytesQueue::create(&path) }.unwrap();
    std::fs::hard_link(&path, &second).unwrap();
    ringway::unlink(&path).unwrap();
    // SAFETY: as above.
    assert!(matches!(unsafe { BytesQueue::open_or_create(&second) }, Err(OpenError::Unlinked { .. })));
}

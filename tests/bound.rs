//! No test waits for ever: a program that hangs ends and prints where, and one side's failure ends
//! the other.

mod common;

use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use common::ends::on_panic;
use common::{Running, child_argument, child_of, directory};
use nix::libc::SIGABRT;
use ringway::spsc::BytesQueue;
use ringway::{CreateOptions, SendError};

#[test]
fn a_program_that_hangs_ends_and_says_where() {
    const NAME: &str = "a_program_that_hangs_ends_and_says_where";
    if let Some(path) = child_argument(NAME) {
        // SAFETY: only this test knows the file.
        let queue = unsafe { BytesQueue::open(path.join("queue")) }.unwrap();
        // There is no producer.
        let _ = queue.consumer().unwrap().recv();
        return;
    }
    let dir = directory();
    // SAFETY: as above.
    drop(unsafe { BytesQueue::create(dir.path().join("queue")) }.unwrap());
    let mut child = child_of(NAME, dir.path());
    let finished = Running::start(child.env("RINGWAY_TEST_SECONDS", "1")).finish();
    assert_eq!(finished.status.signal(), Some(SIGABRT), "{}", finished.errors);
    let errors = &finished.errors;
    assert!(errors.contains("HANGS: this test program has run for 1 seconds"), "{errors}");
    // Names of threads are cut by the kernel.
    assert!(errors.contains(&NAME[..15]) || errors.contains("bound"), "{errors}");
    assert!(errors.contains("futex"), "{errors}");
}

#[test]
fn a_failure_on_one_side_ends_the_other() {
    const NAME: &str = "a_failure_on_one_side_ends_the_other";
    if let Some(path) = child_argument(NAME) {
        // SAFETY: only this test knows the file.
        let queue = unsafe { BytesQueue::open(path.join("queue")) }.unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let _end = on_panic(|| queue.close());
                drop(queue.consumer().unwrap().recv().unwrap());
                panic!("the cause");
            });
            let mut producer = queue.producer().unwrap();
            // Without the guard on the other side this waits for room for ever.
            while !matches!(producer.send(&[1; 100]), Err(SendError::Closed)) {}
        });
        return;
    }
    let dir = directory();
    let options = CreateOptions::new().ring_bytes(4096);
    // SAFETY: as above.
    drop(unsafe { BytesQueue::create_with(dir.path().join("queue"), &options) }.unwrap());
    let start = Instant::now();
    let finished = Running::start(child_of(NAME, dir.path()).env("RINGWAY_TEST_SECONDS", "50")).finish();
    assert_eq!(finished.status.code(), Some(101), "{}", finished.errors);
    assert!(finished.output.contains("the cause") || finished.errors.contains("the cause"));
    assert!(start.elapsed() < Duration::from_secs(50));
}

//! Participants attach and detach while another thread of their process starts programs.
//!
//! `std::process::Command` starts them by `posix_spawn`, whose children run no `pthread_atfork`
//! handler and hold a copy of every descriptor of their parent until they execute the program. No
//! lock may depend on when such a copy is closed.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ringway::{AttachError, CreateOptions, mpmc, spsc};

/// How long participants attach and detach.
const TIME: Duration = Duration::from_millis(1500);
/// Participants of the MPMC queue at a time.
const MANY: usize = 48;

/// Stops the thread that starts programs, also when an assertion fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Liveness locks last until they are released, and not a moment longer, whatever programs are
/// started meanwhile.
pub(crate) fn liveness_locks_do_not_depend_on_programs(path: &Path) {
    let (is_over, started) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let _stop = Stop(&is_over);
                while !is_over.load(Ordering::Relaxed) {
                    assert!(Command::new("/bin/true").status().unwrap().success());
                    started.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let _stop = Stop(&is_over);
        // Every program that has been started by now, of either thread, has been executed.
        let settle = || {
            let then = started.load(Ordering::Relaxed);
            while started.load(Ordering::Relaxed) < then + 4 && !is_over.load(Ordering::Relaxed) {
                std::thread::yield_now();
            }
        };
        many_stay_alive(path, &settle);
        one_is_the_only_one(path, &settle);
    });
}

fn many_stay_alive(path: &Path, settle: &impl Fn()) {
    let options = CreateOptions::new().ring_bytes(4096).max_messages(64).max_participants(64);
    // SAFETY: only this test knows the file.
    let queue = unsafe { mpmc::BytesQueue::create_with(path, &options) }.unwrap();
    let (begin, mut locks) = (Instant::now(), 0);
    while begin.elapsed() < TIME {
        let consumers: Vec<_> = (0..MANY).map(|_| queue.consumer().unwrap()).collect();
        locks += consumers.len();
        settle();
        let dead: Vec<_> = queue.stats().participants.into_iter().filter(|one| !one.alive).collect();
        assert!(dead.is_empty(), "of {locks} liveness locks these are lost: {dead:?}");
        match queue.recover() {
            Ok(done) => assert_eq!(done.deaths, 0, "a living participant was recovered"),
            Err(error) => panic!("nobody else recovers: {error}"),
        }
        drop(consumers);
        // The kernel's answer, not the registry's: nothing of a participant outlives its end.
        assert!(!ringway::is_in_use(path).unwrap(), "a lease outlives its participant");
    }
    drop(queue);
    assert!(ringway::unlink_if_unused(path).unwrap());
    println!("{locks} liveness locks of an MPMC queue");
}

fn one_is_the_only_one(path: &Path, settle: &impl Fn()) {
    let options = CreateOptions::new().ring_bytes(4096).unlink_on_last_drop(true);
    let (begin, mut locks) = (Instant::now(), 0);
    while begin.elapsed() < TIME {
        // SAFETY: as above.
        let queue = unsafe { spsc::BytesQueue::create_with(path, &options) }.unwrap();
        for _ in 0..16 {
            drop(queue.consumer().expect("the one before is gone"));
        }
        let consumer = queue.consumer().expect("the one before is gone");
        settle();
        let second = queue.consumer();
        assert!(
            matches!(second, Err(AttachError::RoleTaken { .. })),
            "after {locks} liveness locks: {second:?}"
        );
        locks += 17;
        drop((second, consumer, queue));
        assert!(!path.exists(), "the share of the last handle outlives it");
    }
    println!("{locks} liveness locks of an SPSC queue");
}

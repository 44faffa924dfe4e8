//! Creating, opening, attaching and unlinking, while others do the same or die half-way.

#[path = "common/bound.rs"]
mod bound;
#[path = "lifecycle/closed.rs"]
mod closed;
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
use ringway::{AttachError, CreateOptions, Framing, OpenError, RecvError, SendError};

fn directory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap()
}

#[test]
fn concurrent_open_or_create_gives_the_same_queue() {
    let dir = directory();
    let path = dir.path().join("q");
    for _ in 0..50 {
        std::thread::scope(|scope| {
            for _ in 0..4 {
                // SAFETY: only this test knows the file.
                scope.spawn(|| unsafe { BytesQueue::open_or_create(&path) }.unwrap());
            }
        });
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        ringway::unlink(&path).unwrap();
    }
}

#[test]
fn an_unlinked_queue_stays_usable_for_its_handles() {
    let dir = directory();
    let path = dir.path().join("q");
    // SAFETY: only this test knows the file.
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

/// However the file is removed, by `unlink` or by hand: a handle that was opened before does not
/// attach to a queue that no other process can find.
#[test]
fn a_removed_file_is_noticed_when_attaching() {
    let dir = directory();
    let path = dir.path().join("q");
    // SAFETY: only this test knows the file.
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
    // SAFETY: only this test knows the file.
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

/// A reserved frame or a batch that a forked child inherits commits nothing there.
#[test]
fn a_forked_child_cannot_commit_what_its_parent_claimed() {
    let dir = directory();
    // SAFETY: only this test knows the file.
    let queue =
        unsafe { BytesQueue::create_with(dir.path().join("q"), &CreateOptions::new().ring_bytes(4096)) }
            .unwrap();
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
    let mut claim = Some(tx.try_reserve(8).unwrap());
    in_child(&mut || matches!(claim.take().unwrap().commit(), Err(SendError::Forked)));
    assert!(matches!(rx.try_recv(), Err(RecvError::Empty)));
    let mut batch = Some(tx.batch().unwrap());
    batch.as_mut().unwrap().try_reserve(8).unwrap();
    in_child(&mut || {
        let mut batch = batch.take().unwrap();
        batch.try_reserve(8).is_err() && matches!(batch.commit(), Err(SendError::Forked))
    });
    assert!(matches!(rx.try_recv(), Err(RecvError::Empty)));
    tx.send(b"parent").unwrap();
    assert_eq!(&*rx.recv().unwrap(), b"parent");
}

/// A dead queue that still has a name (a second hard link) is an error, not an endless attempt.
#[test]
fn a_dead_queue_in_the_way_is_an_error() {
    let dir = directory();
    let (path, second) = (dir.path().join("q"), dir.path().join("link"));
    // SAFETY: only this test knows the files.
    unsafe { BytesQueue::create(&path) }.unwrap();
    std::fs::hard_link(&path, &second).unwrap();
    ringway::unlink(&path).unwrap();
    // SAFETY: as above.
    assert!(matches!(unsafe { BytesQueue::open_or_create(&second) }, Err(OpenError::Unlinked { .. })));
}

/// Queues of both framings, with `count` messages, each its number.
fn numbered(count: u32) -> Vec<(tempfile::TempDir, BytesQueue)> {
    [CreateOptions::new().framing(Framing::Variable), CreateOptions::new().framing(Framing::Fixed(4))]
        .iter()
        .map(|options| {
            let dir = directory();
            // SAFETY: only this test knows the file.
            let queue = unsafe { BytesQueue::create_with(dir.path().join("q"), options) }.unwrap();
            let mut producer = queue.producer().unwrap();
            (0..count).for_each(|number| producer.try_send(&number.to_le_bytes()).unwrap());
            (dir, queue)
        })
        .collect()
}

/// What there is, and how many times each was delivered before.
fn all(consumer: &ringway::spsc::BytesConsumer) -> Vec<(u32, u64)> {
    std::iter::from_fn(|| consumer.try_recv().ok())
        .map(|frame| (u32::from_le_bytes((*frame).try_into().unwrap()), frame.redeliveries()))
        .collect()
}

#[test]
fn what_was_released_out_of_order_does_not_come_again_after_an_orderly_detachment() {
    for (_dir, queue) in numbered(5) {
        let consumer = queue.consumer().unwrap();
        let (a, b, c) = (consumer.recv().unwrap(), consumer.recv().unwrap(), consumer.recv().unwrap());
        drop((b, c));
        a.reject();
        drop(consumer);
        let inspector = ringway::inspect::Inspector::open(queue.path()).unwrap();
        let backlog = inspector.snapshot().unwrap().backlog;
        assert_eq!(
            (backlog.waiting, backlog.held, backlog.redeliveries),
            (Some(3), Some(0), 1),
            "{backlog:?}"
        );
        let peeked = inspector.peek(&ringway::inspect::Peek::new()).unwrap().frames;
        assert_eq!(peeked.iter().map(|frame| frame.payload[0]).collect::<Vec<_>>(), [0, 3, 4]);
        let next = queue.consumer().unwrap();
        assert_eq!(all(&next), [(0, 1), (3, 0), (4, 0)]);
        drop(next);
        assert_eq!(all(&queue.consumer().unwrap()), []);
    }
}

#[test]
fn gaps_are_handed_from_consumer_to_consumer() {
    for (_dir, queue) in numbered(200) {
        let consumer = queue.consumer().unwrap();
        let frames: Vec<_> = (0..150).map(|_| consumer.recv().unwrap()).collect();
        for (number, frame) in frames.into_iter().enumerate() {
            // Every third one is released, and one is forgotten.
            match number % 3 {
                1 => drop(frame),
                _ if number == 3 => std::mem::forget(frame),
                _ => frame.reject(),
            }
        }
        drop(consumer);
        // One that takes nothing, and one that has released some of them.
        drop(queue.consumer().unwrap());
        let next = queue.consumer().unwrap();
        let frames: Vec<_> = (0..10).map(|_| next.recv().unwrap()).collect();
        for (at, frame) in frames.into_iter().enumerate() {
            assert_eq!(frame.redeliveries(), 1, "at {at}");
            if at >= 2 {
                drop(frame);
            } else {
                frame.reject();
            }
        }
        drop(next);
        let left: Vec<u32> = all(&queue.consumer().unwrap()).into_iter().map(|(number, _)| number).collect();
        // The first ten that were delivered were 0, 2, 3, 5, 6, 8, 9, 11, 12, 14.
        let expected = (0..200).filter(|number| match number {
            0 | 2 => true,
            3..=14 => false,
            15..150 => number % 3 != 1,
            1 => false,
            _ => true,
        });
        assert_eq!(left, expected.collect::<Vec<_>>());
    }
}

/// Ends its thread when the time for which it waits is over; no call here takes as long.
const LONG: Duration = Duration::from_secs(60);

#[test]
fn a_standby_takes_over() {
    let dir = directory();
    let path = dir.path().join("q");
    // SAFETY: only this test knows the file.
    let queue = unsafe { BytesQueue::create(&path) }.unwrap();
    let (active, mut producer) = (queue.consumer().unwrap(), queue.producer().unwrap());
    let start = Instant::now();
    let refused = queue.consumer_timeout(Duration::from_millis(30));
    assert!(matches!(refused, Err(AttachError::RoleTaken { .. })), "{refused:?}");
    assert!(start.elapsed() >= Duration::from_millis(30));
    assert!(matches!(queue.producer_timeout(Duration::ZERO), Err(AttachError::RoleTaken { .. })));
    producer.send(b"for the next").unwrap();
    std::mem::forget(active.recv().unwrap());
    std::thread::scope(|scope| {
        let standby = scope.spawn(|| {
            let consumer = queue.consumer_timeout(LONG).unwrap();
            let frame = consumer.try_recv().unwrap();
            (frame.to_vec(), frame.redeliveries())
        });
        drop(active);
        assert_eq!(standby.join().unwrap(), (b"for the next".to_vec(), 1));
    });
    // A process that is killed.
    // SAFETY: the child only uses handles of its own, and ends.
    let child = match unsafe { fork() }.unwrap() {
        ForkResult::Child => {
            // SAFETY: only this test knows the file.
            let consumer = unsafe { BytesQueue::open(&path) }.map(|queue| queue.consumer_timeout(LONG));
            if let Ok(Ok(consumer)) = consumer {
                let _ = consumer.recv_timeout(LONG);
            }
            // SAFETY: ends the child without running what the parent will run.
            unsafe { nix::libc::_exit(0) }
        }
        ForkResult::Parent { child } => child,
    };
    while queue.consumer().is_ok() {
        assert!(start.elapsed() < LONG, "the child does not attach");
        std::thread::sleep(Duration::from_millis(5));
    }
    let killer = std::thread::spawn(move || {
        nix::sys::signal::kill(child, nix::sys::signal::Signal::SIGKILL).unwrap();
        waitpid(child, None).unwrap();
    });
    queue.consumer_timeout(LONG).unwrap();
    killer.join().unwrap();
    queue.consumer_timeout(Duration::MAX).unwrap();
}

#[test]
fn how_much_waits_and_how_much_room_there_is() {
    for (_dir, queue) in numbered(3) {
        let unit = queue.len() / 3;
        let all = queue.len() + queue.room();
        let mut producer = queue.producer().unwrap();
        let consumer = queue.consumer().unwrap();
        assert_eq!((queue.len(), producer.len(), consumer.len()), (3 * unit, 3 * unit, 3 * unit));
        let frame = consumer.try_recv().unwrap();
        // What is held does not wait, and keeps its room.
        assert_eq!((queue.len(), producer.len(), consumer.len()), (2 * unit, 2 * unit, 2 * unit));
        assert_eq!(
            (queue.room(), producer.room(), consumer.room()),
            (all - 3 * unit, all - 3 * unit, all - 3 * unit)
        );
        frame.reject();
        assert_eq!(consumer.len(), 3 * unit);
        assert_eq!(consumer.try_iter().count(), 3);
        assert!(queue.is_empty() && consumer.is_empty() && producer.is_empty());
        assert_eq!(queue.room(), all);
        producer.send(&[0; 4]).unwrap();
        std::mem::forget(consumer.try_recv().unwrap());
        assert_eq!(queue.len(), 0);
        drop(consumer);
        // It waits for the next one.
        assert_eq!(queue.len(), unit);
    }
}

/// The kernel ends a killed process a little later: a participant that attaches in its place
/// meanwhile waits for that.
#[test]
fn a_killed_participant_can_be_replaced_at_once() {
    use nix::sys::signal::{Signal, kill};
    let dir = directory();
    let path = dir.path().join("q");
    // SAFETY: only this test knows the file.
    let queue = unsafe { BytesQueue::create(&path) }.unwrap();
    for round in 0..50 {
        let (mut here, mut there) = std::os::unix::net::UnixStream::pair().unwrap();
        // SAFETY: the child uses only what it opens itself, and ends by a signal.
        let child = match unsafe { fork() }.unwrap() {
            ForkResult::Child => {
                use std::io::Write;
                // The more memory it has, the longer it takes to end.
                std::mem::forget(std::hint::black_box(vec![1_u8; 16 << 20]));
                // SAFETY: as above.
                let attached =
                    unsafe { BytesQueue::open(&path) }.map(|queue| queue.consumer().map(std::mem::forget));
                let told = there.write_all(&[u8::from(matches!(attached, Ok(Ok(()))))]);
                loop {
                    nix::unistd::pause();
                    std::hint::black_box(&told);
                }
            }
            ForkResult::Parent { child } => child,
        };
        let mut attached = [0];
        std::io::Read::read_exact(&mut here, &mut attached).unwrap();
        assert_eq!(attached, [1]);
        kill(child, Signal::SIGKILL).unwrap();
        let consumer = queue.consumer();
        assert!(consumer.is_ok(), "round {round}: {:?}", consumer.err());
        waitpid(child, None).unwrap();
    }
    // A living holder keeps its role.
    let _consumer = queue.consumer().unwrap();
    assert!(matches!(queue.consumer(), Err(AttachError::RoleTaken { .. })));
}

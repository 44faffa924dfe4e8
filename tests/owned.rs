//! Frames that own their share of the consumer: kept anywhere, dropped anywhere.

mod common;

use std::collections::BTreeMap;
use std::sync::mpsc::channel;
use std::time::Duration;

use common::{HANGS, Image, at, directory};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};
use proptest::prelude::*;
use ringway::kind::{BytesOwnedFrame, BytesQueue, Checksummed, Kind, Mpmc, Spsc};
use ringway::{AttachError, RecvError, WaitStrategy};

fn queue<K: Kind>(directory: &tempfile::TempDir) -> BytesQueue<K> {
    // SAFETY: the file is this test's alone.
    unsafe { BytesQueue::create(directory.path().join("q")).unwrap() }
}

fn elsewhere<R: Send + 'static>(what: impl FnOnce() -> R + Send + 'static) -> R {
    std::thread::spawn(what).join().unwrap()
}

#[derive(Clone, Debug)]
enum Step {
    Send(usize),
    Recv(usize),
    /// Of the frames that are held: this one, on another thread or here.
    Drop(prop::sample::Index, bool),
    Reject(prop::sample::Index),
    /// The consumer's handle, and its frames, are replaced by those of a new one.
    Reattach,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..5_usize).prop_map(Step::Send),
        3 => (1..4_usize).prop_map(Step::Recv),
        4 => (any::<prop::sample::Index>(), any::<bool>()).prop_map(|(which, there)| Step::Drop(which, there)),
        1 => any::<prop::sample::Index>().prop_map(Step::Reject),
        1 => Just(Step::Reattach),
    ]
}

/// Whatever the order in which frames are dropped, each message is delivered until it was released,
/// and never again.
fn follows_the_model<K: Kind>(steps: &[Step]) {
    let directory = directory();
    let queue = queue::<K>(&directory);
    let mut producer = queue.producer().unwrap();
    let mut consumer = queue.consumer().unwrap().into_shared();
    let mut held: Vec<(u32, BytesOwnedFrame<K>)> = Vec::new();
    // The messages that are not released, and how many times each was rejected.
    let mut waiting: BTreeMap<u32, u64> = BTreeMap::new();
    let mut next = 0_u32;
    for step in steps {
        match step {
            Step::Send(count) => {
                for _ in 0..*count {
                    let message = next.to_ne_bytes().repeat(1 + next as usize % 20);
                    producer.send(&message).unwrap();
                    waiting.insert(next, 0);
                    next += 1;
                }
            }
            Step::Recv(count) => {
                let expected = waiting.len().min(*count);
                match consumer.try_recv_many(*count) {
                    Ok(frames) => {
                        assert_eq!(frames.len(), expected);
                        for frame in frames {
                            let number = u32::from_ne_bytes(frame[..4].try_into().unwrap());
                            assert_eq!(waiting.remove(&number), Some(frame.redeliveries()), "{number}");
                            held.push((number, frame));
                        }
                    }
                    Err(RecvError::Empty) => assert_eq!(expected, 0),
                    Err(error) => panic!("{error}"),
                }
            }
            Step::Drop(which, there) if !held.is_empty() => {
                let (_, frame) = held.remove(which.index(held.len()));
                if *there { elsewhere(move || drop(frame)) } else { drop(frame) }
            }
            Step::Reject(which) if !held.is_empty() => {
                let (number, frame) = held.remove(which.index(held.len()));
                let redeliveries = frame.redeliveries();
                frame.reject();
                waiting.insert(number, redeliveries + 1);
            }
            Step::Reattach => {
                drop(consumer);
                for (number, frame) in &held {
                    assert_eq!(frame[..4], number.to_ne_bytes(), "still mapped, and unchanged");
                }
                held.clear();
                // Rejected messages and their counts are exercised elsewhere.
                consumer = queue.consumer().unwrap().into_shared();
                for frame in consumer.try_recv_many(1000).unwrap_or_default() {
                    let number = u32::from_ne_bytes(frame[..4].try_into().unwrap());
                    assert!(waiting.remove(&number).is_some(), "{number} was released");
                }
                assert!(waiting.is_empty());
            }
            Step::Drop(..) | Step::Reject(_) => {}
        }
        assert_eq!(consumer.held().unwrap(), held.len());
        for (number, frame) in &held {
            assert_eq!(**frame, *number.to_ne_bytes().repeat(1 + *number as usize % 20));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_orders(steps in prop::collection::vec(step(), 0..60)) {
        follows_the_model::<Spsc>(&steps);
        follows_the_model::<Mpmc>(&steps);
        follows_the_model::<Checksummed<Spsc>>(&steps);
    }
}

#[test]
fn the_role_is_free_when_the_last_frame_is_gone() {
    let directory = directory();
    let queue = queue::<Spsc>(&directory);
    queue.producer().unwrap().send_many(&["one", "two", "three"]).unwrap();
    let consumer = queue.consumer().unwrap().into_shared();
    let mut frames = consumer.recv_many(3).unwrap();
    drop(consumer);
    let last = frames.remove(1);
    drop(frames);
    assert!(matches!(queue.consumer(), Err(AttachError::RoleTaken { .. })));
    elsewhere(move || drop(last));
    let next = queue.consumer().unwrap();
    assert!(matches!(next.try_recv(), Err(RecvError::Empty)), "all were released");
}

/// The call of the consumer that would make released room visible may be far away.
#[test]
fn room_is_visible_when_nothing_is_held() {
    let directory = directory();
    let queue = queue::<Spsc>(&directory);
    queue.producer().unwrap().send(b"small").unwrap();
    let frame = queue.consumer().unwrap().into_shared().recv().unwrap();
    assert_eq!(Image::of(queue.path()).u64_at(at::HEAD), 0);
    let consumer = frame;
    elsewhere(move || drop(consumer));
    let image = Image::of(queue.path());
    assert!(image.u64_at(at::HEAD) > 0);
    assert_eq!(image.u64_at(at::HEAD), image.u64_at(at::RELEASED));
}

#[test]
fn a_panic_returns_the_message() {
    let directory = directory();
    let queue = queue::<Mpmc>(&directory);
    queue.producer().unwrap().send(b"again").unwrap();
    let consumer = queue.consumer().unwrap().into_shared();
    let frame = consumer.recv().unwrap();
    let panicked = std::thread::spawn(move || {
        let _frame = frame;
        std::panic::resume_unwind(Box::new(()));
    });
    assert!(panicked.join().is_err());
    assert_eq!(consumer.recv().unwrap().redeliveries(), 1);
}

/// Threads that share a consumer, all asleep most of the time: each message is received once, and
/// none is slept through.
fn threads_share_a_consumer<K: Kind>() {
    const MESSAGES: u32 = 3000;
    let directory = directory();
    let queue = queue::<K>(&directory);
    let consumer = queue.consumer().unwrap().into_shared();
    consumer.set_wait_strategy(WaitStrategy::Park).unwrap();
    let (kept, to_drop) = channel();
    let mut producer = queue.producer().unwrap();
    let received = std::thread::scope(|scope| {
        let receivers: Vec<_> = (0..3)
            .map(|_| {
                let (consumer, kept) = (consumer.clone(), kept.clone());
                scope.spawn(move || {
                    let mut received = Vec::new();
                    loop {
                        match consumer.recv_timeout(HANGS) {
                            Ok(frame) => {
                                received.push(u32::from_ne_bytes((*frame).try_into().unwrap()));
                                kept.send(frame).unwrap();
                            }
                            Err(RecvError::Closed) => return received,
                            Err(error) => panic!("{error}"),
                        }
                    }
                })
            })
            .collect();
        drop(kept);
        scope.spawn(move || {
            let mut frames: Vec<BytesOwnedFrame<K>> = Vec::new();
            while let Ok(frame) = to_drop.recv() {
                frames.push(frame);
                if frames.len() == 5 {
                    frames.swap_remove(1);
                }
            }
        });
        for number in 0..MESSAGES {
            producer.send(&number.to_ne_bytes()).unwrap();
            if number % 100 == 0 {
                std::thread::sleep(Duration::from_micros(300));
            }
        }
        queue.close();
        receivers.into_iter().flat_map(|receiver| receiver.join().unwrap()).collect::<Vec<u32>>()
    });
    let mut received = received;
    received.sort_unstable();
    assert_eq!(received, (0..MESSAGES).collect::<Vec<_>>());
    assert_eq!(consumer.held().unwrap(), 0);
}

#[test]
fn threads_share_consumers() {
    threads_share_a_consumer::<Spsc>();
    threads_share_a_consumer::<Mpmc>();
}

/// A child inherits a lock that a thread of its parent may have held.
#[test]
fn forked_children_touch_nothing() {
    let directory = directory();
    let queue = queue::<Spsc>(&directory);
    queue.producer().unwrap().send_many(&["one", "two"]).unwrap();
    let consumer = queue.consumer().unwrap().into_shared();
    let frame = consumer.recv().unwrap();
    let canceller = consumer.canceller().unwrap();
    std::thread::scope(|scope| {
        // Takes the lock as often as it can.
        let busy = scope.spawn(|| while consumer.held().is_ok() && !canceller.is_cancelled() {});
        for _ in 0..50 {
            // SAFETY: the child allocates nothing that a lock of the parent's allocator protects,
            // and ends.
            match unsafe { fork() }.unwrap() {
                ForkResult::Child => {
                    let is_refused = matches!(consumer.try_recv(), Err(RecvError::Forked))
                        && matches!(consumer.recv(), Err(RecvError::Forked));
                    // SAFETY: the frame is not used again in this process.
                    drop(unsafe { std::ptr::read(&frame) });
                    // SAFETY: ends the process, and runs nothing of it.
                    unsafe { libc::_exit(if is_refused { 0 } else { 1 }) }
                }
                ForkResult::Parent { child } => {
                    let begun = std::time::Instant::now();
                    loop {
                        match waitpid(child, Some(WaitPidFlag::WNOHANG)).unwrap() {
                            WaitStatus::StillAlive => assert!(begun.elapsed() < HANGS, "the child hangs"),
                            ended => break assert_eq!(ended, WaitStatus::Exited(child, 0)),
                        }
                        std::thread::sleep(Duration::from_micros(100));
                    }
                }
            }
        }
        canceller.cancel();
        busy.join().unwrap();
    });
    assert_eq!(*frame, *b"one");
    drop(frame);
    assert_eq!(*consumer.recv().unwrap(), *b"two");
}

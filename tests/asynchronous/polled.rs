use std::os::fd::{AsFd, AsRawFd};
use std::time::Instant;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use ringway::asynchronous::{PollConsumer, PollProducer};
use ringway::kind::{Kind, Mpmc, Spsc};
use ringway::{RecvError, SendError};

use super::tools::{create, open};
use crate::common::{HANGS, Running, child_argument, child_of, directory};

const MESSAGES: u64 = 5000;

/// Whether the descriptor is readable now.
fn is_readable(descriptor: &impl AsFd) -> bool {
    let mut wanted = [PollFd::new(descriptor.as_fd(), PollFlags::POLLIN)];
    poll(&mut wanted, PollTimeout::ZERO).unwrap() == 1
}

/// Waits until it is, as an event loop in level mode does.
fn wait(epoll: &Epoll) {
    let mut events = [EpollEvent::empty()];
    let timeout = EpollTimeout::try_from(HANGS).unwrap();
    assert_eq!(epoll.wait(&mut events, timeout), Ok(1), "no event came");
}

fn watch(descriptor: &impl AsFd) -> Epoll {
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).unwrap();
    epoll.add(descriptor, EpollEvent::new(EpollFlags::EPOLLIN, 0)).unwrap();
    epoll
}

/// Sends in bursts, at random, and waits for an answer now and then, so that the receiver is idle
/// many times.
fn send<K: Kind>(directory: &std::path::Path) {
    let mut producer = PollProducer::new(open::<K>(&directory.join("there")).producer().unwrap()).unwrap();
    let answers = open::<K>(&directory.join("back")).consumer().unwrap();
    let epoll = watch(&producer);
    for number in 0..MESSAGES {
        while let Err(SendError::Full) = producer.try_send(&number.to_ne_bytes()) {
            wait(&epoll);
        }
        if number % 7 == 0 {
            answers.recv().unwrap();
        }
    }
}

/// Two processes with epoll in level mode: each event leads to a message or is one of few that do
/// not, and none is missing.
fn level_mode_between_two_processes<K: Kind>(test: &str, at_once: usize) {
    if let Some(directory) = child_argument(test) {
        return send::<K>(&directory);
    }
    let dir = directory();
    let there = create::<K>(&dir.path().join("there"), 1024);
    let mut back = create::<K>(&dir.path().join("back"), 4096).producer().unwrap();
    let mut consumer = PollConsumer::new(there.consumer().unwrap()).unwrap();
    let epoll = watch(&consumer);
    let child = Running::start(&mut child_of(test, dir.path()));
    let (mut next, mut events, mut vain, start) = (0, 0, 0, Instant::now());
    while next < MESSAGES {
        wait(&epoll);
        events += 1;
        let before = next;
        for _ in 0..at_once {
            match consumer.try_recv() {
                Ok(frame) => {
                    assert_eq!(*frame, next.to_ne_bytes());
                    if next % 7 == 0 {
                        back.send(b"got it").unwrap();
                    }
                    next += 1;
                }
                Err(RecvError::Empty) => break,
                Err(error) => panic!("{error}"),
            }
        }
        vain += u64::from(next == before);
    }
    assert!(child.finish().succeeded().contains("1 passed"));
    println!("{MESSAGES} messages, {events} events, {vain} of them in vain");
    // After a message one event may be spurious: the consumer then finds that there is no message
    // after it. The sleep timeouts come on top.
    let slices = 10 + start.elapsed().as_millis() as u64 / 2;
    assert!(vain <= MESSAGES + slices, "{vain} events in vain: it spins");
}

#[test]
fn one_by_one_spsc() {
    level_mode_between_two_processes::<Spsc>("asynchronous::polled::one_by_one_spsc", 1);
}

#[test]
fn one_by_one_mpmc() {
    level_mode_between_two_processes::<Mpmc>("asynchronous::polled::one_by_one_mpmc", 1);
}

#[test]
fn until_empty() {
    level_mode_between_two_processes::<Spsc>("asynchronous::polled::until_empty", usize::MAX);
}

#[test]
fn readable_as_long_as_something_may_be_there() {
    let dir = directory();
    let queue = create::<Spsc>(&dir.path().join("q"), 4096);
    let mut producer = queue.producer().unwrap();
    let mut consumer = PollConsumer::new(queue.consumer().unwrap()).unwrap();
    assert!(consumer.as_raw_fd() >= 0 && is_readable(&consumer), "nobody has looked yet");
    assert!(matches!(consumer.try_recv(), Err(RecvError::Empty)));
    let epoll = watch(&consumer);
    producer.send_many(&[b"one", b"two"]).unwrap();
    wait(&epoll);
    for message in [b"one", b"two"] {
        assert!(is_readable(&consumer));
        assert_eq!(*consumer.try_recv().unwrap(), *message);
    }
    assert!(is_readable(&consumer), "there may be more");
    assert!(matches!(consumer.try_recv(), Err(RecvError::Empty)));
    // A message that arrives before the flag is raised is found without it, and a message after it
    // raises the flag.
    producer.send_many(&[b"one", b"two"]).unwrap();
    assert_eq!(*consumer.try_recv().unwrap(), *b"one");
    assert!(is_readable(&consumer), "there is one more");
    assert_eq!(*consumer.try_recv().unwrap(), *b"two");
    assert!(matches!(consumer.try_recv(), Err(RecvError::Empty)));
    queue.close();
    wait(&epoll);
    assert!(matches!(consumer.try_recv(), Err(RecvError::Closed)));
    assert!(is_readable(&consumer), "it stays closed");
}

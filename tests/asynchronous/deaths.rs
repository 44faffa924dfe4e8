use std::os::unix::fs::FileExt;
use std::task::{Context, Poll};

use ringway::asynchronous::AsyncConsumer;
use ringway::kind::{BytesConsumer, Kind, Mpmc, Spsc};
use ringway::mpmc::BytesFrame;

use super::tools::{Wakes, create, open};
use crate::common::{Running, at, child_argument, child_of, directory};

/// Polls whenever it is woken, until there is a message.
fn next<K: Kind, R>(
    consumer: &mut AsyncConsumer<BytesConsumer<K>>,
    wakes: &Wakes,
    context: &mut Context<'_>,
    read: impl Fn(ringway::kind::BytesFrame<'_, K>) -> R,
) -> R {
    loop {
        let before = wakes.count();
        match consumer.poll_recv(context) {
            Poll::Ready(frame) => return read(frame.unwrap()),
            Poll::Pending => wakes.wait_for(before + 1),
        }
    }
}

/// The producer was killed after its commit, before it could notify: the sleep timeout ends, and
/// the task polls.
#[test]
fn a_message_without_a_wake_is_delivered_anyway() {
    let dir = directory();
    let path = dir.path().join("q");
    let mut consumer = AsyncConsumer::new(create::<Spsc>(&path, 4096).consumer().unwrap()).unwrap();
    let (wakes, waker) = Wakes::waker();
    let mut context = Context::from_waker(&waker);
    assert!(consumer.poll_recv(&mut context).is_pending());
    // What a producer does, except the notification: the payload, then the commit word.
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all_at(b"silent", at::LANE as u64 + 128).unwrap();
    file.write_all_at(&(6_u64 << 2 | 1).to_ne_bytes(), at::FIRST_WORD as u64).unwrap();
    assert_eq!(next(&mut consumer, &wakes, &mut context, |frame| frame.to_vec()), b"silent");
}

/// What a killed process held is redelivered to a task that waits.
#[test]
fn what_a_dead_one_held_comes_to_a_task() {
    let test = "asynchronous::deaths::what_a_dead_one_held_comes_to_a_task";
    if let Some(directory) = child_argument(test) {
        let consumer = open::<Mpmc>(&directory.join("q")).consumer().unwrap();
        let frame: BytesFrame<'_> = consumer.recv().unwrap();
        println!("\nholding {} bytes", frame.len());
        loop {
            std::thread::park();
        }
    }
    let dir = directory();
    let queue = create::<Mpmc>(&dir.path().join("q"), 4096);
    let mut child = Running::start(&mut child_of(test, dir.path()));
    queue.producer().unwrap().send(b"held").unwrap();
    child.wait_for_line("holding 4 bytes");
    let mut consumer = AsyncConsumer::new(queue.consumer().unwrap()).unwrap();
    let (wakes, waker) = Wakes::waker();
    let mut context = Context::from_waker(&waker);
    assert!(consumer.poll_recv(&mut context).is_pending());
    child.kill();
    let found = next(&mut consumer, &wakes, &mut context, |frame| (frame.to_vec(), frame.redeliveries()));
    assert_eq!(found, (b"held".to_vec(), 1));
}

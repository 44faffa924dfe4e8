//! The wakes of tasks, without a fallback: in these tests the reactor's sleeps have no timeouts, so that
//! a task that is not woken for a message waits for ever.
#![allow(unsafe_code, reason = "creates queues that no other code has")]

use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::{AsyncConsumer, PollConsumer};
use crate::CreateOptions;
use crate::broadcast::BytesQueue;

const HANGS: Duration = Duration::from_secs(20);

/// Tells that the task was woken.
struct Woken(Sender<()>);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        let _ = self.0.send(());
    }
}

fn waker() -> (Waker, Receiver<()>) {
    let (sender, receiver) = channel();
    (Waker::from(Arc::new(Woken(sender))), receiver)
}

/// Each message of a broadcast queue is for every task: one that is woken first, and does not attempt,
/// delays no other.
#[test]
fn a_stalled_task_delays_no_other_consumer_of_a_broadcast_queue() {
    let dir = tempfile::tempdir().unwrap();
    let options = CreateOptions::new().max_messages(16).max_producers(1);
    // SAFETY: only this test has the file.
    let queue = unsafe { BytesQueue::create_with(dir.path().join("q"), &options) }.unwrap();
    let mut producer = queue.producer().unwrap();
    let mut stalled = AsyncConsumer::new(queue.consumer().unwrap()).unwrap();
    let mut task = AsyncConsumer::new(queue.consumer().unwrap()).unwrap();
    let mut watched = PollConsumer::new(queue.consumer().unwrap()).unwrap();

    assert!(stalled.poll_recv(&mut Context::from_waker(Waker::noop())).is_pending());
    let (waker, woken) = waker();
    assert!(task.poll_recv(&mut Context::from_waker(&waker)).is_pending());
    assert!(watched.try_recv().unwrap_err().is_empty());
    producer.send(b"message").unwrap();

    woken.recv_timeout(HANGS).expect("the task is woken");
    assert!(task.poll_recv(&mut Context::from_waker(&waker)).is_ready());
    let timeout = PollTimeout::try_from(HANGS).unwrap();
    let readable = poll(&mut [PollFd::new(watched.as_fd(), PollFlags::POLLIN)], timeout).unwrap();
    assert_eq!(readable, 1, "the descriptor is readable");
    drop(watched.try_recv().unwrap());
}

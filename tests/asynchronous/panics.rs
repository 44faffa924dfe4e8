//! Wakers are foreign code: a panic in one is not a failure of this task.

use std::cell::Cell;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use ringway::asynchronous::AsyncConsumer;
use ringway::kind::Mpmc;

use super::tools::{Wakes, create};
use crate::common::directory;

/// Panics when it is woken, and when it is dropped without having been.
struct Panics;

thread_local! {
    /// How many such wakers this thread has woken.
    static WOKEN: Cell<u32> = const { Cell::new(0) };
}

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        WOKEN.set(WOKEN.get() + 1);
        // Its drop does not panic as well.
        std::mem::forget(self);
        panic!("a waker panics");
    }
}

impl Drop for Panics {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("a waker panics in its destructor");
        }
    }
}

/// A task that finds a message notifies the next one, whose waker panics: the first task gets the
/// message all the same.
#[test]
fn a_message_is_not_stranded_by_the_panic_of_anothers_waker() {
    let dir = directory();
    let queue = create::<Mpmc>(&dir.path().join("q"), 4096);
    // If a sleep timeout ends meanwhile, the reactor's thread wakes the other one.
    for _ in 0..1000 {
        let consumer = || AsyncConsumer::new(queue.consumer().unwrap()).unwrap();
        let (mut one, mut other) = (consumer(), consumer());
        let (wakes, waker) = Wakes::waker();
        let mut context = Context::from_waker(&waker);
        assert!(one.poll_recv(&mut context).is_pending());
        let panics = Waker::from(Arc::new(Panics));
        assert!(other.poll_recv(&mut Context::from_waker(&panics)).is_pending());
        std::mem::forget(panics);
        queue.producer().unwrap().send(b"for one").unwrap();
        // The one that has waited for longer is notified first; the other by it.
        wakes.wait_for(1);
        match one.poll_recv(&mut context) {
            Poll::Ready(frame) => assert_eq!(&*frame.unwrap(), b"for one"),
            // Notified of the end of a sleep timeout, before the message was there.
            Poll::Pending => drop(queue.consumer().unwrap().recv().unwrap()),
        }
        assert!(queue.stats().backlog == 0);
        if WOKEN.get() > 0 {
            return;
        }
    }
    panic!("the other one's waker was never woken here: this tests nothing");
}

/// A task that was not notified finds a message, and its own old waker panics when it is dropped.
#[test]
fn a_message_is_not_stranded_by_the_panic_of_an_old_waker() {
    let dir = directory();
    let queue = create::<Mpmc>(&dir.path().join("q"), 4096);
    let mut consumer = AsyncConsumer::new(queue.consumer().unwrap()).unwrap();
    // A second one that has waited for longer is notified in its place.
    let mut first = AsyncConsumer::new(queue.consumer().unwrap()).unwrap();
    let (wakes, waker) = Wakes::waker();
    let mut context = Context::from_waker(&waker);
    assert!(first.poll_recv(&mut context).is_pending());
    {
        let panics = Waker::from(Arc::new(Panics));
        assert!(consumer.poll_recv(&mut Context::from_waker(&panics)).is_pending());
        // Its last owner is the registration now.
        drop(panics);
    }
    queue.producer().unwrap().send(b"found").unwrap();
    match consumer.poll_recv(&mut context) {
        Poll::Ready(frame) => assert_eq!(&*frame.unwrap(), b"found"),
        Poll::Pending => panic!("a message is there"),
    }
    assert!(matches!(queue.consumer().unwrap().try_recv(), Err(ringway::RecvError::Empty)), "it is over");
    drop((first, wakes));
}

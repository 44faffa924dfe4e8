use std::task::{Context, Poll};

use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};
use ringway::RecvError;
use ringway::asynchronous::{AsyncConsumer, PollConsumer};
use ringway::kind::Spsc;

use super::tools::{Wakes, create, open};
use crate::common::{directory, in_child};

/// A child's inherited handles return errors; it gets a reactor of its own.
#[test]
fn a_forked_child_starts_its_own_reactor() {
    in_child("asynchronous::forks::a_forked_child_starts_its_own_reactor", || {
        let dir = directory();
        let path = dir.path().join("q");
        let queue = create::<Spsc>(&path, 4096);
        let other = create::<Spsc>(&dir.path().join("other"), 4096);
        let mut inherited = AsyncConsumer::new(queue.consumer().unwrap()).unwrap();
        let mut polled = PollConsumer::new(other.consumer().unwrap()).unwrap();
        let (wakes, waker) = Wakes::waker();
        let mut context = Context::from_waker(&waker);
        // The parent's reactor sleeps on these, and is not there in the child.
        assert!(inherited.poll_recv(&mut context).is_pending());
        assert!(matches!(polled.try_recv(), Err(RecvError::Empty)));
        // SAFETY: this process's only other threads are the test's and the reactor, which hold no
        // lock that the child needs.
        match unsafe { fork() }.unwrap() {
            ForkResult::Child => {
                let is_well = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                    assert!(matches!(inherited.poll_recv(&mut context), Poll::Ready(Err(RecvError::Forked))));
                    assert!(matches!(polled.try_recv(), Err(RecvError::Forked)));
                    drop(polled);
                    let own = create::<Spsc>(&dir.path().join("own"), 4096);
                    let mut consumer = AsyncConsumer::new(own.consumer().unwrap()).unwrap();
                    let (wakes, waker) = Wakes::waker();
                    let mut context = Context::from_waker(&waker);
                    assert!(consumer.poll_recv(&mut context).is_pending());
                    own.producer().unwrap().send(b"own").unwrap();
                    for polls in 1.. {
                        wakes.wait_for(polls);
                        if let Poll::Ready(frame) = consumer.poll_recv(&mut context) {
                            return assert_eq!(*frame.unwrap(), *b"own");
                        }
                    }
                }))
                .is_ok();
                // SAFETY: ends the child without running its parent's exit handlers.
                unsafe { nix::libc::_exit(i32::from(!is_well)) }
            }
            ForkResult::Parent { child } => {
                assert_eq!(waitpid(child, None), Ok(WaitStatus::Exited(child, 0)));
            }
        }
        // The parent's handles go on.
        open::<Spsc>(&path).producer().unwrap().send(b"parent").unwrap();
        for polls in 1.. {
            wakes.wait_for(polls);
            if let Poll::Ready(frame) = inherited.poll_recv(&mut context) {
                return assert_eq!(*frame.unwrap(), *b"parent");
            }
        }
    });
}

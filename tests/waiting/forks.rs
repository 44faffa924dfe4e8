//! Processes that fork while they wait, or before: the child's copies of handles do nothing, and
//! the parent sleeps and wakes as before.

use std::time::{Duration, Instant};

use ringway::kind::{Mpmc, Spsc};
use ringway::{RecvError, SendError, WaitStrategy};

use super::asleep::HANGS;
use super::peer::{Peer, Tried, open, receive_all, with_queue};
use crate::process::{Child, Outcome, Test, ensure};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        Test::new("fork: calls that wait are refused, SPSC", refused::<Spsc>),
        Test::new("fork: calls that wait are refused, MPMC", refused::<Mpmc>),
        Test::new("fork: while a thread sleeps, SPSC", while_asleep::<Spsc>),
        Test::new("fork: while a thread sleeps, MPMC", while_asleep::<Mpmc>),
        Test::new("fork: the child takes part, and wakes its parent, SPSC", child_wakes::<Spsc>),
        Test::new("fork: the child takes part, and wakes its parent, MPMC", child_wakes::<Mpmc>),
    ]
}

/// The child waits for nothing, also where there is nothing.
fn refused<K: Tried>() -> Outcome {
    with_queue::<K>(|_, queue| {
        let (mut producer, consumer) = (queue.producer()?, queue.consumer()?);
        for wait in [WaitStrategy::Spin, WaitStrategy::SpinThenPark, WaitStrategy::Park] {
            consumer.set_wait_strategy(wait);
            producer.set_wait_strategy(wait);
            Child::fork(|| {
                let later = Instant::now() + 2 * HANGS;
                let error = consumer.recv().map(drop);
                ensure!(matches!(error, Err(RecvError::Forked)), "recv: {error:?}");
                let error = consumer.recv_deadline(later).map(drop);
                ensure!(matches!(error, Err(RecvError::Forked)), "recv_deadline: {error:?}");
                let error = consumer.recv_many_deadline(2, later).map(drop);
                ensure!(matches!(error, Err(RecvError::Forked)), "recv_many_deadline: {error:?}");
                let error = consumer.wait_for_producer(2 * HANGS);
                ensure!(matches!(error, Err(RecvError::Forked)), "wait_for_producer: {error:?}");
                let first = consumer.iter().next().map(|result| result.map(drop));
                ensure!(matches!(first, Some(Err(RecvError::Forked))), "iter: {first:?}");
                let error = producer.send_deadline(&[0; 8], later);
                ensure!(matches!(error, Err(SendError::Forked)), "send_deadline: {error:?}");
                let error = producer.reserve_deadline(8, later).map(drop);
                ensure!(matches!(error, Err(SendError::Forked)), "reserve_deadline: {error:?}");
                Ok(())
            })
            .join_within(HANGS)?;
        }
        producer.send(&[0; 8])?;
        ensure!(consumer.recv()?.len() == 8, "another message");
        Ok(())
    })
}

/// A process forks again and again while a thread of it sleeps; its children drop what they have
/// inherited. The thread gets every message.
fn while_asleep<K: Tried>() -> Outcome {
    with_queue::<K>(|place, queue| {
        let peer = Peer::start(|notes| {
            let queue = open::<K>(place)?;
            let consumer = queue.consumer()?;
            let canceller = consumer.canceller();
            consumer.set_wait_strategy(WaitStrategy::Park);
            std::thread::scope(|scope| {
                let receiver =
                    scope.spawn(move || receive_all(&consumer, notes).map_err(|error| error.to_string()));
                while !receiver.is_finished() {
                    // SAFETY: the child calls nothing that allocates or locks.
                    match unsafe { nix::unistd::fork() }? {
                        nix::unistd::ForkResult::Child => {
                            drop(canceller);
                            // SAFETY: ends the child.
                            unsafe { nix::libc::_exit(0) };
                        }
                        nix::unistd::ForkResult::Parent { child } => {
                            nix::sys::wait::waitpid(child, None)?;
                            notes.set_state(notes.state() + 1);
                        }
                    }
                }
                Ok(receiver.join().expect("no panic")?)
            })
        });
        let mut producer = queue.producer()?;
        let count = 50;
        for number in 0..count {
            peer.wait_until_asleep()?;
            producer.send(&u64::to_ne_bytes(number))?;
            peer.wait_for_count(number + 1)?;
        }
        queue.close();
        let children = peer.notes.state();
        println!("     {children} children");
        ensure!(children > 0, "it has not forked");
        peer.ends_with(&(0..count).collect::<Vec<_>>())
    })
}

/// The child opens the queue anew and sends; its parent sleeps until then. The child's wakes reach
/// it, and its barriers the child.
fn child_wakes<K: Tried>() -> Outcome {
    with_queue::<K>(|place, queue| {
        let rounds = 30;
        for round in 0..rounds {
            let consumer = queue.consumer()?;
            consumer.set_wait_strategy(WaitStrategy::Park);
            let child = Child::fork(|| {
                let mut producer = open::<K>(place)?.producer()?;
                std::thread::sleep(Duration::from_micros(500));
                Ok(producer.send(&u64::to_ne_bytes(round))?)
            });
            let frame = consumer.recv_timeout(HANGS)?;
            ensure!(*frame == u64::to_ne_bytes(round), "another message");
            child.join_within(HANGS)?;
        }
        Ok(())
    })
}

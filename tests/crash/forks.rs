//! fork() without exec: the child must not use what its parent holds, and cannot spoil it.

use std::sync::atomic::Ordering;

use nix::sys::prctl;
use ringway::spsc::{BytesConsumer, BytesProducer, BytesQueue};
use ringway::{AttachError, RecvError, SendError};

use super::both::wait_for;
use crate::KINDS;
use crate::process::{Child, Kind, Outcome, TestDir, Words, ensure};

/// A queue with two messages, and its producer and consumer.
fn with_parent(
    kind: Kind,
    body: impl FnOnce(&TestDir, &BytesQueue, &mut BytesProducer, &BytesConsumer) -> Outcome,
) -> Outcome {
    let place = TestDir::new()?;
    let queue = kind.create(&place)?;
    let mut producer = queue.producer()?;
    let consumer = queue.consumer()?;
    for seq in 0..2 {
        producer.send(&kind.shape.message(seq))?;
    }
    body(&place, &queue, &mut producer, &consumer)?;
    drop((queue, producer, consumer));
    place.leave()
}

fn kinds() -> [Kind; 2] {
    [KINDS[0].telling(), KINDS[3]]
}

/// Every operation of an inherited handle is refused with `Forked`, and the parent's go on.
pub(crate) fn handles_are_refused() -> Outcome {
    for kind in kinds() {
        with_parent(kind, |_, queue, producer, consumer| {
            let message = kind.shape.message(2);
            Child::fork(|| {
                macro_rules! refused {
                    ($call:expr, $error:path) => {
                        let result = $call;
                        ensure!(
                            matches!(result, Err($error)),
                            "{}: expected Forked, found {:?}",
                            stringify!($call),
                            result.map(|_| ())
                        );
                    };
                }
                refused!(producer.try_send(&message), SendError::Forked);
                refused!(producer.send(&message), SendError::Forked);
                refused!(producer.send_timeout(&message, std::time::Duration::ZERO), SendError::Forked);
                refused!(producer.try_send_many(&[&message]), SendError::Forked);
                refused!(producer.send_many(&[&message]), SendError::Forked);
                refused!(producer.try_reserve(message.len()), SendError::Forked);
                refused!(producer.reserve(message.len()), SendError::Forked);
                refused!(producer.batch(), SendError::Forked);
                refused!(consumer.try_recv(), RecvError::Forked);
                refused!(consumer.recv(), RecvError::Forked);
                refused!(consumer.recv_timeout(std::time::Duration::ZERO), RecvError::Forked);
                refused!(consumer.try_recv_many(2), RecvError::Forked);
                refused!(consumer.recv_many(2), RecvError::Forked);
                refused!(queue.producer(), AttachError::Forked);
                refused!(queue.consumer(), AttachError::Forked);
                Ok(())
            })
            .join()?;
            producer.send(&message)?;
            for seq in 0..3 {
                ensure!(kind.shape.is(seq, &consumer.try_recv()?), "message {seq} was changed");
            }
            ensure!(matches!(consumer.try_recv(), Err(RecvError::Empty)), "one more message came");
            Ok(())
        })?;
    }
    Ok(())
}

/// The child drops, rejects and unwinds what it inherited: no byte of the file changes, and the
/// liveness locks stay held.
pub(crate) fn drops_change_nothing() -> Outcome {
    for kind in kinds() {
        let place = TestDir::new()?;
        let queue = kind.create(&place)?;
        let mut producer = Some(queue.producer()?);
        let consumer = queue.consumer()?;
        for seq in 0..3 {
            send(&mut producer, &kind.shape.message(seq))?;
        }
        let mut guards = (Some(consumer.try_recv()?), Some(consumer.try_recv()?));
        let mut run = Some(consumer.try_recv_many(1)?);
        let before = std::fs::read(place.path())?;
        Child::fork(|| {
            drop(guards.0.take());
            guards.1.take().expect("a frame").reject();
            let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                let _held = run.take();
                // Not `panic!`: its message would not be of interest.
                std::panic::resume_unwind(Box::new(()));
            }));
            ensure!(unwound.is_err(), "nothing was unwound");
            drop(producer.take());
            // SAFETY: the child ends without using the consumer again; its guards are gone.
            drop(unsafe { std::ptr::read(&consumer) });
            ensure!(std::fs::read(place.path())? == before, "dropping what was inherited changed the file");
            Ok(())
        })
        .join()?;

        ensure!(std::fs::read(place.path())? == before, "the child changed the file when it ended");
        ensure!(
            matches!(queue.producer(), Err(AttachError::RoleTaken { .. })),
            "the producer's lease is gone"
        );
        ensure!(
            matches!(queue.consumer(), Err(AttachError::RoleTaken { .. })),
            "the consumer's lease is gone"
        );
        let frames = [guards.0.take().expect("a frame"), guards.1.take().expect("a frame")];
        for (seq, frame) in (0..).zip(frames) {
            ensure!(kind.shape.is(seq, &frame), "message {seq} was changed");
        }
        drop((guards, run));
        send(&mut producer, &kind.shape.message(3))?;
        ensure!(kind.shape.is(3, &consumer.try_recv()?), "message 3 was changed");
        drop((producer, consumer));
        kind.is_whole(&queue)?;
        place.leave()?;
    }
    Ok(())
}

fn send(producer: &mut Option<BytesProducer>, message: &[u8]) -> Outcome {
    Ok(producer.as_mut().expect("a producer").try_send(message)?)
}

/// The child opens the queue itself: roles that its parent holds are taken, others are free.
pub(crate) fn child_takes_part_anew() -> Outcome {
    for kind in kinds() {
        let place = TestDir::new()?;
        let queue = kind.create(&place)?;
        let consumer = queue.consumer()?;
        Child::fork(|| {
            let again = place.open()?;
            let refused = again.consumer();
            ensure!(
                matches!(&refused, Err(AttachError::RoleTaken { pid, .. }) if *pid == std::os::unix::process::parent_id()),
                "expected RoleTaken by the parent, found {refused:?}"
            );
            again.producer()?.send(&kind.shape.message(0))?;
            Ok(())
        })
        .join()?;
        ensure!(kind.shape.is(0, &consumer.recv()?), "the child's message was changed");
        ensure!(!consumer.has_producer()?, "the child is gone, its lease is not");
        // A grandchild makes handles of its own after its parent's became invalid.
        Child::fork(|| {
            let mut mine = place.open()?.producer()?;
            Child::fork(|| {
                let refused = mine.try_send(&kind.shape.message(1));
                ensure!(matches!(refused, Err(SendError::Forked)), "expected Forked, found {refused:?}");
                let refused = place.open()?.producer();
                ensure!(matches!(refused, Err(AttachError::RoleTaken { .. })), "found {refused:?}");
                Ok(())
            })
            .join()?;
            Ok(mine.send(&kind.shape.message(1))?)
        })
        .join()?;
        ensure!(kind.shape.is(1, &consumer.recv()?), "the child's message was changed");
        drop(consumer);
        drop(queue);
        place.leave()?;
    }
    Ok(())
}

/// Closing takes no role, so a child may do it: it holds for the parent, and what was sent is still received.
pub(crate) fn the_child_closes() -> Outcome {
    for kind in kinds() {
        with_parent(kind, |_, queue, producer, consumer| {
            Child::fork(|| {
                queue.close();
                Ok(())
            })
            .join()?;
            ensure!(queue.is_closed(), "the parent's queue is not closed");
            let result = producer.try_send(&kind.shape.message(2));
            ensure!(matches!(result, Err(SendError::Closed)), "sending to a closed queue: {result:?}");
            for seq in 0..2 {
                ensure!(kind.shape.is(seq, &consumer.recv()?), "message {seq} was changed");
            }
            let result = consumer.recv().map(|_| ());
            ensure!(matches!(result, Err(RecvError::Closed)), "receiving from a closed queue: {result:?}");
            Ok(())
        })?;
    }
    Ok(())
}

/// A forked child that lives on does not keep its dead parent's roles, with all the handles that it
/// inherited.
pub(crate) fn child_does_not_keep_roles() -> Outcome {
    for kind in kinds() {
        let place = TestDir::new()?;
        let queue = kind.create(&place)?;
        let words = Words::new(3);
        let (lives, may_end, has_ended) = (&words[0], &words[1], &words[2]);
        let parent = Child::fork(|| {
            let _handles = (place.open()?.producer()?, place.open()?.consumer()?);
            let child = Child::fork(|| {
                // This child does not end with its parent, but it does not live for ever either.
                prctl::set_pdeathsig(None)?;
                lives.store(1, Ordering::SeqCst);
                let ended = wait_for(|| may_end.load(Ordering::SeqCst) == 1);
                has_ended.store(1, Ordering::SeqCst);
                ended
            });
            child.join()
        });
        wait_for(|| lives.load(Ordering::SeqCst) == 1)?;
        ensure!(
            matches!(queue.producer(), Err(AttachError::RoleTaken { .. })),
            "the producer's role is free"
        );
        ensure!(
            matches!(queue.consumer(), Err(AttachError::RoleTaken { .. })),
            "the consumer's role is free"
        );
        parent.kill()?;
        let (producer, consumer) = (queue.producer()?, queue.consumer()?);
        ensure!(has_ended.load(Ordering::SeqCst) == 0, "the child ended too early: nothing was tested");
        may_end.store(1, Ordering::SeqCst);
        wait_for(|| has_ended.load(Ordering::SeqCst) == 1)?;
        drop((producer, consumer));
        kind.is_whole(&queue)?;
        place.leave()?;
    }
    Ok(())
}

//! fork() without exec: the child must not use what its parent holds, and cannot spoil it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use nix::sys::prctl;
use ringway::{AttachError, RecoverError, RecvError, SendError};

use super::{comes, small, with_queue};
use crate::crash::both::wait_for;
use crate::process::{Child, Outcome, Words, ensure, gets_nothing_more};

/// Every operation of an inherited handle is refused with `Forked`, and the parent's go on.
pub(crate) fn handles_are_refused() -> Outcome {
    with_queue(&small(), |place, queue| {
        let (mut producer, consumer) = (queue.producer()?, queue.consumer()?);
        producer.send_many(&[b"a", b"b"])?;
        let before = std::fs::read(place.path())?;
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
            refused!(producer.try_send(b"c"), SendError::Forked);
            refused!(producer.send(b"c"), SendError::Forked);
            refused!(producer.send_timeout(b"c", Duration::ZERO), SendError::Forked);
            refused!(producer.try_send_many(&[b"c"]), SendError::Forked);
            refused!(producer.send_many(&[b"c"]), SendError::Forked);
            refused!(producer.try_reserve(1), SendError::Forked);
            refused!(producer.reserve(1), SendError::Forked);
            refused!(producer.batch(), SendError::Forked);
            refused!(consumer.try_recv(), RecvError::Forked);
            refused!(consumer.recv(), RecvError::Forked);
            refused!(consumer.recv_timeout(Duration::ZERO), RecvError::Forked);
            refused!(consumer.try_recv_many(2), RecvError::Forked);
            refused!(consumer.recv_many(2), RecvError::Forked);
            refused!(queue.producer(), AttachError::Forked);
            refused!(queue.consumer(), AttachError::Forked);
            refused!(queue.recover(), RecoverError::Forked);
            ensure!(queue.stats().backlog == 2, "counters can be read");
            Ok(())
        })
        .join()?;
        ensure!(std::fs::read(place.path())? == before, "the child changed the file");
        producer.send(b"c")?;
        for expected in [b"a", b"b", b"c"] {
            comes(&consumer, expected, 0)?;
        }
        Ok(())
    })
}

/// Claims, guards, producers and consumers that the child inherits and drops: no byte of the file changes.
pub(crate) fn drops_change_nothing() -> Outcome {
    with_queue(&small(), |place, queue| {
        let mut producer = queue.producer()?;
        let consumer = queue.consumer()?;
        producer.send_many(&[b"a", b"b", b"c"])?;
        let mut other = queue.producer()?;
        let mut batch = Some(other.batch()?);
        batch.as_mut().expect("a batch").try_reserve(5)?.fill(1);
        let mut claim = Some(producer.try_reserve(10)?);
        let mut guards = (Some(consumer.try_recv()?), Some(consumer.try_recv()?));
        let mut run = Some(consumer.try_recv_many(1)?);
        let before = std::fs::read(place.path())?;
        Child::fork(|| {
            let refused = claim.take().expect("a claim").commit();
            ensure!(matches!(refused, Err(SendError::Forked)), "expected Forked, found {refused:?}");
            let refused = batch.take().expect("a batch").commit();
            ensure!(matches!(refused, Err(SendError::Forked)), "expected Forked, found {refused:?}");
            drop(guards.0.take());
            guards.1.take().expect("a frame").reject();
            let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                let _held = run.take();
                // Not `panic!`: its message would not be of interest.
                std::panic::resume_unwind(Box::new(()));
            }));
            ensure!(unwound.is_err(), "nothing was unwound");
            // SAFETY: the child ends without using the consumer again; its guards are gone.
            drop(unsafe { std::ptr::read(&consumer) });
            ensure!(std::fs::read(place.path())? == before, "dropping what was inherited changed the file");
            Ok(())
        })
        .join()?;
        ensure!(std::fs::read(place.path())? == before, "the child changed the file when it ended");
        ensure!(queue.recover()? == ringway::Recovery::default(), "a lease is gone");
        ensure!(queue.stats().participants.iter().all(|one| one.alive), "a lease is gone");
        claim.take().expect("a claim").commit()?;
        batch.take().expect("a batch").commit().expect_err("four are out");
        drop((guards, run));
        ensure!(consumer.try_recv()?.len() == 10, "the parent's claim was committed");
        let mut mine = Some(producer);
        Child::fork(|| {
            drop(mine.take());
            Ok(())
        })
        .join()?;
        mine.as_mut().expect("a producer").send(b"d")?;
        comes(&consumer, b"d", 0)
    })
}

/// The child opens the queue itself, and is one more participant.
pub(crate) fn child_takes_part_anew() -> Outcome {
    with_queue(&small(), |place, queue| {
        let (mut producer, consumer) = (queue.producer()?, queue.consumer()?);
        for _ in 0..5 {
            Child::fork(|| {
                let again = place.open_mpmc()?;
                let mut mine = again.producer()?;
                mine.send(b"of the child")?;
                ensure!(again.stats().participants.len() == 3, "{:?}", again.stats());
                ensure!(again.recover()? == ringway::Recovery::default(), "its parent was taken for dead");
                ensure!(matches!(producer.try_send(b"x"), Err(SendError::Forked)), "not the parent's");
                Child::fork(|| {
                    ensure!(matches!(mine.try_send(b"x"), Err(SendError::Forked)), "not the child's");
                    place.open_mpmc()?.producer()?.send(b"of its child")?;
                    Ok(())
                })
                .join()?;
                Ok(mine.send(b"still")?)
            })
            .join()?;
            for expected in [b"of the child".as_slice(), b"of its child", b"still"] {
                comes(&consumer, expected, 0)?;
            }
            producer.send(b"of the parent")?;
            comes(&consumer, b"of the parent", 0)?;
            ensure!(queue.stats().participants.len() == 2, "the child is gone");
        }
        gets_nothing_more(queue)
    })
}

/// A forked child that lives on keeps neither its dead parent's entries nor what these held.
pub(crate) fn child_does_not_keep_places() -> Outcome {
    with_queue(&small().max_participants(3), |place, queue| {
        let words = Words::new(3);
        let (lives, may_end, has_ended) = (&words[0], &words[1], &words[2]);
        let mut mine = queue.producer()?;
        mine.send(b"held")?;
        let parent = Child::fork(|| {
            let (_producer, consumer) = (place.open_mpmc()?.producer()?, place.open_mpmc()?.consumer()?);
            let _frame = consumer.recv()?;
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
            matches!(queue.consumer(), Err(AttachError::TooManyParticipants { .. })),
            "all places are taken"
        );
        parent.kill()?;
        let consumer = queue.consumer()?;
        let producer = queue.producer()?;
        comes(&consumer, b"held", 1)?;
        ensure!(has_ended.load(Ordering::SeqCst) == 0, "the child ended too early: nothing was tested");
        may_end.store(1, Ordering::SeqCst);
        wait_for(|| has_ended.load(Ordering::SeqCst) == 1)?;
        drop((producer, consumer, mine));
        gets_nothing_more(queue)
    })
}

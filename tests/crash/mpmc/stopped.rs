//! A stopped participant is not dead.

use std::fs::File;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use nix::sys::signal::Signal;
use ringway::mpmc::{BytesConsumer, BytesProducer, BytesQueue};
use ringway::{AttachError, SendError};

use super::{SOON, comes, nothing_comes, small, with_queue};
use crate::crash::both::{pass_time, wait_for};
use crate::process::{Child, Outcome, TestDir, Words, ensure, gets_nothing_more, progress};

fn stop(child: &mut Child) -> Outcome {
    child.signal(Signal::SIGSTOP)?;
    let status = child.wait()?;
    ensure!(matches!(status, nix::sys::wait::WaitStatus::Stopped(..)), "it was to stop, but {status:?}");
    Ok(())
}

/// No other participant gets what it holds, or writes over it; when it is continued, it goes on.
pub(crate) fn consumer_keeps() -> Outcome {
    with_queue(&small(), |place, queue| {
        let words = Words::new(2);
        let (holds, may_go_on) = (&words[0], &words[1]);
        let mut producer = queue.producer()?;
        producer.send_many(&[[1; 800], [2; 800]])?;
        let mut child = Child::fork(|| {
            let consumer = place.open_mpmc()?.consumer()?;
            let frames = [consumer.recv()?, consumer.recv()?];
            holds.store(1, Ordering::SeqCst);
            wait_for(|| may_go_on.load(Ordering::SeqCst) == 1)?;
            ensure!(*frames[0] == [1; 800] && *frames[1] == [2; 800], "a message changed while it was held");
            drop(frames);
            ensure!(*consumer.recv_timeout(SOON)? == [9; 800], "another message came");
            Ok(())
        });
        wait_for(|| holds.load(Ordering::SeqCst) == 1)?;
        stop(&mut child)?;
        let consumer = queue.consumer()?;
        for _ in 0..20 {
            let recovery = queue.recover()?;
            ensure!(recovery == ringway::Recovery::default(), "{recovery:?}");
        }
        // What is left goes on: two slots and the rest of the lane.
        for _ in 0..50 {
            producer.try_send(&[3; 800]).or_else(|error| match error {
                SendError::Full => Ok(()),
                error => Err(error),
            })?;
            while consumer.try_recv().is_ok() {}
        }
        nothing_comes(&consumer)?;
        drop(consumer);
        may_go_on.store(1, Ordering::SeqCst);
        child.signal(Signal::SIGCONT)?;
        producer.send_timeout(&[9; 800], SOON)?;
        child.join()?;
        ensure!(queue.stats().deaths == 0, "{:?}", queue.stats());
        gets_nothing_more(queue)
    })
}

pub(crate) fn producer_keeps() -> Outcome {
    with_queue(&small().max_participants(2), |place, queue| {
        let words = Words::new(1);
        let mut child = Child::fork(|| {
            let mut producer = place.open_mpmc()?.producer()?;
            for number in 0_u64.. {
                producer.send(&number.to_le_bytes())?;
                words[0].store(number + 1, Ordering::SeqCst);
            }
            Ok(())
        });
        wait_for(|| words[0].load(Ordering::SeqCst) > 0)?;
        let consumer = queue.consumer()?;
        let mut next = 0_u64;
        for _ in 0..50 {
            progress();
            stop(&mut child)?;
            ensure!(consumer.has_producer()?, "a stopped producer was taken for dead");
            ensure!(
                matches!(queue.producer(), Err(AttachError::TooManyParticipants { .. })),
                "its place is taken"
            );
            ensure!(queue.recover()? == ringway::Recovery::default(), "it was taken for dead");
            let before = next;
            child.signal(Signal::SIGCONT)?;
            let start = Instant::now();
            while next < before + 20 {
                comes(&consumer, &next.to_le_bytes(), 0)?;
                next += 1;
                ensure!(start.elapsed() < SOON, "nothing comes");
            }
        }
        child.kill()?;
        while let Ok(frame) = consumer.try_recv() {
            ensure!(*frame == next.to_le_bytes(), "out of order");
            next += 1;
        }
        gets_nothing_more(queue)
    })
}

/// A participant is stopped while it holds the recovery lock: others learn of it immediately, and
/// messages go on.
pub(crate) fn one_that_recovers() -> Outcome {
    with_queue(&small(), |place, queue| {
        let mut producer = queue.producer()?;
        let consumer = queue.consumer()?;
        let words = Words::new(1);
        let mut child = Child::fork(|| {
            let _description = lock_recovery(place)?;
            words[0].store(1, Ordering::SeqCst);
            wait_for(|| words[0].load(Ordering::SeqCst) == 2)
        });
        wait_for(|| words[0].load(Ordering::SeqCst) == 1)?;
        for _ in 0..10 {
            stop(&mut child)?;
            ensure!(
                matches!(queue.recover(), Err(ringway::RecoverError::Busy { .. })),
                "the lock was not respected"
            );
            goes_on(queue, &mut producer, &consumer)?;
            child.signal(Signal::SIGCONT)?;
        }
        words[0].store(2, Ordering::SeqCst);
        child.join()?;
        queue.recover()?;
        drop((producer, consumer));
        gets_nothing_more(queue)
    })
}

/// The lock as the format describes it (docs/format.md), on a description of its own.
fn lock_recovery(place: &TestDir) -> Outcome<File> {
    let description = File::options().read(true).write(true).open(place.path())?;
    let lock = libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 1 << 62,
        l_len: 1,
        l_pid: 0,
    };
    fcntl(&description, FcntlArg::F_OFD_SETLK(&lock))?;
    Ok(description)
}

/// With a real participant: it is stopped at random points in `recover`, many of which are under
/// the lock.
pub(crate) fn at_random_while_it_recovers() -> Outcome {
    with_queue(&small().max_messages(1024).max_participants(500), |place, queue| {
        let mut producer = queue.producer()?;
        let consumer = queue.consumer()?;
        let many: Vec<_> = (0..300).map(|_| queue.consumer()).collect::<Result<_, _>>()?;
        let words = Words::new(1);
        let mut child = Child::fork(|| {
            let queue = place.open_mpmc()?;
            loop {
                // Each pass probes about three hundred liveness locks.
                queue.recover()?;
                words[0].fetch_add(1, Ordering::SeqCst);
            }
        });
        wait_for(|| words[0].load(Ordering::SeqCst) > 0)?;
        let mut busy = 0;
        for round in 0..30 {
            progress();
            // The wait below ends when a pass does: without this every stop would hit the same
            // place, outside the lock.
            pass_time(Duration::from_micros(7 * round));
            stop(&mut child)?;
            busy += match queue.recover() {
                Err(ringway::RecoverError::Busy { .. }) => 1,
                other => other.map(|_| 0)?,
            };
            goes_on(queue, &mut producer, &consumer)?;
            child.signal(Signal::SIGCONT)?;
            let before = words[0].load(Ordering::SeqCst);
            wait_for(|| words[0].load(Ordering::SeqCst) > before + 2)?;
        }
        println!("     {busy} of 30 times the one that was stopped held the recovery lock");
        stop(&mut child)?;
        child.kill()?;
        drop((many, producer, consumer));
        gets_nothing_more(queue)
    })
}

/// Messages pass, and attaching waits for no other participant.
fn goes_on(queue: &BytesQueue, producer: &mut BytesProducer, consumer: &BytesConsumer) -> Outcome {
    producer.try_send(b"a")?;
    comes(consumer, b"a", 0)?;
    drop(queue.producer()?);
    Ok(())
}

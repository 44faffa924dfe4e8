//! Whoever is stopped is not dead.

use std::sync::atomic::Ordering;
use std::time::Instant;

use nix::sys::signal::Signal;
use ringway::{AttachError, SendError};

use super::{SOON, comes, nothing_comes, small, with_queue};
use crate::crash::both::wait_for;
use crate::process::{Child, Outcome, Words, ensure, gets_nothing_more, progress};

fn stop(child: &mut Child) -> Outcome {
    child.signal(Signal::SIGSTOP)?;
    let status = child.wait()?;
    ensure!(matches!(status, nix::sys::wait::WaitStatus::Stopped(..)), "it was to stop, but {status:?}");
    Ok(())
}

/// Nobody else gets what it holds, and nobody writes over it; when it is continued, it goes on.
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
        // What else there is goes on: two links and what is left of the lane.
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
    with_queue(&small().participants(2), |place, queue| {
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
            ensure!(matches!(queue.producer(), Err(AttachError::NoEntry { .. })), "its place is taken");
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

/// Those who are stopped at random points in `recover` hold the recovery lock now and then: others are told so at once,
/// and messages go on.
pub(crate) fn one_that_recovers() -> Outcome {
    with_queue(&small().links(1024).participants(500), |place, queue| {
        let mut producer = queue.producer()?;
        let consumer = queue.consumer()?;
        let many: Vec<_> = (0..300).map(|_| queue.consumer()).collect::<Result<_, _>>()?;
        let words = Words::new(1);
        let mut child = Child::fork(|| {
            let queue = place.open_mpmc()?;
            loop {
                // Each asks the kernel about three hundred leases.
                let _ = queue.recover();
                words[0].fetch_add(1, Ordering::SeqCst);
            }
        });
        wait_for(|| words[0].load(Ordering::SeqCst) > 0)?;
        let mut busy = 0;
        for _ in 0..30 {
            progress();
            stop(&mut child)?;
            busy += u64::from(matches!(queue.recover(), Err(ringway::RecoverError::Busy { .. })));
            producer.try_send(b"a")?;
            comes(&consumer, b"a", 0)?;
            // Attaching does not wait for it either.
            drop(queue.producer()?);
            child.signal(Signal::SIGCONT)?;
            let before = words[0].load(Ordering::SeqCst);
            wait_for(|| words[0].load(Ordering::SeqCst) > before + 2)?;
        }
        ensure!(busy > 0, "it was never stopped while it recovered: nothing was tested");
        println!("     {busy} of 30 times the one that was stopped held the recovery lock");
        stop(&mut child)?;
        child.kill()?;
        drop((many, producer, consumer));
        gets_nothing_more(queue)
    })
}

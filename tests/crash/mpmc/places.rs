//! Registry entries: how many there are, and when they are free again.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ringway::{AttachError, CreateOptions};

use super::{SOON, holder, living, sender, small, with_queue};
use crate::crash::both::wait_for;
use crate::process::{Child, Outcome, Words, ensure, gets_nothing_more, progress};

fn no_place<P>(result: Result<P, AttachError>) -> Outcome {
    match result {
        Err(AttachError::TooManyParticipants { .. }) => Ok(()),
        Err(error) => Err(error.into()),
        Ok(_) => Err("there is a place, and there should be none".into()),
    }
}

pub(crate) fn free_after_death() -> Outcome {
    with_queue(&small().max_participants(3), |place, queue| {
        for _ in 0..30 {
            let children = [sender(place, &[])?, holder(place, 0)?, sender(place, &[])?];
            no_place(queue.producer())?;
            no_place(queue.consumer())?;
            let [one, two, three] = children;
            two.kill()?;
            let producer = queue.producer()?;
            no_place(queue.consumer())?;
            one.kill()?;
            let consumer = queue.consumer()?;
            no_place(queue.producer())?;
            three.kill()?;
            drop((producer, consumer));
        }
        gets_nothing_more(queue)
    })
}

pub(crate) fn all_participants_at_once() -> Outcome {
    with_queue(&small().max_participants(4), |place, queue| {
        for round in 0..30 {
            let children =
                [sender(place, &[b"x"])?, holder(place, 1)?, sender(place, &[])?, holder(place, 0)?];
            no_place(queue.producer())?;
            for child in &children {
                child.strike()?;
            }
            children.into_iter().try_for_each(Child::reap)?;
            let _all = [queue.producer()?, queue.producer()?, queue.producer()?];
            let consumer = queue.consumer()?;
            ensure!(consumer.recv_timeout(SOON)?.redeliveries() == 1, "round {round}");
        }
        gets_nothing_more(queue)
    })
}

/// Another process may be recovering just then: its being busy must not hide that the dead
/// participant's entry is free.
pub(crate) fn free_while_others_recover() -> Outcome {
    with_queue(&small().max_participants(64), |place, queue| {
        let _others: Vec<_> = (0..63).map(|_| queue.consumer()).collect::<Result<_, _>>()?;
        let words = Words::new(1);
        let recoverer = Child::fork(|| {
            let queue = place.open_mpmc()?;
            loop {
                let _ = queue.recover();
                words[0].fetch_add(1, Ordering::SeqCst);
            }
        });
        wait_for(|| words[0].load(Ordering::SeqCst) > 0)?;
        let mut refused = 0;
        for _ in 0..200 {
            progress();
            let dead = living(|ready| {
                let queue = place.open_mpmc()?;
                let _producer = loop {
                    match queue.producer() {
                        Err(AttachError::TooManyParticipants { .. }) => {}
                        other => break other?,
                    }
                };
                ready()
            })?;
            dead.kill()?;
            match queue.producer() {
                Ok(producer) => drop(producer),
                Err(AttachError::TooManyParticipants { .. }) => refused += 1,
                Err(error) => return Err(error.into()),
            }
        }
        recoverer.kill()?;
        ensure!(refused == 0, "{refused} of 200 times the only place was a dead one's, and was refused");
        Ok(())
    })
}

/// As many as this in a few processes: a liveness lock keeps no descriptor. All participants of a
/// handle together keep one, which recoveries lock.
pub(crate) fn a_thousand() -> Outcome {
    const PROCESSES: u64 = 4;
    const EACH: u64 = 260;
    let options = CreateOptions::new().max_messages(64).ring_bytes(4096).max_participants(1100);
    with_queue(&options, |place, queue| {
        let words = Words::new(2);
        let (ready, may_go) = (&words[0], &words[1]);
        let start = Instant::now();
        let children: Vec<_> = (0..PROCESSES)
            .map(|_| {
                Child::fork(|| {
                    let queue = place.open_mpmc()?;
                    let open = || std::fs::read_dir("/proc/self/fd").map(Iterator::count);
                    let before = open()?;
                    let (mut producers, mut consumers) = (Vec::new(), Vec::new());
                    for _ in 0..EACH / 2 {
                        producers.push(queue.producer()?);
                        consumers.push(queue.consumer()?);
                        ready.fetch_add(2, Ordering::SeqCst);
                    }
                    ensure!(open()? == before + 1, "{} descriptors, {before} before", open()?);
                    while may_go.load(Ordering::SeqCst) == 0 {
                        std::thread::sleep(Duration::from_millis(1));
                    }
                    for producer in &mut producers {
                        producer.send(b"from each")?;
                        consumers[0].recv()?;
                    }
                    Ok(())
                })
            })
            .collect();
        while ready.load(Ordering::SeqCst) < PROCESSES * EACH {
            ensure!(start.elapsed() < Duration::from_secs(120), "attaching takes too long");
            for child in &children {
                ensure!(!child.has_ended()?, "a child has ended");
            }
            progress();
            std::thread::sleep(Duration::from_millis(1));
        }
        let attached = start.elapsed();
        let (mut producer, consumer) = (queue.producer()?, queue.consumer()?);
        let stats = queue.stats();
        ensure!(stats.participants.len() as u64 == PROCESSES * EACH + 2, "{}", stats.participants.len());
        ensure!(stats.participants.iter().all(|one| one.alive), "somebody is taken for dead");
        producer.send(b"one of many")?;
        ensure!(*consumer.recv()? == *b"one of many", "another message came");

        let mut children = children.into_iter();
        for child in children.by_ref().take(2) {
            child.kill()?;
        }
        let start = Instant::now();
        let recovery = queue.recover()?;
        ensure!(recovery.deaths == 2 * EACH && recovery.entries_freed == 2 * EACH, "{recovery:?}");
        println!(
            "     {} participants attached in {attached:.1?}; {} dead ones found and cleaned up in {:.1?}",
            stats.participants.len(),
            recovery.deaths,
            start.elapsed()
        );
        drop(consumer);
        may_go.store(1, Ordering::SeqCst);
        children.try_for_each(Child::join)?;
        drop(producer);
        ensure!(queue.stats().participants.is_empty(), "somebody is left");
        gets_nothing_more(queue)
    })
}

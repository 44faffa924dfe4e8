//! Consumers that are killed while they hold messages.

use ringway::{Delivery, SendError};

use super::{SOON, comes, holder, nothing_comes, small, until, with_queue};
use crate::process::{Outcome, ensure, forge, gets_nothing_more};

pub(crate) fn detected_by_attaching() -> Outcome {
    with_queue(&small(), |place, queue| {
        let mut producer = queue.producer()?;
        producer.send_many(&[b"a", b"b", b"c"])?;
        holder(place, 2)?.kill()?;
        let consumer = queue.consumer()?;
        // Redelivered messages come before new ones.
        let again = [consumer.try_recv()?, consumer.try_recv()?];
        ensure!(again.iter().all(|frame| frame.redeliveries() == 1), "{again:?}");
        ensure!(*again[0] != *again[1], "one message came twice");
        ensure!(again.iter().all(|frame| [b"a", b"b"].iter().any(|sent| **frame == **sent)), "{again:?}");
        comes(&consumer, b"c", 0)?;
        drop(again);
        nothing_comes(&consumer)?;
        let stats = queue.stats();
        ensure!((stats.deaths, stats.requeued, stats.redelivered) == (1, 2, 2), "{stats:?}");
        gets_nothing_more(queue)
    })
}

/// It was attached before, and scans for dead peers when it is idle.
pub(crate) fn detected_by_an_idle_consumer() -> Outcome {
    with_queue(&small(), |place, queue| {
        let mut producer = queue.producer()?;
        producer.send(b"a")?;
        let dead = holder(place, 1)?;
        let consumer = queue.consumer()?;
        nothing_comes(&consumer)?;
        dead.kill()?;
        // It probes now and then, and never waits.
        until(
            queue,
            || {
                drop(consumer.try_recv());
                Ok(())
            },
            |stats| stats.redelivered == 1,
        )?;
        nothing_comes(&consumer)?;
        gets_nothing_more(queue)
    })
}

pub(crate) fn detected_by_waiting() -> Outcome {
    for _ in 0..20 {
        with_queue(&small(), |place, queue| {
            let mut producer = queue.producer()?;
            let consumer = queue.consumer()?;
            producer.send(b"a")?;
            holder(place, 1)?.kill()?;
            comes(&consumer, b"a", 1)?;
            producer.send(b"b")?;
            holder(place, 1)?.kill()?;
            let frames = consumer.recv_many_timeout(5, SOON)?;
            ensure!(frames.iter().eq([b"b"]), "{frames:?}");
            drop(frames);
            gets_nothing_more(queue)
        })?;
    }
    Ok(())
}

/// The dead consumer holds every slot there is; no participant receives or attaches.
pub(crate) fn detected_when_out_of_slots() -> Outcome {
    with_queue(&small(), |place, queue| {
        let mut producer = queue.producer()?;
        let consumer = queue.consumer()?;
        producer.send_many(&[b"a", b"b", b"c", b"d"])?;
        let dead = holder(place, 4)?;
        for _ in 0..100 {
            ensure!(matches!(producer.try_send(b"e"), Err(SendError::Full)), "all are held");
        }
        dead.kill()?;
        until(
            queue,
            || match producer.try_send(b"e") {
                Err(SendError::Full) => Ok(()),
                other => Err(format!("expected Full, found {other:?}").into()),
            },
            |stats| stats.recoveries == 1,
        )?;
        let again: Vec<_> = (0..4).map(|_| consumer.try_recv()).collect::<Result<_, _>>()?;
        ensure!(again.iter().all(|frame| frame.redeliveries() == 1), "{again:?}");
        drop(again);
        producer.try_send(b"e")?;
        comes(&consumer, b"e", 0)?;
        gets_nothing_more(queue)
    })
}

/// The dead consumer's frames fill the producer's lane.
pub(crate) fn detected_when_out_of_room() -> Outcome {
    with_queue(&small().max_messages(64), |place, queue| {
        let mut producer = queue.producer()?;
        let consumer = queue.consumer()?;
        let message = [7; 1000];
        producer.send_many(&[message; 4])?;
        let dead = holder(place, 4)?;
        ensure!(matches!(producer.try_send(&message), Err(SendError::Full)), "the lane is full");
        dead.kill()?;
        until(
            queue,
            || match producer.try_reserve(1000) {
                Err(SendError::Full) => Ok(()),
                other => Err(format!("expected Full, found {:?}", other.map(drop)).into()),
            },
            |stats| stats.recoveries == 1,
        )?;
        for _ in 0..4 {
            comes(&consumer, &message, 1)?;
        }
        producer.try_send(&message)?;
        comes(&consumer, &message, 0)?;
        gets_nothing_more(queue)
    })
}

/// No consumer has seen these messages: they are delivered as if they were new.
pub(crate) fn dead_before_holding() -> Outcome {
    for count in [1, 3] {
        with_queue(&small(), |place, queue| {
            let mut producer = queue.producer()?;
            producer.send_many(&[b"a", b"a", b"a"])?;
            let consumer = queue.consumer()?;
            let dead = holder(place, 0)?;
            forge::take(place, queue, count)?;
            queue.recover()?;
            ensure!(queue.stats().requeued == 0, "it is alive: {:?}", queue.stats());
            dead.kill()?;
            for _ in 0..3 {
                comes(&consumer, b"a", 0)?;
            }
            nothing_comes(&consumer)?;
            let stats = queue.stats();
            ensure!(stats.requeued == count && stats.received == 3, "{stats:?}");
            ensure!(stats.redelivered == 0, "nothing was handed out before: {stats:?}");
            gets_nothing_more(queue)
        })?;
    }
    Ok(())
}

pub(crate) fn deaths_are_counted() -> Outcome {
    with_queue(&small(), |place, queue| {
        let mut producer = queue.producer()?;
        producer.send_many(&[b"a", b"b"])?;
        for _ in 0..20 {
            holder(place, 1)?.kill()?;
        }
        let consumer = queue.consumer()?;
        comes(&consumer, b"a", 15)?;
        comes(&consumer, b"b", 0)?;
        ensure!(queue.stats().deaths == 20, "{:?}", queue.stats());
        gets_nothing_more(queue)
    })
}

/// What a dead consumer held is dropped, and its slots are free.
pub(crate) fn at_most_once() -> Outcome {
    with_queue(&small().delivery(Delivery::AtMostOnce), |place, queue| {
        let mut producer = queue.producer()?;
        let consumer = queue.consumer()?;
        for _ in 0..5 {
            producer.send_many(&[b"a", b"b", b"c", b"d"])?;
            let dead = holder(place, 3)?;
            comes(&consumer, b"d", 0)?;
            dead.kill()?;
            nothing_comes(&consumer)?;
            producer.send_timeout(b"e", SOON)?;
            comes(&consumer, b"e", 0)?;
        }
        let stats = queue.stats();
        ensure!((stats.requeued, stats.redelivered, stats.deaths) == (15, 0, 5), "{stats:?}");
        gets_nothing_more(queue)
    })
}

/// What no consumer has seen is delivered all the same.
pub(crate) fn at_most_once_before_holding() -> Outcome {
    with_queue(&small().delivery(Delivery::AtMostOnce), |place, queue| {
        let mut producer = queue.producer()?;
        let consumer = queue.consumer()?;
        producer.send_many(&[b"a", b"a", b"a", b"a"])?;
        let dead = holder(place, 1)?;
        forge::take(place, queue, 2)?;
        dead.kill()?;
        for _ in 0..3 {
            comes(&consumer, b"a", 0)?;
        }
        nothing_comes(&consumer)?;
        gets_nothing_more(queue)
    })
}

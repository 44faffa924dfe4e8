//! Producers that are killed, or paused, between claim and commit; and their lanes.

use ringway::{CreateOptions, SendError};

use super::{MOMENT, SOON, comes, holder, living, nothing_comes, sender, small, with_queue};
use crate::process::{Outcome, ensure, forge, gets_nothing_more};

/// A consumer skips the dead producer's positions; no call of `recover` is needed.
pub(crate) fn detected_by_consumer() -> Outcome {
    for count in [1, 3] {
        with_queue(&small(), |place, queue| {
            let consumer = queue.consumer()?;
            let mut other = queue.producer()?;
            other.send(b"before")?;
            let dead = sender(place, &[])?;
            forge::claim(place, queue, count)?;
            dead.kill()?;
            if count == 1 {
                other.send(b"behind")?;
            }
            comes(&consumer, b"before", 0)?;
            if count == 3 {
                nothing_comes(&consumer)?;
                other.send(b"behind")?;
            }
            comes(&consumer, b"behind", 0)?;
            let stats = queue.stats();
            ensure!((stats.tombstones, stats.deaths, stats.backlog) == (count, 1, 0), "{stats:?}");
            gets_nothing_more(queue)
        })?;
    }
    Ok(())
}

/// The dead producer has claimed all slots there are, and there is no consumer.
pub(crate) fn detected_by_producer() -> Outcome {
    with_queue(&small(), |place, queue| {
        let mut other = queue.producer()?;
        let dead = sender(place, &[])?;
        forge::claim(place, queue, 4)?;
        dead.kill()?;
        other.send_timeout(b"one", SOON)?;
        ensure!(other.try_send_many(&[b"2", b"3", b"4", b"5"])? == 3, "there are four slots");
        let consumer = queue.consumer()?;
        for expected in [b"one".as_slice(), b"2", b"3", b"4"] {
            comes(&consumer, expected, 0)?;
        }
        ensure!(queue.stats().tombstones == 4, "{:?}", queue.stats());
        gets_nothing_more(queue)
    })
}

pub(crate) fn detected_by_attaching() -> Outcome {
    with_queue(&small(), |place, queue| {
        let dead = sender(place, &[b"sent", b"sent too"])?;
        forge::claim(place, queue, 2)?;
        dead.kill()?;
        let mut producer = queue.producer()?;
        ensure!(queue.stats().tombstones == 2, "{:?}", queue.stats());
        ensure!(matches!(producer.try_send(b"x"), Err(SendError::Full)), "the oldest is still there");
        let consumer = queue.consumer()?;
        comes(&consumer, b"sent", 0)?;
        comes(&consumer, b"sent too", 0)?;
        ensure!(producer.try_send_many(&[b"1", b"2", b"3", b"4", b"5"])? == 4, "all slots are free");
        for expected in [b"1", b"2", b"3", b"4"] {
            comes(&consumer, expected, 0)?;
        }
        gets_nothing_more(queue)
    })
}

/// No consumer skips a living producer's position, and no participant takes it away.
pub(crate) fn alive_between() -> Outcome {
    with_queue(&small(), |place, queue| {
        let consumer = queue.consumer()?;
        let mut other = queue.producer()?;
        let slow = sender(place, &[])?;
        forge::claim(place, queue, 1)?;
        other.send(b"behind")?;
        nothing_comes(&consumer)?;
        let recovery = queue.recover()?;
        ensure!(recovery == ringway::Recovery::default(), "{recovery:?}");
        nothing_comes(&consumer)?;
        slow.kill()?;
        comes(&consumer, b"behind", 0)?;
        gets_nothing_more(queue)
    })
}

/// One producer died before its CAS, another one claimed that position and died too; a third one
/// lives.
pub(crate) fn others_go_on() -> Outcome {
    with_queue(&small(), |place, queue| {
        let consumer = queue.consumer()?;
        let mut other = queue.producer()?;
        let early = sender(place, &[])?;
        forge::intend(place, queue, 2)?;
        let claimer = sender(place, &[])?;
        forge::claim(place, queue, 1)?;
        early.kill()?;
        other.send(b"behind")?;
        // The first claimer is alive: the position stays, and so does the other producer's entry,
        // whose intent covers it.
        queue.recover()?;
        nothing_comes(&consumer)?;
        ensure!(queue.stats().tombstones == 0, "{:?}", queue.stats());
        claimer.kill()?;
        comes(&consumer, b"behind", 0)?;
        gets_nothing_more(queue)?;
        ensure!(queue.stats().deaths == 2, "{:?}", queue.stats());
        Ok(())
    })
}

fn message(number: u8) -> Vec<u8> {
    vec![number; 400 + usize::from(number) * 13 % 300]
}

/// The lane's new owner writes over nothing, and gets all of the room once the messages are
/// released.
pub(crate) fn lane_is_taken_over() -> Outcome {
    with_queue(&CreateOptions::new().max_messages(64).ring_bytes(4096).max_participants(2), |place, queue| {
        let consumer = queue.consumer()?;
        let (mut sent, mut received) = (0_u8, 0_u8);
        for round in 0..60 {
            let dead = living(|ready| {
                let mut producer = place.open_mpmc()?.producer()?;
                for number in sent..sent + 2 {
                    producer.send(&message(number))?;
                }
                ready()
            })?;
            dead.kill()?;
            sent += 2;
            // There is one entry left, and with it this lane.
            let mut producer = queue.producer()?;
            while producer.try_send(&message(sent)).is_ok() {
                sent += 1;
            }
            let in_queue = sent - received;
            ensure!(in_queue >= 5, "only {in_queue} messages of 700 bytes at most fit into 4096");
            let left = round % 3;
            while received < sent - left {
                comes(&consumer, &message(received), 0)?;
                received += 1;
            }
            if sent > 200 {
                break;
            }
        }
        while received < sent {
            comes(&consumer, &message(received), 0)?;
            received += 1;
        }
        gets_nothing_more(queue)
    })
}

/// What a living consumer holds in a dead producer's lane stays as it is, and so does what another
/// dead consumer held.
pub(crate) fn held_in_a_lane() -> Outcome {
    with_queue(&CreateOptions::new().max_messages(64).ring_bytes(4096).max_participants(3), |place, queue| {
        let consumer = queue.consumer()?;
        let dead = sender(place, &[&message(0), &message(1), &message(2), &message(3)])?;
        let held = consumer.recv()?;
        holder(place, 1)?.kill()?;
        dead.kill()?;
        let mut producer = queue.producer()?;
        let mut sent = 4;
        while producer.try_send(&message(sent)).is_ok() {
            sent += 1;
        }
        ensure!(*held == message(0), "a message was written over while it was held");
        drop(held);
        comes(&consumer, &message(1), 1)?;
        for number in 2..sent {
            comes(&consumer, &message(number), 0)?;
        }
        gets_nothing_more(queue)
    })
}

/// Some held messages, some were between two stores; then no participant is left at all.
pub(crate) fn all_participants_die() -> Outcome {
    for others_come in [false, true] {
        with_queue(&small().max_messages(16), |place, queue| {
            let one = sender(place, &[b"a", b"b", b"c", b"d"])?;
            let reader = holder(place, 2)?;
            let two = sender(place, &[b"e"])?;
            forge::claim(place, queue, 3)?;
            let other = holder(place, 1)?;
            let stands = holder(place, 0)?;
            forge::take(place, queue, 1)?;
            for child in [one, reader, two, other, stands] {
                child.kill()?;
            }
            if others_come {
                // Not for long, either.
                sender(place, &[b"f"])?.kill()?;
                holder(place, 0)?.kill()?;
            }
            let consumer = queue.consumer()?;
            let mut seen = Vec::new();
            while let Ok(frame) = consumer.recv_timeout(MOMENT) {
                seen.push((frame.to_vec(), frame.redeliveries()));
            }
            seen.sort();
            let mut expected: Vec<_> =
                [(b"a", 1), (b"b", 1), (b"c", 1), (b"d", 0), (b"e", 0)].map(|(m, n)| (m.to_vec(), n)).into();
            if others_come {
                expected.push((b"f".to_vec(), 0));
            }
            ensure!(seen == expected, "{seen:?} came, expected {expected:?}");
            drop(consumer);
            gets_nothing_more(queue)?;
            ensure!(queue.stats().tombstones == 3, "{:?}", queue.stats());
            let (mut producer, consumer) = (queue.producer()?, queue.consumer()?);
            for _ in 0..50 {
                producer.try_send(b"new")?;
                comes(&consumer, b"new", 0)?;
            }
            Ok(())
        })?;
    }
    Ok(())
}

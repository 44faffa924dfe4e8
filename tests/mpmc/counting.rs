//! What is counted for which participant, what is held, and what invalid values do to it.

use std::os::unix::fs::FileExt;

use ringway::inspect::{Liveness, Snapshot};
use ringway::{Delivery, RecvError};

use crate::{drain, queue, small};

#[test]
fn a_participant_counts_what_it_has_done_itself() {
    let (dir, queue) = queue(&small());
    let mut producer = queue.producer().unwrap();
    producer.try_send_many(&[b"a", b"b", b"c"]).unwrap();
    {
        let first = queue.consumer().unwrap();
        first.try_recv().unwrap().reject();
        assert_eq!(drain(&first).len(), 3);
    }
    producer.try_send(b"d").unwrap();
    // It gets the entry of the first.
    let second = queue.consumer().unwrap();
    assert_eq!(drain(&second).len(), 1);
    let stats = queue.stats();
    let own = stats.participants.iter().find(|one| one.role == ringway::Role::Consumer).unwrap();
    assert_eq!((own.generation, own.received, own.redelivered), (2, 1, 0));
    assert_eq!((stats.received, stats.redelivered, stats.rejected), (5, 1, 1), "the queue counts all");

    let snapshot = Snapshot::read(dir.path().join("q")).unwrap();
    let seen = snapshot.participants.iter().find(|one| one.entry == own.entry).unwrap();
    assert_eq!(seen.liveness, Liveness::Alive);
    assert_eq!((seen.received, seen.redelivered, seen.rejected), (1, 0, 0));
    let counters = snapshot.counters.unwrap();
    assert_eq!((counters.received, counters.redelivered, counters.rejected), (5, 1, 1));
}

#[test]
fn a_queue_is_drained_when_no_participant_holds_anything() {
    let (dir, queue) = queue(&small());
    let seen = || Snapshot::read(dir.path().join("q")).unwrap();
    let mut producer = queue.producer().unwrap();
    producer.try_send_many(&[b"a", b"b"]).unwrap();
    assert!(!queue.stats().is_drained() && !seen().is_drained() && !seen().is_closed);
    queue.close();
    assert!(seen().is_closed && !seen().is_drained());
    let (one, two) = (queue.consumer().unwrap(), queue.consumer().unwrap());
    let (first, second) = (one.try_recv().unwrap(), one.try_recv().unwrap());
    assert!(matches!(two.try_recv(), Err(RecvError::Closed)));
    assert_eq!((queue.stats().backlog, queue.stats().held), (0, 2));
    assert!(!queue.stats().is_drained() && !seen().is_drained());
    second.reject();
    assert_eq!(queue.stats().held, 2, "it is to come again");
    drop(first);
    assert_eq!(&*two.try_recv().unwrap(), b"b");
    assert_eq!(queue.stats().held, 0);
    assert!(queue.stats().is_drained() && seen().is_drained());
}

#[test]
fn what_never_comes_again_is_held_as_well() {
    let (_dir, queue) = queue(&small().delivery(Delivery::AtMostOnce));
    let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    producer.try_send(b"a").unwrap();
    let frame = consumer.try_recv().unwrap();
    assert!(!queue.stats().is_drained());
    frame.reject();
    assert!(queue.stats().is_drained());
}

#[test]
fn counters_that_make_no_sense_add_up_to_the_most_there_is() {
    let (dir, queue) = queue(&small());
    let (_producer, _consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    let file = std::fs::OpenOptions::new().write(true).open(dir.path().join("q")).unwrap();
    let participants = queue.stats().participants;
    for entry in participants.iter().map(|one| one.entry as u64) {
        for counter in 0..5 {
            // Of the registry entry: see docs/format.md.
            let at = 0x1000 + entry * 256 + 0x90 + counter * 8;
            file.write_all_at(&u64::MAX.to_ne_bytes(), at).unwrap();
        }
    }
    let stats = queue.stats();
    let sums = [stats.sent, stats.received, stats.redelivered, stats.rejected, stats.full];
    assert_eq!(sums, [u64::MAX; 5]);
    let counters = Snapshot::read(dir.path().join("q")).unwrap().counters.unwrap();
    assert_eq!((counters.sent, counters.received), (u64::MAX, u64::MAX));
}

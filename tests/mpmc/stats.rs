//! What is counted.

use ringway::{Recovery, Role, SendError};

use crate::{drain, queue, small};

#[test]
fn counters_count() {
    let (_dir, queue) = queue(&small());
    let (mut one, mut two) = (queue.producer().unwrap(), queue.producer().unwrap());
    let consumer = queue.consumer().unwrap();
    one.try_send_many(&[b"a", b"b", b"c"]).unwrap();
    two.try_send(b"d").unwrap();
    assert!(matches!(two.try_send(b"e"), Err(SendError::Full)));
    let stats = queue.stats();
    assert_eq!((stats.sent, stats.received, stats.backlog), (4, 0, 4));
    assert!(stats.full >= 1);
    consumer.try_recv().unwrap().reject();
    assert_eq!(drain(&consumer).len(), 4);
    let stats = queue.stats();
    assert_eq!((stats.received, stats.redelivered, stats.rejected, stats.backlog), (5, 1, 1, 0));
    assert_eq!((stats.recoveries, stats.deaths, stats.tombstones, stats.requeued), (0, 0, 0, 0));
    assert_eq!((stats.dead_letters, stats.dead_letters_failed), (0, 0));

    let pid = std::process::id();
    assert_eq!(stats.participants.len(), 3);
    assert!(stats.participants.iter().all(|one| one.alive && one.pid == pid && one.generation == 1));
    assert!(stats.participants.iter().all(|one| one.since.elapsed().is_ok_and(|age| age.as_secs() < 3600)));
    let sent = |role| -> Vec<_> {
        let with_role = stats.participants.iter().filter(|one| one.role == role);
        with_role.map(|one| (one.sent, one.received, one.redelivered)).collect()
    };
    assert_eq!(sent(Role::Producer), [(3, 0, 0), (1, 0, 0)]);
    assert_eq!(sent(Role::Consumer), [(0, 5, 1)]);

    drop((one, two, consumer));
    let stats = queue.stats();
    assert!(stats.participants.is_empty());
    assert_eq!((stats.sent, stats.received), (4, 5), "they stay when their participants leave");
    let producer = queue.producer().unwrap();
    assert_eq!(queue.stats().participants[0].generation, 2);
    assert_eq!(queue.recover().unwrap(), Recovery::default());
    drop(producer);
}

#[test]
fn dead_letters_say_where_they_come_from() {
    let (dir, queue) = queue(&small().max_redeliveries(2).uuid([7; 16]));
    let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    assert!(!dir.path().join("q.dead").exists(), "there has been no letter, and nobody waits for one");
    for i in 0..30_u64 {
        producer.try_send(&i.to_le_bytes()).unwrap();
        for count in 0..3 {
            let frame = consumer.try_recv().unwrap();
            assert_eq!((*frame == i.to_le_bytes(), frame.redeliveries()), (true, count));
            assert_eq!(frame.dead_letter(), None);
            frame.reject();
        }
        assert!(consumer.try_recv().is_err(), "it went to the dead letters");
        let letters = queue.dead_letters().unwrap();
        let reader = letters.consumer().unwrap();
        let letter = reader.try_recv().unwrap();
        assert_eq!(*letter, i.to_le_bytes());
        let origin = letter.dead_letter().expect("a dead letter");
        assert_eq!((origin.queue, origin.position), ([7; 16].into(), i));
        // Even if it is rejected.
        letter.reject();
        assert_eq!(reader.try_recv().unwrap().dead_letter().unwrap().position, i);
    }
    let stats = queue.stats();
    assert_eq!((stats.dead_letters, stats.dead_letters_failed, stats.backlog), (30, 0, 0));
    assert_eq!(queue.dead_letters().unwrap().stats().sent, 30);
    let names: Vec<_> = std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(names.len() == 2 && names.contains(&"q.dead".into()), "{names:?}");
}

#[test]
fn failed_dead_letters_are_delivered_and_counted() {
    let (dir, queue) = queue(&small().max_redeliveries(1));
    let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    std::fs::write(dir.path().join("q.dead"), "no queue at all").unwrap();
    producer.try_send(b"x").unwrap();
    consumer.try_recv().unwrap().reject();
    consumer.try_recv().unwrap().reject();
    for count in 2..20 {
        let frame = consumer.try_recv().unwrap();
        assert_eq!((&*frame, frame.redeliveries()), (b"x".as_slice(), count.min(15)));
        assert_eq!(queue.stats().dead_letters_failed, count - 1);
        frame.reject();
    }
    // As soon as it can be moved, it is.
    std::fs::remove_file(dir.path().join("q.dead")).unwrap();
    assert!(consumer.try_recv().is_err());
    assert_eq!(queue.stats().dead_letters, 1);
    // No more go there than there are slots.
    for _ in 0..3 {
        producer.try_send(b"y").unwrap();
        consumer.try_recv().unwrap().reject();
        consumer.try_recv().unwrap().reject();
        assert!(consumer.try_recv().is_err());
    }
    producer.try_send(b"z").unwrap();
    consumer.try_recv().unwrap().reject();
    consumer.try_recv().unwrap().reject();
    assert_eq!(&*consumer.try_recv().unwrap(), b"z");
    assert_eq!(queue.stats().dead_letters, 4);
    let letters = queue.dead_letters().unwrap();
    assert_eq!(drain(&letters.consumer().unwrap()), [b"x", b"y", b"y", b"y"]);
}

#[test]
fn how_much_waits_and_how_much_room_there_is() {
    let (_dir, queue) = queue(&small().max_messages(8));
    let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    assert_eq!((queue.len(), queue.room(), queue.is_empty()), (0, 8, true));
    producer.send_many(&[b"a", b"b", b"c"]).unwrap();
    assert_eq!((queue.len(), producer.len(), consumer.len(), consumer.room()), (3, 3, 3, 5));
    let frames = consumer.recv_many(2).unwrap();
    assert_eq!((queue.len(), producer.room()), (1, 5));
    frames.reject();
    assert_eq!((queue.len(), consumer.is_empty()), (3, false));
    assert_eq!(consumer.try_iter().map(|frame| frame.unwrap()[0]).collect::<Vec<_>>(), *b"abc");
    assert_eq!((queue.len(), queue.room()), (0, 8));
}

#[test]
fn redeliveries_of_a_batch() {
    let (_dir, queue) = queue(&small());
    let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    producer.send_many(&[b"a", b"b"]).unwrap();
    assert_eq!(consumer.try_recv_many(9).unwrap().redeliveries().collect::<Vec<_>>(), [0, 0]);
    producer.try_send(b"c").unwrap();
    for count in 0..20 {
        let frames = consumer.try_recv_many(9).unwrap();
        assert_eq!(frames.redeliveries().collect::<Vec<_>>(), [count.min(15)]);
        frames.reject();
    }
}

#[test]
fn a_standby_waits_for_a_place() {
    let (_dir, queue) = queue(&small().max_participants(2));
    let (one, other) = (queue.consumer().unwrap(), queue.consumer().unwrap());
    let timeout = std::time::Duration::from_millis(5);
    assert!(matches!(queue.producer_timeout(timeout), Err(ringway::AttachError::TooManyParticipants { .. })));
    drop(one);
    queue.producer_timeout(timeout).unwrap();
    drop(other);
}

//! What attaching, creating and opening refuse.

use ringway::broadcast::{BytesQueue, Queue, Start, Subscribe};
use ringway::{AttachError, CreateOptions, Delivery, mpmc, spsc};

use crate::{common, queue, send, small};

#[test]
fn a_queue_without_gates_admits_none() {
    let (_dir, queue) = queue(&small(1).gating(false));
    let mut producer = queue.producer().unwrap();
    for subscribe in [Subscribe::reliable(), Subscribe::lossy().in_place(true)] {
        let error = queue.consumer_with(&subscribe).unwrap_err();
        assert!(matches!(error, AttachError::NotAdmitted { .. }), "{error:?}");
        assert!(error.to_string().contains("Subscribe::lossy()"), "{error}");
    }
    assert!(matches!(queue.consumer(), Err(AttachError::NotAdmitted { .. })));
    let _screen = queue.consumer_with(&Subscribe::lossy()).unwrap();
    send(&mut producer, 0..1000);
}

#[test]
fn a_position_that_is_not_there_yet_is_refused() {
    let (_dir, queue) = queue(&small(1));
    send(&mut queue.producer().unwrap(), 0..5);
    for subscribe in [Subscribe::reliable(), Subscribe::lossy(), Subscribe::lossy().in_place(true)] {
        let error = queue.consumer_with(&subscribe.from(Start::At(6))).unwrap_err();
        assert!(matches!(error, AttachError::NotReached { position: 6, newest: 5, .. }), "{error:?}");
        queue.consumer_with(&subscribe.from(Start::At(5))).unwrap();
    }
    assert!(queue.stats().consumers.is_empty(), "a consumer that is refused leaves nothing behind");
}

#[test]
fn each_role_has_its_places() {
    let (_dir, queue) = queue(&small(2).max_participants(4));
    let _producers = [queue.producer().unwrap(), queue.producer().unwrap()];
    let error = queue.producer().unwrap_err();
    assert!(matches!(error, AttachError::TooManyOfRole { places: 2, .. }), "{error:?}");
    assert!(error.to_string().contains("all 2 places for producers are taken"), "{error}");
    let consumers = [queue.consumer().unwrap(), queue.consumer().unwrap()];
    let error = queue.consumer().unwrap_err();
    assert!(error.to_string().contains("all 2 places for consumers are taken"), "{error}");
    drop(consumers);
    queue.consumer().unwrap();
}

#[test]
fn another_kind_is_refused_both_ways() {
    let dir = common::directory();
    let name = |name: &str| dir.path().join(name);
    // SAFETY: only this test knows the files.
    let broadcast = unsafe { BytesQueue::create(name("broadcast")) }.unwrap();
    // SAFETY: as above.
    let many = unsafe { mpmc::BytesQueue::create(name("mpmc")) }.unwrap();
    // SAFETY: as above.
    let one = unsafe { spsc::BytesQueue::create(name("spsc")) }.unwrap();
    let errors = [
        // SAFETY: as above.
        unsafe { BytesQueue::open(many.path()) }.err(),
        // SAFETY: as above.
        unsafe { BytesQueue::open(one.path()) }.err(),
        // SAFETY: as above.
        unsafe { mpmc::BytesQueue::open(broadcast.path()) }.err(),
        // SAFETY: as above.
        unsafe { spsc::BytesQueue::open(broadcast.path()) }.err(),
    ];
    for (error, (found, expected)) in errors.into_iter().zip([
        ("MPMC", "broadcast"),
        ("SPSC", "broadcast"),
        ("broadcast", "MPMC"),
        ("broadcast", "SPSC"),
    ]) {
        let said = error.expect("another kind").to_string();
        assert!(said.contains(found) && said.contains(expected), "{said}");
    }
}

#[test]
fn another_type_is_refused() {
    let dir = common::directory();
    let name = dir.path().join("q");
    // SAFETY: only this test knows the file.
    let queue = unsafe { Queue::<u64>::create(&name) }.unwrap();
    // SAFETY: as above.
    let other = unsafe { Queue::<u32>::open(&name) };
    assert!(other.unwrap_err().to_string().contains("u32"));
    let consumer = queue.consumer_with(&Subscribe::lossy()).unwrap();
    let mut producer = queue.producer().unwrap();
    producer.send(&7).unwrap();
    assert_eq!(*consumer.recv().unwrap(), 7);
    assert_eq!(producer.holdup(), None);
}

#[test]
fn options_of_other_kinds_are_refused() {
    let dir = common::directory();
    let name = dir.path().join("q");
    for (options, option) in [
        (CreateOptions::new().delivery(Delivery::AtMostOnce), "delivery"),
        (CreateOptions::new().max_redeliveries(3), "max_redeliveries"),
    ] {
        // SAFETY: only this test knows the file.
        let error = unsafe { BytesQueue::create_with(&name, &options) }.unwrap_err().to_string();
        assert!(error.contains(option) && error.contains("this is a broadcast queue"), "{error}");
    }
    for (options, option) in [
        (CreateOptions::new().max_producers(3), "max_producers"),
        (CreateOptions::new().gating(true), "gating"),
    ] {
        // SAFETY: as above.
        let error = unsafe { mpmc::BytesQueue::create_with(&name, &options) }.unwrap_err().to_string();
        assert!(error.contains(option) && error.contains("this is an MPMC queue"), "{error}");
    }
    for (producers, participants) in [(0, 8), (8, 8), (9, 8)] {
        let options = CreateOptions::new().max_producers(producers).max_participants(participants);
        // SAFETY: as above.
        let error = unsafe { BytesQueue::create_with(&name, &options) }.unwrap_err().to_string();
        assert!(error.contains(&format!("{producers} producers")), "{error}");
    }
    assert!(!name.exists());
}

#[test]
fn there_is_room_for_a_consumer_by_default() {
    for participants in [2, 6, 64] {
        let (_dir, queue) = queue(&CreateOptions::new().max_participants(participants));
        let _producers: Vec<_> = (0..8.min(participants - 1)).map(|_| queue.producer().unwrap()).collect();
        assert!(matches!(queue.producer(), Err(AttachError::TooManyOfRole { .. })));
        queue.consumer().unwrap();
    }
}

//! Recovering and removing from outside.

use ringway::inspect::{Liveness, Snapshot};
use ringway::{CreateOptions, Framing, OpenError, RecoverError, RecvError, UnlinkError, mpmc};
use ringway::{recover, unlink_if_unused};

use super::common::{Image, directory};
use super::{create_mpmc, create_spsc};

#[test]
fn what_the_dead_left_is_given_back() {
    let dir = directory();
    let (path, copy) = (dir.path().join("queue"), dir.path().join("copy"));
    let queue = create_mpmc(&path, &CreateOptions::new().max_messages(16).max_participants(4));
    queue.producer().unwrap().send_many(&[b"one", b"two"]).unwrap();
    let consumer = queue.consumer().unwrap();
    let held = consumer.recv().unwrap();
    // A copy has the entry, but not the liveness lock: as after a death.
    Image::of(&path).write(&copy);
    drop(held);

    let snapshot = Snapshot::read(&copy).unwrap();
    assert_eq!(snapshot.participants.len(), 1);
    assert_eq!((snapshot.participants[0].liveness, snapshot.participants[0].holds), (Liveness::Dead, 1));
    assert!(!snapshot.is_in_use());
    let done = recover(&copy).unwrap();
    assert_eq!((done.deaths, done.requeued, done.entries_freed), (1, 1, 1));
    assert_eq!(recover(&copy).unwrap().deaths, 0, "once is enough");
    let snapshot = Snapshot::read(&copy).unwrap();
    assert_eq!((snapshot.backlog.waiting, snapshot.backlog.redeliveries), (Some(2), 1));
    assert!(snapshot.participants.is_empty());

    // The living participant is left alone.
    assert_eq!(recover(&path).unwrap().deaths, 0);
    drop(consumer);
    // SAFETY: only this test knows the file.
    let queue = unsafe { mpmc::BytesQueue::open(&copy) }.unwrap();
    let consumer = queue.consumer().unwrap();
    let (first, second) = (consumer.recv().unwrap(), consumer.recv().unwrap());
    assert_eq!((&*first, first.redeliveries(), &*second), (&b"one"[..], 1, &b"two"[..]));
    assert!(matches!(consumer.try_recv(), Err(RecvError::Empty)));
}

#[test]
fn queues_of_any_type_are_recovered() {
    let dir = directory();
    let (path, copy) = (dir.path().join("typed"), dir.path().join("copy"));
    // SAFETY: only this test knows the file.
    let queue = unsafe { mpmc::Queue::<(u32, String)>::create(&path) }.unwrap();
    let _producer = queue.producer().unwrap();
    Image::of(&path).write(&copy);
    assert_eq!(recover(&copy).unwrap().deaths, 1);
    let spsc = dir.path().join("spsc");
    drop(create_spsc(&spsc, &CreateOptions::new()));
    assert_eq!(recover(&spsc).unwrap(), Default::default());
}

#[test]
fn only_unused_queues_are_removed() {
    let dir = directory();
    let path = dir.path().join("queue");
    let spsc = create_spsc(&path, &CreateOptions::new());
    let producer = spsc.producer().unwrap();
    assert!(!unlink_if_unused(&path).unwrap() && path.exists());
    drop(producer);
    let consumer = spsc.consumer().unwrap();
    assert!(!unlink_if_unused(&path).unwrap() && path.exists());
    drop(consumer);
    assert!(unlink_if_unused(&path).unwrap() && !path.exists());
    assert!(matches!(spsc.producer(), Err(ringway::AttachError::Unlinked { .. })), "it is dead for all");

    let mpmc = create_mpmc(&path, &CreateOptions::new());
    let consumer = mpmc.consumer().unwrap();
    assert!(!unlink_if_unused(&path).unwrap() && path.exists());
    drop(consumer);
    assert!(unlink_if_unused(&path).unwrap() && !path.exists());
}

#[test]
fn what_is_no_queue_is_left_alone() {
    let dir = directory();
    let path = dir.path().join("file");
    assert!(matches!(unlink_if_unused(&path), Err(UnlinkError::Open(OpenError::NotFound { .. }))));
    assert!(matches!(recover(&path), Err(RecoverError::Open(OpenError::NotFound { .. }))));
    std::fs::write(&path, b"precious text").unwrap();
    assert!(matches!(unlink_if_unused(&path), Err(UnlinkError::Open(OpenError::NotAQueue { .. }))));
    assert!(matches!(recover(&path), Err(RecoverError::Open(OpenError::NotAQueue { .. }))));
    assert_eq!(std::fs::read(&path).unwrap(), b"precious text");
}

/// A participant that attaches while others unlink either attaches to a queue that stays, or gets
/// the error that it is gone.
#[test]
fn removing_and_attaching_exclude_each_other() {
    let dir = directory();
    let path = dir.path().join("queue");
    for round in 0..200 {
        let queue = create_spsc(&path, &CreateOptions::new().ring_bytes(4096));
        let remover = std::thread::spawn({
            let path = path.clone();
            move || unlink_if_unused(&path).unwrap()
        });
        let producer = queue.producer();
        let was_removed = remover.join().unwrap();
        assert_eq!(producer.is_ok(), !was_removed, "round {round}");
        assert_eq!(path.exists(), !was_removed, "round {round}");
        drop(producer);
        let _ = unlink_if_unused(&path);
    }
}

/// What a consumer released after a message that is redelivered has ended, and is neither counted
/// nor shown.
#[test]
fn what_was_released_out_of_order_waits_no_more() {
    let dir = directory();
    for (name, options) in
        [("variable", CreateOptions::new()), ("fixed", CreateOptions::new().framing(Framing::Fixed(8)))]
    {
        let path = dir.path().join(name);
        let queue = create_spsc(&path, &options);
        let mut producer = queue.producer().unwrap();
        producer.send_many(&[[1; 8], [2; 8], [3; 8], [4; 8], [5; 8]]).unwrap();
        {
            let consumer = queue.consumer().unwrap();
            let (first, second) = (consumer.recv().unwrap(), consumer.recv().unwrap());
            let third = consumer.recv().unwrap();
            drop((second, third));
            first.reject();
        }
        for is_attached in [false, true] {
            let consumer = is_attached.then(|| queue.consumer().unwrap());
            let inspector = ringway::inspect::Inspector::open(&path).unwrap();
            let snapshot = inspector.snapshot().unwrap();
            assert!(snapshot.corruption.is_empty(), "{:?}", snapshot.corruption);
            assert_eq!((snapshot.backlog.waiting, snapshot.backlog.held), (Some(3), Some(0)), "{name}");
            for start in [ringway::inspect::Start::Oldest, ringway::inspect::Start::Newest] {
                let peeked = inspector.peek(&ringway::inspect::Peek::new().start(start)).unwrap();
                let found: Vec<_> = peeked.frames.iter().map(|frame| frame.payload[0]).collect();
                assert_eq!(found, [1, 4, 5], "{name}");
            }
            drop(consumer);
        }
        let consumer = queue.consumer().unwrap();
        let came: Vec<_> = (0..3).map(|_| consumer.try_recv().unwrap()[0]).collect();
        assert_eq!(came, [1, 4, 5]);
        assert!(consumer.try_recv().is_err());
    }
}

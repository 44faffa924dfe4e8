//! What is done, in queues that outlive their machine.

use super::*;

/// Sends five, of which two are released and one of these is done; then the machine goes down.
fn image(place: &Place) -> PathBuf {
    let queue = create::<Mpmc>(&place.path());
    let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    (0..5).for_each(|i| producer.send(&[i; 100]).unwrap());
    (0..2).for_each(|_| drop(consumer.recv().unwrap()));
    consumer.task_done().unwrap();
    place.image(|_| {})
}

/// The worker that has taken a message and not declared it done died with the machine.
#[test]
fn what_is_kept_is_unfinished() {
    let place = Place::new();
    let image = image(&place);
    pretend::set_boot(2);
    let queue = open::<Mpmc>(&image, AfterPowerLoss::Keep).unwrap();
    assert_eq!(queue.unfinished().unwrap(), 3);
    let consumer = queue.consumer().unwrap();
    for _ in 0..3 {
        drop(consumer.try_recv().unwrap());
        consumer.task_done().unwrap();
    }
    queue.join().unwrap();
    assert!(consumer.task_done().unwrap_err().is_too_many());
    assert_eq!(Snapshot::read(&image).unwrap().corruption, []);
}

#[test]
fn what_is_dropped_is_not() {
    let place = Place::new();
    let image = image(&place);
    pretend::set_boot(2);
    let queue = open::<Mpmc>(&image, AfterPowerLoss::Discard).unwrap();
    assert_eq!(queue.unfinished().unwrap(), 0);
    queue.producer().unwrap().send(b"new").unwrap();
    assert_eq!(queue.unfinished().unwrap(), 1);
    queue.consumer().unwrap().task_done().unwrap();
    queue.join().unwrap();
    assert_eq!(Snapshot::read(&image).unwrap().corruption, []);
}

/// What is done is part of what the seal proves, and stays.
#[test]
fn a_seal_covers_the_counts() {
    let place = Place::new();
    let queue = create::<Mpmc>(&place.path());
    queue.producer().unwrap().send_many(&[b"one", b"two", b"six"]).unwrap();
    queue.consumer().unwrap().task_done().unwrap();
    assert_eq!(survival(&place.path()), (Survival::Sealed, 0));
    let whole = place.image(|_| {});
    pretend::set_boot(2);
    assert_eq!(survival(&whole), (Survival::Proven, 0));
    assert_eq!(open::<Mpmc>(&whole, AfterPowerLoss::Refuse).unwrap().unfinished().unwrap(), 2);
    for at in [0x600, 0x4e8, 0x4f0, 0x4f8] {
        let image = place.image(|bytes| put(bytes, at, 7));
        assert_eq!(survival(&image).0, Survival::Unproven, "{at:#x}");
    }
}

//! Queues for fewer messages than they have slots, of which the disk has slots of different times.

use super::*;
use crate::layout::Slot;

/// A message that was released, by a slot that did not reach the disk again. Claims would not look at
/// that slot before they take it.
#[test]
fn a_message_that_is_older_than_the_queue_may_hold_is_dropped() {
    let place = Place::new();
    // Eight slots.
    let options = options().max_messages(5);
    // SAFETY: no other process knows the file.
    let queue = unsafe { BytesQueue::<Mpmc>::create_with(place.path(), &options) }.unwrap();
    let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    (0..5).for_each(|i| producer.send(&[i; 100]).unwrap());
    let slots = queue.shared().geometry().order.unwrap().slots_offset as usize;
    let fourth = slots + 3 * size_of::<Slot>()..slots + 4 * size_of::<Slot>();
    let old = std::fs::read(place.path()).unwrap()[fourth.clone()].to_vec();
    (0..5).for_each(|_| drop(consumer.recv().unwrap()));
    (5..10).for_each(|i| producer.send(&[i; 100]).unwrap());

    let image = place.image(|bytes| bytes[fourth].copy_from_slice(&old));
    pretend::set_boot(2);
    let corruption = Snapshot::read(&image).unwrap().corruption;
    // It is too far behind, and it seems to be taken.
    assert_eq!(corruption.len(), 2, "{corruption:?}");
    let queue = open::<Mpmc>(&image, AfterPowerLoss::Keep).unwrap();
    assert_eq!(queue.warnings(), [Warning::KeptUnproven { found: Unproven::InUse, kept: 5, dropped: 1 }]);
    assert_eq!(Snapshot::read(&image).unwrap().corruption, []);

    // What is held is not overwritten, and what is sent is received.
    let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    let first = consumer.recv().unwrap();
    assert_eq!(*first, [5; 100]);
    (6..8).for_each(|i| assert_eq!(*consumer.recv().unwrap(), [i; 100]));
    assert!(producer.try_send(b"no room").unwrap_err().is_full());
    drop(first);
    (10..13).for_each(|i| producer.try_send(&[i; 100]).unwrap());
    (8..13).for_each(|i| assert_eq!(*consumer.try_recv().unwrap(), [i; 100]));
}

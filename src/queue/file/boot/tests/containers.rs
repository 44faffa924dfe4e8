//! Processes that see different boot ids on one machine: containers that have one of their own.

use super::*;

/// Whatever the ids say, a participant that is alive proves that the machine has not gone down since it attached.
fn a_queue_in_use_is_taken_under_every_id<K: Kind>() {
    let place = Place::new();
    let queue = create::<K>(&place.path());
    let mut producer = queue.producer().unwrap();
    producer.send(b"one").unwrap();
    pretend::set_boot(2);
    assert_eq!(survival(&place.path()).0, Survival::InUse);
    let inside = open::<K>(&place.path(), AfterPowerLoss::Refuse).unwrap();
    assert!(inside.warnings().is_empty());
    let consumer = inside.consumer().unwrap();
    // The file has the container's id now, and the host comes back.
    pretend::set_boot(1);
    assert_eq!(survival(&place.path()).0, Survival::InUse);
    let outside = open::<K>(&place.path(), AfterPowerLoss::Refuse).unwrap();
    assert!(outside.warnings().is_empty());
    producer.send(b"two").unwrap();
    assert_eq!(&*consumer.recv().unwrap(), b"one");
    assert_eq!(&*consumer.recv().unwrap(), b"two");
    // Left in order under one id, it is proven under the other.
    pretend::set_boot(2);
    drop((producer, consumer));
    let image = place.image(|_| {});
    for boot in [1, 2] {
        pretend::set_boot(boot);
        assert!(open::<K>(&image, AfterPowerLoss::Refuse).unwrap().warnings().is_empty());
    }
}

#[test]
fn a_queue_in_use_is_taken_under_every_id_spsc() {
    a_queue_in_use_is_taken_under_every_id::<Spsc>();
}

#[test]
fn a_queue_in_use_is_taken_under_every_id_mpmc() {
    a_queue_in_use_is_taken_under_every_id::<Mpmc>();
}

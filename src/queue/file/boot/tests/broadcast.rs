//! Broadcast: what is retained is kept if a seal proves it, and else dropped, whatever the options say.

use super::super::{AfterPowerLoss, Survival};
use super::{Place, create, open, put, survival};
use crate::Warning;
use crate::error::{OpenError, RecvError, Unproven};
use crate::queue::{Broadcast, BytesQueue, Start, Subscribe};
use crate::shm::boot::pretend;

fn from(queue: &BytesQueue<Broadcast>, start: Start) -> (u64, Vec<u64>) {
    let consumer = queue.consumer_with(&Subscribe::reliable().from(start)).unwrap();
    let (mut missed, mut positions) = (0, Vec::new());
    loop {
        match consumer.try_recv() {
            Ok(frame) => {
                assert_eq!(frame[..8], frame.position().to_ne_bytes());
                positions.push(frame.position());
            }
            Err(RecvError::Lagged(count)) => missed += count,
            Err(RecvError::Empty) => return (missed, positions),
            Err(error) => panic!("{error}"),
        }
    }
}

fn send(queue: &BytesQueue<Broadcast>, count: u64) {
    let mut producer = queue.producer().unwrap();
    for _ in 0..count {
        let mut message = [7; 100];
        message[..8].copy_from_slice(&producer.position().to_ne_bytes());
        producer.send(&message).unwrap();
    }
}

#[test]
fn what_was_left_in_order_is_there_broadcast() {
    let place = Place::new();
    let queue = create::<Broadcast>(&place.path());
    // More than its lane holds, so that some is over.
    send(&queue, 1000);
    let (oldest, newest) = (queue.oldest(), queue.newest());
    assert!(oldest > 900 && newest == 1000);
    assert_eq!(survival(&place.path()), (Survival::Sealed, 0));
    let image = place.image(|_| {});
    pretend::set_boot(2);
    let queue = open::<Broadcast>(&image, AfterPowerLoss::Refuse).unwrap();
    assert!(queue.warnings().is_empty());
    assert_eq!(from(&queue, Start::Oldest), (0, (oldest..newest).collect()));
    send(&queue, 5);
    assert_eq!(from(&queue, Start::Last(5)), (0, (1000..1005).collect()));
}

#[test]
fn what_nothing_proves_is_dropped_broadcast() {
    let place = Place::new();
    let queue = create::<Broadcast>(&place.path());
    send(&queue, 10);
    let _reader = queue.consumer().unwrap();
    let image = |change: fn(&mut Vec<u8>)| place.image(change);
    for what in [AfterPowerLoss::Keep, AfterPowerLoss::Discard] {
        pretend::set_boot(2);
        let image = image(|_| {});
        let error = open::<Broadcast>(&image, AfterPowerLoss::Refuse).err();
        assert!(matches!(error, Some(OpenError::Unproven { found: Unproven::InUse, .. })), "{error:?}");
        let queue = open::<Broadcast>(&image, what).unwrap();
        let dropped = match queue.warnings()[..] {
            [
                Warning::KeptUnproven { kept: 0, dropped, .. } | Warning::Discarded { kept: 0, dropped, .. },
            ] => dropped,
            ref other => panic!("{other:?}"),
        };
        assert_eq!(dropped, 10);
        assert_eq!(survival(&image).1, 10);
        let start = queue.newest();
        assert!(start > 10 && queue.oldest() == start, "no position is used twice");
        assert!(queue.stats().consumers.is_empty());
        send(&queue, 3);
        assert_eq!(from(&queue, Start::At(10)), (start - 10, (start..start + 3).collect()));
    }
    // A cursor of the disk that is older than what was sent proves nothing, either.
    drop(_reader);
    pretend::set_boot(1);
    let image = place.image(|bytes| put(bytes, 0x588, 3));
    pretend::set_boot(2);
    assert!(open::<Broadcast>(&image, AfterPowerLoss::Refuse).is_err());
}

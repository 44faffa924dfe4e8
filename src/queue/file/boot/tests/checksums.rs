//! Queues with checksums: positions, and power losses after a recovery.

use super::*;

/// The header on the disk is as old as the last attach, the ring is newer: what was found there
/// must not outlive what is sent from then on.
fn positions_go_on_after_all_that_was_found(options: &CreateOptions, what: AfterPowerLoss) {
    type Queue = BytesQueue<Checksummed<Spsc>>;
    let open = |path: &Path, what| {
        // SAFETY: no other process knows these files.
        unsafe { Queue::open_with(path, &OpenOptions::new().after_power_loss(what)) }.unwrap()
    };
    let place = Place::new();
    // SAFETY: as above.
    let queue = unsafe { Queue::create_with(place.path(), options) }.unwrap();
    let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    for number in 0..1000_u64 {
        producer.send(&[number.to_ne_bytes(); 13].concat()).unwrap();
        drop(consumer.recv().unwrap());
    }
    let lane = 0x2000 + 128 - 8;
    let image = place.image(|bytes| {
        bytes[0x500..0x680].fill(0);
        bytes[lane..lane + 4096].fill(0);
    });
    pretend::set_boot(2);
    let queue = open(&image, what);
    // The header does not say that they were released.
    assert_eq!(drain(&queue).is_empty(), what == AfterPowerLoss::Discard);
    let mut producer = queue.producer().unwrap();
    let sent = [[1; 104], [2; 104]];
    sent.iter().for_each(|message| producer.send(message).unwrap());
    // All of it is on the disk.
    let synced = place.0.path().join("synced");
    std::fs::copy(&image, &synced).unwrap();
    pretend::set_boot(3);
    let found = drain(&open(&synced, AfterPowerLoss::Keep));
    assert_eq!(found, sent, "{what:?}");
}

#[test]
fn positions_go_on_after_all_that_was_found_any_size() {
    for what in [AfterPowerLoss::Keep, AfterPowerLoss::Discard] {
        positions_go_on_after_all_that_was_found(&options(), what);
    }
}

#[test]
fn positions_go_on_after_all_that_was_found_one_size() {
    for what in [AfterPowerLoss::Keep, AfterPowerLoss::Discard] {
        positions_go_on_after_all_that_was_found(&options().framing(Framing::Fixed(104)), what);
    }
}

/// The power fails once more while the disk holds the header of the repaired file, and not yet its
/// ring.
#[test]
fn what_was_put_back_is_not_lost_with_the_next_power_loss() {
    type Queue = BytesQueue<Checksummed<Spsc>>;
    // SAFETY: no other process knows these files.
    let open = |path: &Path| unsafe { Queue::open(path) }.unwrap();
    let place = Place::new();
    let queue = create::<Checksummed<Spsc>>(&place.path());
    let mut producer = queue.producer().unwrap();
    let sent: Vec<_> = (0..30).map(|number| vec![number; 100]).collect();
    sent.iter().for_each(|message| producer.send(message).unwrap());
    let image = place.image(|_| {});
    let before = std::fs::read(&image).unwrap();
    pretend::set_boot(2);
    let made_good = open(&image);
    let mut mixed = std::fs::read(&image).unwrap();
    assert_ne!(before[0x500..0x680], mixed[0x500..0x680]);
    mixed[4096..].copy_from_slice(&before[4096..]);
    drop(made_good);
    std::fs::write(&image, mixed).unwrap();
    pretend::set_boot(3);
    // As if a participant had attached in boot 2 and flushed the header.
    let path = place.0.path().join("again");
    let mut bytes = std::fs::read(&image).unwrap();
    put(&mut bytes, SEAL_OFFSET, BREAKING);
    std::fs::write(&path, bytes).unwrap();
    assert_eq!(drain(&open(&path)), sent);
}

/// A message is lost because the disk has its bytes and not its slot. Its position is used again, for a message of the same
/// length at the same place, and this time the disk has the slot and not the bytes.
#[test]
fn a_message_that_was_dropped_does_not_come_back() {
    type Queue = BytesQueue<Checksummed<Mpmc>>;
    let open = |path: &Path| {
        // SAFETY: no other process knows these files.
        unsafe { Queue::open(path) }.unwrap()
    };
    let place = Place::new();
    // SAFETY: as above.
    let queue = unsafe { Queue::create_with(place.path(), &options().max_participants(2)) }.unwrap();
    let mut producer = queue.producer().unwrap();
    [[1; 100], [2; 100]].iter().for_each(|message| producer.send(message).unwrap());
    let geometry = queue.shared().geometry();
    let slot = geometry.order.unwrap().slots_offset + 16;
    let lanes = geometry.lane_offset as usize;
    let image = place.image(|bytes| bytes[slot as usize..][..16].fill(0));
    pretend::set_boot(2);
    let queue = open(&image);
    let recovered = std::fs::read(&image).unwrap();
    // It has the other entry, so that the producer takes over the same lane.
    let _consumer = queue.consumer().unwrap();
    queue.producer().unwrap().send(&[3; 100]).unwrap();
    let mut bytes = std::fs::read(&image).unwrap();
    bytes[lanes..].copy_from_slice(&recovered[lanes..]);
    let path = place.0.path().join("again");
    std::fs::write(&path, bytes).unwrap();
    pretend::set_boot(3);
    assert_eq!(drain(&open(&path)), [[1; 100]]);
}

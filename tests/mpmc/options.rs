//! CreateOptions, and queues of the other kind.

use std::os::unix::fs::MetadataExt;

use ringway::{AttachError, CreateError, CreateOptions, Delivery, Framing, OpenError, SendError, mpmc, spsc};

use crate::{queue, small};

#[track_caller]
fn refused(options: &CreateOptions, words: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    // SAFETY: only this test knows the file.
    let error = unsafe { mpmc::BytesQueue::create_with(dir.path().join("q"), options) }.unwrap_err();
    let CreateError::InvalidOptions { reason } = error else { panic!("{error:?}") };
    assert!(words.iter().all(|word| reason.contains(word)), "{reason}");
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 0, "nothing is left behind");
}

#[test]
fn invalid_options_are_refused() {
    let options = CreateOptions::new;
    refused(&options().max_participants(1), &["participants", "1"]);
    refused(&options().max_participants(5000), &["participants", "5000", "4096"]);
    refused(&options().max_redeliveries(0), &["max_redeliveries", "0"]);
    let contradiction = options().max_redeliveries(3).delivery(Delivery::AtMostOnce);
    refused(&contradiction, &["max_redeliveries", "Delivery::AtMostOnce", "never redelivered", "leave"]);
    refused(&options().max_redeliveries(15), &["15", "less"]);
    refused(&options().max_messages(1 << 30), &["1073741824 messages", "16777216"]);
    refused(&options().align(48), &["48"]);
    refused(&options().framing(Framing::Fixed(0)), &["0"]);
    refused(&options().framing(Framing::FixedByType), &["FixedByType"]);
    refused(&options().ring_bytes(1 << 44).max_participants(4096), &["capacity"]);
}

#[test]
fn an_spsc_queue_has_none_of_these() {
    let dir = tempfile::tempdir().unwrap();
    let name = dir.path().join("q");
    let options = CreateOptions::new;
    for (option, options) in [
        ("max_messages", options().max_messages(4)),
        ("max_participants", options().max_participants(4)),
        ("delivery", options().delivery(ringway::Delivery::AtLeastOnce)),
        ("max_redeliveries", options().max_redeliveries(3)),
    ] {
        // SAFETY: only this test knows the file.
        let error = unsafe { spsc::BytesQueue::create_with(&name, &options) }.unwrap_err();
        let CreateError::InvalidOptions { reason } = error else { panic!("{error:?}") };
        assert!(reason.contains(option) && reason.contains("SPSC"), "{reason}");
    }
}

#[test]
fn a_queue_of_the_other_kind_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (one, many) = (dir.path().join("spsc"), dir.path().join("mpmc"));
    // SAFETY: only this test knows the files.
    let _one = unsafe { spsc::BytesQueue::create(&one) }.unwrap();
    // SAFETY: as above.
    let _many = unsafe { mpmc::BytesQueue::create(&many) }.unwrap();
    // SAFETY: as above.
    let as_many = unsafe { mpmc::BytesQueue::open(&one) }.unwrap_err();
    // SAFETY: as above.
    let as_one = unsafe { spsc::BytesQueue::open(&many) }.unwrap_err();
    for (error, is, wanted) in [(as_many, "SPSC", "MPMC"), (as_one, "MPMC", "SPSC")] {
        let text = error.to_string();
        let OpenError::WrongKind { found, expected, .. } = error else { panic!("{error:?}") };
        assert_eq!((&*found, &*expected), (is, wanted));
        assert!(text.contains(is) && text.contains(wanted), "{text}");
    }
}

#[test]
fn lanes_take_space_when_they_are_first_used() {
    const LANE: u64 = 1 << 20;
    let (dir, queue) =
        queue(&CreateOptions::new().ring_bytes(LANE as usize).max_participants(16).max_messages(64));
    let blocks = || std::fs::metadata(dir.path().join("q")).unwrap().blocks() * 512;
    assert!(std::fs::metadata(dir.path().join("q")).unwrap().len() >= 16 * LANE);
    let empty = blocks();
    assert!(empty < LANE, "no lane has space yet: {empty}");
    let consumers: Vec<_> = (0..4).map(|_| queue.consumer().unwrap()).collect();
    assert!(consumers[0].try_recv().is_err());
    assert_eq!(blocks(), empty, "consumers need none");
    let one = queue.producer().unwrap();
    assert_eq!(blocks(), empty + LANE);
    let two = queue.producer().unwrap();
    assert_eq!(blocks(), empty + 2 * LANE);
    drop((one, two));
    let mut again = queue.producer().unwrap();
    again.send(&[1; 1000]).unwrap();
    assert_eq!(consumers[0].recv().unwrap().len(), 1000);
    assert_eq!(blocks(), empty + 2 * LANE, "a lane that has space is used again");
}

#[test]
fn payloads_are_aligned() {
    for align in [1, 2, 8, 64, 128] {
        let (_dir, queue) = queue(&small().align(align).max_messages(16));
        let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        for i in 0..200 {
            producer.try_send(&vec![i as u8; i % 100]).unwrap();
            producer.try_send(&[1]).unwrap();
            for frame in [consumer.try_recv().unwrap(), consumer.try_recv().unwrap()] {
                assert!(frame.as_ptr().addr().is_multiple_of(align), "{align}");
            }
        }
        // Lanes have no smaller granule than eight bytes.
        assert_eq!(queue.max_message(), 2048 - align.max(8));
    }
    // 64 if the option is not set.
    let (_dir, queue) = queue(&small());
    let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    producer.try_send(&[1]).unwrap();
    producer.try_send(&[1]).unwrap();
    let frames = [consumer.try_recv().unwrap(), consumer.try_recv().unwrap()];
    assert!(frames.iter().all(|frame| frame.as_ptr().addr().is_multiple_of(64)));
}

#[test]
fn all_places_may_be_taken() {
    let (_dir, queue) = queue(&small().max_participants(3));
    let mut producers: Vec<_> = (0..3).map(|_| queue.producer().unwrap()).collect();
    for refused in [queue.producer().unwrap_err(), queue.consumer().unwrap_err()] {
        assert!(matches!(refused, AttachError::TooManyParticipants { participants: 3, .. }), "{refused}");
        assert!(refused.to_string().contains('3'));
    }
    producers.pop();
    let consumer = queue.consumer().unwrap();
    assert!(matches!(queue.producer(), Err(AttachError::TooManyParticipants { .. })));
    producers[1].send(b"x").unwrap();
    assert_eq!(consumer.recv().unwrap().len(), 1);
    // Any entry may be a producer's or a consumer's.
    producers.clear();
    let consumers = [queue.consumer().unwrap(), queue.consumer().unwrap()];
    assert!(matches!(queue.consumer(), Err(AttachError::TooManyParticipants { .. })));
    drop(consumers);
    let _producers = [queue.producer().unwrap(), queue.producer().unwrap()];
}

#[test]
fn an_unlinked_queue_refuses_new_participants() {
    let (dir, queue) = queue(&small());
    let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    ringway::unlink(dir.path().join("q")).unwrap();
    assert!(matches!(queue.producer(), Err(AttachError::Unlinked { .. })));
    producer.send(b"still").unwrap();
    assert_eq!(&*consumer.recv().unwrap(), b"still");
    assert!(!matches!(producer.try_send(b"x"), Err(SendError::Forked)));
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 0);
}

//! What producers can do, and what they are refused.

use ringway::{Framing, RecvError, SendError};

use crate::{MOMENT, drain, queue, small};

#[test]
fn a_queue_without_free_slots_is_full() {
    let (_dir, queue) = queue(&small());
    let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    (0..4_u8).for_each(|i| producer.try_send(&[i]).unwrap());
    assert!(matches!(producer.try_send(&[9]), Err(SendError::Full)));
    assert!(matches!(producer.send_timeout(&[9], MOMENT), Err(SendError::Timeout { .. })));
    assert!(matches!(producer.try_reserve(1).unwrap().commit(), Err(SendError::Full)));
    assert!(matches!(producer.reserve_timeout(1, MOMENT).unwrap().commit(), Err(SendError::Timeout { .. })));
    assert!(matches!(producer.try_send_many(&[[9], [9]]), Err(SendError::Full)));
    // Another producer has a lane of its own, but no slot either.
    assert!(matches!(queue.producer().unwrap().try_send(&[9]), Err(SendError::Full)));
    assert_eq!(drain(&consumer), [[0], [1], [2], [3]]);
}

#[test]
fn a_lane_without_room_is_full() {
    let (_dir, queue) = queue(&small().max_messages(64));
    let (mut one, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    let message = vec![7; 1000];
    (0..4).for_each(|_| one.try_send(&message).unwrap());
    assert!(matches!(one.try_send(&message), Err(SendError::Full)));
    assert!(matches!(one.reserve_timeout(1000, MOMENT), Err(SendError::Timeout { .. })));
    let mut two = queue.producer().unwrap();
    two.try_send(&message).unwrap();
    drop(consumer.try_recv().unwrap());
    one.try_send(&message).unwrap();
    assert!(matches!(one.try_send(&message), Err(SendError::Full)));
    assert_eq!(drain(&consumer).len(), 5);
}

#[test]
fn batches_are_cut_to_the_free_slots() {
    let (_dir, queue) = queue(&small());
    let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    let messages: Vec<_> = (0..10_u8).map(|i| [i]).collect();
    assert_eq!(producer.try_send_many(&messages).unwrap(), 4);
    drop(consumer.try_recv_many(2).unwrap());
    assert_eq!(producer.try_send_many(&messages[4..]).unwrap(), 2);
    assert_eq!(consumer.try_recv_many(100).unwrap().len(), 4);
    let none: [[u8; 1]; 0] = [];
    assert_eq!(producer.try_send_many(&none).unwrap(), 0);
    producer.send_many(&none).unwrap();
    assert!(matches!(consumer.try_recv(), Err(RecvError::Empty)));
}

#[test]
fn a_batch_is_committed_as_a_whole_or_not() {
    let (_dir, queue) = queue(&small());
    let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    producer.try_send(b"one").unwrap();
    let mut batch = producer.batch().unwrap();
    for i in 0..4_u8 {
        batch.try_reserve(1).unwrap().fill(i);
    }
    assert!(matches!(batch.try_reserve(1), Err(SendError::Full)), "no more than there are slots");
    assert_eq!(batch.len(), 4);
    assert!(matches!(batch.commit(), Err(SendError::Full)), "three are free");
    assert_eq!(drain(&consumer), [b"one"]);
    let mut batch = producer.batch().unwrap();
    batch.try_reserve(100).unwrap().fill(1);
    assert_eq!(producer.batch().unwrap().commit().unwrap(), 0);
    let mut batch = producer.batch().unwrap();
    (0..4_u8).for_each(|i| batch.try_reserve(3).unwrap().fill(i));
    assert_eq!(batch.commit().unwrap(), 4);
    assert_eq!(drain(&consumer), (0..4_u8).map(|i| [i; 3]).collect::<Vec<_>>());
}

#[test]
fn batches_follow_one_another() {
    let (_dir, queue) = queue(&small().max_messages(1024).ring_bytes(1 << 16));
    let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    let messages: Vec<_> = (0..1000_u32).map(u32::to_le_bytes).collect();
    producer.send_many(&messages).unwrap();
    let mut seen = Vec::new();
    while let Ok(frames) = consumer.try_recv_many(1000) {
        assert!(frames.len() <= 255);
        seen.extend(frames.iter().map(|bytes| u32::from_le_bytes(bytes.try_into().unwrap())));
    }
    assert!(seen.into_iter().eq(0..1000));
}

#[test]
fn claims_are_written_in_place_truncated_and_given_up() {
    let (_dir, queue) = queue(&small());
    let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    for i in 0..100_u8 {
        producer.try_reserve(500).unwrap().abort();
        let mut claim = producer.try_reserve(500).unwrap();
        claim.fill(i);
        claim.truncate(usize::from(i));
        claim.commit().unwrap();
        let _ = producer.try_reserve(1000).unwrap();
        let frame = consumer.try_recv().unwrap();
        assert_eq!(*frame, vec![i; usize::from(i)][..]);
    }
    assert!(matches!(consumer.try_recv(), Err(RecvError::Empty)));
}

#[test]
fn messages_may_be_empty() {
    let (_dir, queue) = queue(&small());
    let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    for _ in 0..100 {
        assert_eq!(producer.try_send_many(&[b"", b"x".as_slice(), b"", b"", b""]).unwrap(), 4);
        let frames = consumer.try_recv_many(9).unwrap();
        assert_eq!(frames.iter().map(<[u8]>::len).collect::<Vec<_>>(), [0, 1, 0, 0]);
    }
}

#[test]
fn messages_larger_than_half_a_lane_are_refused() {
    let (_dir, queue) = queue(&small());
    let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    let max = queue.max_message();
    assert_eq!((max, producer.max_message()), (4096 / 2 - 64, max));
    let error = producer.try_send(&vec![0; max + 1]).unwrap_err();
    assert!(matches!(error, SendError::TooLarge { len, max: most } if len == max + 1 && most == max));
    let text = error.to_string();
    assert!(text.contains(&max.to_string()) && text.contains(&(max + 1).to_string()), "{text}");
    assert!(matches!(producer.send(&vec![0; 1 << 20]), Err(SendError::TooLarge { .. })));
    // The largest one can always be sent, wherever the lane's tail is.
    for small in 0..70 {
        producer.try_send(&vec![1; small * 13]).unwrap();
        drop(consumer.try_recv().unwrap());
        producer.try_send(&vec![2; max]).unwrap();
        assert_eq!(*consumer.try_recv().unwrap(), vec![2; max][..]);
    }
    // In a batch it ends what comes before.
    assert_eq!(producer.try_send_many(&[vec![0; 10], vec![0; max + 1]]).unwrap(), 1);
    assert!(matches!(producer.send_many(&[vec![0; 10], vec![0; max + 1]]), Err(SendError::TooLarge { .. })));
    assert_eq!(drain(&consumer).len(), 2);
}

#[test]
fn messages_of_one_length() {
    for len in [1, 7, 64, 100] {
        let (_dir, queue) = queue(&small().framing(Framing::Fixed(len)).max_messages(16));
        let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        let error = producer.try_send(&vec![0; len + 1]).unwrap_err();
        assert!(
            matches!(error, SendError::WrongLength { len: found, expected } if found == len + 1 && expected == len)
        );
        for lap in 0..50_u8 {
            let messages: Vec<_> = (0..11_u8).map(|i| vec![lap ^ i; len]).collect();
            assert_eq!(producer.try_send_many(&messages).unwrap(), 11);
            assert_eq!(drain(&consumer), messages);
        }
    }
}

/// A producer that takes over a lane leaves alone what is still in it.
#[test]
fn a_lane_is_taken_over_with_its_messages() {
    let (_dir, queue) = queue(&small().max_messages(64).max_participants(2));
    let consumer = queue.consumer().unwrap();
    let mut next = 0_u8;
    let mut expected = 0_u8;
    let mut held = Vec::new();
    for round in 0..200_usize {
        let mut producer = queue.producer().unwrap();
        for i in 0..1 + round % 5 {
            let len = 1 + (round * 37 + i * 211) % 900;
            match producer.try_send(&vec![next; len]) {
                Ok(()) => next = next.wrapping_add(1),
                Err(SendError::Full) => break,
                Err(error) => panic!("{error}"),
            }
        }
        drop(producer);
        while let Ok(frame) = consumer.try_recv() {
            held.push((expected, frame));
            expected = expected.wrapping_add(1);
        }
        if held.len() > 3 {
            for (number, frame) in held.drain(..2 + round % 2) {
                assert!(frame.iter().all(|byte| *byte == number), "message {number} was written over");
            }
        }
    }
    assert!(held.iter().all(|(number, frame)| frame.iter().all(|byte| byte == number)));
    assert_eq!(next, expected);
    assert_eq!(queue.stats().participants.len(), 1, "the consumer");
}

/// The program waits for room that only itself can release.
#[test]
fn a_timeout_tells_which_frames_this_process_holds() {
    let (_dir, queue) = queue(&small());
    let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    (0..4_u8).for_each(|i| producer.try_send(&[i]).unwrap());
    let full = "the queue stayed full until the time was up";
    let error = producer.send_timeout(&[9], MOMENT).unwrap_err();
    assert_eq!(error.to_string(), full, "nothing is in flight");
    drop(consumer.recv().unwrap());
    producer.try_send(&[4]).unwrap();
    let mut held: Vec<_> = (0..3).map(|_| consumer.recv().unwrap()).collect();
    let error = producer.send_timeout(&[9], MOMENT).unwrap_err().to_string();
    assert!(error.starts_with(full), "{error}");
    assert!(error.contains("hold 3 messages in flight, the oldest at position 1:"), "{error}");
    // Another handle of the queue, whose consumers hold nothing.
    // SAFETY: only this test knows the file.
    let other = unsafe { ringway::mpmc::BytesQueue::open(queue.path()) }.unwrap();
    assert_eq!(other.producer().unwrap().send_timeout(&[9], MOMENT).unwrap_err().to_string(), full);
    held.clear();
    producer.send(&[9]).unwrap();
}

#[test]
fn a_timeout_tells_which_frames_this_process_holds_spsc() {
    for (options, said) in [
        (
            ringway::CreateOptions::new().ring_bytes(4096).framing(Framing::Fixed(1024)),
            "hold 4 messages in flight, the oldest at position 0:",
        ),
        (
            ringway::CreateOptions::new().ring_bytes(4096),
            "hold messages in flight, the oldest at position 0:",
        ),
    ] {
        let dir = tempfile::tempdir_in("/dev/shm").unwrap();
        // SAFETY: only this test knows the file.
        let queue =
            unsafe { ringway::spsc::BytesQueue::create_with(dir.path().join("q"), &options) }.unwrap();
        let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        while producer.try_send(&[7; 1024]).is_ok() {}
        let error = producer.send_timeout(&[7; 1024], MOMENT).unwrap_err().to_string();
        assert!(!error.contains("in flight"), "{error}");
        let held: Vec<_> = std::iter::from_fn(|| consumer.try_recv().ok()).collect();
        let error = producer.send_timeout(&[7; 1024], MOMENT).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
        drop(held);
        drop(consumer);
        producer.send(&[7; 1024]).unwrap();
    }
}

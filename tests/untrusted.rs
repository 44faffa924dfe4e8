//! Queues whose other processes are not trusted: they work as other queues do, within their limits,
//! and whatever an untrusted peer writes into the file, at any time, gives errors or messages.

mod common;
#[path = "untrusted/hostile.rs"]
mod hostile;
#[path = "untrusted/storm.rs"]
mod storm;

use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use common::{at, directory};
use ringway::kind::{Kind, Mpmc, Spsc};
use ringway::untrusted::Limits;
use ringway::untrusted::kind::{BytesQueue, Queue};
use ringway::{CreateOptions, Framing, OpenError, OpenOptions, RecvError, SendError};
use rkyv::{Archive, Serialize};

/// A message with out-of-line data that has out-of-line data.
#[derive(Archive, Serialize, Clone, Debug, PartialEq, ringway::Message)]
struct Order {
    id: u64,
    symbol: String,
    legs: Vec<(f64, String)>,
}

fn order(id: u64) -> Order {
    let legs = (0..id % 7).map(|leg| (leg as f64, "venue ".repeat(leg as usize))).collect();
    Order { id, symbol: format!("a symbol that is not inlined {id}"), legs }
}

fn is_same(archived: &ArchivedOrder, order: &Order) -> bool {
    archived.id == order.id
        && archived.symbol == order.symbol
        && archived.legs.len() == order.legs.len()
        && archived.legs.iter().zip(&order.legs).all(|(a, b)| a.0 == b.0 && a.1 == *b.1)
}

fn small() -> CreateOptions {
    CreateOptions::new().ring_bytes(16 * 1024)
}

#[test]
fn messages_arrive_as_they_were_sent() {
    fn check<K: Kind>() {
        let dir = directory();
        let queue = Queue::<Order, K>::create_with(dir.path().join("q"), &small(), &Limits::new()).unwrap();
        let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        // Many laps: messages of all sizes meet the end of the ring in every way.
        for id in 0..3000 {
            producer.send(&order(id)).unwrap();
            assert!(is_same(&consumer.recv().unwrap(), &order(id)), "{id}");
        }
        assert!(matches!(consumer.try_recv(), Err(RecvError::Empty)));
        let mut sent = 0;
        while producer.try_send(&order(sent)).is_ok() {
            sent += 1;
        }
        // Held side by side, and dropped in another order.
        let frames: Vec<_> = (0..sent).map(|_| consumer.try_recv().unwrap()).collect();
        assert!(sent > 3 && frames.iter().zip(0..).all(|(frame, id)| is_same(frame, &order(id))));
        frames.into_iter().rev().for_each(drop);
        producer.try_send(&order(7)).unwrap();
        consumer.recv().unwrap().reject();
        let again = consumer.recv().unwrap();
        assert!(is_same(&again, &order(7)) && again.redeliveries() == 1);
    }
    check::<Spsc>();
    check::<Mpmc>();
}

#[test]
fn bytes_of_every_length_and_framing() {
    fn check<K: Kind>(options: &CreateOptions, len: impl Fn(usize) -> usize) {
        let dir = directory();
        let queue = BytesQueue::<K>::create_with(dir.path().join("q"), options, &Limits::new()).unwrap();
        let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        for round in 0..3000 {
            let message: Vec<u8> = (0..len(round)).map(|i| (i * 7 + round) as u8).collect();
            producer.send(&message).unwrap();
            assert_eq!(*consumer.recv().unwrap(), message);
        }
        queue.close();
        assert!(matches!(producer.try_send(&vec![0; len(1)]), Err(SendError::Closed)));
        assert!(consumer.iter().next().is_none());
    }
    check::<Spsc>(&small(), |round| round % 1000);
    check::<Mpmc>(&small(), |round| round % 1000);
    // Cells of odd lengths begin anywhere.
    check::<Spsc>(&small().align(1).framing(Framing::Fixed(13)), |_| 13);
    check::<Mpmc>(&small().framing(Framing::Fixed(13)), |_| 13);
}

#[test]
fn fixed_sizes_of_types() {
    #[derive(Archive, Serialize, ringway::Message)]
    struct Point {
        x: u64,
        y: u32,
    }
    fn check<K: Kind>() {
        let dir = directory();
        let options = small().framing(Framing::FixedByType);
        let queue = Queue::<Point, K>::create_with(dir.path().join("q"), &options, &Limits::new()).unwrap();
        let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        for round in 0..3000_u32 {
            producer.send(&Point { x: u64::from(round) << 33, y: round }).unwrap();
            let point = consumer.recv().unwrap();
            assert_eq!((point.x.to_native(), point.y.to_native()), (u64::from(round) << 33, round));
        }
        while producer.try_send(&Point { x: 1, y: 2 }).is_ok() {}
        assert!(matches!(producer.try_send(&Point { x: 1, y: 2 }), Err(SendError::Full)));
        assert_eq!(consumer.recv().unwrap().y, 2);
    }
    check::<Spsc>();
    check::<Mpmc>();
}

/// Both sides use `untrusted`, or one of them does.
#[test]
fn trusting_and_distrusting_handles_share_a_queue() {
    fn check<K: Kind>() {
        let dir = directory();
        let path = dir.path().join("q");
        let queue = Queue::<Order, K>::create_with(&path, &small(), &Limits::new()).unwrap();
        // SAFETY: this test's processes use ringway.
        let trusting = unsafe { ringway::kind::Queue::<Order, K>::open(&path) }.unwrap();
        let (mut producer, consumer) = (trusting.producer().unwrap(), queue.consumer().unwrap());
        for id in 0..500 {
            producer.send(&order(id)).unwrap();
            assert!(is_same(&consumer.recv().unwrap(), &order(id)));
        }
        drop((producer, consumer));
        let (mut producer, consumer) = (queue.producer().unwrap(), trusting.consumer().unwrap());
        for id in 0..500 {
            producer.send(&order(id)).unwrap();
            assert!(is_same(&consumer.recv().unwrap(), &order(id)));
        }
    }
    check::<Spsc>();
    check::<Mpmc>();
}

#[test]
fn a_type_of_large_alignment_stands_aligned_in_the_copy() {
    #[derive(Archive, Serialize, ringway::Message)]
    #[rkyv(attr(repr(align(64))))]
    struct Wide {
        vectors: Vec<Line>,
        number: u8,
    }
    #[derive(Archive, Serialize, ringway::Message)]
    // The most that rkyv can do for out-of-line data. On both: rkyv may copy the one as the other.
    #[repr(align(32))]
    #[rkyv(attr(repr(align(32))))]
    struct Line(u8);

    let dir = directory();
    let queue = Queue::<Wide>::create_with(dir.path().join("q"), &small(), &Limits::new()).unwrap();
    let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    for round in 0..500_u64 {
        let lines = || (0..round % 9).map(|i| Line(i as u8)).collect::<Vec<_>>();
        producer.send(&Wide { vectors: lines(), number: round as u8 }).unwrap();
        let wide = consumer.recv().unwrap();
        assert!(std::ptr::from_ref(&*wide).addr().is_multiple_of(64));
        assert_eq!((wide.number, wide.vectors.len() as u64), (round as u8, round % 9));
        assert!(wide.vectors.iter().zip(0..).all(|(line, i)| line.0 == i));
        assert!(wide.vectors.as_ptr().addr().is_multiple_of(32) || wide.vectors.is_empty());
    }
}

/// The offset of the text in a file.
fn find(path: &Path, text: &[u8]) -> u64 {
    let bytes = std::fs::read(path).unwrap();
    bytes.windows(text.len()).position(|window| window == text).expect("it is in the file") as u64
}

#[test]
fn received_messages_cannot_be_changed() {
    fn check<K: Kind>() {
        let dir = directory();
        let path = dir.path().join("q");
        let queue = Queue::<Order, K>::create(&path).unwrap();
        let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        producer.send(&order(5)).unwrap();
        let frame = consumer.recv().unwrap();
        let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        let text = b"a symbol that is not inlined 5";
        file.write_all_at(&[0xff; 30], find(&path, text)).unwrap();
        // 0xff is no UTF-8: in place this would be undefined behaviour.
        assert_eq!(frame.symbol, "a symbol that is not inlined 5");
        assert!(is_same(&frame, &order(5)));
        // When it is rejected, it is taken again as it is in the file now, and refused.
        frame.reject();
        assert!(matches!(consumer.recv(), Err(RecvError::Invalid(_))));
        producer.send(&order(6)).unwrap();
        assert!(is_same(&consumer.recv().unwrap(), &order(6)), "the next one is not affected");
    }
    check::<Spsc>();
    check::<Mpmc>();
}

#[test]
fn messages_beyond_the_limit_are_skipped() {
    fn check<K: Kind>() {
        let dir = directory();
        let path = dir.path().join("q");
        let limits = Limits::new().message(100);
        let queue = BytesQueue::<K>::create_with(&path, &small(), &limits).unwrap();
        assert_eq!(queue.max_message(), 100);
        // SAFETY: this test's processes use ringway.
        let trusting = unsafe { ringway::kind::BytesQueue::<K>::open(&path) }.unwrap();
        let (mut producer, consumer) = (trusting.producer().unwrap(), queue.consumer().unwrap());
        // More than there is room for at one time: what is skipped is released.
        for _ in 0..100 {
            producer.send_many(&[vec![1; 100], vec![2; 101], vec![3; 4000], vec![4; 99]]).unwrap();
            assert_eq!(*consumer.recv().unwrap(), [1; 100]);
            assert!(matches!(consumer.try_recv(), Err(RecvError::TooLarge { len: 101, limit: 100 })));
            let error = consumer.recv().unwrap_err();
            assert!(error.to_string().contains("4000 bytes") && error.to_string().contains("100"), "{error}");
            assert_eq!(*consumer.recv().unwrap(), [4; 99]);
        }
        drop(producer);
        let mut producer = queue.producer().unwrap();
        assert!(matches!(producer.try_send(&[0; 101]), Err(SendError::TooLarge { len: 101, max: 100 })));
        producer.try_send(&[0; 100]).unwrap();
    }
    check::<Spsc>();
    check::<Mpmc>();
}

#[derive(Archive, Serialize, ringway::Message)]
#[rkyv(serialize_bounds(__S: rkyv::ser::Writer, __S::Error: rkyv::rancor::Source))]
#[rkyv(bytecheck(bounds(__C: rkyv::validation::ArchiveContext, __C::Error: rkyv::rancor::Source)))]
struct Nest {
    #[rkyv(omit_bounds)]
    inner: Option<Box<Nest>>,
}

#[test]
fn archives_beyond_the_depth_are_refused() {
    let nest =
        |levels| (1..levels).fold(Nest { inner: None }, |nest, _| Nest { inner: Some(Box::new(nest)) });
    let dir = directory();
    let path = dir.path().join("q");
    let queue = Queue::<Nest>::create_with(&path, &small(), &Limits::new().depth(20)).unwrap();
    // This side's own producer refuses what this side could not read.
    let refused = queue.producer().unwrap().send(&nest(100));
    assert!(matches!(refused, Err(SendError::TooDeep { .. })), "{refused:?}");
    // The peer has other limits.
    let peer = Queue::<Nest>::open_with(&path, &OpenOptions::new(), &Limits::new().depth(1000)).unwrap();
    let (mut producer, consumer) = (peer.producer().unwrap(), queue.consumer().unwrap());
    producer.send(&nest(10)).unwrap();
    assert!(consumer.recv().is_ok());
    producer.send(&nest(100)).unwrap();
    assert!(matches!(consumer.recv(), Err(RecvError::Invalid(_))));
    producer.send(&nest(10)).unwrap();
    assert!(consumer.recv().is_ok(), "the next one is not affected");
}

#[test]
fn files_beyond_the_limit_are_refused() {
    let dir = directory();
    let path = dir.path().join("q");
    let limits = Limits::new().file(1 << 20);
    drop(BytesQueue::<Spsc>::create_with(&path, &CreateOptions::new().ring_bytes(1 << 20), &limits).unwrap());
    let error = BytesQueue::<Spsc>::open_with(&path, &OpenOptions::new(), &limits).unwrap_err();
    assert!(matches!(error, OpenError::TooLarge { limit: 0x10_0000, .. }));
    for part in [path.to_str().unwrap(), "1048576", "raise the limit"] {
        assert!(error.to_string().contains(part), "{error}");
    }
    let error = BytesQueue::<Spsc>::open_or_create_with(&path, &CreateOptions::new(), &limits).unwrap_err();
    assert!(matches!(error, OpenError::TooLarge { limit: 0x10_0000, .. }));
    assert!(BytesQueue::<Spsc>::open(&path).is_ok());
    let own = dir.path().join("own");
    let large = CreateOptions::new().ring_bytes(1 << 20);
    BytesQueue::<Spsc>::open_or_create_with(&own, &large, &limits).expect("limits are for what others make");
    let wide = dir.path().join("wide");
    let options = CreateOptions::new().ring_bytes(4096).max_messages(1 << 13).max_participants(4096);
    drop(BytesQueue::<Mpmc>::create_with(&wide, &options, &limits).unwrap());
    let error =
        BytesQueue::<Mpmc>::open_with(&wide, &OpenOptions::new(), &Limits::new().file(u64::MAX)).unwrap_err();
    assert!(error.to_string().contains("maximum messages times maximum participants"), "{error}");
}

/// A peer that writes commit words can make a reader go round and round: not beyond where its sums
/// would overflow.
#[test]
fn a_reader_that_was_led_too_far_says_so() {
    let dir = directory();
    let path = dir.path().join("q");
    let capacity = 4096_u64;
    let queue =
        BytesQueue::<Spsc>::create_with(&path, &CreateOptions::new().ring_bytes(4096), &Limits::new())
            .unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    let put = |offset: usize, value: u64| file.write_all_at(&value.to_ne_bytes(), offset as u64).unwrap();
    let last = (1_u64 << 62) + 2 * capacity;
    for word in [at::TAIL, at::HEAD, at::RELEASED, at::TAKEN] {
        put(word, last);
    }
    let consumer = queue.consumer().unwrap();
    let word = 1000_u64 << 2 | 1;
    let mut received = 0;
    let error = loop {
        // A frame wherever it may read next.
        for slot in 0..4 {
            put(at::FIRST_WORD + slot * 1008, word);
        }
        let padding = 2;
        put(at::FIRST_WORD + 4 * 1008, padding);
        match consumer.try_recv() {
            Ok(frame) => received += frame.len() / 1000,
            Err(RecvError::Corrupted(corrupted)) => break corrupted,
            Err(other) => panic!("{other}"),
        }
        assert!(received < 100, "it goes on for ever");
    };
    assert!(received >= 4, "{error}");
}

#[test]
fn waiting_ends_when_the_time_is_up() {
    let dir = directory();
    let queue = Queue::<Order>::create(dir.path().join("q")).unwrap();
    let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    let moment = Duration::from_millis(5);
    assert!(matches!(consumer.recv_timeout(moment), Err(RecvError::Timeout)));
    assert!(matches!(consumer.recv_deadline(std::time::Instant::now() + moment), Err(RecvError::Timeout)));
    while producer.try_send(&order(1)).is_ok() {}
    assert!(matches!(producer.send_timeout(&order(1), moment), Err(SendError::Timeout { .. })));
    assert!(consumer.has_producer().unwrap() && producer.has_consumer().unwrap());
    consumer.canceller().cancel();
    drop(consumer.recv().unwrap());
}

//! In steady traffic nothing is allocated, on either side.
//!
//! One test, in a binary of its own: the counting allocator is the whole process's.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use common::directory;
use ringway::kind::{Broadcast, Kind, Mpmc, Spsc};
use ringway::spsc::{BytesConsumer, BytesProducer, BytesQueue, Consumer, Producer, Queue};
use ringway::{CreateOptions, Framing, RecvError, SendError, untrusted};
use rkyv::{Archive, Serialize};

thread_local! {
    /// Of this thread only: the test runner's other thread may allocate.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    ALLOCATIONS.set(ALLOCATIONS.get() + 1);
}

/// The system's allocator, with a count of the requests for memory.
struct Counting;

// SAFETY: everything is forwarded to the system's allocator unchanged; counting allocates nothing,
// since the counter needs neither initialisation nor a destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise is the same.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's promise is the same.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is the same.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How many times `action` allocates.
fn allocations(action: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.get();
    action();
    ALLOCATIONS.get() - before
}

/// Runs `round` until it has warmed up, then counts.
#[track_caller]
fn assert_allocates_nothing(what: &str, mut round: impl FnMut(u64)) {
    const WARM_UP: u64 = 200;
    const ROUNDS: u64 = 5_000;
    (0..WARM_UP).for_each(&mut round);
    let count = allocations(|| (WARM_UP..WARM_UP + ROUNDS).for_each(&mut round));
    assert_eq!(count, 0, "{what}: {count} allocations in {ROUNDS} rounds");
}

/// A message with out-of-line data that has out-of-line data.
#[derive(Archive, Serialize, ringway::Message)]
struct Book {
    sequence: u64,
    symbol: String,
    orders: Vec<Order>,
}

#[derive(Archive, Serialize, ringway::Message)]
struct Order {
    trader: String,
    price: f64,
}

/// A message of a fixed size.
#[derive(Archive, Serialize, ringway::Message)]
struct Point {
    x: u64,
    y: u64,
}

/// Messages of all sizes from almost nothing to some 2.5 kB, so that they meet the end of the ring
/// in every way.
fn books() -> Vec<Book> {
    let order = |i| Order { trader: format!("a trader whose number is {i}"), price: f64::from(i) };
    let book = |i: u32| Book {
        sequence: i.into(),
        symbol: "a symbol that is not inlined ".repeat(i as usize % 4),
        orders: (0..i).map(order).collect(),
    };
    (0..40).map(book).collect()
}

/// Small, so that every few messages begin a new lap.
const RING: usize = 16 * 1024;

fn check(book: &ArchivedBook, expected: &Book) {
    assert!(book.sequence == expected.sequence && book.symbol == *expected.symbol);
    assert!(book.orders.len() == expected.orders.len());
    assert!(
        book.orders.iter().zip(&expected.orders).all(|(a, b)| a.trader == *b.trader && a.price == b.price)
    );
}

fn typed_one_by_one(producer: &mut Producer<Book>, consumer: &Consumer<Book>, books: &[Book]) {
    assert_allocates_nothing("send and recv", |round| {
        let book = &books[round as usize % books.len()];
        producer.send(book).unwrap();
        check(&consumer.recv().unwrap(), book);
    });
    assert_allocates_nothing("try_send up to Full, try_recv up to Empty", |_| {
        let mut sent = 0;
        loop {
            match producer.try_send(&books[sent % books.len()]) {
                Ok(()) => sent += 1,
                Err(SendError::Full) => break,
                Err(error) => panic!("{error}"),
            }
        }
        assert!(sent > 3);
        for i in 0..sent {
            check(&consumer.try_recv().unwrap(), &books[i % books.len()]);
        }
        assert!(matches!(consumer.try_recv(), Err(RecvError::Empty)));
    });
}

fn typed_batches(producer: &mut Producer<Book>, consumer: &Consumer<Book>, books: &[Book]) {
    assert_allocates_nothing("try_send_many and recv_many", |round| {
        let batch = &books[round as usize % 30..][..10];
        let sent = producer.try_send_many(batch).unwrap();
        assert!(sent > 0);
        let frames = consumer.recv_many(100).unwrap();
        assert_eq!(frames.len(), sent);
        frames.iter().zip(batch).for_each(|(frame, book)| check(frame.unwrap(), book));
    });
}

fn bytes(producer: &mut BytesProducer, consumer: &BytesConsumer, fixed: Option<usize>) {
    let message = [7_u8; 1000];
    let len = |round: u64| fixed.unwrap_or(round as usize % 1000);
    assert_allocates_nothing("bytes: send and recv", |round| {
        producer.send(&message[..len(round)]).unwrap();
        assert_eq!(&*consumer.recv().unwrap(), &message[..len(round)]);
    });
    assert_allocates_nothing("bytes: claims, committed and given up", |round| {
        producer.reserve(len(round)).unwrap().abort();
        let mut claim = producer.reserve(len(round)).unwrap();
        claim.fill(9);
        claim.commit().unwrap();
        assert!(consumer.recv().unwrap().iter().all(|byte| *byte == 9));
    });
    let messages = [&message[..len(100)]; 10];
    assert_allocates_nothing("bytes: try_send_many and recv_many", |_| {
        assert_eq!(producer.try_send_many(&messages).unwrap(), 10);
        let frames = consumer.recv_many(100).unwrap();
        assert!(frames.len() == 10 && frames.iter().all(|frame| frame == messages[0]));
    });
    assert_allocates_nothing("bytes: batch", |round| {
        let mut batch = producer.batch().unwrap();
        for i in 0..5 {
            batch.try_reserve(len(round)).unwrap().fill(i);
        }
        assert_eq!(batch.commit().unwrap(), 5);
        let frames = consumer.try_recv_many(usize::MAX).unwrap();
        assert!(frames.iter().zip(0..).all(|(frame, i)| frame.iter().all(|byte| *byte == i)));
    });
}

/// Copies are in buffers that are used again.
fn untrusted<K: Kind>(books: &[Book]) {
    let (dir, options, limits) =
        (directory(), CreateOptions::new().ring_bytes(RING), untrusted::Limits::new());
    let path = dir.path().join("typed");
    let queue = untrusted::kind::Queue::<Book, K>::create_with(path, &options, &limits).unwrap();
    let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    assert_allocates_nothing("untrusted: send and recv", |round| {
        let book = &books[round as usize % books.len()];
        producer.send(book).unwrap();
        check(&consumer.recv().unwrap(), book);
    });
    assert_allocates_nothing("untrusted: several at once", |round| {
        let round = round as usize;
        for i in 0..3 {
            producer.try_send(&books[(round + i) % books.len()]).unwrap();
        }
        let frames = [(); 3].map(|()| consumer.try_recv().unwrap());
        (0..3).for_each(|i| check(&frames[i], &books[(round + i) % books.len()]));
        assert!(matches!(consumer.try_recv(), Err(RecvError::Empty)));
    });
    let path = dir.path().join("bytes");
    let queue = untrusted::kind::BytesQueue::<K>::create_with(path, &options, &limits.message(900)).unwrap();
    let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    let message = [7_u8; 1000];
    assert_allocates_nothing("untrusted bytes: send and recv", |round| {
        let message = &message[..round as usize % 1000];
        match producer.send(message) {
            Ok(()) => assert_eq!(&*consumer.recv().unwrap(), message),
            Err(error) => assert!(message.len() > 900 && matches!(error, SendError::TooLarge { .. })),
        }
    });
}

/// One producer, and consumers of all modes; room is made by raises all the time.
fn broadcast() {
    use ringway::broadcast::{BytesQueue, Subscribe};
    let dir = directory();
    let options = CreateOptions::new().max_messages(16).ring_bytes(RING);
    // SAFETY: only this test knows the file.
    let queue = unsafe { BytesQueue::create_with(dir.path().join("broadcast"), &options) }.unwrap();
    let mut producer = queue.producer().unwrap();
    let subscribes = [Subscribe::reliable(), Subscribe::lossy(), Subscribe::lossy().in_place(true)];
    let consumers = subscribes.map(|subscribe| queue.consumer_with(&subscribe).unwrap());
    let message = [7_u8; 1000];
    assert_allocates_nothing("broadcast: send and recv", |round| {
        let message = &message[..round as usize % 1000];
        producer.send(message).unwrap();
        consumers.iter().for_each(|consumer| assert_eq!(&*consumer.recv().unwrap(), message));
    });
    let messages = [&message[..100]; 5];
    assert_allocates_nothing("broadcast: send_many and recv_many", |_| {
        producer.send_many(&messages).unwrap();
        for (index, consumer) in consumers.iter().enumerate() {
            assert_eq!(consumer.recv_many(100).unwrap().len(), 5, "consumer {index}");
        }
    });
    let [reliable, lossy, in_place] = consumers;
    drop((reliable, in_place));
    assert_allocates_nothing("broadcast: a lossy consumer that misses most", |_| {
        for _ in 0..20 {
            producer.try_send(&message).unwrap();
        }
        assert!(matches!(lossy.recv(), Err(RecvError::Lagged(_))));
        while lossy.try_recv().is_ok() {}
    });
}

#[test]
fn steady_traffic_allocates_nothing() {
    // The counter counts; otherwise all that follows would prove nothing.
    assert_eq!(allocations(|| drop(std::hint::black_box(Box::new(1)))), 1);
    assert_eq!(allocations(|| drop(std::hint::black_box(vec![0_u8; 100]))), 1);

    let dir = directory();
    let options = CreateOptions::new().ring_bytes(RING);
    // SAFETY: only this test knows the file.
    let queue = unsafe { Queue::<Book>::create_with(dir.path().join("typed"), &options) }.unwrap();
    let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    let books = books();
    typed_one_by_one(&mut producer, &consumer, &books);
    typed_batches(&mut producer, &consumer, &books);

    broadcast();
    untrusted::<Spsc>(&books);
    untrusted::<Mpmc>(&books);
    untrusted::<Broadcast>(&books);

    let points = options.clone().framing(Framing::FixedByType);
    // SAFETY: only this test knows the file.
    let queue = unsafe { Queue::<Point>::create_with(dir.path().join("points"), &points) }.unwrap();
    let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    assert_allocates_nothing("fixed size: send and recv", |round| {
        producer.send(&Point { x: round, y: !round }).unwrap();
        let point = consumer.recv().unwrap();
        assert_eq!((point.x.to_native(), point.y.to_native()), (round, !round));
    });
    assert_allocates_nothing("fixed size: try_send_many and recv_many", |round| {
        let batch = [Point { x: round, y: 1 }, Point { x: round, y: 2 }];
        assert_eq!(producer.try_send_many(&batch).unwrap(), 2);
        let frames = consumer.recv_many(100).unwrap();
        assert!(frames.len() == 2 && frames.iter().all(|point| point.unwrap().x == round));
    });

    for (name, fixed) in [("bytes", None), ("fixed", Some(100))] {
        let options = fixed.map_or(options.clone(), |len| options.clone().framing(Framing::Fixed(len)));
        // SAFETY: only this test knows the file.
        let queue = unsafe { BytesQueue::create_with(dir.path().join(name), &options) }.unwrap();
        bytes(&mut queue.producer().unwrap(), &queue.consumer().unwrap(), fixed);
    }
}

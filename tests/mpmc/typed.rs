//! Queues of values.

use ringway::mpmc::{Message, Queue};
use ringway::{CreateOptions, Framing, OpenError, RecvError, SendError};
use rkyv::{Archive, Deserialize, Serialize};

#[derive(Archive, Serialize, ringway::Message, Deserialize, Clone, Debug, PartialEq)]
struct Order {
    id: u64,
    symbol: String,
    legs: Vec<Vec<u128>>,
}

#[derive(Archive, Serialize, ringway::Message, Deserialize, Clone, Copy, Debug, PartialEq)]
struct Tick {
    id: u64,
    price: u32,
}

fn order(id: u64) -> Order {
    let legs = (0..id % 5).map(|leg| (0..leg * 3).map(u128::from).collect()).collect();
    Order { id, symbol: "S".repeat(id as usize % 40), legs }
}

fn typed<T: Message>(options: &CreateOptions) -> (tempfile::TempDir, Queue<T>) {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    // SAFETY: only this test knows the file.
    let queue = unsafe { Queue::create_with(dir.path().join("q"), options) }.unwrap();
    (dir, queue)
}

#[test]
fn values_with_strings_and_vectors_arrive() {
    let (_dir, queue) = typed::<Order>(&CreateOptions::new().max_messages(16).ring_bytes(4096));
    let mut producers = [queue.producer().unwrap(), queue.producer().unwrap()];
    let consumers = [queue.consumer().unwrap(), queue.consumer().unwrap()];
    let (mut next, mut full) = (0, 0);
    for id in 0..3000 {
        while let Err(error) = producers[id as usize % 2].try_send(&order(id)) {
            assert!(matches!(error, SendError::Full), "{error}");
            full += 1;
            let frame = consumers[next as usize % 2].recv().unwrap();
            assert!(frame.as_bytes().as_ptr().addr().is_multiple_of(16));
            let value: Order = rkyv::deserialize::<_, rkyv::rancor::Error>(&*frame).unwrap();
            assert_eq!(value, order(next));
            next += 1;
        }
    }
    assert!(full > 100, "the queue was full now and then");
    let values: Vec<_> = (0..3).map(order).collect();
    drop(consumers[0].try_recv_many(100).unwrap());
    assert_eq!(producers[0].try_send_many(&values).unwrap(), 3);
    let frames = consumers[1].try_recv_many(3).unwrap();
    assert!(frames.iter().zip(0..3).all(|(frame, id)| frame.unwrap().id == id));
    frames.reject();
    let again = consumers[0].try_recv().unwrap();
    assert_eq!((again.redeliveries(), again.dead_letter()), (1, None));
    assert_eq!(queue.stats().rejected, 3);
    assert_eq!(queue.recover().unwrap().deaths, 0);
}

#[test]
fn values_of_one_size_arrive() {
    let (_dir, queue) =
        typed::<Tick>(&CreateOptions::new().max_messages(64).ring_bytes(4096).framing(Framing::FixedByType));
    let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    for id in 0..5000 {
        let price = id as u32 * 3;
        producer.send(&Tick { id, price }).unwrap();
        let frame = consumer.try_recv().unwrap();
        assert!(frame.id == id && frame.price == price);
    }
    /// It claims that all of it is in its root, which is not true of every text.
    #[derive(Archive, Serialize, ringway::Message)]
    struct Text(#[ringway(opaque = "Text", inline)] String);
    let (_dir, queue) = typed::<Text>(&CreateOptions::new());
    let mut producer = queue.producer().unwrap();
    let error = producer.try_send(&Text("longer than what fits into the root".to_owned()));
    assert!(matches!(error, Err(SendError::WrongLength { .. })), "{error:?}");
}

#[test]
fn frames_go_to_other_threads() {
    let (_dir, queue) = typed::<Order>(&CreateOptions::new());
    let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    (0..10).for_each(|id| producer.send(&order(id)).unwrap());
    std::thread::scope(|scope| {
        for id in 0..10 {
            let frame = consumer.recv().unwrap();
            scope.spawn(move || assert!(frame.id == id && frame.symbol == order(id).symbol.as_str()));
        }
    });
    assert!(matches!(consumer.try_recv(), Err(RecvError::Empty)));
}

#[test]
fn another_type_is_refused() {
    let (dir, _queue) = typed::<Order>(&CreateOptions::new());
    // SAFETY: only this test knows the file.
    let error = unsafe { Queue::<Tick>::open(dir.path().join("q")) }.unwrap_err();
    assert!(matches!(error, OpenError::WrongType { .. }), "{error}");
}

#[test]
fn values_become_dead_letters() {
    let (_dir, queue) = typed::<Order>(&CreateOptions::new().max_redeliveries(1));
    let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    producer.send(&order(3)).unwrap();
    producer.send(&order(4)).unwrap();
    consumer.recv().unwrap().reject();
    consumer.recv().unwrap().reject();
    assert_eq!(consumer.recv().unwrap().id, 4);
    let letters = queue.dead_letters().unwrap();
    let reader = letters.consumer().unwrap();
    let letter = reader.recv().unwrap();
    assert!(letter.id == 3 && letter.dead_letter().unwrap().position == 0);
}

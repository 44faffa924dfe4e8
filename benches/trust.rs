//! What trust costs: receiving a message without validation, validated in place (the default), and
//! by a consumer that trusts no peer (copied, then validated). Only receiving is timed, in one
//! thread, with everything in the nearest caches that it fits into. `cargo bench --bench trust`
#![allow(missing_docs, reason = "criterion's macros")]

use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ringway::spsc::{Message, Queue};
use ringway::{CreateOptions, Framing, untrusted};
use rkyv::{Archive, Serialize};

/// 64 bytes, of a fixed size.
#[derive(Archive, Serialize, ringway::Message)]
struct Point {
    numbers: [u64; 8],
}

/// About 240 bytes.
#[derive(Archive, Serialize, ringway::Message)]
struct Order {
    id: u64,
    symbol: String,
    legs: Vec<Leg>,
    note: Option<Box<str>>,
}

#[derive(Archive, Serialize, ringway::Message)]
struct Leg {
    price: f64,
    venue: String,
}

fn order() -> Order {
    let leg = |i: usize| Leg { price: i as f64, venue: format!("a venue that is number {i}") };
    Order {
        id: 7,
        symbol: "a symbol of some length".into(),
        legs: (0..4).map(leg).collect(),
        note: Some("a note".into()),
    }
}

#[derive(Archive, Serialize, ringway::Message)]
struct Strings {
    strings: Vec<String>,
}

fn strings() -> Strings {
    Strings { strings: (0..10_000).map(|i| format!("string number {i:06}")).collect() }
}

/// Times `receive` alone, `at_once` messages in a row.
fn timed(iterations: u64, at_once: u64, mut send: impl FnMut(), mut receive: impl FnMut()) -> Duration {
    let mut total = Duration::ZERO;
    let mut left = iterations;
    while left > 0 {
        let now = left.min(at_once);
        (0..now).for_each(|_| send());
        let start = Instant::now();
        (0..now).for_each(|_| receive());
        total += start.elapsed();
        left -= now;
    }
    total
}

fn compare<T: Message>(
    criterion: &mut Criterion,
    name: &str,
    value: &T,
    options: &CreateOptions,
    at_once: u64,
) {
    let dir = tempfile::tempdir_in("/dev/shm").expect("a directory");
    let path = dir.path().join("q");
    // SAFETY: only this test knows the file.
    let queue = unsafe { Queue::<T>::create_with(&path, options) }.expect("a new queue");
    let careful = untrusted::kind::Queue::<T>::open(&path).expect("the same queue");
    let mut producer = queue.producer().expect("a producer");
    producer.send(value).expect("room");
    let bytes = queue.consumer().expect("a consumer").recv().expect("a message").as_bytes().len();
    let mut group = criterion.benchmark_group(format!("{name} ({bytes} bytes)"));
    group.throughput(Throughput::Bytes(bytes as u64)).sample_size(20);
    group.bench_function(BenchmarkId::from_parameter("unchecked"), |bencher| {
        let consumer = queue.consumer().expect("a consumer");
        bencher.iter_custom(|iterations| {
            let receive = || {
                // SAFETY: the producer above wrote it.
                let frame = unsafe { consumer.recv_unchecked() }.expect("a message");
                std::hint::black_box(&*frame);
            };
            timed(iterations, at_once, || producer.send(value).expect("room"), receive)
        });
    });
    group.bench_function(BenchmarkId::from_parameter("validated"), |bencher| {
        let consumer = queue.consumer().expect("a consumer");
        bencher.iter_custom(|iterations| {
            let receive = || drop(std::hint::black_box(consumer.recv().expect("a message")));
            timed(iterations, at_once, || producer.send(value).expect("room"), receive)
        });
    });
    group.bench_function(BenchmarkId::from_parameter("untrusted"), |bencher| {
        let consumer = careful.consumer().expect("a consumer");
        bencher.iter_custom(|iterations| {
            let receive = || drop(std::hint::black_box(consumer.recv().expect("a message")));
            timed(iterations, at_once, || producer.send(value).expect("room"), receive)
        });
    });
    group.finish();
}

fn trust(criterion: &mut Criterion) {
    let point = Point { numbers: [7; 8] };
    compare(criterion, "fixed", &point, &CreateOptions::new().framing(Framing::FixedByType), 1000);
    compare(criterion, "nested", &order(), &CreateOptions::new(), 1000);
    compare(criterion, "10 000 strings", &strings(), &CreateOptions::new().ring_bytes(4 << 20), 4);
}

criterion_group!(benches, trust);
criterion_main!(benches);

//! The cost of the calls themselves.
#![allow(unsafe_code, reason = "queue files that only this benchmark knows")]

use std::hint::black_box;

use ringway::spsc::Queue;
use ringway::{CreateOptions, Framing};

use super::ringway::bytes_queue;
use crate::common::file::{Temp, name_of_queue};
use crate::common::message::{Message, fill, make};

/// Sends one message of 64 bytes and receives it, in one thread.
pub(crate) fn calls(mut group: criterion::BenchmarkGroup<'_, criterion::measurement::WallTime>) {
    let (mut tx, mut rx) = rtrb::RingBuffer::<Message<8>>::new(1024);
    group.bench_function("rtrb", |bencher| {
        bencher.iter(|| {
            tx.push(black_box(make(1))).unwrap();
            black_box(rx.pop().unwrap())
        });
    });
    for (name, options) in
        [("fixed", CreateOptions::new().framing(Framing::Fixed(64))), ("variable", CreateOptions::new())]
    {
        let queue = bytes_queue(&options);
        let (mut tx, rx) = (queue.0.producer().unwrap(), queue.0.consumer().unwrap());
        group.bench_function(format!("ringway bytes {name}"), |bencher| {
            bencher.iter(|| {
                let mut claim = tx.try_reserve(64).unwrap();
                fill::<8>(black_box(1), &mut claim);
                claim.commit().unwrap();
                black_box(rx.try_recv().unwrap()[0])
            });
        });
    }
    for (name, options) in [
        ("fixed", CreateOptions::new().framing(Framing::FixedByType)),
        ("variable", CreateOptions::new().framing(Framing::Variable)),
    ] {
        let path = name_of_queue();
        // SAFETY: only this benchmark knows the file.
        let queue = Temp(unsafe { Queue::<Message<8>>::create_with(&path, &options) }.unwrap(), path);
        let (mut tx, rx) = (queue.0.producer().unwrap(), queue.0.consumer().unwrap());
        let message = make::<8>(1);
        group.bench_function(format!("ringway typed {name}"), |bencher| {
            bencher.iter(|| {
                tx.try_send(black_box(&message)).unwrap();
                black_box(rx.try_recv().unwrap()[0])
            });
        });
    }
}

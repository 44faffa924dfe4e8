//! Ringway, between two processes or two threads.
#![allow(unsafe_code, reason = "queue files that only this benchmark knows")]

use std::time::Duration;

use ringway::CreateOptions;
use ringway::spsc::{BytesQueue, Queue};

use super::check::Check;
use super::sides::{processes, threads};
use crate::common::file::{Temp, name_of_queue};
use crate::common::message::{Message, fill, make};

pub(super) fn bytes_queue(options: &CreateOptions) -> Temp<BytesQueue> {
    let name = name_of_queue();
    // SAFETY: only this benchmark knows the file.
    Temp(unsafe { BytesQueue::create_with(&name, options) }.unwrap(), name)
}

pub(super) fn bytes_single<const W: usize>(options: CreateOptions, count: u64, two: bool) -> Duration {
    let queue = bytes_queue(&options);
    let path = queue.1.clone();
    let consumer = queue.0.consumer().unwrap();
    let produce = || {
        // SAFETY: only this benchmark knows the file.
        let queue = unsafe { BytesQueue::open(&path) }.unwrap();
        let mut tx = queue.producer().unwrap();
        for seq in 0..count {
            let mut claim = tx.reserve(W * 8).unwrap();
            fill::<W>(seq, &mut claim);
            claim.commit().unwrap();
        }
    };
    let consume = || {
        let mut check = Check::new();
        while check.expected < count {
            check.bytes::<W>(&consumer.recv().unwrap());
        }
        check.elapsed()
    };
    if two { processes(produce, consume) } else { threads(produce, consume) }
}

pub(super) fn bytes_batch<const W: usize>(options: CreateOptions, count: u64) -> Duration {
    let queue = bytes_queue(&options);
    let path = queue.1.clone();
    let consumer = queue.0.consumer().unwrap();
    let produce = || {
        // SAFETY: only this benchmark knows the file.
        let queue = unsafe { BytesQueue::open(&path) }.unwrap();
        let mut tx = queue.producer().unwrap();
        let mut seq = 0;
        while seq < count {
            let mut batch = tx.batch().unwrap();
            for _ in 0..32.min(count - seq) {
                match batch.try_reserve(W * 8) {
                    Ok(payload) => fill::<W>(seq, payload),
                    Err(_) => break,
                }
                seq += 1;
            }
            if batch.commit().unwrap() == 0 {
                std::hint::spin_loop();
            }
        }
    };
    let consume = || {
        let mut check = Check::new();
        while check.expected < count {
            for message in consumer.recv_many(32).unwrap().iter() {
                check.bytes::<W>(message);
            }
        }
        check.elapsed()
    };
    processes(produce, consume)
}

pub(super) fn typed_single<const W: usize>(options: CreateOptions, count: u64, checked: bool) -> Duration {
    let name = name_of_queue();
    // SAFETY: only this benchmark knows the file.
    let queue = Temp(unsafe { Queue::<Message<W>>::create_with(&name, &options) }.unwrap(), name);
    let path = queue.1.clone();
    let consumer = queue.0.consumer().unwrap();
    let produce = || {
        // SAFETY: only this benchmark knows the file.
        let queue = unsafe { Queue::<Message<W>>::open(&path) }.unwrap();
        let mut tx = queue.producer().unwrap();
        for seq in 0..count {
            tx.send(&make(seq)).unwrap();
        }
    };
    let consume = || {
        let mut check = Check::new();
        while check.expected < count {
            if checked {
                let message = consumer.recv().unwrap();
                check.words(message.iter().map(|word| word.to_native()));
            } else {
                // SAFETY: the only producer is a `Producer` of this type.
                let message = unsafe { consumer.recv_unchecked() }.unwrap();
                check.words(message.iter().map(|word| word.to_native()));
            }
        }
        check.elapsed()
    };
    processes(produce, consume)
}

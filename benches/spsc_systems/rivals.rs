//! In-process queues between two threads, each at its best.

use std::time::Duration;

use super::check::Check;
use super::sides::threads;
use crate::common::message::{Message, make};

pub(super) fn rtrb<const W: usize>(ring: usize, count: u64) -> Duration {
    let (mut tx, mut rx) = rtrb::RingBuffer::<Message<W>>::new(ring / (W * 8));
    threads(
        move || {
            for seq in 0..count {
                let mut message = make(seq);
                while let Err(rtrb::PushError::Full(back)) = tx.push(message) {
                    message = back;
                    std::hint::spin_loop();
                }
            }
        },
        || {
            let mut check = Check::new();
            while check.expected < count {
                match rx.pop() {
                    Ok(message) => check.words(message.into_iter()),
                    Err(_) => std::hint::spin_loop(),
                }
            }
            check.elapsed()
        },
    )
}

pub(super) fn nexus<const W: usize>(ring: usize, count: u64) -> Duration {
    let (tx, rx) = nexus_queue::spsc::ring_buffer::<Message<W>>(ring / (W * 8));
    threads(
        move || {
            for seq in 0..count {
                let mut message = make(seq);
                while let Err(back) = tx.push(message) {
                    message = back.into_inner();
                    std::hint::spin_loop();
                }
            }
        },
        || {
            let mut check = Check::new();
            while check.expected < count {
                match rx.pop() {
                    Some(message) => check.words(message.into_iter()),
                    None => std::hint::spin_loop(),
                }
            }
            check.elapsed()
        },
    )
}

pub(super) fn disruptor_batches<const W: usize>(ring: usize, count: u64) -> Duration {
    use disruptor::{BusySpin, Polling, Producer, build_single_producer};
    let slots = (ring / (W * 8)).next_power_of_two();
    let builder = build_single_producer(slots, || make::<W>(0), BusySpin);
    let (mut poller, builder) = builder.new_event_poller();
    let mut tx = builder.build();
    threads(
        move || {
            let mut seq = 0;
            while seq < count {
                let n = 32.min(count - seq) as usize;
                tx.batch_publish(n, |slots| {
                    for slot in slots {
                        *slot = make(seq);
                        seq += 1;
                    }
                });
            }
            // Dropping the producer ends the poller.
        },
        move || {
            let mut check = Check::new();
            loop {
                match poller.poll() {
                    Ok(mut events) => {
                        for event in &mut events {
                            check.words(event.iter().copied());
                        }
                    }
                    Err(Polling::NoEvents) => std::hint::spin_loop(),
                    Err(Polling::Shutdown) => break,
                }
            }
            check.elapsed()
        },
    )
}

pub(super) fn array_queue<const W: usize>(ring: usize, count: u64) -> Duration {
    let queue = crossbeam_queue::ArrayQueue::<Message<W>>::new(ring / (W * 8));
    threads(
        || {
            for seq in 0..count {
                let mut message = make(seq);
                while let Err(back) = queue.push(message) {
                    message = back;
                    std::hint::spin_loop();
                }
            }
        },
        || {
            let mut check = Check::new();
            while check.expected < count {
                match queue.pop() {
                    Some(message) => check.words(message.into_iter()),
                    None => std::hint::spin_loop(),
                }
            }
            check.elapsed()
        },
    )
}

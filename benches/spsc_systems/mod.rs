//! What SPSC benches move, and through what: ringway between two processes or two threads, and
//! in-process queues between two threads, each at its best.
//!
//! The consumer checks the sequence and sums the words. Producer on core 0, consumer on core 1.
#![allow(dead_code, reason = "each bench includes this module for itself, and none needs all of it")]

pub(crate) mod calls;
mod check;
mod ringway;
mod rivals;
mod sides;

use std::time::Duration;

use ::ringway::{CreateOptions, Framing};

use self::ringway::{bytes_batch, bytes_single, typed_single};
use self::rivals::{array_queue, disruptor_batches, nexus, rtrb};

/// Something that moves messages of one size.
pub(crate) struct System {
    pub(crate) name: &'static str,
    /// Moves this number of messages; returns the time from the first to the last.
    pub(crate) run: Box<dyn Fn(u64) -> Duration>,
}

/// Ringway and its yardsticks, for messages of `W` words and the given bytes of ring.
pub(crate) fn systems<const W: usize>(ring: usize) -> Vec<System> {
    let bytes = W * 8;
    let variable = move || CreateOptions::new().ring_bytes(ring);
    let fixed = move || CreateOptions::new().ring_bytes(ring).framing(Framing::Fixed(bytes));
    let typed = move || CreateOptions::new().ring_bytes(ring).framing(Framing::FixedByType);
    let system = |name, run: Box<dyn Fn(u64) -> Duration>| System { name, run };
    vec![
        system("rtrb", Box::new(move |count| rtrb::<W>(ring, count))),
        system("nexus-queue", Box::new(move |count| nexus::<W>(ring, count))),
        system("disruptor/32", Box::new(move |count| disruptor_batches::<W>(ring, count))),
        system("ArrayQueue", Box::new(move |count| array_queue::<W>(ring, count))),
        system("ringway fixed", Box::new(move |count| bytes_single::<W>(fixed(), count, true))),
        system("ringway fixed, threads", Box::new(move |count| bytes_single::<W>(fixed(), count, false))),
        system("ringway fixed/32", Box::new(move |count| bytes_batch::<W>(fixed(), count))),
        system("ringway variable", Box::new(move |count| bytes_single::<W>(variable(), count, true))),
        system(
            "ringway variable, threads",
            Box::new(move |count| bytes_single::<W>(variable(), count, false)),
        ),
        system("ringway variable/32", Box::new(move |count| bytes_batch::<W>(variable(), count))),
        system("ringway typed fixed", Box::new(move |count| typed_single::<W>(typed(), count, true))),
        system(
            "ringway typed fixed unchecked",
            Box::new(move |count| typed_single::<W>(typed(), count, false)),
        ),
        system("ringway typed variable", Box::new(move |count| typed_single::<W>(variable(), count, true))),
    ]
}

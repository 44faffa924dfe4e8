//! Receives what the `ticks_producer` in another terminal sends; either may be started first.
//!
//! Ends when the producer has ended (even by `kill -9`) and the queue is drained.
//!
//! ```text
//! cargo run --release --example ticks_consumer [queue]
//! ```

use std::error::Error;
use std::time::{Duration, Instant};

use ringway::RecvError;
use ringway::spsc::{Consumer, Frame, Queue};

#[path = "shared/tick.rs"]
mod tick;
use tick::Tick;

fn main() -> Result<(), Box<dyn Error>> {
    let name = std::env::args().nth(1).unwrap_or_else(|| "ticks".into());
    // SAFETY: the file is only ever written to by these two examples, through ringway.
    let queue = unsafe { Queue::<Tick>::open_or_create(&name)? };
    let consumer = queue.consumer()?;
    println!("waiting for ticks in {}", queue.path().display());

    // The wait for the first tick has no timeout: there may be no producer yet.
    let first = consumer.recv()?;
    println!("first tick: {} {}, {:?}", first.sequence, first.symbol, first.prices);
    let (start, mut received, mut missing) = (Instant::now(), 1_u64, 0_u64);
    let mut expected = first.sequence.to_native() + 1;
    drop(first); // releases its room

    while let Some(tick) = next(&consumer)? {
        // Reads the archive in the file: nothing is copied, nothing is parsed.
        missing += tick.sequence.to_native().abs_diff(expected);
        expected = tick.sequence.to_native() + 1;
        received += 1;
    }
    let seconds = start.elapsed().as_secs_f64();
    println!("received {received} ticks, {missing} missing, {:.0} a second", received as f64 / seconds);

    // The file is not needed any more.
    ringway::unlink(&name)?;
    Ok(())
}

/// The next tick, or `None` if there will be none: the producer is gone and the queue is drained.
fn next(consumer: &Consumer<Tick>) -> Result<Option<Frame<'_, Tick>>, Box<dyn Error>> {
    loop {
        match consumer.recv_timeout(Duration::from_millis(100)) {
            Err(RecvError::Timeout) => {}
            other => return Ok(Some(other?)),
        }
        // In this order: an attempt that comes after a producer's end finds everything that it had sent.
        if !consumer.has_producer()? {
            return match consumer.try_recv() {
                Err(RecvError::Empty) => Ok(None),
                other => Ok(Some(other?)),
            };
        }
    }
}

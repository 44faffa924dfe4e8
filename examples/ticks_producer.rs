//! Sends ticks to the `ticks_consumer` in another terminal; either may be started first.
//!
//! ```text
//! cargo run --release --example ticks_producer [queue] [count]
//! ```

use std::error::Error;

use ringway::spsc::Queue;

#[path = "shared/tick.rs"]
mod tick;
use tick::Tick;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_else(|| "ticks".into());
    let count: u64 = arguments.next().map_or(Ok(1_000_000), |count| count.parse())?;

    // SAFETY: the file is only ever written to by these two examples, through ringway.
    let queue = unsafe { Queue::<Tick>::open_or_create(&name)? };
    let mut producer = queue.producer()?;
    println!("sending {count} ticks through {}", queue.path().display());

    // One value, changed in place: then nothing is allocated while sending.
    let mut tick = Tick { sequence: 0, symbol: "RINGWAY.L".into(), prices: vec![100.0; 4] };
    for sequence in 0..count {
        tick.sequence = sequence;
        tick.prices[sequence as usize % 4] += 0.25;
        // Waits while the queue is full, as it will be if no consumer receives.
        producer.send(&tick)?;
    }
    println!("sent {count} ticks");
    // The messages stay in the file for the consumer, however this process ends.
    Ok(())
}

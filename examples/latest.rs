//! One feed, two readers: a journal that gets every tick, and a screen that is too slow for them and shows the latest.
//!
//! ```text
//! cargo run --release --example latest
//! ```

use std::error::Error;
use std::thread;
use std::time::Duration;

use ringway::broadcast::{Consumer, Producer, Queue, Start, Subscribe};
use ringway::{CreateOptions, Message, RecvError, SendError};
use rkyv::{Archive, Serialize};

const TICKS: u64 = 20_000;

#[derive(Archive, Serialize, Message)]
struct Tick {
    symbol: String,
    number: u64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let name = format!("latest-{}", std::process::id());
    let options = CreateOptions::new().max_messages(256).max_producers(1);
    // SAFETY: only this program knows the file, and it writes to it through ringway only.
    let queue = unsafe { Queue::<Tick>::create_with(&name, &options)? };
    // They could as well be in other processes that know the name.
    let journal = queue.consumer()?;
    let screen = queue.consumer_with(&Subscribe::lossy().on_lag(Start::Last(1)))?;
    let producer = queue.producer()?;

    let feed = thread::spawn(move || send(producer));
    let writer = thread::spawn(move || write(&journal));
    let viewer = thread::spawn(move || show(&screen));
    let sent = feed.join().map_err(|_| "the feed panicked")?;
    // Each reader reads what is left, and ends.
    queue.close();
    let written = writer.join().map_err(|_| "the journal panicked")?;
    let shown = viewer.join().map_err(|_| "the screen panicked")?;
    ringway::unlink(&name)?;
    sent?;
    println!("{} ticks in the journal", written?);
    let (last, seen, missed) = shown?;
    println!("{seen} ticks on the screen, {missed} missed, the last one was {last}");
    Ok(())
}

fn send(mut producer: Producer<Tick>) -> Result<(), SendError> {
    for number in 1..=TICKS {
        // Waits for the journal, never for the screen.
        producer.send(&Tick { symbol: "RWY".into(), number })?;
    }
    Ok(())
}

/// Reads every tick; returns how many.
fn write(journal: &Consumer<Tick>) -> Result<u64, String> {
    let mut written = 0;
    loop {
        match journal.recv() {
            Ok(tick) if tick.number == written + 1 => written += 1,
            Ok(tick) => return Err(format!("tick {} came after {written}", tick.number)),
            Err(RecvError::Closed) => return Ok(written),
            Err(error) => return Err(error.to_string()),
        }
    }
}

/// Shows ticks, slowly; returns the last one, how many were shown, and how many missed.
fn show(screen: &Consumer<Tick>) -> Result<(String, u64, u64), String> {
    let (mut last, mut seen, mut missed) = (String::new(), 0, 0);
    loop {
        match screen.recv() {
            Ok(tick) => {
                last = format!("{} {}", tick.symbol, tick.number);
                seen += 1;
                if seen % 100 == 0 {
                    thread::sleep(Duration::from_millis(5));
                }
            }
            Err(RecvError::Lagged(positions)) => missed += positions,
            Err(RecvError::Closed) => return Ok((last, seen, missed)),
            Err(error) => return Err(error.to_string()),
        }
    }
}

//! Sends pictures from one process to another, as a camera would: written in place, read in place.
//!
//! ```text
//! cargo run --release --example frames [count]
//! ```
//!
//! The program starts itself a second time as the receiver.

use std::error::Error;
use std::process::Command;
use std::time::{Duration, Instant};

use ringway::spsc::{BytesProducer, BytesQueue};
use ringway::{CreateOptions, Framing};

/// The bytes of a row, and the rows of a picture: 1 MiB.
const SIDE: usize = 1024;
const PICTURE: usize = SIDE * SIDE;
/// A timeout that is only reached if the other process is gone.
const TIME_LIMIT: Duration = Duration::from_secs(10);

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments[..] {
        [role, name, count] if role == "receive" => receive(name, count.parse()?),
        [count] => run(count.parse()?),
        _ => run(2000),
    }
}

/// The parent: creates the queue, starts the receiver, sends.
fn run(count: usize) -> Result<(), Box<dyn Error>> {
    let name = format!("frames-{}", std::process::id());
    // All messages have one size, so they need no headers. The ring has room for eight pictures.
    let options = CreateOptions::new().ring_bytes(8 * PICTURE).framing(Framing::Fixed(PICTURE));
    // SAFETY: only this program and its child know the file, and they write to it through ringway only.
    let queue = unsafe { BytesQueue::create_with(&name, &options)? };
    let sent = send(queue.producer()?, &name, count);
    ringway::unlink(&name)?;
    sent
}

fn send(mut producer: BytesProducer, name: &str, count: usize) -> Result<(), Box<dyn Error>> {
    let mut receiver =
        Command::new(std::env::current_exe()?).args(["receive", name, &count.to_string()]).spawn()?;
    for number in 0..count {
        // A reservation is a part of the file: the picture is drawn where the receiver will read it.
        let mut picture = producer.reserve_timeout(PICTURE, TIME_LIMIT)?;
        for (y, row) in picture.chunks_exact_mut(SIDE).enumerate() {
            row.fill(pixel(number, y));
        }
        // The commit makes it visible to the receiver. A reservation that is dropped instead is
        // never delivered.
        picture.commit()?;
    }
    let status = receiver.wait()?;
    if status.success() { Ok(()) } else { Err(format!("the receiver ended with {status}").into()) }
}

/// The child: checks every byte that it receives.
fn receive(name: &str, count: usize) -> Result<(), Box<dyn Error>> {
    // SAFETY: as in `run`.
    let queue = unsafe { BytesQueue::open(name)? };
    let consumer = queue.consumer()?;
    let mut start = Instant::now();
    for number in 0..count {
        let picture = consumer.recv_timeout(TIME_LIMIT)?;
        if number == 0 {
            // The first one was sent while this process started, so it is not measured.
            start = Instant::now();
        }
        let mut rows = picture.chunks_exact(SIDE).enumerate();
        if picture.len() != PICTURE || rows.any(|(y, row)| row != [pixel(number, y); SIDE]) {
            return Err(format!("picture {number} is not what was sent").into());
        }
    }
    let gigabytes = (count * PICTURE) as f64 / 1e9;
    println!(
        "{count} pictures of {PICTURE} bytes written, read and checked: {:.2} GB/s",
        gigabytes / start.elapsed().as_secs_f64()
    );
    Ok(())
}

/// The value of the bytes in row `y` of picture `number`.
fn pixel(number: usize, y: usize) -> u8 {
    (7 * number + y) as u8
}

//! A queue in one process: one thread sends, another receives.
//!
//! ```text
//! cargo run --release --example hello
//! ```

use std::error::Error;
use std::thread;
use std::time::Duration;

use ringway::spsc::{Consumer, Producer, Queue};
use ringway::{Message, SendError};
use rkyv::{Archive, Serialize};

/// Every type that rkyv can archive can be sent, once it derives `Message`, which describes its archive.
#[derive(Archive, Serialize, Message)]
struct Greeting {
    text: String,
    lucky_numbers: Vec<u32>,
}

fn main() -> Result<(), Box<dyn Error>> {
    // A bare name is a file in /dev/shm; with a slash it would be a path.
    let name = format!("hello-{}", std::process::id());
    // SAFETY: only this program knows the file, and it writes to it through ringway only.
    let queue = unsafe { Queue::<Greeting>::create(&name)? };
    let (producer, consumer) = (queue.producer()?, queue.consumer()?);

    // Producer and consumer could as well be in two processes that know the name: see the `ticks` examples.
    let sender = thread::spawn(move || send(producer));
    let received = receive(&consumer);
    let sent = sender.join().map_err(|_| "the sender panicked")?;

    // The file outlives every handle, until it is removed.
    ringway::unlink(&name)?;
    sent?;
    received
}

fn send(mut producer: Producer<Greeting>) -> Result<(), SendError> {
    for text in ["hello", "world", "goodbye"] {
        let lucky_numbers = (1..=text.len() as u32).collect();
        // Serialised straight into the file. Waits while the queue is full.
        producer.send(&Greeting { text: text.into(), lucky_numbers })?;
    }
    Ok(())
}

fn receive(consumer: &Consumer<Greeting>) -> Result<(), Box<dyn Error>> {
    loop {
        // The frame is the message in the file: nothing is copied. Dropping the frame releases its room.
        let frame = consumer.recv_timeout(Duration::from_secs(5))?;
        println!("{} {:?}", frame.text, frame.lucky_numbers);
        if frame.text == "goodbye" {
            return Ok(());
        }
    }
}

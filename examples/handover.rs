//! Two processes share a queue that has no name: neither knows a path, and nothing can be left behind.
//!
//! ```text
//! cargo run --example handover [MESSAGES]
//! ```
//!
//! The program starts itself again. The two have a socket between them, which is the other's standard input; the queue
//! goes over that, and the messages go over the queue.

use std::error::Error;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::Duration;

use ringway::Options;
use ringway::spsc::Queue;
use rkyv::{Archive, Serialize};

#[derive(Archive, Serialize)]
struct Reading {
    number: u64,
    sensor: String,
    values: Vec<f64>,
}

/// Nobody waits for the other for ever, should that one have failed.
const PATIENCE: Duration = Duration::from_secs(10);

type AnyResult<T> = Result<T, Box<dyn Error>>;

fn main() -> AnyResult<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["receive"] => receive(),
        [] => send(1000),
        [messages] => send(messages.parse().map_err(|_| format!("{messages} is no number of messages"))?),
        _ => Err("usage: handover [MESSAGES]".into()),
    }
}

/// Makes the queue, hands it over and fills it.
fn send(messages: u64) -> AnyResult<()> {
    // SAFETY: only this program and its child have the memfd, and they write to it through ringway only.
    let queue = unsafe { Queue::<Reading>::create_memfd(&Options::new())? };
    let (here, there) = UnixStream::pair()?;
    let mut child =
        Command::new(std::env::current_exe()?).arg("receive").stdin(OwnedFd::from(there)).spawn()?;
    queue.send_to(&here)?;
    let mut producer = queue.producer()?;
    for number in 0..messages {
        let values = vec![number as f64, number as f64 / 2.0];
        producer.send_timeout(&Reading { number, sensor: "roof".into(), values }, PATIENCE)?;
    }
    // The consumer goes on until there is no producer any more.
    drop(producer);
    println!("sent {messages} readings through {}", queue.path().display());
    let status = child.wait()?;
    if status.success() { Ok(()) } else { Err(format!("the other process ended with {status}").into()) }
}

/// Gets the queue from whoever is at the other end of standard input, and empties it.
fn receive() -> AnyResult<()> {
    let socket = UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    // SAFETY: as in `send`.
    let queue = unsafe { Queue::<Reading>::receive_from(&socket, &Options::new())? };
    let consumer = queue.consumer()?;
    let (mut received, mut sum) = (0, 0.0);
    loop {
        // Asked before looking: what a producer sent before it went is there by then.
        let has_producer = consumer.has_producer()?;
        match consumer.recv_timeout(Duration::from_millis(10)) {
            Ok(reading) => {
                if reading.number != received || reading.sensor != "roof" {
                    return Err(format!("reading {received} is not what was sent").into());
                }
                received += 1;
                sum += reading.values.iter().map(|value| value.to_native()).sum::<f64>();
            }
            Err(ringway::RecvError::Timeout) if has_producer || received == 0 => {}
            Err(ringway::RecvError::Timeout) => break,
            Err(error) => return Err(error.into()),
        }
    }
    println!("received {received} readings, sum {sum}");
    Ok(())
}

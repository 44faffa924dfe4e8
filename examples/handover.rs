//! Two processes share a queue that has no name: neither needs a path, and no file can be left.
//!
//! ```text
//! cargo run --example handover [MESSAGES]
//! ```
//!
//! The program starts itself again. A socket connects the two, as the standard input of the second
//! one; the queue is passed over the socket, and the messages go through the queue.

use std::error::Error;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::Duration;

use ringway::spsc::Queue;
use rkyv::{Archive, Serialize};

#[derive(Archive, Serialize, ringway::Message)]
struct Reading {
    number: u64,
    sensor: String,
    values: Vec<f64>,
}

/// A timeout, so that neither process waits for ever if the other one has failed.
const TIME_LIMIT: Duration = Duration::from_secs(10);

type AnyResult<T> = Result<T, Box<dyn Error>>;

fn main() -> AnyResult<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["receive", messages] => receive(number(messages)?),
        [] => send(1000),
        [messages] => send(number(messages)?),
        _ => Err("usage: handover [MESSAGES]".into()),
    }
}

fn number(text: &str) -> AnyResult<u64> {
    text.parse().map_err(|_| format!("{text} is no number of messages").into())
}

/// Creates the queue, passes it on and fills it.
fn send(messages: u64) -> AnyResult<()> {
    // SAFETY: only this program and its child have the memfd, and they write to it through ringway only.
    let queue = unsafe { Queue::<Reading>::create_memfd()? };
    let (here, there) = UnixStream::pair()?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["receive", &messages.to_string()]).stdin(OwnedFd::from(there));
    let mut child = command.spawn()?;
    queue.send_fd(&here)?;
    let mut producer = queue.producer()?;
    for number in 0..messages {
        let values = vec![number as f64, number as f64 / 2.0];
        producer.send_timeout(&Reading { number, sensor: "roof".into(), values }, TIME_LIMIT)?;
    }
    println!("sent {messages} readings through {}", queue.path().display());
    let status = child.wait()?;
    if status.success() { Ok(()) } else { Err(format!("the other process ended with {status}").into()) }
}

/// Receives the queue from the process at the other end of standard input, and empties it.
fn receive(messages: u64) -> AnyResult<()> {
    let socket = UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    // SAFETY: as in `send`.
    let queue = unsafe { Queue::<Reading>::recv_fd(&socket)? };
    let consumer = queue.consumer()?;
    let mut sum = 0.0;
    for number in 0..messages {
        let reading = consumer.recv_timeout(TIME_LIMIT)?;
        if reading.number != number || reading.sensor != "roof" {
            return Err(format!("reading {number} is not what was sent").into());
        }
        sum += reading.values.iter().map(|value| value.to_native()).sum::<f64>();
    }
    println!("received {messages} readings, sum {sum}");
    Ok(())
}

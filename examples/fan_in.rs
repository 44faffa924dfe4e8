//! Several processes write one log: lines are written in the order in which they were sent, and no
//! line is torn.
//!
//! ```text
//! cargo run --release --example fan_in [--producers N] [--lines N]
//! ```
//!
//! The program starts itself again for each producer, and is itself the only consumer. It writes
//! the log to a file in the directory for temporary files.

use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use ringway::Message;
use ringway::RecvError;
use ringway::mpmc::{Consumer, Queue};
use rkyv::{Archive, Serialize};

#[path = "shared/options.rs"]
mod options;
use options::number_option;

/// One line of the log.
#[derive(Archive, Serialize, Message)]
struct Line {
    producer: u32,
    /// Counts from 0 in each producer.
    number: u64,
    text: String,
}

type AnyResult<T> = Result<T, Box<dyn Error>>;

fn main() -> AnyResult<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [role, name, producer, lines] = &arguments[..]
        && role == "produce"
    {
        return produce(name, producer.parse()?, lines.parse()?);
    }
    let producers = number_option(&arguments, "--producers", 4)?;
    let lines = number_option(&arguments, "--lines", 100_000)?;
    let name = format!("fan_in-{}", std::process::id());
    let log = std::env::temp_dir().join(format!("{name}.log"));
    // SAFETY: only this program and its children know the file, and they write to it through ringway only.
    let queue = unsafe { Queue::<Line>::create(&name)? };
    let consumer = queue.consumer()?;
    let start = |producer: u64| {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["produce", &name, &producer.to_string(), &lines.to_string()]).spawn()
    };
    let mut children = (0..producers).map(start).collect::<Result<Vec<Child>, _>>()?;
    let begun = Instant::now();
    let result = write_log(&consumer, &log, &mut children, producers * lines);
    for child in &mut children {
        // All producers have ended, unless an error occurred: then the rest would wait for room for ever.
        child.kill()?;
        child.wait()?;
    }
    ringway::unlink(&name)?;
    let written = result?;
    let rate = written as f64 / begun.elapsed().as_secs_f64();
    println!("{written} lines of {producers} producers in {}, {rate:.0} a second", log.display());
    Ok(())
}

/// A producer. It does not know of the other producers: each has its own `Producer` of the same queue.
fn produce(name: &str, producer: u32, lines: u64) -> AnyResult<()> {
    // SAFETY: as in `main`.
    let queue = unsafe { Queue::<Line>::open(name)? };
    let mut sender = queue.producer()?;
    for number in 0..lines {
        // Waits while the queue is full. When this returns, the line has its place among those of
        // all producers.
        sender.send(&Line {
            producer,
            number,
            text: format!("hello from process {}", std::process::id()),
        })?;
    }
    Ok(())
}

/// The consumer: writes the lines as they arrive. Returns the number of lines.
fn write_log(
    consumer: &Consumer<Line>,
    path: &Path,
    producers: &mut [Child],
    expected: u64,
) -> AnyResult<u64> {
    let mut log = BufWriter::new(File::create(path)?);
    let mut next = vec![0; producers.len()];
    let mut written = 0;
    while written < expected {
        // Receiving many in one call is faster; they are released together when `lines` goes out of scope.
        let lines = match consumer.recv_many_timeout(100, Duration::from_millis(200)) {
            Err(RecvError::Timeout) => {
                fail_if_one_failed(producers)?;
                continue;
            }
            lines => lines?,
        };
        for line in lines.iter() {
            let line = line?;
            let (producer, number) = (line.producer.to_native(), line.number.to_native());
            // The lines of one producer arrive in the order in which it sent them.
            let next = &mut next[producer as usize];
            if number != *next {
                return Err(format!("producer {producer}: line {number} came instead of {next}").into());
            }
            *next += 1;
            writeln!(log, "{producer} {number} {}", line.text)?;
            written += 1;
        }
    }
    log.flush()?;
    Ok(written)
}

fn fail_if_one_failed(producers: &mut [Child]) -> AnyResult<()> {
    for producer in producers {
        if let Some(status) = producer.try_wait()?
            && !status.success()
        {
            return Err(format!("a producer ended with {status}").into());
        }
    }
    Ok(())
}

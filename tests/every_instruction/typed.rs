//! Producers of values are killed at every instruction: they serialise straight into the file,
//! where no consumer may ever see what is not complete.

use ringway::CreateOptions;
use ringway::spsc::{Consumer, Producer, Queue};
use rkyv::{Archive, Serialize};

use super::attempts::{Kill, Step, everywhere};
use super::tracer::Gate;
use crate::process::{Outcome, Test, TestDir, ensure};

/// Its archive has the text first and then the root, 32 bytes together: frames of 48.
#[derive(Archive, Serialize, ringway::Message)]
struct Note {
    number: u64,
    text: String,
}

fn note(number: u64) -> Note {
    Note { number, text: format!("{number:016}") }
}

impl ArchivedNote {
    fn is(&self, number: u64) -> bool {
        self.number == number && self.text == note(number).text.as_str()
    }
}

/// Where the cursors begin, and how many messages are there: an ordinary position; padding before
/// the first; a ring that has room for one more.
const STATES: [(&str, u64, u64); 3] = [("one message", 0, 1), ("padding", 992, 0), ("room for one", 0, 20)];

pub(crate) fn tests() -> Vec<Test> {
    [("send", 1), ("try_send_many", 3)]
        .map(|(name, count)| {
            Test::new(format!("sending values: {name}"), move || {
                for (state, start, messages) in STATES {
                    everywhere(state, |kill| attempt(start, messages, count, kill))?;
                }
                Ok(())
            })
        })
        .into()
}

fn attempt(start: u64, messages: u64, count: u64, kill: Kill<'_>) -> Outcome {
    let place = TestDir::new()?;
    let options = CreateOptions::new().ring_bytes(1024).start_position(start);
    // SAFETY: only this test and its children know the file.
    let queue = unsafe { Queue::<Note>::create_with(place.path(), &options) }?;
    let consumer = queue.consumer()?;
    let mut producer = queue.producer()?;
    for number in 0..messages {
        producer.try_send(&note(number))?;
    }
    drop(producer);
    let body = |gate: &Gate| {
        // SAFETY: as above.
        let mut producer = unsafe { Queue::<Note>::open(place.path()) }?.producer()?;
        let values: Vec<_> = (messages..messages + count).map(note).collect();
        gate.enter()?;
        match &values[..] {
            [value] => producer.send(value)?,
            values => drop(producer.try_send_many(values)?),
        }
        gate.leave()
    };
    let is_complete = kill(Step { file: &place.path(), body: Box::new(body) })?;

    let mut held = Vec::new();
    while let Ok(frame) = consumer.try_recv() {
        ensure!(frame.is(held.len() as u64), "another message than {} came", held.len());
        held.push(frame);
    }
    let came = held.len() as u64;
    // All of a batch is delivered, or what there was room for, or nothing.
    let whole = if messages == 20 { 1 } else { count };
    ensure!(came == messages || came == messages + whole, "{came} messages came of {messages} + {count}");
    ensure!(came > messages || !is_complete, "it was sent, and nothing came");
    let producer = queue.producer()?;
    drop(held);
    goes_on(producer, &consumer, came)?;
    drop((consumer, queue));
    place.leave()
}

/// Two laps more.
fn goes_on(mut producer: Producer<Note>, consumer: &Consumer<Note>, first: u64) -> Outcome {
    let mut next = first;
    for number in first..first + 50 {
        producer.try_send(&note(number))?;
        if number % 2 == 1 {
            while let Ok(frame) = consumer.try_recv() {
                ensure!(frame.is(next), "another message than {next} came");
                next += 1;
            }
        }
    }
    ensure!(next + 1 >= first + 50, "{next} messages came of {}", first + 50);
    Ok(())
}

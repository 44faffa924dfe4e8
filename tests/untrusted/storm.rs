//! A hostile process rewrites every shared byte at random, all the time, while this one receives
//! and sends: there are messages and errors, nothing else. `RINGWAY_HOSTILE_SECONDS` sets the
//! duration for each kind of queue (default: 2).

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use ringway::kind::{Kind, Mpmc, Spsc};
use ringway::untrusted::Limits;
use ringway::untrusted::kind::{BytesQueue, Queue};
use ringway::{CreateOptions, Framing, RecvError};
use rkyv::{Archive, Serialize};

use crate::common::{HANGS, Running, child_argument, child_of, directory};
use crate::hostile::Hostile;

/// A bit of everything that archives can point to.
#[derive(Archive, Serialize, ringway::Message)]
struct Message {
    id: u64,
    flag: bool,
    letter: char,
    text: String,
    lists: Vec<Vec<u16>>,
    note: Option<Box<str>>,
    table: HashMap<String, u32>,
    shape: Shape,
    shared: std::rc::Rc<String>,
}

#[derive(Archive, Serialize, ringway::Message)]
enum Shape {
    Dot,
    Circle(f64),
    Polygon { corners: Vec<(i32, i32)> },
}

fn message(id: u64) -> Message {
    Message {
        id,
        flag: id.is_multiple_of(2),
        letter: 'ä',
        text: "text ".repeat(id as usize % 20),
        lists: (0..id % 5).map(|n| (0..n as u16).collect()).collect(),
        note: id.is_multiple_of(3).then(|| "a note that is not short".into()),
        table: (0..id as u32 % 4).map(|n| (format!("key {n}"), n)).collect(),
        shape: match id % 3 {
            0 => Shape::Dot,
            1 => Shape::Circle(0.5),
            _ => Shape::Polygon { corners: vec![(1, -1); id as usize % 6] },
        },
        shared: std::rc::Rc::new("shared by nobody else".into()),
    }
}

/// Reads all of a message, as a user might.
fn read(message: &ArchivedMessage) -> u64 {
    let mut sum = message.id.to_native().wrapping_add(u64::from(message.flag));
    sum = sum.wrapping_add(u64::from(message.letter.to_native()));
    sum = sum.wrapping_add(message.text.chars().map(u64::from).sum());
    sum = sum.wrapping_add(
        message.lists.iter().flat_map(|list| list.iter()).map(|n| u64::from(n.to_native())).sum(),
    );
    sum = sum.wrapping_add(message.note.as_ref().map_or(0, |note| note.chars().count() as u64));
    sum = sum
        .wrapping_add(message.table.iter().map(|(key, n)| key.len() as u64 + u64::from(n.to_native())).sum());
    sum = sum.wrapping_add(u64::from(message.table.get("key 1").is_some()));
    sum = sum.wrapping_add(message.shared.len() as u64);
    match &message.shape {
        ArchivedShape::Dot => sum,
        ArchivedShape::Circle(radius) => sum.wrapping_add(radius.to_native().to_bits()),
        ArchivedShape::Polygon { corners } => {
            corners.iter().fold(sum, |sum, corner| sum.wrapping_add(corner.0.to_native() as u64))
        }
    }
}

fn seconds() -> f64 {
    match std::env::var("RINGWAY_HOSTILE_SECONDS") {
        Ok(text) => text.parse().expect("RINGWAY_HOSTILE_SECONDS is a number"),
        Err(_) => 2.0,
    }
}

/// The results of the calls.
#[derive(Debug, Default)]
struct Tally {
    received: u64,
    sent: u64,
    nothing: u64,
    errors: u64,
    refused_handles: u64,
    worst: Duration,
}

impl Tally {
    fn timed<R>(&mut self, action: impl FnOnce() -> R) -> R {
        let start = Instant::now();
        let result = action();
        self.worst = self.worst.max(start.elapsed());
        result
    }

    fn count<R>(&mut self, result: Result<R, RecvError>) -> Option<R> {
        match result {
            Ok(found) => {
                self.received += 1;
                return Some(found);
            }
            Err(RecvError::Empty | RecvError::Timeout | RecvError::Closed) => self.nothing += 1,
            Err(error) => {
                assert!(!error.to_string().is_empty());
                self.errors += 1;
            }
        }
        None
    }
}

/// Attaches for a while in every way there is; each time anew, because a handle that has met
/// corruption gets no further.
fn take_part<K: Kind>(queue: &Queue<Message, K>, tally: &mut Tally, until: Instant, mut id: u64) {
    while Instant::now() < until {
        let producer = tally.timed(|| queue.producer());
        let consumer = tally.timed(|| queue.consumer());
        tally.refused_handles += u64::from(producer.is_err()) + u64::from(consumer.is_err());
        let (mut producer, consumer) = (producer.ok(), consumer.ok());
        let mut held = Vec::new();
        for round in 0..200 {
            id += 1;
            if let Some(producer) = &mut producer {
                let sent = tally.timed(|| match round % 20 {
                    7 => producer.send_timeout(&message(id), Duration::from_millis(1)),
                    _ => producer.try_send(&message(id)),
                });
                tally.sent += u64::from(sent.is_ok());
            }
            let Some(consumer) = &consumer else { continue };
            let result = tally.timed(|| match round % 20 {
                3 => consumer.recv_timeout(Duration::from_millis(1)),
                _ => consumer.try_recv(),
            });
            let Some(frame) = tally.count(result) else { continue };
            std::hint::black_box(read(&frame));
            match id % 11 {
                0 => frame.reject(),
                1..4 if held.len() < 8 => held.push(frame),
                _ => {
                    held.pop();
                }
            }
            held.iter().for_each(|frame| assert!(std::hint::black_box(read(frame)) != 1 << 63));
        }
    }
}

fn storm<K: Kind>(test: &str, options: &CreateOptions) {
    if let Some(path) = child_argument(test) {
        return attack(&path);
    }
    let dir = directory();
    let path = dir.path().join("q");
    let queue = Queue::<Message, K>::create_with(&path, options, &Limits::new()).unwrap();
    // Messages in the good copy of the file, which the other process takes and restores from.
    let mut producer = queue.producer().unwrap();
    (0..20).for_each(|id| producer.try_send(&message(id)).unwrap());
    drop(producer);
    let mut attacker = Running::start(&mut child_of(test, &path));
    attacker.wait_for_line("attacking");
    let mut tally = Tally::default();
    let until = Instant::now() + Duration::from_secs_f64(seconds());
    take_part(&queue, &mut tally, until, 100);
    attacker.kill();
    println!("{test}: {tally:?}");
    assert!(tally.received > 0 && tally.sent > 0, "nothing got through: {tally:?}");
    assert!(tally.errors + tally.refused_handles > 0, "the storm was none: {tally:?}");
    assert!(tally.worst < HANGS, "a call took {:?}", tally.worst);
}

/// The other process.
fn attack(path: &Path) {
    let mut hostile = Hostile::new(path, u64::from(std::process::id()));
    println!("attacking");
    // Until it is killed; if it never is, not for ever.
    let until = Instant::now() + Duration::from_secs_f64(seconds()) + HANGS;
    while Instant::now() < until {
        (0..1000).for_each(|_| hostile.act());
    }
}

fn small() -> CreateOptions {
    CreateOptions::new().ring_bytes(16 * 1024)
}

#[test]
fn a_hostile_process_causes_errors_only_spsc() {
    storm::<Spsc>("storm::a_hostile_process_causes_errors_only_spsc", &small());
}

#[test]
fn a_hostile_process_causes_errors_only_mpmc() {
    let options = small().max_messages(64).max_participants(4);
    storm::<Mpmc>("storm::a_hostile_process_causes_errors_only_mpmc", &options);
}

/// Fixed sizes, odd ones, in bytes: no validation is between the words and the copy.
#[test]
fn a_hostile_process_causes_errors_only_fixed() {
    let test = "storm::a_hostile_process_causes_errors_only_fixed";
    if let Some(path) = child_argument(test) {
        return attack(&path);
    }
    let dir = directory();
    let path = dir.path().join("q");
    let options = CreateOptions::new().ring_bytes(4096).align(1).framing(Framing::Fixed(13));
    let queue = BytesQueue::<Spsc>::create_with(&path, &options, &Limits::new()).unwrap();
    let mut attacker = Running::start(&mut child_of(test, &path));
    attacker.wait_for_line("attacking");
    let mut tally = Tally::default();
    let until = Instant::now() + Duration::from_secs_f64(seconds());
    while Instant::now() < until {
        let Ok(consumer) = tally.timed(|| queue.consumer()) else {
            tally.refused_handles += 1;
            continue;
        };
        if let Ok(mut producer) = queue.producer() {
            tally.sent += u64::from(producer.try_send(&[7; 13]).is_ok());
        }
        for _ in 0..200 {
            let result = tally.timed(|| consumer.try_recv());
            if let Some(frame) = tally.count(result) {
                assert_eq!(frame.len(), 13);
                std::hint::black_box(frame.iter().map(|byte| u64::from(*byte)).sum::<u64>());
            }
        }
    }
    attacker.kill();
    println!("{test}: {tally:?}");
    assert!(tally.received > 0, "nothing got through: {tally:?}");
    assert!(tally.worst < HANGS, "a call took {:?}", tally.worst);
}

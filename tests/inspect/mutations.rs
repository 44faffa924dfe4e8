//! Each shared word of a queue is changed, one at a time, to several values. Either that does no
//! harm, which draining and using the queue proves, or inspection finds it.

use std::collections::BTreeSet;
use std::path::Path;

use ringway::inspect::{Inspector, Peek};
use ringway::kind::{BytesQueue, Kind, Mpmc, Spsc};
use ringway::{CreateOptions, Framing, RecvError};

use super::common::{Image, at, directory};

/// Sent before the words are changed: how many messages wait or are held by a consumer that is dead
/// then.
const MESSAGES: u64 = 6;
/// How many of these had been taken and released ...
const RELEASED: u64 = 2;
/// ... and how many are held.
const HELD: u64 = 2;

/// Message `number`: its length and every byte follow from it.
fn message(number: u64, fixed: Option<usize>) -> Vec<u8> {
    let len = fixed.unwrap_or(24 + 8 * (number % 3) as usize);
    let mut message = number.to_ne_bytes().to_vec();
    message.resize(len, number as u8 ^ 0x5a);
    message
}

/// The bytes of a queue whose participants all died with the words as they are.
fn image<K: Kind>(options: &CreateOptions, fixed: Option<usize>) -> Image {
    let dir = directory();
    let path = dir.path().join("queue");
    // SAFETY: only this test knows the file.
    let queue = unsafe { BytesQueue::<K>::create_with(&path, options) }.unwrap();
    let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    // So that the ring has been written before.
    for number in 0..20 {
        producer.send(&message(1000 + number, fixed)).unwrap();
        drop(consumer.try_recv().unwrap());
    }
    (0..MESSAGES).for_each(|number| producer.send(&message(number, fixed)).unwrap());
    (0..RELEASED).for_each(|_| drop(consumer.try_recv().unwrap()));
    let held: Vec<_> = (0..HELD).map(|_| consumer.try_recv().unwrap()).collect();
    let image = Image::of(&path);
    drop(held);
    image
}

/// The faults that inspection finds.
fn found(path: &Path) -> Option<String> {
    let inspector = match Inspector::open(path) {
        Ok(inspector) => inspector,
        Err(error) => return Some(error.to_string()),
    };
    let snapshot = inspector.snapshot().unwrap();
    if snapshot.is_unlinked || snapshot.is_closed {
        return Some("it says that it was unlinked, or closed".into());
    }
    let corruption = snapshot.corruption;
    let peeked = inspector.peek(&Peek::new().most(100).held(true)).unwrap().corruption;
    corruption.into_iter().chain(peeked).map(|corruption| corruption.to_string()).next()
}

/// Whether all that was not released is delivered, whole, and the queue can be used; otherwise what
/// is wrong.
fn used<K: Kind>(path: &Path, fixed: Option<usize>) -> Result<(), String> {
    let said = |error: &dyn std::fmt::Display| error.to_string();
    // SAFETY: only this test knows the file.
    let queue = unsafe { BytesQueue::<K>::open(path) }.map_err(|error| said(&error))?;
    ringway::recover(path).map_err(|error| said(&error))?;
    let consumer = queue.consumer().map_err(|error| said(&error))?;
    let mut came = BTreeSet::new();
    // No more than once each, and again: a corrupted queue might never end.
    for _ in 0..200 {
        match consumer.try_recv() {
            Ok(frame) => {
                let number = frame.get(..8).map(|bytes| u64::from_ne_bytes(bytes.try_into().unwrap()));
                let is_whole = number.is_some_and(|number| *frame == message(number, fixed));
                if !is_whole {
                    return Err(format!("a message that nobody sent: {:?}", &*frame));
                }
                came.extend(number);
            }
            Err(RecvError::Empty) => break,
            Err(error) => return Err(said(&error)),
        }
    }
    if let Some(number) = (RELEASED..MESSAGES).find(|number| !came.contains(number)) {
        return Err(format!("message {number} does not come; these do: {came:?}"));
    }
    let mut producer = queue.producer().map_err(|error| said(&error))?;
    for number in 0..100 {
        producer.try_send(&message(number, fixed)).map_err(|error| said(&error))?;
        let frame = consumer.try_recv().map_err(|error| said(&error))?;
        if *frame != message(number, fixed) {
            return Err(format!("another message than {number} comes"));
        }
    }
    Ok(())
}

/// Values that are near to the word, far from it, and nonsense.
fn values(word: u64) -> Vec<u64> {
    let mut values: Vec<u64> = vec![0, 1, 2, 3, 1 << 20, 1 << 40, 1 << 61, u64::MAX, word ^ 1 << 63, !word];
    for step in [1, 2, 4, 8, 16, 32, 256, 1 << 18] {
        values.extend([word.wrapping_add(step), word.wrapping_sub(step), word ^ step]);
    }
    values.retain(|value| *value != word);
    values.sort_unstable();
    values.dedup();
    values
}

/// Whether a change makes a state in which other traffic would have left the queue, so that
/// inspection cannot tell.
type Excuse = fn(old: u64, new: u64) -> bool;

/// Name and offset of a word.
type Word = (&'static str, usize, Excuse);

fn none(_: u64, _: u64) -> bool {
    false
}

/// With fixed-size messages the cursors alone say what was sent and taken, wherever they may be.
fn position(old: u64, new: u64) -> bool {
    old.abs_diff(new) < 1024 / 24
}

/// Without a checksum, a length that fits is as good as another, and so is padding before a frame
/// at the beginning of the ring.
fn length(_: u64, new: u64) -> bool {
    new & 3 == 1 || new == 2
}

fn place(_: u64, _: u64) -> bool {
    true
}

/// A message that was never committed, or is released.
fn over(old: u64, new: u64) -> bool {
    let lap = old >> 18;
    new == lap << 18 || new == (lap + 1) << 18
}

fn changes<K: Kind>(options: &CreateOptions, fixed: Option<usize>, words: &[Word]) {
    let image = image::<K>(options, fixed);
    let dir = directory();
    let path = dir.path().join("queue");
    image.write(&path);
    assert_eq!((found(&path), used::<K>(&path, fixed)), (None, Ok(())), "unchanged");
    let mut unseen = Vec::new();
    let mut seen = 0;
    for (name, at, excuse) in words {
        for value in values(image.u64_at(*at)) {
            let mut changed = image.clone();
            changed.put_u64(*at, value);
            let _ = std::fs::remove_file(&path);
            changed.write(&path);
            let report = found(&path);
            seen += u64::from(report.is_some());
            if report.is_none()
                && let Err(harm) = used::<K>(&path, fixed)
                && !excuse(image.u64_at(*at), value)
            {
                let old = image.u64_at(*at);
                unseen.push(format!("{name} at {at:#x}, {old:#x} -> {value:#x}: {harm}"));
            }
        }
    }
    assert!(seen > 0, "nothing is ever found");
    assert!(unseen.is_empty(), "not found, and harmful:\n{}", unseen.join("\n"));
}

const SPSC: [Word; 14] = [
    ("dead", 0x400, none),
    ("redelivery_epoch", 0x408, none),
    ("looked around", 0x440, none),
    ("head", at::HEAD, none),
    ("taken", at::TAKEN, none),
    ("redelivered_until", at::REDELIVERED_UNTIL, none),
    ("redelivery_count", at::REDELIVERY_COUNT, none),
    ("bell of messages: waiting", 0x680, none),
    ("bell of messages", 0x688, none),
    ("bell of room: waiting", 0x700, none),
    ("bell of room", 0x708, none),
    ("producer's pid", at::REGISTRY, none),
    ("producer's generation", at::REGISTRY + 8, none),
    ("consumer's generation", at::REGISTRY + at::ENTRY_LEN + 8, none),
];

#[test]
fn spsc_fixed() {
    let mut words = SPSC.to_vec();
    words.extend([("tail", at::TAIL, position as Excuse), ("released", at::RELEASED, position)]);
    changes::<Spsc>(&CreateOptions::new().ring_bytes(1024).framing(Framing::Fixed(24)), Some(24), &words);
}

#[test]
fn spsc_variable() {
    let mut words = SPSC.to_vec();
    words.extend([("tail", at::TAIL, none as Excuse), ("released", at::RELEASED, none)]);
    let options = CreateOptions::new().ring_bytes(1024);
    let image = image::<Spsc>(&options, None);
    // The commit words of what is in the ring: variable-size frames lie one after the other.
    let mut position = image.u64_at(at::RELEASED);
    while position < image.u64_at(at::TAIL) {
        let at = at::FIRST_WORD + (position % 1024) as usize;
        words.push(("commit word", at, length as Excuse));
        position += (image.u64_at(at) >> 2).next_multiple_of(8) + 8;
    }
    words.push(("the next commit word", at::FIRST_WORD + (position % 1024) as usize, length));
    changes::<Spsc>(&options, None, &words);
}

#[test]
fn mpmc() {
    let mut words: Vec<Word> = vec![
        ("dead", 0x400, none),
        ("redelivery_epoch", 0x408, none),
        ("looked around", 0x440, none),
        ("tail", at::TAIL, none),
        ("head", at::HEAD, none),
        ("bell of messages: waiting", 0x680, none),
        ("bell of room: waiting", 0x700, none),
        ("done", at::DONE, none),
        ("skipped", at::SKIPPED, none),
        ("number of a tombstone", at::SKIPPED + 8, none),
        ("position of a tombstone", at::SKIPPED + 16, none),
        ("bell of tasks: waiting", 0x780, none),
    ];
    for entry in 0..3 {
        for word in 0..4 {
            words.push(("entry", at::REGISTRY + entry * at::ENTRY_LEN + 8 * word, none));
        }
        for word in 0..7 {
            words.push(("entry's own", at::REGISTRY + entry * at::ENTRY_LEN + 0x80 + 8 * word, none));
        }
    }
    let options = CreateOptions::new().ring_bytes(4096).max_messages(8).max_participants(3);
    let slots = image::<Mpmc>(&options, None).u64_at(0x188) as usize;
    for slot in 0..8 {
        words.push(("state", slots + 16 * slot, over));
        words.push(("place", slots + 16 * slot + 8, place));
    }
    changes::<Mpmc>(&options, None, &words);
}

/// Each of the words that count what is done: found, or the counts are ones that other traffic would
/// have left, and everything can be declared done.
#[test]
fn counts_of_what_is_done() {
    let options = CreateOptions::new().ring_bytes(4096).max_messages(8).max_participants(3);
    let image = image::<Mpmc>(&options, None);
    let dir = directory();
    let path = dir.path().join("queue");
    let mut seen = 0;
    for at in [at::DONE, at::SKIPPED, at::SKIPPED + 8, at::SKIPPED + 16] {
        for value in values(image.u64_at(at)) {
            let mut changed = image.clone();
            changed.put_u64(at, value);
            let _ = std::fs::remove_file(&path);
            changed.write(&path);
            if found(&path).is_some() {
                seen += 1;
                continue;
            }
            // SAFETY: only this test knows the file.
            let queue = unsafe { ringway::mpmc::BytesQueue::open(&path) }.unwrap();
            queue.recover().unwrap();
            let (consumer, all) = (queue.consumer().unwrap(), queue.unfinished().unwrap());
            assert!(all <= 20 + MESSAGES, "{value:#x} at {at:#x}: {all} are unfinished");
            (0..all).for_each(|_| consumer.task_done().unwrap());
            assert!(consumer.task_done().unwrap_err().is_too_many(), "{value:#x} at {at:#x}");
            queue.join_timeout(std::time::Duration::ZERO).unwrap();
        }
    }
    assert!(seen > 30, "{seen} were found");
}

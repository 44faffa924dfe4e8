//! Links into real queues, from a source in memory.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use ringway::schema::Description;
use ringway::{CreateOptions, Framing};

use super::double::{Double, Stream};
use super::source::{Incoming, Tag};
use super::{Create, Inbound, OnBad};
use crate::failure::Failure;
use crate::pack;
use crate::stats::Stats;
use crate::stop;
use crate::types::TypeTag;

fn message(sequence: u64, payload: impl Into<Bytes>) -> Incoming {
    Incoming { sequence, subject: "s".into(), tag: Tag::None, packed: None, payload: payload.into() }
}

fn stream(messages: Vec<Incoming>) -> Arc<Mutex<Stream>> {
    let (types, dead) = (HashMap::new(), Vec::new());
    Arc::new(Mutex::new(Stream { messages, types, created: 1, acked: 0, dead }))
}

fn numbers(count: u64) -> Vec<Incoming> {
    (1..=count).map(|number| message(number, number.to_le_bytes().to_vec())).collect()
}

/// A pack of the numbers.
fn packed(sequence: u64, numbers: std::ops::Range<u64>) -> Incoming {
    let mut bytes = BytesMut::new();
    let count = numbers.end - numbers.start;
    numbers.for_each(|number| pack::push(&mut bytes, &number.to_le_bytes()));
    Incoming { packed: Some(count as u32), ..message(sequence, bytes.freeze()) }
}

/// Runs a link until everything is acknowledged, or it ends by itself; `until` is polled meanwhile.
fn run(
    link: &Inbound,
    stream: &Arc<Mutex<Stream>>,
    seed: u64,
    lose: u64,
    mut until: impl FnMut() -> bool,
) -> Result<Arc<Stats>, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let stats = Arc::new(Stats::default());
    runtime.block_on(async {
        let (stopper, stop) = stop::pair();
        let source = Double::new(stream, seed, lose);
        // Far more than any of them takes.
        let running =
            tokio::time::timeout(Duration::from_secs(60), link.run(source, Arc::clone(&stats), stop));
        let running = async { running.await.expect("the link ended in a minute") };
        tokio::pin!(running);
        loop {
            tokio::select! {
                outcome = &mut running => return outcome.map(|()| Arc::clone(&stats)),
                () = tokio::time::sleep(Duration::from_millis(1)) => if until() { break },
            }
        }
        stopper.stop();
        running.await.map(|()| Arc::clone(&stats))
    })
}

fn spsc(path: &Path) -> ringway::spsc::BytesQueue {
    let options = CreateOptions::new().ring_bytes(4096);
    // SAFETY: only this test uses the file.
    unsafe { ringway::spsc::BytesQueue::open_or_create_with(path, &options).unwrap() }
}

fn take(consumer: &ringway::spsc::BytesConsumer, got: &mut Vec<u64>) {
    while let Ok(frame) = consumer.try_recv() {
        got.push(u64::from_le_bytes(frame[..].try_into().unwrap()));
    }
}

fn refused(outcome: Result<Arc<Stats>, Failure>) -> String {
    match outcome {
        Err(Failure::Refused(why)) => why,
        other => panic!("{other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    /// Whatever connections are lost, and however often the link is stopped: each message once, in order, through a queue
    /// that is full most of the time.
    #[test]
    fn each_message_comes_once_and_in_order(seed: u64, lose in 0_u64..12, packs in 0_u64..4) {
            let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("q");
        let queue = spsc(&path);
        let consumer = queue.consumer().unwrap();
        const COUNT: u64 = 300;
        let messages = match packs {
            0 => numbers(COUNT),
            packs => {
                let per = packs * 50;
                (0..COUNT / per).map(|at| packed(at + 1, at * per + 1..(at + 1) * per + 1)).collect()
            }
        };
        let last = messages.len() as u64;
        let stream = stream(messages);
        let mut got = Vec::new();
        let mut stops = 0;
        while stream.lock().unwrap().acked < last {
            let target = got.len() + 100;
            let until = || {
                take(&consumer, &mut got);
                got.len() >= target || stream.lock().unwrap().acked == last
            };
            run(&Inbound::new(&path), &stream, seed.wrapping_add(stops), lose, until).unwrap();
            stops += 1;
        }
        take(&consumer, &mut got);
        let expected: Vec<u64> = (1..=got.len() as u64).collect();
        assert_eq!(got, expected);
    }
}

#[test]
fn an_mpmc_queue_gets_everything() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("q");
    // SAFETY: only this test uses the file.
    let queue = unsafe { ringway::mpmc::BytesQueue::create(&path).unwrap() };
    let consumer = queue.consumer().unwrap();
    let stream = stream(numbers(500));
    let stats = run(&Inbound::new(&path), &stream, 3, 20, || stream.lock().unwrap().acked == 500).unwrap();
    let got: Vec<u64> =
        consumer.try_iter().map(|frame| u64::from_le_bytes(frame.unwrap()[..].try_into().unwrap())).collect();
    assert_eq!(got, (1..=500).collect::<Vec<_>>());
    assert_eq!(stats.messages.get(), 500);
    assert!(!dir.path().join("q.ledger").exists());
}

/// An MPMC queue with far more bytes than positions.
fn few_positions(path: &Path) -> ringway::mpmc::BytesQueue {
    let options = CreateOptions::new().ring_bytes(1 << 16).max_messages(8);
    // SAFETY: only this test uses the file.
    unsafe { ringway::mpmc::BytesQueue::create_with(path, &options).unwrap() }
}

#[test]
fn a_stop_ends_the_wait_for_positions_of_an_mpmc_queue() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("q");
    let queue = few_positions(&path);
    let consumer = queue.consumer().unwrap();
    let stream = stream(numbers(100));
    run(&Inbound::new(&path), &stream, 3, 0, || queue.len() == 8).unwrap();
    let got: Vec<u64> =
        consumer.try_iter().map(|frame| u64::from_le_bytes(frame.unwrap()[..].try_into().unwrap())).collect();
    assert_eq!(got, (1..=8).collect::<Vec<_>>());
}

#[test]
fn an_mpmc_queue_whose_positions_come_free_one_by_one_gets_everything() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("q");
    let queue = few_positions(&path);
    let consumer = queue.consumer().unwrap();
    let stream = stream(numbers(60));
    let mut got = Vec::new();
    let until = || {
        // Never more than one position is free.
        if queue.len() == 8 || got.len() >= 52 {
            got.extend(
                consumer.try_recv().ok().map(|frame| u64::from_le_bytes(frame[..].try_into().unwrap())),
            );
        }
        got.len() == 60
    };
    run(&Inbound::new(&path), &stream, 3, 0, until).unwrap();
    assert_eq!(got, (1..=60).collect::<Vec<_>>());
}

#[test]
fn a_keep_interval_of_zero_is_a_short_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("q");
    let _queue = spsc(&path);
    let stream = stream(numbers(10));
    let link = Inbound { keep_interval: Duration::ZERO, ..Inbound::new(&path) };
    run(&link, &stream, 1, 0, || stream.lock().unwrap().acked == 10).unwrap();
}

#[test]
fn acknowledgements_that_were_lost_do_not_repeat_messages() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("q");
    let queue = spsc(&path);
    let consumer = queue.consumer().unwrap();
    let stream = stream(numbers(10));
    run(&Inbound::new(&path), &stream, 1, 0, || stream.lock().unwrap().acked == 10).unwrap();
    // The server forgot, as after a power loss.
    stream.lock().unwrap().acked = 3;
    stream.lock().unwrap().messages.push(message(11, 11_u64.to_le_bytes().to_vec()));
    run(&Inbound::new(&path), &stream, 1, 0, || stream.lock().unwrap().acked == 11).unwrap();
    let mut got = Vec::new();
    take(&consumer, &mut got);
    assert_eq!(got, (1..=11).collect::<Vec<_>>());
}

#[test]
fn another_stream_or_another_producer_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("q");
    let queue = spsc(&path);
    let stream = stream(numbers(5));
    let link = Inbound::new(&path);
    run(&link, &stream, 1, 0, || stream.lock().unwrap().acked == 5).unwrap();

    queue.producer().unwrap().send(b"from elsewhere").unwrap();
    let why = refused(run(&link, &stream, 1, 0, || false));
    assert!(why.contains("no other producer"), "{why}");
    let takes_over = Inbound { takes_over: true, ..link.clone() };
    stream.lock().unwrap().messages.push(message(6, &b"six"[..]));
    run(&takes_over, &stream, 1, 0, || stream.lock().unwrap().acked == 6).unwrap();

    stream.lock().unwrap().created = 2;
    let why = refused(run(&link, &stream, 1, 0, || false));
    assert!(why.contains("made anew"), "{why}");
    assert_eq!(stream.lock().unwrap().acked, 6);
}

#[test]
fn a_message_that_does_not_fit_stops_the_link_or_goes_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("q");
    let queue = spsc(&path);
    let consumer = queue.consumer().unwrap();
    let mut messages = numbers(3);
    messages[1] = message(2, vec![0; 3000]);
    let stream = stream(messages);
    let link = Inbound::new(&path);
    let why = refused(run(&link, &stream, 1, 0, || false));
    assert!(why.contains("message 2 of the stream") && why.contains("3000 bytes"), "{why}");
    assert_eq!(stream.lock().unwrap().acked, 1, "what came before is acknowledged, and it is not");

    let elsewhere = Inbound { on_bad: OnBad::DeadLetter("dead".into()), ..link };
    run(&elsewhere, &stream, 1, 0, || stream.lock().unwrap().acked == 3).unwrap();
    let dead = &stream.lock().unwrap().dead;
    assert!(
        matches!(&dead[..], [(subject, 2, why)] if subject == "dead" && why.contains("3000")),
        "{dead:?}"
    );
    let mut got = Vec::new();
    take(&consumer, &mut got);
    assert_eq!(got, [1, 3]);
}

fn typed(sequence: u64, description: &Description, payload: Vec<u8>) -> Incoming {
    Incoming { tag: Tag::Type(TypeTag::of(description).unwrap()), ..message(sequence, payload) }
}

fn store_type(stream: &Arc<Mutex<Stream>>, description: &Description) {
    stream.lock().unwrap().types.insert(TypeTag::of(description).unwrap(), description.clone());
}

#[test]
fn a_typed_queue_takes_its_own_type_only() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("q");
    // SAFETY: only this test uses the file.
    let queue = unsafe { ringway::spsc::Queue::<u64>::create(&path).unwrap() };
    let link = Inbound::new(&path);
    let (ours, other) = (Description::of::<u64>(), Description::of::<i64>());

    let stream = stream(vec![typed(1, &other, vec![0; 8])]);
    let why = refused(run(&link, &stream, 1, 0, || false));
    assert!(why.contains("is not in stream RINGWAY_TYPES"), "{why}");
    store_type(&stream, &other);
    let why = refused(run(&link, &stream, 1, 0, || false));
    assert!(why.contains("u64") && why.contains("i64"), "{why}");
    assert_eq!(stream.lock().unwrap().acked, 0);

    stream.lock().unwrap().messages =
        vec![typed(1, &ours, 7_u64.to_le_bytes().to_vec()), message(2, vec![0; 8])];
    store_type(&stream, &ours);
    let why = refused(run(&link, &stream, 1, 0, || false));
    assert!(why.contains("message 2") && why.contains("names no type"), "{why}");
    assert_eq!(stream.lock().unwrap().acked, 1);
    assert_eq!(*queue.consumer().unwrap().recv().unwrap(), 7);
}

#[test]
fn a_missing_queue_is_created_for_the_first_messages_type() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("q");
    let ours = Description::of::<u64>();
    let stream = stream(vec![typed(1, &ours, 7_u64.to_le_bytes().to_vec())]);
    let missing = run(&Inbound::new(&path), &stream, 1, 0, || false);
    assert!(matches!(missing, Err(Failure::Failed(_))), "{missing:?}");

    store_type(&stream, &ours);
    let create: Create = "kind=spsc,capacity=64k".parse().unwrap();
    let link = Inbound { create: Some(create), ..Inbound::new(&path) };
    run(&link, &stream, 1, 0, || stream.lock().unwrap().acked == 1).unwrap();
    // SAFETY: only this test uses the file.
    let queue = unsafe { ringway::spsc::Queue::<u64>::open(&path).unwrap() };
    assert_eq!(*queue.consumer().unwrap().recv().unwrap(), 7);
    assert_eq!(queue.ring_bytes(), 64 << 10);
}

#[test]
fn a_damaged_tag_does_not_decide_what_a_missing_queue_is_created_for() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("q");
    let ours = Description::of::<u64>();
    let damaged = Incoming { tag: Tag::Invalid, ..message(1, &b"?"[..]) };
    let stream = stream(vec![damaged]);
    store_type(&stream, &ours);
    let link = Inbound { create: Some("kind=spsc".parse().unwrap()), ..Inbound::new(&path) };
    let why = refused(run(&link, &stream, 1, 0, || false));
    assert!(why.contains("message 1") && why.contains("tag is damaged"), "{why}");
    assert!(!path.exists());

    let elsewhere = Inbound { on_bad: OnBad::DeadLetter("dead".into()), ..link };
    run(&elsewhere, &stream, 1, 0, || stream.lock().unwrap().acked == 1).unwrap();
    assert!(!path.exists(), "no message says what for");
    let damaged = Incoming { tag: Tag::Invalid, ..message(2, &b"?"[..]) };
    stream.lock().unwrap().messages.extend([damaged, typed(3, &ours, 7_u64.to_le_bytes().to_vec())]);
    run(&elsewhere, &stream, 1, 0, || stream.lock().unwrap().acked == 3).unwrap();
    assert_eq!(stream.lock().unwrap().dead.iter().map(|(_, number, _)| *number).collect::<Vec<_>>(), [1, 2]);
    // SAFETY: only this test uses the file.
    let queue = unsafe { ringway::spsc::Queue::<u64>::open(&path).unwrap() };
    assert_eq!(*queue.consumer().unwrap().recv().unwrap(), 7);
}

#[test]
fn a_queue_created_for_bytes_takes_no_typed_messages() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("q");
    let ours = Description::of::<u64>();
    let stream = stream(vec![message(1, &b"bytes"[..]), typed(2, &ours, vec![0; 8])]);
    store_type(&stream, &ours);
    let link = Inbound { create: Some("kind=spsc".parse().unwrap()), ..Inbound::new(&path) };
    for _ in 0..2 {
        let why = refused(run(&link, &stream, 1, 0, || false));
        assert!(why.contains("message 2") && why.contains("a queue of bytes"), "{why}");
        assert_eq!(stream.lock().unwrap().acked, 1);
    }
    // One who wants bytes creates the queue himself.
    let link = Inbound { create: None, ..link };
    run(&link, &stream, 1, 0, || stream.lock().unwrap().acked == 2).unwrap();
}

#[test]
fn a_type_with_a_greater_alignment_than_the_queues_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("q");
    let text = "message Wide\n  struct Wide, size 64, alignment 64\n  size 64, alignment 64\n";
    let description = Description::parse(text, Description::of::<u64>().format_word()).unwrap();
    let options = CreateOptions::new().framing(Framing::Variable);
    // SAFETY: only this test uses the file.
    let queue = unsafe { ringway::spsc::RawQueue::create_with(&path, &description, &options).unwrap() };
    assert!(
        queue.alignment() >= queue.archive_alignment(),
        "a queue made of a description is aligned for it"
    );
    assert!(super::committer::check_alignment(64, 16).is_err());
    assert!(super::committer::check_alignment(16, 16).is_ok());
}

//! Every byte of the header set to every value, and every byte of every shared word: each opens and
//! works, or fails with an error, within a bounded time. (Every pair of bits of the preamble:
//! `src/layout/preamble/exhaustive.rs`.)
//!
//! Debug builds try a part of it; `RINGWAY_EXHAUSTIVE=1` tries all in any build, also where the
//! optimised one takes a part.

mod common;

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use common::{Image, at, directory};
use ringway::kind::{Broadcast, Kind, Mpmc, Spsc};
use ringway::untrusted::Limits;
use ringway::untrusted::kind::{BytesConsumer, BytesQueue};
use ringway::{CreateOptions, Framing, RecvError};

/// The limit is 10 ms. A busy machine may take longer, but not this long.
const FAR_TOO_LONG: Duration = Duration::from_secs(10);

/// A good queue file with messages in it, of which a few bytes at a time are changed and restored.
struct Specimen {
    _dir: tempfile::TempDir,
    path: PathBuf,
    file: File,
    good: Image,
    worst: Duration,
    opened: u64,
    refused: u64,
}

impl Specimen {
    fn new<K: Kind>(options: &CreateOptions) -> Self {
        let dir = directory();
        let path = dir.path().join("q");
        let queue = BytesQueue::<K>::create_with(&path, options, &Limits::new()).unwrap();
        let mut producer = queue.producer().unwrap();
        (0..3).for_each(|i| producer.try_send(&[i; 24]).unwrap());
        drop(producer);
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        let good = Image::of(&path);
        Self { _dir: dir, path, file, good, worst: Duration::ZERO, opened: 0, refused: 0 }
    }

    fn put(&self, at: usize, bytes: &[u8]) {
        self.file.write_all_at(bytes, at as u64).unwrap();
    }

    /// Tests the file with `bytes` at `at`, then restores it, however it was changed.
    fn with(&mut self, at: usize, bytes: &[u8], opens: impl FnOnce(&Path) -> bool) {
        self.put(at, bytes);
        let start = Instant::now();
        let opened = opens(&self.path);
        let took = start.elapsed();
        assert!(took < FAR_TOO_LONG, "{bytes:02x?} at {at:#x} took {took:?}");
        self.worst = self.worst.max(took);
        *if opened { &mut self.opened } else { &mut self.refused } += 1;
        self.put(at, &self.good.0[at..at + bytes.len()]);
    }

    fn report(&self, what: &str) {
        let Self { worst, opened, refused, .. } = self;
        println!("{what}: {opened} opened, {refused} refused, the slowest took {worst:?}");
    }
}

fn opens<K: Kind>(path: &Path) -> bool {
    match BytesQueue::<K>::open(path) {
        Ok(queue) => {
            assert!(queue.max_message() > 0);
            true
        }
        Err(error) => {
            assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
            false
        }
    }
}

/// Opens, attaches in both roles, drains and sends: messages or errors, and every call returns.
fn works<K: Kind>(path: &Path) -> bool {
    let Ok(queue) = BytesQueue::<K>::open(path) else { return false };
    let consumer = queue.consumer();
    let drained = consumer.as_ref().is_ok_and(drains);
    let sent = queue.producer().is_ok_and(|mut producer| producer.try_send(&[9; 24]).is_ok());
    // A consumer of a broadcast queue finds only what was sent after it had attached.
    drained && sent && consumer.as_ref().is_ok_and(drains)
}

fn drains<K: Kind>(consumer: &BytesConsumer<K>) -> bool {
    for _ in 0..1000 {
        match consumer.try_recv() {
            Ok(frame) => assert!(frame.len() <= 4096),
            Err(RecvError::Empty | RecvError::Closed) => return true,
            Err(RecvError::Corrupted(_)) => return false,
            Err(other) => panic!("{other}"),
        }
    }
    // Words that are valid commit words lead round the ring as long as one follows them, which each
    // call does once.
    false
}

fn small() -> CreateOptions {
    CreateOptions::new().ring_bytes(4096)
}

fn broadcast() -> CreateOptions {
    small().max_messages(8).max_participants(2).max_producers(1)
}

fn tries_all() -> bool {
    std::env::var_os("RINGWAY_EXHAUSTIVE").is_some_and(|value| value == "1")
}

/// One case in this number is tried.
fn step() -> usize {
    if cfg!(debug_assertions) && !tries_all() { 23 } else { 1 }
}

#[test]
fn every_byte_of_the_preamble_set_to_every_value() {
    fn check<K: Kind>(what: &str, options: &CreateOptions) {
        let mut specimen = Specimen::new::<K>(options);
        for case in (0..at::PREAMBLE_END * 256).step_by(step()) {
            let (at, value) = (case / 256, case as u8);
            let is_good = specimen.good.0[at] == value;
            specimen.with(at, &[value], |path| {
                let opened = opens::<K>(path);
                assert_eq!(opened, is_good, "{value:#x} at {at:#x}");
                opened
            });
        }
        specimen.report(what);
        // Each byte of the header, with a checksum that fits.
        let mut specimen = Specimen::new::<K>(options);
        for case in (0..at::CHECKSUM * 256).step_by(step()) {
            let (at, value) = (case / 256, case as u8);
            let mut image = Image(specimen.good.0[..at::PREAMBLE_END].to_vec());
            image.0[at] = value;
            image.seal();
            // Those that open are as good as any.
            specimen.with(
                0,
                &image.0,
                |path| if case % 64 == 0 { works::<K>(path) } else { opens::<K>(path) },
            );
        }
        assert!(specimen.opened > 0 && specimen.refused > 0);
        specimen.report(&format!("{what}, with the checksum made to fit"));
    }
    check::<Spsc>("preamble of SPSC", &small());
    check::<Mpmc>("preamble of MPMC", &small().max_messages(4).max_participants(2));
    check::<Broadcast>("preamble of broadcast", &broadcast());
}

/// Offsets of shared words, eight bytes each.
fn words_between(from: usize, to: usize) -> impl Iterator<Item = usize> {
    (from..to).step_by(8)
}

fn every_word<K: Kind>(what: &str, options: &CreateOptions, words: &[usize], values: &[u8]) {
    let mut specimen = Specimen::new::<K>(options);
    let cases = words.iter().flat_map(|word| (0..8).map(move |byte| word + byte));
    let cases = cases.flat_map(|at| values.iter().map(move |value| (at, *value)));
    let whole = specimen.good.clone();
    for (at, value) in cases.step_by(step()) {
        specimen.with(at, &[value], |path| works::<K>(path));
        // The participants have changed more than that.
        specimen.put(at::PREAMBLE_END, &whole.0[at::PREAMBLE_END..]);
    }
    assert!(specimen.opened > 0 && specimen.refused > 0, "{what}: nothing was refused, or everything");
    specimen.report(what);
}

fn all_values() -> Vec<u8> {
    (0..=255).collect()
}

#[test]
fn every_byte_of_every_shared_word_of_spsc() {
    let words: Vec<_> = [at::PREAMBLE_END, at::TAIL, at::HEAD]
        .into_iter()
        .chain(words_between(at::RELEASED, at::REDELIVERY_COUNT + 8))
        .chain([0x680, 0x688, 0x700, 0x708])
        .chain([at::REGISTRY, at::REGISTRY + 8, at::REGISTRY + at::ENTRY_LEN])
        .collect();
    every_word::<Spsc>("words of SPSC", &small(), &words, &all_values());
    // Commit words: those of the first frames, and the one that is zero.
    let frames: Vec<_> = (0..6).map(|i| at::FIRST_WORD + i * 32).collect();
    every_word::<Spsc>("commit words", &small(), &frames, &all_values());
    let cursors = [at::TAIL, at::HEAD, at::RELEASED, at::TAKEN];
    every_word::<Spsc>("words of fixed sizes", &small().framing(Framing::Fixed(24)), &cursors, &all_values());
}

#[test]
fn every_byte_of_every_shared_word_of_mpmc() {
    let slots = at::REGISTRY + 0x1000;
    let words: Vec<_> = words_between(at::PREAMBLE_END, at::PREAMBLE_END + 0x10)
        .chain([0x440, 0x448, 0x480, at::TAIL, at::HEAD, 0x680, 0x688, 0x700, 0x708])
        .chain((0..2).flat_map(|entry| {
            let entry = at::REGISTRY + entry * at::ENTRY_LEN;
            words_between(entry, entry + 0x20).chain(words_between(entry + 0x80, entry + 0xb8))
        }))
        .chain(words_between(slots, slots + 8 * 16))
        .collect();
    // Recovery makes each of these a hundred times slower than those of SPSC: every bit, and values
    // that are limits of numbers.
    let some = [0, 1, 2, 3, 4, 5, 7, 8, 0x0f, 0x10, 0x20, 0x40, 0x7f, 0x80, 0xc0, 0xff];
    let values = if tries_all() { all_values() } else { some.to_vec() };
    every_word::<Mpmc>("words of MPMC", &small().max_messages(8).max_participants(2), &words, &values);
}

#[test]
fn every_byte_of_every_shared_word_of_broadcast() {
    let slots = at::REGISTRY + 0x1000;
    let words: Vec<_> = words_between(at::PREAMBLE_END, at::PREAMBLE_END + 0x10)
        .chain([0x440, 0x448, 0x480, at::TAIL, at::HEAD, at::HEAD + 8, 0x680, 0x688, 0x700, 0x708])
        .chain((0..2).flat_map(|entry| {
            let entry = at::REGISTRY + entry * at::ENTRY_LEN;
            words_between(entry, entry + 0x28).chain(words_between(entry + 0x80, entry + 0xb8))
        }))
        .chain(words_between(slots, slots + 8 * 16))
        .collect();
    let some = [0, 1, 2, 3, 4, 5, 7, 8, 0x0f, 0x10, 0x20, 0x40, 0x7f, 0x80, 0xc0, 0xff];
    let values = if tries_all() { all_values() } else { some.to_vec() };
    every_word::<Broadcast>("words of broadcast", &broadcast(), &words, &values);
}

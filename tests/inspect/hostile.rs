//! Corrupted and hostile files: an error or a finding, never a panic, a hang or a read outside of the file.

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use ringway::inspect::{Inspector, Peek, Start};
use ringway::{CreateOptions, Framing, InspectError};

use super::common::{Image, at, directory};
use super::{create_mpmc, create_spsc};

/// Inspects everything in every way; the results do not matter, only that every call returns.
fn inspect_all(path: &Path) {
    let Ok(inspector) = Inspector::open(path) else { return };
    let _ = inspector.snapshot();
    let _ = inspector.progress();
    for start in [Start::Oldest, Start::Newest, Start::From(0), Start::From(33), Start::From(u64::MAX)] {
        for held in [false, true] {
            let what = Peek::new().most(100).bytes(100).held(held).start(start);
            if let Ok(peeked) = inspector.peek(&what) {
                assert!(peeked.frames.len() <= 100);
                assert!(peeked.frames.iter().all(|frame| frame.payload.len() <= 100));
                // It continues where the result says.
                let _ = inspector.peek(&what.start(Start::From(peeked.next)));
            }
        }
    }
}

/// Queues of all framings with messages in them, some held, and the bytes of their files.
fn images() -> Vec<Image> {
    let dir = directory();
    let path = |name: &str| -> PathBuf { dir.path().join(name) };
    let spsc = create_spsc(&path("spsc"), &CreateOptions::new().ring_bytes(1024));
    let fixed =
        create_spsc(&path("fixed"), &CreateOptions::new().ring_bytes(1024).framing(Framing::Fixed(24)));
    let mut images = Vec::new();
    for (queue, name) in [(spsc, "spsc"), (fixed, "fixed")] {
        let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        for _ in 0..3 {
            (0..12).for_each(|number| producer.send(&[number; 24]).unwrap());
            (0..10).for_each(|_| drop(consumer.recv().unwrap()));
        }
        let held = consumer.recv().unwrap();
        images.push(Image::of(&path(name)));
        drop(held);
    }
    let queue = create_mpmc(
        &path("mpmc"),
        &CreateOptions::new().ring_bytes(4096).max_messages(8).max_participants(3),
    );
    let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    (0..8).for_each(|number| producer.send(&[number; 24]).unwrap());
    consumer.recv().unwrap().reject();
    let held = (consumer.recv().unwrap(), consumer.recv().unwrap());
    images.push(Image::of(&path("mpmc")));
    drop(held);
    for producers in [1, 2] {
        let path = path(&format!("broadcast-{producers}"));
        let queue = super::broadcast::create(&path, producers);
        let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        for number in 0..20 {
            producer.send(&[number; 24]).unwrap();
            drop(consumer.recv().unwrap());
        }
        let held = consumer.try_recv();
        images.push(Image::of(&path));
        drop(held);
    }
    images
}

/// Values that are likely to lead somewhere: small, large, and of both kinds of cursors and states.
fn word() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        (0..64_u32, 0..8_u64).prop_map(|(shift, low)| (1_u64 << shift).wrapping_sub(4).wrapping_add(low)),
        0..4096_u64,
        (0..8_u64, 0..16_u64, 0..16_u64, 0..4_u64).prop_map(|(lap, owner, redeliveries, kind)| {
            lap << 18 | owner << 6 | redeliveries << 2 | kind
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 12, ..ProptestConfig::default() })]

    /// Shared words: 100 files a case, each with a few nonsense values at the offsets of words.
    #[test]
    fn words(changes in prop::collection::vec(prop::collection::vec((any::<u16>(), word()), 1..6), 100)) {
        let dir = directory();
        let path = dir.path().join("queue");
        let images = images();
        for (number, changes) in changes.iter().enumerate() {
            let mut image = images[number % images.len()].clone();
            let mpmc_words = (image.0.len() / 8).min(0x2400 / 8);
            for (place, value) in changes {
                // Everything after the preamble, cursors most of all.
                let cursors = [at::TAIL, at::HEAD, at::RELEASED, at::TAKEN, at::REDELIVERED_UNTIL];
                let at = match usize::from(*place) {
                    place if place % 4 == 0 => cursors[place / 4 % cursors.len()],
                    place => at::PREAMBLE_END + place % (mpmc_words - at::PREAMBLE_END / 8) * 8,
                };
                image.put_u64(at, *value);
            }
            image.write(&path);
            inspect_all(&path);
        }
    }

    /// The header, with a checksum that fits again.
    #[test]
    fn headers(changes in prop::collection::vec((0..0x1a0_usize / 4, any::<u32>(), any::<bool>()), 100)) {
        let dir = directory();
        let path = dir.path().join("queue");
        let images = images();
        for (number, (place, value, is_small)) in changes.iter().enumerate() {
            let mut image = images[number % images.len()].clone();
            image.put_u32(place * 4, if *is_small { value % 17 } else { *value });
            image.seal();
            image.write(&path);
            inspect_all(&path);
        }
    }

    /// Any length at all.
    #[test]
    fn lengths(lengths in prop::collection::vec(0..0x3000_usize, 100)) {
        let dir = directory();
        let path = dir.path().join("queue");
        let images = images();
        for (number, len) in lengths.iter().enumerate() {
            let mut image = images[number % images.len()].clone();
            image.0.truncate(*len);
            image.write(&path);
            inspect_all(&path);
        }
    }
}

#[test]
fn invalid_values_are_found() {
    let dir = directory();
    let path = dir.path().join("queue");
    let [spsc, fixed, mpmc, ..] = <[Image; 5]>::try_from(images()).map_err(drop).unwrap();
    // 5 is odd, and no frame boundary; the rest is far from what the other cursors say.
    for (image, at, word, name) in [
        (&spsc, at::TAIL, 5, "tail"),
        (&spsc, at::TAIL, 1 << 40, "tail"),
        (&spsc, at::RELEASED, 1 << 40, "tail"),
        (&spsc, at::HEAD, 1 << 40, "head"),
        (&fixed, at::TAIL, u64::MAX, "tail"),
        (&fixed, at::RELEASED, 1 << 63, "tail"),
        (&mpmc, at::HEAD, 1 << 40, "head"),
        (&mpmc, at::TAIL, u64::MAX - 3, "tail"),
        // The state of slot 3: FULL of a lap that is far ahead; HELD by an impossible participant;
        // and its frame reference.
        (&mpmc, 0x2000 + 3 * 16, 1 << 30 | 1, "state of the slot"),
        (&mpmc, 0x2000 + 3 * 16, 4000 << 6 | 2, "owner in the slot"),
        (&mpmc, 0x2000 + 3 * 16 + 8, u64::MAX, "reference to the frame"),
    ] {
        let mut image = image.clone();
        image.put_u64(at, word);
        image.write(&path);
        let corruption = Inspector::open(&path).unwrap().snapshot().unwrap().corruption;
        let text = corruption.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        assert!(text.contains(name) || name == "tail" && text.contains("released"), "{name}: {text}");
        assert!(text.contains(path.to_str().unwrap()), "{text}");
    }
}

#[test]
fn a_corrupted_commit_word_stops_the_walk() {
    let dir = directory();
    let path = dir.path().join("queue");
    let queue = create_spsc(&path, &CreateOptions::new().ring_bytes(4096));
    queue.producer().unwrap().send_many(&[[1; 8], [2; 8], [3; 8]]).unwrap();
    let mut image = Image::of(&path);
    image.put_u64(at::FIRST_WORD + 16, u64::MAX);
    image.write(&path);
    let inspector = Inspector::open(&path).unwrap();
    let peeked = inspector.peek(&Peek::new()).unwrap();
    assert_eq!(peeked.frames.len(), 1);
    assert!(peeked.corruption.unwrap().to_string().contains("commit word at position 16"));
    let snapshot = inspector.snapshot().unwrap();
    assert_eq!((snapshot.corruption.len(), snapshot.backlog.waiting), (1, None));
}

#[test]
fn a_file_that_becomes_shorter_is_an_error() {
    let dir = directory();
    let path = dir.path().join("queue");
    for len in [0, 0x1000, 0x1100, 0x2010] {
        let _ = std::fs::remove_file(&path);
        drop(
            create_mpmc(&path, &CreateOptions::new().max_messages(1024)).producer().unwrap().send(b"message"),
        );
        let inspector = Inspector::open(&path).unwrap();
        std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(len).unwrap();
        let error = inspector.snapshot().unwrap_err();
        assert!(matches!(&error, InspectError::Io { .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.contains(path.to_str().unwrap()) && text.contains("shorter"), "{text}");
    }
}
